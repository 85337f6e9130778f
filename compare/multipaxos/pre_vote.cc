// Who is well is left in peace: nobody opens a ballot while too many still hear a leader, so that a
// replica that was cut off disturbs nobody when it comes back; and a leader that is not answered
// any more makes room. Source: Ongaro's thesis, 9.6 and 6.2, in terms of ballots.

#include <algorithm>

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {
namespace {

/// So many times `election_us` a leader waits for answers of those with whom it chooses; it looks
/// each `election_us`, so it gives up after one more at the latest.
constexpr Tick kQuorumPatience = 4;

}  // namespace

// --- Before a ballot ---------------------------------------------------------------------------

/// No ballot goes up and nothing is written down until a quorum that could open one misses the
/// leader too.
void MultiPaxosCore::start_pre_vote(Effects& out) {
  missing_ = ReplicaSet::only(self_);
  if (quorums_.opens(missing_)) return start_ballot(out);
  add(Count::kPreVotes);
  // Ever more rarely, so that the answers come in time however long a round trip is.
  ++attempts_;
  asked_at_ = out.now;
  asked_in_vain_.asked(others_);
  send(others_, PreVote{asked_at_}, out, Release::kNow);
}

/// Who was gone is back, and may be the one that lacked: elections begin from the start.
void MultiPaxosCore::note_heard(ReplicaId from, Tick now) {
  if (!asked_in_vain_.is_back(from) || hears_leader(now) || role_ != Role::kFollower) return;
  attempts_ = 0;
  if (election_due_ == kNever) return;
  random_ = mix64(random_);
  election_due_ = std::min(election_due_, now + random_ % (config_.election_us + 1));
}

bool MultiPaxosCore::hears_leader(Tick now) const {
  return role_ == Role::kLeader || now < leader_until_;
}

/// Nothing is promised: by the time of the Prepare it may be another matter.
void MultiPaxosCore::on_pre_vote(ReplicaId from, const PreVote& message, Effects& out) {
  if (!voting_) return add(Count::kNotVoting);
  if (storage_full_) return add(Count::kStorageFull);
  const bool is_well = hears_leader(out.now) || is_leased_to_another(from, out.now);
  if (is_well) return add(Count::kPreVotesWithLeader);
  send(ReplicaSet::only(from), PreVoteOk{message.sent_at}, out, Release::kNow);
}

void MultiPaxosCore::on_pre_vote_ok(ReplicaId from, const PreVoteOk& message, Effects& out) {
  if (message.sent_at > out.now) return add(Count::kNeverAsked);
  if (role_ != Role::kFollower || message.sent_at != asked_at_) return add(Count::kStale);
  missing_.add(from);
  const bool may_open = voting_ && !storage_full_ && !promise_.binds(out.now);
  if (!may_open || !quorums_.opens(missing_)) return;
  asked_at_ = kNever;
  start_ballot(out);
}

/// A leader was heard, or one that may become it has begun: the question whether it is missed is
/// over, and who else asks must wait, or the two would stop each other by ever higher ballots.
void MultiPaxosCore::note_leader(Tick now) {
  leader_until_ = now + config_.election_us;
  asked_at_ = kNever;
}

// --- Under a ballot ----------------------------------------------------------------------------

/// Everybody counts as heard when a replica begins to lead.
void MultiPaxosCore::begin_quorum_checks(Tick now) {
  answered_at_.fill(now);
  quorum_due_ = n_ == 1 ? kNever : now + kQuorumPatience * config_.election_us;
}

/// Followers that hear a leader that does not hear them would wait for it for ever.
void MultiPaxosCore::check_quorum(Tick now) {
  const Tick patience = kQuorumPatience * config_.election_us;
  quorum_due_ = now + config_.election_us;
  ReplicaSet heard = ReplicaSet::only(self_);
  for (int i = 0; i < n_; ++i) {
    const bool answers = answered_at_[static_cast<std::size_t>(i)] + patience >= now;
    if (answers && !forgot_.contains(replica_at(i))) heard.add(replica_at(i));
  }
  if (quorums_.chooses(heard)) return;
  add(Count::kQuorumLost);
  step_down(now);
}

}  // namespace epaxos::compare::multipaxos
