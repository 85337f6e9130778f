// An image of a peer takes the place of executions, and of nothing else. Source: protocol.md 14.4
// and 14.5.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/image_support.h"

namespace epaxos::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// --- What stays --------------------------------------------------------------------------------

TEST_F(Install, VotesAndPromisesAboutWhatIsNotCoveredStay) {
  b.deliver(kA, PreAccept{kA2, {1, 0, 0}, kWritesX});
  b.deliver(kC, Recover{kC1, {4, kC}});
  b.deliver(kC, Accept{id(kC, 2), {3, kC}, false, kZero, kWritesY});
  b.install(covers_a(1));

  const auto promise = only<RecoverOk>(b.deliver(kC, Recover{kA2, {1, kC}}), 3);
  EXPECT_TRUE(promise.pre_accepted);
  EXPECT_EQ(promise.pre_accept_dependencies, (Dependencies{1, 0, 0}));
  EXPECT_EQ(only<Nack>(b.deliver(kA, Recover{kC1, {3, kA}}), 3).current, (Ballot{4, kC}));
  EXPECT_EQ(only<RecoverOk>(b.deliver(kA, Recover{id(kC, 2), {4, kA}}), 3).accepted_ballot,
            (Ballot{3, kC}));
}

TEST_F(Install, VotesStayOverTheNextStart) {
  b.deliver(kA, PreAccept{kA2, {1, 0, 0}, kWritesX});
  b.install(covers_a(1));
  const auto after = restarted(b, config(kB, 3));

  EXPECT_TRUE(only<RecoverOk>(after->deliver(kC, Recover{kA2, {1, kC}}), 3).pre_accepted);
  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Recover{kA1, {1, kC}})));
}

TEST_F(Install, OwnRoundThatIsNotCoveredGoesOn) {
  b.propose({write("z")});
  b.durable();
  EXPECT_THAT(b.install(covers_a(1)).superseded, IsEmpty());

  b.deliver(kA, PreAcceptOk{kB1, true, {}});
  EXPECT_TRUE(any<Commit>(b.durable()));
  apply_all(b);
  EXPECT_THAT(b.executed, ElementsAre(kB1));
}

// --- What is covered ---------------------------------------------------------------------------

TEST_F(Install, CoveredInstancesAreTruncatedForWhoeverAsks) {
  b.install(covers_a(1));

  EXPECT_TRUE(any<Truncated>(b.deliver(kA, PreAccept{kA1, kZero, kWritesX})));
  EXPECT_TRUE(any<Truncated>(b.deliver(kA, Accept{kA1, kInitialBallot, false, kZero, kWritesX})));
  EXPECT_TRUE(any<Truncated>(b.deliver(kC, Recover{kA1, {1, kC}})));
  EXPECT_TRUE(any<Truncated>(b.deliver(kC, Validate{kA1, {1, kC}, kZero, kWritesX})));
  EXPECT_TRUE(any<Truncated>(b.deliver(kC, Status{kA1})));
  EXPECT_TRUE(any<Truncated>(b.deliver(kC, FetchRange{kA, Slot(1), Slot(1)})));
  EXPECT_TRUE(b.deliver(kC, Commit{kA1, CommitKind::kNop, {}, {}}).empty());
  EXPECT_TRUE(b.deliver(kC, Learn{kA1, kZero, kWritesX}).empty());
  EXPECT_TRUE(b.deliver(kC, Waiting{kA1, 7}).empty());
}

TEST_F(Install, ABodyThatIsHeldIsToldAllTheSame) {
  tell_commit(b, kA, kA1);
  b.install(covers_a(2));

  EXPECT_EQ(only<Commit>(b.deliver(kC, Recover{kA1, {1, kC}}), 3).kind, CommitKind::kFull);
  EXPECT_TRUE(any<Truncated>(b.deliver(kC, Recover{kA2, {1, kC}})));
}

TEST_F(Install, WhatCoveredInstancesTouchIsInTheConflictIndex) {
  b.install(covers_a(1));
  EXPECT_EQ(vote(kC1, kZero, kWritesX), (Dependencies{1, 0, 0}));
  EXPECT_EQ(vote(id(kC, 2), kZero, kWritesY), kZero);

  const auto after = restarted(b, config(kB, 3));
  const auto again =
      only<PreAcceptOk>(after->deliver(kC, PreAccept{id(kC, 3), kZero, kWritesX}), 3);
  EXPECT_EQ(again.dependencies, (Dependencies{1, 0, 0}));
}

TEST_F(Install, ACoveredCommandIsACommittedBlocker) {
  b.install(covers_a(1));
  b.deliver(kA, Recover{kC1, {1, kA}});

  const auto answer = only<ValidateOk>(b.deliver(kA, Validate{kC1, {1, kA}, kZero, kWritesX}), 3);
  EXPECT_THAT(answer.blockers, ElementsAre(ValidationBlocker{kA1, true, false}));
}

TEST_F(Install, ACoveredNopIsNone) {
  Coverage coverage = covers_a(1);
  coverage.instances[0].nop = true;
  b.install(coverage);
  b.deliver(kA, Recover{kC1, {1, kA}});

  const auto answer = only<ValidateOk>(b.deliver(kA, Validate{kC1, {1, kA}, kZero, kWritesX}), 3);
  EXPECT_THAT(answer.blockers, IsEmpty());
  EXPECT_EQ(vote(id(kC, 2), kZero, kWritesX), (Dependencies{1, 0, 0})) << "R6";
}

TEST_F(Install, ANopOfWhichNobodyKnowsWhatItTouchesIsCovered) {
  b.install({kZero, {1, 0, 0}, {{kA1, true, std::nullopt}}});

  EXPECT_TRUE(any<Truncated>(b.deliver(kC, Recover{kA1, {1, kC}})));
  EXPECT_EQ(vote(kC1, kZero, kWritesX), kZero);
}

TEST_F(Install, OwnRoundThatIsCoveredEndsAsSuperseded) {
  b.propose({command(kTouchesX, 41)});
  b.durable();
  b.deliver(kA, Frontier{kZero, kZero, {0, 1, 0}});
  const Effects& effects = b.install({kZero, {0, 1, 0}, {{kB1, false, kTouchesX}}});

  EXPECT_THAT(effects.superseded, ElementsAre(CommandId{7, 41}));
  EXPECT_THAT(effects.rejections, IsEmpty());
  EXPECT_TRUE(b.deliver(kA, PreAcceptOk{kB1, true, {}}).empty());
  b.durable();
  b.advance(CoreConfig{}.retransmit_us * 10);
  EXPECT_FALSE(any<PreAccept>(b.effects));
  b.propose({write("z")});
  EXPECT_EQ(b.core.instances().row(kB).highest_known, Slot(2));
}

TEST_F(Install, OwnDecisionThatNeverRanHereEndsAsSuperseded) {
  b.deliver(kA, PreAccept{kA1, kZero, kWritesX});
  b.propose({command(kTouchesX, 41)});
  b.durable();
  b.deliver(kA, PreAcceptOk{kB1, true, {}});
  b.durable();
  apply_all(b);
  ASSERT_TRUE(b.instance(kB1).decided());
  ASSERT_THAT(b.executed, IsEmpty()) << "A.1 comes first";

  const Effects& effects =
      b.install({kZero, {1, 1, 0}, {{kA1, false, kTouchesX}, {kB1, false, kTouchesX}}});
  EXPECT_THAT(effects.superseded, ElementsAre(CommandId{7, 41}));
  apply_all(b);
  EXPECT_THAT(b.executed, IsEmpty());
}

// Its fast decision is on the way to the disk.
TEST_F(Install, OwnFastDecisionThatIsCoveredIsNotMadeTwice) {
  b.propose({command(kTouchesX, 41)});
  b.durable();
  b.deliver(kA, PreAcceptOk{kB1, true, {}});
  EXPECT_THAT(b.install({kZero, {0, 1, 0}, {{kB1, false, kTouchesX}}}).superseded,
              ElementsAre(CommandId{7, 41}));

  b.durable();
  apply_all(b);
  EXPECT_THAT(b.executed, IsEmpty());
  const auto after = restarted(b, config(kB, 3));
  apply_all(*after);
  EXPECT_THAT(after->executed, IsEmpty()) << "the image has executed it";
}

// One turn hands over a part of what is ready. The rest was never executed here.
TEST_F(Install, OwnCommandThatWasReadyButNeverHandedOverEndsAsSuperseded) {
  constexpr std::uint64_t kMany = 10'000;
  b.propose({command(Footprint::everything(), 41)});
  b.durable();
  for (const ReplicaId peer : {kA, kC}) {
    b.deliver(peer, PreAcceptOk{kB1, false, {kMany, 0, 0}});
  }
  b.durable();
  b.deliver(kA, AcceptOk{kB1, kInitialBallot});
  for (std::uint64_t slot = 1; slot <= kMany; ++slot) {
    tell_commit(b, kA, id(kA, slot), {slot - 1, 0, 0});
  }
  b.end_turn();
  b.apply();
  ASSERT_TRUE(b.instance(kB1).decided());
  ASSERT_LT(b.executed.size(), kMany);

  const Effects& effects =
      b.install({{kMany, 0, 0},
                 {kMany, 1, 1},
                 {{kB1, false, Footprint::everything()}, {kC1, false, kTouchesX}}});
  EXPECT_THAT(effects.superseded, ElementsAre(CommandId{7, 41}));
  b.executed.clear();
  apply_all(b);
  EXPECT_THAT(b.executed, IsEmpty());
}

TEST_F(Install, NopOfThisOwnerIsProposedAgainBeforeItsPayloadGoes) {
  b.propose({command(kTouchesX, 41)});
  b.durable();
  b.deliver(kC, Commit{kB1, CommitKind::kNop, {}, {}});
  const Effects& effects = b.install({{0, 1, 0}, {1, 1, 0}, {{kA1, false, kTouchesY}}});

  EXPECT_THAT(effects.superseded, IsEmpty());
  EXPECT_EQ(only<PreAccept>(effects, 3).instance, id(kB, 2));
  EXPECT_EQ(b.core.instances().find(kB1), nullptr);
}

// --- What is executed once more ----------------------------------------------------------------

TEST_F(Install, WhatIsExecutedAndNotCoveredIsExecutedOnceMoreInOrder) {
  tell_commit(b, kC, kC1, {1, 0, 0});
  tell_commit(b, kC, id(kC, 2), {1, 0, 1});
  tell_commit(b, kC, id(kC, 3), {0, 0, 0}, kWritesY);
  b.deliver(kA, Commit{kA1, CommitKind::kNop, {}, {}});
  apply_all(b);
  ASSERT_THAT(b.executed, ElementsAre(kC1, id(kC, 2), id(kC, 3)));

  // The image has C.1 to C.3, but neither C.5 nor what this replica executes after that.
  b.deliver(kC, PreAccept{id(kC, 4), kZero, kWritesY});
  tell_commit(b, kC, id(kC, 5), {1, 0, 2});
  tell_commit(b, kC, id(kC, 7), {1, 0, 5});
  apply_all(b);
  ASSERT_EQ(b.executed.size(), 5u);
  Coverage coverage{{1, 0, 0}, {1, 0, 4}, {}};
  for (std::uint64_t slot = 1; slot <= 4; ++slot) {
    coverage.instances.push_back({id(kC, slot), slot == 4, kTouchesX});
  }
  b.executed.clear();
  b.install(coverage);
  apply_all(b);

  EXPECT_THAT(b.executed, ElementsAre(id(kC, 5), id(kC, 7)));
  EXPECT_TRUE(any<Commit>(b.deliver(kA, Status{id(kC, 5)}))) << "its decision was never in doubt";
}

TEST_F(Install, ReadyInstancesThatAreCoveredAreNotExecuted) {
  tell_commit(b, kA, kA1);
  tell_commit(b, kA, kA2, {1, 0, 0});
  tell_commit(b, kA, id(kA, 3), {2, 0, 0});
  b.install(covers_a(2));
  apply_all(b);

  EXPECT_THAT(b.executed, ElementsAre(id(kA, 3)));
}

TEST_F(Install, InstancesAboveThePrefixAreCoveredOneByOne) {
  b.install({kZero, {1, 0, 0}, {{kA1, false, kTouchesX}, {id(kA, 3), false, kTouchesX}}});
  tell_commit(b, kA, id(kA, 4), {3, 0, 0});
  apply_all(b);
  EXPECT_THAT(b.executed, IsEmpty()) << "A.2 is not known";

  tell_commit(b, kA, kA2, {1, 0, 0}, kWritesY);
  apply_all(b);
  EXPECT_THAT(b.executed, UnorderedElementsAre(kA2, id(kA, 4)));
}

// --- The floor, and what is told ---------------------------------------------------------------

TEST_F(Install, TheFloorOfTheImageIsAdoptedAndDurable) {
  tell_commit(b, kA, kA1);
  apply_all(b);
  const Effects& effects = b.install(covers_a(3, 2));

  bool has_floor = false;
  bool erases = false;
  for (const RecordEffect& record : effects.records) {
    has_floor |= static_cast<RecordKind>(record.key.kind) == RecordKind::kFloor;
    erases |= record.change == RecordChange::kEraseThrough && record.key.row == kA &&
              record.key.slot == Slot(2);
  }
  EXPECT_TRUE(has_floor);
  EXPECT_TRUE(erases);
  EXPECT_EQ(vote(kC1, kZero, kWritesY), (Dependencies{2, 0, 0}));
  EXPECT_EQ(b.core.instances().find(kA2), nullptr);
  EXPECT_NE(b.core.instances().find(id(kA, 3)), nullptr);
}

TEST_F(Install, AFloorThatIsHigherThanThatOfTheImageStays) {
  tell_commit(b, kA, kA1);
  tell_commit(b, kA, kA2, {1, 0, 0});
  apply_all(b);
  for (const ReplicaId peer : {kA, kC}) {
    b.deliver(peer, Frontier{{2, 0, 0}, {2, 0, 0}, {2, 0, 0}});
  }
  apply_all(b);
  ASSERT_EQ(b.core.instances().find(kA2), nullptr);
  b.install(covers_a(3, 1));

  EXPECT_EQ(vote(kC1, kZero, kWritesY), (Dependencies{2, 0, 0}));
  const auto after = restarted(b, config(kB, 3));
  EXPECT_EQ(only<Frontier>(after->effects, 3).floor, (Dependencies{2, 0, 0}));
  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Status{kA2})));
}

TEST_F(Install, PeersHearOfItAtOnce) {
  b.advance(CoreConfig{}.gossip_us);
  b.install(covers_a(2));

  EXPECT_EQ(only<Frontier>(b.advance(1), 3).executed, (Dependencies{2, 0, 0}));
}

// The power fails after the image is on the disk, and before anything else.
TEST_F(Install, TheImageAloneGivesTheSameReplica) {
  b.deliver(kA, PreAccept{kA2, {1, 0, 0}, kWritesX});
  b.propose({command(kTouchesY, 41)});
  b.durable();
  b.image_on_disk =
      Subject::coded({kZero, {1, 1, 0}, {{kA1, false, kTouchesX}, {kB1, false, kTouchesY}}});
  const auto after = restarted(b, config(kB, 3));

  EXPECT_TRUE(after->core.voting());
  EXPECT_FALSE(any<PreAccept>(after->effects)) << "B.1 is executed";
  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Status{kB1})));
  EXPECT_TRUE(only<RecoverOk>(after->deliver(kC, Recover{kA2, {1, kC}}), 3).pre_accepted);
}

// --- Recoveries --------------------------------------------------------------------------------

TEST_F(Install, RecoveryOfWhatIsCoveredEnds) {
  b.deliver(kA, PreAccept{kA1, kZero, kWritesX});
  const Ballot ballot = recovers(b, kA1);
  b.durable();
  b.install(covers_a(1));

  EXPECT_TRUE(b.deliver(kC, has_matched(kA1, ballot, kZero, kWritesX)).empty());
  b.advance(CoreConfig{}.recovery_timeout_us * 10);
  EXPECT_FALSE(any<Recover>(b.effects));
}

/// B recovers A.1, and waits for C.1, of which it heard after its vote.
class CoveredBlocker : public Install {
 protected:
  CoveredBlocker() {
    b.deliver(kA, PreAccept{kA1, kZero, kWritesX});
    b.deliver(kC, PreAccept{kC1, kZero, kWritesX});
    ballot = recovers(b, kA1);
    b.durable();
    b.deliver(kC, has_matched(kA1, ballot, kZero, kWritesX));
    b.deliver(kC, ValidateOk{kA1, ballot, {}});
    EXPECT_EQ(b.count(Count::kRecoveryV7), 1u);
  }
  Accept after(const Coverage& coverage) {
    b.install(coverage);
    return only<Accept>(b.end_turn(), 3);
  }
  Ballot ballot;
};

TEST_F(CoveredBlocker, ThatWasExecutedMakesTheInstanceANop) {
  EXPECT_TRUE(after({kZero, {0, 0, 1}, {{kC1, false, kTouchesX}}}).nop);
  EXPECT_EQ(b.count(Count::kRecoveryV1), 1u);
}

TEST_F(CoveredBlocker, ThatWasANopIsResolved) {
  EXPECT_FALSE(after({kZero, {0, 0, 1}, {{kC1, true, kTouchesX}}}).nop);
  EXPECT_EQ(b.count(Count::kRecoveryV2), 1u);
}

TEST_F(CoveredBlocker, BelowTheFloorIsOutdatedAndTheRecoveryBeginsAnew) {
  b.install({{0, 0, 1}, {0, 0, 1}, {}});
  EXPECT_FALSE(any<Accept>(b.end_turn()));

  EXPECT_GT(recovers(b, kA1), ballot);
  b.durable();
  b.deliver(kC, has_matched(kA1, b.last_ballot, kZero, kWritesX));
  EXPECT_FALSE(only<Accept>(b.deliver(kC, ValidateOk{kA1, b.last_ballot, {}}), 3).nop);
}

}  // namespace
}  // namespace epaxos::protocol
