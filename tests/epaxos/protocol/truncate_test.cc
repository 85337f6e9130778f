// What all have executed is forgotten, and never mistaken for what nobody has heard of. Source:
// protocol.md 14.1-14.3 and 7.6.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/image_support.h"

namespace epaxos::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// The changes that erase instances.
std::vector<RecordKey> erasures(const Effects& effects) {
  std::vector<RecordKey> keys;
  for (const RecordEffect& record : effects.records) {
    if (record.change == RecordChange::kEraseThrough) keys.push_back(record.key);
  }
  return keys;
}

std::optional<Dependencies> floor_record(const Effects& effects, int n) {
  for (const RecordEffect& record : effects.records) {
    if (static_cast<RecordKind>(record.key.kind) != RecordKind::kFloor) continue;
    FloorRecord floor;
    EXPECT_TRUE(decode(effects.view(record.value), n, floor));
    return floor.floor;
  }
  return std::nullopt;
}

std::size_t records_about(const Subject& subject, const InstanceId& which) {
  return static_cast<std::size_t>(std::ranges::count_if(subject.disk, [&](const auto& record) {
    const RecordKey& key = record.first;
    return key.kind <= static_cast<std::uint8_t>(RecordKind::kDecision) && key.row == which.row &&
           key.slot == which.slot;
  }));
}

/// B of a group of three. A.1 and A.2 are executed there.
class Floors : public ::testing::Test {
 protected:
  Floors() : b(kB, 3) {
    tell_commit(b, kC, id(kA, 1));
    tell_commit(b, kC, id(kA, 2), {1, 0, 0});
    apply_all(b);
  }

  /// The last thing that A or C says.
  const Effects& says(ReplicaId from, const Dependencies& executed, const Dependencies& floor) {
    return b.deliver(from, Frontier{executed, floor, executed});
  }
  /// Everybody has executed this much, and says so in proposals: B adopts it.
  const Effects& adopts(const Dependencies& floor) {
    says(kA, floor, floor);
    return says(kC, floor, floor);
  }
  /// B's first vote for the next instance of C, which touches something else.
  Dependencies vote(std::uint64_t slot) {
    const Effects& effects = b.deliver(kC, PreAccept{id(kC, slot), kZero, kWritesY});
    const auto answer = only<PreAcceptOk>(effects, 3);
    return answer.initial ? kZero : answer.dependencies;
  }
  [[nodiscard]] bool holds(const InstanceId& which) const {
    return b.core.instances().find(which) != nullptr;
  }

  Subject b;
};

// --- Two steps ---------------------------------------------------------------------------------

TEST_F(Floors, OwnersProposeAfterWhatAllHaveExecuted) {
  says(kA, {2, 0, 0}, kZero);
  b.propose({write("z", 1)});
  EXPECT_EQ(b.instance(id(kB, 1)).initial_dependencies(), kZero) << "C has said nothing yet";

  says(kC, {1, 0, 0}, kZero);
  b.propose({write("z2", 2)});
  EXPECT_EQ(b.instance(id(kB, 2)).initial_dependencies(), (Dependencies{1, 0, 0}));
}

TEST_F(Floors, TheStatusTellsWhoKeepsItBack) {
  says(kA, {2, 0, 0}, kZero);
  says(kC, {1, 0, 0}, kZero);
  CoreStatus status;
  b.core.status(status);
  EXPECT_THAT(status.lacking, ElementsAre(0, 0, 1));
  EXPECT_GT(status.memory.bytes, 0);
}

TEST_F(Floors, AcceptorsVoteExactlyUntilAllOwnersHaveConfirmed) {
  says(kA, {2, 0, 0}, kZero);
  says(kC, {2, 0, 0}, kZero);
  EXPECT_EQ(vote(1), kZero) << "the first step";
  says(kA, {2, 0, 0}, {2, 0, 0});
  EXPECT_EQ(vote(2), kZero) << "C's proposals do not include it yet";

  says(kC, {2, 0, 0}, {1, 0, 0});
  EXPECT_EQ(vote(3), (Dependencies{1, 0, 0}));
  says(kC, {2, 0, 0}, {2, 0, 0});
  EXPECT_EQ(vote(4), (Dependencies{2, 0, 0}));
}

TEST_F(Floors, TheOwnFirstStepIsGossipedSoThatOthersMayTakeTheSecond) {
  says(kA, {2, 0, 0}, kZero);
  says(kC, {2, 0, 0}, kZero);
  b.end_turn();

  EXPECT_EQ(only<Frontier>(b.advance(16 * CoreConfig{}.gossip_us), 3).floor,
            (Dependencies{2, 0, 0}));
}

TEST_F(Floors, OwnRowOfAVoteIsLeftToItsOwner) {
  tell_commit(b, kA, kC1, kZero, kWritesY);
  apply_all(b);
  adopts({2, 0, 1});

  EXPECT_EQ(vote(2), (Dependencies{2, 0, 0}));
}

TEST_F(Floors, AnAdoptedFloorIsDurableWithTheTurnThatAdoptsIt) {
  says(kA, {2, 0, 0}, {2, 0, 0});
  EXPECT_EQ(floor_record(b.effects, 3), std::nullopt);

  EXPECT_EQ(floor_record(says(kC, {2, 0, 0}, {2, 0, 0}), 3), (Dependencies{2, 0, 0}));
  EXPECT_EQ(floor_record(says(kC, {2, 0, 0}, {2, 0, 0}), 3), std::nullopt) << "once";
}

TEST_F(Floors, AVoteIncludesTheFloorAfterARestart) {
  adopts({2, 0, 0});
  const auto after = restarted(b, config(kB, 3));

  const auto answer = only<PreAcceptOk>(after->deliver(kC, PreAccept{kC1, kZero, kWritesY}), 3);
  EXPECT_EQ(answer.dependencies, (Dependencies{2, 0, 0}));
  after->propose({write("z", 9)});
  EXPECT_EQ(after->instance(id(kB, 1)).initial_dependencies(), (Dependencies{2, 0, 0}));
}

TEST_F(Floors, AStoredVoteIsRepeatedAsItWas) {
  EXPECT_EQ(vote(1), kZero);
  adopts({2, 0, 0});

  EXPECT_EQ(vote(1), kZero) << "it was given when the index was exact";
}

TEST_F(Floors, ADeadMemberKeepsEverythingWhereItIs) {
  for (int round = 0; round < 20; ++round) {
    says(kA, {2, 0, 0}, {2, 0, 0});
    b.advance(CoreConfig{}.gossip_us);
    apply_all(b);
  }

  EXPECT_EQ(b.count(Count::kFloorsRaised), 0u);
  EXPECT_TRUE(holds(id(kA, 1)));
}

TEST_F(Floors, NothingIsDroppedThatIsNotExecutedHere) {
  says(kA, {9, 0, 4}, {2, 0, 0});
  b.deliver(kC, Frontier{{9, 0, 4}, {2, 0, 0}, {9, 0, 4}});
  b.propose({write("z")});

  EXPECT_EQ(b.instance(id(kB, 1)).initial_dependencies(), (Dependencies{2, 0, 0}));
}

TEST(FloorOfOne, AGroupOfOneForgetsWhatItHasApplied) {
  Subject a(kA, 1);
  a.propose({write("x")});
  a.durable();
  a.durable();
  apply_all(a);
  a.advance(2 * CoreConfig{}.gossip_us);
  apply_all(a);

  EXPECT_EQ(a.core.instances().find(kA1), nullptr);
  EXPECT_EQ(a.count(Count::kDroppedInstances), 1u);
  a.propose({write("x", 2)});
  EXPECT_EQ(a.instance(id(kA, 2)).initial_dependencies(), (Dependencies{1}));
  a.durable();
  a.durable();
  apply_all(a);
  EXPECT_THAT(a.executed, ElementsAre(id(kA, 1), id(kA, 2)));
}

// --- Dropped, and erased -----------------------------------------------------------------------

TEST_F(Floors, WhatIsExecutedIsHeldUntilItIsApplied) {
  tell_commit(b, kC, id(kA, 3), {2, 0, 0});
  b.end_turn();
  adopts({3, 0, 0});
  b.end_turn();
  EXPECT_FALSE(holds(id(kA, 2)));
  EXPECT_TRUE(holds(id(kA, 3))) << "its host reads the block";

  b.apply();
  b.end_turn();
  EXPECT_FALSE(holds(id(kA, 3)));
}

TEST_F(Floors, RecordsStayUntilAnImageCoversThem) {
  adopts({2, 0, 0});
  apply_all(b);
  EXPECT_FALSE(holds(id(kA, 2)));
  EXPECT_THAT(erasures(b.effects), IsEmpty());

  b.keep_image();
  EXPECT_THAT(erasures(b.end_turn()), SizeIs(4)) << "one a kind of records of instances";
  for (const RecordKey& key : erasures(b.effects)) {
    EXPECT_EQ(key.row, kA);
    EXPECT_EQ(key.slot, Slot(2));
    EXPECT_LE(key.kind, static_cast<std::uint8_t>(RecordKind::kDecision));
  }
  b.end_turn();
  EXPECT_EQ(records_about(b, id(kA, 1)) + records_about(b, id(kA, 2)), 0u);
}

TEST_F(Floors, RecordsAboveTheImageStay) {
  b.keep_image();
  tell_commit(b, kC, id(kA, 3), {2, 0, 0});
  apply_all(b);
  adopts({3, 0, 0});
  apply_all(b);
  b.end_turn();

  EXPECT_FALSE(holds(id(kA, 3)));
  EXPECT_EQ(records_about(b, id(kA, 2)), 0u);
  EXPECT_GT(records_about(b, id(kA, 3)), 0u) << "the next start executes it again";
}

TEST_F(Floors, RecordsAboveTheFloorStay) {
  b.keep_image();
  adopts({1, 0, 0});
  apply_all(b);
  b.end_turn();

  EXPECT_EQ(records_about(b, id(kA, 1)), 0u);
  EXPECT_GT(records_about(b, id(kA, 2)), 0u) << "others may still ask";
}

TEST_F(Floors, AFullDiskRaisesNoFloor) {
  b.core.storage_full(true);
  adopts({2, 0, 0});
  apply_all(b);
  EXPECT_TRUE(holds(id(kA, 1)));

  b.core.storage_full(false);
  adopts({2, 0, 0});
  apply_all(b);
  EXPECT_FALSE(holds(id(kA, 1)));
}

TEST_F(Floors, CommandsOfANopAreProposedAgainBeforeTheyGo) {
  b.propose({write("z", 77)});
  b.durable();
  b.deliver(kC, Commit{id(kB, 1), CommitKind::kNop, {}, {}});
  adopts({2, 1, 0});

  const auto again = only<PreAccept>(b.end_turn(), 3);

  EXPECT_EQ(again.instance, id(kB, 2));
  EXPECT_EQ(again.initial, (Dependencies{2, 1, 0}));
  EXPECT_TRUE(std::ranges::equal(again.block, block_of({write("z", 77)})));
  EXPECT_FALSE(holds(id(kB, 1)));
}

TEST_F(Floors, CommandsOfANopStayWhileATurnHasNoRoomForThem) {
  b.propose({write("z", 77)});
  b.durable();
  b.deliver(kC, Commit{id(kB, 1), CommitKind::kNop, {}, {}});
  adopts({2, 1, 0});
  const std::string large(480 * 1024, 'v');
  std::vector<Proposal> many;
  for (std::uint64_t i = 0; i < 140; ++i) {
    many.push_back(command(Footprint::write(std::to_string(i)), 100 + i, large));
  }
  b.propose(many);
  b.core.end_of_turn(b.effects);
  ASSERT_TRUE(holds(id(kB, 1))) << "the turn was full";
  ASSERT_EQ(b.count(Count::kResubmitted), 0u);

  b.end_turn();
  EXPECT_EQ(b.count(Count::kResubmitted), 1u);
  EXPECT_FALSE(holds(id(kB, 1)));
}

// --- Messages about what is gone (G2, R9) ------------------------------------------------------

/// Before it is dropped and after that.
class Gone : public Floors, public ::testing::WithParamInterface<bool> {
 protected:
  Gone() {
    adopts({2, 0, 0});
    if (GetParam()) apply_all(b);
    EXPECT_EQ(holds(kA1), !GetParam());
  }
  template <class Message>
  void is_truncated(ReplicaId from, const Message& message) {
    const Effects& effects = b.deliver(from, message);
    const auto answer = only<Truncated>(effects, 3);
    EXPECT_EQ(answer.instance, id(kA, 2));
    EXPECT_EQ(answer.floor, (Dependencies{2, 0, 0}));
    EXPECT_EQ(release_of<Truncated>(effects), Release::kGated) << "its floor may not be durable";
    EXPECT_THAT(effects.records, IsEmpty());
    EXPECT_EQ(effects.sends.size(), 1u);
    EXPECT_EQ(effects.sends[0].to, ReplicaSet::only(from).bits());
  }
  template <class Message>
  void is_ignored(ReplicaId from, const Message& message) {
    EXPECT_TRUE(b.deliver(from, message).empty()) << static_cast<int>(Message::kType);
    EXPECT_EQ(holds(kA1), !GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(HeldAndDropped, Gone, ::testing::Bool());

TEST_P(Gone, WhoeverAsksIsToldThatItIsTruncated) {
  const InstanceId gone = id(kA, 2);
  is_truncated(kA, PreAccept{gone, {1, 0, 0}, kWritesX});
  is_truncated(kA, Accept{gone, kInitialBallot, false, {1, 0, 0}, kWritesX});
  is_truncated(kC, Accept{gone, {1, kC}, true, {}, {}});
  is_truncated(kC, Recover{gone, {1, kC}});
  is_truncated(kC, Validate{gone, {1, kC}, {1, 0, 0}, kWritesX});
  is_truncated(kC, Status{gone});
  EXPECT_EQ(b.count(Count::kTruncatedSent), 6u);
}

TEST_P(Gone, ARangeThatBeginsBelowTheFloorIsToldAsFarAsItIsHeld) {
  tell_commit(b, kC, id(kA, 3), {2, 0, 0});
  const Effects& effects = b.deliver(kC, FetchRange{kA, Slot(1), Slot(9)});

  EXPECT_EQ(only<Truncated>(effects, 3).instance, kA1);
  EXPECT_EQ(sends<Commit>(effects, 3).back().second.instance, id(kA, 3));
  EXPECT_FALSE(only<RangeEnd>(effects, 3).more);
}

TEST_P(Gone, ARangeBelowTheFloorGoesOnAboveIt) {
  tell_commit(b, kC, id(kA, 3), {2, 0, 0});
  const Effects& effects = b.deliver(kC, FetchRange{kA, Slot(1), Slot(2)});

  EXPECT_TRUE(any<Truncated>(effects));
  EXPECT_GE(only<RangeEnd>(effects, 3).next, Slot(3));
}

TEST_P(Gone, LateNewsAndAnswersAreIgnored) {
  const InstanceId gone = id(kA, 1);
  is_ignored(kC, Commit{gone, CommitKind::kNop, {}, {}});
  is_ignored(kC, Commit{gone, CommitKind::kFull, kZero, kWritesY});
  is_ignored(kC, Learn{gone, kZero, kWritesX});
  is_ignored(kC, Waiting{gone, 7});
  is_ignored(kC, PreAcceptOk{gone, true, {}});
  is_ignored(kC, AcceptOk{gone, {1, kB}});
  is_ignored(kC, Nack{gone, {1, kB}, {2, kC}});
  is_ignored(kC, knows_nothing(gone, {1, kB}));
  is_ignored(kC, ValidateOk{gone, {1, kB}, {}});
  EXPECT_EQ(b.count(Count::kDecidedNop), 0u);
}

TEST_F(Floors, AnswersToAnOwnRoundThatIsGoneAreIgnored) {
  b.propose({write("z")});
  b.durable();
  b.deliver(kA, PreAcceptOk{id(kB, 1), true, {}});
  b.durable();
  apply_all(b);
  adopts({2, 1, 0});
  apply_all(b);
  ASSERT_FALSE(holds(id(kB, 1)));

  EXPECT_TRUE(b.deliver(kC, PreAcceptOk{id(kB, 1), true, {}}).empty());
  EXPECT_TRUE(b.deliver(kC, AcceptOk{id(kB, 1), kInitialBallot}).empty());
  EXPECT_TRUE(b.deliver(kC, Nack{id(kB, 1), kInitialBallot, {3, kC}}).empty());
  b.advance(CoreConfig{}.retransmit_us * 10);
  EXPECT_FALSE(any<PreAccept>(b.effects));
}

// --- Floors that cannot be (13.5) --------------------------------------------------------------

TEST_F(Floors, WhoLacksWhatOthersMayHaveDroppedHasForgottenIt) {
  says(kC, {5, 0, 0}, {3, 0, 0});
  EXPECT_FALSE(b.core.voting());
  const Effects& turn = b.end_turn();
  EXPECT_EQ(record_kinds(turn, id(kB, 1)), std::vector{RecordKind::kMemoryLost});

  EXPECT_FALSE(any<PreAcceptOk>(b.deliver(kC, PreAccept{kC1, kZero, kWritesX})));
  EXPECT_FALSE(any<RecoverOk>(b.deliver(kC, Recover{id(kA, 4), {1, kC}})));
  EXPECT_EQ(b.propose({write("z")}).rejections.size(), 1u);
}

TEST_F(Floors, TheSameByAnAnswerToAQuestion) {
  b.deliver(kC, Truncated{id(kA, 3), {3, 0, 0}});
  EXPECT_FALSE(b.core.voting());
  EXPECT_EQ(b.count(Count::kTruncatedReceived), 1u);
}

TEST_F(Floors, WhatAForgetfulPeerSaysOfFloorsCountsForNothing) {
  b.deliver(kC, Frontier{{5, 0, 0}, {3, 0, 0}, {5, 0, 0}, /*non_voting=*/true});
  EXPECT_TRUE(b.core.voting());
}

TEST_F(Floors, AnUnsafeReplicaVotesOnButExecutesNothingNew) {
  CoreConfig unsafe = config(kB, 3);
  unsafe.unsafe_rejoin = true;
  Subject reckless(unsafe);
  reckless.deliver(kC, Frontier{{3, 0, 0}, {3, 0, 0}, {3, 0, 0}});
  EXPECT_TRUE(reckless.core.voting());

  tell_commit(reckless, kC, kA1);
  apply_all(reckless);
  EXPECT_THAT(reckless.executed, IsEmpty());
}

TEST_F(Floors, ATruncatedThatNobodyAskedForChangesNothing) {
  b.deliver(kC, Truncated{id(kA, 9), {2, 0, 0}});
  b.deliver(kC, Truncated{id(kA, kSlotMax), kZero});
  EXPECT_TRUE(b.core.voting());
  EXPECT_FALSE(b.effects.image_wish);
  EXPECT_EQ(vote(1), kZero);
}

TEST_F(Floors, AnOlderFrontierTakesNothingBack) {
  says(kA, {2, 0, 0}, {2, 0, 0});
  says(kA, {1, 0, 0}, {0, 0, 0});
  EXPECT_EQ(floor_record(says(kC, {2, 0, 0}, {2, 0, 0}), 3), (Dependencies{2, 0, 0}));
}

TEST_F(Floors, APeerThatLostItsMemoryBeginsAgainWithLess) {
  says(kA, {2, 0, 0}, {2, 0, 0});
  b.deliver(kA, Frontier{{1, 0, 0}, kZero, {2, 0, 0}, /*non_voting=*/true});

  EXPECT_EQ(floor_record(says(kC, {2, 0, 0}, {2, 0, 0}), 3), (Dependencies{1, 0, 0}));
}

TEST_F(Floors, AFloorOfSlotsThatDoNotExistMovesNothing) {
  says(kA, {kSlotMax, kSlotMax, kSlotMax}, kZero);
  b.deliver(kC, Frontier{{2, 0, kSlotMax}, kZero, {2, 0, 0}});
  b.propose({write("z")});
  EXPECT_FALSE(b.core.voting()) << "its own row has slots that it never used";
  EXPECT_EQ(b.count(Count::kFloorsRaised), 0u);
}

}  // namespace
}  // namespace epaxos::protocol
