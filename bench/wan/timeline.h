#pragma once

// A run second by second, and how long its sites went without a commit after each fault.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "deps/types/ids.h"

namespace epaxos::bench {

/// Commands that ended in a second of the measured time, whenever they were sent.
struct Second {
  std::uint64_t executed = 0;
  std::uint64_t failed = 0;
  Tick p50_us = 0;  ///< Of the latency until the reply; 0: none was executed.
  Tick p99_us = 0;

  friend bool operator==(const Second&, const Second&) = default;
};

struct Timeline {
  std::vector<std::vector<Second>> by_site;
  std::vector<Second> all;  ///< The sites together.
  /// A time without a commit.
  struct Gap {
    Tick us = 0;           ///< To within a millisecond.
    bool goes_on = false;  ///< Until after the next fault.

    friend bool operator==(const Gap&, const Gap&) = default;
  };
  /// By fault and site: the longest from the fault to the next later one, or to the end.
  std::vector<std::vector<Gap>> gaps;

  friend bool operator==(const Timeline&, const Timeline&) = default;
};

/// Gathers one, from commands in any order.
class TimelineRecorder {
 public:
  /// Times of commands count from the beginning of the measured time, and those before it are
  /// negative.
  TimelineRecorder(std::size_t sites, Tick measured_us);

  void add_executed(std::size_t site, std::int64_t committed_us, std::int64_t ended_us,
                    Tick latency_us);
  void add_failed(std::size_t site, std::int64_t ended_us);

  /// `fault_us`: when the faults came, ascending. `end_us`: how much of the time was measured.
  [[nodiscard]] Timeline timeline(const std::vector<Tick>& fault_us, Tick end_us) const;

 private:
  struct Cell {
    std::vector<std::uint32_t> latency_us;
    std::uint64_t failed = 0;
  };

  [[nodiscard]] Timeline::Gap longest_gap(std::size_t site, Tick from_us, Tick to_us) const;

  const Tick measured_us_;
  std::vector<std::vector<Cell>> cells_;        // By site and second.
  std::vector<std::vector<bool>> has_commits_;  // By site and millisecond.
};

}  // namespace epaxos::bench
