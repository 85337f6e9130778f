#include "deps/types/mutant.h"

#include <array>

namespace epaxos {
namespace {

constexpr std::array kMutants{
    MutantInfo{Mutant::kOneBallotVariable, "one-ballot-variable", "R1",
               "the ballot of a promise is reported as that of the last vote"},
    MutantInfo{Mutant::kFastDecisionBeforeDurable, "fast-decision-before-durable", "R2",
               "a fast decision is told before it is on disk"},
    MutantInfo{Mutant::kPreAcceptOkBeforeDurable, "pre-accept-ok-before-durable", "R3, E13",
               "the first answer leaves before its record is on disk"},
    MutantInfo{Mutant::kSlotReuse, "slot-reuse", "R5, E18",
               "a PreAccept leaves before its record is on disk, and the slot is used again"},
    MutantInfo{Mutant::kNopLeavesIndex, "nop-leaves-index", "R6",
               "a decided Nop leaves the conflict index"},
    MutantInfo{Mutant::kExecutorSkipsUnknown, "executor-skips-unknown", "R12",
               "an unknown payload counts as one without conflict"},
    MutantInfo{Mutant::kDuplicateValidateForgesVote, "duplicate-validate-forges-vote", "R21",
               "a Validate that comes again after the vote overwrites the vote"},
    MutantInfo{Mutant::kOldRepliesCounted, "old-replies-counted", "R26",
               "promises of an earlier attempt count for a later one"},
    MutantInfo{Mutant::kFastPathComparesReplies, "fast-path-compares-replies", "R27, E2",
               "answers that are equal to each other make a fast decision"},
    MutantInfo{Mutant::kWrongFastQuorum, "wrong-fast-quorum", "R32, E1",
               "the fast quorum is one too small"},
    MutantInfo{Mutant::kOutThresholdTooLow, "out-threshold-too-low", "R33",
               "e replicas outside of every fast quorum suffice for Nop"},
    MutantInfo{Mutant::kValidateDoesNotRecord, "validate-does-not-record", "R34",
               "a Validate leaves no record of the command"},
    MutantInfo{Mutant::kPromiseNotDurable, "promise-not-durable", "R35, E14",
               "a promise leaves before it is on disk"},
    MutantInfo{Mutant::kAcceptOkBeforeDurable, "accept-ok-before-durable", "R35",
               "a vote is told before it is on disk"},
    MutantInfo{Mutant::kOwnVoteNotDurable, "own-vote-not-durable", "R35",
               "a proposer sends Accept without a record of its own vote"},
    MutantInfo{Mutant::kOwnerAnswerIgnored, "owner-answer-ignored", "C3",
               "that the owner answered a recoverer counts for nothing"},
    MutantInfo{Mutant::kRecoveryRepeatsPreAccept, "recovery-restarts-pre-accept", "E10",
               "recovery ignores equal first votes and gives up the command"},
    MutantInfo{Mutant::kNoValidation, "no-validation", "E11",
               "recovery proposes what first votes agree on without asking for conflicts"},
    MutantInfo{Mutant::kRecoveryThresholdTooHigh, "recovery-threshold-too-high", "E12",
               "recovery wants one equal first vote too many"},
    MutantInfo{Mutant::kAcceptIgnoresPromise, "accept-ignores-promise", "E7",
               "a vote is cast below the promised ballot"},
    MutantInfo{Mutant::kNoOwnConflicts, "no-own-conflicts", "E4",
               "an acceptor answers without its own conflicts"},
    MutantInfo{Mutant::kNoIndexUntilCommit, "no-index-until-commit", "E5",
               "a command enters the conflict index when it is decided"},
    MutantInfo{Mutant::kIndexForgetsCommitted, "index-forgets-committed", "E6",
               "a restart rebuilds the conflict index from undecided instances only"},
    MutantInfo{Mutant::kUncommittedSatisfied, "uncommitted-satisfied", "E15",
               "an undecided dependency counts as executed"},
    MutantInfo{Mutant::kAnswersCountedTwice, "answers-counted-twice", "E21",
               "a repeated answer counts again"},
    MutantInfo{Mutant::kBlockedNeverRecovers, "blocked-never-recovers", "E27",
               "instances of others are never recovered"},
    MutantInfo{Mutant::kNoBackOff, "no-back-off", "E28", "competing recoverers try again at once"},
};
static_assert(kMutants.size() + 1 == static_cast<std::size_t>(Mutant::kCount));

}  // namespace

std::span<const MutantInfo> mutants() {
  return kMutants;
}

}  // namespace epaxos
