// The known mistakes of protocol.md 20 as scenarios: those about conflicts, dependencies and the
// order of execution.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/staged_group.h"

namespace epaxos::protocol {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The dependencies that a replica proposed for its own instance.
Dependencies proposed(const StagedGroup& group, const InstanceId& which) {
  return group.instance(which.row, which).initial_dependencies();
}

std::size_t place_of(const InstanceId& which, const std::vector<InstanceId>& executed) {
  return static_cast<std::size_t>(std::ranges::find(executed, which) - executed.begin());
}

TEST(Regression, R6NopLeavesTheConflictIndex) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, {kB, kC}, a1);
  group.recover(kB, a1, {kA});
  group.restart(kA);  // So that it does not propose the command again.
  group.ask<Accept>(kB, {kA}, a1);
  group.deliver<Commit>(kB, kA, a1);
  group.lose<Commit>(kB, a1);
  ASSERT_EQ(group.decision(kA, a1), "Nop");

  const InstanceId b1 = group.propose(kB, kSecond);
  EXPECT_EQ(proposed(group, b1), (Dependencies{1, 0, 0})) << "C does not know that A.1 is a Nop";
  group.ask<PreAccept>(kB, {kA}, b1);
  ASSERT_EQ(group.decision(kB, b1), "[1,0,0]");
  EXPECT_THAT(group.executed(kB), ElementsAre(b1));
  group.lose<Commit>(kB, b1);
  group.kill(kB);

  group.hears_of(kC, b1, kA);
  group.recover(kC, b1, {kA});
  group.ask<Validate>(kC, {kA}, b1);
  group.ask<Accept>(kC, {kA}, b1);
  EXPECT_EQ(group.decision(kC, b1), "[1,0,0]") << "as B decided and executed it";
  group.settle();
}

TEST(Regression, R6bVoteForNopLeavesTheConflictIndex) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, kB, a1);

  // The command is voted for by D alone.
  group.hears_of(kD, a1, kB);
  group.recover(kD, a1, {kB, kC});
  group.ask<Validate>(kD, {kB, kC}, a1);
  ASSERT_EQ(group.vote(kD, a1), "[0,0,0,0,0]");
  group.lose<Accept>(kD, a1);

  // A Nop at a higher ballot, by two.
  group.hears_of(kE, a1, kA);
  group.recover(kE, a1, {kA, kB});
  ASSERT_EQ(group.vote(kE, a1), "Nop");
  group.deliver<Accept>(kE, kA, a1);
  group.lose<Accept>(kE, a1);
  const InstanceId e1 = group.propose(kE, kSecond);
  EXPECT_EQ(proposed(group, e1), (Dependencies{1, 0, 0, 0, 0}));
  group.forge(kC, kA, PreAccept{id(kC, 1), Dependencies(5), block_of({write("k", 3)})});
  EXPECT_EQ(group.message<PreAcceptOk>(kA, kC, id(kC, 1)).dependencies[kA], Slot(1));

  // The next one finds the first vote only, and the Nop loses.
  group.recover(kC, a1, {kB, kD});
  EXPECT_EQ(group.vote(kC, a1), "[0,0,0,0,0]");
  group.ask<Accept>(kC, {kB, kD}, a1);
  ASSERT_EQ(group.decision(kC, a1), "[0,0,0,0,0]");
}

// Nobody hears of a result before everything that it rests on is settled.
TEST(Regression, R11ReplyAtCommit) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, write("k", 1));
  const InstanceId c1 = group.propose(kC, write("k", 2));
  group.ask<PreAccept>(kC, {kA}, c1);
  group.ask<Accept>(kC, {kA}, c1);
  ASSERT_EQ(group.decision(kC, c1), "[1,0,0]");
  EXPECT_THAT(group.executed(kC), IsEmpty()) << "its client must not have a reply";

  const InstanceId b1 = group.propose(kB, read("k", 3));
  ASSERT_EQ(proposed(group, b1), (Dependencies{0, 0, 0}));
  group.ask<PreAccept>(kB, {kC}, b1);
  group.ask<Accept>(kB, {kC}, b1);
  group.ask<PreAccept>(kA, {kC}, a1);
  group.ask<Accept>(kA, {kC}, a1);

  EXPECT_EQ(group.decision(kB, b1), "[0,0,1]");
  EXPECT_EQ(group.decision(kA, a1), "[0,1,1]");
  group.settle();
  for (const ReplicaId at : {kA, kB, kC}) {
    EXPECT_THAT(group.executed(at), ElementsAre(a1, b1, c1)) << "the read runs before C's write";
  }
}

TEST(Regression, R12ExecutorSkipsAnUnknownPayload) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, write("j", 1));
  const InstanceId a2 = group.propose(kA, write("k", 2));
  const InstanceId a3 = group.propose(kA, write("j", 3));
  group.deliver<PreAccept>(kA, kC, a1);
  group.deliver<PreAccept>(kA, kC, a3);
  group.deliver<PreAccept>(kA, kB, a2);
  const InstanceId c1 = group.propose(kC, write("k", 4));
  group.ask<PreAccept>(kC, {kB}, c1);
  group.ask<Accept>(kC, {kB}, c1);
  ASSERT_EQ(group.decision(kC, c1), "[2,0,0]");
  EXPECT_THAT(group.executed(kC), IsEmpty()) << "A.2 might conflict, whatever it is";

  group.settle();
  EXPECT_LT(place_of(a2, group.executed(kC)), place_of(c1, group.executed(kC)));
}

TEST(Regression, R13ExecutorWaitsForADeadOwner) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, kC, a1);
  group.kill(kA);
  const InstanceId c1 = group.propose(kC, kSecond);
  group.ask<PreAccept>(kC, {kB}, c1);
  ASSERT_EQ(group.decision(kC, c1), "[1,0,0]");
  EXPECT_THAT(group.executed(kC), IsEmpty());

  // The replica goes on: it serves others, and recovers what it waits for.
  const InstanceId b1 = group.propose(kB, write("other", 3));
  group.ask<PreAccept>(kB, {kC}, b1);
  EXPECT_EQ(group.decision(kB, b1), "[0,0,0]");
  group.recover(kC, a1, {kB});
  group.settle();
  EXPECT_THAT(group.executed(kC), Contains(c1));
}

// R depends on w, w on R and x, x on R. Who lacks x must not run R before it.
TEST(Regression, R14EarlyExecutionInAnUnfinishedComponent) {
  const auto block = block_of({kFirst});
  const Commit r{id(kB, 1), CommitKind::kFull, {0, 0, 1, 0, 0}, block};
  const Commit w{id(kC, 1), CommitKind::kFull, {1, 1, 0, 0, 0}, block};
  const Commit x{id(kA, 1), CommitKind::kFull, {0, 1, 0, 0, 0}, block};
  StagedGroup group(5);
  for (const Commit& commit : {r, w, x}) group.forge(kA, kD, commit);
  for (const Commit& commit : {r, w}) group.forge(kA, kE, commit);

  EXPECT_THAT(group.executed(kE), IsEmpty());
  group.forge(kA, kE, x);
  EXPECT_THAT(group.executed(kE), ElementsAre(x.instance, r.instance, w.instance));
  EXPECT_EQ(group.executed(kD), group.executed(kE));
}

// Two reads of both keys, and a write of each. Without the edges from writes to reads each replica
// would run the read that it knows before the other's write.
TEST(Regression, R15WriteToReadEdgesDropped) {
  const auto both = block_of({command(Footprint::read("x"), 1), command(Footprint::read("y"), 2)});
  const auto to_x = block_of({write("x", 3)});
  const auto to_y = block_of({write("y", 4)});
  const Commit w1{id(kA, 1), CommitKind::kFull, {0, 0, 0, 1, 0, 0, 0}, to_x};
  const Commit r1{id(kB, 1), CommitKind::kFull, {1, 0, 0, 0, 0, 0, 0}, both};
  const Commit w2{id(kC, 1), CommitKind::kFull, {0, 1, 0, 0, 0, 0, 0}, to_y};
  const Commit r2{id(kD, 1), CommitKind::kFull, {0, 0, 1, 0, 0, 0, 0}, both};
  constexpr ReplicaId kF{5};
  StagedGroup group(7);
  for (const Commit& commit : {w1, r1}) group.forge(kA, kE, commit);
  for (const Commit& commit : {w2, r2}) group.forge(kA, kF, commit);
  EXPECT_THAT(group.executed(kE), IsEmpty()) << "w1 waits for r2, so r1 waits too";
  EXPECT_THAT(group.executed(kF), IsEmpty());

  for (const Commit& commit : {w2, r2}) group.forge(kA, kE, commit);
  for (const Commit& commit : {w1, r1}) group.forge(kA, kF, commit);
  EXPECT_EQ(group.executed(kE).size(), 4u);
  EXPECT_EQ(group.executed(kE), group.executed(kF));
}

// A.3 reads k and so depends on A.1, not on A.2, which reads k too and writes j. B.1 writes k and
// has seen A.3 only; it must come after A.2 all the same.
TEST(Regression, R16LatestConflictOfARow) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, write("k", 1));
  const InstanceId a2 =
      group.propose(kA, command(merged_footprint(std::vector{read("k", 2), write("j", 2)}), 2));
  const InstanceId a3 = group.propose(kA, read("k", 3));
  for (const InstanceId& early : {a1, a2}) {
    group.ask<PreAccept>(kA, {kC}, early);
    group.lose<Commit>(kA, early);
  }
  ASSERT_EQ(group.decision(kA, a2), "[1,0,0]");
  group.deliver<PreAccept>(kA, kB, a3);
  const InstanceId b1 = group.propose(kB, write("k", 4));
  EXPECT_EQ(proposed(group, b1), (Dependencies{3, 0, 0}));
  group.ask<PreAccept>(kB, {kC}, b1);
  ASSERT_EQ(group.decision(kB, b1), "[3,0,0]");
  EXPECT_THAT(group.executed(kB), IsEmpty());

  group.settle();
  for (const ReplicaId at : {kA, kB, kC}) {
    EXPECT_LT(place_of(a2, group.executed(at)), place_of(b1, group.executed(at)));
  }
}

TEST(Regression, R17LoopOverABatchEndsEarly) {
  CoreConfig batches = config(kB, 3);
  batches.batch_commands_max = 2;
  const auto on_a = block_of({write("a")});
  const auto on_b = block_of({write("b")});
  for (const bool swapped : {false, true}) {
    Subject b(batches);
    b.deliver(kA, PreAccept{id(kA, 2), Dependencies(3), swapped ? on_b : on_a});
    b.deliver(kA, PreAccept{id(kA, 9), Dependencies(3), swapped ? on_a : on_b});

    const Effects& effects = b.propose({write("a", 1), write("b", 2)});
    EXPECT_EQ(only<PreAccept>(effects, 3).initial, (Dependencies{9, 0, 0}));
    const auto both = block_of({write("a", 3), write("b", 4)});
    const auto answer =
        only<PreAcceptOk>(b.deliver(kC, PreAccept{id(kC, 1), Dependencies(3), both}), 3);
    EXPECT_EQ(answer.dependencies, (Dependencies{9, 1, 0}));
  }
}

// B recovers A.2, which depends on the undecided A.1 of the same row.
TEST(Regression, R18RecoveryWritesIntoTheWrongRow) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  const InstanceId a2 = group.propose(kA, kSecond);
  group.deliver<PreAccept>(kA, kB, a1);
  group.deliver<PreAccept>(kA, kB, a2);
  group.kill(kA);
  group.recover(kB, a2, {kC});
  group.ask<Validate>(kB, {kC}, a2);
  group.ask<Accept>(kB, {kC}, a2);

  EXPECT_EQ(group.decision(kB, a2), "[1,0,0]") << "the edge to A.1 is kept";
  EXPECT_EQ(group.core(kB).instances().row(kB).highest_known, Slot(0));
  EXPECT_EQ(group.core(kC).instances().row(kB).highest_known, Slot(0));
  EXPECT_THAT(group.executed(kB), IsEmpty());
  group.settle();
  EXPECT_EQ(group.decision(kC, a2), "[1,0,0]");
}

TEST(Regression, R19NopOfAnUnknownInstanceClearsTheIndex) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, kC, a1);
  group.forge(kB, kC, Commit{id(kB, 9), CommitKind::kNop, {}, {}});

  const InstanceId b1 = group.propose(kB, kSecond);
  group.deliver<PreAccept>(kB, kC, b1);

  EXPECT_EQ(group.message<PreAcceptOk>(kC, kB, b1).dependencies, (Dependencies{1, 0, 0}));
}

// An answer leaves out nothing on account of a decision that others do not know.
TEST(Regression, R24PruningByMoreThanTheProposal) {
  StagedGroup group(5);
  const InstanceId b1 = group.propose(kB, kFirst);
  group.deliver<PreAccept>(kB, kC, b1);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.ask<PreAccept>(kA, {kC, kD}, a1);
  group.deliver<PreAccept>(kA, kE, a1);
  group.ask<Accept>(kA, {kC, kD}, a1);
  ASSERT_EQ(group.decision(kA, a1), "[0,1,0,0,0]");
  group.lose<Commit>(kA, a1);

  group.deliver<PreAccept>(kB, kA, b1);
  EXPECT_EQ(group.message<PreAcceptOk>(kA, kB, b1).dependencies, (Dependencies{1, 0, 0, 0, 0}))
      << "A knows that its decision names B.1; D and E do not";
  group.deliver<PreAcceptOk>(kC, kB, b1);
  group.deliver<PreAcceptOk>(kA, kB, b1);
  EXPECT_EQ(group.count(kB, Count::kFastPath), 0u);
  group.kill(kB);

  group.hears_of(kD, b1, kC);
  group.recover(kD, b1, {kC, kE});
  group.settle();
}

// A.1 is on A's disk and was sent to nobody.
TEST(Regression, R31SlotThatWasNeverAnnounced) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.lose<PreAccept>(kA, a1);
  const InstanceId a2 = group.propose(kA, kSecond);
  group.deliver<PreAccept>(kA, {kB, kC}, a2);
  group.kill(kA);
  const InstanceId b1 = group.propose(kB, write("k", 3));
  group.ask<PreAccept>(kB, {kC}, b1);
  ASSERT_EQ(group.decision(kB, b1), "[2,0,0]");
  EXPECT_THAT(group.executed(kB), IsEmpty());

  group.recover(kB, a1, {kC});
  EXPECT_EQ(group.vote(kB, a1), "Nop");
  group.settle();

  EXPECT_THAT(group.executed(kB), Contains(b1));
  EXPECT_THAT(group.executed(kC), Contains(b1));
}

// Without sessions: what was submitted once is executed at most once, whatever comes late.
TEST(Regression, R37NopResubmissionAndRepetition) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, kB, a1);
  group.recover(kB, a1, {kA});
  group.ask<Accept>(kB, {kA}, a1);
  group.deliver<Commit>(kB, kA, a1);
  const InstanceId a2 = id(kA, 2);
  ASSERT_TRUE(group.said<PreAccept>(kA, kB, a2)) << "the owner proposes the command again";

  group.repeat<PreAccept>(kA, kB, a1);
  group.deliver<PreAccept>(kA, kC, a1);
  group.repeat<Commit>(kB, kA, a1);
  group.settle();

  for (const ReplicaId at : {kA, kB, kC}) EXPECT_THAT(group.executed(at), ElementsAre(a2));
}

// The same while the owner restarts: it no longer knows a client that waits, so the first instance
// is all there is.
TEST(Regression, R37RestartedOwnerDoesNotProposeAgain) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, kB, a1);
  group.recover(kB, a1, {kA});
  group.restart(kA);
  group.ask<Accept>(kB, {kA}, a1);
  group.settle();

  EXPECT_EQ(group.decision(kA, a1), "Nop");
  for (const ReplicaId at : {kA, kB, kC}) EXPECT_THAT(group.executed(at), IsEmpty());
}

TEST(Regression, R39ExecutorBlocksOnANopWithoutPayload) {
  const auto block = block_of({kFirst});
  const Commit nop{id(kA, 1), CommitKind::kNop, {}, {}};
  const Commit after{id(kB, 1), CommitKind::kFull, {1, 0, 0}, block};
  StagedGroup group(3);
  group.forge(kB, kC, nop);
  group.forge(kB, kC, after);
  EXPECT_THAT(group.executed(kC), ElementsAre(after.instance));

  group.forge(kC, kA, Commit{id(kC, 1), CommitKind::kFull, {0, 1, 0}, block});
  EXPECT_THAT(group.executed(kA), IsEmpty()) << "an unknown payload is waited for";
  group.forge(kC, kA, Commit{id(kB, 1), CommitKind::kNop, {}, {}});
  EXPECT_THAT(group.executed(kA), ElementsAre(id(kC, 1)));
}

}  // namespace
}  // namespace epaxos::protocol
