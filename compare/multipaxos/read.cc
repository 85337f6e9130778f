// Reads that take no slot: a replica answers them from its state machine when that has executed as
// far as the leader says. The leader says it when it knows that nobody has opened a higher ballot:
// acceptors that could choose have said so in answer to what it sent after the question had come,
// or its lease runs. Source: what Ongaro's thesis, 6.4, does for Raft, in terms of ballots: a
// quorum of phase 2 meets every quorum of phase 1.

#include <algorithm>

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {

// --- Who reads ---------------------------------------------------------------------------------

/// Those who lead ask themselves.
void MultiPaxosCore::ask_for_reads(Effects& out) {
  const std::optional<ReplicaId> leads = leader();
  if (!leads || role_ == Role::kPreparing) return;
  const std::optional<std::uint64_t> number = reads_.ask(out.now);
  if (!number) return;
  if (*leads == self_) return read_rounds_.ask(self_, {reads_.life(), *number});
  send(ReplicaSet::only(*leads), ReadIndex{reads_.life(), *number}, out, Release::kNow);
}

void MultiPaxosCore::on_read_index_reply(const ReadIndexReply& message) {
  const bool is_news = reads_.answered(message.life, message.number, message.index);
  if (!is_news) add(Count::kStale);
}

void MultiPaxosCore::serve_reads(Effects& out) {
  add(Count::kReadsAnswered, reads_.serve(executor_.applied_up_to(), out));
  if (storage_full_) reads_.refuse_unserved(out);
}

// --- Who leads ---------------------------------------------------------------------------------

void MultiPaxosCore::on_read_index(ReplicaId from, const ReadIndex& message) {
  if (role_ != Role::kLeader) return add(Count::kReadsNotLeader);  // It asks again.
  read_rounds_.ask(from, {message.life, message.number});
}

void MultiPaxosCore::answer_read_index(ReplicaId to, const ReadRounds::Ask& ask, Slot index,
                                       Effects& out) {
  if (to == self_) {
    static_cast<void>(reads_.answered(ask.life, ask.number, index));
  } else {
    send(ReplicaSet::only(to), ReadIndexReply{ask.life, ask.number, index}, out, Release::kNow);
  }
}

void MultiPaxosCore::stop_reads() {
  read_rounds_.clear();
  lease_.begin();
  confirmed_at_.fill(0);
  leased_until_.fill(0);
}

/// Nobody can have been told of more at this ballot. Where all learn from all, others may know of a
/// decision before the leader does.
Slot MultiPaxosCore::read_index() const {
  return options_.learn_from_all ? Slot(next_slot_.value() - 1) : decided_up_to_;
}

/// Whether a turn is due at once, for a round or because a lease is to be looked at. What may have
/// been chosen at lower ballots must be known first.
bool MultiPaxosCore::round_is_due() const {
  return role_ == Role::kLeader && read_rounds_.may_begin() && decided_up_to_ >= read_from_;
}

bool MultiPaxosCore::wants_answers() const {
  return config_.reads == Reads::kLease || read_rounds_.under_way();
}

/// All questions of a turn share a round, and for a heartbeat that is lost the next one stands in.
void MultiPaxosCore::begin_read_round(Effects& out) {
  if (!round_is_due()) return;
  // The time of this turn is older than the questions that came in it: the next turn's is not.
  if (config_.reads == Reads::kLease && lease_.runs(out.now)) return;
  // What left before the questions came must not be taken for what leaves now.
  if (question_sent_at_ == out.now) return;
  add(Count::kReadRounds);
  read_rounds_.begin(out.now, read_index());
  send_heartbeat(out);
  confirm_reads(out);  // Whoever chooses alone need not wait.
}

/// All questions have come before the clock was read that says that the lease runs.
void MultiPaxosCore::use_lease(Effects& out) {
  if (config_.reads != Reads::kLease || !round_is_due() || !lease_.runs(out.now)) return;
  add(Count::kReadsByLease);
  read_rounds_.answer_fresh(read_index(),
                            [&](ReplicaId to, const ReadRounds::Ask& ask, Slot index) {
                              answer_read_index(to, ask, index, out);
                            });
  serve_reads(out);  // Whatever this turn brings.
}

void MultiPaxosCore::on_heartbeat_ok(ReplicaId from, const HeartbeatOk& message, Effects& out) {
  if (role_ != Role::kLeader || message.ballot != ballot_ || message.sent_at > out.now) {
    return add(Count::kStale);
  }
  Tick& confirmed = confirmed_at_[from.value()];
  confirmed = std::max(confirmed, message.sent_at);
  if (message.promised_us > 0) {
    Tick& leased = leased_until_[from.value()];
    leased = std::max(leased, lease_end(message.sent_at, message.promised_us));
  }
  confirm_reads(out);
}

void MultiPaxosCore::confirm_reads(Effects& out) {
  const ReplicaSet counting = others_.without(forgot_);
  const auto chooses = [this](ReplicaSet replicas) { return quorums_.chooses(replicas); };
  lease_.extend(reached_by_quorum(leased_until_, counting, self_, chooses), out.now);
  if (!read_rounds_.under_way()) return;
  read_rounds_.confirm(reached_by_quorum(confirmed_at_, counting, self_, chooses),
                       [&](ReplicaId to, const ReadRounds::Ask& ask, Slot index) {
                         answer_read_index(to, ask, index, out);
                       });
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
