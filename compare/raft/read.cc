// Reads that take no place in the log: a replica answers them from its state machine when that has
// executed as much as the leader says. The leader says it when it knows that it leads: a majority
// has answered what it sent after the question had come, or its lease runs. Source: Ongaro's
// thesis, 6.4 and 6.4.1.

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

// --- Who reads ---------------------------------------------------------------------------------

/// Those who lead ask themselves.
void RaftCore::ask_for_reads(Effects& out) {
  if (!leader_) return;
  const std::optional<std::uint64_t> number = reads_.ask(out.now);
  if (!number) return;
  if (role_ == Role::kLeader) return read_rounds_.ask(self_, {reads_.life(), *number});
  send(ReplicaSet::only(*leader_), ReadIndex{reads_.life(), *number}, out, Release::kNow);
}

void RaftCore::on_read_index_reply(const ReadIndexReply& message) {
  const bool is_news = reads_.answered(message.life, message.number, message.index);
  if (!is_news) counters_.add(Count::kStale);
}

void RaftCore::serve_reads(Effects& out) {
  counters_.add(Count::kReadsAnswered, reads_.serve(executor_.applied_up_to(), out));
  if (storage_full_) reads_.refuse_unserved(out);
}

// --- Who leads ---------------------------------------------------------------------------------

void RaftCore::on_read_index(ReplicaId from, const ReadIndex& message) {
  if (role_ != Role::kLeader) return counters_.add(Count::kReadsNotLeader);  // It asks again.
  read_rounds_.ask(from, {message.life, message.number});
}

void RaftCore::answer_read_index(ReplicaId to, const ReadRounds::Ask& ask, LogIndex index,
                                 Effects& out) {
  if (to == self_) {
    static_cast<void>(reads_.answered(ask.life, ask.number, index));
  } else {
    send(ReplicaSet::only(to), ReadIndexReply{ask.life, ask.number, index}, out, Release::kNow);
  }
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
  return role_ == Role::kLeader && read_rounds_.may_begin() && knows_commit();
}

/// "The leader saves its current commit index in a local variable readIndex [and] needs to make
/// sure it has not been superseded by a newer leader of which it is unaware. It issues a new round
/// of heartbeats and waits for their acknowledgments from a majority" (6.4). All questions of a
/// turn share a round, and a heartbeat that is lost the next one stands in for.
void RaftCore::begin_read_round(Effects& out) {
  if (!round_is_due()) return;
  const auto answer = [&](ReplicaId to, const ReadRounds::Ask& ask, LogIndex index) {
    answer_read_index(to, ask, index, out);
  };
  const bool leased = config_.reads == Reads::kLease && lease_.runs(out.now);
  if (mutant(Mutant::kRaftReadsWithoutQuorum) ||
      (leased && mutant(Mutant::kRaftLeaseIgnoresPause))) {
    return read_rounds_.answer_fresh(read_index(), answer);
  }
  // The time of this turn is older than the questions that came in it: the next turn's is not.
  if (leased) return;
  // What left before the questions came must not be taken for what leaves now.
  if (question_sent_at_ == out.now || is_full(out)) return;
  counters_.add(Count::kReadRounds);
  read_rounds_.begin(out.now, read_index());
  if (members().has_quorum(ReplicaSet::only(self_))) return confirm_reads(out);
  beat(out);
}

/// All questions have come before the clock was read that says that the lease runs.
void RaftCore::use_lease(Effects& out) {
  if (config_.reads != Reads::kLease || !round_is_due() || !lease_.runs(out.now)) return;
  counters_.add(Count::kReadsByLease);
  read_rounds_.answer_fresh(read_index(),
                            [&](ReplicaId to, const ReadRounds::Ask& ask, LogIndex index) {
                              answer_read_index(to, ask, index, out);
                            });
  serve_reads(out);  // Whatever this turn brings.
}

/// An answer in this term to what was sent then: at some time since, its sender had voted for no
/// later leader.
void RaftCore::note_confirmation(PeerProgress& peer, const AppendEntriesReply& message,
                                 Effects& out) {
  if (message.sent_at == 0 || message.sent_at > out.now) return;
  peer.confirmed_at = std::max(peer.confirmed_at, message.sent_at);
  if (message.promised_us > 0) {
    peer.lease_until = std::max(peer.lease_until, lease_end(message.sent_at, message.promised_us));
  }
  confirm_reads(out);
}

void RaftCore::confirm_reads(Effects& out) {
  ReplicaSet counting;
  std::array<Tick, kReplicasMax> confirmed{};
  std::array<Tick, kReplicasMax> leases{};
  for (int i = 0; i < n_; ++i) {
    const PeerProgress& peer = peers_[static_cast<std::size_t>(i)];
    confirmed[static_cast<std::size_t>(i)] = peer.confirmed_at;
    leases[static_cast<std::size_t>(i)] = peer.lease_until;
    if (peer.counts()) counting.add(replica_at(i));
  }
  const auto quorum = [this](ReplicaSet replicas) { return members().has_quorum(replicas); };
  lease_.extend(reached_by_quorum(leases, counting, self_, quorum), out.now);
  if (!read_rounds_.under_way()) return;
  read_rounds_.confirm(reached_by_quorum(confirmed, counting, self_, quorum),
                       [&](ReplicaId to, const ReadRounds::Ask& ask, LogIndex index) {
                         answer_read_index(to, ask, index, out);
                       });
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
