#pragma once

// The commands of an instance and what they touch, read from the payload that is kept of it.

#include <vector>

#include "deps/types/check.h"
#include "deps/types/command.h"
#include "epaxos/protocol/instance.h"

namespace epaxos::protocol {

/// Precondition: the payload is known; it was checked when it came. Cost: linear in its accesses.
inline Footprint kept_footprint(const Instance& instance) {
  Result<Footprint> footprint = decode_block_footprint(instance.block());
  check(footprint.has_value(), "a payload that was checked no longer decodes");
  return *std::move(footprint);
}

/// Its commands. Precondition: the payload is known and outlives them.
inline std::vector<Command> kept_commands(const Instance& instance) {
  std::vector<Command> commands;
  decode_block_commands(instance.block(), commands);
  return commands;
}

}  // namespace epaxos::protocol
