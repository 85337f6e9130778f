// The follower's half of replication. Source: Raft paper, Figure 2 (AppendEntries RPC) and 5.3.

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

/// What is said holds whatever the disk does next, unless the term itself is still on its way.
Release RaftCore::at_once_if_term_is_durable() const {
  return hard_state_batch_ <= durable_batch_ ? Release::kNow : Release::kGated;
}

void RaftCore::on_append_entries(ReplicaId from, const AppendEntries& message, Effects& out) {
  note_told(from, message.life, message.term);
  // "Reply false if term < currentTerm" (Figure 2): the sender learns that it no longer leads.
  if (message.term < current_term_) return refuse_append(from, message, out);
  note_round_trip(message.round_trip_us);
  if (!hear_leader(from, message.term, out)) return;
  leader_commit_ = std::max(leader_commit_, message.leader_commit);
  floor_ = std::max(floor_, std::min(message.floor, commit_index_));
  const LogIndex prev = message.prev_log_index;
  // "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm".
  // What is committed here agrees with every leader, also where its terms are no longer known.
  const bool agrees = prev < log_.base() ||
                      (prev <= last_log_index() && Term(log_.round(prev)) == message.prev_log_term);
  if (!agrees && prev <= commit_index_) return counters_.add(Count::kContradictsCommit);
  if (!agrees) {
    if (!message.entries.empty() || message.answer) refuse_append(from, message, out);
    return;
  }
  must_have_image_ = false;
  if (storage_full_ && !message.entries.empty()) return counters_.add(Count::kStorageFull);
  LogIndex last_new = prev;
  if (!take_entries(message, last_new, out)) return;
  if (mutant(Mutant::kRaftTruncatesMatching) && last_new < last_log_index() &&
      last_new >= commit_index_) {
    overwrite_from(last_new.next(), out);
  }
  // "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
  const LogIndex committed = std::min(
      message.leader_commit, mutant(Mutant::kRaftCommitsBeyondNew) ? last_log_index() : last_new);
  commit_up_to(committed);
  if (message.entries.empty()) {
    if (message.answer) answer_heartbeat(from, message, out);
    return;
  }
  const LogIndex match = std::max(last_new, commit_index_);
  if (ack_ && ack_->match_index >= match) return;
  ack_ = agreement(match, match);
}

/// Up to `prev` the log here is the leader's, and up to `match` it is on this disk.
AppendEntriesReply RaftCore::agreement(LogIndex prev, LogIndex match) const {
  AppendEntriesReply reply;
  reply.term = current_term_;
  reply.success = true;
  reply.voting = voting_;
  reply.prev_log_index = prev;
  reply.match_index = match;
  reply.life = config_.life;
  reply.born_in = born_in_;
  return reply;
}

/// What is on disk already needs no gate, so a slow disk does not look like a dead replica.
void RaftCore::answer_heartbeat(ReplicaId to, const AppendEntries& message, Effects& out) {
  const LogIndex prev = std::max(message.prev_log_index, commit_index_);
  const Release release = at_once_if_term_is_durable();
  AppendEntriesReply reply = agreement(prev, std::min(prev, durable_index_));
  if (release == Release::kNow) reply.sent_at = message.sent_at;
  if (reply.sent_at > 0) reply.promised_us = promise_to_leader();
  send(ReplicaSet::only(to), reply, out, release);
}

void RaftCore::refuse_append(ReplicaId to, const AppendEntries& message, Effects& out) {
  AppendEntriesReply reply{current_term_, false,   voting_, message.prev_log_index, {}, {}, {}, 0,
                           config_.life,  born_in_};
  reply.conflict_index = last_log_index().next();
  if (message.prev_log_index <= last_log_index() && message.prev_log_index > log_.base()) {
    const std::uint64_t term = log_.round(message.prev_log_index);
    const LogIndex earlier = last_of_term(Term(term - 1), message.prev_log_index);
    reply.conflict_term = Term(term);
    // What is committed agrees, so nothing at or below it is ever in conflict.
    reply.conflict_index = std::max(commit_index_, earlier).next();
  }
  send(ReplicaSet::only(to), reply, out, at_once_if_term_is_durable());
}

bool RaftCore::take_entries(const AppendEntries& message, LogIndex& last_new, Effects& out) {
  Bytes rest = message.entries;
  while (!rest.empty()) {
    const Bytes from_here = rest;
    Entry entry;
    const bool decodes = take_entry(rest, n_, entry);
    check(decodes, "the codec let an entry pass that does not decode");
    const Bytes encoded = from_here.first(from_here.size() - rest.size());
    last_new = last_new.next();
    if (!take_entry_at(last_new, entry, encoded, out)) return false;
  }
  return true;
}

bool RaftCore::take_entry_at(LogIndex index, const Entry& entry, Bytes encoded, Effects& out) {
  if (index <= log_.base()) return true;
  if (index <= last_log_index()) {
    // What agrees stays, and all behind it: the message may be an old one.
    if (log_.round(index) == entry.round) {
      // "If two entries in different logs have the same index and term, then they store the same
      // command" (5.3).
      if (std::ranges::equal(log_.encoded(index), encoded)) return true;
      counters_.add(Count::kContradictsLog);
      return false;
    }
    if (index <= commit_index_) {
      counters_.add(Count::kContradictsCommit);
      return false;
    }
  }
  if (!makes_sense(entry)) {
    counters_.add(Count::kMalformedBlock);
    return false;
  }
  if (index.value() - log_.base().value() > LogWindow::kSpanMax) {
    counters_.add(Count::kLogFull);
    return false;
  }
  if (Members next; members_of(encoded, next) && !may_hold_at(index, next)) {
    counters_.add(Count::kImpossibleMembers);
    return false;
  }
  // "If an existing entry conflicts with a new one (same index but different terms), delete the
  // existing entry and all that follow it" (Figure 2).
  if (index <= last_log_index()) overwrite_from(index, out);
  add_entry(index, encoded, out.append(encoded), out);
  return true;
}

void RaftCore::add_entry(LogIndex index, Bytes encoded, Slice record, Effects& out) {
  check(index == last_log_index().next(), "a log has no holes");
  log_.set(index, encoded);
  note_members(index, encoded);
  records_.put(index, record, out);
  counters_.add(Count::kEntriesAppended);
  if (!appended_.empty() && appended_.back().batch == out.batch) {
    appended_.back().index = index;
  } else {
    appended_.push_back({out.batch, index});
  }
}

/// What was counted on, a batch on its way to the disk included, ends before `index` from now on.
void RaftCore::overwrite_from(LogIndex index, Effects& out) {
  check(index > commit_index_, "a committed entry is overwritten");
  check(role_ != Role::kLeader, "a leader overwrites its own log");
  const LogIndex kept(index.value() - 1);
  for (LogIndex gone = index; gone <= last_log_index(); gone = gone.next()) {
    records_.erase(gone, out);
    counters_.add(Count::kEntriesOverwritten);
  }
  log_.drop_from(index);
  configurations_.drop_from(index);
  if (!mutant(Mutant::kRaftSuffixStaysDurable)) {
    durable_index_ = std::min(durable_index_, kept);
    for (Appended& each : appended_) each.index = std::min(each.index, kept);
  }
  ack_.reset();
}

/// One answer a turn to all that was appended in it.
void RaftCore::flush_ack(Effects& out) {
  if (!ack_) return;
  if (leader_ && *leader_ != self_ && ack_->term == current_term_) {
    const ReplicaSet to = options_.learn_from_all ? others_ : ReplicaSet::only(*leader_);
    send(to, *ack_, out, gated_without(Mutant::kRaftAckBeforeDurable));
  }
  ack_.reset();
}

/// The leader has dropped what comes next here, and lives.
void RaftCore::on_truncated(ReplicaId from, const Truncated& message, Effects& out) {
  AppendEntriesReply reply{current_term_,   false,        voting_, {}, {}, {}, {},
                           message.sent_at, config_.life, born_in_};
  if (message.term >= current_term_) {
    if (!hear_leader(from, message.term, out)) return;
    counters_.add(Count::kTruncatedReceived);
    leader_commit_ = std::max(leader_commit_, message.leader_commit);
    must_have_image_ = commit_index_.next() < message.first_index;
    reply.term = current_term_;
    // Up to what is committed here the logs agree, whatever may stand behind it.
    reply.prev_log_index = commit_index_.next();
    reply.conflict_index = commit_index_.next();
  }
  const Release release = at_once_if_term_is_durable();
  if (release == Release::kGated) reply.sent_at = 0;
  send(ReplicaSet::only(from), reply, out, release);
}

}  // namespace epaxos::compare::raft
