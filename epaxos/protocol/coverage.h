#pragma once

// What an image of the state machine covers: the executed prefix of each row, and what is executed
// above it one by one. Whoever installs the image of a peer takes over its floor, and learns of
// every covered instance above it what it touches, because others may still ask about those. But
// nobody asks a replica without a vote: all that the image covers is below the floor that it gets.
// Source: protocol.md 14.4.

#include <optional>
#include <span>
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
  bool for_non_voting = false;  ///< The floor holds for a replica without a vote only.

  friend bool operator==(const Coverage&, const Coverage&) = default;
};

/// The coverage of an image for a peer, while it is being listed.
struct PeerCoverage {
  ReplicaId peer;
  std::vector<std::byte> image_bytes;  ///< What the image says of itself,
  Coverage image;                      ///< decoded.
  Dependencies floor;                  ///< As it was at the beginning.
  InstanceId next;                     ///< To be listed.
  std::size_t taken = 0;               ///< Of image.instances.
  std::size_t listed = 0;
  std::vector<std::byte> bytes;  ///< So far.
};

/// Appends the coverage as bytes. Cost: linear.
void encode(const Coverage& coverage, std::vector<std::byte>& out);
/// The same bit by bit: room for a head, then parts with the instances in their order, and at last
/// the head. What is listed and not above the floor says nothing.
void begin_coverage(int rows, std::vector<std::byte>& bytes);
/// Precondition: not empty.
void append_part(std::span<const CoveredInstance> instances, std::vector<std::byte>& bytes);
/// What the head says stands in `coverage`, but for `listed`: the instances in all parts.
void end_coverage(const Coverage& coverage, std::size_t listed, std::vector<std::byte>& bytes);

/// Of any alignment. Errors: malformed.
Result<Coverage> decode_coverage(Bytes bytes, int rows);

}  // namespace epaxos::protocol
