#pragma once

// What `epaxos-bench throughput` is asked to measure.

#include "bench/throughput/group_options.h"

namespace epaxos::bench {

struct ThroughputOptions : GroupOptions {
  double seconds = 20;  ///< Measured; warming up comes before.
  bool floor = true;

  [[nodiscard]] double floor_seconds() const { return seconds < 5 ? seconds : 5; }
};

}  // namespace epaxos::bench
