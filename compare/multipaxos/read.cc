// Reads that take no slot: a replica answers them from its state machine when that has executed as
// far as the leader says. The leader says it when it knows that nobody has opened a higher ballot:
// acceptors that could choose have said so in answer to what it sent after the question had come,
// or its lease runs. Source: what Ongaro's thesis, 6.4, does for Raft, in terms of ballots: a
// quorum of phase 2 meets every quorum of phase 1.

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {

// --- Who reads ---------------------------------------------------------------------------------

void MultiPaxosCore::ask_for_reads(Effects& out) {
  const std::optional<ReplicaId> leads = leader();
  if (leads && role_ != Role::kPreparing) reads_.ask(*leads, out);
}

void MultiPaxosCore::on_read_index_reply(const ReadIndexReply& message) {
  switch (reads_.on_reply(message)) {
    case LogReads::Reply::kNews:
      return;
    case LogReads::Reply::kStale:
      return add(Count::kStale);
    case LogReads::Reply::kNeverAsked:
      return add(Count::kNeverAsked);
  }
}

void MultiPaxosCore::serve_reads(Effects& out) {
  add(Count::kReadsAnswered, reads_.serve(executor_.applied_up_to(), out));
}

// --- Who leads ---------------------------------------------------------------------------------

void MultiPaxosCore::on_read_index(ReplicaId from, const ReadIndex& message) {
  if (role_ != Role::kLeader) return add(Count::kReadsNotLeader);  // It asks again.
  reads_.on_question(from, message);
}

/// Nobody can have been told of more at this ballot. Where all learn from all, others may know of a
/// decision before the leader does.
Slot MultiPaxosCore::read_index() const {
  return options_.learn_from_all ? Slot(next_slot_.value() - 1) : decided_up_to_;
}

/// Whether a turn is due at once, for a round or because a lease is to be looked at. What may have
/// been chosen at lower ballots must be known first.
bool MultiPaxosCore::round_is_due() const {
  return role_ == Role::kLeader && reads_.may_begin() && decided_up_to_ >= read_from_;
}

bool MultiPaxosCore::wants_answers() const {
  return config_.reads == Reads::kLease || reads_.under_way();
}

void MultiPaxosCore::begin_read_round(Effects& out) {
  if (!round_is_due() || !reads_.begin_round(read_index(), out)) return;
  add(Count::kReadRounds);
  send_heartbeat(out);
  confirm_reads(out);  // Whoever chooses alone need not wait.
}

void MultiPaxosCore::use_lease(Effects& out) {
  if (!round_is_due() || !reads_.use_lease(read_index(), out)) return;
  add(Count::kReadsByLease);
  serve_reads(out);  // Whatever this turn brings.
}

void MultiPaxosCore::on_heartbeat_ok(ReplicaId from, const HeartbeatOk& message, Effects& out) {
  if (!paxos::owns(self_, message.ballot)) return add(Count::kNotTheBallotsOwner);
  if (role_ != Role::kLeader || message.ballot != ballot_) return add(Count::kStale);
  if (message.sent_at > out.now) return add(Count::kNeverAsked);
  answered_at_[from.value()] = out.now;
  reads_.note_answer(from, message.sent_at, message.promised_us);
  confirm_reads(out);
}

void MultiPaxosCore::confirm_reads(Effects& out) {
  const auto chooses = [this](ReplicaSet replicas) { return quorums_.chooses(replicas); };
  reads_.confirm(others_.without(forgot_), chooses, out);
}

// --- Who follows -------------------------------------------------------------------------------

/// That no higher ballot is promised is true at this moment, whatever the disk does.
void MultiPaxosCore::answer_heartbeat(ReplicaId to, const Heartbeat& message, Effects& out) {
  if (!voting_) return add(Count::kNotVoting);
  send(ReplicaSet::only(to), HeartbeatOk{message.ballot, message.sent_at, promise_to(to)}, out,
       Release::kNow);
}

/// For how long nobody but this leader gets a promise; 0: no lease.
std::uint32_t MultiPaxosCore::promise_to(std::optional<ReplicaId> leader) {
  if (config_.reads != Reads::kLease || n_ == 1 || !voting_) return 0;
  promise_.give(config_.election_us);
  lease_holder_ = leader;
  return static_cast<std::uint32_t>(config_.election_us);
}

bool MultiPaxosCore::is_leased_to_another(ReplicaId from, Tick now) const {
  return promise_.binds(now) && lease_holder_ != from;
}

}  // namespace epaxos::compare::multipaxos
