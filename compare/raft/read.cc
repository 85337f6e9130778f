// Reads that take no place in the log: a replica answers them from its state machine when that has
// executed as much as the leader says. The leader says it when it knows that it leads: a majority
// has answered what it sent after the question had come, or its lease runs. Source: Ongaro's
// thesis, 6.4 and 6.4.1.

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

// --- Who reads ---------------------------------------------------------------------------------

void RaftCore::ask_for_reads(Effects& out) {
  if (leader_) reads_.ask(*leader_, out);
}

void RaftCore::on_read_index_reply(const ReadIndexReply& message) {
  switch (reads_.on_reply(message)) {
    case LogReads::Reply::kNews:
      return;
    case LogReads::Reply::kStale:
      return counters_.add(Count::kStale);
    case LogReads::Reply::kNeverAsked:
      return counters_.add(Count::kNeverAsked);
  }
}

void RaftCore::serve_reads(Effects& out) {
  counters_.add(Count::kReadsAnswered, reads_.serve(executor_.applied_up_to(), out));
}

// --- Who leads ---------------------------------------------------------------------------------

void RaftCore::on_read_index(ReplicaId from, const ReadIndex& message) {
  if (role_ != Role::kLeader) return counters_.add(Count::kReadsNotLeader);  // It asks again.
  reads_.on_question(from, message);
}

/// "If the leader has not yet marked an entry from its current term committed, it waits until it
/// has done so" (6.4): until then it does not know what is committed.
bool RaftCore::knows_commit() const {
  return Term(log_.round(commit_index_)) == current_term_;
}

/// Whatever may have been told to a client. Where all learn from all, others may have executed, and
/// answered, what this leader does not know to be committed; it is in its log.
LogIndex RaftCore::read_index() const {
  return options_.learn_from_all ? last_log_index() : commit_index_;
}

/// Whether a turn is due at once, for a round or because a lease is to be looked at.
bool RaftCore::round_is_due() const {
  return role_ == Role::kLeader && reads_.may_begin() && knows_commit();
}

void RaftCore::begin_read_round(Effects& out) {
  if (!round_is_due() || is_full(out) || !reads_.begin_round(read_index(), out)) return;
  counters_.add(Count::kReadRounds);
  if (members().has_quorum(ReplicaSet::only(self_))) return confirm_reads(out);
  beat(out);
}

void RaftCore::use_lease(Effects& out) {
  if (!round_is_due() || !reads_.use_lease(read_index(), out)) return;
  counters_.add(Count::kReadsByLease);
  serve_reads(out);  // Whatever this turn brings.
}

/// An answer in this term to what was sent then: at some time since, its sender had voted for no
/// later leader.
void RaftCore::note_confirmation(ReplicaId from, const AppendEntriesReply& message, Effects& out) {
  if (message.sent_at == 0) return;
  reads_.note_answer(from, message.sent_at, message.promised_us);
  confirm_reads(out);
}

void RaftCore::confirm_reads(Effects& out) {
  ReplicaSet counting;
  for (int i = 0; i < n_; ++i) {
    if (peers_[static_cast<std::size_t>(i)].counts()) counting.add(replica_at(i));
  }
  const auto is_quorum = [this](ReplicaSet replicas) { return members().has_quorum(replicas); };
  reads_.confirm(counting, is_quorum, out);
}

// --- Who follows -------------------------------------------------------------------------------

/// "Servers [...] would not vote for another leader within an election timeout of hearing from this
/// one" (6.4.1). Returns for how long; 0: no promise.
std::uint32_t RaftCore::promise_to_leader() {
  if (config_.reads != Reads::kLease || n_ == 1 || !voting_) return 0;
  promise_.give(config_.election_us);
  return static_cast<std::uint32_t>(config_.election_us);
}

}  // namespace epaxos::compare::raft
