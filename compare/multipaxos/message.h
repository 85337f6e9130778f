#pragma once

// What the replicas of a log say to each other, as plain values. Views live as long as the frame
// that they were decoded from. Source: Lamport, "Paxos Made Simple", 3.

#include <cstddef>
#include <span>
#include <vector>

#include "compare/log/entry.h"
#include "epaxos/contract/effects.h"
#include "net/frame.h"

namespace epaxos::compare::multipaxos {

enum class MessageType : net::FrameType {
  kPrepare = 1,
  kPromise = 2,
  kAccept = 3,
  kAccepted = 4,
  kNack = 5,
  kHeartbeat = 6,
  kFetch = 7,
  kLearn = 8,
  kTruncated = 9,
  kForgot = 10,
  kHeartbeatOk = 11,
  kPreVote = 12,
  kPreVoteOk = 13,
};

/// "Vote at no lower ballot any more, in the whole log, and say what you last voted for from this
/// slot on."
struct Prepare {
  static constexpr MessageType kType = MessageType::kPrepare;
  Ballot ballot;  ///< The sender's.
  Slot from;      ///< The first one that is not decided there, or that a part ended before.
};

/// "I do not, and these are my votes from `from` through `through`."
struct Promise {
  static constexpr MessageType kType = MessageType::kPromise;
  static constexpr Slot kThroughAll{kLogSlotMax};
  struct Voted {
    Slot slot;
    Entry entry;  ///< Its round is the ballot of the vote.
    Bytes encoded;
  };
  Ballot ballot;
  Slot from;
  Slot through;        ///< kThroughAll: the last part.
  Slot decided_up_to;  ///< All up to here is decided, and the sender knows how.
  Slot floor;          ///< All up to here only an image can tell.
  /// Ascending, none at or below decided_up_to, and none at a higher ballot.
  std::vector<Voted> votes;
};

/// "Vote for these entries." The leader of `ballot` -> everybody.
struct Accept {
  static constexpr MessageType kType = MessageType::kAccept;
  Ballot ballot;
  Slot decided_up_to;  ///< As in Heartbeat, and below `first`.
  Slot first;          ///< The entries stand here and behind it, without a gap.
  Bytes entries;       ///< At least one; the round of each is `ballot`.
};

/// "I have voted at this ballot for what its leader proposed in these slots."
struct Accepted {
  static constexpr MessageType kType = MessageType::kAccepted;
  Ballot ballot;
  Slot first;
  Slot last;
};

/// "I have promised a higher ballot, or follow the leader of one."
struct Nack {
  static constexpr MessageType kType = MessageType::kNack;
  Ballot heard;
  Ballot promised;
};

/// "I lead." Whoever has voted at this ballot for an entry up to decided_up_to knows that it is
/// chosen.
struct Heartbeat {
  static constexpr MessageType kType = MessageType::kHeartbeat;
  Ballot ballot;
  Slot decided_up_to;
  Slot last;         ///< The highest slot that the leader has proposed in.
  Tick sent_at = 0;  ///< On the leader's clock, if an answer is wanted, which repeats it.
};

/// "I have promised no higher ballot so far." Acceptor -> leader.
struct HeartbeatOk {
  static constexpr MessageType kType = MessageType::kHeartbeatOk;
  Ballot ballot;
  Tick sent_at = 0;
  std::uint32_t promised_us = 0;  ///< So long, from now on, it promises none to another one.
};

/// "I miss the leader: do you?" Nobody's ballot changes by it.
struct PreVote {
  static constexpr MessageType kType = MessageType::kPreVote;
  Tick sent_at = 0;  ///< On the sender's clock, never 0; the answer repeats it.
};

/// "I do." It promises nothing; whoever hears a leader does not answer.
struct PreVoteOk {
  static constexpr MessageType kType = MessageType::kPreVoteOk;
  Tick sent_at = 0;
};

/// "What is decided in these slots?" Also the first word of whoever starts, so that those who
/// remember more of it than it does find out.
struct Fetch {
  static constexpr MessageType kType = MessageType::kFetch;
  Slot from;
  Slot to;
};

/// "These entries are decided." The round of each is a ballot at which it was proposed, and not
/// below the one at which it was chosen.
struct Learn {
  static constexpr MessageType kType = MessageType::kLearn;
  Slot first;
  Bytes entries;
};

/// "Up to here all is decided, and I have an image only."
struct Truncated {
  static constexpr MessageType kType = MessageType::kTruncated;
  Slot floor;
};

/// "You have told me what your disk no longer knows: your promises are worth nothing." To whoever a
/// host has found out about, whenever it speaks.
struct Forgot {
  static constexpr MessageType kType = MessageType::kForgot;
};

/// Writes the body into the arena of `out`.
Slice encode(const Prepare& message, Effects& out);
Slice encode(const Promise& message, Effects& out);
Slice encode(const Accept& message, Effects& out);
Slice encode(const Accepted& message, Effects& out);
Slice encode(const Nack& message, Effects& out);
Slice encode(const Heartbeat& message, Effects& out);
Slice encode(const HeartbeatOk& message, Effects& out);
Slice encode(const PreVote& message, Effects& out);
Slice encode(const PreVoteOk& message, Effects& out);
Slice encode(const Fetch& message, Effects& out);
Slice encode(const Learn& message, Effects& out);
Slice encode(const Truncated& message, Effects& out);
Slice encode(const Forgot& message, Effects& out);

/// As encode(), with room for entries in place of those of the message: returns where their bytes
/// go. Valid until the next use of `out`.
std::span<std::byte> encode_with_room(const Accept& message, std::size_t entry_bytes, Effects& out,
                                      Slice& body);

/// Reads a body of a group of `replicas`. False: malformed, and `out` is unspecified. That entries
/// are such, with blocks that make sense, is checked. Precondition: `body` starts at a multiple of
/// 8 bytes.
bool decode(Bytes body, int replicas, Prepare& out);
bool decode(Bytes body, int replicas, Promise& out);
bool decode(Bytes body, int replicas, Accept& out);
bool decode(Bytes body, int replicas, Accepted& out);
bool decode(Bytes body, int replicas, Nack& out);
bool decode(Bytes body, int replicas, Heartbeat& out);
bool decode(Bytes body, int replicas, HeartbeatOk& out);
bool decode(Bytes body, int replicas, PreVote& out);
bool decode(Bytes body, int replicas, PreVoteOk& out);
bool decode(Bytes body, int replicas, Fetch& out);
bool decode(Bytes body, int replicas, Learn& out);
bool decode(Bytes body, int replicas, Truncated& out);
bool decode(Bytes body, int replicas, Forgot& out);

/// Calls `use(slot, entry, encoded)` with each of these entries. Precondition: decode() checked
/// them.
template <class Use>
void for_each_entry(Slot first, Bytes entries, int replicas, Use&& use) {
  for (Slot slot = first; !entries.empty(); slot = slot.next()) {
    const Bytes before = entries;
    Entry entry;
    if (!take_entry(entries, replicas, entry)) return;
    use(slot, entry, before.first(before.size() - entries.size()));
  }
}

/// Whether this is one entry and no more, proposed at a ballot of the group, with a block that
/// makes sense.
bool is_entry(Bytes encoded, int replicas);

}  // namespace epaxos::compare::multipaxos
