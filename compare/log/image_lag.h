#pragma once

// How far behind a replica of a log asks for an image of the state although it could have the log.

#include <algorithm>
#include <cstdint>

#include "epaxos/contract/core.h"

namespace epaxos::compare {

/// So many missing entries make an image worth a question. Who has executed nothing has no state
/// that an image would replace, and asks much sooner; what is offered is taken only if it is
/// smaller than the entries, so that a short log is still read.
constexpr std::uint64_t image_lag(const CoreConfig& config, Slot executed_up_to) {
  constexpr std::uint64_t kOfAnEmptyOne = 16;
  constexpr std::uint64_t kLeast = 64;
  const std::uint64_t most = config.image_lag_instances;
  return executed_up_to > Slot() ? most : std::min(most, std::max(most / kOfAnEmptyOne, kLeast));
}

}  // namespace epaxos::compare
