// A replica whose disk was wiped or set back, or that has none, must not vote: it may have voted
// already, and acknowledged entries that it no longer has. Hosts notice it by the number of durable
// batches; and everybody remembers the terms that others told in earlier lives. Source: decision
// record 13.

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

/// A term that `from` told as its own was on its disk by then.
void RaftCore::note_told(ReplicaId from, std::uint64_t life, Term term) {
  Told& told = heard_[from.value()];
  if (life > told.life) {
    told.before = std::max(told.before, told.in_life);
    told.in_life = term;
    told.life = life;
  } else {
    Term& of_that_life = life == told.life ? told.in_life : told.before;
    of_that_life = std::max(of_that_life, term);
  }
}

/// Whoever begins a life with an earlier term than it had told before has lost its disk.
void RaftCore::note_birth(ReplicaId from, std::uint64_t life, Term born_in, Effects& out) {
  Told& told = heard_[from.value()];
  if (life > told.life) note_told(from, life, Term());
  if (life < told.life || born_in >= told.before || peers_[from.value()].forgot) return;
  peer_forgot(from);
  counters_.add(Count::kForgotTold);
  send(ReplicaSet::only(from), Forgot{current_term_}, out, Release::kNow);
}

/// It begins anew, and so does what is known of its log: the disk may be another one.
void RaftCore::on_hello(ReplicaId from, const Hello& message, Effects& out) {
  note_told(from, message.life, message.term);
  note_birth(from, message.life, message.born_in, out);
  if (message.life < heard_[from.value()].life) return counters_.add(Count::kStale);
  if (role_ != Role::kLeader) return;
  peers_[from.value()].begin(last_log_index().next(), out.now);
  reads_.forget(from);
}

void RaftCore::peer_forgot(ReplicaId peer) {
  peers_[peer.value()].forgot = true;
  votes_ = votes_.without(peer);
}

/// This disk has lost what others were told. Whatever it promises from now on is worth nothing,
/// also after a restart; it still learns and answers.
void RaftCore::on_forgot(Effects& out) {
  if (memory_lost_ || config_.unsafe_rejoin || mutant(Mutant::kForgetfulVotes)) return;
  memory_lost_ = true;
  out.put({static_cast<std::uint8_t>(RecordKind::kMemoryLost), config_.group, config_.epoch,
           ReplicaId(), Slot(1)},
          {});
  if (role_ != Role::kFollower) become_follower(current_term_, out);
  voting_ = false;
  election_due_ = kNever;
}

}  // namespace epaxos::compare::raft
