#pragma once

// What became of the commands of a run, gathered by site. One command after the other, in any
// order: simulated clients tell at once, those in other processes a little later.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "bench/wan/measured_run.h"

namespace epaxos::bench {

/// A command that has ended, as its client saw it. Times in microseconds, of the clock of the run.
struct Sample {
  Tick sent_us = 0;
  Tick execution_us = 0;             ///< Until the reply, or the news that it failed.
  Tick commit_us = 0;                ///< Until the commit, and the way back. Of executed ones.
  std::optional<Tick> late_us = {};  ///< In real time: left so long after its time.
  std::uint32_t site = 0;
  bool executed = false;  ///< Else rejected, or without a known outcome.
  bool reads = false;
};

class Recorder {
 public:
  /// Both outlive it; `run` has its sites.
  Recorder(MeasuredRun& run, const RunOptions& options) : run_(run), options_(options) {}

  /// Commands that are sent in the measured time after this are measured. Before the first sample.
  void measure(Tick from_us);
  [[nodiscard]] bool is_measured(Tick sent_us) const { return sent_us >= from_ && sent_us < to_; }

  void add(const Sample& sample);
  /// Commands that should have been sent at measured times were not.
  void add_unsent(std::size_t site, std::uint64_t count) { run_.sites[site].unsent += count; }

  /// All samples are there, or all until now. Completes the run.
  void finish(Tick now_us);

 private:
  void add_to_timeline(const Sample& sample);

  MeasuredRun& run_;
  const RunOptions& options_;
  std::optional<TimelineRecorder> timeline_;
  Tick from_ = 0;
  Tick to_ = 0;
  Tick latency_to_ = kNever;
};

}  // namespace epaxos::bench
