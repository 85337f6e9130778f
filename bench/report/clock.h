#pragma once

// The clock that loads and reports share.

#include <chrono>

#include "deps/types/ids.h"

namespace epaxos::bench {

/// Microseconds of the monotonic clock.
inline Tick now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<Tick>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

inline double seconds_now() {
  return static_cast<double>(now_us()) / 1e6;
}

}  // namespace epaxos::bench
