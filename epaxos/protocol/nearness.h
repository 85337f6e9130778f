#pragma once

// Which peers answer soonest, as far as it was seen: whom a thrifty owner asks. Being wrong costs
// time, never safety. Source: protocol.md 18.2.

#include <array>

#include "deps/types/ids.h"
#include "deps/types/replica_set.h"
#include "epaxos/contract/core.h"

namespace epaxos::protocol {

class Nearness {
 public:
  explicit Nearness(ReplicaSet others) : others_(others) {}

  /// Whom to ask about a slot, so that `count` of them may answer. Now and then, and as long as too
  /// few have answered, everybody: the answers show who is near. Precondition: slots rise.
  ReplicaSet choose(int count, Slot slot, Tick now);
  /// The nearest ones; everybody as long as too few have answered.
  [[nodiscard]] ReplicaSet nearest(int count) const;

  void note_answer(ReplicaId peer, Slot slot, Tick now);
  /// These did not answer in time; others are asked until they are heard.
  void note_silence(ReplicaSet peers) { silent_.add(peers); }
  void note_heard(ReplicaId peer) { silent_ = silent_.without(peer); }

 private:
  static constexpr Tick kProbeUs = 1'000'000;

  ReplicaSet others_;
  ReplicaSet known_;   // They have answered once.
  ReplicaSet silent_;  // They did not the last time.
  std::array<Tick, kReplicasMax> distance_us_{};
  // The last slot that everybody was asked about, and who has not answered.
  Slot probe_;
  Tick probed_at_ = 0;
  ReplicaSet unanswered_;
};

}  // namespace epaxos::protocol
