// Who leads. Source: Raft paper, Figure 2 (RequestVote RPC, Rules for Servers) and 5.2; Ongaro's
// thesis 3.10 (transfer), 4.2.3 and 9.6 (pre-votes, and leaders that are well), 6.2 (a leader
// without a quorum steps down).

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {
namespace {

/// So many times the longest round trip of the leader is waited for its next word, at least.
constexpr Tick kRoundTripsOfPatience = 4;
constexpr Tick kHeartbeatsOfPatience = 3;
/// Nobody waits longer for a leader than that because round trips are long.
constexpr Tick kPatienceMax = 10 * kSecond;
/// Elections in vain after which the time between them no longer doubles.
constexpr unsigned kAttemptsMax = 6;

}  // namespace

Tick RaftCore::random_below(Tick limit) {
  random_ = mix64(random_);
  return limit == 0 ? 0 : random_ % limit;
}

/// The next election is due when no leader has been heard of until then: at different times
/// everywhere, and ever later while elections are in vain.
void RaftCore::wait_for_leader(Tick now) {
  if (!voting_) return;
  const Tick patience =
      std::min(patience_us_ << std::min(attempts_, kAttemptsMax), 2 * kPatienceMax);
  election_due_ = now + patience + random_below(patience);
}

/// Who was gone is back, and may be the one that lacked: elections begin from the start.
void RaftCore::note_heard(ReplicaId from, Tick now) {
  if (!asked_in_vain_.is_back(from) || has_leader(now)) return;
  attempts_ = 0;
  if (election_due_ == kNever) return;
  election_due_ = std::min(election_due_, now + random_below(patience_us_));
}

/// What answers take decides how long silence means nothing. The configured times stay a minimum.
Tick RaftCore::patience_at(Tick round_trip_us) const {
  const Tick needed =
      std::max(kRoundTripsOfPatience * round_trip_us, kHeartbeatsOfPatience * config_.heartbeat_us);
  return std::max(config_.election_us, std::min(kPatienceMax, needed));
}

void RaftCore::note_round_trip(Tick round_trip_us) {
  round_trip_us_ = round_trip_us;
  const Tick patience = patience_at(round_trip_us);
  if (patience > config_.election_us && patience_us_ == config_.election_us) {
    counters_.add(Count::kTimeoutsRaised);
  }
  patience_us_ = patience;
}

bool RaftCore::has_leader(Tick now) const {
  return role_ == Role::kLeader || (leader_ && now < leader_heard_ + patience_us_);
}

/// "Candidate's log is at least as up-to-date as receiver's log" (5.4.1).
bool RaftCore::is_up_to_date(LogIndex last_log_index, Term last_log_term) const {
  if (mutant(Mutant::kRaftVotesForStaleLogs)) return true;
  if (last_log_term != this->last_log_term()) return last_log_term > this->last_log_term();
  return last_log_index >= this->last_log_index();
}

/// Term and vote are one record, so no crash keeps one without the other.
void RaftCore::log_hard_state(Effects& out) {
  out.put({static_cast<std::uint8_t>(RecordKind::kHardState), config_.group, config_.epoch,
           ReplicaId(), Slot(1)},
          encode(HardState{current_term_, voted_for_}, out));
  hard_state_batch_ = out.batch;
}

// --- Standing for election ---------------------------------------------------------------------

void RaftCore::election_due(Effects& out) {
  leader_.reset();
  const bool may_stand = voting_ && may_lead() && !promise_.binds(out.now);
  if (storage_full_ || !may_stand || !has_next_term()) return wait_for_leader(out.now);
  if (members().has_quorum(ReplicaSet::only(self_))) return start_election(false, out);
  start_pre_vote(out);
}

/// Terms are bounded, and a peer may have claimed the last one: what lies beyond it nobody would
/// understand, the own disk included.
bool RaftCore::has_next_term() {
  if (current_term_ < Term(kTermMax)) return true;
  counters_.add(Count::kLastTerm);
  return false;
}

/// Nobody's term changes until a majority would vote for this replica: one that was cut off
/// disturbs nobody when it comes back.
void RaftCore::start_pre_vote(Effects& out) {
  counters_.add(Count::kPreVotes);
  role_ = Role::kPreCandidate;
  votes_ = ReplicaSet::only(self_);
  wait_for_leader(out.now);
  if (attempts_ < kAttemptsMax) ++attempts_;
  const RequestVote request{current_term_.next(), last_log_index(), last_log_term(), true, false,
                            config_.life,         born_in_};
  asked_in_vain_.asked(voters_but_self());
  send(voters_but_self(), request, out, Release::kNow);  // It promises nothing.
}

/// "On conversion to candidate, start election: increment currentTerm, vote for self, reset
/// election timer, send RequestVote RPCs to all other servers" (Figure 2, Candidates). The own vote
/// counts when it is durable, and the timer runs from then on.
void RaftCore::start_election(bool transfer, Effects& out) {
  check(voting_ && role_ != Role::kLeader, "who may not vote or leads already stands for nothing");
  counters_.add(Count::kElections);
  role_ = Role::kCandidate;
  leader_.reset();
  ack_.reset();
  current_term_ = current_term_.next();
  voted_for_ = self_;
  votes_ = {};
  log_hard_state(out);
  vote_batch_ = out.batch;
  election_due_ = kNever;
  const RequestVote request{current_term_, last_log_index(), last_log_term(), false,
                            transfer,      config_.life,     born_in_};
  send(voters_but_self(), request, out, gated_without(Mutant::kRaftRequestBeforeDurable));
  if (mutant(Mutant::kRaftRequestBeforeDurable)) votes_.add(self_);
}

/// "If votes received from majority of servers: become leader" (Figure 2, Candidates).
void RaftCore::count_votes(Effects& out) {
  if (!members().has_quorum(votes_)) return;
  const bool may_stand = !storage_full_ && !promise_.binds(out.now);
  if (role_ == Role::kPreCandidate && may_stand) start_election(false, out);
  if (role_ == Role::kCandidate && votes_.contains(self_)) become_leader(out);
}

void RaftCore::become_leader(Effects& out) {
  check(role_ == Role::kCandidate, "only a candidate becomes a leader");
  check(voted_for_ == self_, "a leader has voted for itself");
  counters_.add(Count::kElectionsWon);
  role_ = Role::kLeader;
  leader_ = self_;
  attempts_ = 0;
  election_due_ = kNever;
  for (PeerProgress& peer : peers_) peer.begin(last_log_index().next(), out.now);
  // What the log holds is not added again, whether it is executed or not.
  in_log_ = executor_.executed();
  for (LogIndex index = executor_.executed_up_to().next(); index <= last_log_index();
       index = index.next()) {
    in_log_.take(log_.entry(index).origin);
  }
  wanting_ = {};
  wanted_.assign(static_cast<std::size_t>(n_), {});
  transfer_to_.reset();
  change_.reset();
  confirmation_.reset();
  given_up_.clear();
  leaves_ = false;
  reads_.begin();
  commit_told_ = commit_index_;
  told_durable_ = LogIndex();
  quorum_due_ = n_ == 1 ? kNever : out.now + patience_us_;
  heartbeat_due_ = n_ == 1 ? kNever : out.now + config_.heartbeat_us;
  own_.begin_again(out.now);
  reads_.begin_again();
  if (mutant(Mutant::kRaftNoNop)) return;
  // Only an entry of its own term shows the leader what is committed (5.4.2, 8).
  counters_.add(Count::kNopsAppended);
  append_to_log({}, out);
  append_first_members(out);
}

void RaftCore::become_follower(Term term, Effects& out) {
  check(term >= current_term_, "a term went back");
  if (role_ == Role::kLeader) {
    counters_.add(Count::kSteppedDown);
    lose_change();
  }
  const bool is_later = term > current_term_;
  if (is_later || role_ == Role::kLeader) leader_.reset();
  role_ = Role::kFollower;
  transfer_to_.reset();
  reads_.begin();
  vote_batch_ = 0;
  heartbeat_due_ = quorum_due_ = kNever;
  if (election_due_ == kNever) wait_for_leader(out.now);
  if (!is_later) return;
  current_term_ = term;
  voted_for_.reset();
  ack_.reset();
  log_hard_state(out);
}

bool RaftCore::hear_leader(ReplicaId from, Term term, Effects& out) {
  if (term == current_term_ && (role_ == Role::kLeader || (leader_ && *leader_ != from))) {
    counters_.add(Count::kSecondLeader);
    return false;
  }
  if (term > current_term_ && storage_full_) {
    counters_.add(Count::kStorageFull);
    return false;
  }
  if (term > current_term_ || role_ != Role::kFollower) become_follower(term, out);
  if (leader_ != from) {
    leader_ = from;
    own_.begin_again(out.now);
    reads_.begin_again();
  }
  leader_heard_ = out.now;
  attempts_ = 0;
  wait_for_leader(out.now);
  return true;
}

// --- Votes -------------------------------------------------------------------------------------

void RaftCore::on_request_vote(ReplicaId from, const RequestVote& message, Effects& out) {
  if (!message.pre_vote) note_told(from, message.life, message.term);
  note_birth(from, message.life, message.born_in, out);
  if (!voting_) return counters_.add(Count::kNotVoting);
  const bool up_to_date = is_up_to_date(message.last_log_index, message.last_log_term);
  if (message.pre_vote) {
    const bool is_free = !has_leader(out.now) && !promise_.binds(out.now);
    const bool granted = message.term > current_term_ && is_free && up_to_date;
    const Term term = granted ? message.term : current_term_;
    return send(ReplicaSet::only(from),
                RequestVoteReply{term, granted, true, config_.life, born_in_}, out);
  }
  // "If a server receives a RequestVote request within the minimum election timeout of hearing from
  // a current leader, it does not update its term or grant its vote" (thesis 4.2.3).
  if (has_leader(out.now) && !message.transfer && message.term > current_term_) {
    return counters_.add(Count::kVotesWithLeader);
  }
  if (promise_.binds(out.now) && !message.transfer) return counters_.add(Count::kVotesPromised);
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (message.term > current_term_) become_follower(message.term, out);
  // "Reply false if term < currentTerm. If votedFor is null or candidateId, and candidate's log is
  // at least as up-to-date as receiver's log, grant vote" (Figure 2).
  const bool granted =
      message.term == current_term_ && (!voted_for_ || *voted_for_ == from) && up_to_date;
  if (granted && !voted_for_) {
    voted_for_ = from;
    log_hard_state(out);
    wait_for_leader(out.now);
  }
  counters_.add(granted ? Count::kVotesGranted : Count::kVotesRefused);
  send(ReplicaSet::only(from),
       RequestVoteReply{current_term_, granted, false, config_.life, born_in_}, out,
       gated_without(Mutant::kRaftVoteBeforeDurable));
}

void RaftCore::on_request_vote_reply(ReplicaId from, const RequestVoteReply& message,
                                     Effects& out) {
  const bool is_own_term = !message.pre_vote || !message.granted;
  if (is_own_term) note_told(from, message.life, message.term);
  note_birth(from, message.life, message.born_in, out);
  if (peers_[from.value()].forgot) return counters_.add(Count::kPeerForgot);
  if (!is_own_term) {
    if (role_ != Role::kPreCandidate || message.term != current_term_.next()) {
      return counters_.add(Count::kStale);
    }
  } else if (message.term > current_term_) {
    if (storage_full_) return counters_.add(Count::kStorageFull);
    return become_follower(message.term, out);
  } else if (!message.granted || message.pre_vote || role_ != Role::kCandidate ||
             message.term != current_term_) {
    return counters_.add(Count::kStale);
  }
  if (!members().votes(from)) return counters_.add(Count::kVotesOfNonMembers);
  votes_.add(from);
  count_votes(out);
}

// --- Giving up the lead ------------------------------------------------------------------------

/// A leader that no majority has answered for so long may have been replaced without knowing, and
/// its clients wait in vain.
void RaftCore::check_quorum(Effects& out) {
  quorum_due_ = out.now + patience_us_;
  if (members().has_quorum(answering(out.now, true))) return;
  counters_.add(Count::kQuorumLost);
  become_follower(current_term_, out);
}

Result<void> RaftCore::transfer_leadership(ReplicaId to, Effects& out) {
  if (role_ != Role::kLeader) {
    return fail(ErrorCode::kUnavailable, to_string(self_) + " does not lead; ask the leader.");
  }
  if (to == self_ || !members().voters.contains(to)) {
    return fail(ErrorCode::kInvalidArgument,
                "The lead goes to another member of the group; " + to_string(to) + " is none.");
  }
  if (!peers_[to.value()].counts()) {
    return fail(ErrorCode::kNotVoting, to_string(to) + " may not vote now, so it cannot lead.");
  }
  transfer_to_ = to;
  transfer_asked_ = false;
  transfer_until_ = 0;
  pursue_transfer(out);
  return {};
}

/// Nothing is added to the log until the other one has all of it; then it need not wait to stand
/// for election. Given up after an election timeout (thesis 3.10).
void RaftCore::pursue_transfer(Effects& out) {
  if (!transfer_to_) return;
  if (transfer_until_ == 0) {
    counters_.add(Count::kTransfersStarted);
    transfer_until_ = out.now + patience_us_;
  }
  if (transfer_until_ <= out.now) return transfer_to_.reset();
  if (transfer_asked_ || peers_[transfer_to_->value()].match_index < last_log_index()) return;
  transfer_asked_ = true;
  reads_.give_up_lease();
  send(ReplicaSet::only(*transfer_to_), TimeoutNow{current_term_}, out, Release::kNow);
}

void RaftCore::on_timeout_now(ReplicaId from, const TimeoutNow& message, Effects& out) {
  if (!voting_ || !may_lead()) return counters_.add(Count::kNotVoting);
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (message.term != current_term_ || leader_ != from || role_ != Role::kFollower) {
    return counters_.add(Count::kStale);
  }
  if (has_next_term()) start_election(true, out);
}

}  // namespace epaxos::compare::raft
