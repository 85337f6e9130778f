// What a recoverer makes of its answers, case by case and message by message: protocol.md 7.4 to
// 7.6. The subject is D in a group of five, and recovers A's first instance with B, C and itself.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

class Choice : public ::testing::Test {
 protected:
  /// D hears that the instance exists, and asks for promises.
  Choice() : d(kD, 5) {
    d.deliver(kC, Status{kA1});
    ballot = recovers(d, kA1);
  }

  [[nodiscard]] const Vote* vote() const { return d.instance(kA1).vote(); }
  [[nodiscard]] RecoverOk nothing() const { return knows_nothing(kA1, ballot); }
  [[nodiscard]] RecoverOk matched() const { return has_matched(kA1, ballot, kNone, kBlock); }

  /// B has matched, C knows nothing: there may have been a fast decision.
  const Effects& to_validation() {
    d.deliver(kB, matched());
    return d.deliver(kC, nothing());
  }
  const Effects& validated(ReplicaId from, std::vector<ValidationBlocker> blockers = {}) {
    return d.deliver(from, ValidateOk{kA1, ballot, std::move(blockers)});
  }

  Subject d;
  Ballot ballot;
};

// ---- 7.4 ----

TEST_F(Choice, LessThanAQuorumDecidesNothing) {
  d.deliver(kB, nothing());
  d.deliver(kB, nothing());

  EXPECT_EQ(vote(), nullptr) << "an answer counts once";
  EXPECT_EQ(d.count(Count::kStale), 1u);
}

TEST_F(Choice, C1ACommitEndsIt) {
  d.deliver(kB, matched());
  d.deliver(kE, Commit{kA1, CommitKind::kFull, {0, 0, 3, 0, 0}, kBlock});

  EXPECT_EQ(d.instance(kA1).decided_dependencies(), (Dependencies{0, 0, 3, 0, 0}));
  EXPECT_EQ(d.count(Count::kRecoveryC1), 1u);
  d.deliver(kC, nothing());
  EXPECT_FALSE(any<Recover>(d.advance(10'000'000)));
  EXPECT_EQ(vote(), nullptr);
}

TEST_F(Choice, C2TheVoteAtTheHighestBallotIsProposed) {
  d.deliver(kB, and_voted(matched(), {1, kB}, Dependencies{0, 0, 3, 0, 0}));
  const Effects& effects = d.deliver(kC, and_voted(matched(), kInitialBallot, kNone));

  const auto accept = sends<Accept>(effects, 5).at(0);
  EXPECT_EQ(accept.first, ReplicaSet::all(5).without(kD));
  EXPECT_EQ(accept.second.ballot, ballot);
  EXPECT_EQ(accept.second.dependencies, (Dependencies{0, 0, 3, 0, 0}));
  EXPECT_EQ(release_of<Accept>(effects), Release::kGated);
  EXPECT_EQ(record_kinds(effects, kA1), std::vector{RecordKind::kVote});
  EXPECT_EQ(d.count(Count::kRecoveryC2), 1u);
}

TEST_F(Choice, C2TheOrderOfTheAnswersDoesNotMatter) {
  d.deliver(kC, and_voted(matched(), kInitialBallot, kNone));
  const Effects& effects = d.deliver(kB, and_voted(nothing(), {1, kB}, {}));

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
}

TEST_F(Choice, C2AVoteCountsMoreThanTheOwnersAnswer) {
  d.deliver(kA, and_voted(matched(), kInitialBallot, Dependencies{0, 0, 3, 0, 0}));
  const Effects& effects = d.deliver(kB, nothing());

  EXPECT_EQ(only<Accept>(effects, 5).dependencies, (Dependencies{0, 0, 3, 0, 0}));
  EXPECT_EQ(d.count(Count::kRecoveryC2), 1u);
}

TEST_F(Choice, C2APayloadThatOnlyAVoteTellsIsKept) {
  d.deliver(kB, and_voted(nothing(), kInitialBallot, Dependencies{0, 0, 3, 0, 0}, kBlock));
  const Effects& effects = d.deliver(kC, nothing());

  EXPECT_TRUE(std::ranges::equal(only<Accept>(effects, 5).block, Bytes(kBlock)));
  EXPECT_FALSE(d.instance(kA1).recorded()) << "nobody has told the owner's proposal";
}

TEST_F(Choice, C3AnOwnerThatHasNotVotedNeverWill) {
  d.deliver(kA, matched());
  const Effects& effects = d.deliver(kB, matched());

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryC3), 1u);
}

TEST_F(Choice, C4WithoutEnoughFirstVotesThereWasNoFastDecision) {
  d.deliver(kB, has_recorded(kA1, ballot, kNone, kBlock));
  const Effects& effects =
      d.deliver(kC, has_pre_accepted(kA1, ballot, kNone, kBlock, {0, 4, 0, 0, 0}));

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryC4), 1u);
  EXPECT_TRUE(d.instance(kA1).recorded()) << "what the answers tell is learned all the same";
}

TEST_F(Choice, C5EveryMemberOfTheQuorumValidates) {
  const Effects& effects = to_validation();

  const auto validate = sends<Validate>(effects, 5).at(0);
  EXPECT_EQ(validate.first.bits(), ReplicaSet::all(5).without(kA).without(kD).without(kE).bits());
  EXPECT_EQ(validate.second.ballot, ballot);
  EXPECT_EQ(validate.second.initial, kNone);
  EXPECT_TRUE(std::ranges::equal(validate.second.block, Bytes(kBlock)));
  EXPECT_EQ(vote(), nullptr);
  EXPECT_EQ(d.count(Count::kRecoveryC5), 1u);
}

// R28: an own first vote for more than the owner proposed is none for it.
TEST(ChoiceWithOwnVote, OnlyAFirstVoteForTheInitialDependenciesCounts) {
  Subject d(kD, 5);
  d.deliver(kB, PreAccept{id(kB, 4), kNone, kBlock});
  d.deliver(kA, PreAccept{kA1, kNone, kBlock});
  ASSERT_FALSE(d.instance(kA1).pre_accepted_initial());
  const Ballot ballot = recovers(d, kA1);

  d.deliver(kB, knows_nothing(kA1, ballot));
  d.deliver(kC, knows_nothing(kA1, ballot));

  EXPECT_EQ(d.count(Count::kRecoveryC4), 1u);
}

TEST(ChoiceWithOwnVote, TheOwnFirstVoteCounts) {
  Subject d(kD, 5);
  d.deliver(kA, PreAccept{kA1, kNone, kBlock});
  const Ballot ballot = recovers(d, kA1);

  d.deliver(kB, knows_nothing(kA1, ballot));
  d.deliver(kC, knows_nothing(kA1, ballot));

  EXPECT_EQ(d.count(Count::kRecoveryC5), 1u);
}

// ---- 7.6 ----

TEST_F(Choice, EveryMemberMustValidate) {
  to_validation();
  validated(kB);
  validated(kB);
  validated(kE);
  EXPECT_EQ(vote(), nullptr);

  validated(kC);
  EXPECT_NE(vote(), nullptr);
}

TEST_F(Choice, V2WithoutBlockersTheOwnersProposalIsProposed) {
  to_validation();
  validated(kB);
  const Effects& effects = validated(kC);

  const auto accept = only<Accept>(effects, 5);
  EXPECT_FALSE(accept.nop);
  EXPECT_EQ(accept.dependencies, kNone);
  EXPECT_TRUE(std::ranges::equal(accept.block, Bytes(kBlock)));
  EXPECT_EQ(d.count(Count::kRecoveryV2), 1u);
}

TEST_F(Choice, V1ADecisionWithoutTheInstanceExcludesIt) {
  to_validation();
  validated(kB);
  const Effects& effects = validated(kC, {{kE1, true, false}});

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryV1), 1u);
}

TEST_F(Choice, V1TheRecovererNamesOneOfAnyNumberOfDecisions) {
  for (std::uint64_t slot = 1; slot <= kBlockersMax + 1; ++slot) {
    d.deliver(kE, Commit{id(kE, slot), CommitKind::kFull, {0, 0, 0, 0, slot - 1}, kBlock});
  }
  to_validation();
  validated(kB);
  validated(kC);

  ASSERT_NE(vote(), nullptr);
  EXPECT_TRUE(vote()->nop);
  EXPECT_EQ(d.count(Count::kRecoveryV1), 1u);
}

TEST_F(Choice, V1TheOwnValidationCounts) {
  d.deliver(kE, Commit{kE1, CommitKind::kFull, kNone, kBlock});
  to_validation();
  validated(kB);
  validated(kC);

  EXPECT_EQ(d.count(Count::kRecoveryV1), 1u);
}

// Out = {C, D} because they did not match, and E because it owns the blocker.
TEST_F(Choice, V3MoreThanAFastQuorumCanMissHaveNotVotedForIt) {
  to_validation();
  validated(kB);
  const Effects& effects = validated(kC, {{kE1, false, false}});

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryV3), 1u);
}

/// B and C have matched, and B has validated and names nobody.
class Waits : public Choice {
 protected:
  Waits() {
    d.deliver(kB, matched());
    d.deliver(kC, matched());
    validated(kB);
  }
};

// Out = {D, E}: a fast quorum {A, B, C} is possible.
TEST_F(Waits, V7UndecidedBlockersAreWaitedForAndTheOthersAreTold) {
  const Effects& effects = validated(kC, {{kE1, false, false}});

  EXPECT_EQ(vote(), nullptr);
  EXPECT_EQ(d.count(Count::kRecoveryV7), 1u);
  const auto waiting = only<Waiting>(effects, 5);
  EXPECT_EQ(waiting.instance, kA1);
  EXPECT_EQ(waiting.mask, 0b00111) << "B, C and the owner voted for the proposal";
  EXPECT_EQ(d.core.instances().row(kE).highest_known, Slot(1)) << "so that it is asked about";
}

TEST_F(Waits, V7TheOthersAreToldAgainAndTheNextAttemptHasAHigherBallot) {
  validated(kC, {{kE1, false, false}});
  EXPECT_TRUE(any<Waiting>(d.advance(CoreConfig{}.question_us)));

  EXPECT_GT(recovers(d, kA1), ballot);
}

TEST_F(Waits, V7ABlockerWhoseOwnerIsSilentIsRecoveredToo) {
  validated(kC, {{kE1, false, false}});
  d.last_ballot = {};

  EXPECT_EQ(recovers(d, kE1), (Ballot{1, kD}));
}

TEST_F(Waits, V1ABlockerThatIsDecidedWithoutTheInstanceExcludesIt) {
  validated(kC, {{kE1, false, false}});
  EXPECT_EQ(d.count(Count::kRecoveryV7), 1u);
  d.deliver(kB, Commit{kE1, CommitKind::kFull, kNone, kBlock});

  EXPECT_TRUE(only<Accept>(d.end_turn(), 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryV1), 1u);
}

TEST_F(Waits, V2ABlockerThatIsDecidedWithTheInstanceIsNone) {
  validated(kC, {{kE1, false, false}});
  d.deliver(kB, Commit{kE1, CommitKind::kFull, {1, 0, 0, 0, 0}, kBlock});

  EXPECT_FALSE(only<Accept>(d.end_turn(), 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryV2), 1u);
}

TEST_F(Waits, V2ABlockerThatIsDecidedNopIsNone) {
  validated(kC, {{kE1, false, false}});
  d.deliver(kB, Commit{kE1, CommitKind::kNop, {}, {}});

  EXPECT_FALSE(only<Accept>(d.end_turn(), 5).nop);
}

TEST_F(Waits, V2NeedsEveryBlockerDecided) {
  validated(kC, {{kE1, false, false}, {id(kE, 2), false, false}});
  d.deliver(kB, Commit{kE1, CommitKind::kNop, {}, {}});
  d.end_turn();
  EXPECT_EQ(vote(), nullptr);

  d.deliver(kB, Commit{id(kE, 2), CommitKind::kNop, {}, {}});
  d.end_turn();
  EXPECT_NE(vote(), nullptr);
}

TEST_F(Waits, V2NeedsEveryBlockerDecidedInWhateverOrder) {
  validated(kC, {{kE1, false, false}, {id(kE, 2), false, false}});
  d.deliver(kB, Commit{id(kE, 2), CommitKind::kNop, {}, {}});
  d.end_turn();

  EXPECT_EQ(vote(), nullptr);
}

TEST_F(Waits, V3AMatchThatAValidationTellsOf) {
  EXPECT_TRUE(only<Accept>(validated(kC, {{kE1, false, true}}), 5).nop) << "Out = {C, D, E}";
  EXPECT_EQ(d.count(Count::kRecoveryV3), 1u);
}

TEST_F(Waits, V3AMatchThatAnotherRecovererTellsOf) {
  validated(kC, {{kE1, false, false}});
  d.deliver(kB, Waiting{kE1, 0b11000});
  d.end_turn();
  EXPECT_EQ(vote(), nullptr) << "D and E are counted already";

  d.deliver(kB, Waiting{kE1, 0b10001});
  EXPECT_TRUE(only<Accept>(d.end_turn(), 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryV3), 1u);
}

TEST_F(Waits, V3AMatchThatWasToldBeforeTheBlockerWasNamed) {
  d.deliver(kB, Waiting{kE1, 0b10001});

  EXPECT_TRUE(only<Accept>(validated(kC, {{kE1, false, false}}), 5).nop);
}

TEST_F(Waits, V4ALateVoteIsProposed) {
  validated(kC, {{kE1, false, false}});
  const Effects& effects =
      d.deliver(kE, and_voted(matched(), kInitialBallot, Dependencies{0, 0, 3, 0, 0}));

  EXPECT_EQ(only<Accept>(effects, 5).dependencies, (Dependencies{0, 0, 3, 0, 0}));
  EXPECT_EQ(d.count(Count::kRecoveryV4), 1u);
}

TEST_F(Waits, V4CountsWhileValidatingToo) {
  const Effects& effects = d.deliver(kE, and_voted(nothing(), {1, kB}, {}));

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
}

TEST_F(Waits, V5ALateOwnerWithoutAVoteNeverDecides) {
  validated(kC, {{kE1, false, false}});
  const Effects& effects = d.deliver(kA, matched());

  EXPECT_TRUE(only<Accept>(effects, 5).nop);
  EXPECT_EQ(d.count(Count::kRecoveryV5), 1u);
}

TEST_F(Waits, ALateAnswerOfAnybodyElseWithoutAVoteChangesNothing) {
  validated(kC, {{kE1, false, false}});

  EXPECT_TRUE(d.deliver(kE, matched()).sends.empty());
  EXPECT_EQ(vote(), nullptr);
}

TEST_F(Waits, V6ACommitEndsIt) {
  validated(kC, {{kE1, false, false}});
  d.deliver(kE, Commit{kA1, CommitKind::kNop, {}, {}});

  EXPECT_EQ(d.count(Count::kRecoveryV6), 1u);
  EXPECT_FALSE(any<Waiting>(d.advance(CoreConfig{}.question_us)));
}

TEST_F(Waits, AnswersToAnEarlierAttemptAreIgnored) {
  const Ballot earlier = ballot;
  ballot = recovers(d, kA1);
  d.deliver(kB, matched());
  d.deliver(kC, matched());
  ASSERT_EQ(d.count(Count::kRecoveryC5), 2u);
  validated(kB);

  d.deliver(kC, ValidateOk{kA1, earlier, {}});
  EXPECT_EQ(vote(), nullptr);
  validated(kC);
  EXPECT_EQ(vote()->accepted_ballot, ballot);
  d.deliver(kB, AcceptOk{kA1, earlier});
  d.deliver(kC, AcceptOk{kA1, earlier});

  EXPECT_FALSE(d.instance(kA1).decided());
}

TEST_F(Waits, WhoHasNotValidatedIsAskedAgain) {
  const auto again = sends<Validate>(d.advance(CoreConfig{}.question_us), 5);

  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].first, ReplicaSet::only(kC));
}

TEST_F(Waits, ANackForValidateBacksOff) {
  d.deliver(kC, Nack{kA1, ballot, {5, kE}});
  validated(kC);

  EXPECT_EQ(vote(), nullptr);
  EXPECT_EQ(recovers(d, kA1), (Ballot{6, kD}));
}

// ---- The second round of a recovery ----

class Accepts : public Waits {
 protected:
  Accepts() { validated(kC); }
};

TEST_F(Accepts, AQuorumOfVotesDecidesAndEverybodyIsTold) {
  d.deliver(kB, AcceptOk{kA1, ballot});
  d.deliver(kB, AcceptOk{kA1, ballot});
  EXPECT_FALSE(d.instance(kA1).decided()) << "an answer counts once";

  const Effects& effects = d.deliver(kE, AcceptOk{kA1, ballot});

  EXPECT_EQ(d.instance(kA1).decided_dependencies(), kNone);
  const auto commit = sends<Commit>(effects, 5).at(0);
  EXPECT_EQ(commit.first, ReplicaSet::all(5).without(kD));
  EXPECT_EQ(commit.second.kind, CommitKind::kDependencies);
  EXPECT_EQ(d.count(Count::kRecovered), 1u);
  EXPECT_EQ(record_kinds(effects, kA1), std::vector{RecordKind::kDecision});
}

TEST_F(Accepts, WhoHasNotVotedIsAskedAgain) {
  d.deliver(kB, AcceptOk{kA1, ballot});

  const auto again = sends<Accept>(d.advance(CoreConfig{}.question_us), 5);

  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].first, ReplicaSet::all(5).without(kB).without(kD));
  EXPECT_EQ(again[0].second.ballot, ballot);
}

TEST_F(Accepts, LateAnswersOfEarlierRoundsAreStale) {
  d.deliver(kE, and_voted(nothing(), {1, kB}, {}));
  validated(kE);

  EXPECT_FALSE(vote()->nop);
  EXPECT_EQ(d.count(Count::kStale), 2u);
}

TEST_F(Accepts, ANackBacksOffAndTheNextAttemptFindsTheOwnVote) {
  d.deliver(kC, Nack{kA1, ballot, {5, kE}});
  d.deliver(kB, AcceptOk{kA1, ballot});
  d.deliver(kE, AcceptOk{kA1, ballot});
  EXPECT_FALSE(d.instance(kA1).decided());

  ballot = recovers(d, kA1);
  d.deliver(kB, nothing());
  d.deliver(kA, matched());

  EXPECT_EQ(only<Accept>(d.effects, 5).dependencies, kNone);
  EXPECT_EQ(d.count(Count::kRecoveryC2), 1u);
}

TEST_F(Accepts, ANopIsToldAsOne) {
  Subject c(kC, 3);
  c.deliver(kB, Status{kA1});
  const Ballot own = recovers(c, kA1);
  c.deliver(kB, knows_nothing(kA1, own));
  const auto commit = only<Commit>(c.deliver(kB, AcceptOk{kA1, own}), 3);

  EXPECT_EQ(commit.kind, CommitKind::kNop);
  EXPECT_TRUE(c.instance(kA1).decided_nop());
}

}  // namespace
}  // namespace epaxos::protocol
