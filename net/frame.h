#pragma once

// What crosses the contract of a core: a frame is a protocol's message as bytes. The network knows
// no protocol; byte counts compare; every simulated message exercises the real codec.

#include <cstdint>

#include "deps/types/command.h"
#include "deps/types/ids.h"

namespace epaxos::net {

/// A protocol's own number of a message type.
using FrameType = std::uint16_t;

/// A view of one message. `body` starts at a multiple of 8 bytes in memory, and its size is a
/// multiple of 8; it lives as long as the call that gets it.
struct Frame {
  GroupId group;
  Epoch epoch;
  FrameType type = 0;
  Bytes body;
};

}  // namespace epaxos::net
