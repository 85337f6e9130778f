// The second round and the decision: protocol.md 6.4 to 6.6.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

class SlowPath : public ::testing::Test {
 protected:
  SlowPath() : a(kA, 3) {
    a.propose({write("x")});
    a.durable();
    a.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 4, 0}});
  }
  Subject a;
};

TEST_F(SlowPath, CommitsOnAQuorumOfDurableVotes) {
  a.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});
  EXPECT_FALSE(a.instance(id(kA, 1)).decided()) << "its own vote is not on disk yet";

  a.effects.batch = 99;  // The batch of the vote and all later ones.
  const auto commit = only<Commit>(a.durable(), 3);

  EXPECT_EQ(commit.kind, CommitKind::kDependencies);
  EXPECT_EQ(commit.dependencies, (Dependencies{0, 4, 0}));
  EXPECT_TRUE(a.instance(id(kA, 1)).decided());
}

TEST_F(SlowPath, LateFirstRoundAnswersAreStale) {
  a.deliver(kC, PreAcceptOk{id(kA, 1), true, {}});

  EXPECT_EQ(a.count(Count::kStale), 1u);
  EXPECT_EQ(a.instance(id(kA, 1)).vote()->dependencies, (Dependencies{0, 4, 0}));
}

TEST_F(SlowPath, DuplicatedVoteCountsOnce) {
  Subject five(kA, 5);
  five.propose({write("x")});
  five.durable();
  five.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 4, 0, 0, 0}});
  five.deliver(kC, PreAcceptOk{id(kA, 1), true, {}});
  five.durable();
  five.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});
  five.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});

  EXPECT_FALSE(five.instance(id(kA, 1)).decided()) << "two of five are no quorum";
}

TEST_F(SlowPath, UnansweredVotesAreAskedForAgain) {
  EXPECT_TRUE(any<Accept>(a.advance(config(kA, 3).retransmit_us)));
}

TEST_F(SlowPath, ANackFromAHigherBallotStopsTheCount) {
  a.deliver(kC, Nack{id(kA, 1), kInitialBallot, Ballot{1, kC}});
  a.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});
  a.durable();

  EXPECT_FALSE(a.instance(id(kA, 1)).decided()) << "G8";
}

TEST_F(SlowPath, ANackAtBallotZeroIsIgnored) {
  a.deliver(kC, Nack{id(kA, 1), kInitialBallot, kInitialBallot});
  a.effects.batch = 99;
  a.durable();
  a.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});

  EXPECT_TRUE(a.instance(id(kA, 1)).decided());
}

TEST(Accept, VoteIsRecordedWithItsPayloadWhereTheProposalIsUnknown) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});

  const Effects& effects =
      c.deliver(kA, Accept{id(kA, 1), kInitialBallot, false, {0, 2, 0}, block});

  EXPECT_EQ(only<AcceptOk>(effects, 3).ballot, kInitialBallot);
  EXPECT_EQ(effects.sends[0].release, Release::kGated);
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kVote});
  EXPECT_FALSE(c.instance(id(kA, 1)).recorded());
  EXPECT_TRUE(c.instance(id(kA, 1)).payload_known());
}

TEST(Accept, PayloadLearntByAVoteCountsAsAConflict) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Accept{id(kA, 1), kInitialBallot, false, {0, 2, 0}, block});

  const auto answer = only<PreAcceptOk>(c.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block}), 3);

  EXPECT_EQ(answer.dependencies, (Dependencies{1, 0, 0}));
}

// R6b: the Nop may lose, so the payload must stay in the index.
TEST(Accept, VoteForNopKeepsThePayloadInTheConflictIndex) {
  Subject c(kC, 5);
  const auto block = block_of({write("x")});
  c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0, 0, 0}, block});
  c.deliver(kB, Accept{id(kA, 1), Ballot{1, kB}, true, {}, {}});

  const auto answer =
      only<PreAcceptOk>(c.deliver(kD, PreAccept{id(kD, 1), {0, 0, 0, 0, 0}, block}), 5);

  EXPECT_EQ(answer.dependencies, (Dependencies{1, 0, 0, 0, 0}));
}

// R6: the same for an instance that is known to be decided Nop.
TEST(Commit, NopKeepsThePayloadInTheConflictIndex) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});
  c.deliver(kB, Commit{id(kA, 1), CommitKind::kNop, {}, {}});

  const auto answer = only<PreAcceptOk>(c.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block}), 3);

  EXPECT_EQ(answer.dependencies, (Dependencies{1, 0, 0}));
}

TEST(Accept, LowerBallotThanPromisedIsNacked) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kB, Accept{id(kA, 1), Ballot{2, kB}, true, {}, {}});

  const auto nack =
      only<Nack>(c.deliver(kA, Accept{id(kA, 1), kInitialBallot, false, {0, 2, 0}, block}), 3);

  EXPECT_EQ(nack.heard, kInitialBallot);
  EXPECT_EQ(nack.current, (Ballot{2, kB}));
  EXPECT_TRUE(c.instance(id(kA, 1)).vote()->nop);
}

TEST(Accept, OneValueABallot) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kB, Accept{id(kA, 1), Ballot{2, kB}, true, {}, {}});

  c.deliver(kB, Accept{id(kA, 1), Ballot{2, kB}, false, {0, 2, 0}, block});
  EXPECT_EQ(c.count(Count::kContradictsVote), 1u);

  const Effects& duplicate = c.deliver(kB, Accept{id(kA, 1), Ballot{2, kB}, true, {}, {}});
  EXPECT_TRUE(any<AcceptOk>(duplicate));
  EXPECT_TRUE(duplicate.records.empty());
}

TEST(Accept, BallotBelongsToItsSender) {
  Subject c(kC, 3);

  c.deliver(kA, Accept{id(kA, 1), Ballot{2, kB}, true, {}, {}});
  c.deliver(kB, Accept{id(kA, 1), kInitialBallot, true, {}, {}});

  EXPECT_EQ(c.count(Count::kNotTheBallotsOwner), 2u);
}

TEST(Accept, HigherBallotClosesTheOwnersRound) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();

  EXPECT_TRUE(any<AcceptOk>(a.deliver(kB, Accept{id(kA, 1), Ballot{1, kB}, true, {}, {}})));
  a.deliver(kC, PreAcceptOk{id(kA, 1), true, {}});

  EXPECT_FALSE(a.instance(id(kA, 1)).decided());
  EXPECT_EQ(a.count(Count::kStale), 1u);
}

// The decision is in the log already; a vote that leaves after it must not speak as if it were not.
TEST(Accept, OwnerIsSilentWhileItsFastDecisionIsOnTheWayToTheDisk) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  const BatchNumber batch = a.effects.batch;

  const Effects& effects = a.deliver(kC, Accept{id(kA, 1), Ballot{1, kC}, true, {}, {}});
  EXPECT_TRUE(effects.empty());

  Effects out;
  out.batch = 99;
  a.core.durable(batch, out);
  EXPECT_TRUE(a.instance(id(kA, 1)).decided());
  EXPECT_FALSE(a.instance(id(kA, 1)).decided_nop());
}

TEST(Commit, IsAcceptedAtAnyBallotAndFinal) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kB, Accept{id(kA, 1), Ballot{9, kB}, true, {}, {}});

  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 2, 0}, block});
  EXPECT_EQ(c.instance(id(kA, 1)).decided_dependencies(), (Dependencies{0, 2, 0}));

  c.deliver(kB, Commit{id(kA, 1), CommitKind::kNop, {}, {}});
  EXPECT_EQ(c.count(Count::kContradictsDecision), 1u);
  EXPECT_FALSE(c.instance(id(kA, 1)).decided_nop()) << "R29";
}

TEST(Commit, WithoutThePayloadItIsAskedForAtOnce) {
  Subject c(kC, 3);

  const Effects& effects = c.deliver(kA, Commit{id(kA, 1), CommitKind::kInitial, {}, {}});

  EXPECT_EQ(only<Status>(effects, 3).instance, id(kA, 1));
  EXPECT_EQ(effects.sends[0].release, Release::kNow) << "a question rests on nothing";
  EXPECT_FALSE(c.instance(id(kA, 1)).decided());
}

TEST(Commit, ReferringToTheInitialDependenciesNeedsTheProposal) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Accept{id(kA, 1), kInitialBallot, false, {0, 2, 0}, block});

  c.deliver(kB, Commit{id(kA, 1), CommitKind::kInitial, {}, {}});
  EXPECT_FALSE(c.instance(id(kA, 1)).decided())
      << "the vote's dependencies are not the initial ones";

  c.deliver(kB, Commit{id(kA, 1), CommitKind::kDependencies, {0, 2, 0}, {}});
  EXPECT_TRUE(c.instance(id(kA, 1)).decided());
}

TEST(Commit, ExecutionsWaitForTheirDependencies) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 1, 0}, block});
  EXPECT_TRUE(c.end_turn().executions.empty());

  c.deliver(kB, Commit{id(kB, 1), CommitKind::kFull, {0, 0, 0}, block});
  const Effects& effects = c.end_turn();

  ASSERT_EQ(effects.executions.size(), 2u);
  EXPECT_EQ(effects.executions[0].instance, id(kB, 1));
  EXPECT_EQ(effects.executions[1].instance, id(kA, 1));
  EXPECT_EQ(effects.executions[1].position, 2u);
}

TEST(Commit, NopOfAnOwnInstanceSendsItsCommandsAgainUnderANewId) {
  Subject a(kA, 3);
  a.propose({write("x", 77)});
  a.durable();
  a.deliver(kB, Commit{id(kA, 1), CommitKind::kNop, {}, {}});

  const auto again = only<PreAccept>(a.end_turn(), 3);

  EXPECT_EQ(again.instance, id(kA, 2));
  std::vector<Command> commands;
  decode_block_commands(again.block, commands);
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].id.number, 77u) << "the same command, so that its client gets an answer";
  EXPECT_EQ(a.count(Count::kResubmitted), 1u);
}

TEST(UnknownFrames, AreCountedByReasonAndChangeNothing) {
  Subject c(kC, 3);
  const std::vector<std::byte> nothing;

  EXPECT_TRUE(c.deliver_bytes(kA, static_cast<MessageType>(999), nothing).empty());
  EXPECT_TRUE(c.deliver_bytes(kA, MessageType::kPreAccept, nothing).empty());
  EXPECT_TRUE(c.deliver(kA, Truncated{id(kA, 1), Dependencies(3)}).empty());
  Effects out;
  c.core.receive(kA, {GroupId(7), Epoch(), 1, {}}, out);
  c.core.receive(kA, {GroupId(), Epoch(7), 1, {}}, out);

  EXPECT_TRUE(out.empty());
  EXPECT_EQ(c.count(Count::kUnknownType), 1u);
  EXPECT_EQ(c.count(Count::kMalformedFrame), 1u);
  EXPECT_EQ(c.count(Count::kTruncatedReceived), 1u);
  EXPECT_EQ(c.count(Count::kWrongGroup), 1u);
  EXPECT_EQ(c.count(Count::kWrongEpoch), 1u);
}

// What the executor has released still waits for the disk and for the state machine.
TEST(Status, AnInstanceCountsAsExecutedWhenItIsApplied) {
  Subject a(kA, 1);
  a.propose({write("x")});
  a.end_turn();
  a.durable();  // The proposal: decided now.
  a.durable();  // The decision.
  const Effects& last = a.end_turn();
  ASSERT_EQ(last.executions.size(), 1u);
  CoreStatus released;
  a.core.status(released);

  a.core.applied(1, a.effects);
  CoreStatus applied;
  a.core.status(applied);

  EXPECT_EQ(released.rows[0].committed_up_to, Slot(1));
  EXPECT_EQ(released.rows[0].executed_up_to, Slot(0));
  EXPECT_EQ(applied.rows[0].executed_up_to, Slot(1));
}

}  // namespace
}  // namespace epaxos::protocol
