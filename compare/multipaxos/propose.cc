// The way of commands into the log: blocks of a replica's clients go to the leader, in order and
// again until they are executed, and the leader puts each into a slot once.

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {

void MultiPaxosCore::propose(std::span<const Proposal> proposals, Effects& out) {
  if (!voting_) return out.reject(proposals, ErrorCode::kNotVoting, kMayNotPropose);
  add(Count::kProposedCommands, own_.take(reads_.take(proposals, out), config_, out).commands);
}

/// To the leader, or into the log if this replica leads.
void MultiPaxosCore::drain_own(Effects& out) {
  if (storage_full_ || role_ == Role::kPreparing) return;
  const std::optional<ReplicaId> leads = leader();
  if (!leads) return;
  while (const std::optional<Entry> next = own_.next()) {
    if (*leads != self_) {
      add(Count::kForwarded);
      send(ReplicaSet::only(*leads), Forward{next->origin.life, next->origin.sequence, next->block},
           out, Release::kNow);
    } else if (takes_no_blocks()) {
      return;
    } else if (origins_.take(next->origin)) {
      propose_entry(*next, out);
    }
    own_.sent(out.now);
  }
}

void MultiPaxosCore::on_forward(ReplicaId from, const Forward& message, Effects& out) {
  if (role_ != Role::kLeader) return add(Count::kNotLeading);
  if (storage_full_) return add(Count::kStorageFull);
  if (!decode_block_footprint(message.block)) return add(Count::kMalformedBlock);
  const std::uint64_t wanted = origins_.wanted(from, message.life);
  if (message.sequence < wanted || wanted == 0) return add(Count::kStale);
  if (message.sequence > wanted || takes_no_blocks()) {
    if (message.sequence == wanted) add(Count::kPipelineFull);
    wants_[from.value()] = message.life;
    return;
  }
  const Origin origin{from, message.life, message.sequence};
  origins_.take(origin);
  propose_entry({0, origin, message.block}, out);
}

void MultiPaxosCore::on_wanted(ReplicaId from, const Wanted& message, Tick now) {
  if (leader() != from) return add(Count::kStale);
  own_.wanted(message.life, message.sequence, now);
}

/// Once a turn, and when there is room.
void MultiPaxosCore::answer_wanted(Effects& out) {
  if (role_ != Role::kLeader || takes_no_blocks()) return;
  for (int proposer = 0; proposer < n_; ++proposer) {
    const std::uint64_t life = std::exchange(wants_[static_cast<std::size_t>(proposer)], 0);
    const std::uint64_t wanted = origins_.wanted(replica_at(proposer), life);
    if (life == 0 || wanted == 0) continue;
    add(Count::kWantedSent);
    send(ReplicaSet::only(replica_at(proposer)), Wanted{life, wanted}, out, Release::kNow);
  }
}

}  // namespace epaxos::compare::multipaxos
