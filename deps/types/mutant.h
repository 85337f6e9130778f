#pragma once

// Known bugs that can be switched on to prove that the simulator would notice them. In the product
// mutant() is constantly false and nothing of this remains; only the libraries NAME_mutable, which
// epaxos-sim links, are compiled with EPAXOS_MUTANTS. docs/testing.md lists who kills whom.

#include <cstdint>
#include <span>
#include <string_view>

namespace epaxos {

enum class Mutant : std::uint8_t {
  kNone,
  kOneBallotVariable,            // R1
  kFastDecisionBeforeDurable,    // R2
  kPreAcceptOkBeforeDurable,     // R3, E13
  kPreAcceptBeforeDurable,       // R4
  kSlotReuse,                    // R5, E18
  kNopLeavesIndex,               // R6
  kReplyAtCommit,                // R11
  kExecutorSkipsUnknown,         // R12
  kYoungerUndecidedSkipped,      // R14
  kWritesIgnoreReads,            // R15
  kLatestReadOnly,               // R16
  kBatchTouchesFirstOnly,        // R17
  kDuplicateValidateForgesVote,  // R21
  kDecidedKeepsSilent,           // R22
  kPrunesByDecision,             // R24
  kOldRepliesCounted,            // R26
  kFastPathComparesReplies,      // R27, E2
  kWrongFastQuorum,              // R32, E1
  kOutThresholdTooLow,           // R33
  kValidateDoesNotRecord,        // R34
  kPromiseNotDurable,            // R35, E14
  kAcceptOkBeforeDurable,        // R35
  kOwnVoteNotDurable,            // R35
  kNopWithoutPayloadBlocks,      // R39
  kValidateOkBeforeBlockers,     // R41
  kRecoverBeforeDurable,         // 13.1
  kValidateOkBeforeDurable,      // 13.1
  kFrontierBeforeDurable,        // 13.1
  kReplyBeforeDurable,           // 13.1
  kNeverFast,                    // 6.3
  kGateOpensOnSubmit,            // S1
  kForgetfulVotes,               // S5
  kOldLifeHeard,                 // S6
  kErasesBeforeKept,             // S7
  kOwnerAnswerIgnored,           // C3
  kRecoveryRepeatsPreAccept,     // E10
  kNoValidation,                 // E11
  kRecoveryThresholdTooHigh,     // E12
  kAcceptIgnoresPromise,         // E7
  kNoOwnConflicts,               // E4
  kNoIndexUntilCommit,           // E5
  kIndexForgetsCommitted,        // E6
  kUncommittedSatisfied,         // E15
  kAnswersCountedTwice,          // E21
  kRetryRunsAgain,               // E24
  kLocalReads,                   // E26
  kBlockedNeverRecovers,         // E27
  kNoBackOff,                    // E28
  kWaitsForQuiet,                // E30
  kDropsWithoutFloor,            // R7
  kForgetsBelowVectorFloor,      // 14.2
  kImageWithoutFootprints,       // R8
  kTruncatedIsUnknown,           // R9, E19
  kInstallsOlderImages,          // R40
  kImageWithoutSessions,         // E25
  kCoverageAfterState,           // E29
  kRaftCommitsEarlierTerms,      // Raft R1
  kRaftVoteBeforeDurable,        // Raft R2
  kRaftRequestBeforeDurable,     // Raft R2
  kRaftVotesForStaleLogs,        // Raft R3
  kRaftTruncatesMatching,        // Raft R4
  kRaftCommitsBeyondNew,         // Raft R6
  kRaftRefusalMatches,           // Raft R7
  kRaftImageOfCurrentTerm,       // Raft R10
  kRaftCountsUnsynced,           // Raft R11
  kRaftAckBeforeDurable,         // Raft R11
  kRaftSuffixStaysDurable,       // Raft R11
  kRaftKeepsSuffix,              // Raft 7
  kRaftNoNop,                    // Raft 8
  kRaftImageWithoutOrigins,      // Raft 6.3
  kRaftSingleMajorityInJoint,    // Raft 6
  kRaftMembersAtCommit,          // Raft 6
  kRaftImageWithoutMembers,      // Raft 7
  kRaftLearnsAcrossTerms,        // Raft 5.4.2
  kRaftReadsWithoutQuorum,       // Raft R8
  kRaftLeaseIgnoresPause,        // Raft R8
  kAdoptsFirstVote,              // Paxos P1
  kBallotsWithoutReplica,        // Paxos P3
  kLearnerMixesBallots,          // Paxos P7
  kAcceptedIsChosen,             // Paxos P9
  kPaxosLeaseWallClock,          // Paxos P8
  kCount,
};

struct MutantInfo {
  Mutant mutant = Mutant::kNone;
  std::string_view name;    ///< What --mutant takes.
  std::string_view source;  ///< protocol.md 20 (R...), or the row of 7.4 or 13.1 that it breaks.
  std::string_view what;    ///< The wrong behaviour, in a clause.
};

/// Every mutant but kNone.
std::span<const MutantInfo> mutants();

#ifdef EPAXOS_MUTANTS
/// The bug of this process; one at a time.
inline Mutant active_mutant = Mutant::kNone;
inline bool mutant(Mutant bug) {
  return active_mutant == bug;
}
#else
constexpr bool mutant(Mutant) {
  return false;
}
#endif

}  // namespace epaxos
