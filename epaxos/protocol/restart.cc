// What was durable comes back, and the owner goes on with its own rounds where nothing of them can
// have been contradicted. Source: protocol.md 13.2 and 13.3.

#include <algorithm>
#include <utility>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

Failure nonsense(const InstanceId& id, const char* what) {
  return fail(ErrorCode::kCorrupted, "the record of " + to_string(id) + " " + what +
                                         "; replace this replica, or restore its whole directory");
}

}  // namespace

Result<void> EpaxosCore::restore(const RecordKey& key, Bytes value) {
  const InstanceId id{key.row, key.slot};
  if (key.group != config_.group || key.epoch != config_.epoch || key.row.value() >= n_ ||
      key.slot.value() < 1 || key.slot.value() > kSlotMax) {
    return nonsense(id, "belongs to another group, epoch or cluster size");
  }
  // What a record refers to comes before it.
  if (last_restored_ && key <= *last_restored_) {
    return nonsense(id, "comes out of order, or a second time");
  }
  last_restored_ = key;
  // Records that were to be erased when the last life ended.
  const bool of_instance = key.kind <= static_cast<std::uint8_t>(RecordKind::kDecision);
  if (erased_.covers(id) && of_instance) return {};
  // Stores promise nothing about alignment; the codec needs it.
  aligned_.assign(value);
  const Bytes bytes = aligned_.bytes();
  if (is_archived(id) && of_instance) {
    return restore_archived(id, static_cast<RecordKind>(key.kind), bytes);
  }
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kPreAccepted:
      return restore_payload(id, bytes, true);
    case RecordKind::kRecorded:
      return restore_payload(id, bytes, false);
    case RecordKind::kVote:
      return restore_vote(id, bytes);
    case RecordKind::kDecision:
      return restore_decision(id, bytes);
    case RecordKind::kMemoryLost:
      memory_loss_logged_ = true;
      return {};
    case RecordKind::kFloor:
      return restore_floor(id, bytes);
  }
  return nonsense(id, "is of a kind that this version does not know");
}

Result<void> EpaxosCore::restore_block(const InstanceId& id, Instance& instance, Bytes block) {
  if (block.empty()) return {};
  const Result<Footprint> footprint = decode_block_footprint(block);
  if (!footprint) return nonsense(id, "holds a payload that does not decode");
  if (!learn_payload(id, instance, block, *footprint)) {
    return nonsense(id, "holds another payload than an earlier record");
  }
  return {};
}

Result<void> EpaxosCore::restore_payload(const InstanceId& id, Bytes value, bool pre_accepted) {
  PreAccept record;
  if (!decode(value, n_, record)) return nonsense(id, "does not decode");
  if (record.instance != id) return nonsense(id, "names another instance");
  if (record.block.empty()) return nonsense(id, "holds no payload");
  Instance& instance = *instances_.find_or_add(id);
  if (const Result<void> kept = restore_block(id, instance, record.block); !kept) return kept;
  if (instance.recorded()) {
    if (instance.initial_dependencies() != record.initial) {
      return nonsense(id, "contradicts an earlier record");
    }
    return {};
  }
  instance.record(record.initial);
  note_dependencies(record.initial);
  if (pre_accepted) instance.pre_accept(record.initial);
  if (id.row == self_) next_slot_ = std::max(next_slot_, id.slot.next());
  return {};
}

Result<void> EpaxosCore::restore_vote(const InstanceId& id, Bytes value) {
  VoteRecord record;
  if (!decode(value, n_, record)) return nonsense(id, "holds a vote that does not decode");
  Instance& instance = *instances_.find_or_add(id);
  instances_.note_known(id);
  if (const Result<void> kept = restore_block(id, instance, record.block); !kept) return kept;
  if (record.pre_accepted) {
    const Dependencies& vote = record.pre_accept_dependencies;
    if (!instance.recorded() || !vote.includes(instance.initial_dependencies())) {
      return nonsense(id, "holds a vote without the proposal that it is for");
    }
    // An owner votes for its own proposal.
    if (instance.pre_accepted() ? instance.pre_accept_dependencies() != vote
                                : id.row == self_ && !instance.is_initial(vote)) {
      return nonsense(id, "holds another first vote than an earlier record");
    }
    if (!instance.pre_accepted()) instance.pre_accept(vote);
    note_dependencies(vote);
  }
  if (record.voted && record.vote_nop && record.accepted_ballot == kInitialBallot) {
    return nonsense(id, "holds a vote for Nop that no recovery asked for");
  }
  if (record.voted && !record.vote_nop &&
      (!instance.payload_known() ||
       (instance.recorded() &&
        !record.vote_dependencies.includes(instance.initial_dependencies())))) {
    return nonsense(id, "holds a vote without the payload that it is for");
  }
  if (record.voted) {
    instance.promise(record.accepted_ballot);
    instance.accept({record.accepted_ballot, record.vote_nop, record.vote_dependencies});
    if (!record.vote_nop) note_dependencies(record.vote_dependencies);
  }
  instance.promise(record.ballot);
  return {};
}

Result<void> EpaxosCore::restore_decision(const InstanceId& id, Bytes value) {
  DecisionRecord record;
  if (!decode(value, n_, record)) return nonsense(id, "holds a decision that does not decode");
  Instance& instance = *instances_.find_or_add(id);
  instances_.note_known(id);
  if (const Result<void> kept = restore_block(id, instance, record.block); !kept) return kept;
  if (instance.decided()) return nonsense(id, "holds two decisions");
  if (record.nop) {
    instance.decide_nop();
    graph_.decide_nop(id);
  } else {
    if (record.initial ? !instance.recorded() : !instance.payload_known()) {
      return nonsense(id, "holds a decision without the payload that it is for");
    }
    const Dependencies dependencies =
        record.initial ? instance.initial_dependencies() : record.dependencies;
    if (instance.recorded() && !dependencies.includes(instance.initial_dependencies())) {
      return nonsense(id, "holds a decision that loses initial dependencies");
    }
    instance.decide(dependencies);
    graph_.decide(id, dependencies);
    note_dependencies(dependencies);
  }
  instances_.note_decided(id);
  return {};
}

Result<void> EpaxosCore::restore_floor(const InstanceId& id, Bytes value) {
  FloorRecord record;
  if (!decode(value, n_, record)) return nonsense(id, "holds a floor that does not decode");
  // The records of all instances come before this one; what they leave open only the image knows.
  for (const CoveredInstance& each : std::exchange(covered_at_start_, {})) cover(each);
  for (std::uint16_t row = 0; row < n_; ++row) {
    if (record.floor[ReplicaId(row)] <= instances_.row(ReplicaId(row)).committed_up_to) continue;
    return nonsense(id, "holds a floor above what is decided here");
  }
  floor_.merge(record.floor);
  next_floor_.merge(floor_);
  include_floors();
  heard_floor_.merge(floor_);
  return {};
}

void EpaxosCore::start(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  for (const CoveredInstance& each : std::exchange(covered_at_start_, {})) cover(each);
  // Of these the records may be gone: they must not look like instances that nobody has heard of.
  for (int row = 0; row < n_; ++row) {
    const Slot gone = std::min(floor_[replica_at(row)], image_[replica_at(row)]);
    if (gone > dropped_[replica_at(row)]) drop_through(replica_at(row), gone);
  }
  instances_.limit_held_undecided(config_.held_undecided_max);
  // Others know of an own slot only after it was durable here. A record that mentions one which was
  // not restored means that this disk has lost something (13.5).
  const RowState& own = instances_.row(self_);
  memory_lost_ = memory_loss_logged_ || own.highest_known > own.highest_recorded;
  if (mutant(Mutant::kSlotReuse) || mutant(Mutant::kForgetfulVotes)) memory_lost_ = false;
  if (mutant(Mutant::kIndexForgetsCommitted)) {
    rebuild_conflicts([](const Instance& each) { return !each.decided(); });
  }
  log_memory_loss(out);
  voting_ = config_.voting && (!memory_lost_ || config_.unsafe_rejoin);
  // What this disk says counts as executed before anybody is heard. For who has forgotten, anything
  // newer may rest on what others have dropped.
  graph_.take_ready(ready_);
  frozen_ = n_ > 1 && (!config_.voting || memory_lost_) && !config_.unsafe_rejoin;
  // Whatever is known of the own row was allocated, so none of these slots is used again (R5).
  next_slot_ = own.highest_known.next();
  first_slot_of_this_run_ = next_slot_;
  if (voting_) continue_own_instances(out);
  gossip(others_, out);
}

void EpaxosCore::log_memory_loss(Effects& out) {
  // With the batch that begins to fill the gap: a disk that looks whole again has still forgotten
  // votes for other rows.
  if (!memory_lost_ || memory_loss_logged_) return;
  memory_loss_logged_ = true;
  put(RecordKind::kMemoryLost, {self_, Slot(1)}, {}, out);
}

void EpaxosCore::continue_own_instances(Effects& out) {
  // Nothing was ever told about these rounds but what is durable, so they go on as they are.
  const RowState& row = instances_.row(self_);
  // A slot that others made up may lie as far ahead as slots go, so only what is held is visited.
  for (Slot slot = instances_.next_held(self_, row.committed_up_to.next()); slot < next_slot_;
       slot = instances_.next_held(self_, slot.next())) {
    const InstanceId id{self_, slot};
    Instance* const instance = instances_.find(id);
    if (instance == nullptr || instance->decided() || !instance->pre_accepted()) continue;
    if (instance->ballot() > kInitialBallot) continue;
    instance->progress = progress_.add(slot, instance->initial_dependencies(),
                                       instance->block().size() + sizeof(Instance));
    Progress& progress = progress_[instance->progress];
    progress.own_vote_durable = true;
    progress.tally.answered.add(self_);
    progress.tally.matched.add(self_);
    if (instance->vote() != nullptr) {
      progress.stage = Stage::kAccepting;
      progress.accepted.add(self_);
      progress.merged = instance->vote()->dependencies;
    }
    if (!is_full(out)) resend_open(id, *instance, others_, out);  // Otherwise when it is due.
    retransmit_.push(out.now, slot, 0);
    if (progress.stage == Stage::kPreAccepting) {
      evaluate(id, *instance, out);
    } else {
      evaluate_accept(id, *instance, out);
    }
  }
}

}  // namespace epaxos::protocol
