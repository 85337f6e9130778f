#include "compare/raft/simulate_raft_words.h"

#include <vector>

#include "compare/log/log_messages.h"
#include "compare/raft/message_codec.h"
#include "compare/raft/record.h"
#include "epaxos/programs/simulate_words.h"

namespace epaxos::compare::raft {
namespace {

std::string commands_of(Bytes block) {
  if (block.empty()) return " nop";
  if (!decode_block_footprint(block)) return " " + std::string(kUnreadable);
  return epaxos::commands_of(block);
}

template <class Number>
std::string number(const char* what, Number value) {
  return std::string(" ") + what + " " + std::to_string(value.value());
}

std::string words_of(ReplicaSet replicas) {
  std::string text;
  for (; replicas.first(); replicas = replicas.without(*replicas.first())) {
    text += " " + to_string(*replicas.first());
  }
  return text;
}

std::string told(const Members& members) {
  std::string text = " voters" + words_of(members.voters);
  if (members.is_joint()) text += " and of old" + words_of(members.old_voters);
  if (members.learners.size() > 0) text += " learners" + words_of(members.learners);
  return text;
}

std::string told(const Entry& entry) {
  std::string text = " term " + std::to_string(entry.round);
  if (entry.kind == EntryKind::kMembers) {
    Members members;
    const auto number = number_from<std::uint64_t>(entry.block);
    return number && unpack(*number, kReplicasMax, members) ? text + told(members)
                                                            : text + " " + kUnreadable;
  }
  if (!entry.origin.is_nobody()) {
    text += " " + to_string(entry.origin.proposer) + " " + std::to_string(entry.origin.life) + "/" +
            std::to_string(entry.origin.sequence);
  }
  return text + commands_of(entry.block);
}

std::string told(const RequestVote& m) {
  return (m.pre_vote ? "RequestVote (pre)" : "RequestVote") + number("term", m.term) +
         number("last", m.last_log_index) + number("of term", m.last_log_term) +
         (m.transfer ? " transfer" : "");
}
std::string told(const RequestVoteReply& m) {
  return (m.pre_vote ? "RequestVoteReply (pre)" : "RequestVoteReply") + number("term", m.term) +
         (m.granted ? " granted" : " refused");
}
std::string told(const AppendEntries& m) {
  std::string text = "AppendEntries" + number("term", m.term) + number("after", m.prev_log_index) +
                     number("of term", m.prev_log_term) + number("commit", m.leader_commit) +
                     number("floor", m.floor);
  Bytes rest = m.entries;
  Entry entry;
  while (take_entry(rest, kReplicasMax, entry)) text += " |" + told(entry);
  return text;
}
std::string told(const AppendEntriesReply& m) {
  std::string text = "AppendEntriesReply" + number("term", m.term) + number("of", m.prev_log_index);
  if (m.success) return text + number("match", m.match_index);
  return text + " refused" + number("conflict", m.conflict_index) +
         number("of term", m.conflict_term);
}
std::string told(const Truncated& m) {
  return "Truncated" + number("term", m.term) + number("first", m.first_index);
}
std::string told(const TimeoutNow& m) {
  return "TimeoutNow" + number("term", m.term);
}
std::string told(const Hello& m) {
  return "Hello" + number("term", m.term);
}
std::string told(const Forgot& m) {
  return "Forgot" + number("term", m.term);
}
std::string told(const Forward& m) {
  return "Forward " + std::to_string(m.life) + "/" + std::to_string(m.sequence) +
         commands_of(m.block);
}
std::string told(const Wanted& m) {
  return "Wanted " + std::to_string(m.life) + "/" + std::to_string(m.sequence);
}

std::string told(const ReadIndex& m) {
  return "ReadIndex " + std::to_string(m.life) + "/" + std::to_string(m.number);
}
std::string told(const ReadIndexReply& m) {
  return "ReadIndexReply " + std::to_string(m.life) + "/" + std::to_string(m.number) +
         number("index", m.index);
}

}  // namespace

std::string words_of_frame(const net::Frame& frame, int replicas) {
  return told_of<RequestVote, RequestVoteReply, AppendEntries, AppendEntriesReply, Truncated,
                 TimeoutNow, Hello, Forgot, Forward, Wanted, ReadIndex, ReadIndexReply>(
      frame, replicas, [](const auto& message) { return told(message); });
}

std::string words_of_record(const RecordKey& key, Bytes value, int replicas) {
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kHardState: {
      HardState state;
      if (!decode(value, replicas, state)) return kUnreadable;
      return "term " + std::to_string(state.current_term.value()) + " voted for " +
             (state.voted_for ? to_string(*state.voted_for) : "nobody");
    }
    case RecordKind::kEntry: {
      Entry entry;
      if (!take_entry(value, replicas, entry)) return kUnreadable;
      return "entry " + std::to_string(key.slot.value()) + told(entry);
    }
    case RecordKind::kMemoryLost:
      return "its memory is lost";
  }
  return "kind " + std::to_string(key.kind);
}

}  // namespace epaxos::compare::raft
