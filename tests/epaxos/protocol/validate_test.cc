// The acceptor's half of validation: what it records, whom it names, when it is silent. Source:
// protocol.md 7.5.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

const Dependencies kNamesA1{1, 0, 0, 0, 0};
const std::vector<std::byte> kOtherKey = block_of({write("y")});
const std::vector<std::byte> kRead = block_of({read("x")});

/// C in a group of five; D recovers A's first instance.
class Validation : public ::testing::Test {
 protected:
  Validation() : c(kC, 5) {}

  void promise() { c.deliver(kD, Recover{kA1, ballot}); }
  const Effects& validate(const Dependencies& initial = kNone) {
    return c.deliver(kD, Validate{kA1, ballot, initial, kBlock});
  }
  /// The blockers that an answer names after the promise.
  std::vector<ValidationBlocker> blockers(const Dependencies& initial = kNone) {
    promise();
    return only<ValidateOk>(validate(initial), 5).blockers;
  }

  Subject c;
  const Ballot ballot{2, kD};
};

TEST_F(Validation, RecordsTheProposalBeforeItAnswers) {
  promise();
  const Effects& effects = validate();

  EXPECT_EQ(record_kinds(effects, kA1), std::vector{RecordKind::kRecorded});
  EXPECT_EQ(release_of<ValidateOk>(effects), Release::kGated);
  EXPECT_TRUE(c.instance(kA1).recorded());
  EXPECT_FALSE(c.instance(kA1).pre_accepted()) << "its first vote was never asked for";
  EXPECT_EQ(only<ValidateOk>(effects, 5).ballot, ballot);
}

// R34.
TEST_F(Validation, WhatItRecordedCountsInLaterFirstVotes) {
  promise();
  validate();

  const auto answer = only<PreAcceptOk>(c.deliver(kE, PreAccept{kE1, kNone, kBlock}), 5);

  EXPECT_EQ(answer.dependencies, kNamesA1);
}

TEST_F(Validation, TheSameQuestionIsAnsweredAgainWithoutARecord) {
  promise();
  validate();
  const Effects& again = validate();

  EXPECT_TRUE(any<ValidateOk>(again));
  EXPECT_TRUE(again.records.empty());
}

TEST_F(Validation, WithoutAPromiseItIsIgnored) {
  EXPECT_TRUE(validate().empty());
  EXPECT_EQ(c.core.instances().find(kA1), nullptr);

  c.deliver(kD, Recover{kA1, {1, kD}});
  EXPECT_TRUE(validate().empty());
  EXPECT_EQ(c.count(Count::kStale), 2u);
}

TEST_F(Validation, ALowerBallotIsTurnedDown) {
  promise();
  c.deliver(kE, Recover{kA1, {3, kE}});

  EXPECT_EQ(only<Nack>(validate(), 5).current, (Ballot{3, kE}));
  EXPECT_FALSE(c.instance(kA1).recorded());
}

// R21: a repeated Validate after the vote that followed it.
TEST_F(Validation, AfterAVoteAtTheBallotItIsIgnored) {
  promise();
  validate();
  c.deliver(kD, Accept{kA1, ballot, true, {}, {}});

  EXPECT_TRUE(validate().empty());
  EXPECT_TRUE(c.instance(kA1).vote()->nop);
  EXPECT_EQ(c.instance(kA1).vote()->accepted_ballot, ballot);
}

TEST_F(Validation, AVoteAtALowerBallotDoesNotKeepItFromAnswering) {
  c.deliver(kB, Accept{kA1, {1, kB}, true, {}, {}});
  promise();

  EXPECT_TRUE(any<ValidateOk>(validate()));
}

// ---- Who is named ----

TEST_F(Validation, WithoutConflictsNobodyIsNamed) {
  c.deliver(kE, PreAccept{kE1, kNone, kOtherKey});
  EXPECT_TRUE(blockers().empty());
}

TEST_F(Validation, OnlyTheConflictsOfARowAreNamed) {
  c.deliver(kE, PreAccept{kE1, kNone, kOtherKey});
  c.deliver(kE, PreAccept{id(kE, 2), kNone, kBlock});

  EXPECT_EQ(blockers(), (std::vector<ValidationBlocker>{{id(kE, 2), false, true}}));
}

TEST_F(Validation, AnUndecidedConflictIsNamedWithItsMatch) {
  c.deliver(kE, PreAccept{kE1, kNone, kRead});

  EXPECT_EQ(blockers(), (std::vector<ValidationBlocker>{{kE1, false, true}}));
}

TEST_F(Validation, AnUndecidedConflictThatWasOnlyRecordedIsNamedWithoutOne) {
  c.deliver(kB, Learn{kE1, kNone, kBlock});

  EXPECT_EQ(blockers(), (std::vector<ValidationBlocker>{{kE1, false, false}}));
}

TEST_F(Validation, AFirstVoteForMoreThanWasProposedIsNoMatch) {
  c.deliver(kB, PreAccept{id(kB, 3), kNone, kBlock});
  c.deliver(kE, PreAccept{kE1, kNone, kBlock});

  EXPECT_EQ(blockers(),
            (std::vector<ValidationBlocker>{{id(kB, 3), false, true}, {kE1, false, false}}));
}

TEST_F(Validation, WhatTheProposalDependsOnIsNoBlocker) {
  c.deliver(kE, PreAccept{kE1, kNone, kBlock});
  c.deliver(kE, PreAccept{id(kE, 2), {0, 0, 0, 0, 1}, kBlock});

  EXPECT_EQ(blockers({0, 0, 0, 0, 1}), (std::vector<ValidationBlocker>{{id(kE, 2), false, true}}));
}

TEST_F(Validation, WhatWasProposedWithTheInstanceIsNoBlocker) {
  c.deliver(kE, PreAccept{kE1, kNamesA1, kBlock});

  EXPECT_TRUE(blockers().empty());
}

// Lemma 3 is about the owner's proposal: a first vote or a vote with the instance says nothing.
TEST_F(Validation, OnlyTheProposalOfAnUndecidedInstanceCounts) {
  c.deliver(kA, PreAccept{kA1, kNone, kBlock});
  c.deliver(kE, PreAccept{kE1, kNone, kBlock});
  ASSERT_EQ(c.instance(kE1).pre_accept_dependencies(), kNamesA1);
  EXPECT_EQ(blockers(), (std::vector<ValidationBlocker>{{kE1, false, false}}));

  c.deliver(kE, Accept{kE1, kInitialBallot, false, kNamesA1, kBlock});
  EXPECT_EQ(blockers(), (std::vector<ValidationBlocker>{{kE1, false, false}}));
}

TEST_F(Validation, APayloadThatOnlyAVoteToldIsNoBlocker) {
  c.deliver(kE, Accept{kE1, kInitialBallot, false, kNone, kBlock});

  EXPECT_TRUE(blockers().empty());
}

TEST_F(Validation, ADecisionWithoutTheInstanceIsNamedAsDecided) {
  c.deliver(kE, Commit{kE1, CommitKind::kFull, kNone, kBlock});

  EXPECT_EQ(blockers(), (std::vector<ValidationBlocker>{{kE1, true, false}}));
}

TEST_F(Validation, ADecisionCountsMoreThanTheProposal) {
  c.deliver(kE, PreAccept{kE1, kNone, kBlock});
  c.deliver(kE, Commit{kE1, CommitKind::kDependencies, kNamesA1, {}});

  EXPECT_TRUE(blockers().empty());
}

TEST_F(Validation, ADecidedNopIsNoBlocker) {
  c.deliver(kE, PreAccept{kE1, kNone, kBlock});
  c.deliver(kB, Commit{kE1, CommitKind::kNop, {}, {}});

  EXPECT_TRUE(blockers().empty());
}

TEST_F(Validation, MoreBlockersThanAnAnswerCanNameMeanSilence) {
  for (std::uint64_t slot = 1; slot <= kBlockersMax + 1; ++slot) {
    c.deliver(kE, Learn{id(kE, slot), {0, 0, 0, 0, slot - 1}, kBlock});
  }
  promise();

  EXPECT_FALSE(any<ValidateOk>(validate()));
  EXPECT_EQ(c.count(Count::kTooManyBlockers), 1u);
}

// Decided blockers do not go away: whoever were silent about them would be so for ever.
TEST_F(Validation, OneThatIsDecidedIsNamedAloneHoweverManyThereAre) {
  c.deliver(kD, Learn{id(kD, 1), kNone, kBlock});
  for (std::uint64_t slot = 1; slot <= kBlockersMax; ++slot) {
    c.deliver(kE, Commit{id(kE, slot), CommitKind::kFull, {0, 0, 0, 0, slot - 1}, kBlock});
  }

  const std::vector<ValidationBlocker> named = blockers();
  ASSERT_EQ(named.size(), 1u);
  EXPECT_TRUE(named[0].committed);
  EXPECT_EQ(c.count(Count::kTooManyBlockers), 0u);
}

TEST_F(Validation, AsManyBlockersAsAnAnswerCanNameAreNamed) {
  for (std::uint64_t slot = 1; slot <= kBlockersMax; ++slot) {
    c.deliver(kE, Learn{id(kE, slot), {0, 0, 0, 0, slot - 1}, kBlock});
  }

  EXPECT_EQ(blockers().size(), kBlockersMax);
}

}  // namespace
}  // namespace epaxos::protocol
