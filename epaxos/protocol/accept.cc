// The second round: a vote for one value at one ballot. Source: protocol.md 6.3 (slow
// path), 6.4, 6.5.

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {

void EpaxosCore::start_accept(const InstanceId& id, Instance& instance, Effects& out) {
  Progress& progress = progress_[instance.progress];
  progress.stage = Stage::kAccepting;
  instance.accept({kInitialBallot, false, progress.merged});
  if (!mutant(Mutant::kOwnVoteNotDurable)) log_vote(id, instance, out);
  // The own vote counts when it is durable, and the prefix gate holds the Accept until then.
  awaits_durable_.push_back({out.batch, DurableStep::kVote, id.slot});
  const ReplicaSet asked = config_.thrifty ? nearness_.nearest(slow_quorum_size(n_) - 1) : others_;
  progress.tally.not_asked = progress.tally.not_asked.without(asked);
  send(asked, Accept{id, kInitialBallot, false, progress.merged, instance.block()}, out);
}

void EpaxosCore::log_vote(const InstanceId& id, const Instance& instance, Effects& out) const {
  VoteRecord record;
  record.ballot = instance.ballot();
  record.pre_accepted = instance.pre_accepted();
  if (record.pre_accepted) record.pre_accept_dependencies = instance.pre_accept_dependencies();
  if (const Vote* const vote = instance.vote()) {
    record.voted = true;
    record.vote_nop = vote->nop;
    record.accepted_ballot = vote->accepted_ballot;
    record.vote_dependencies = vote->dependencies;
  }
  if (instance.payload_known() && !instance.has_payload_record()) record.block = instance.block();
  put(RecordKind::kVote, id, encode(record, out), out);
}

void EpaxosCore::on_accept(ReplicaId from, const Accept& message, Effects& out) {
  const InstanceId& id = message.instance;
  const ReplicaId proposer = message.ballot == kInitialBallot ? id.row : message.ballot.replica;
  if (proposer != from) return counters_.add(Count::kNotTheBallotsOwner);
  if (message.ballot == kInitialBallot && message.nop) return counters_.add(Count::kMalformedFrame);
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (answered_by_decision(from, id, out)) return;  // G3
  note_known(id);  // An own slot that was never recorded says that this disk has forgotten (13.5).
  if (!voting_) return counters_.add(Count::kNotVoting);
  Footprint footprint;
  if (!message.nop) {
    Result<Footprint> decoded = decode_block_footprint(message.block);
    if (!decoded) return counters_.add(Count::kMalformedBlock);
    footprint = *std::move(decoded);
  }
  Instance* const instance = admit(id);
  if (instance == nullptr) return;

  // Silence until the decision may be told: a vote at a higher ballot would speak for a replica
  // that has not decided.
  if (decides_fast(*instance)) return counters_.add(Count::kStale);
  if (instance->ballot() > message.ballot && !mutant(Mutant::kAcceptIgnoresPromise)) {
    counters_.add(Count::kNacksSent);
    return send(ReplicaSet::only(from), Nack{id, message.ballot, instance->ballot()}, out);
  }
  if (!message.nop && instance->recorded() &&
      !message.dependencies.includes(instance->initial_dependencies())) {
    return counters_.add(Count::kShrinksDependencies);
  }
  const Vote* const vote = instance->vote();
  if (vote != nullptr && vote->accepted_ballot == message.ballot) {
    // One value a ballot (I4); the same one again is a duplicate and gets the same answer.
    if (vote->nop != message.nop || (!vote->nop && vote->dependencies != message.dependencies)) {
      return counters_.add(Count::kContradictsVote);
    }
    return send(ReplicaSet::only(from), AcceptOk{id, message.ballot}, out);
  }
  // The payload stays in the conflict index whatever is voted or decided later (R6).
  if (!message.nop && !learn_payload(id, *instance, message.block, footprint)) {
    return counters_.add(Count::kContradictsRecord);
  }
  if (!message.nop) note_dependencies(message.dependencies);
  if (!voting_) return counters_.add(Count::kNotVoting);
  release_progress(*instance);
  give_way(id, message.ballot, out.now);
  if (message.ballot > kInitialBallot) histories_.overtaken(id, from, out.now);
  instance->promise(message.ballot);
  instance->accept({message.ballot, message.nop, message.dependencies});
  if (!mutant(Mutant::kAcceptOkBeforeDurable)) log_vote(id, *instance, out);
  send(ReplicaSet::only(from), AcceptOk{id, message.ballot}, out);
}

void EpaxosCore::on_accept_ok(ReplicaId from, const AcceptOk& message, Effects& out) {
  const InstanceId& id = message.instance;
  const ReplicaId proposer = message.ballot == kInitialBallot ? id.row : message.ballot.replica;
  if (proposer != self_) return counters_.add(Count::kNotTheBallotsOwner);
  if (message.ballot != kInitialBallot) return on_recovered_accept_ok(from, message, out);
  Instance* const instance = instances_.find(id);
  Progress* const progress = instance == nullptr ? nullptr : progress_of(*instance);
  if (progress == nullptr || progress->stage != Stage::kAccepting ||
      instance->ballot() > kInitialBallot) {
    return counters_.add(Count::kStale);
  }
  if (progress->accepted.contains(from)) {
    if (!mutant(Mutant::kAnswersCountedTwice)) return counters_.add(Count::kStale);
    from = others_.without(progress->accepted).first().value_or(from);
  }
  progress->accepted.add(from);
  histories_.answered(id, from, InstanceHistory::Kind::kAcceptOk, out.now);
  evaluate_accept(id, *instance, out);
}

void EpaxosCore::evaluate_accept(const InstanceId& id, Instance& instance, Effects& out) {
  const Progress& progress = progress_[instance.progress];
  if (!voting_ || progress.stage != Stage::kAccepting) return;
  if (!progress.accepted.contains(self_)) return;
  if (progress.accepted.size() < slow_quorum_size(n_)) return;
  const Dependencies dependencies = instance.vote()->dependencies;
  histories_.decided_by(id, DecidedBy::kSlowPath, self_);
  const ReplicaSet not_asked = progress.tally.not_asked;
  // No wait for the disk: the value can be recovered from the durable votes of the quorum.
  learn_decision(id, instance, &dependencies, /*log=*/true, out);
  const Commit commit{id, CommitKind::kDependencies, dependencies, {}};
  tell_decision(id, instance, commit, not_asked, out);
}

void EpaxosCore::on_nack(ReplicaId from, const Nack& message, Effects& out) {
  counters_.add(Count::kNacksReceived);
  const InstanceId& id = message.instance;
  if (message.heard != kInitialBallot) return on_recovery_nack(from, message, out.now);
  // Nack(0): the acceptor voted at ballot 0 already; nothing is lost (G8).
  if (id.row != self_ || message.current == kInitialBallot) return;
  Instance* const instance = instances_.find(id);
  if (instance == nullptr || instance->decided()) return;
  if (decides_fast(*instance)) return;
  // Somebody recovers the instance: stop counting. The questions about undecided slots find out how
  // it ended.
  histories_.answered(id, from, InstanceHistory::Kind::kNack, out.now);
  histories_.overtaken(id, message.current.replica, out.now);
  release_progress(*instance);
}

}  // namespace epaxos::protocol
