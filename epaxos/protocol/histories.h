#pragma once

// What a core writes down beside its decisions, for who asks why a command was slow: of its last
// own instances, and of those that it recovered last. Nothing here is ever read by a handler, so
// that a run is the same with it and without. All calls may name any instance; those that are not
// kept are ignored.

#include <bit>
#include <cstddef>
#include <deque>
#include <map>
#include <vector>

#include "epaxos/contract/history.h"
#include "executor/execution_watch.h"

namespace epaxos::protocol {

/// Cost: O(1) a call, without an allocation once the ring is full; a few hundred bytes an instance.
class Histories final : public executor::ExecutionWatch {
 public:
  /// The last `keep` own instances at least, and as many recovered ones; 0: none.
  Histories(ReplicaId self, std::size_t keep)
      : self_(self), keep_(keep), places_(std::bit_ceil(keep)) {}

  [[nodiscard]] std::size_t keep() const { return keep_; }
  /// Null: it is not kept.
  [[nodiscard]] const InstanceHistory* find(const InstanceId& id) const {
    if (id.row != self_) return find_recovered(id);
    if (ring_.empty() || id.slot < first_) return nullptr;
    const std::size_t place = place_of(id.slot);
    return place < ring_.size() && ring_[place].id == id ? &ring_[place] : nullptr;
  }

  /// See Core::slowest().
  [[nodiscard]] std::vector<InstanceId> slowest(std::size_t most) const;

  // The owner. protocol.md 6.1 and 12.
  void proposed(const InstanceId& id, const Dependencies& initial, std::size_t commands, Tick now);
  /// Its commands were put aside since then, behind an own instance, or behind a fence.
  void was_delayed(const InstanceId& id, Tick since, Slot behind, bool fenced);
  /// The commands of an own Nop have another instance.
  void was_retried(const InstanceId& nop, const InstanceId& as);
  void sent(const InstanceId& id, Tick now);
  void resent(const InstanceId& id);

  // Its count. 6.3 and 6.5.
  void answered(const InstanceId& id, ReplicaId from, InstanceHistory::Kind kind, Tick now);
  /// Precondition: answered().
  void named(const InstanceId& id, ReplicaId from, const Dependencies& dependencies);
  void fast_quorum(const InstanceId& id, Tick now);
  void went_slow(const InstanceId& id, SlowReason reason, Tick now);
  void accept_sent(const InstanceId& id, Tick now);

  // Recovery. 7.
  /// By this replica. It is kept from then on, whoever owns it.
  void recovering(const InstanceId& id, RecoveryReason reason, Tick silent_us, Tick now);
  /// Another attempt of the same.
  void recovering_again(const InstanceId& id);
  /// By somebody else.
  void overtaken(const InstanceId& id, ReplicaId by, Tick now);

  // The decision. 6.6.
  void decided_by(const InstanceId& id, DecidedBy how, ReplicaId told_by);
  /// `dependencies`: null for a Nop.
  void committed(const InstanceId& id, const Dependencies* dependencies, Tick now);
  /// The image of a peer's state machine has it; whatever was decided.
  void covered(const InstanceId& id);
  void waits_for(const InstanceId& id, const InstanceId& on, bool was_committed);

  // The execution. 10.
  void on_wait(InstanceId instance, InstanceId blocker, executor::WaitsFor what) override;
  void on_retry(InstanceId instance, InstanceId by) override;
  void on_run(InstanceId instance, std::size_t component, InstanceId found_by) override;
  /// It is handed to the host. Whoever wants to fill in what is known of `waits` does it in the
  /// result; null: it is not kept.
  InstanceHistory* ready(const InstanceId& id, Tick now);
  void executed(const InstanceId& id, Tick now);

 private:
  [[nodiscard]] std::size_t place_of(Slot slot) const {
    return static_cast<std::size_t>(slot.value() - first_.value()) & (places_ - 1);
  }
  [[nodiscard]] const InstanceHistory* find_recovered(const InstanceId& id) const;
  [[nodiscard]] InstanceHistory* at(const InstanceId& id) {
    return const_cast<InstanceHistory*>(find(id));
  }

  ReplicaId self_;
  std::size_t keep_;
  std::size_t places_;  // A power of two.
  Slot first_;          // The first that was ever kept; its place is 0.
  std::deque<InstanceHistory> ring_;
  std::map<InstanceId, InstanceHistory> recovered_;  // Of other rows, ...
  std::deque<InstanceId> recovered_order_;           // ... the oldest first.
};

}  // namespace epaxos::protocol
