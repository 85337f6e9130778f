#pragma once

// What replicas say to each other in Raft, beside what all logs share (compare/log/log_messages.h).
// Names are those of the Raft paper (Ongaro and Ousterhout 2014), Figure 2; pre-votes, leadership
// transfer and the check of the quorum are those of Ongaro's thesis, chapters 3, 4.2.3 and 9.6.

#include <cstdint>
#include <optional>

#include "compare/log/entry.h"
#include "deps/types/ids.h"
#include "net/frame.h"

namespace epaxos::compare::raft {

/// Numbers the leaders. 0: before the first election.
using Term = Id<struct TermTag, std::uint64_t>;
/// A position in the log, from 1; 0: before it. The same as in records, executions and status.
using LogIndex = Slot;

inline constexpr std::uint64_t kTermMax = std::uint64_t{1} << 48;

enum class MessageType : net::FrameType {
  kRequestVote = 1,
  kRequestVoteReply = 2,
  kAppendEntries = 3,
  kAppendEntriesReply = 4,
  kTruncated = 5,
  kTimeoutNow = 6,
  kHello = 7,
  kForgot = 8,
};

/// "Make me the leader of this term." Candidate -> everybody. A pre-vote asks whether one would say
/// yes; nobody's term changes by it.
struct RequestVote {
  static constexpr MessageType kType = MessageType::kRequestVote;

  Term term;  ///< Of a pre-vote: the one that the candidate would go on to.
  LogIndex last_log_index;
  Term last_log_term;
  bool pre_vote = false;
  bool transfer = false;   ///< The leader has asked for this election: it need not be heard out.
  std::uint64_t life = 0;  ///< Of the sender, as in all that tell its term ...
  Term born_in{};          ///< ... and the term that was on its disk when that life began.

  friend bool operator==(const RequestVote&, const RequestVote&) = default;
};

struct RequestVoteReply {
  static constexpr MessageType kType = MessageType::kRequestVoteReply;

  Term term;  ///< That the vote is for; with a refusal: the replica's own.
  bool granted = false;
  bool pre_vote = false;
  std::uint64_t life = 0;
  Term born_in{};

  friend bool operator==(const RequestVoteReply&, const RequestVoteReply&) = default;
};

/// "This comes after what you have." Leader -> followers. Without entries it is a heartbeat, or
/// tells what is committed now.
struct AppendEntries {
  static constexpr MessageType kType = MessageType::kAppendEntries;

  Term term;
  LogIndex prev_log_index;  ///< Of the entry before the first one of `entries`.
  Term prev_log_term;
  LogIndex leader_commit;
  LogIndex floor;                   ///< Up to here all members have the log.
  Tick sent_at = 0;                 ///< On the leader's clock; the answer repeats it.
  std::uint32_t round_trip_us = 0;  ///< The longest that the leader has measured.
  bool answer = false;              ///< An answer is wanted although there is no entry.
  std::uint64_t life = 0;
  Bytes entries;  ///< Encoded one after the other.
};

struct AppendEntriesReply {
  static constexpr MessageType kType = MessageType::kAppendEntriesReply;

  Term term;
  bool success = false;
  bool voting = true;       ///< Whether the sender's word counts.
  LogIndex prev_log_index;  ///< Of what is answered.
  LogIndex match_index;     ///< With success: up to here its log is durable, and the leader's.
  Term conflict_term;  ///< Otherwise: the term at prev_log_index there; 0: its log ends before ...
  LogIndex conflict_index;  ///< ... and the first index of that term, or the one after its end.
  Tick sent_at = 0;
  std::uint64_t life = 0;
  Term born_in{};
  /// With sent_at: so long, from now on, the sender helps nobody else to lead; 0: no promise.
  std::uint32_t promised_us = 0;

  friend bool operator==(const AppendEntriesReply&, const AppendEntriesReply&) = default;
};

/// "What you need is dropped here: get an image of the state." Leader -> a follower, in place of
/// AppendEntries. Answered by an AppendEntriesReply that names where its log ends.
struct Truncated {
  static constexpr MessageType kType = MessageType::kTruncated;

  Term term;
  LogIndex first_index;  ///< The first one that the leader still has.
  LogIndex leader_commit;
  Tick sent_at = 0;

  friend bool operator==(const Truncated&, const Truncated&) = default;
};

/// "Stand for election now: I want to give up the lead to you." Leader -> a follower that has all.
struct TimeoutNow {
  static constexpr MessageType kType = MessageType::kTimeoutNow;

  Term term;

  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

/// "I have started." To everybody, so that who remembers more of the sender than it does finds out
/// (decision record 13), before it votes.
struct Hello {
  static constexpr MessageType kType = MessageType::kHello;

  Term term;
  std::uint64_t life = 0;
  Term born_in{};

  friend bool operator==(const Hello&, const Hello&) = default;
};

/// "You have told me what your disk no longer knows: your promises are worth nothing." To whoever a
/// host has found out about, whenever it speaks.
struct Forgot {
  static constexpr MessageType kType = MessageType::kForgot;

  Term term;

  friend bool operator==(const Forgot&, const Forgot&) = default;
};

}  // namespace epaxos::compare::raft
