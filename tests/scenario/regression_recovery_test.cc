// The known mistakes of protocol.md 20 as scenarios, message by message: those about promises,
// votes and recovery. Each name is that of the catalogue. Where the others stand:
//
//   R3-R5, R35, R41          regression_durability_test.cc
//   R6, R11-R19, R24, R31,
//   R37, R39                 regression_conflict_test.cc
//   R23                      tests/epaxos/runtime/session_cluster_test.cc, with sessions
//   R25                      tests/epaxos/protocol/codec_test.cc: every record, all fields distinct
//   R32, R33                 quorum_test.cc and recovery_rules_test.cc beside it: every count
//
// Without a scenario, because what they are about does not exist here:
//
//   R7, R9                   nothing is dropped, so no floor rises
//   R8, R40                  no snapshots
//   R10                      no clock decides when something is recorded
//   R36                      no change of membership
//   R38                      nothing leaves before its record is durable

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/staged_group.h"

namespace epaxos::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The owner's vote was cast at ballot 0, however many ballots it has promised since.
TEST(Regression, R1OneBallotVariable) {
  StagedGroup group(3);
  const InstanceId c1 = group.propose(kC, kFirst);
  group.deliver<PreAccept>(kC, kB, c1);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.ask<PreAccept>(kA, {kB}, a1);
  ASSERT_EQ(group.vote(kA, a1), "[0,0,1]");

  group.hears_of(kC, a1, kB);
  group.recover(kC, a1, {kB});
  group.ask<Accept>(kC, {kB}, a1);
  ASSERT_EQ(group.decision(kC, a1), "Nop");
  group.lose<Commit>(kC, a1);

  group.deliver<Accept>(kA, kB, a1);
  group.deliver<Nack>(kB, kA, a1);
  const Ballot voted_at = group.instance(kB, a1).ballot();
  for (int attempt = 0; attempt < 2; ++attempt) group.recover(kA, a1);  // Both are lost.
  ASSERT_GT(group.instance(kA, a1).ballot(), voted_at);
  group.recover(kA, a1, {kB});

  EXPECT_EQ(group.vote(kA, a1), "Nop") << "B voted at a higher ballot than the owner did";
  group.settle();
  EXPECT_EQ(group.decision(kA, a1), "Nop");
}

TEST(Regression, R2FastDecisionVisibleBeforeItIsDurable) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.disk_lags(kA);
  group.ask<PreAccept>(kA, {kB}, a1);
  EXPECT_FALSE(group.said<Commit>(kA, kB, a1));
  EXPECT_THAT(group.executed(kA), IsEmpty()) << "the client would have its reply";

  group.restart(kA);
  group.hears_of(kC, a1, kB);
  group.recover(kC, a1, {kA});
  group.ask<Accept>(kC, {kA}, a1);

  EXPECT_EQ(group.decision(kC, a1), "Nop") << "the owner is in the quorum, and has not decided";
  EXPECT_EQ(group.decision(kB, a1), "open");
  group.settle();
}

TEST(Regression, R2FastDecisionIsToldOnceItIsDurable) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.disk_lags(kA);
  group.ask<PreAccept>(kA, {kB}, a1);

  // A promise meanwhile would say that the owner has not decided.
  group.hears_of(kC, a1, kB);
  group.recover(kC, a1);
  group.deliver<Recover>(kC, kA, a1);
  group.disk_catches_up(kA);

  EXPECT_FALSE(group.said<RecoverOk>(kA, kC, a1)) << "G6";
  EXPECT_TRUE(group.said<Commit>(kA, kC, a1));
  group.settle();
  EXPECT_EQ(group.decision(kC, a1), "[0,0,0]");
}

TEST(Regression, R20RecoveriesBlockEachOther) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  const InstanceId b1 = group.propose(kB, kSecond);
  group.ask<PreAccept>(kA, {kC}, a1);
  group.ask<PreAccept>(kB, {kD}, b1);

  // Both owners die after they have answered a recoverer of the other's instance.
  group.hears_of(kE, a1, kC);
  group.recover(kE, a1, {kB, kC});
  group.hears_of(kC, b1, kD);
  group.recover(kC, b1, {kA, kD});
  group.kill(kA);
  group.kill(kB);

  // The second round, by those who are left.
  group.recover(kE, a1, {kC, kD});
  group.ask<Validate>(kE, {kC, kD}, a1);
  group.ask<Accept>(kE, {kC, kD}, a1);
  group.recover(kC, b1, {kD, kE});
  group.ask<Validate>(kC, {kD, kE}, b1);
  group.ask<Accept>(kC, {kD, kE}, b1);

  EXPECT_NE(group.decision(kE, a1), "open");
  EXPECT_NE(group.decision(kC, b1), "open");
  group.settle();
}

TEST(Regression, R21DuplicatedValidateAfterTheVote) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, kB, a1);
  const InstanceId e1 = group.propose(kE, kSecond);
  group.deliver<PreAccept>(kE, kC, e1);
  group.kill(kA);

  group.hears_of(kD, a1, kB);
  group.recover(kD, a1, {kB, kC});
  group.ask<Validate>(kD, {kB, kC}, a1);
  ASSERT_EQ(group.vote(kD, a1), "Nop") << "V3: C and D did not vote for it, and E cannot have";
  group.deliver<Accept>(kD, kC, a1);
  group.repeat<Validate>(kD, kC, a1);
  EXPECT_EQ(group.vote(kC, a1), "Nop") << "the repeated request must not touch the vote";

  group.kill(kD);
  group.recover(kB, a1, {kC, kE});
  EXPECT_EQ(group.vote(kB, a1), "Nop");
  group.settle();
}

TEST(Regression, R22WhoKnowsTheDecisionTellsIt) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kC}, a1);
  group.deliver<Commit>(kA, kC, a1);
  group.kill(kA);

  group.hears_of(kB, a1, kC);
  const Ballot ballot = group.recover(kB, a1);
  group.forge(kB, kC, Accept{a1, {ballot.round + 7, kB}, true, {}, {}});
  EXPECT_TRUE(group.said<Commit>(kC, kB, a1)) << "the proposer of a higher ballot needs it";
  group.lose<Commit>(kC, a1);
  group.deliver<Recover>(kB, kC, a1);
  group.deliver<Commit>(kC, kB, a1);

  EXPECT_EQ(group.decision(kB, a1), "[0,0,0]");
  EXPECT_EQ(group.decision(kC, a1), "[0,0,0]");
}

// A recoverer that counts promises to an earlier attempt misses what was voted for since.
TEST(Regression, R26AnswersToAnEarlierAttempt) {
  StagedGroup group(5);
  const InstanceId e1 = group.propose(kE, kFirst);
  group.deliver<PreAccept>(kE, kD, e1);
  group.kill(kE);
  group.hears_of(kA, e1, kD);
  const Ballot first = group.recover(kA, e1);
  group.deliver<Recover>(kA, {kB, kC}, e1);  // Their answers take long.

  group.hears_of(kB, e1, kD);
  group.recover(kB, e1, {kC, kD});
  group.ask<Validate>(kB, {kC, kD}, e1);
  group.ask<Accept>(kB, {kC, kD}, e1);
  ASSERT_EQ(group.decision(kB, e1), "[0,0,0,0,0]");
  group.lose<Commit>(kB, e1);

  const Ballot second = group.recover(kA, e1);
  ASSERT_GT(second, first);
  group.deliver<RecoverOk>(kB, kA, e1);
  group.deliver<RecoverOk>(kC, kA, e1);
  EXPECT_EQ(group.vote(kA, e1), "none") << "both answers are older than the votes";
  group.ask<Recover>(kA, {kC, kD}, e1);
  EXPECT_EQ(group.vote(kA, e1), "[0,0,0,0,0]");
  group.settle();
}

TEST(Regression, R27AnswersAreComparedWithTheProposalOnly) {
  StagedGroup group(5);
  const InstanceId e1 = group.propose(kE, kFirst);
  group.deliver<PreAccept>(kE, {kB, kC}, e1);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.ask<PreAccept>(kA, {kB, kC}, a1);

  // B and C agree with each other, and not with the owner.
  EXPECT_EQ(group.count(kA, Count::kFastPath), 0u);
  EXPECT_EQ(group.vote(kA, a1), "[0,0,0,0,1]");
  EXPECT_EQ(group.decision(kA, a1), "open");

  group.kill(kA);
  group.recover(kB, a1, {kC, kD});
  EXPECT_EQ(group.vote(kB, a1), "Nop") << "so recovery may conclude that nothing was decided";
  group.settle();
}

TEST(Regression, R27TwoDifferentAnswers) {
  StagedGroup group(3);
  const InstanceId b1 = group.propose(kB, kFirst);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.ask<PreAccept>(kA, {kB}, a1);

  EXPECT_EQ(group.vote(kA, a1), "[0,1,0]");
  EXPECT_EQ(group.count(kA, Count::kFastPath), 0u);
  group.settle();
  EXPECT_NE(group.decision(kC, b1), "open");
}

// What the recoverer itself voted counts only if it voted for exactly the proposal.
TEST(Regression, R28RecovererTrustsItsOwnOldVote) {
  StagedGroup group(5);
  const InstanceId e1 = group.propose(kE, kFirst);
  group.deliver<PreAccept>(kE, kD, e1);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.deliver<PreAccept>(kA, kD, a1);
  ASSERT_TRUE(group.instance(kD, a1).pre_accepted());
  group.kill(kA);

  group.recover(kD, a1, {kB, kC});

  EXPECT_EQ(group.vote(kD, a1), "Nop");
  EXPECT_EQ(group.count(kD, Count::kRecoveryC4), 1u);
  group.settle();
}

TEST(Regression, R29LateCommitAfterExecution) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB}, a1);
  group.deliver<Commit>(kA, kB, a1);
  ASSERT_THAT(group.executed(kB), ElementsAre(a1));

  group.repeat<Commit>(kA, kB, a1);
  group.forge(kC, kB, Commit{a1, CommitKind::kNop, {}, {}});
  group.forge(kC, kB, Commit{a1, CommitKind::kDependencies, {0, 7, 0}, {}});

  EXPECT_THAT(group.executed(kB), ElementsAre(a1));
  EXPECT_EQ(group.decision(kB, a1), "[0,0,0]");
  EXPECT_EQ(group.count(kB, Count::kContradictsDecision), 2u);
}

// Two dead owners, one conflict. A had decided fast and answered its client.
TEST(Regression, R30ExpectedOutcome) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kC, kD}, a1);
  ASSERT_THAT(group.executed(kA), ElementsAre(a1));
  group.lose<Commit>(kA, a1);
  group.kill(kA);
  const InstanceId b1 = group.propose(kB, kSecond);
  group.deliver<PreAccept>(kB, kE, b1);
  group.kill(kB);

  group.recover(kD, a1, {kC, kE});
  group.ask<Validate>(kD, {kC, kE}, a1);
  EXPECT_EQ(group.vote(kD, a1), "none") << "Out = {E, B}: it may have been decided fast";
  EXPECT_EQ(group.count(kD, Count::kRecoveryV7), 1u);

  group.recover(kE, b1, {kC, kD});
  group.ask<Validate>(kE, {kC, kD}, b1);
  EXPECT_EQ(group.vote(kE, b1), "Nop") << "Out = {C, D, A}";
  EXPECT_EQ(group.count(kE, Count::kRecoveryV3), 1u);
  group.ask<Accept>(kE, {kC, kD}, b1);
  group.deliver<Commit>(kE, kD, b1);

  EXPECT_EQ(group.vote(kD, a1), "[0,0,0,0,0]") << "nothing stands in its way any more";
  group.settle();
  EXPECT_EQ(group.decision(kC, a1), "[0,0,0,0,0]");
  EXPECT_EQ(group.decision(kC, b1), "Nop");
}

// A member of the quorum that had never heard of the instance records it when it validates, and
// must say so to whatever conflicts later.
TEST(Regression, R34ValidationRecords) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB}, a1);
  group.kill(kA);
  group.hears_of(kD, a1, kB);
  group.recover(kD, a1, {kB, kC});
  group.ask<Validate>(kD, {kB, kC}, a1);
  ASSERT_EQ(group.vote(kD, a1), "[0,0,0,0,0]");

  const InstanceId e1 = group.propose(kE, kSecond);
  group.deliver<PreAccept>(kE, kC, e1);

  EXPECT_EQ(group.message<PreAcceptOk>(kC, kE, e1).dependencies, (Dependencies{1, 0, 0, 0, 0}));
  group.settle();
  EXPECT_EQ(group.decision(kE, a1), "[0,0,0,0,0]");
}

}  // namespace
}  // namespace epaxos::protocol
