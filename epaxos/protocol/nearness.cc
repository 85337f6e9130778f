#include "epaxos/protocol/nearness.h"

#include <optional>

namespace epaxos::protocol {

ReplicaSet Nearness::choose(int count, Slot slot, Tick now) {
  const bool due = probe_ == Slot() || now - probed_at_ >= kProbeUs;
  if (!due) return nearest(count);
  probe_ = slot;
  probed_at_ = now;
  unanswered_ = others_;
  return others_;
}

ReplicaSet Nearness::nearest(int count) const {
  const ReplicaSet candidates = known_.without(silent_);
  if (candidates.size() < count) return others_;
  ReplicaSet chosen;
  while (chosen.size() < count) {
    std::optional<ReplicaId> next;
    for (ReplicaSet left = candidates.without(chosen); left.size() > 0;) {
      const ReplicaId peer = *left.first();
      left = left.without(peer);
      if (!next || distance_us_[peer.value()] < distance_us_[next->value()]) next = peer;
    }
    chosen.add(*next);
  }
  return chosen;
}

void Nearness::note_answer(ReplicaId peer, Slot slot, Tick now) {
  if (slot != probe_ || !unanswered_.contains(peer)) return;
  unanswered_ = unanswered_.without(peer);
  const Tick took = now - probed_at_;
  Tick& distance = distance_us_[peer.value()];
  // One late answer shall not change the order for long.
  distance = known_.contains(peer) ? (7 * distance + took) / 8 : took;
  known_.add(peer);
}

}  // namespace epaxos::protocol
