// Who belongs to the group, and how that changes. A new replica first learns: it gets the log and
// counts for nothing, until it has nearly all of it. Then the leader goes over to the new voters
// through both sets of them, C_old,new and C_new. Source: Raft paper, 6 (joint consensus); Ongaro's
// thesis, 4.2.1 (catching up new servers) and 4.2.2 (removing the current leader).

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {
namespace {

/// A learner that has not caught up after so many rounds never will (thesis 4.2.1).
constexpr int kRoundsMax = 10;
/// So many times the patience with a leader a learner may be silent.
constexpr Tick kSilenceOfLearner = 20;

}  // namespace

const Members& RaftCore::members() const {
  return mutant(Mutant::kRaftMembersAtCommit) ? configurations_.at(commit_index_)
                                              : configurations_.latest();
}

void RaftCore::note_members(LogIndex index, Bytes encoded) {
  Members members;
  if (members_of(encoded, members)) configurations_.add(index, members);
}

/// Whether an entry at this index may say so. The first one of a log says who they were all along,
/// also where a cluster file has been edited.
bool RaftCore::may_hold_at(LogIndex index, const Members& members) const {
  const LogIndex before(index.value() - 1);
  return !configurations_.is_said_at(before) || members.may_follow(configurations_.at(before));
}

/// Whether it belongs to the latest configuration, or did so in the last one that is known to be
/// committed: "a server that is not part of its own latest configuration should still start new
/// elections, as it might still be needed until the Cnew entry is committed" (thesis, 4.2.2). It
/// may be the only one that has that entry, and those without it cannot win against its log.
bool RaftCore::may_lead() const {
  return members().votes(self_) || configurations_.at(commit_index_).votes(self_);
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

Result<void> RaftCore::change_members(MemberChange change, ReplicaId replica, Effects& out) {
  Result<void> allowed = may_change(change, replica, out.now);
  if (!allowed) {
    counters_.add(Count::kMemberChangesRefused);
    return allowed;
  }
  Members next = configurations_.latest();
  if (next.learners.contains(replica)) {
    give_up(to_string(replica) + " was not added: it was removed before it had caught up.", out);
    return {};
  }
  change_ = Change{change, replica, 0, last_log_index().next(), out.now};
  given_up_.clear();
  if (change == MemberChange::kAdd) {
    next.learners.add(replica);
  } else {
    next.old_voters = next.voters;
    next.voters = next.voters.without(replica);
  }
  append_members(next, out);
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
  Members next = latest;
  if (adds) {
    next.voters.add(replica);
  } else {
    next.voters = next.voters.without(replica);
  }
  if (next.has_quorum(heard)) return {};
  counters_.add(Count::kChangesWithoutQuorum);
  return fail(ErrorCode::kUnavailable,
              "The change would lose the quorum: fewer than " +
                  std::to_string(majority_of(next.voters.size())) + " of the " +
                  std::to_string(next.voters.size()) +
                  " replicas that would be members answer. Start those that are down first.");
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
  // One that is far away needs not be slow.
  if (out.now - change.began <= std::max(patience_us_, patience_at(peer.round_trip_us))) {
    Members next{latest.voters, latest.voters, latest.learners.without(learner)};
    next.voters.add(learner);
    if (next.has_quorum(answering(out.now, true))) append_members(next, out);
    return;
  }
  if (++change.rounds == kRoundsMax) {
    return give_up(who + " was not added: it does not catch up with the load.", out);
  }
  change.round_ends = last_log_index();
  change.began = out.now;
}

void RaftCore::give_up(std::string why, Effects& out) {
  counters_.add(Count::kMemberChangesGivenUp);
  given_up_ = std::move(why);
  Members next = configurations_.latest();
  next.learners = {};  // There is never more than one.
  change_.reset();
  append_members(next, out);
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
  MemberStatus status{latest.voters, latest.old_voters, latest.learners, {}, given_up_};
  if (latest.is_joint()) {
    const ReplicaSet added = latest.voters.without(latest.old_voters);
    const ReplicaSet removed = latest.old_voters.without(latest.voters);
    if (const auto joins = added.first()) status.change = to_string(*joins) + " joins";
    if (const auto leaves = removed.first()) status.change = to_string(*leaves) + " leaves";
  } else if (const auto learner = latest.learners.first()) {
    status.change = to_string(*learner) + " catches up";
  } else if (configurations_.latest_index() > commit_index_) {
    status.change = "the last step";
  }
  return status;
}

}  // namespace epaxos::compare::raft
