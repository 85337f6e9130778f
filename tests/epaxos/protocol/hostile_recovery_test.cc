// Peers that hold the right key and say what no replica that follows the protocol says: refused by
// name, with nothing changed, and the recovery goes on with those who do. Source: protocol.md 5 and
// 7; reliability.md.

#include <sstream>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

const Dependencies kFirst{0, 2, 0, 0, 0};
const std::vector<std::byte> kOtherValue = block_of({write("x", 2)});
const std::vector<std::byte> kNonsense(16, std::byte{0xee});

void describe(std::ostream& out, const InstanceId& which, const Instance& instance) {
  out << to_string(which) << (instance.payload_known() ? " known" : "")
      << (instance.recorded() ? " recorded " + to_string(instance.initial_dependencies()) : "")
      << (instance.pre_accepted() ? " voted " + to_string(instance.pre_accept_dependencies()) : "")
      << " promised " << to_string(instance.ballot());
  if (const Vote* const vote = instance.vote()) {
    out << " accepted " << to_string(vote->accepted_ballot)
        << (vote->nop ? " Nop" : to_string(vote->dependencies));
  }
  out << (instance.decided() ? instance.decided_nop() ? " Nop" : " decided" : "") << '\n';
}

/// Everything that a replica knows of the instances that it holds.
std::string picture(const Subject& subject) {
  std::ostringstream out;
  const InstanceTable& table = subject.core.instances();
  for (std::uint16_t row = 0; row < table.rows(); ++row) {
    const ReplicaId at(row);
    for (Slot slot = table.next_held(at, Slot(0)); slot < kNoSlot;
         slot = table.next_held(at, slot.next())) {
      describe(out, {at, slot}, *table.find({at, slot}));
    }
  }
  return out.str();
}

template <class Message>
void expect_refused(Subject& subject, ReplicaId from, const Message& message, Count why) {
  const std::string before = picture(subject);
  const std::uint64_t counted = subject.count(why);

  const Effects& effects = subject.deliver(from, message);

  EXPECT_EQ(subject.count(why), counted + 1) << "the reason has a name";
  EXPECT_TRUE(effects.records.empty());
  EXPECT_TRUE(effects.sends.empty());
  EXPECT_EQ(picture(subject), before);
}

/// D recovers A's first instance, whose proposal it has recorded.
class Recoverer : public ::testing::Test {
 protected:
  Recoverer() : d(kD, 5) {
    d.deliver(kA, PreAccept{kA1, kFirst, kBlock});
    ballot = recovers(d, kA1);
  }

  [[nodiscard]] RecoverOk matched() const { return has_matched(kA1, ballot, kFirst, kBlock); }
  /// It ends as if nothing had been said.
  void expect_to_finish() {
    d.deliver(kB, matched());
    d.deliver(kC, matched());
    d.deliver(kB, ValidateOk{kA1, ballot, {}});
    d.deliver(kC, ValidateOk{kA1, ballot, {}});
    d.deliver(kB, AcceptOk{kA1, ballot});
    d.deliver(kC, AcceptOk{kA1, ballot});
    EXPECT_EQ(d.instance(kA1).decided_dependencies(), kFirst);
  }

  Subject d;
  Ballot ballot;
};

// ---- RecoverOk ----

TEST_F(Recoverer, RefusesAVoteThatIsNotBelowTheBallot) {
  expect_refused(d, kE, and_voted(matched(), ballot, kFirst), Count::kContradictsVote);
  expect_refused(d, kE, and_voted(matched(), {ballot.round + 1, kB}, kFirst),
                 Count::kContradictsVote);
  expect_to_finish();
}

TEST_F(Recoverer, RefusesANopOfTheOwnersRound) {
  expect_refused(d, kE, and_voted(matched(), kInitialBallot, {}), Count::kContradictsVote);
  expect_to_finish();
}

TEST_F(Recoverer, RefusesAFirstVoteWithoutTheProposal) {
  RecoverOk forged = matched();
  forged.recorded = false;
  expect_refused(d, kE, forged, Count::kMalformedFrame);
  forged = matched();
  forged.vote_nop = true;
  expect_refused(d, kE, forged, Count::kMalformedFrame);
  expect_to_finish();
}

TEST_F(Recoverer, RefusesVotesThatLoseInitialDependencies) {
  expect_refused(d, kE, has_pre_accepted(kA1, ballot, kFirst, kBlock, kNone),
                 Count::kShrinksDependencies);
  expect_refused(d, kE, and_voted(matched(), kInitialBallot, kNone), Count::kShrinksDependencies);
  expect_refused(d, kE, and_voted(knows_nothing(kA1, ballot), kInitialBallot, kNone, kBlock),
                 Count::kShrinksDependencies);
  expect_to_finish();
}

TEST(HostileRecovery, RefusesAVoteThatLosesWhatItsOwnAnswerProposes) {
  Subject d(kD, 5);
  d.deliver(kB, Status{kA1});
  const Ballot ballot = recovers(d, kA1);
  const RecoverOk honest = has_matched(kA1, ballot, kFirst, kBlock);

  expect_refused(d, kE, and_voted(honest, kInitialBallot, kNone), Count::kShrinksDependencies);

  EXPECT_FALSE(d.instance(kA1).payload_known());
}

TEST_F(Recoverer, RefusesAnotherProposalThanTheRecordedOne) {
  expect_refused(d, kE, has_matched(kA1, ballot, kFirst, kOtherValue), Count::kContradictsRecord);
  expect_refused(d, kE, has_matched(kA1, ballot, {0, 3, 0, 0, 0}, kBlock),
                 Count::kContradictsRecord);
  expect_refused(d, kE, and_voted(knows_nothing(kA1, ballot), kInitialBallot, kFirst, kOtherValue),
                 Count::kContradictsRecord);
  expect_to_finish();
}

TEST_F(Recoverer, RefusesBlocksAndDependenciesThatAreNone) {
  expect_refused(d, kE, has_matched(kA1, ballot, kFirst, kNonsense), Count::kMalformedBlock);
  expect_refused(d, kE, has_matched(kA1, ballot, kFirst, {}), Count::kMalformedBlock);
  expect_refused(d, kE, has_matched(kA1, ballot, {1, 2, 0, 0, 0}, kBlock), Count::kMalformedFrame);
  expect_refused(d, kE, has_matched(kA1, ballot, {0, 2, 0}, kBlock), Count::kMalformedFrame);
  expect_to_finish();
}

TEST_F(Recoverer, RefusesAnswersThatItNeverAskedFor) {
  expect_refused(d, kE, has_matched(kE1, ballot, kNone, kBlock), Count::kStale);
  expect_refused(d, kE, has_matched(kA1, {ballot.round + 1, kD}, kFirst, kBlock), Count::kStale);
  expect_refused(d, kE, has_matched(kA1, {ballot.round, kB}, kFirst, kBlock), Count::kStale);
  expect_refused(d, kE, ValidateOk{kA1, ballot, {}}, Count::kStale);
  expect_refused(d, kE, ValidateOk{kE1, ballot, {}}, Count::kStale);
  expect_refused(d, kE, AcceptOk{kA1, ballot}, Count::kStale);
  expect_refused(d, kE, AcceptOk{kE1, {9, kD}}, Count::kStale);
  expect_to_finish();
}

TEST_F(Recoverer, RefusesContradictionsThatComeLateToo) {
  d.deliver(kB, matched());
  d.deliver(kC, matched());
  d.deliver(kB, ValidateOk{kA1, ballot, {}});

  expect_refused(d, kE, and_voted(matched(), ballot, kFirst), Count::kContradictsVote);
  expect_refused(d, kE, and_voted(matched(), kInitialBallot, kNone), Count::kShrinksDependencies);
  expect_refused(d, kA, has_matched(kA1, ballot, kFirst, kOtherValue), Count::kContradictsRecord);

  d.deliver(kC, ValidateOk{kA1, ballot, {}});
  EXPECT_FALSE(d.instance(kA1).vote()->nop);
}

TEST_F(Recoverer, ARefusedAnswerIsNoneAndATrueOneMayFollow) {
  expect_refused(d, kB, has_matched(kA1, ballot, kFirst, kOtherValue), Count::kContradictsRecord);
  expect_to_finish();
}

// ---- ValidateOk ----

TEST_F(Recoverer, RefusesValidationFromOutsideOfTheQuorum) {
  d.deliver(kB, matched());
  d.deliver(kC, matched());

  expect_refused(d, kE, ValidateOk{kA1, ballot, {{kE1, true, false}}}, Count::kStale);
  expect_refused(d, kA, ValidateOk{kA1, ballot, {}}, Count::kStale);
  d.deliver(kB, ValidateOk{kA1, ballot, {}});
  expect_refused(d, kB, ValidateOk{kA1, ballot, {{kE1, true, false}}}, Count::kStale);
  expect_refused(d, kC, ValidateOk{kA1, {ballot.round, kB}, {}}, Count::kStale);
  d.deliver(kC, ValidateOk{kA1, ballot, {}});

  EXPECT_FALSE(d.instance(kA1).vote()->nop);
}

TEST_F(Recoverer, RefusesBlockersOutsideOfTheGroup) {
  d.deliver(kB, matched());
  d.deliver(kC, matched());

  expect_refused(d, kC, ValidateOk{kA1, ballot, {{id(ReplicaId(7), 1), false, false}}},
                 Count::kMalformedFrame);
  expect_refused(d, kC, ValidateOk{kA1, ballot, {{id(kE, kSlotMax + 1), false, false}}},
                 Count::kMalformedFrame);
}

// A blocker that does not exist is waited for, asked about, and in the end decided Nop: it costs
// neither memory nor more recoveries at once than there may be.
TEST_F(Recoverer, ABlockerFarAheadCostsLittle) {
  d.deliver(kB, matched());
  d.deliver(kC, matched());
  const std::size_t before = d.core.instances().memory_bytes();
  d.deliver(kB, ValidateOk{kA1, ballot, {}});
  d.deliver(kC, ValidateOk{kA1, ballot, {{id(kE, kSlotMax), false, true}}});
  EXPECT_EQ(d.instance(kA1).vote(), nullptr);

  for (int i = 0; i < 100; ++i) {
    d.advance(CoreConfig{}.question_us);
    d.end_turn();
    EXPECT_LE(sends<Recover>(d.effects, 5).size(), CoreConfig{}.recoveries_max);
  }
  EXPECT_LE(d.core.instances().memory_bytes() - before, std::size_t{1} << 20);
}

// ---- AcceptOk, Waiting, Nack ----

TEST_F(Recoverer, RefusesVotesForTheBallotOfSomebodyElse) {
  expect_refused(d, kE, AcceptOk{kA1, {ballot.round, kB}}, Count::kNotTheBallotsOwner);
  expect_refused(d, kE, AcceptOk{kA1, kInitialBallot}, Count::kNotTheBallotsOwner);
  expect_refused(d, kE, AcceptOk{id(kD, 7), kInitialBallot}, Count::kStale);
  expect_to_finish();
}

TEST_F(Recoverer, WaitingForAnUnknownInstanceMakesNone) {
  const std::string before = picture(d);

  EXPECT_TRUE(d.deliver(kE, Waiting{id(kE, 9), 0b11111}).empty());
  EXPECT_TRUE(d.deliver(kE, Waiting{id(kE, kSlotMax), 0b00001}).empty());

  EXPECT_EQ(picture(d), before);
  expect_refused(d, kE, Waiting{kE1, 0b100000}, Count::kMalformedFrame);
  expect_to_finish();
}

TEST_F(Recoverer, WaitingForItsOwnInstanceChangesNoChoice) {
  d.deliver(kE, Waiting{kA1, 0b11111});
  expect_to_finish();
}

TEST_F(Recoverer, NacksThatItNeverProvokedChangeNothing) {
  const std::string before = picture(d);

  EXPECT_TRUE(d.deliver(kE, Nack{kE1, {3, kD}, {9, kE}}).empty());
  EXPECT_TRUE(d.deliver(kE, Nack{kA1, {ballot.round + 1, kD}, {9, kE}}).empty());
  EXPECT_TRUE(d.deliver(kE, Nack{kA1, {1, kB}, {9, kE}}).empty());
  EXPECT_TRUE(d.deliver(kE, Nack{kA1, kInitialBallot, {9, kE}}).empty());

  EXPECT_EQ(picture(d), before);
  expect_to_finish();
}

// ---- Recover and Validate ----

/// C has recorded A's first instance, and promised D.
class Acceptor : public ::testing::Test {
 protected:
  Acceptor() : c(kC, 5) {
    c.deliver(kA, PreAccept{kA1, kFirst, kBlock});
    c.deliver(kD, Recover{kA1, ballot});
  }
  Subject c;
  const Ballot ballot{3, kD};
};

TEST_F(Acceptor, RefusesBallotsThatAreNotTheSenders) {
  expect_refused(c, kE, Recover{kA1, {9, kD}}, Count::kNotTheBallotsOwner);
  expect_refused(c, kE, Recover{kE1, kInitialBallot}, Count::kNotTheBallotsOwner);
  expect_refused(c, kE, Recover{kA1, {9, kC}}, Count::kNotTheBallotsOwner);
  expect_refused(c, kE, Validate{kA1, ballot, kFirst, kBlock}, Count::kNotTheBallotsOwner);
  expect_refused(c, kA, Validate{kA1, kInitialBallot, kFirst, kBlock}, Count::kNotTheBallotsOwner);
}

TEST_F(Acceptor, RefusesBallotsThatCannotBe) {
  expect_refused(c, kE, Recover{kA1, {kBallotRoundMax + 1, kE}}, Count::kMalformedFrame);
  expect_refused(c, kE, Recover{kA1, {9, ReplicaId(7)}}, Count::kMalformedFrame);
  expect_refused(c, kE, Validate{kA1, {9, ReplicaId(7)}, kFirst, kBlock}, Count::kMalformedFrame);
}

TEST_F(Acceptor, RefusesToValidateAnotherProposal) {
  expect_refused(c, kD, Validate{kA1, ballot, kFirst, kOtherValue}, Count::kContradictsRecord);
  expect_refused(c, kD, Validate{kA1, ballot, kNone, kBlock}, Count::kContradictsRecord);
  expect_refused(c, kD, Validate{kA1, ballot, kFirst, kNonsense}, Count::kMalformedBlock);
  expect_refused(c, kD, Validate{kA1, ballot, {1, 2, 0, 0, 0}, kBlock}, Count::kMalformedFrame);

  EXPECT_TRUE(any<ValidateOk>(c.deliver(kD, Validate{kA1, ballot, kFirst, kBlock})));
}

TEST_F(Acceptor, RefusesToValidateAgainstAVote) {
  c.deliver(kB, Accept{kE1, {1, kB}, false, {0, 4, 0, 0, 0}, kBlock});
  c.deliver(kD, Recover{kE1, ballot});

  expect_refused(c, kD, Validate{kE1, ballot, kNone, kOtherValue}, Count::kContradictsRecord);
  expect_refused(c, kD, Validate{kE1, ballot, {0, 5, 0, 0, 0}, kBlock}, Count::kContradictsRecord);
}

TEST_F(Acceptor, RefusesToValidateWhatItPromisedNobody) {
  expect_refused(c, kD, Validate{kE1, ballot, kNone, kBlock}, Count::kStale);
  expect_refused(c, kE, Validate{kA1, {7, kE}, kFirst, kBlock}, Count::kStale);
}

TEST_F(Acceptor, RefusesSlotsThatCannotBe) {
  expect_refused(c, kE, Recover{id(kA, 0), {1, kE}}, Count::kMalformedFrame);
  expect_refused(c, kE, Recover{id(kA, kSlotMax + 1), {1, kE}}, Count::kMalformedFrame);
  expect_refused(c, kE, Recover{id(ReplicaId(5), 1), {1, kE}}, Count::kMalformedFrame);
}

TEST(HostileRecovery, PromisesForSlotsFarApartAreBounded) {
  CoreConfig tiny = config(kC, 5);
  tiny.held_undecided_max = 256;
  Subject c(tiny);
  for (std::uint64_t i = 1; i <= 1'000; ++i) {
    c.deliver(kE, Recover{id(kA, i << 32), {1, kE}});
  }

  EXPECT_GT(c.count(Count::kHeldUndecidedFull), 900u);
  EXPECT_LE(c.core.instances().memory_bytes(), std::size_t{1} << 20);
  expect_refused(c, kE, Recover{id(kA, 5'000), {1, kE}}, Count::kHeldUndecidedFull);
}

TEST(HostileRecovery, ARepeatedPromiseCostsNoSecondRecord) {
  Subject c(kC, 5);
  c.deliver(kE, Recover{kA1, {1, kE}});
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(c.deliver(kE, Recover{kA1, {1, kE}}).records.empty());
  }
}

}  // namespace
}  // namespace epaxos::protocol
