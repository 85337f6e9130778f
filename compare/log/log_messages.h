#pragma once

// How the commands of any replica reach the leader, and how reads without a place in the log hear
// how far to execute. All messages may be lost, repeated and reordered: the proposer sends again
// what is not executed, in order, and the leader takes of each proposer only the next one. They
// promise nothing that a crash could take back.

#include "compare/log/entry.h"
#include "epaxos/contract/effects.h"

namespace epaxos::compare {

/// Frame types of every protocol with a log; its own ones lie below.
enum class LogMessage : net::FrameType {
  kForward = 24,
  kWanted = 25,
  kReadIndex = 26,
  kReadIndexReply = 27,
};

/// "Put this block of mine into the log." Proposer -> leader.
struct Forward {
  static constexpr LogMessage kType = LogMessage::kForward;

  std::uint64_t life = 0;
  std::uint64_t sequence = 0;
  Bytes block;
};

/// "Something is missing before what you have sent: go on from here." Leader -> proposer.
struct Wanted {
  static constexpr LogMessage kType = LogMessage::kWanted;

  std::uint64_t life = 0;
  std::uint64_t sequence = 0;
};

/// "How far must I execute before I answer the reads that I have gathered up to this number?" Any
/// replica -> leader. (Ongaro's thesis, 6.4.)
struct ReadIndex {
  static constexpr LogMessage kType = LogMessage::kReadIndex;

  std::uint64_t life = 0;
  std::uint64_t number = 0;

  friend bool operator==(const ReadIndex&, const ReadIndex&) = default;
};

/// "This far": when the question had come, nothing beyond it had been told to anybody.
struct ReadIndexReply {
  static constexpr LogMessage kType = LogMessage::kReadIndexReply;

  std::uint64_t life = 0;  ///< These two are those of the question.
  std::uint64_t number = 0;
  Slot index;

  friend bool operator==(const ReadIndexReply&, const ReadIndexReply&) = default;
};

/// Writes the body into the arena of `out`.
Slice encode(const Forward& message, Effects& out);
Slice encode(const Wanted& message, Effects& out);
Slice encode(const ReadIndex& message, Effects& out);
Slice encode(const ReadIndexReply& message, Effects& out);

/// False: malformed. Whether a block makes sense is decode_block_footprint()'s question.
/// Precondition: `body` starts at a multiple of 8 bytes.
bool decode(Bytes body, int replicas, Forward& out);
bool decode(Bytes body, int replicas, Wanted& out);
bool decode(Bytes body, int replicas, ReadIndex& out);
bool decode(Bytes body, int replicas, ReadIndexReply& out);

}  // namespace epaxos::compare
