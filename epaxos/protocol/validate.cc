// Validation: could the owner have decided its proposal fast? Every member of the recoverer's
// quorum records the command and names the conflicting instances that speak against it; those that
// are undecided are waited for. Source: protocol.md 7.5 and 7.6.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {
namespace {

/// Facts about undecided instances that are kept for recoveries to come.
constexpr std::size_t kMatchesMax = 64 * 1024;
/// Instances that one question reads back: some milliseconds.
constexpr std::size_t kArchiveReads = 4096;

}  // namespace

void EpaxosCore::record_learned(const InstanceId& id, Instance& instance,
                                const Dependencies& initial, Bytes block, Effects& out) {
  if (instance.recorded()) return;
  instance.record(initial);
  note_dependencies(initial);
  put(RecordKind::kRecorded, id, encode(PreAccept{id, initial, block}, out), out);
}

/// When there are more than an answer can name, one that is decided is named alone, for it settles
/// the matter (V1) whatever the others are; unlike undecided ones they do not go away.
/// False: there are too many, and none is decided.
bool EpaxosCore::find_blockers(const InstanceId& id, const Footprint& footprint,
                               const Dependencies& initial,
                               std::vector<ValidationBlocker>& blockers) {
  // Only rows with a conflict above the dependencies are looked through.
  Dependencies highest(n_);
  conflicts_.merge_conflicts(footprint, highest);
  // Nor does the index name what the vector floor covers.
  if (!mutant(Mutant::kForgetsBelowVectorFloor)) highest.merge(vector_floor_);
  switch (find_archived_blocker(id, footprint, initial, highest, blockers)) {
    case ArchiveScan::kFound:
      return true;
    case ArchiveScan::kNotOver:
      return false;
    case ArchiveScan::kNothing:
      break;
  }
  for (std::uint16_t index = 0; index < n_; ++index) {
    const ReplicaId row(index);
    const Slot first = std::max(initial[row], floor_[row]).next();
    for (Slot slot = instances_.next_held(row, first); slot <= highest[row];
         slot = instances_.next_held(row, slot.next())) {
      const InstanceId other_id{row, slot};
      const Instance& other = *instances_.find(other_id);
      if (other_id == id || !other.payload_known() || other.depends_on(id)) continue;
      // Undecided, and its payload is known only through an Accept: not a blocker.
      if (!other.decided() && !other.recorded()) continue;
      if (!conflicts(kept_footprint(other), footprint)) continue;
      if (blockers.size() == kBlockersMax) {
        const auto decided = std::ranges::find_if(blockers, &ValidationBlocker::committed);
        if (decided == blockers.end()) return false;
        blockers.assign({ValidationBlocker(*decided)});
        return true;
      }
      blockers.push_back(
          {other_id, other.decided(), !other.decided() && other.pre_accepted_initial()});
    }
  }
  return true;
}

/// Looks through what is on disk only. All of it is decided, so one blocker is enough (V1). Goes on
/// where it ended when it is asked again, as a long absence of a member leaves much of it.
EpaxosCore::ArchiveScan EpaxosCore::find_archived_blocker(
    const InstanceId& id, const Footprint& footprint, const Dependencies& initial,
    const Dependencies& highest, std::vector<ValidationBlocker>& blockers) {
  std::size_t reads = 0;
  for (std::uint16_t index = 0; index < n_; ++index) {
    const ReplicaId row(index);
    const Slot last = std::min(highest[row], dropped_[row]);
    if (last <= std::max(initial[row], floor_[row])) continue;
    Slot& seen = archive_scans_.try_emplace(id, initial).first->second[row];
    seen = std::max(seen, floor_[row]);
    for (; seen < last; seen = seen.next()) {
      if (++reads > kArchiveReads) return ArchiveScan::kNotOver;
      const InstanceId other_id{row, seen.next()};
      counters_.add(Count::kReadBack);
      const std::optional<ArchivedInstance> other = archived(other_id);
      if (!other) return ArchiveScan::kNotOver;
      if (other_id == id || other->depends_on(id) || !other->footprint) continue;
      if (!conflicts(*other->footprint, footprint)) continue;
      blockers.assign({{other_id, true, false}});
      return ArchiveScan::kFound;
    }
  }
  return ArchiveScan::kNothing;
}

void EpaxosCore::start_validation(const InstanceId& id, Instance& instance, Recovery& recovery,
                                  Effects& out) {
  recovery.stage = RecoveryStage::kValidating;
  note_matches(id, recovery.matched.bits());
  const Dependencies initial = instance.initial_dependencies();
  send(recovery.answered.without(self_), Validate{id, recovery.ballot, initial, instance.block()},
       out);
  std::vector<ValidationBlocker> blockers;
  if (!find_blockers(id, kept_footprint(instance), initial, blockers))
    return;  // Tried again later.
  take_validation(self_, blockers, id, instance, recovery, out);
}

void EpaxosCore::on_validate(ReplicaId from, const Validate& message, Effects& out) {
  const InstanceId& id = message.instance;
  if (message.ballot == kInitialBallot || message.ballot.replica != from) {
    return counters_.add(Count::kNotTheBallotsOwner);
  }
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (answered_by_decision(from, id, out)) return;  // G3
  if (!voting_) return counters_.add(Count::kNotVoting);
  const Result<Footprint> footprint = decode_block_footprint(message.block);
  if (!footprint) return counters_.add(Count::kMalformedBlock);
  Instance* const instance = instances_.find(id);
  if (instance == nullptr || instance->ballot() < message.ballot) {
    return counters_.add(Count::kStale);  // Nothing was promised.
  }
  if (instance->ballot() > message.ballot) {
    counters_.add(Count::kNacksSent);
    return send(ReplicaSet::only(from), Nack{id, message.ballot, instance->ballot()}, out);
  }
  const Vote* const vote = instance->vote();
  if (vote != nullptr && vote->accepted_ballot == message.ballot) {
    // A repeated one must not touch the vote that followed it (R21).
    if (mutant(Mutant::kDuplicateValidateForgesVote) && instance->payload_known()) {
      instance->accept({message.ballot, false, message.initial});
      log_vote(id, *instance, out);
    }
    return counters_.add(Count::kStale);
  }
  if (!agrees(*instance, message.initial) ||
      (instance->payload_known() && !std::ranges::equal(instance->block(), message.block))) {
    return counters_.add(Count::kContradictsRecord);
  }
  std::vector<ValidationBlocker> blockers;
  const bool was_recorded = instance->recorded();
  if (!mutant(Mutant::kValidateDoesNotRecord)) {
    // A conflicting command that is pre-accepted here later must see this one (R34).
    learn_payload(id, *instance, message.block, *footprint);
    record_learned(id, *instance, message.initial, message.block, out);
  }
  if (!voting_) return counters_.add(Count::kNotVoting);  // It has learned what it forgot.
  if (!find_blockers(id, *footprint, message.initial, blockers)) {
    return counters_.add(Count::kTooManyBlockers);
  }
  // It reflects the records of the blockers too: the gate holds it until all of them are durable
  // (R41).
  const Release release = gated_without(was_recorded ? Mutant::kValidateOkBeforeBlockers
                                                     : Mutant::kValidateOkBeforeDurable);
  send(ReplicaSet::only(from), ValidateOk{id, message.ballot, std::move(blockers)}, out, release);
}

void EpaxosCore::on_validate_ok(ReplicaId from, const ValidateOk& message, Effects& out) {
  const InstanceId& id = message.instance;
  const auto found = recoveries_.find(id);
  if (found == recoveries_.end() || found->second.stage != RecoveryStage::kValidating ||
      found->second.ballot != message.ballot || !found->second.answered.contains(from) ||
      found->second.validated.contains(from) || !voting_) {
    return counters_.add(Count::kStale);
  }
  if (storage_full_) return counters_.add(Count::kStorageFull);
  const Dependencies initial = instances_.find(id)->initial_dependencies();
  const auto is_none = [&](const ValidationBlocker& blocker) {
    return blocker.instance == id || initial.covers(blocker.instance) ||
           (blocker.committed && blocker.matched);
  };
  if (std::ranges::any_of(message.blockers, is_none)) {
    return counters_.add(Count::kContradictsRecord);
  }
  // Whether what is dropped here was a Nop cannot be told any more; its decision has come to the
  // answerer meanwhile, who says so when asked again.
  const auto is_outdated = [this](const ValidationBlocker& blocker) {
    return !blocker.committed && floor_.covers(blocker.instance);
  };
  if (std::ranges::any_of(message.blockers, is_outdated)) {
    counters_.add(Count::kStale);
    return back_off(found->second, out.now);
  }
  take_validation(from, message.blockers, id, *instances_.find(id), found->second, out);
}

void EpaxosCore::take_validation(ReplicaId from, std::span<const ValidationBlocker> blockers,
                                 const InstanceId& id, Instance& instance, Recovery& recovery,
                                 Effects& out) {
  recovery.validated.add(from);
  for (const ValidationBlocker& blocker : blockers) {
    note_known(blocker.instance);  // So that it is asked about, and recovered if need be.
    recovery.blockers.push_back({blocker.instance, blocker.committed, false});
    if (blocker.matched) note_matches(blocker.instance, ReplicaSet::only(from).bits());
  }
  if (voting_ && recovery.validated == recovery.answered)
    evaluate_validation(id, instance, recovery, out);
}

void EpaxosCore::evaluate_validation(const InstanceId& id, Instance& instance, Recovery& recovery,
                                     Effects& out) {
  ValidationFacts facts;
  facts.replica_count = n_;
  facts.resolved = true;
  facts.out = recovery.answered.without(recovery.matched);
  settle_blockers(id, recovery);
  for (const RecoveryBlocker& blocker : recovery.blockers) {
    // Lemma 3: who voted for the blocker's proposal did not vote for this one; its owner has.
    facts.out.add(blocker.instance.row);
    const auto matched = matches_.find(blocker.instance);
    if (matched != matches_.end()) facts.out.add(matched->second);
    facts.resolved = facts.resolved && blocker.settled;
    facts.excluded = facts.excluded || blocker.excludes;
  }
  perform(after_validation(facts), id, instance, recovery, out);
}

void EpaxosCore::wait_for_blockers(const InstanceId& id, Recovery& recovery, Effects& out) {
  recovery.stage = RecoveryStage::kWaiting;
  if (recovery.told_waiting) return;
  recovery.told_waiting = true;
  tell_waiting(id, recovery, out);
}

/// The only carrier of what recoverers know of first votes.
void EpaxosCore::tell_waiting(const InstanceId& id, const Recovery& recovery, Effects& out) const {
  ReplicaSet matched = recovery.matched;
  matched.add(id.row);
  send(others_, Waiting{id, matched.bits()}, out);
}

void EpaxosCore::on_waiting(ReplicaId, const Waiting& message, Effects&) {
  note_known(message.instance);
  if (is_over(message.instance)) return;
  note_matches(message.instance, message.mask);
}

/// That replicas voted for the initial dependencies of an instance stays true for ever.
void EpaxosCore::note_matches(const InstanceId& id, std::uint16_t replicas) {
  const Instance* const instance = instances_.find(id);
  if (instance != nullptr && instance->decided()) return;
  if (matches_.size() >= kMatchesMax && !matches_.contains(id)) return;  // Costs time only.
  ReplicaSet& known = matches_[id];
  const ReplicaSet before = known;
  known.add(ReplicaSet::of_bits(replicas));
  if (known != before) waiting_changed_ = true;
}

void EpaxosCore::evaluate_waiting(Effects& out) {
  if (!waiting_changed_ || storage_full_ || !voting_) return;
  waiting_changed_ = false;
  for (auto& [id, recovery] : recoveries_) {
    if (recovery.stage != RecoveryStage::kWaiting) continue;
    evaluate_validation(id, *instances_.find(id), recovery, out);
  }
}

}  // namespace epaxos::protocol
