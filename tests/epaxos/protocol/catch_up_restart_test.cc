// Holes that close by asking, and what a restart may go on with: protocol.md 7.1, 13.2, 13.5, 14.6.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

using ::testing::HasSubstr;

const Tick kPatience = CoreConfig{}.question_us * 2;

TEST(CatchUp, HoleIsAskedForFromItsOwnerFirstThenFromOthers) {
  Subject c(kC, 3);
  c.deliver(kB, Frontier{{0, 0, 0}, {0, 0, 0}, {5, 0, 0}});
  c.end_turn();
  std::vector<std::pair<ReplicaSet, FetchRange>> asked;
  for (int i = 0; i < 40; ++i) {
    for (const auto& ask : sends<FetchRange>(c.advance(kPatience), 3)) asked.push_back(ask);
  }

  ASSERT_GE(asked.size(), 2u);
  EXPECT_EQ(asked[0].first, ReplicaSet::only(kA));
  EXPECT_EQ(asked[1].first, ReplicaSet::only(kB));
  EXPECT_EQ(asked[0].second.from, Slot(1));
  EXPECT_EQ(asked[0].second.to, Slot(5));
  EXPECT_LT(asked.size(), 20u) << "more and more rarely";
}

// The owner is gone and its payloads are known, so that peers decide one head after the other when
// they are asked about it. Whoever was asked for the whole range tells nothing, and somebody else
// must be: one instance a question is no way to catch up with thousands.
TEST(CatchUp, RangeIsAskedForFromTheNextPeerAlsoWhenHeadsMoveOneByOne) {
  Subject c(kC, 5);
  const auto block = block_of({write("x")});
  for (std::uint64_t slot = 1; slot <= 40; ++slot) {
    c.deliver(kB, Learn{id(kA, slot), {slot - 1, 0, 0, 0, 0}, block});
  }
  c.end_turn();

  ReplicaSet asked;
  for (std::uint64_t slot = 1; slot <= 5; ++slot) {
    bool asked_about_head = false;
    for (int i = 0; i < 10 && !asked_about_head; ++i) {
      const Effects& effects = c.advance(kPatience);
      for (const auto& ask : sends<FetchRange>(effects, 5)) asked.add(ask.first);
      asked_about_head = any<Status>(effects);
    }
    ASSERT_TRUE(asked_about_head);
    c.deliver(kB, Commit{id(kA, slot), CommitKind::kFull, {slot - 1, 0, 0, 0, 0}, block});
    c.end_turn();
  }

  EXPECT_TRUE(asked.contains(kA)) << "the owner is the first";
  EXPECT_TRUE(asked.contains(kB));
  EXPECT_TRUE(asked.contains(kD));
  EXPECT_TRUE(asked.contains(kE));
}

TEST(CatchUp, DependenciesTellWhichSlotsExist) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, PreAccept{id(kA, 1), {0, 7, 0}, block});

  EXPECT_EQ(c.core.instances().row(kB).highest_known, Slot(7));
}

TEST(CatchUp, UndecidedInstanceIsAskedAboutByStatus) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});
  c.end_turn();
  c.advance(kPatience);

  EXPECT_EQ(only<Status>(c.advance(kPatience), 3).instance, id(kA, 1));
}

TEST(CatchUp, StatusIsAnsweredByTheDecisionOrByALiveOwner) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  EXPECT_EQ(only<PreAccept>(a.deliver(kC, Status{id(kA, 1)}), 3).instance, id(kA, 1));

  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  a.durable();
  EXPECT_EQ(only<Commit>(a.deliver(kC, Status{id(kA, 1)}), 3).kind, CommitKind::kFull);

  EXPECT_TRUE(a.deliver(kC, Status{id(kB, 3)}).sends.empty())
      << "nothing is known, nothing is said";
}

TEST(CatchUp, RangeTellsDecisionsAndUndecidedProposals) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 0, 0}, block});
  c.deliver(kA, PreAccept{id(kA, 2), {1, 0, 0}, block});
  c.deliver(kB, Commit{id(kA, 3), CommitKind::kNop, {}, {}});

  const Effects& effects = c.deliver(kB, FetchRange{kA, Slot(1), Slot(99)});

  EXPECT_EQ(sends<Commit>(effects, 3).size(), 2u);
  EXPECT_EQ(only<Learn>(effects, 3).instance, id(kA, 2));
  EXPECT_FALSE(only<RangeEnd>(effects, 3).more);
}

TEST(CatchUp, LargeRangeIsCutAndAskedForAgain) {
  Subject c(kC, 3);
  const std::string big(60 * 1024, 'v');
  for (std::uint64_t slot = 1; slot <= 20; ++slot) {
    const auto block = block_of({command(Footprint::write("x"), slot, big)});
    c.deliver(kA, Commit{id(kA, slot), CommitKind::kFull, {slot - 1, 0, 0}, block});
  }
  const auto end = only<RangeEnd>(c.deliver(kB, FetchRange{kA, Slot(1), Slot(20)}), 3);
  ASSERT_TRUE(end.more);

  Subject b(kB, 3);
  b.deliver(kC, Frontier{{0, 0, 0}, {0, 0, 0}, {20, 0, 0}});
  const auto next = only<FetchRange>(b.deliver(kC, end), 3);
  EXPECT_EQ(next.from, end.next);
}

TEST(CatchUp, LearningIsNotVoting) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});

  const Effects& effects = c.deliver(kB, Learn{id(kA, 1), {0, 0, 0}, block});
  EXPECT_TRUE(effects.sends.empty());
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kRecorded});
  EXPECT_FALSE(c.instance(id(kA, 1)).pre_accepted());

  // The vote comes when the owner asks, and only to the owner.
  const Effects& vote = c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});
  EXPECT_TRUE(only<PreAcceptOk>(vote, 3).initial);
  EXPECT_EQ(record_kinds(vote, id(kA, 1)), std::vector{RecordKind::kVote});
}

TEST(CatchUp, GossipBecomesRareWhileNothingHappensAndFrequentAgain) {
  Subject a(kA, 3);
  const Tick first = CoreConfig{}.gossip_us;
  int messages = 0;
  for (int i = 0; i < 100; ++i) messages += any<Frontier>(a.advance(first)) ? 1 : 0;
  EXPECT_LT(messages, 25);
  EXPECT_GT(messages, 5);

  a.propose({write("x")});
  a.end_turn();
  EXPECT_TRUE(any<Frontier>(a.advance(first)));
}

TEST(CatchUp, PeerThatIsBehindIsToldWithoutWaiting) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.advance(CoreConfig{}.gossip_us * 3);
  a.advance(CoreConfig{}.gossip_us);
  a.advance(CoreConfig{}.gossip_us);  // Nothing happens, so its own gossip is rare by now.

  const auto news = only<Frontier>(a.deliver(kC, Frontier{{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}), 3);

  EXPECT_EQ(news.known, (Dependencies{1, 0, 0}));
}

TEST(Restart, OwnerGoesOnWithItsFirstRound) {
  Subject before(kA, 3);
  before.propose({write("x")});
  before.durable();

  const auto after = restarted(before, config(kA, 3));

  EXPECT_EQ(only<PreAccept>(after->effects, 3).instance, id(kA, 1));
  after->deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  EXPECT_EQ(only<Commit>(after->durable(), 3).kind, CommitKind::kInitial);
}

TEST(Restart, OwnerThatVotedSendsTheSameAcceptAgain) {
  Subject before(kA, 3);
  before.propose({write("x")});
  before.durable();
  before.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 4, 0}});

  const auto after = restarted(before, config(kA, 3));

  const auto accept = only<Accept>(after->effects, 3);
  EXPECT_EQ(accept.dependencies, (Dependencies{0, 4, 0}));
  EXPECT_FALSE(any<PreAccept>(after->effects)) << "its first round is over for ever";
  after->deliver(kC, AcceptOk{id(kA, 1), kInitialBallot});
  EXPECT_TRUE(after->instance(id(kA, 1)).decided());
}

TEST(Restart, OwnerDoesNotGoOnAfterAPromise) {
  Subject before(kA, 3);
  before.propose({write("x")});
  before.durable();
  before.deliver(kB, Accept{id(kA, 1), Ballot{1, kB}, true, {}, {}});

  const auto after = restarted(before, config(kA, 3));

  EXPECT_FALSE(any<PreAccept>(after->effects));
  EXPECT_FALSE(any<Accept>(after->effects));
  EXPECT_EQ(after->instance(id(kA, 1)).ballot(), (Ballot{1, kB}));
  EXPECT_TRUE(after->instance(id(kA, 1)).vote()->nop);
}

TEST(Restart, SlotsAreNeverUsedAgain) {
  Subject before(kA, 3);
  before.propose({write("x", 1), write("y", 2)});
  before.durable();

  const auto after = restarted(before, config(kA, 3));

  EXPECT_EQ(only<PreAccept>(after->propose({write("z")}), 3).instance, id(kA, 3)) << "R5";
}

TEST(Restart, StoredVoteIsAnsweredAgainNeverComputedAfresh) {
  Subject before(kC, 3);
  const auto block = block_of({write("x")});
  before.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block});
  before.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});

  const auto after = restarted(before, config(kC, 3));
  const auto equal =
      only<PreAcceptOk>(after->deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block}), 3);
  const auto differs =
      only<PreAcceptOk>(after->deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block}), 3);

  EXPECT_TRUE(equal.initial);
  EXPECT_EQ(differs.dependencies, (Dependencies{0, 1, 0}));
}

// R3 and R6: the index comes back with everything recorded, Nops included.
TEST(Restart, ConflictIndexComesBackWithNopsAndBareVotes) {
  Subject before(kC, 3);
  const auto x = block_of({write("x")});
  const auto y = block_of({write("y")});
  before.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, x});
  before.deliver(kB, Commit{id(kA, 1), CommitKind::kNop, {}, {}});
  before.deliver(kB, Accept{id(kB, 4), kInitialBallot, false, {1, 0, 0}, y});

  const auto after = restarted(before, config(kC, 3));
  const auto both = block_of({write("x"), write("y")});

  EXPECT_EQ(
      only<PreAcceptOk>(after->deliver(kA, PreAccept{id(kA, 2), {1, 0, 0}, both}), 3).dependencies,
      (Dependencies{1, 4, 0}));
}

TEST(Restart, DecidedInstancesExecuteAgainInTheSameOrder) {
  Subject before(kC, 3);
  const auto block = block_of({write("x")});
  before.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});
  before.deliver(kA, Commit{id(kA, 1), CommitKind::kInitial, {}, {}});
  before.deliver(kB, Commit{id(kB, 1), CommitKind::kFull, {1, 0, 0}, block});

  const auto after = restarted(before, config(kC, 3));
  const Effects& effects = after->end_turn();

  ASSERT_EQ(effects.executions.size(), 2u);
  EXPECT_EQ(effects.executions[0].instance, id(kA, 1));
  EXPECT_EQ(effects.executions[1].instance, id(kB, 1));
}

TEST(Restart, RecordsThatMakeNoSenseAreRefusedByName) {
  EpaxosCore core(config(kC, 3));
  Effects effects;
  const auto block = block_of({write("x")});
  const Slice other = encode(PreAccept{id(kA, 2), {0, 0, 0}, block}, effects);
  const auto key = [](RecordKind kind, ReplicaId row, std::uint64_t slot) {
    return RecordKey{static_cast<std::uint8_t>(kind), GroupId(), Epoch(), row, Slot(slot)};
  };

  const auto swapped = core.restore(key(RecordKind::kPreAccepted, kA, 1), effects.view(other));
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code, ErrorCode::kCorrupted);
  EXPECT_NE(swapped.error().message.find("R0.1"), std::string::npos);
  EXPECT_FALSE(core.restore(key(RecordKind::kVote, kA, 1), bytes_of("nonsense")));
  EXPECT_FALSE(core.restore(key(RecordKind::kDecision, kE, 1), {}));
  EXPECT_FALSE(core.restore({9, GroupId(), Epoch(), kA, Slot(1)}, {}));

  Effects decision;
  const Slice alone = encode(DecisionRecord{false, true, {}, {}}, decision);
  EXPECT_FALSE(core.restore(key(RecordKind::kDecision, kA, 1), decision.view(alone)))
      << "a decision that refers to a proposal which is not there";
}

/// What a core says of records of one instance that are restored one after the other.
class Records {
 public:
  explicit Records(ReplicaId self) : core_(config(self, 3)) {}

  template <class Record>
  std::string restore(RecordKind kind, const InstanceId& id, const Record& record) {
    Effects effects;
    const Slice value = encode(record, effects);
    const Result<void> restored =
        core_.restore({static_cast<std::uint8_t>(kind), GroupId(), Epoch(), id.row, id.slot},
                      effects.view(value));
    return restored ? "" : restored.error().message;
  }
  EpaxosCore& core() { return core_; }

 private:
  EpaxosCore core_;
};

VoteRecord first_vote(const Dependencies& dependencies) {
  VoteRecord vote;
  vote.pre_accepted = true;
  vote.pre_accept_dependencies = dependencies;
  return vote;
}

TEST(Restart, RecordsThatContradictEachOtherAreRefused) {
  const auto block = block_of({write("x")});
  const PreAccept proposal{id(kA, 1), {0, 0, 0}, block};

  Records pre_accepted(kC);
  EXPECT_EQ(pre_accepted.restore(RecordKind::kPreAccepted, id(kA, 1), proposal), "");
  EXPECT_THAT(pre_accepted.restore(RecordKind::kVote, id(kA, 1), first_vote({0, 3, 0})),
              HasSubstr("another first vote"));

  Records own(kA);
  EXPECT_EQ(own.restore(RecordKind::kRecorded, id(kA, 1), proposal), "");
  EXPECT_THAT(own.restore(RecordKind::kVote, id(kA, 1), first_vote({0, 3, 0})),
              HasSubstr("another first vote"))
      << "an owner votes for what it proposed";

  Records nop(kC);
  VoteRecord vote;
  vote.voted = vote.vote_nop = true;
  EXPECT_THAT(nop.restore(RecordKind::kVote, id(kA, 1), vote), HasSubstr("Nop"));
}

TEST(Restart, RecordsOutOfOrderAreRefused) {
  const auto block = block_of({write("x")});
  const PreAccept proposal{id(kA, 1), {0, 0, 0}, block};
  Records records(kC);

  EXPECT_EQ(records.restore(RecordKind::kDecision, id(kA, 1), DecisionRecord{true, false, {}, {}}),
            "");
  EXPECT_THAT(
      records.restore(RecordKind::kDecision, id(kA, 1), DecisionRecord{true, false, {}, {}}),
      HasSubstr("out of order"));
  EXPECT_THAT(records.restore(RecordKind::kPreAccepted, id(kA, 1), proposal),
              HasSubstr("out of order"));
}

// R5, 13.5: what a vote depends on was announced.
TEST(Restart, AVoteThatNamesAnOwnSlotShowsThatTheDiskForgotIt) {
  const auto block = block_of({write("x")});
  VoteRecord vote;
  vote.voted = true;
  vote.vote_dependencies = {7, 0, 0};
  vote.block = block;
  Records records(kA);
  EXPECT_EQ(records.restore(RecordKind::kVote, id(kB, 1), vote), "");
  Effects out;
  out.batch = 1;

  records.core().start(0, out);

  EXPECT_FALSE(records.core().voting());
}

// 13.5: peers know of a slot of ours that our disk does not.
TEST(Restart, ReplicaWhoseDiskLostSomethingStopsVoting) {
  Subject a(kA, 3);
  EXPECT_TRUE(a.core.voting());

  a.deliver(kB, Frontier{{0, 0, 0}, {0, 0, 0}, {3, 0, 0}});

  EXPECT_FALSE(a.core.voting());
  const auto block = block_of({write("x")});
  EXPECT_FALSE(any<PreAcceptOk>(a.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block})));
  EXPECT_EQ(a.propose({write("x")}).rejections.at(0).code, ErrorCode::kNotVoting);
  CoreStatus status;
  a.core.status(status);
  EXPECT_NE(status.role.find("non-voting"), std::string::npos);
}

// The gap is closed by what peers tell, and the disk looks whole. What it forgot of other rows is
// still forgotten.
TEST(Restart, ReplicaThatNoticedItsLossDoesNotVoteInItsNextLifeEither) {
  Subject a(kA, 3);
  const auto block = block_of({write("x")});

  a.deliver(kB, Learn{id(kA, 1), {0, 0, 0}, block});
  EXPECT_FALSE(a.core.voting());
  a.end_turn();
  const auto again = restarted(a, config(kA, 3));

  EXPECT_TRUE(again->instance(id(kA, 1)).recorded());
  EXPECT_FALSE(again->core.voting());
  EXPECT_EQ(again->propose({write("x")}).rejections.at(0).code, ErrorCode::kNotVoting);
}

// A walk over all slots before it would take years.
TEST(Restart, AnOwnSlotThatLiesFarAheadIsVisitedAtOnce) {
  Subject b(kB, 3);
  const auto block = block_of({write("x")});
  b.deliver(kA, Learn{id(kA, kSlotMax), {0, 0, 0}, block});

  const auto a = restarted(b, config(kA, 3));

  EXPECT_TRUE(a->instance(id(kA, kSlotMax)).recorded());
}

TEST(Restart, BehindTheLastSlotNothingIsProposed) {
  Subject b(kB, 3);
  b.deliver(kA, Learn{id(kA, kSlotMax), {0, 0, 0}, block_of({write("x")})});
  const auto a = restarted(b, config(kA, 3));

  for (int i = 0; i < 2; ++i) {
    const Effects& effects = a->propose({write("y")});
    EXPECT_TRUE(effects.records.empty());
    EXPECT_EQ(effects.rejections.at(0).code, ErrorCode::kUnavailable);
  }
}

TEST(Restart, AnOperatorMayInsistOnTheVoteAndKnownSlotsAreNeverUsedAgain) {
  CoreConfig insisting = config(kC, 3);
  insisting.unsafe_rejoin = true;
  Subject c(insisting);

  c.deliver(kA, Status{id(kC, 7)});
  const Effects& effects = c.propose({write("x")});

  EXPECT_TRUE(c.core.voting());
  EXPECT_EQ(only<PreAccept>(effects, 3).instance, id(kC, 8));
}

TEST(Restart, WhatAnEarlierLifeHasProposedIsNotOfThisOne) {
  Subject alone(kA, 1);
  alone.propose({write("x")});
  alone.durable();  // The proposal, and then
  alone.durable();  // the decision.
  alone.end_turn();
  ASSERT_EQ(alone.effects.executions.size(), 1u);
  EXPECT_TRUE(alone.effects.executions.front().own);

  const auto after = restarted(alone, config(kA, 1));
  after->end_turn();
  ASSERT_EQ(after->effects.executions.size(), 1u);
  EXPECT_FALSE(after->effects.executions.front().own);
}

}  // namespace
}  // namespace epaxos::protocol
