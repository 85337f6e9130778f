#pragma once

// What an image of the state machine covers: the executed prefix of each row, and what is executed
// above it one by one. Whoever installs the image of a peer takes over its floor, and learns of
// every covered instance above it what it touches, because others may still ask about those.
// Source: protocol.md 14.4.

#include <optional>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/dependencies.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::protocol {

struct CoveredInstance {
  InstanceId id;
  bool nop = false;
  std::optional<Footprint> footprint;  ///< Nothing: a Nop whose payload is not known.

  friend bool operator==(const CoveredInstance&, const CoveredInstance&) = default;
};

struct Coverage {
  Dependencies floor;
  Dependencies executed;  ///< Every slot up to these is executed or Nop.
  /// In ascending order, each above the floor: for this replica those above `executed`, and those
  /// of which it has no record; for a peer all others too.
  std::vector<CoveredInstance> instances;

  friend bool operator==(const Coverage&, const Coverage&) = default;
};

/// Appends the coverage as bytes. Cost: linear.
void encode(const Coverage& coverage, std::vector<std::byte>& out);
/// Of any alignment. Errors: malformed.
Result<Coverage> decode_coverage(Bytes bytes, int rows);

}  // namespace epaxos::protocol
