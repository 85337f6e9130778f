#pragma once

// An executed instance as its records tell it, when memory no longer does. Source:
// protocol.md 14.2.

#include <optional>

#include "deps/types/bytes.h"
#include "deps/types/dependencies.h"
#include "deps/types/footprint.h"
#include "epaxos/protocol/message.h"

namespace epaxos::protocol {

struct ArchivedInstance {
  InstanceId id;
  bool nop = false;
  Dependencies decision;               ///< Unless nop.
  std::optional<Footprint> footprint;  ///< Nothing: a Nop whose payload is not known.
  AlignedBytes record;                 ///< Holds `block`.
  Bytes block;

  [[nodiscard]] bool depends_on(const InstanceId& other) const {
    return nop || decision.covers(other);
  }
  [[nodiscard]] Commit commit() const {
    if (nop) return {id, CommitKind::kNop, {}, {}};
    return {id, CommitKind::kFull, decision, block};
  }
};

}  // namespace epaxos::protocol
