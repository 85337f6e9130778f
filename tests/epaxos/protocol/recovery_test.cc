// What a recoverer is promised, and its attempts: protocol.md 7.2 and 7.3, one handler at a time.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

const Dependencies kNone3{0, 0, 0};

// ---- 7.3: promises ----

TEST(Promise, IsRecordedBeforeItIsTold) {
  Subject c(kC, 3);
  c.deliver(kA, PreAccept{kA1, kNone3, kBlock});

  const Effects& effects = c.deliver(kB, Recover{kA1, {1, kB}});

  EXPECT_EQ(record_kinds(effects, kA1), std::vector{RecordKind::kVote});
  EXPECT_EQ(release_of<RecoverOk>(effects), Release::kGated);
  EXPECT_EQ(c.instance(kA1).ballot(), (Ballot{1, kB}));
  const auto answer = sends<RecoverOk>(effects, 3).at(0);
  EXPECT_EQ(answer.first, ReplicaSet::only(kB));
  EXPECT_EQ(answer.second.ballot, (Ballot{1, kB}));
}

TEST(Promise, TellsTheProposalAndTheFirstVote) {
  Subject c(kC, 3);
  c.deliver(kB, PreAccept{id(kB, 4), kNone3, kBlock});
  c.deliver(kA, PreAccept{kA1, kNone3, kBlock});

  const auto answer = only<RecoverOk>(c.deliver(kB, Recover{kA1, {1, kB}}), 3);

  EXPECT_TRUE(answer.recorded);
  EXPECT_EQ(answer.initial, kNone3);
  EXPECT_TRUE(answer.pre_accepted);
  EXPECT_EQ(answer.pre_accept_dependencies, (Dependencies{0, 4, 0}));
  EXPECT_FALSE(answer.voted);
  EXPECT_TRUE(std::ranges::equal(answer.block, Bytes(kBlock)));
}

// G4 and R1: the vote is reported with its own ballot, not with the promise.
TEST(Promise, TellsTheVoteWithTheBallotThatItWasCastAt) {
  Subject c(kC, 5);
  const Dependencies value{0, 0, 0, 3, 0};
  c.deliver(kB, Accept{kA1, {1, kB}, false, value, kBlock});
  c.deliver(kD, Recover{kA1, {4, kD}});

  const auto answer = only<RecoverOk>(c.deliver(kE, Recover{kA1, {7, kE}}), 5);

  EXPECT_TRUE(answer.voted);
  EXPECT_EQ(answer.accepted_ballot, (Ballot{1, kB}));
  EXPECT_EQ(answer.vote_dependencies, value);
  EXPECT_TRUE(std::ranges::equal(answer.block, Bytes(kBlock))) << "whoever adopts it needs it";
  EXPECT_FALSE(answer.recorded);
}

TEST(Promise, IsGivenForWhatIsUnknownAndClosesTheFirstRound) {
  Subject c(kC, 3);

  const auto answer = only<RecoverOk>(c.deliver(kB, Recover{kA1, {1, kB}}), 3);
  EXPECT_FALSE(answer.recorded || answer.pre_accepted || answer.voted);

  const Effects& late = c.deliver(kA, PreAccept{kA1, kNone3, kBlock});
  EXPECT_EQ(only<Nack>(late, 3).current, (Ballot{1, kB}));
  EXPECT_TRUE(c.instance(kA1).recorded()) << "learning is allowed at any ballot";
  EXPECT_FALSE(c.instance(kA1).pre_accepted());
}

TEST(Promise, TheSameQuestionGetsTheSameAnswerAndNoSecondRecord) {
  Subject c(kC, 3);
  c.deliver(kA, PreAccept{kA1, kNone3, kBlock});
  c.deliver(kB, Recover{kA1, {1, kB}});

  const Effects& again = c.deliver(kB, Recover{kA1, {1, kB}});

  EXPECT_TRUE(again.records.empty());
  EXPECT_EQ(release_of<RecoverOk>(again), Release::kGated) << "the record may be on its way";
  EXPECT_TRUE(only<RecoverOk>(again, 3).pre_accepted);
}

TEST(Promise, ALowerBallotIsTurnedDownWithTheHigherOne) {
  Subject c(kC, 5);
  c.deliver(kD, Recover{kA1, {2, kD}});

  const auto nack = only<Nack>(c.deliver(kB, Recover{kA1, {2, kB}}), 5);

  EXPECT_EQ(nack.heard, (Ballot{2, kB}));
  EXPECT_EQ(nack.current, (Ballot{2, kD}));
  EXPECT_EQ(c.instance(kA1).ballot(), (Ballot{2, kD}));
}

TEST(Promise, NoSecondAnswerAfterAVoteAtTheBallot) {
  Subject c(kC, 3);
  c.deliver(kB, Recover{kA1, {1, kB}});
  c.deliver(kB, Accept{kA1, {1, kB}, true, {}, {}});

  EXPECT_TRUE(c.deliver(kB, Recover{kA1, {1, kB}}).empty());
  EXPECT_EQ(c.count(Count::kStale), 1u);
}

TEST(Promise, ABallotBelongsToItsReplica) {
  Subject c(kC, 3);

  EXPECT_TRUE(c.deliver(kB, Recover{kA1, {1, kA}}).empty());
  EXPECT_TRUE(c.deliver(kB, Recover{kA1, kInitialBallot}).empty());

  EXPECT_EQ(c.count(Count::kNotTheBallotsOwner), 2u);
  EXPECT_EQ(c.core.instances().find(kA1), nullptr);
}

TEST(Promise, AnOwnerThatAnswersHasClosedItsRound) {
  Subject a(kA, 3);
  a.propose({write("x")});

  const auto answer = only<RecoverOk>(a.deliver(kC, Recover{kA1, {1, kC}}), 3);
  EXPECT_TRUE(answer.pre_accepted);
  a.durable();
  a.deliver(kB, PreAcceptOk{kA1, true, {}});
  a.durable();

  EXPECT_FALSE(a.instance(kA1).decided());
  EXPECT_EQ(a.count(Count::kStale), 1u);
  EXPECT_FALSE(any<PreAccept>(a.advance(CoreConfig{}.retransmit_us)));
}

TEST(Promise, AnOwnerThatAnswersHasClosedItsSecondRoundToo) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{kA1, false, {0, 4, 0}});
  a.durable();

  const auto answer = only<RecoverOk>(a.deliver(kC, Recover{kA1, {1, kC}}), 3);
  a.deliver(kB, AcceptOk{kA1, kInitialBallot});

  EXPECT_TRUE(answer.voted);
  EXPECT_EQ(answer.accepted_ballot, kInitialBallot);
  EXPECT_EQ(answer.vote_dependencies, (Dependencies{0, 4, 0}));
  EXPECT_FALSE(a.instance(kA1).decided());
}

// G6: an answer would say that the owner has not decided.
TEST(Promise, AnOwnerIsSilentWhileItsFastDecisionIsOnTheWayToTheDisk) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{kA1, true, {}});
  const BatchNumber decision = a.effects.batch;

  EXPECT_TRUE(a.deliver(kC, Recover{kA1, {1, kC}}).empty());
  EXPECT_EQ(a.instance(kA1).ballot(), kInitialBallot);

  Effects out;
  out.batch = decision + 5;
  a.core.durable(decision, out);
  EXPECT_EQ(only<Commit>(out, 3).kind, CommitKind::kInitial);
  EXPECT_EQ(only<Commit>(a.deliver(kC, Recover{kA1, {1, kC}}), 3).kind, CommitKind::kFull);
}

// G3 and R22.
TEST(Promise, ADecidedInstanceAnswersWithItsDecisionAndPromisesNothing) {
  Subject c(kC, 3);
  c.deliver(kA, Commit{kA1, CommitKind::kFull, {0, 2, 0}, kBlock});
  c.deliver(kB, Commit{id(kB, 1), CommitKind::kNop, {}, {}});

  const Effects& effects = c.deliver(kB, Recover{kA1, {9, kB}});
  EXPECT_EQ(only<Commit>(effects, 3).dependencies, (Dependencies{0, 2, 0}));
  EXPECT_FALSE(any<RecoverOk>(effects));
  EXPECT_EQ(c.instance(kA1).ballot(), kInitialBallot);
  EXPECT_EQ(only<Commit>(c.deliver(kA, Recover{id(kB, 1), {9, kA}}), 3).kind, CommitKind::kNop);
  EXPECT_EQ(only<Commit>(c.deliver(kB, Validate{kA1, {9, kB}, kNone3, kBlock}), 3).kind,
            CommitKind::kFull);
}

TEST(Promise, AReplicaWithoutAVoteAnswersOnlyWithDecisions) {
  CoreConfig mute = config(kC, 3);
  mute.voting = false;
  Subject c(mute);
  c.deliver(kA, Commit{kA1, CommitKind::kNop, {}, {}});

  EXPECT_TRUE(c.deliver(kB, Recover{id(kA, 2), {1, kB}}).empty());
  EXPECT_EQ(c.count(Count::kNotVoting), 1u);
  EXPECT_TRUE(any<Commit>(c.deliver(kB, Recover{kA1, {1, kB}})));
}

TEST(Promise, AFullDiskPromisesNothing) {
  Subject c(kC, 3);
  c.core.storage_full(true);

  EXPECT_TRUE(c.deliver(kB, Recover{kA1, {1, kB}}).empty());
  EXPECT_TRUE(c.deliver(kB, Validate{kA1, {1, kB}, kNone3, kBlock}).empty());
  EXPECT_EQ(c.count(Count::kStorageFull), 2u);
}

TEST(Promise, AHigherOneEndsTheOwnRecovery) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot own = recovers(d, kA1);
  const Ballot higher{own.round + 1, kB};

  EXPECT_TRUE(any<RecoverOk>(d.deliver(kB, Recover{kA1, higher})));
  d.deliver(kC, knows_nothing(kA1, own));
  d.deliver(kE, knows_nothing(kA1, own));

  EXPECT_EQ(d.instance(kA1).vote(), nullptr);
  EXPECT_EQ(d.count(Count::kStale), 2u);
}

TEST(Promise, TheOwnHigherOneTurnsOthersDown) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot own = recovers(d, kA1);

  const auto nack = only<Nack>(d.deliver(kB, Recover{kA1, {own.round, kB}}), 5);

  EXPECT_EQ(nack.current, own);
}

// ---- Attempts ----

TEST(Attempts, WhoHasNotAnsweredIsAskedAgain) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot ballot = recovers(d, kA1);
  d.deliver(kB, knows_nothing(kA1, ballot));

  const Effects& effects = d.advance(CoreConfig{}.question_us);

  const auto again = sends<Recover>(effects, 5);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].second.ballot, ballot);
  EXPECT_EQ(again[0].first, ReplicaSet::all(5).without(kD).without(kB));
}

TEST(Attempts, EachBeginsWithAHigherBallotLaterAndLater) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  Ballot before = recovers(d, kA1);
  Tick pause = 0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const Tick begin = d.now;
    const Ballot next = recovers(d, kA1);
    EXPECT_GT(next, before);
    EXPECT_EQ(next.replica, kD);
    EXPECT_GE(d.now - begin, CoreConfig{}.recovery_timeout_us << attempt);
    EXPECT_GT(d.now - begin, pause / 2);
    before = next;
    pause = d.now - begin;
  }
  EXPECT_EQ(d.count(Count::kRecoveriesRestarted), 4u);
}

// Two recoverers who each need longer than they leave the other: the waits grow, so one finishes.
TEST(Attempts, WhoIsPassedOverComesBackLaterAndLater) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  Ballot own = recovers(d, kA1);
  for (int attempt = 1; attempt <= 4; ++attempt) {
    const Ballot theirs{own.round + 1, kB};
    if (attempt % 2 == 0) {
      d.deliver(kB, Recover{kA1, theirs});
    } else {
      d.deliver(kB, Accept{kA1, theirs, true, {}, {}});
    }
    d.durable();
    const Tick begin = d.now;

    own = recovers(d, kA1);

    EXPECT_GT(own, theirs);
    EXPECT_GE(d.now - begin, CoreConfig{}.recovery_timeout_us << attempt);
  }
}

TEST(Attempts, ANackBacksOffAndTheNextBallotIsAboveIt) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot ballot = recovers(d, kA1);

  d.deliver(kE, Nack{kA1, ballot, {7, kE}});
  d.deliver(kB, knows_nothing(kA1, ballot));
  d.deliver(kC, knows_nothing(kA1, ballot));
  EXPECT_EQ(d.instance(kA1).vote(), nullptr) << "it has given up this attempt";
  EXPECT_FALSE(any<Recover>(d.advance(CoreConfig{}.question_us)));

  EXPECT_EQ(recovers(d, kA1), (Ballot{8, kD}));
}

TEST(Attempts, ANackForAnotherBallotChangesNothing) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot ballot = recovers(d, kA1);

  d.deliver(kE, Nack{kA1, {ballot.round + 5, kD}, {99, kE}});
  d.deliver(kB, knows_nothing(kA1, ballot));
  d.deliver(kC, knows_nothing(kA1, ballot));

  ASSERT_NE(d.instance(kA1).vote(), nullptr);
  EXPECT_TRUE(d.instance(kA1).vote()->nop);
}

// R26.
TEST(Attempts, AnswersToAnEarlierOneAreIgnored) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot first = recovers(d, kA1);
  d.deliver(kB, knows_nothing(kA1, first));
  const Ballot second = recovers(d, kA1);

  d.deliver(kB, knows_nothing(kA1, second));
  d.deliver(kC, knows_nothing(kA1, first));
  EXPECT_EQ(d.instance(kA1).vote(), nullptr) << "two answers to this attempt, with its own";
  EXPECT_EQ(d.count(Count::kStale), 1u);
  d.deliver(kC, knows_nothing(kA1, second));

  EXPECT_NE(d.instance(kA1).vote(), nullptr);
}

// ---- 13.2: a restart in the middle ----

TEST(RestartInRecovery, APromiseIsKept) {
  Subject before(kC, 5);
  before.deliver(kB, Recover{kA1, {3, kB}});

  const auto after = restarted(before, config(kC, 5));

  EXPECT_TRUE(any<Nack>(after->deliver(kA, PreAccept{kA1, Dependencies(5), kBlock})));
  EXPECT_EQ(only<Nack>(after->deliver(kD, Recover{kA1, {2, kD}}), 5).current, (Ballot{3, kB}));
}

TEST(RestartInRecovery, AVoteIsKeptWithItsBallotBelowALaterPromise) {
  Subject before(kC, 5);
  before.deliver(kB, Accept{kA1, {3, kB}, true, {}, {}});
  before.deliver(kD, Recover{kA1, {5, kD}});

  const auto after = restarted(before, config(kC, 5));
  const auto answer = only<RecoverOk>(after->deliver(kE, Recover{kA1, {5, kE}}), 5);

  EXPECT_TRUE(answer.voted && answer.vote_nop);
  EXPECT_EQ(answer.accepted_ballot, (Ballot{3, kB}));
}

TEST(RestartInRecovery, WhatValidationRecordedIsKept) {
  Subject before(kC, 5);
  before.deliver(kB, Recover{kA1, {3, kB}});
  before.deliver(kB, Validate{kA1, {3, kB}, Dependencies(5), kBlock});

  const auto after = restarted(before, config(kC, 5));
  const auto answer =
      only<PreAcceptOk>(after->deliver(kD, PreAccept{id(kD, 1), Dependencies(5), kBlock}), 5);

  EXPECT_EQ(answer.dependencies, (Dependencies{1, 0, 0, 0, 0})) << "R34";
}

TEST(RestartInRecovery, ARecovererBeginsAgainWithAHigherBallot) {
  Subject before(kD, 5);
  before.deliver(kB, Status{kA1});
  const Ballot first = recovers(before, kA1);

  const auto after = restarted(before, config(kD, 5));
  const Ballot second = recovers(*after, kA1);
  after->deliver(kB, knows_nothing(kA1, first));
  after->deliver(kC, knows_nothing(kA1, first));

  EXPECT_GT(second, first);
  EXPECT_EQ(after->instance(kA1).vote(), nullptr) << "those answered its former life";
}

TEST(RestartInRecovery, ARecovererThatVotedAdoptsItsOwnVote) {
  Subject before(kD, 5);
  before.deliver(kB, Status{kA1});
  const Ballot first = recovers(before, kA1);
  before.deliver(kB, knows_nothing(kA1, first));
  before.deliver(kC, knows_nothing(kA1, first));
  ASSERT_TRUE(before.instance(kA1).vote()->nop);

  const auto after = restarted(before, config(kD, 5));
  const Ballot second = recovers(*after, kA1);
  after->deliver(kB, has_matched(kA1, second, Dependencies(5), kBlock));
  after->deliver(kC, has_matched(kA1, second, Dependencies(5), kBlock));

  EXPECT_TRUE(only<Accept>(after->effects, 5).nop);
  EXPECT_EQ(after->count(Count::kRecoveryC2), 1u);
}

}  // namespace
}  // namespace epaxos::protocol
