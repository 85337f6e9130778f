#pragma once

// A recoverer's volatile state for one instance. Losing it costs time, never safety: whoever comes
// back starts again with a higher ballot. Source: protocol.md 4.3 and 7.

#include <cstdint>
#include <vector>

#include "deps/types/ids.h"
#include "epaxos/protocol/instance.h"
#include "epaxos/protocol/quorum.h"

namespace epaxos::protocol {

enum class RecoveryStage : std::uint8_t {
  kCollecting,  ///< Counting RecoverOk.
  kValidating,  ///< Counting ValidateOk of every member of the quorum.
  kWaiting,     ///< Blockers are undecided.
  kAccepting,   ///< Counting AcceptOk.
  kBackingOff,  ///< A higher ballot was seen; the next attempt is due later.
};

/// A conflicting instance that speaks against a fast decision.
struct RecoveryBlocker {
  InstanceId instance;
  bool excludes = false;  ///< A replica knows its decision, and the instance is not in it.
  bool settled = false;   ///< Decided here: Nop, or with the instance among its dependencies.
};

struct Recovery {
  Ballot ballot;
  Ballot highest_seen;  ///< Of all that was promised or heard; the next ballot is above it.
  RecoveryStage stage = RecoveryStage::kCollecting;
  ReplicaSet answered;  ///< RecoverOk at this ballot. Frozen as Q once the case is chosen.
  ReplicaSet voted;
  ReplicaSet matched;
  Vote best;  ///< The vote at the highest ballot, if anybody voted.
  ReplicaSet validated;
  std::vector<RecoveryBlocker> blockers;
  ReplicaSet accepted;
  bool told_waiting = false;
  Tick resend_at = kNever;
  Tick give_up_at = kNever;  ///< When this attempt ends and the next one begins.
  unsigned attempts = 0;
};

}  // namespace epaxos::protocol
