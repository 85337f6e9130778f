#pragma once

// What replicas say to each other, as plain values. Views (`block`) live as long as the frame that
// they were decoded from. Source: protocol.md 5.

#include <string_view>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/dependencies.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "net/frame.h"

namespace epaxos::protocol {

enum class MessageType : net::FrameType {
  kPreAccept = 1,
  kPreAcceptOk = 2,
  kAccept = 3,
  kAcceptOk = 4,
  kCommit = 5,
  kNack = 6,
  kRecover = 7,
  kRecoverOk = 8,
  kValidate = 9,
  kValidateOk = 10,
  kWaiting = 11,
  kStatus = 12,
  kFetchRange = 13,
  kRangeEnd = 14,
  kLearn = 15,
  kFrontier = 16,
  kTruncated = 17,
  kFence = 18,
  kUnfence = 19,
  kVectorFloor = 20,
};
inline constexpr int kMessageTypes = 21;

/// "PreAccept": as its type is called. Empty: there is no such type.
constexpr std::string_view name_of(MessageType type) {
  switch (type) {
    case MessageType::kPreAccept:
      return "PreAccept";
    case MessageType::kPreAcceptOk:
      return "PreAcceptOk";
    case MessageType::kAccept:
      return "Accept";
    case MessageType::kAcceptOk:
      return "AcceptOk";
    case MessageType::kCommit:
      return "Commit";
    case MessageType::kNack:
      return "Nack";
    case MessageType::kRecover:
      return "Recover";
    case MessageType::kRecoverOk:
      return "RecoverOk";
    case MessageType::kValidate:
      return "Validate";
    case MessageType::kValidateOk:
      return "ValidateOk";
    case MessageType::kWaiting:
      return "Waiting";
    case MessageType::kStatus:
      return "Status";
    case MessageType::kFetchRange:
      return "FetchRange";
    case MessageType::kRangeEnd:
      return "RangeEnd";
    case MessageType::kLearn:
      return "Learn";
    case MessageType::kFrontier:
      return "Frontier";
    case MessageType::kTruncated:
      return "Truncated";
    case MessageType::kFence:
      return "Fence";
    case MessageType::kUnfence:
      return "Unfence";
    case MessageType::kVectorFloor:
      return "VectorFloor";
  }
  return "";
}

/// "Here is a command, and what I know must come before it." Owner -> everybody, ballot 0 only.
struct PreAccept {
  static constexpr MessageType kType = MessageType::kPreAccept;
  InstanceId instance;   ///< Its row is the sender's.
  Dependencies initial;  ///< The owner's proposal; a receiver answers with at least this.
  Bytes block;           ///< A constant of the instance: whoever records it keeps it for ever.
};

/// "I have recorded it; this is what I say must come before it." Acceptor -> owner.
struct PreAcceptOk {
  static constexpr MessageType kType = MessageType::kPreAcceptOk;
  InstanceId instance;
  bool initial = true;        ///< Exactly the owner's initial dependencies.
  Dependencies dependencies;  ///< Otherwise: these.
};

/// "Vote for this value." Proposer of `ballot` -> everybody.
struct Accept {
  static constexpr MessageType kType = MessageType::kAccept;
  InstanceId instance;
  Ballot ballot;
  bool nop = false;
  Dependencies dependencies;  ///< Unless nop.
  Bytes block;                ///< Unless nop.
};

/// "I have voted at this ballot." Acceptor -> proposer.
struct AcceptOk {
  static constexpr MessageType kType = MessageType::kAcceptOk;
  InstanceId instance;
  Ballot ballot;
};

/// How much of a decision a Commit repeats. Nop is a kind of its own, never an empty command.
enum class CommitKind : std::uint8_t {
  kNop = 0,
  kInitial = 1,       ///< The payload and the initial dependencies that the receiver has recorded.
  kDependencies = 2,  ///< The payload that the receiver has recorded, these dependencies.
  kFull = 3,          ///< Everything.
};

/// "This is decided." Anyone who knows -> anyone.
struct Commit {
  static constexpr MessageType kType = MessageType::kCommit;
  InstanceId instance;
  CommitKind kind = CommitKind::kNop;
  Dependencies dependencies;  ///< Of kDependencies and kFull.
  Bytes block;                ///< Of kFull.
};

/// "Your ballot is too low." -> sender of PreAccept, Accept or Recover.
struct Nack {
  static constexpr MessageType kType = MessageType::kNack;
  InstanceId instance;
  Ballot heard;
  Ballot current;
};

/// "Promise me this ballot, and tell me what you know." Recoverer -> everybody.
struct Recover {
  static constexpr MessageType kType = MessageType::kRecover;
  InstanceId instance;
  Ballot ballot;
};

/// The promise. Acceptor -> recoverer.
struct RecoverOk {
  static constexpr MessageType kType = MessageType::kRecoverOk;
  InstanceId instance;
  Ballot ballot;
  bool recorded = false;
  bool pre_accepted = false;
  bool voted = false;
  bool vote_nop = false;
  Ballot accepted_ballot;                ///< If voted.
  Dependencies initial;                  ///< If recorded.
  Dependencies pre_accept_dependencies;  ///< If pre-accepted.
  Dependencies vote_dependencies;        ///< If voted and not nop.
  Bytes block;                           ///< If recorded, or voted and not nop.
};

/// "Could this have been decided fast?" Recoverer -> members of its quorum.
struct Validate {
  static constexpr MessageType kType = MessageType::kValidate;
  InstanceId instance;
  Ballot ballot;
  Dependencies initial;
  Bytes block;
};

/// A conflicting instance that speaks against a fast decision.
struct ValidationBlocker {
  InstanceId instance;
  bool committed = false;
  bool matched = false;
  friend bool operator==(const ValidationBlocker&, const ValidationBlocker&) = default;
};

/// Acceptor -> recoverer.
struct ValidateOk {
  static constexpr MessageType kType = MessageType::kValidateOk;
  InstanceId instance;
  Ballot ballot;
  std::vector<ValidationBlocker> blockers;
};

/// "My recovery waits, and these replicas voted for the initial dependencies." Recoverer ->
/// everybody.
struct Waiting {
  static constexpr MessageType kType = MessageType::kWaiting;
  InstanceId instance;
  std::uint16_t mask = 0;
};

/// "What has become of it?" A Commit answers; a live owner re-sends what is open. Anyone -> anyone.
struct Status {
  static constexpr MessageType kType = MessageType::kStatus;
  InstanceId instance;
};

/// "Tell me these slots of a row, both ends included." Anyone -> anyone.
struct FetchRange {
  static constexpr MessageType kType = MessageType::kFetchRange;
  ReplicaId row;
  Slot from;
  Slot to;
};

/// The end of an answer to FetchRange: slots below `next` were told as far as they are known.
struct RangeEnd {
  static constexpr MessageType kType = MessageType::kRangeEnd;
  ReplicaId row;
  Slot next;
  bool more = false;  ///< The answer was cut for size; ask again from `next`.
};

/// An undecided instance, for learning only: any vote about it goes to its owner. Answer to
/// FetchRange.
struct Learn {
  static constexpr MessageType kType = MessageType::kLearn;
  InstanceId instance;
  Dependencies initial;
  Bytes block;
};

/// Gossip: how far I have executed durably, what I have dropped, what I have heard of.
struct Frontier {
  static constexpr MessageType kType = MessageType::kFrontier;
  Dependencies executed;
  Dependencies floor;
  Dependencies known;
  bool non_voting = false;      ///< I have forgotten promises: others must finish what I began.
  std::uint16_t forgetful = 0;  ///< Replicas, a bit each, of which I remember more than they do.
};

/// "That instance is executed everywhere and dropped here." Answer to anything about it.
struct Truncated {
  static constexpr MessageType kType = MessageType::kTruncated;
  InstanceId instance;
  Dependencies floor;
};

/// "Something waits for too long: propose nothing that conflicts with this." -> everybody.
struct Fence {
  static constexpr MessageType kType = MessageType::kFence;
  std::uint64_t number = 0;  ///< Of the sender's fences, ascending; replaces its earlier ones.
  Tick ttl_us = 0;           ///< It ends by itself.
  Footprint footprint;
};

/// "That fence, and every earlier one of mine, is over."
struct Unfence {
  static constexpr MessageType kType = MessageType::kUnfence;
  std::uint64_t number = 0;
};

/// "My proposals come after all of this, which those who are not away have executed." Gossip, while
/// some member is away; never a floor.
struct VectorFloor {
  static constexpr MessageType kType = MessageType::kVectorFloor;
  Dependencies executed;
};

}  // namespace epaxos::protocol
