// The first round: acceptors record the command and add the conflicts that the owner has not seen;
// the owner counts. Source: protocol.md 6.2 and 6.3.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {
namespace {

Count count_of(SlowReason reason) {
  if (reason == SlowReason::kTooFewAnswered) return Count::kSlowPathTimer;
  return reason == SlowReason::kFloor ? Count::kSlowPathFloor : Count::kSlowPathMismatch;
}

}  // namespace

void EpaxosCore::on_pre_accept(ReplicaId from, const PreAccept& message, Bytes body, Effects& out) {
  const InstanceId& id = message.instance;
  if (id.row != from) return counters_.add(Count::kNotTheOwner);
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (answered_by_decision(from, id, out)) return;  // G3
  const Result<Footprint> footprint = decode_block_footprint(message.block);
  if (!footprint) return counters_.add(Count::kMalformedBlock);
  Instance* const instance = admit(id);
  if (instance == nullptr) return;

  // Learning is allowed at any ballot.
  const bool newly_recorded = !instance->recorded();
  if (!agrees(*instance, message.initial) ||
      !learn_payload(id, *instance, message.block, *footprint)) {
    return counters_.add(Count::kContradictsRecord);
  }
  note_dependencies(message.initial);
  if (newly_recorded) instance->record(message.initial);

  const bool may_vote = voting_ && instance->ballot() == kInitialBallot && !instance->vote();
  if (may_vote && !instance->pre_accepted()) {
    // Nobody but the owner ever touches the own row of the dependencies (protocol.md 3).
    Dependencies dependencies = message.initial;
    if (!mutant(Mutant::kDropsWithoutFloor)) dependencies.merge(vector_floor_);
    dependencies[id.row] = message.initial[id.row];
    if (vector_floor_ != floor_ && dependencies != message.initial) {
      counters_.add(Count::kVotesAboveProposal);
    }
    if (!mutant(Mutant::kNoOwnConflicts)) conflicts_.merge_conflicts(*footprint, dependencies);
    if (mutant(Mutant::kPrunesByDecision)) {
      prune_decided(id, *footprint, message.initial, dependencies);
    }
    dependencies[id.row] = message.initial[id.row];
    instance->pre_accept(dependencies);
    vote_pre_accept(id, *instance, newly_recorded, body, out);
  } else if (newly_recorded) {
    put(RecordKind::kRecorded, id, out.append(body), out);
  }

  if (!voting_) return counters_.add(Count::kNotVoting);
  if (!may_vote) {
    counters_.add(Count::kNacksSent);
    return send(ReplicaSet::only(from), Nack{id, kInitialBallot, instance->ballot()}, out);
  }
  // A duplicate gets the stored vote, never a fresh one; the prefix gate holds the answer until the
  // vote is durable.
  PreAcceptOk answer{id, instance->pre_accepted_initial(), {}};
  if (!answer.initial) answer.dependencies = instance->pre_accept_dependencies();
  send(ReplicaSet::only(from), answer, out, gated_without(Mutant::kPreAcceptOkBeforeDurable));
}

void EpaxosCore::prune_decided(const InstanceId& id, const Footprint& footprint,
                               const Dependencies& initial, Dependencies& dependencies) const {
  for (std::uint16_t index = 0; index < n_; ++index) {
    const ReplicaId row(index);
    while (dependencies[row] > initial[row]) {
      const Slot slot = dependencies[row];
      const Instance* const other = instances_.find({row, slot});
      const bool in_conflict = other != nullptr && other->payload_known() &&
                               conflicts(kept_footprint(*other), footprint);
      const bool comes_after = in_conflict && other->decided() && !other->decided_nop() &&
                               other->decided_dependencies().covers(id);
      if (in_conflict && !comes_after) break;
      dependencies[row] = Slot(slot.value() - 1);
    }
  }
}

void EpaxosCore::vote_pre_accept(const InstanceId& id, Instance& instance, bool newly_recorded,
                                 Bytes body, Effects& out) {
  const bool initial = instance.pre_accepted_initial();
  // The usual case is one record that says it all: the payload, and a vote for the initial ones.
  if (newly_recorded && initial) return put(RecordKind::kPreAccepted, id, out.append(body), out);
  if (newly_recorded) put(RecordKind::kRecorded, id, out.append(body), out);
  log_vote(id, instance, out);
}

void EpaxosCore::on_pre_accept_ok(ReplicaId from, const PreAcceptOk& message, Effects& out) {
  const InstanceId& id = message.instance;
  if (id.row != self_) return counters_.add(Count::kNotTheOwner);
  nearness_.note_answer(from, id.slot, out.now);
  Instance* const instance = instances_.find(id);
  Progress* const progress = instance == nullptr ? nullptr : progress_of(*instance);
  if (progress == nullptr || progress->stage != Stage::kPreAccepting ||
      instance->ballot() > kInitialBallot) {
    return counters_.add(Count::kStale);
  }
  if (progress->tally.answered.contains(from)) {
    if (!mutant(Mutant::kAnswersCountedTwice)) return counters_.add(Count::kStale);
    from = others_.without(progress->tally.answered).first().value_or(from);
  }
  if (!message.initial) {
    const Dependencies initial = instance->initial_dependencies();
    if (!message.dependencies.includes(initial) || message.dependencies[self_] != initial[self_]) {
      return counters_.add(Count::kShrinksDependencies);
    }
    progress->merged.merge(message.dependencies);
    note_dependencies(message.dependencies);
    histories_.named(id, from, message.dependencies);
  }
  histories_.answered(id, from, InstanceHistory::Kind::kPreAcceptOk, out.now);
  // Compared with the owner's own proposal, never with each other (R27).
  progress->tally.answered.add(from);
  const bool matches = message.initial || instance->is_initial(message.dependencies);
  if (matches && !mutant(Mutant::kNeverFast)) {
    progress->tally.matched.add(from);
  }
  evaluate(id, *instance, out);
}

void EpaxosCore::evaluate(const InstanceId& id, Instance& instance, Effects& out) {
  Progress& progress = progress_[instance.progress];
  if (!voting_ || progress.stage != Stage::kPreAccepting || !progress.own_vote_durable) return;
  switch (progress.tally.path(n_, progress.waited, config_.wait_for_fast_path)) {
    case Path::kPending:
      if (progress.tally.answered.size() < slow_quorum_size(n_)) return;
      if (progress.waits_for_fast_path) return;
      progress.waits_for_fast_path = true;
      return fast_wait_.push(out.now + config_.fast_wait_us, id.slot);
    case Path::kFast:
      // Told to nobody before it is durable (R2): the owner's answer to a recoverer rests on it.
      progress.stage = Stage::kDecidingFast;
      histories_.fast_quorum(id, out.now);
      if (mutant(Mutant::kFastDecisionBeforeDurable)) {
        decide_fast(id, instance, out);
        return log_decision(id, instance, out);
      }
      put(RecordKind::kDecision, id, encode(DecisionRecord{false, true, {}, {}}, out), out);
      return awaits_durable_.push_back({out.batch, DurableStep::kFastDecision, id.slot});
    case Path::kSlow: {
      if (mutant(Mutant::kFastPathComparesReplies)) {
        const Dependencies merged = progress.merged;
        learn_decision(id, instance, &merged, /*log=*/true, out);
        return send(others_, Commit{id, CommitKind::kDependencies, merged, {}}, out);
      }
      const SlowReason reason = reason_of_slow_path(instance, progress);
      counters_.add(count_of(reason));
      histories_.went_slow(id, reason, out.now);
      return start_accept(id, instance, out);
    }
  }
}

SlowReason EpaxosCore::reason_of_slow_path(const Instance& instance,
                                           const Progress& progress) const {
  if (progress.waited) return SlowReason::kTooFewAnswered;
  if (instance.is_initial(progress.merged)) return SlowReason::kAnswersDiffer;
  Dependencies with_floor = instance.initial_dependencies();
  with_floor.merge(next_vector_floor_);
  with_floor[self_] = progress.merged[self_];
  return with_floor.includes(progress.merged) ? SlowReason::kFloor : SlowReason::kAnswersDiffer;
}

void EpaxosCore::decide_fast(const InstanceId& id, Instance& instance, Effects& out) {
  check(instance.ballot() == kInitialBallot, "a fast decision was overtaken by a promise");
  counters_.add(Count::kFastPath);
  const Dependencies dependencies = instance.initial_dependencies();
  histories_.decided_by(id, DecidedBy::kFastPath, self_);
  const ReplicaSet not_asked = progress_[instance.progress].tally.not_asked;
  learn_decision(id, instance, &dependencies, /*log=*/false, out);
  tell_decision(id, instance, Commit{id, CommitKind::kInitial, {}, {}}, not_asked, out);
}

}  // namespace epaxos::protocol
