#pragma once

// What `epaxos-bench away` is asked to measure.

#include <cstdint>

#include "bench/throughput/group_options.h"

namespace epaxos::bench {

struct AwayOptions : GroupOptions {
  AwayOptions() { durability = Durability::kSync; }

  std::uint64_t missed = 1'000'000;  ///< Commands of the others while one is away.
  double seconds = 5;                ///< Of the windows before and after.
  bool csv = false;
};

}  // namespace epaxos::bench
