// What all have executed is forgotten: instances, index entries and records up to the floor, which
// stands in every vector instead. In two steps, so that floors which move cost no slow paths:
// owners put what all are known to have executed into their proposals at once, and acceptors drop
// it when all owners have said that they do. Source: protocol.md 14.1-14.3.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

/// Slots of a row that one turn forgets: well below a millisecond.
constexpr std::uint64_t kDropSlots = 4096;
/// The same on disk, where the writer visits each record; and the next ones wait until these are
/// gone, so that records which others wait for do not stand behind millions of them.
constexpr std::uint64_t kEraseSlots = 1024;
/// Entries of the conflict index that one turn holds against the vector floor.
constexpr std::size_t kSweepEntries = 256;
/// What a missing instance costs to fetch and to execute, about, in bytes of an image.
constexpr std::uint64_t kBytesOfInstance = 256;
constexpr unsigned kWishBackoff = 3;
/// Questions about one slot that nobody could answer.
constexpr unsigned kAttemptsInVain = 3;

constexpr RecordKind kInstanceKinds[] = {RecordKind::kPreAccepted, RecordKind::kRecorded,
                                         RecordKind::kVote, RecordKind::kDecision};

Slot at_most(Slot limit, Slot from, std::uint64_t steps) {
  return std::min(limit, Slot(from.value() + steps));
}

}  // namespace

/// Whether nothing is left of the instance but that it is executed or Nop: dropped here, or covered
/// by the image of a peer.
bool EpaxosCore::is_gone(const InstanceId& id) const {
  if (floor_.covers(id)) return !mutant(Mutant::kTruncatedIsUnknown);
  const Instance* const instance = instances_.find(id);
  return instance != nullptr && instance->covered();
}

/// Whether the instance is executed or Nop and no longer in memory, or covered.
bool EpaxosCore::is_over(const InstanceId& id) const {
  return is_gone(id) || is_archived(id);
}

void EpaxosCore::answer_truncated(ReplicaId to, const InstanceId& id, Effects& out) {
  counters_.add(Count::kTruncatedSent);
  // Without a vote the floor may hold here alone (14.4).
  send(ReplicaSet::only(to), Truncated{id, voting_ ? floor_ : Dependencies(n_)}, out);
}

void EpaxosCore::on_truncated(const Truncated& message) {
  counters_.add(Count::kTruncatedReceived);
  note_floor(message.floor);
  // An image of yet another peer covers it there: whoever could tell it may be gone.
  const bool is_covered = !message.floor.covers(message.instance);
  if (is_covered && !graph_.executed(message.instance)) covered_elsewhere_ = true;
}

/// Nobody drops what some member has not executed durably. Who lacks it has forgotten it (13.5).
void EpaxosCore::note_floor(const Dependencies& floor) {
  heard_floor_.merge(floor);
  if (executed_frontier().includes(floor)) return;
  if (!config_.unsafe_rejoin) lose_memory();
  frozen_ = true;
}

/// An image makes up for what was forgotten, and does so once: peers go on to speak of the loss.
void EpaxosCore::lose_memory() {
  if (voting_) frozen_ = n_ > 1;
  voting_ = false;
  memory_lost_ = true;
}

void EpaxosCore::note_progress(ReplicaId from, const Frontier& message) {
  Dependencies& executed = peers_executed_[from.value()];
  // Who has lost its memory begins again with less.
  if (message.non_voting) executed = message.executed;
  executed.merge(message.executed);
  peers_executed_ever_[from.value()].merge(message.executed);
  peers_floor_[from.value()].merge(message.floor);
  peers_vector_floor_[from.value()].merge(message.floor);
  if (!message.non_voting) note_floor(message.floor);
}

/// The second step needs the word of all owners, and the first one what all have executed.
void EpaxosCore::raise_floor(Effects& out) {
  if (frozen_) return;
  Dependencies common = executed_frontier();
  for (int other = 0; other < n_; ++other) {
    if (replica_at(other) != self_) common.limit(peers_executed_[static_cast<std::size_t>(other)]);
  }
  next_floor_.merge(common);
  include_floors();
  Dependencies adopted = next_floor_;
  for (int other = 0; other < n_; ++other) {
    if (replica_at(other) != self_) adopted.limit(peers_floor_[static_cast<std::size_t>(other)]);
  }
  if (floor_.includes(adopted) || storage_full_) return;
  counters_.add(Count::kFloorsRaised);
  // What recoverers wait for is looked at before it goes (7.6).
  for (auto& [id, recovery] : recoveries_) settle_blockers(id, recovery);
  floor_.merge(adopted);
  include_floors();
  sweep_left_ = conflicts_.places();
  put(RecordKind::kFloor, {self_, Slot(1)}, encode(FloorRecord{floor_}, out), out);
}

/// Notes how blockers were decided, for the time when it can no longer be looked up.
void EpaxosCore::settle_blockers(const InstanceId& id, Recovery& recovery) const {
  for (RecoveryBlocker& blocker : recovery.blockers) {
    if (blocker.settled || blocker.excludes) continue;
    bool depends = false;
    if (is_archived(blocker.instance)) {
      const auto known = archived(blocker.instance);
      if (!known) continue;
      depends = known->depends_on(id);
    } else {
      const Instance* const known = instances_.find(blocker.instance);
      if (known == nullptr || !known->decided()) continue;
      depends = known->depends_on(id);
    }
    (depends ? blocker.settled : blocker.excludes) = true;
  }
}

void EpaxosCore::drop_some(Effects& out) {
  if (sweep_left_ > 0) {
    conflicts_.sweep(vector_floor_, kSweepEntries);
    sweep_left_ -= std::min(sweep_left_, kSweepEntries);
  }
  more_to_drop_ = more_to_erase_ = false;
  if (storage_full_) return;
  bool anything = false;
  for (int row = 0; row < n_; ++row) {
    const ReplicaId id = replica_at(row);
    anything =
        anything || dropped_[id] < floor_[id] || erased_[id] < std::min(floor_[id], image_[id]);
  }
  if (!anything) return;
  const Dependencies applied = applied_frontier();
  for (int row = 0; row < n_; ++row) drop_row(replica_at(row), applied[replica_at(row)], out);
}

void EpaxosCore::drop_row(ReplicaId row, Slot executed, Effects& out) {
  // The blocks of executions belong to their host until it has applied them; and the commands of a
  // Nop are proposed again first.
  Slot limit = std::min(floor_[row], executed);
  if (row == self_ && !resubmit_.empty()) {
    limit = std::min(limit, Slot(std::ranges::min(resubmit_).slot.value() - 1));
  }
  const Slot dropped = at_most(limit, dropped_[row], kDropSlots);
  if (dropped < limit) more_to_drop_ = true;
  if (dropped > dropped_[row]) drop_through(row, dropped);
  // The next start needs what its image does not cover.
  const Slot erasable = std::min({floor_[row], dropped_[row], image_[row]});
  const bool may_erase = durable_batch_ >= erase_batch_ || erase_batch_ == out.batch;
  const Slot erased = may_erase ? at_most(erasable, erased_[row], kEraseSlots) : erased_[row];
  if (erased < erasable) more_to_erase_ = true;
  if (erased > erased_[row]) erase_through(row, erased, out);
}

void EpaxosCore::drop_through(ReplicaId row, Slot slot) {
  counters_.add(Count::kDroppedInstances, slot.value() - dropped_[row].value());
  matches_.erase(matches_.lower_bound({row, Slot()}), matches_.upper_bound({row, slot}));
  if (mutant(Mutant::kTruncatedIsUnknown)) {
    for (Slot each = dropped_[row].next(); each <= slot; each = each.next()) {
      if (Instance* const known = instances_.find({row, each})) *known = Instance();
    }
  } else {
    instances_.drop_through(row, slot);
  }
  dropped_[row] = slot;
}

void EpaxosCore::erase_through(ReplicaId row, Slot erased, Effects& out) {
  erased_[row] = erased;
  erase_batch_ = out.batch;
  for (const RecordKind kind : kInstanceKinds) {
    out.erase_through({static_cast<std::uint8_t>(kind), config_.group, config_.epoch, row, erased});
  }
}

/// Whoever cannot go on without an image asks one peer after the other for one; and so does who is
/// so far behind that an image is the shorter way.
void EpaxosCore::wish_for_image(Effects& out) {
  if (n_ == 1 || image_wish_due_ > out.now) return;
  const std::uint64_t missing = known_frontier().count_above(executed_frontier());
  if (missing == 0) covered_elsewhere_ = false;
  const bool asks_in_vain = std::ranges::any_of(
      questions_, [](const RowQuestion& each) { return each.attempts >= kAttemptsInVain; });
  const bool has_no_choice = frozen_ || (covered_elsewhere_ && asks_in_vain);
  if (!has_no_choice && missing < config_.image_lag_instances) {
    image_wishes_ = 0;
    return;
  }
  std::vector<ReplicaId> able;
  for (int other = 0; other < n_; ++other) {
    if (replica_at(other) == self_) continue;
    if (peers_[static_cast<std::size_t>(other)].votes) able.push_back(replica_at(other));
  }
  if (!able.empty()) {
    const std::uint64_t worth = has_no_choice ? ~std::uint64_t{0} : missing * kBytesOfInstance;
    out.image_wish = {able[image_wishes_ % able.size()], worth};
  }
  ++image_wishes_;
  image_wish_due_ = out.now + (config_.question_us << std::min(image_wishes_, kWishBackoff));
}

}  // namespace epaxos::protocol
