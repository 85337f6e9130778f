#pragma once

// What it costs when one replica of a group is away under load and comes back: all are measured,
// the last one is killed, the others go on, it is started again in its directory, catches up, and
// takes part in the load again.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/away/options.h"
#include "bench/throughput/rest.h"
#include "bench/throughput/window.h"
#include "deps/types/result.h"

namespace epaxos::bench {

/// A stretch of the run.
struct AwayPhase {
  std::string name;  ///< "before", "away", "coming back" or "after".
  Window others;     ///< All but the replica that is away at some time.
  Window everybody;  ///< And that one, where it runs; for CPU and sums.
  // Of the others, at the end of the phase:
  std::uint64_t resident_bytes = 0;
  std::uint64_t store_bytes = 0;   ///< Their directories on disk.
  std::uint64_t record_bytes = 0;  ///< What records take in them.
};

/// What the returned replica did until it had caught up. Seconds since its start.
struct Return {
  std::uint64_t missed = 0;      ///< Commands that the others completed before its start.
  std::uint64_t behind = 0;      ///< And those until it had caught up.
  std::optional<double> open_s;  ///< Its disk is read, and its node runs.
  std::optional<double> vote_s;  ///< Empty: it did not vote.
  std::optional<double> caught_up_s;
  double seconds = 0;                    ///< Until it had caught up, or until nobody waited more.
  std::uint64_t lag = 0;                 ///< Instances that it lacks then; few if it caught up.
  std::uint64_t bytes_in = 0;            ///< From the others, what they go on deciding among it.
  std::uint64_t images_installed = 0;    ///< Images of the others.
  std::uint64_t instances_executed = 0;  ///< By itself, since it was open: not of its own log.

  /// Empty: it has not caught up.
  [[nodiscard]] std::optional<double> commands_per_second() const;
};

struct AwayResult {
  bool interrupted = false;
  std::vector<AwayPhase> phases;  ///< When interrupted, the last one was cut short.
  std::optional<Return> returned;
  std::string trouble;         ///< A sentence: why it ended before its time; empty: it did not.
  std::optional<Rest> rest;    ///< Empty: the states were not compared.
  std::string kept_directory;  ///< Left for a look when the digests differ.
};

/// Errors: a sentence; nothing could be measured.
Result<AwayResult> measure_away(const AwayOptions& options);

}  // namespace epaxos::bench
