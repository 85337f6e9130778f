#pragma once

// What a replica remembers of one instance, for a person who asks why its commands were slow. It is
// written beside a core's decisions and never read by them. Source: docs/operation.md, "Why was a
// command slow?".

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "deps/types/dependencies.h"
#include "deps/types/ids.h"
#include "deps/types/replica_set.h"

namespace epaxos {

/// How this replica learned what was decided.
enum class DecidedBy : std::uint8_t {
  kNobody,    ///< It is undecided, as far as is known here.
  kFastPath,  ///< This owner's first round.
  kSlowPath,  ///< This owner's second round.
  kRecovery,  ///< This replica recovered it.
  kPeer,      ///< InstanceHistory::told_by did, and said so.
  kUnknown,   ///< It is decided; how is not kept here.
  kImage,     ///< The image of a peer's state machine covers it; what was decided is not known.
};

/// Why the first round did not decide.
enum class SlowReason : std::uint8_t {
  kNone,
  kAnswersDiffer,   ///< Answers named dependencies beyond the proposal.
  kFloor,           ///< The same, only because what is executed everywhere rose meanwhile.
  kTooFewAnswered,  ///< A fast quorum did not answer within fast_wait_us.
};

/// Why a replica recovered an instance.
enum class RecoveryReason : std::uint8_t {
  kOwnerSilent,      ///< Its owner answered nothing for too long.
  kOwnerMayNotVote,  ///< It says so itself: it lost what it had promised.
  kRoundClosed,      ///< By the owner itself, whose own round somebody else had closed.
};

/// Times are those of the turns in which something happened, on the clock of the replica; 0: it did
/// not happen, or this replica does not know when.
struct InstanceHistory {
  enum class Kind : std::uint8_t { kPreAcceptOk, kAcceptOk, kNack };
  struct Answer {
    ReplicaId from;
    Kind kind = Kind::kPreAcceptOk;
    Tick at = 0;
  };
  /// A dependency that an answer named beyond the proposal: in `of.row`, up to `of.slot`.
  struct Extra {
    ReplicaId from;
    InstanceId of;
  };
  /// A dependency that was not executed when the instance was decided here.
  struct Wait {
    InstanceId on;
    bool was_committed = false;  ///< At that moment.
    Tick committed_at = 0;       ///< Here; 0 also if that is forgotten already.
  };
  struct Recovery {
    ReplicaId by;
    Tick at = 0;
    /// Of this replica's own recoveries; what others had in mind is not known.
    std::optional<RecoveryReason> reason;
    Tick silent_us = 0;     ///< Of kOwnerSilent: how long the owner had not answered.
    unsigned attempts = 0;  ///< That this replica has begun.
  };

  InstanceId id;
  /// Its steps were written down here. Otherwise only what the instance itself shows is filled in.
  bool kept = false;
  /// Why not, as a sentence; of `kept` false.
  std::string why_not_kept;
  bool recorded = false;       ///< The owner's proposal is known.
  std::uint32_t commands = 0;  ///< That share the instance; 0: not known.

  // The owner, before its first round.
  Tick given_at = 0;    ///< The first of its commands was given to the owner.
  bool fenced = false;  ///< It waited: somebody asked for a pause, as commands were overtaken.
  Slot behind;          ///< It waited for this own instance, as others contend for the key.
  InstanceId retries;   ///< The own instance whose commands these are; it ended as Nop.
  InstanceId retried;   ///< The one that has the commands of this one, which ended as Nop.

  // The rounds.
  Tick proposed_at = 0;  ///< It got its slot and its initial dependencies.
  Tick sent_at = 0;      ///< The proposal was durable, and PreAccept left.
  Dependencies initial;
  std::vector<Answer> answers;
  std::vector<Extra> extras;
  Tick fast_quorum_at = 0;  ///< A fast quorum had answered with the proposal; then the disk.
  Tick slow_at = 0;         ///< The second round began.
  SlowReason slow_reason = SlowReason::kNone;
  Tick accept_sent_at = 0;   ///< The own vote was durable, and Accept left.
  ReplicaSet not_asked;      ///< By a thrifty owner, while it is undecided.
  std::uint32_t resent = 0;  ///< Times that unanswered messages were sent again.
  std::optional<Recovery> recovery;

  // The decision.
  DecidedBy decided_by = DecidedBy::kNobody;
  ReplicaId told_by;
  bool nop = false;
  Tick committed_at = 0;
  Dependencies decided;

  // The execution.
  std::vector<Wait> waits;
  std::optional<InstanceId> blocker;  ///< What its execution waited for first, or waits for now.
  bool blocker_unknown = false;       ///< Nobody had told what that one touches.
  std::optional<InstanceId> last;     ///< What it waited for last.
  std::uint32_t component = 0;        ///< Instances that ran together with it, itself included.
  Tick ready_at = 0;                  ///< All that it depends on was decided and before it.
  Tick executed_at = 0;               ///< The state machine ran it, and clients were answered.
  bool executed = false;              ///< Also when it is not known when.

  // Of the moment of the question.
  int replica_count = 0;
  ReplicaId asked;
  Tick now = 0;  ///< Of the host.
};

}  // namespace epaxos
