// The decision: final, at any ballot, from anyone who knows. Source: protocol.md 6.6 and 10.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {

void EpaxosCore::learn_decision(const InstanceId& id, Instance& instance,
                                const Dependencies* dependencies, bool log, Effects& out) {
  release_progress(instance);
  end_recovery(id);
  if (id.row == self_) release_behind(id.slot);
  instance.committed_at = out.now;
  histories_.committed(id, dependencies, out.now);
  if (dependencies == nullptr) {
    instance.decide_nop();
    graph_.decide_nop(id);
    counters_.add(Count::kDecidedNop);
    const bool is_ours = is_of_this_life(id);
    if (is_ours && instance.recorded()) resubmit_.push_back(id);
  } else {
    instance.decide(*dependencies);
    if (mutant(Mutant::kReplyAtCommit) && id.row == self_) tell_at_commit(instance, out);
    note_waits(id, *dependencies);
    graph_.decide(id, *dependencies);
    note_dependencies(*dependencies);
  }
  if (mutant(Mutant::kNopLeavesIndex) && instance.decided_nop() && instance.payload_known()) {
    rebuild_conflicts([](const Instance& each) { return !each.decided_nop(); });
  }
  if (mutant(Mutant::kNoIndexUntilCommit) && instance.payload_known()) {
    conflicts_.insert(id, kept_footprint(instance));
  }
  instances_.note_decided(id);
  if (!log) return;
  log_decision(id, instance, out);
  if (dependencies == nullptr) nops_to_disk_.emplace_back(out.batch, id);
}

/// As a known bug would have it: an outcome without a reason, which is none of a rejection.
void EpaxosCore::tell_at_commit(const Instance& instance, Effects& out) const {
  for (const Command& command : kept_commands(instance))
    out.rejections.push_back({command.id, {}, ""});
}

void EpaxosCore::log_decision(const InstanceId& id, const Instance& instance, Effects& out) const {
  DecisionRecord record;
  record.nop = instance.decided_nop();
  record.initial = instance.decided_initial();
  if (!record.nop && !record.initial) record.dependencies = instance.decided_dependencies();
  if (instance.payload_known() && !instance.has_payload_record()) record.block = instance.block();
  put(RecordKind::kDecision, id, encode(record, out), out);
}

Commit EpaxosCore::full_commit(const InstanceId& id, const Instance& instance) const {
  if (instance.decided_nop()) return {id, CommitKind::kNop, {}, {}};
  return {id, CommitKind::kFull, instance.decided_dependencies(), instance.block()};
}

/// Whoever was asked has the proposal; the others get it with the decision.
void EpaxosCore::tell_decision(const InstanceId& id, const Instance& instance, const Commit& commit,
                               ReplicaSet not_asked, Effects& out) const {
  send(others_.without(not_asked), commit, out, Release::kNow);
  if (not_asked.size() == 0) return;
  send(not_asked, full_commit(id, instance), out, Release::kNow);
}

bool EpaxosCore::matches_decision(const Instance& instance, const Commit& message) const {
  if (message.kind == CommitKind::kNop) return instance.decided_nop();
  if (instance.decided_nop()) return false;
  if (message.kind != CommitKind::kInitial) {
    return instance.decided_dependencies() == message.dependencies;
  }
  // What the sender means by "initial" can be compared only where the proposal is recorded.
  return !instance.recorded() || instance.decided_initial();
}

void EpaxosCore::on_commit(ReplicaId from, const Commit& message, Effects& out) {
  const InstanceId& id = message.instance;
  note_known(id);
  if (is_over(id)) return counters_.add(Count::kStale);
  if (Instance* const known = instances_.find(id); known != nullptr && known->decided()) {
    if (!matches_decision(*known, message)) counters_.add(Count::kContradictsDecision);
    return;
  }
  if (storage_full_) return counters_.add(Count::kStorageFull);
  Footprint footprint;
  if (message.kind == CommitKind::kFull) {
    Result<Footprint> decoded = decode_block_footprint(message.block);
    if (!decoded) return counters_.add(Count::kMalformedBlock);
    footprint = *std::move(decoded);
  }
  Instance* const instance = admit(id);
  if (instance == nullptr) return;
  if (message.kind == CommitKind::kNop) {
    histories_.decided_by(id, DecidedBy::kPeer, from);
    return learn_decision(id, *instance, nullptr, true, out);
  }

  if (message.kind == CommitKind::kFull &&
      !learn_payload(id, *instance, message.block, footprint)) {
    return counters_.add(Count::kContradictsRecord);
  }
  const bool understood =
      message.kind == CommitKind::kInitial ? instance->recorded() : instance->payload_known();
  if (!understood) {
    // The message counts as not received; its sender is asked for all of it at once.
    counters_.add(Count::kCommitWithoutPayload);
    return send(ReplicaSet::only(from), Status{id}, out, Release::kNow);
  }
  const bool repeats = message.kind != CommitKind::kInitial;
  const Dependencies dependencies =
      repeats ? message.dependencies : instance->initial_dependencies();
  if (repeats && instance->recorded() && !dependencies.includes(instance->initial_dependencies())) {
    return counters_.add(Count::kShrinksDependencies);
  }
  histories_.decided_by(id, DecidedBy::kPeer, from);
  learn_decision(id, *instance, &dependencies, true, out);
}

}  // namespace epaxos::protocol
