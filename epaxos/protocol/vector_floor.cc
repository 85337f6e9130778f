// While a member is away no floor rises, and the conflict index would keep every key that was
// touched since. So what those who are not away have executed stands in every vector, and leaves
// the index: a vector floor. Nothing else goes by it: whoever asks is answered, and a Validate
// looks through all that the index no longer names. In two steps, as with floors: owners put it
// into their proposals at once, and acceptors follow when all owners who are not away say that
// they do. Source: protocol.md 14.2.

#include <algorithm>

#include "epaxos/protocol/core.h"

namespace epaxos::protocol {

/// Executed instances above a frontier.
std::uint64_t EpaxosCore::executed_since(const Dependencies& frontier) const {
  return executed_frontier().count_above(frontier);
}

/// How many executed instances are held for others before they are put away.
std::uint64_t EpaxosCore::most_held_executed() const {
  const std::uint64_t bytes = instances_.memory_bytes() + conflicts_.memory_bytes();
  return bytes > config_.held_bytes_max / 2 ? 0 : config_.held_executed_max;
}

void EpaxosCore::raise_vector_floor(Tick now) {
  if (frozen_ || executed_since(floor_) <= most_held_executed()) return;
  Dependencies common = executed_frontier();
  Dependencies adopted = common;
  for (int other = 0; other < n_; ++other) {
    if (replica_at(other) == self_ || suspected(replica_at(other), now)) continue;
    common.limit(peers_executed_[static_cast<std::size_t>(other)]);
    adopted.limit(peers_vector_floor_[static_cast<std::size_t>(other)]);
  }
  next_vector_floor_.merge(common);
  adopted.limit(next_vector_floor_);
  if (vector_floor_.includes(adopted)) return;
  counters_.add(Count::kVectorFloorsRaised);
  vector_floor_.merge(adopted);
  sweep_left_ = conflicts_.places();
}

/// A floor is a vector floor too.
void EpaxosCore::include_floors() {
  vector_floor_.merge(floor_);
  next_vector_floor_.merge(next_floor_);
}

/// What others put into their proposals is executed somewhere, so it may stand in the own ones at
/// once: whoever comes back need not take the slow path until it has caught up.
void EpaxosCore::on_vector_floor(ReplicaId from, const VectorFloor& message, Tick now) {
  note_dependencies(message.executed);
  if (!voting_ || !peers_[from.value()].votes) return counters_.add(Count::kNotVoting);
  // Less than before, when it has started again.
  peers_vector_floor_[from.value()] = message.executed;
  next_vector_floor_.merge(message.executed);
  check(next_vector_floor_[self_] < next_slot_, "a proposal would come after itself");
  raise_vector_floor(now);
}

/// Who holds much back and is silent counts as away; a live one says that nothing is there.
void EpaxosCore::ask_who_is_behind(Effects& out) {
  const auto members = static_cast<std::uint64_t>(n_);
  if (executed_since(floor_) <= most_held_executed()) return;
  for (int index = 0; index < n_; ++index) {
    const ReplicaId other = replica_at(index);
    Peer& peer = peers_[other.value()];
    if (other == self_ || peer.asked_at != kNever) continue;
    if (executed_since(peers_executed_[other.value()]) <= most_held_executed() / members) continue;
    const Slot next = instances_.row(other).highest_known.next();
    if (next.value() > kSlotMax) continue;
    peer.asked_at = out.now;
    counters_.add(Count::kRangesAsked);
    send(ReplicaSet::only(other), FetchRange{other, next, next}, out, Release::kNow);
  }
}

/// The member for which most is held, if that is what most of the memory is for.
std::optional<ReplicaId> EpaxosCore::furthest_behind() const {
  std::uint64_t open = 0;
  for (int row = 0; row < n_; ++row) {
    const RowState& state = instances_.row(replica_at(row));
    open += state.highest_recorded.value() -
            std::min(state.highest_recorded, graph_.executed_up_to(replica_at(row))).value();
  }
  if (executed_since(dropped_) < open) return std::nullopt;
  std::optional<ReplicaId> furthest;
  std::uint64_t most = 0;
  for (int index = 0; index < n_; ++index) {
    const ReplicaId other = replica_at(index);
    if (other == self_) continue;
    const std::uint64_t lacks = executed_since(peers_executed_[other.value()]);
    if (lacks <= most) continue;
    most = lacks;
    furthest = other;
  }
  return furthest;
}

HeldMemory EpaxosCore::held_memory() const {
  HeldMemory held;
  held.bytes = instances_.memory_bytes() + conflicts_.memory_bytes();
  held.limit_bytes = config_.held_bytes_max;
  held.undecided_bytes = progress_.bytes() + delayed_bytes_;
  held.bytes += delayed_bytes_;
  if (held.bytes > held.limit_bytes / 4 * 3) held.behind = furthest_behind();
  return held;
}

}  // namespace epaxos::protocol
