#include "compare/raft/message_codec.h"

#include "compare/raft/message.capnp.h"
#include "compare/raft/record.h"
#include "epaxos/contract/codec_support.h"

namespace epaxos::compare::raft {
namespace {

using codec::words_of;

bool is_term(std::uint64_t term) {
  return term >= 1 && term <= kTermMax;
}
bool is_index(std::uint64_t index) {
  return index <= kLogSlotMax;
}
/// A place in a log: an index, and a term exactly where there is an entry.
bool is_place(std::uint64_t index, std::uint64_t term, std::uint64_t term_max) {
  return is_index(index) && term <= term_max && (index == 0) == (term == 0);
}

/// Messages that say a term and no more.
template <class Schema, class Message>
Slice encode_term(const Message& message, Effects& out) {
  return codec::build<Schema>(out, words_of<Schema>(), [&](typename Schema::Builder to) {
    to.setTerm(message.term.value());
  });
}
template <class Schema, class Message>
bool decode_term(Bytes body, Message& out) {
  return codec::parse<Schema>(body, [&](typename Schema::Reader from, std::size_t words) {
    out.term = Term(from.getTerm());
    return words == words_of<Schema>() && from.getTerm() <= kTermMax;
  });
}

}  // namespace

Slice encode(const RequestVote& message, Effects& out) {
  using S = schema::RequestVote;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setTerm(message.term.value());
    to.setLastLogIndex(message.last_log_index.value());
    to.setLastLogTerm(message.last_log_term.value());
    to.setPreVote(message.pre_vote);
    to.setTransfer(message.transfer);
    to.setLife(message.life);
    to.setBornIn(message.born_in.value());
  });
}

bool decode(Bytes body, int, RequestVote& out) {
  using S = schema::RequestVote;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {Term(from.getTerm()),        LogIndex(from.getLastLogIndex()),
           Term(from.getLastLogTerm()), from.getPreVote(),
           from.getTransfer(),          from.getLife(),
           Term(from.getBornIn())};
    return words == words_of<S>() && is_term(from.getTerm()) && from.getBornIn() <= kTermMax &&
           is_place(from.getLastLogIndex(), from.getLastLogTerm(), from.getTerm());
  });
}

Slice encode(const RequestVoteReply& message, Effects& out) {
  using S = schema::RequestVoteReply;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setTerm(message.term.value());
    to.setGranted(message.granted);
    to.setPreVote(message.pre_vote);
    to.setLife(message.life);
    to.setBornIn(message.born_in.value());
  });
}

bool decode(Bytes body, int, RequestVoteReply& out) {
  using S = schema::RequestVoteReply;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {Term(from.getTerm()), from.getGranted(), from.getPreVote(), from.getLife(),
           Term(from.getBornIn())};
    return words == words_of<S>() && from.getTerm() <= kTermMax && from.getBornIn() <= kTermMax;
  });
}

std::span<std::byte> encode_with_room(const AppendEntries& message, std::size_t entry_bytes,
                                      Effects& out, Slice& body) {
  using S = schema::AppendEntries;
  std::byte* room = nullptr;
  body = codec::build<S>(out, words_of<S>() + entry_bytes / 8, [&](S::Builder to) {
    to.setTerm(message.term.value());
    to.setPrevLogIndex(message.prev_log_index.value());
    to.setPrevLogTerm(message.prev_log_term.value());
    to.setLeaderCommit(message.leader_commit.value());
    to.setFloor(message.floor.value());
    to.setSentAt(message.sent_at);
    to.setRoundTrip(message.round_trip_us);
    to.setAnswer(message.answer);
    to.setLife(message.life);
    if (entry_bytes == 0) return;
    room = reinterpret_cast<std::byte*>(to.initEntries(static_cast<unsigned>(entry_bytes)).begin());
  });
  return {room, entry_bytes};
}

Slice encode(const AppendEntries& message, Effects& out) {
  Slice body;
  const auto room = encode_with_room(message, message.entries.size(), out, body);
  copy_bytes(message.entries, room.data());
  return body;
}

bool decode(Bytes body, int replicas, AppendEntries& out) {
  using S = schema::AppendEntries;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.term = Term(from.getTerm());
    out.prev_log_index = LogIndex(from.getPrevLogIndex());
    out.prev_log_term = Term(from.getPrevLogTerm());
    out.leader_commit = LogIndex(from.getLeaderCommit());
    out.floor = LogIndex(from.getFloor());
    out.sent_at = from.getSentAt();
    out.round_trip_us = from.getRoundTrip();
    out.answer = from.getAnswer();
    out.life = from.getLife();
    out.entries = codec::bytes_of(from.getEntries());
    if (words != words_of<S>() + words_of(out.entries) || !is_term(from.getTerm()) ||
        !is_place(from.getPrevLogIndex(), from.getPrevLogTerm(), from.getTerm()) ||
        !is_index(from.getLeaderCommit()) || from.getFloor() > from.getLeaderCommit()) {
      return false;
    }
    // Terms never fall in a log, and nobody's entry has a higher one than its leader.
    std::uint64_t term = from.getPrevLogTerm();
    Bytes rest = out.entries;
    Entry entry;
    while (!rest.empty()) {
      if (!take_entry(rest, replicas, entry)) return false;
      if (entry.round < std::max<std::uint64_t>(term, 1) || entry.round > from.getTerm()) {
        return false;
      }
      term = entry.round;
    }
    return true;
  });
}

Slice encode(const AppendEntriesReply& message, Effects& out) {
  using S = schema::AppendEntriesReply;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setTerm(message.term.value());
    to.setPrevLogIndex(message.prev_log_index.value());
    to.setMatchIndex(message.match_index.value());
    to.setConflictTerm(message.conflict_term.value());
    to.setConflictIndex(message.conflict_index.value());
    to.setSentAt(message.sent_at);
    to.setSuccess(message.success);
    to.setVoting(message.voting);
    to.setLife(message.life);
    to.setBornIn(message.born_in.value());
    to.setPromised(message.promised_us);
  });
}

bool decode(Bytes body, int, AppendEntriesReply& out) {
  using S = schema::AppendEntriesReply;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.term = Term(from.getTerm());
    out.success = from.getSuccess();
    out.voting = from.getVoting();
    out.prev_log_index = LogIndex(from.getPrevLogIndex());
    out.match_index = LogIndex(from.getMatchIndex());
    out.conflict_term = Term(from.getConflictTerm());
    out.conflict_index = LogIndex(from.getConflictIndex());
    out.sent_at = from.getSentAt();
    out.life = from.getLife();
    out.born_in = Term(from.getBornIn());
    out.promised_us = from.getPromised();
    const bool may_promise = out.success && out.voting && out.sent_at > 0;
    if (out.promised_us > 0 && !may_promise) return false;
    // Either the logs agree, and no further than they were asked about, or they conflict.
    const bool fits = out.success
                          ? out.match_index <= out.prev_log_index &&
                                out.conflict_index == LogIndex() && out.conflict_term == Term()
                          : out.match_index == LogIndex();
    return fits && words == words_of<S>() && is_term(from.getTerm()) &&
           is_index(from.getPrevLogIndex()) && is_index(from.getConflictIndex()) &&
           from.getConflictTerm() <= from.getTerm() && from.getBornIn() <= kTermMax;
  });
}

Slice encode(const Truncated& message, Effects& out) {
  using S = schema::Truncated;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setTerm(message.term.value());
    to.setFirstIndex(message.first_index.value());
    to.setLeaderCommit(message.leader_commit.value());
    to.setSentAt(message.sent_at);
  });
}

bool decode(Bytes body, int, Truncated& out) {
  using S = schema::Truncated;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {Term(from.getTerm()), LogIndex(from.getFirstIndex()), LogIndex(from.getLeaderCommit()),
           from.getSentAt()};
    // Only what is committed is ever dropped, and with it at most the term of the last of it.
    return words == words_of<S>() && is_term(from.getTerm()) && from.getFirstIndex() >= 1 &&
           is_index(from.getLeaderCommit()) && from.getFirstIndex() <= from.getLeaderCommit() + 2;
  });
}

Slice encode(const TimeoutNow& message, Effects& out) {
  return encode_term<schema::TimeoutNow>(message, out);
}
bool decode(Bytes body, int, TimeoutNow& out) {
  return decode_term<schema::TimeoutNow>(body, out) && out.term > Term();
}

Slice encode(const Hello& message, Effects& out) {
  using S = schema::Hello;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setTerm(message.term.value());
    to.setLife(message.life);
    to.setBornIn(message.born_in.value());
  });
}
bool decode(Bytes body, int, Hello& out) {
  using S = schema::Hello;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {Term(from.getTerm()), from.getLife(), Term(from.getBornIn())};
    return words == words_of<S>() && from.getTerm() <= kTermMax && from.getBornIn() <= kTermMax;
  });
}

Slice encode(const Forgot& message, Effects& out) {
  return encode_term<schema::Forgot>(message, out);
}
bool decode(Bytes body, int, Forgot& out) {
  return decode_term<schema::Forgot>(body, out);
}

bool makes_sense(const Entry& entry) {
  return entry.kind == EntryKind::kMembers || entry.block.empty() ||
         decode_block_footprint(entry.block).has_value();
}

// --- Records -----------------------------------------------------------------------------------

Slice encode(const HardState& record, Effects& out) {
  using S = schema::HardState;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setTerm(record.current_term.value());
    if (record.voted_for) to.setVotedFor(static_cast<std::uint16_t>(record.voted_for->value() + 1));
  });
}

bool decode(Bytes value, int replicas, HardState& out) {
  using S = schema::HardState;
  return codec::parse<S>(value, [&](S::Reader from, std::size_t words) {
    out = {Term(from.getTerm()), std::nullopt};
    if (from.getVotedFor() > replicas) return false;
    if (from.getVotedFor() > 0) out.voted_for = replica_at(from.getVotedFor() - 1);
    return words == words_of<S>() && is_term(from.getTerm());
  });
}

}  // namespace epaxos::compare::raft
