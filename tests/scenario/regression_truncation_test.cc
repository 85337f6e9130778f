// The known mistakes of protocol.md 20 about what is forgotten, and about images.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/staged_group.h"

namespace epaxos::protocol {
namespace {

using ::testing::ElementsAre;

/// A.1 is executed by all three, and all have heard that.
InstanceId executed_everywhere(StagedGroup& group) {
  group.all_apply();
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB, kC}, a1);
  group.deliver<Commit>(kA, {kB, kC}, a1);
  group.gossip(kB, {kA, kC});
  group.gossip(kC, {kA, kB});
  group.gossip(kA, {kB, kC});
  return a1;
}

/// Nobody has anything left of it.
void dropped(StagedGroup& group, std::initializer_list<ReplicaId> at, const InstanceId& which) {
  for (const ReplicaId each : at) {
    group.advance(each, 1);
    EXPECT_EQ(group.core(each).instances().find(which), nullptr) << to_string(each);
  }
}

// With the bug A's proposal and C's answer say nothing of A.1, so A decides A.2 fast without it. B
// names A.1 as a committed blocker, and A.2 becomes a Nop (V1).
TEST(Regression, R7DroppedWithoutAFloorInTheVectors) {
  StagedGroup group(3);
  const InstanceId a1 = executed_everywhere(group);
  // B says that its proposals include A.1, and does not hear it of the others.
  group.gossip(kB, {kA, kC});
  group.gossip(kC, {kA});
  group.gossip(kA, {kC});
  dropped(group, {kA, kC}, a1);
  ASSERT_NE(group.core(kB).instances().find(a1), nullptr);

  const InstanceId a2 = group.propose(kA, kSecond);
  EXPECT_EQ(group.instance(kA, a2).initial_dependencies(), (Dependencies{1, 0, 0}));
  group.ask<PreAccept>(kA, {kC}, a2);
  ASSERT_EQ(group.decision(kA, a2), "[1,0,0]");
  group.lose<Commit>(kA, a2);
  group.kill(kA);

  group.hears_of(kB, a2, kC);
  group.recover(kB, a2, {kC});
  group.ask<Validate>(kB, {kC}, a2);
  group.ask<Accept>(kB, {kC}, a2);
  EXPECT_EQ(group.decision(kB, a2), "[1,0,0]") << "as A decided and executed it";
  group.deliver<Commit>(kB, kC, a2);
  EXPECT_THAT(group.executed(kB), ElementsAre(a1, a2));
  EXPECT_THAT(group.executed(kC), ElementsAre(a1, a2));
}

// The same where the owner has not heard yet, and an acceptor has dropped: its vote has the floor.
TEST(Regression, R7AcceptorThatHasDroppedAddsItsFloor) {
  StagedGroup group(3);
  const InstanceId a1 = executed_everywhere(group);
  group.gossip(kA, {kC});
  group.gossip(kB, {kC});
  group.advance(kC, 1);
  dropped(group, {kC}, a1);
  group.restart(kC);

  const InstanceId b1 = group.propose(kB, write("other", 2));
  group.deliver<PreAccept>(kB, kC, b1);
  const auto answer = group.message<PreAcceptOk>(kC, kB, b1);
  const Dependencies vote =
      answer.initial ? group.instance(kB, b1).initial_dependencies() : answer.dependencies;
  EXPECT_EQ(vote, (Dependencies{1, 0, 0}));
}

// With the bug B does not know that the image contains a write of k. It votes for C.1 without A.1,
// C executes C.1, and A.1 after that; A the other way round.
TEST(Regression, R8ImageWithoutFootprints) {
  StagedGroup group(3);
  group.all_apply();
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB}, a1);
  ASSERT_THAT(group.executed(kA), ElementsAre(a1));
  group.lose<Commit>(kA, a1);
  group.install(kB, kA, group.image_for(kB, kA));

  const InstanceId c1 = group.propose(kC, kSecond);
  ASSERT_EQ(group.instance(kC, c1).initial_dependencies(), (Dependencies{0, 0, 0}));
  group.deliver<PreAccept>(kC, kB, c1);
  EXPECT_EQ(group.message<PreAcceptOk>(kB, kC, c1).dependencies, (Dependencies{1, 0, 0}));
  group.deliver<PreAcceptOk>(kB, kC, c1);
  group.waits_in_vain(kC);
  group.ask<Accept>(kC, {kB}, c1);
  EXPECT_EQ(group.decision(kC, c1), "[1,0,0]");
  EXPECT_TRUE(group.executed(kC).empty()) << "A.1 comes first";
  group.lose<PreAccept>(kC, c1);
  group.deliver<Commit>(kC, kB, c1);
  EXPECT_THAT(group.executed(kB), ElementsAre(a1, c1));
}

// The same where B has never heard of A.1 but by the image.
TEST(Regression, R8WhoNeverSawACommandKnowsWhatItTouched) {
  StagedGroup group(5);
  group.all_apply();
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kD, kE}, a1);
  ASSERT_THAT(group.executed(kA), ElementsAre(a1));
  group.install(kB, kA, group.image_for(kB, kA));

  const InstanceId c1 = group.propose(kC, kSecond);
  group.deliver<PreAccept>(kC, kB, c1);
  EXPECT_EQ(group.message<PreAcceptOk>(kB, kC, c1).dependencies, (Dependencies{1, 0, 0, 0, 0}));
  group.forge(kC, kB, Recover{a1, {1, kC}});
  EXPECT_TRUE(group.said<Truncated>(kB, kC, a1));
}

// The same after B has made an image of its own and lost its power: no record of B speaks of A.1.
// Wrong outcome as above.
TEST(Regression, R8OwnImageForgetsWhatAnImageOfAPeerCovered) {
  StagedGroup group(3);
  group.all_apply();
  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB}, a1);
  group.lose<Commit>(kA, a1);
  group.install(kB, kA, group.image_for(kB, kA));
  group.makes_image(kB);
  group.restart(kB);

  const InstanceId c1 = group.propose(kC, kSecond);
  group.deliver<PreAccept>(kC, kB, c1);
  EXPECT_EQ(group.message<PreAcceptOk>(kB, kC, c1).dependencies, (Dependencies{1, 0, 0}));
  group.hears_of(kC, a1, kB);
  group.forge(kC, kB, Recover{a1, {1, kC}});
  EXPECT_TRUE(group.said<Truncated>(kB, kC, a1)) << "it is executed: nothing else may come of it";
  EXPECT_FALSE(group.said<RecoverOk>(kB, kC, a1));
}

// With the bug the late messages meet what looks like an instance that nobody knows: B and C
// promise, and A.1 is decided Nop, or voted for anew.
TEST(Regression, R9TruncatedIsTakenForUnknown) {
  StagedGroup group(3);
  const InstanceId a1 = executed_everywhere(group);
  group.gossip(kB, {kA, kC});
  group.gossip(kC, {kA, kB});
  group.gossip(kA, {kB, kC});
  dropped(group, {kA, kB, kC}, a1);

  group.repeat<PreAccept>(kA, kC, a1);
  EXPECT_TRUE(group.said<Truncated>(kC, kA, a1));
  EXPECT_FALSE(group.said<PreAcceptOk>(kC, kA, a1));
  const Recover stale{a1, {1, kB}};
  for (const ReplicaId at : {kA, kC}) {
    group.forge(kB, at, stale);
    EXPECT_TRUE(group.said<Truncated>(at, kB, a1)) << to_string(at);
    EXPECT_FALSE(group.said<RecoverOk>(at, kB, a1)) << to_string(at);
  }
  group.forge(kB, kC, Accept{a1, {1, kB}, true, {}, {}});
  EXPECT_FALSE(group.said<AcceptOk>(kC, kB, a1));

  // Also after the loss of power, when the records may be erased.
  group.makes_image(kC);
  group.restart(kC);
  group.forge(kB, kC, stale);
  EXPECT_FALSE(group.said<RecoverOk>(kC, kB, a1));
  for (const ReplicaId at : {kA, kB, kC}) EXPECT_TRUE(group.core(at).voting());
}

// With the bug B installs the old image, lacks A.1 again, and nobody can tell it. A younger command
// is decided without an edge to A.1, and B executes it first.
TEST(Regression, R40StaleImageUndoesWhatWasGossiped) {
  StagedGroup group(3);
  const InstanceId c1 = group.propose(kC, write("other", 9));
  group.ask<PreAccept>(kC, {kA}, c1);
  group.deliver<Commit>(kC, kA, c1);
  group.all_apply();
  const std::vector<std::byte> stale = group.image_for(kB, kA);
  ASSERT_FALSE(stale.empty());

  const InstanceId a1 = group.propose(kA, kFirst);
  group.ask<PreAccept>(kA, {kB, kC}, a1);
  group.deliver<Commit>(kA, {kB, kC}, a1);
  group.gossip(kB, {kA, kC});
  EXPECT_FALSE(group.core(kB).may_install(stale)) << "it has told that it has executed A.1";
  group.gossip(kC, {kA, kB});
  group.gossip(kA, {kB, kC});
  group.gossip(kB, {kA, kC});
  group.gossip(kC, {kA, kB});
  group.gossip(kA, {kB, kC});
  dropped(group, {kA, kC}, a1);
  group.restart(kB);
  EXPECT_FALSE(group.core(kB).may_install(stale)) << "A and C have dropped A.1";
  EXPECT_TRUE(group.core(kB).voting());
}

}  // namespace
}  // namespace epaxos::protocol
