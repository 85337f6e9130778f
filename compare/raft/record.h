#pragma once

// What of Raft survives a restart (Figure 2, persistent state): the term and the vote in one
// record, and each entry of the log in one. How far the log is committed is not written down: the
// next leader tells.

#include <optional>

#include "compare/raft/message.h"
#include "epaxos/contract/effects.h"

namespace epaxos::compare::raft {

enum class RecordKind : std::uint8_t {
  kHardState = 1,   ///< Of slot 1.
  kEntry = 2,       ///< Of its index; see compare/log/log_records.h.
  kMemoryLost = 3,  ///< Of slot 1, empty: this disk once lost something.
};

struct HardState {
  Term current_term;
  std::optional<ReplicaId> voted_for;  ///< In that term.

  friend bool operator==(const HardState&, const HardState&) = default;
};

Slice encode(const HardState& record, Effects& out);
/// False: malformed. Precondition: `value` starts at a multiple of 8 bytes.
bool decode(Bytes value, int replicas, HardState& out);

}  // namespace epaxos::compare::raft
