#pragma once

// What of an instance survives a restart. The payload is written once, as the body of the PreAccept
// that carried it; votes, promises and decisions are small records beside it, and the last record
// of a kind wins. Source: protocol.md 4.2 and 13.1.

#include "epaxos/contract/effects.h"
#include "epaxos/protocol/message.h"

namespace epaxos::protocol {

enum class RecordKind : std::uint8_t {
  kPreAccepted = 1,  ///< A PreAccept body: recorded, and voted for with the initial dependencies.
  kRecorded = 2,     ///< A PreAccept body: recorded only.
  kVote = 3,         ///< Promise and votes that the first two do not say.
  kDecision = 4,
  kMemoryLost = 5,  ///< Of the first own slot, empty: this disk once lost something (13.5).
  kFloor = 6,       ///< Of the first own slot: the floor, up to which records may be gone (14.2).
};

/// Everything about promises and votes of one instance, as it is now.
struct VoteRecord {
  Ballot ballot;
  bool pre_accepted = false;
  Dependencies pre_accept_dependencies;  ///< If pre-accepted.
  bool voted = false;
  bool vote_nop = false;
  Ballot accepted_ballot;
  Dependencies vote_dependencies;  ///< If voted and not nop.
  Bytes block;                     ///< Of a vote for an instance that is not recorded; else empty.
};

struct DecisionRecord {
  bool nop = false;
  bool initial = false;       ///< The initial dependencies of the payload record.
  Dependencies dependencies;  ///< Unless nop or initial.
  Bytes block;                ///< Of an instance without a payload record; else empty.
};

struct FloorRecord {
  Dependencies floor;
};

Slice encode(const FloorRecord& record, Effects& out);
bool decode(Bytes value, int rows, FloorRecord& out);
Slice encode(const VoteRecord& record, Effects& out);
Slice encode(const DecisionRecord& record, Effects& out);
/// As decode() of messages. Precondition: `value` starts at a multiple of 8 bytes.
bool decode(Bytes value, int rows, VoteRecord& out);
bool decode(Bytes value, int rows, DecisionRecord& out);

}  // namespace epaxos::protocol
