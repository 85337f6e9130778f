#pragma once

// What a recoverer does with the answers it has: every case of protocol.md 7.4 and 7.6 by its
// letter. The first row of a table that holds decides. Pure, so that a test can try every
// combination of answers.

#include <cstdint>
#include <string_view>

#include "epaxos/protocol/quorum.h"

namespace epaxos::protocol {

/// The cases, as protocol.md names them; also the names of their counters.
enum class RecoveryCase : std::uint8_t {
  kC1,  ///< Somebody knows the decision.
  kC2,  ///< Somebody has voted.
  kC3,  ///< The owner answered, and has neither decided nor voted.
  kC4,  ///< Too few first votes for a fast decision.
  kC5,  ///< There may have been a fast decision.
  kV1,  ///< A conflicting decision excludes a fast one.
  kV2,  ///< Every blocker ended well.
  kV3,  ///< Too many replicas are in no fast quorum.
  kV4,  ///< A late answer brings a vote.
  kV5,  ///< The owner answers late, without a vote.
  kV6,  ///< The decision arrived meanwhile.
  kV7,  ///< Blockers are undecided.
};
inline constexpr int kRecoveryCases = 12;
std::string_view to_string(RecoveryCase which);

enum class RecoveryAction : std::uint8_t {
  kNone,         ///< The decision has been learned.
  kProposeVote,  ///< The vote at the highest ballot.
  kProposeNop,
  kProposeInitial,  ///< The owner's proposal.
  kValidate,
  kWait,
};

/// What the answers to Recover say. `answered` is Q, and contains the recoverer.
struct PromiseFacts {
  int replica_count = 0;
  ReplicaId owner;
  ReplicaSet answered;
  ReplicaSet voted;
  ReplicaSet matched;  ///< Rmax: pre-accepted the owner's initial dependencies.
};

/// What is known once every member of Q has validated.
struct ValidationFacts {
  int replica_count = 0;
  bool excluded = false;  ///< A blocker is decided, not Nop, and does not depend on the instance.
  bool resolved = false;  ///< Every blocker is decided, as Nop or depending on the instance.
  ReplicaSet out;         ///< Replicas that are in no fast quorum for the initial dependencies.
};

struct RecoveryStep {
  RecoveryCase which = RecoveryCase::kV7;
  RecoveryAction action = RecoveryAction::kWait;
};

/// 7.4. Precondition: at least a slow quorum has answered.
RecoveryStep after_promises(const PromiseFacts& facts);
/// 7.6, V1-V3 and V7. Precondition: every member of Q has answered.
RecoveryStep after_validation(const ValidationFacts& facts);
/// 7.6, V4 and V5: an answer from outside of Q; kWait if it changes nothing.
RecoveryStep after_late_promise(ReplicaId owner, ReplicaId from, bool voted);

}  // namespace epaxos::protocol
