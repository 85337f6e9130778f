// The known mistakes of protocol.md 20 about what must be on disk before it is told. A replica
// whose disk lags has not said anything that the loss of its power takes back.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/staged_group.h"

namespace epaxos::protocol {
namespace {

TEST(Regression, R3FirstVoteIsNotDurable) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.disk_lags(kB);
  group.deliver<PreAccept>(kA, kB, a1);
  EXPECT_FALSE(group.said<PreAcceptOk>(kB, kA, a1));

  group.restart(kB);
  const InstanceId b1 = group.propose(kB, kSecond);
  group.ask<PreAccept>(kB, {kC}, b1);

  EXPECT_EQ(group.decision(kB, b1), "[0,0,0]") << "B has forgotten, and promised nothing";
  EXPECT_EQ(group.decision(kA, a1), "open");
  group.settle();
}

TEST(Regression, R3FirstVoteSurvivesThePowerLoss) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB}, a1);
  ASSERT_EQ(group.decision(kA, a1), "[0,0,0]");
  group.lose<Commit>(kA, a1);

  group.restart(kB);
  const InstanceId b1 = group.propose(kB, kSecond);

  EXPECT_EQ(group.instance(kB, b1).initial_dependencies(), (Dependencies{1, 0, 0}));
  group.settle();
}

TEST(Regression, R4OwnerForgetsWhatItAnnounced) {
  StagedGroup group(3);
  group.disk_lags(kA);
  const InstanceId a1 = group.propose(kA, kFirst);
  EXPECT_FALSE(group.said<PreAccept>(kA, kC, a1)) << "C would report it as a blocker";
  group.restart(kA);

  const InstanceId b1 = group.propose(kB, kSecond);
  group.ask<PreAccept>(kB, {kA}, b1);
  ASSERT_EQ(group.decision(kB, b1), "[0,0,0]");
  group.lose<Commit>(kB, b1);
  group.kill(kB);
  group.hears_of(kC, b1, kA);
  group.recover(kC, b1, {kA});
  group.ask<Validate>(kC, {kA}, b1);
  group.ask<Accept>(kC, {kA}, b1);

  EXPECT_EQ(group.decision(kC, b1), "[0,0,0]") << "as B decided";
}

TEST(Regression, R5SlotIsUsedTwice) {
  StagedGroup group(3);
  InstanceId a5;
  for (std::uint64_t number = 1; number <= 5; ++number) {
    a5 = group.propose(kA, write("k", number));
  }
  group.deliver<PreAccept>(kA, kB, a5);

  group.restart(kA);
  const InstanceId next = group.propose(kA, write("j", 6));

  EXPECT_EQ(next, id(kA, 6));
  EXPECT_TRUE(group.said<PreAccept>(kA, kC, next));
  group.settle();
}

// ---- R35: the promise, the vote, the owner's slow vote; the recoverer's two ----

TEST(Regression, R35PromiseIsNotDurable) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.hears_of(kC, a1, kB);
  group.recover(kC, a1);
  group.disk_lags(kB);
  group.deliver<Recover>(kC, kB, a1);
  EXPECT_FALSE(group.said<RecoverOk>(kB, kC, a1));

  // It has forgotten the promise, so it may vote in the first round; nobody counts on the promise.
  group.restart(kB);
  group.ask<PreAccept>(kA, {kB}, a1);
  EXPECT_EQ(group.decision(kA, a1), "[0,0,0]");
  group.settle();
}

TEST(Regression, R35VoteIsNotDurable) {
  StagedGroup group(3);
  const InstanceId b1 = group.propose(kB, kFirst);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.ask<PreAccept>(kA, {kB}, a1);
  ASSERT_EQ(group.vote(kA, a1), "[0,1,0]");
  group.disk_lags(kC);
  group.deliver<Accept>(kA, kC, a1);
  EXPECT_FALSE(group.said<AcceptOk>(kC, kA, a1));

  group.restart(kC);
  EXPECT_EQ(group.vote(kC, a1), "none");
  EXPECT_EQ(group.decision(kA, a1), "open");
  group.settle();
  EXPECT_NE(group.decision(kC, b1), "open");
}

TEST(Regression, R35SlowVoteOfTheOwnerIsNotDurable) {
  StagedGroup group(3);
  group.propose(kB, kFirst);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.disk_lags(kA);
  group.ask<PreAccept>(kA, {kB}, a1);
  EXPECT_FALSE(group.said<Accept>(kA, kC, a1));

  // Restarted, it answers a recoverer without a vote: right, because nobody was asked for one.
  group.restart(kA);
  group.hears_of(kC, a1, kB);
  group.recover(kC, a1, {kA});
  EXPECT_EQ(group.vote(kC, a1), "Nop");
  group.settle();
}

TEST(Regression, R35BallotIsUsedTwice) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.hears_of(kC, a1, kB);
  group.disk_lags(kC);
  for (int step = 0; step < 100; ++step) group.advance(kC, CoreConfig{}.question_us / 2);
  ASSERT_GT(group.instance(kC, a1).ballot(), kInitialBallot);
  EXPECT_FALSE(group.said<Recover>(kC, kB, a1));

  group.disk_catches_up(kC);
  const Ballot before = group.instance(kC, a1).ballot();
  group.restart(kC);
  EXPECT_GT(group.recover(kC, a1), before);
}

TEST(Regression, R35VoteOfTheRecovererIsNotDurable) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.kill(kA);
  group.hears_of(kC, a1, kB);
  group.recover(kC, a1);
  group.deliver<Recover>(kC, kB, a1);
  group.disk_lags(kC);
  group.deliver<RecoverOk>(kB, kC, a1);
  ASSERT_EQ(group.vote(kC, a1), "Nop");
  EXPECT_FALSE(group.said<Accept>(kC, kB, a1));

  group.disk_catches_up(kC);
  EXPECT_TRUE(group.said<Accept>(kC, kB, a1));
  group.settle();
}

// The answer speaks of the first vote for the blocker, which is not on the disk yet.
TEST(Regression, R41ValidationSpeaksOfWhatIsNotDurable) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, {kB, kC}, a1);
  group.kill(kA);
  const InstanceId e1 = group.propose(kE, kSecond);
  group.recover(kB, a1, {kC, kD});
  group.disk_lags(kC);
  group.deliver<PreAccept>(kE, kC, e1);
  group.deliver<Validate>(kB, kC, a1);
  EXPECT_FALSE(group.said<ValidateOk>(kC, kB, a1));

  // It forgets the vote for E.1, and has not told B of it.
  group.restart(kC);
  group.repeat<Validate>(kB, kC, a1);
  EXPECT_TRUE(group.message<ValidateOk>(kC, kB, a1).blockers.empty());
  group.settle();
}

}  // namespace
}  // namespace epaxos::protocol
