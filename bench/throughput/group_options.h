#pragma once

// The replicas of a measurement and the load inside each of them: what every subcommand that forks
// them is asked.

#include <cstddef>
#include <string>

#include "epaxos/storage/store.h"

namespace epaxos::bench {

struct GroupOptions {
  int replicas = 3;
  std::string protocol = "epaxos";  ///< One of measured_protocols().
  std::size_t in_flight = 100;      ///< Commands without an answer, a replica.
  std::size_t batch = 1;            ///< Commands of one turn that may share an instance.
  std::size_t value_bytes = 64;     ///< Of each put.
  unsigned conflict_percent = 0;    ///< Commands that write the one key that all replicas share.
  std::size_t keys = 10'000;        ///< Of each replica, beside the shared one.
  double rate = 0;  ///< Commands/s that a node proposes at most; 0: as many as it can.
  Durability durability = Durability::kNone;
  std::string data;    ///< Where a directory for the run is made and removed; empty: the system's.
  std::string series;  ///< A file that gets a line a second and replica; empty: none.
  bool json = false;
};

/// Before what is measured for `seconds`: a quarter of it, two seconds at most.
inline double warm_up_seconds(double seconds) {
  return seconds < 8 ? seconds / 4 : 2;
}

}  // namespace epaxos::bench
