#pragma once

// What the replicas of a single decision say to each other, and the records that they keep, as
// plain values. Views (`block`) live as long as the bytes that they were decoded from.

#include <optional>

#include "deps/types/bytes.h"
#include "deps/types/ids.h"
#include "epaxos/contract/effects.h"
#include "net/frame.h"

namespace epaxos::compare::paxos {

enum class MessageType : net::FrameType {
  kPrepare = 1,
  kPromise = 2,
  kAccept = 3,
  kAccepted = 4,
  kNack = 5,
  kChosen = 6,
  kAsk = 7,
  kForgot = 8,
};

/// What is decided: the block of commands that one replica has put together.
struct ValueView {
  ReplicaId proposer;
  Bytes block;
};

/// "Vote at no lower ballot any more, and say what you last voted for."
struct Prepare {
  static constexpr MessageType kType = MessageType::kPrepare;
  Ballot ballot;  ///< The sender's.
};

/// "I do not, and this is what I last voted for."
struct Promise {
  static constexpr MessageType kType = MessageType::kPromise;
  Ballot ballot;
  Ballot accepted_ballot;  ///< kInitialBallot: there was no vote, and there is no value.
  ValueView value;
};

/// "Vote for this value."
struct Accept {
  static constexpr MessageType kType = MessageType::kAccept;
  Ballot ballot;  ///< The sender's.
  ValueView value;
};

/// "I have voted for what was proposed at this ballot."
struct Accepted {
  static constexpr MessageType kType = MessageType::kAccepted;
  Ballot ballot;
};

/// "I have promised a higher ballot."
struct Nack {
  static constexpr MessageType kType = MessageType::kNack;
  Ballot heard;
  Ballot promised;
};

/// "This is chosen, for ever."
struct Chosen {
  static constexpr MessageType kType = MessageType::kChosen;
  ValueView value;
};

/// "I do not know what is chosen; do you?" Also the first word of whoever starts, so that those who
/// remember more of it than it does find out.
struct Ask {
  static constexpr MessageType kType = MessageType::kAsk;
};

/// "You have told me what your disk no longer knows: your promises are worth nothing." To whoever a
/// host has found out about, whenever it speaks.
struct Forgot {
  static constexpr MessageType kType = MessageType::kForgot;
};

enum class RecordKind : std::uint8_t {
  kPromise = 1,     ///< A Prepare body: the highest ballot that was promised without a vote.
  kVote = 2,        ///< An Accept body.
  kChosen = 3,      ///< A Chosen body.
  kMemoryLost = 4,  ///< Empty: this disk once lost something.
};

/// Writes the body into the arena of `out`.
Slice encode(const Prepare& message, Effects& out);
Slice encode(const Promise& message, Effects& out);
Slice encode(const Accept& message, Effects& out);
Slice encode(const Accepted& message, Effects& out);
Slice encode(const Nack& message, Effects& out);
Slice encode(const Chosen& message, Effects& out);
Slice encode(const Ask& message, Effects& out);
Slice encode(const Forgot& message, Effects& out);

/// Reads a body of a group of `replicas`. False: malformed, and `out` is unspecified. What it says
/// to be a block is one. Precondition: `body` starts at a multiple of 8 bytes.
bool decode(Bytes body, int replicas, Prepare& out);
bool decode(Bytes body, int replicas, Promise& out);
bool decode(Bytes body, int replicas, Accept& out);
bool decode(Bytes body, int replicas, Accepted& out);
bool decode(Bytes body, int replicas, Nack& out);
bool decode(Bytes body, int replicas, Chosen& out);
bool decode(Bytes body, int replicas, Ask& out);
bool decode(Bytes body, int replicas, Forgot& out);

}  // namespace epaxos::compare::paxos
