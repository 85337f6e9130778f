#pragma once

// What became of the commands of a run, gathered by site. One command after the other, in any
// order: simulated clients tell at once, those in other processes a little later.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/wan/simulation.h"

namespace epaxos::bench {

/// A command that has ended, as its client saw it. Times in microseconds, of the clock of the run.
struct Sample {
  Tick sent_us = 0;
  Tick execution_us = 0;  ///< Until the reply. Of executed ones.
  Tick commit_us = 0;     ///< Until the commit, and the way back. Of executed ones.
  std::uint32_t site = 0;
  bool executed = false;  ///< Else rejected, or without a known outcome.
};

class Recorder {
 public:
  /// `sites` outlives it.
  explicit Recorder(std::vector<SiteLatency>& sites) : sites_(sites) {}

  /// Commands that are sent in [from, to) are measured. Before the first sample.
  void measure(Tick from_us, Tick to_us);
  [[nodiscard]] bool is_measured(Tick sent_us) const { return sent_us >= from_ && sent_us < to_; }

  void add(const Sample& sample);

 private:
  std::vector<SiteLatency>& sites_;
  Tick from_ = 0;
  Tick to_ = 0;
};

}  // namespace epaxos::bench
