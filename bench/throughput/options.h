#pragma once

// What `epaxos-bench throughput` is asked to measure.

#include <cstddef>
#include <string>

#include "epaxos/storage/store.h"

namespace epaxos::bench {

struct ThroughputOptions {
  int replicas = 3;
  double seconds = 20;            ///< Measured; warming up comes before.
  std::size_t in_flight = 100;    ///< Commands without an answer, a replica.
  std::size_t batch = 1;          ///< Commands of one turn that may share an instance.
  std::size_t value_bytes = 64;   ///< Of each put.
  unsigned conflict_percent = 0;  ///< Commands that write the one key that all replicas share.
  std::size_t keys = 10'000;      ///< Of each replica, beside the shared one.
  Durability durability = Durability::kNone;
  std::string data;  ///< Where a directory for the run is made and removed; empty: the system's.
  bool floor = true;
  bool json = false;

  /// Warming up takes a quarter of the measured time, two seconds at most.
  [[nodiscard]] double warm_up_seconds() const { return seconds < 8 ? seconds / 4 : 2; }
  [[nodiscard]] double floor_seconds() const { return seconds < 5 ? seconds : 5; }
};

}  // namespace epaxos::bench
