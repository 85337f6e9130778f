// Who belongs to the group, and how that changes. A new replica first learns: it gets the log and
// counts for nothing, until it has nearly all of it. Then the leader goes over to the new voters
// through both sets of them, C_old,new and C_new; but only when majorities of both have answered
// what it sent since, as an entry that no majority takes can neither be committed nor taken back.
// Source: Raft paper, 6 (joint consensus); Ongaro's thesis, 4.2.1 (catching up new servers), 4.2.2
// (removing the current leader) and 6.4 (a round in which a leader makes sure).

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {
namespace {

/// A learner that has not caught up after so many rounds never will (thesis 4.2.1).
constexpr int kRoundsMax = 10;
/// So many times the patience with a leader a learner may be silent.
constexpr Tick kSilenceOfLearner = 20;

/// "R0, R1 and R2".
std::string names_of(ReplicaSet replicas) {
  std::string names;
  for (; const auto first = replicas.first();) {
    replicas = replicas.without(*first);
    if (!names.empty()) names += replicas.size() > 0 ? ", " : " and ";
    names += to_string(*first);
  }
  return names;
}

/// The voters, and those that a change makes of them.
Members both_sides(const Members& latest, MemberChange change, ReplicaId replica) {
  Members both{latest.voters, latest.voters, {}};
  if (change == MemberChange::kAdd) {
    both.voters.add(replica);
  } else {
    both.voters = both.voters.without(replica);
  }
  return both;
}

std::string not_done(MemberChange change, ReplicaId replica) {
  return to_string(replica) +
         (change == MemberChange::kAdd ? " was not added: " : " was not removed: ");
}

/// Why a change must not go on while no others than these answer. Precondition: they are too few.
std::string without_quorum(const Members& both, MemberChange change, ReplicaSet answering) {
  const bool is_old = !Members{both.old_voters}.has_quorum(answering);
  const ReplicaSet lacking = is_old ? both.old_voters : both.voters;
  const ReplicaSet silent = lacking.without(answering);
  const std::string do_not = names_of(silent) + (silent.size() > 1 ? " do" : " does") +
                             " not answer, and " + std::to_string(majority_of(lacking.size())) +
                             " of the " + std::to_string(lacking.size());
  if (is_old) {
    return "no change can be decided, as " + do_not +
           " members must. Start those that are down first.";
  }
  return "that would lose the quorum, as " + do_not +
         " replicas that would be members must. Start those that are down first" +
         (change == MemberChange::kRemove ? ", or remove one of them instead." : ".");
}

}  // namespace

const Members& RaftCore::members() const {
  return mutant(Mutant::kRaftMembersAtCommit) ? configurations_.at(commit_index_)
                                              : configurations_.latest();
}

void RaftCore::note_members(LogIndex index, Bytes encoded) {
  Members members;
  if (!members_of(encoded, members)) return;
  configurations_.add(index, members);
  given_up_.clear();
}

/// Whether an entry at this index may say so. The first one of a log says who they were all along,
/// also where a cluster file has been edited.
bool RaftCore::may_hold_at(LogIndex index, const Members& members) const {
  const LogIndex before(index.value() - 1);
  return !configurations_.is_said_at(before) || members.may_follow(configurations_.at(before));
}

/// Whether it belongs to the latest configuration, or did so in one that may be the last that is
/// committed, as far as is known: after a start that is any. "A server that is not part of its own
/// latest configuration should still start new elections, as it might still be needed until the
/// Cnew entry is committed" (thesis, 4.2.2). It may be the only one that has that entry, and those
/// without it cannot win against its log.
bool RaftCore::may_lead() const {
  return members().votes(self_) || configurations_.votes_since(commit_index_, self_);
}

ReplicaSet RaftCore::voters_but_self() const {
  ReplicaSet voters = members().voters;
  voters.add(members().old_voters);
  return voters.without(self_);
}

/// Whether the latest entry about members is committed, and no further one follows by itself.
bool RaftCore::members_are_settled() const {
  const Members& latest = configurations_.latest();
  return configurations_.latest_index() <= commit_index_ && !latest.is_joint() &&
         latest.learners.size() == 0 && !change_;
}

/// Whether this one is about to be added, and nothing more than that is decided.
bool RaftCore::is_learning(ReplicaId replica) const {
  const Members& latest = configurations_.latest();
  return configurations_.latest_index() <= commit_index_ && !latest.is_joint() &&
         latest.learners.contains(replica);
}

/// Who has answered this leader lately, itself included. `ever`: not only since it began to lead.
ReplicaSet RaftCore::answering(Tick now, bool ever) const {
  ReplicaSet heard = ReplicaSet::only(self_);
  for (int i = 0; i < n_; ++i) {
    const PeerProgress& peer = peers_[static_cast<std::size_t>(i)];
    const bool is_heard = replica_at(i) != self_ && peer.counts() && (ever || peer.answered) &&
                          peer.heard_at + patience_us_ >= now;
    if (is_heard) heard.add(replica_at(i));
  }
  return heard;
}

/// Of those who may lead, the one with the most of the log.
std::optional<ReplicaId> RaftCore::best_successor() const {
  std::optional<ReplicaId> best;
  for (int i = 0; i < n_; ++i) {
    const ReplicaId id = replica_at(i);
    if (id == self_ || !members().voters.contains(id) || !peers_[id.value()].counts()) continue;
    if (!best || peers_[id.value()].match_index > peers_[best->value()].match_index) best = id;
  }
  return best;
}

void RaftCore::append_members(const Members& members, Effects& out) {
  check(role_ == Role::kLeader, "only a leader adds to the log");
  counters_.add(Count::kMembersAppended);
  Slice bytes;
  const auto room = out.allocate(kEntryHeaderBytes + kMembersBytes, bytes);
  encode_members(current_term_.value(), members, room);
  add_entry(last_log_index().next(), room, bytes, out);
  reads_.forget_promises();
}

/// Where there are spares, the cluster file is right about the members only until the log is: an
/// edited file must change nothing.
void RaftCore::append_first_members(Effects& out) {
  const bool is_said = configurations_.latest_index() > LogIndex();
  if (config_.spares.size() > 0 && !is_said) append_members(configurations_.latest(), out);
}

// --- A change begins ---------------------------------------------------------------------------

/// Nothing is added to the log before it is sure that the change can be decided.
Result<void> RaftCore::change_members(MemberChange change, ReplicaId replica, Effects& out) {
  Result<void> allowed = may_change(change, replica, out.now);
  if (!allowed) {
    counters_.add(Count::kMemberChangesRefused);
    return allowed;
  }
  if (configurations_.latest().learners.contains(replica)) {
    give_up(to_string(replica) + " was not added: it was removed before it had caught up.", out);
    return {};
  }
  change_ = Change{change, replica, 0, {}, 0};
  given_up_.clear();
  // A new one may have much before it on its way, and is asked when it has caught up.
  const bool adds = change == MemberChange::kAdd;
  begin_confirmation(adds ? ReplicaSet::only(replica) : ReplicaSet(), patience_us_, out);
  return {};
}

Result<void> RaftCore::may_change(MemberChange change, ReplicaId replica, Tick now) {
  const std::string who = to_string(replica);
  const Members& latest = configurations_.latest();
  const bool adds = change == MemberChange::kAdd;
  if (role_ != Role::kLeader) {
    return fail(ErrorCode::kUnavailable, to_string(self_) + " does not lead; ask the leader.");
  }
  if (replica.value() >= n_) {
    return fail(ErrorCode::kInvalidArgument,
                "The cluster file lists no " + who + ", so it cannot be a member.");
  }
  const bool takes_back = !adds && is_learning(replica);
  if (!members_are_settled() && !takes_back) {
    return fail(
        ErrorCode::kUnavailable,
        "Another change of the members is under way; wait until it is over, and try again.");
  }
  if (term_at(commit_index_) != current_term_ || takes_no_more()) {
    return fail(ErrorCode::kUnavailable, to_string(self_) +
                                             " has just begun to lead, or gives up the lead, or "
                                             "its log is full; try again in a moment.");
  }
  if (takes_back) return {};
  if (adds && latest.voters.contains(replica)) {
    return fail(ErrorCode::kInvalidArgument, who + " is a member already.");
  }
  if (!adds && !latest.voters.contains(replica)) {
    return fail(ErrorCode::kInvalidArgument, who + " is no member, so it cannot be removed.");
  }
  if (!adds && latest.voters.size() == 1) {
    return fail(ErrorCode::kInvalidArgument,
                who + " is the only member; without it nobody would be left. Add another first.");
  }
  if (adds && !peers_[replica.value()].counts()) {
    return fail(ErrorCode::kNotVoting,
                "The disk of " + who +
                    " has forgotten what it had promised, so it never votes again under this "
                    "number; add another replica.");
  }
  const ReplicaSet heard = answering(now, false);
  if (adds && !heard.contains(replica)) {
    return fail(ErrorCode::kUnavailable,
                who + " does not answer " + to_string(self_) +
                    ", which leads; start it, or check its peer address, and try again.");
  }
  const Members both = both_sides(latest, change, replica);
  if (both.has_quorum(heard)) return {};
  counters_.add(Count::kChangesWithoutQuorum);
  return fail(ErrorCode::kUnavailable,
              not_done(change, replica) + without_quorum(both, change, heard));
}

/// A round of heartbeats of its own; for one that is lost the next one stands in. `granted`: these
/// need not answer.
void RaftCore::begin_confirmation(ReplicaSet granted, Tick patience, Effects& out) {
  check(role_ == Role::kLeader, "only a leader asks who answers");
  confirmation_ = Confirmation{out.now, out.now + patience, granted};
  heartbeat_due_ = out.now;
}

/// A reply to what was sent then; 0: nobody knows when.
void RaftCore::note_answer_now(ReplicaId from, Tick sent_at) {
  if (!confirmation_ || sent_at == 0 || sent_at < confirmation_->began) return;
  confirmation_->answered.add(from);
}

/// Those whose word counts, of all that have answered since the confirmation began; itself too.
ReplicaSet RaftCore::answering_now() const {
  ReplicaSet answering = ReplicaSet::only(self_);
  for (int i = 0; i < n_; ++i) {
    const ReplicaId id = replica_at(i);
    const bool answers = id != self_ && confirmation_->answered.contains(id);
    if (answers && peers_[id.value()].counts()) answering.add(id);
  }
  return answering;
}

/// One that is far away needs not be slow.
Tick RaftCore::patience_with(ReplicaId replica) const {
  return std::max(patience_us_, patience_at(peers_[replica.value()].round_trip_us));
}

/// No entry of this change is in the log yet.
void RaftCore::pursue_wish(Effects& out) {
  const Change wish = *change_;
  const Members latest = configurations_.latest();
  const Members both = both_sides(latest, wish.change, wish.replica);
  const bool has_quorum = both.has_quorum(answering_now());
  if (has_quorum && !takes_no_more()) {
    confirmation_.reset();
    change_ = Change{wish.change, wish.replica, 0, last_log_index().next(), out.now};
    const bool adds = wish.change == MemberChange::kAdd;
    return append_members(adds ? Members{latest.voters, {}, ReplicaSet::only(wish.replica)} : both,
                          out);
  }
  if (out.now < confirmation_->until) return;
  if (has_quorum) {
    return refuse_wish(to_string(self_) +
                       " gives up the lead, or its log is full; try again in a moment.");
  }
  counters_.add(Count::kChangesWithoutQuorum);
  refuse_wish(without_quorum(both, wish.change, answering_now()));
}

void RaftCore::refuse_wish(std::string why) {
  counters_.add(Count::kMemberChangesRefused);
  given_up_ = not_done(change_->change, change_->replica) + std::move(why);
  may_pass_ = true;
  change_.reset();
  confirmation_.reset();
}

/// What is in the log a successor goes on with; what is not, nobody does.
void RaftCore::lose_change() {
  const bool is_wish = change_ && confirmation_ && configurations_.latest().learners.size() == 0;
  if (is_wish) refuse_wish(to_string(self_) + " does not lead any more; ask the leader.");
  change_.reset();
  confirmation_.reset();
}

// --- A change goes on --------------------------------------------------------------------------

/// One step at a time, each when the one before it is committed. A successor takes over what it
/// finds in its log.
void RaftCore::pursue_change(Effects& out) {
  if (configurations_.latest_index() > commit_index_) return;
  const Members latest = configurations_.latest();
  if (latest.is_joint()) {
    if (!takes_no_more()) append_members({latest.voters, {}, latest.learners}, out);
    return;
  }
  if (latest.learners.size() > 0) return pursue_learner(latest, out);
  if (confirmation_) return pursue_wish(out);
  if (change_) {
    counters_.add(Count::kMembersChanged);
    change_.reset();
  }
  if (!latest.votes(self_)) leave_lead(out);
}

/// "The replication of entries to the new server is split into rounds. Each round replicates all
/// the log entries present in the leader's log at the start of the round" (thesis 4.2.1).
void RaftCore::pursue_learner(const Members& latest, Effects& out) {
  if (takes_no_more()) return;
  const ReplicaId learner = *latest.learners.first();
  if (!change_) change_ = Change{MemberChange::kAdd, learner, 0, last_log_index(), out.now};
  Change& change = *change_;
  const PeerProgress& peer = peers_[learner.value()];
  const std::string who = to_string(learner);
  if (!peer.counts()) {
    return give_up(who + " was not added: its disk has forgotten what it had promised.", out);
  }
  if (std::max(peer.heard_at, change.began) + kSilenceOfLearner * patience_us_ < out.now) {
    return give_up(who + " was not added: it does not answer.", out);
  }
  if (peer.match_index < change.round_ends) return;
  if (!confirmation_ && out.now - change.began <= patience_with(learner)) {
    return begin_confirmation({}, patience_with(learner), out);
  }
  std::string why = "it does not catch up with the load.";
  if (confirmation_) {
    const Members both = both_sides(latest, MemberChange::kAdd, learner);
    if (both.has_quorum(answering_now())) {
      confirmation_.reset();
      return append_members(both, out);
    }
    if (out.now < confirmation_->until) return;
    why = without_quorum(both, MemberChange::kAdd, answering_now());
    confirmation_.reset();
  }
  if (++change.rounds == kRoundsMax) return give_up(who + " was not added: " + why, out);
  change.round_ends = last_log_index();
  change.began = out.now;
}

void RaftCore::give_up(std::string why, Effects& out) {
  counters_.add(Count::kMemberChangesGivenUp);
  Members next = configurations_.latest();
  next.learners = {};  // There is never more than one.
  change_.reset();
  confirmation_.reset();
  append_members(next, out);
  given_up_ = std::move(why);
  may_pass_ = false;
}

/// "The cluster leader may not be part of the new configuration. In this case, the leader steps
/// down once it has committed the Cnew log entry" (Raft paper, 6). It gives the lead away, so that
/// nobody waits for an election; that failing, the others find out by themselves.
void RaftCore::leave_lead(Effects& out) {
  if (transfer_to_) return;
  const std::optional<ReplicaId> best = best_successor();
  if (leaves_ || !best) return become_follower(current_term_, out);
  leaves_ = true;
  transfer_to_ = best;
  transfer_asked_ = false;
  transfer_until_ = 0;
  pursue_transfer(out);
}

MemberStatus RaftCore::member_status() const {
  const Members& latest = configurations_.latest();
  MemberStatus status{latest.voters,   latest.old_voters,
                      latest.learners, {},
                      given_up_,       may_pass_ && !given_up_.empty()};
  if (latest.is_joint()) {
    const ReplicaSet added = latest.voters.without(latest.old_voters);
    const ReplicaSet removed = latest.old_voters.without(latest.voters);
    if (const auto joins = added.first()) status.change = to_string(*joins) + " joins";
    if (const auto leaves = removed.first()) status.change = to_string(*leaves) + " leaves";
  } else if (const auto learner = latest.learners.first()) {
    status.change = to_string(*learner) + " catches up";
  } else if (configurations_.latest_index() > commit_index_) {
    status.change = "the last step";
  } else if (change_ && confirmation_) {
    status.change = to_string(change_->replica) +
                    (change_->change == MemberChange::kAdd ? " is to join" : " is to leave") +
                    ", when enough members have answered";
  }
  return status;
}

}  // namespace epaxos::compare::raft
