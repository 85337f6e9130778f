#pragma once

// What one process says about a window of time. A plain value that crosses a socket as its bytes:
// both ends are the same program.

#include <cstdint>
#include <type_traits>

#include "deps/types/histogram.h"

namespace epaxos::bench {

/// Sums since the process began; two of them make a window.
struct Totals {
  std::uint64_t wall_us = 0;  ///< The monotonic clock.
  std::uint64_t cpu_us = 0;   ///< User and system time of all threads.
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;  ///< Rejected, or of unknown outcome.
  std::uint64_t fast_path = 0;
  std::uint64_t slow_path = 0;
  std::uint64_t bundles_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t resident_bytes = 0;
};

struct Measurement {
  Totals totals;
  std::uint64_t peak_bytes = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t executed = 0;  ///< Commands that the state machine has applied.
  std::uint64_t digest = 0;    ///< Of the state machine.
  Histogram latency_us;        ///< Since the last Order::kBegin.
};
static_assert(std::is_trivially_copyable_v<Measurement>);

}  // namespace epaxos::bench
