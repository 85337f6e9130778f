#pragma once

// What the clients of the others notice when one replica is killed under load: the one that leads,
// where there is one, and another one.

#include <cstddef>
#include <string>
#include <vector>

#include "bench/compare/matrix.h"

namespace epaxos::bench {

struct LossRun {
  Window before;  ///< Of all replicas.
  Window after;   ///< Of those that are left, from the kill on.
};

struct Loss {
  Contender contender;
  Durability durability = Durability::kNone;
  std::size_t value_bytes = 0;
  std::size_t in_flight = 0;
  bool leader = false;        ///< The killed one led.
  std::vector<LossRun> runs;  ///< One a round that was measured to its end.
};

struct Losses {
  std::vector<Loss> losses;
  bool interrupted = false;
  std::string trouble;  ///< As in Matrix.
};

/// Each with processes of its own: warmed up, measured, one killed with -9, measured as long again.
Losses measure_losses(const CompareOptions& options);

}  // namespace epaxos::bench
