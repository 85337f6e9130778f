#pragma once

// The same experiment several times, each with another seed: all of them as one, and how much they
// differ. Histograms are merged; percentiles are never averaged.

#include <vector>

#include "bench/wan/measured_run.h"

namespace epaxos::bench {

/// Commit or execution: &Latency::commit_us.
using Histograms = const FineHistogram Latency::*;

/// All runs as one: histograms and counts added, and of the shares of slow paths the median. What
/// happened over time is that of the first run. Precondition: there is one at least, and all are of
/// one protocol, leader and placement.
MeasuredRun merged(const std::vector<MeasuredRun>& runs);

/// One percentile of every run by itself.
struct Spread {
  std::vector<double>
      values_us;  ///< In the order of the runs, without those that measured nothing.

  /// Precondition of all three: there are values.
  [[nodiscard]] double median_us() const;
  [[nodiscard]] double least_us() const;
  [[nodiscard]] double most_us() const;
};
Spread spread_of(const std::vector<MeasuredRun>& runs, std::size_t site, Histograms histograms,
                 double share, Kind kind = Kind::kAll);

/// Of an even number of values the mean of the two in the middle. Precondition: there are some.
double median_of(std::vector<double> values);

}  // namespace epaxos::bench
