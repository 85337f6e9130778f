#pragma once

// What the command of an instance touches, read from the payload that is kept of it.

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

}  // namespace epaxos::protocol
