// What a peer, a full disk or an unlucky moment may cost: no input makes a core do unbounded work,
// gather unbounded effects, promise what it cannot keep, or fall silent for ever.

#include <set>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

constexpr std::uint64_t kFar = std::uint64_t{1} << 40;

/// Delivers one message many times within a single turn.
template <class Message>
void flood(Subject& subject, ReplicaId from, const Message& message, int times, Effects& turn) {
  Effects encoded;
  const Slice body = encode(message, encoded);
  const net::Frame frame{GroupId(), Epoch(), static_cast<net::FrameType>(Message::kType),
                         encoded.view(body)};
  for (int i = 0; i < times; ++i) subject.core.receive(from, frame, turn);
}

// A peer hears of a slot only after it is durable here. A slot that was taken back must therefore
// never be told, or its echo would look like a disk that has forgotten it (13.5).
TEST(Bounds, ASlotThatWasRefusedIsToldToNobody) {
  CoreConfig tiny = config(kA, 3);
  tiny.held_undecided_max = 64;
  Subject a(tiny);
  std::vector<Proposal> many;
  for (std::uint64_t i = 1; i <= 70; ++i) many.push_back(write("x", i));
  const Effects& effects = a.propose(many);
  const std::size_t refused = effects.rejections.size();
  ASSERT_GT(refused, 0u);
  EXPECT_EQ(effects.rejections[0].code, ErrorCode::kOverloaded);

  const auto gossip = only<Frontier>(a.advance(tiny.gossip_us * 8), 3);
  EXPECT_EQ(gossip.known[kA], Slot(70 - refused));
  a.deliver(kB, Frontier{Dependencies(3), Dependencies(3), gossip.known});

  EXPECT_TRUE(a.core.voting()) << "it heard its own words and took them for a lost disk";
}

// The one peer that can fill the hole may have been away for a long time.
TEST(Bounds, WhatIsDecidedIsNotHeldUndecidedHoweverLongARowIs) {
  InstanceTable table(1);
  table.limit_held_undecided(1);
  for (std::uint64_t slot = 1; slot <= 300; ++slot) {
    const InstanceId id{ReplicaId(0), Slot(slot)};
    ASSERT_NE(table.find_or_add(id), nullptr) << slot;
    table.note_decided(id);
  }
}

// What is heard of the newest slots while a replica catches up may fill all the room there is.
TEST(Bounds, TheFirstUndecidedSlotFindsRoomWhateverIsHeldBehindIt) {
  InstanceTable table(1);
  table.limit_held_undecided(1);
  ASSERT_NE(table.find_or_add({ReplicaId(0), Slot(640)}), nullptr);
  EXPECT_EQ(table.find_or_add({ReplicaId(0), Slot(320)}), nullptr);
  for (std::uint64_t slot = 1; slot <= 639; ++slot) {
    const InstanceId id{ReplicaId(0), Slot(slot)};
    Instance* const instance = table.find_or_add(id);
    ASSERT_NE(instance, nullptr) << slot;
    instance->decide_nop();
    table.note_decided(id);
  }
}

TEST(Bounds, AHoleIsAskedForFromEveryPeerForEver) {
  Subject c(kC, 5);
  c.deliver(kB, Frontier{Dependencies(5), Dependencies(5), {5, 0, 0, 0, 0}});
  c.end_turn();
  for (int i = 0; i < 2'000; ++i) c.advance(CoreConfig{}.question_us * 8);

  std::map<std::uint16_t, int> asked;
  for (int i = 0; i < 200; ++i) {
    for (const auto& ask : sends<FetchRange>(c.advance(CoreConfig{}.question_us * 8), 5)) {
      ++asked[ask.first.bits()];
    }
  }

  EXPECT_EQ(asked.size(), 4u) << "the owner and every other peer";
}

TEST(Bounds, AFloodOfQuestionsIsAnsweredOnlyInPart) {
  Subject c(kC, 3);
  const std::string big(256 * 1024, 'v');
  const auto block = block_of({command(Footprint::write("x"), 1, big)});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 0, 0}, block});

  Effects turn;
  flood(c, kB, Status{id(kA, 1)}, 400, turn);
  flood(c, kB, FetchRange{kA, Slot(1), Slot(1)}, 400, turn);

  EXPECT_LT(turn.bytes(), std::size_t{128} * 1024 * 1024);
  EXPECT_GT(c.count(Count::kTurnFull), 0u);
  EXPECT_TRUE(any<Commit>(c.deliver(kB, Status{id(kA, 1)}))) << "the next turn answers again";
}

TEST(Bounds, ATurnThatIsFullTakesNoProposals) {
  Subject a(kA, 3);
  const std::string big(250 * 1024, 'v');
  std::vector<Proposal> many;
  for (std::uint64_t i = 1; i <= 400; ++i) {
    many.push_back(command(Footprint::write("x"), i, big));
  }

  const Effects& effects = a.propose(many);

  EXPECT_LT(effects.bytes(), std::size_t{128} * 1024 * 1024);
  ASSERT_FALSE(effects.rejections.empty());
  EXPECT_EQ(effects.rejections[0].code, ErrorCode::kOverloaded);
}

TEST(Bounds, WhatIsDueAgainIsSpreadOverTurns) {
  Subject a(kA, 3);
  const std::string big(250 * 1024, 'v');
  for (std::uint64_t i = 1; i <= 300; ++i) {
    a.propose({command(Footprint::write("k" + std::to_string(i)), i, big)});
  }

  const Effects& effects = a.advance(CoreConfig{}.retransmit_us);
  EXPECT_LT(effects.bytes(), std::size_t{70} * 1024 * 1024);
  std::size_t again = sends<PreAccept>(effects, 3).size();
  EXPECT_LE(a.core.next_deadline(), a.now) << "the rest is due at once";
  again += sends<PreAccept>(a.advance(0), 3).size();

  EXPECT_EQ(again, 300u);
}

TEST(Bounds, WhatIsOpenAfterARestartIsSpreadOverTurns) {
  Subject before(kA, 3);
  const std::string big(250 * 1024, 'v');
  for (std::uint64_t i = 1; i <= 300; ++i) {
    before.propose({command(Footprint::write("k" + std::to_string(i)), i, big)});
  }

  const auto after = restarted(before, config(kA, 3));
  EXPECT_LT(after->effects.bytes(), std::size_t{70} * 1024 * 1024);

  std::set<InstanceId> again;
  const auto note = [&](const Effects& effects) {
    for (const auto& [unused, sent] : sends<PreAccept>(effects, 3)) again.insert(sent.instance);
  };
  note(after->effects);
  note(after->advance(CoreConfig{}.retransmit_us));
  note(after->advance(0));
  EXPECT_EQ(again.size(), 300u);
}

// Somebody claims slots that do not exist: nobody holds them, so the answer ends at once.
TEST(Bounds, ARangeEndsWhereNothingMoreIsHeld) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 0, 0}, block});
  c.deliver(kB, Frontier{Dependencies(3), Dependencies(3), {kFar, 0, 0}});

  const Effects& effects = c.deliver(kB, FetchRange{kA, Slot(1), Slot(1 << 14)});

  EXPECT_TRUE(any<Commit>(effects));
  EXPECT_FALSE(only<RangeEnd>(effects, 3).more);
}

TEST(Bounds, ARangeSkipsSlotsOfWhichNothingIsHeld) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 0, 0}, block});
  c.deliver(kA, PreAccept{id(kA, kFar), {0, 0, 0}, block});

  const auto end = only<RangeEnd>(c.deliver(kB, FetchRange{kA, Slot(1), Slot(1 << 14)}), 3);

  EXPECT_TRUE(end.more);
  EXPECT_LE(end.next, Slot(kFar));
  EXPECT_GT(end.next, Slot(kFar - 64));
}

// Otherwise every repeated message would start one more chain of questions beside the first.
TEST(Bounds, ARepeatedEndOfARangeAsksNothing) {
  Subject b(kB, 3);
  b.deliver(kC, Frontier{Dependencies(3), Dependencies(3), {100, 0, 0}});
  EXPECT_TRUE(any<FetchRange>(b.deliver(kC, RangeEnd{kA, Slot(40), true})));

  EXPECT_FALSE(any<FetchRange>(b.deliver(kC, RangeEnd{kA, Slot(40), true})));
  EXPECT_FALSE(any<FetchRange>(b.deliver(kC, RangeEnd{kA, Slot(20), true})));
  EXPECT_TRUE(any<FetchRange>(b.deliver(kC, RangeEnd{kA, Slot(80), true})));
}

TEST(Bounds, ABatchStopsAtTheKeysOfAnInstance) {
  CoreConfig batching = config(kA, 3);
  batching.batch_commands_max = 100;
  Subject a(batching);
  const auto many_keys = [](std::uint64_t first) {
    std::vector<Access> accesses;
    for (std::uint64_t i = 0; i < 10'000; ++i) accesses.push_back(Access::write((first + i) << 1));
    return Footprint::of(std::move(accesses));
  };

  const Effects& effects =
      a.propose({command(many_keys(0), 1), command(many_keys(10'000), 2), write("x", 3)});

  EXPECT_TRUE(effects.rejections.empty()) << effects.rejections[0].reason;
  EXPECT_EQ(a.count(Count::kProposedInstances), 2u);
}

TEST(Bounds, ABatchStopsAtTheBytesOfAnInstance) {
  CoreConfig batching = config(kA, 3);
  batching.batch_commands_max = 100;
  batching.batch_bytes_max = 4 * kBlockBytesMax;
  Subject a(batching);
  const std::string big(250 * 1024, 'v');
  std::vector<Proposal> three;
  for (std::uint64_t i = 1; i <= 3; ++i) three.push_back(command(Footprint::write("x"), i, big));

  const Effects& effects = a.propose(three);

  EXPECT_TRUE(effects.rejections.empty()) << effects.rejections[0].reason;
  EXPECT_EQ(a.count(Count::kProposedInstances), 2u);
}

// Every value of an instance includes its initial dependencies (lemma 4). A proposal that is at
// odds with a vote would make records that no restart accepts.
TEST(Bounds, AProposalAtOddsWithAVoteIsRefused) {
  for (const bool by_learning : {false, true}) {
    Subject c(kC, 3);
    const auto block = block_of({write("x")});
    c.deliver(kA, Accept{id(kA, 1), kInitialBallot, false, {0, 2, 0}, block});

    if (by_learning) {
      c.deliver(kB, Learn{id(kA, 1), {0, 5, 0}, block});
    } else {
      c.deliver(kA, PreAccept{id(kA, 1), {0, 5, 0}, block});
    }

    EXPECT_EQ(c.count(Count::kContradictsRecord), 1u);
    const auto after = restarted(c, config(kC, 3));
    EXPECT_EQ(after->instance(id(kA, 1)).vote()->dependencies, (Dependencies{0, 2, 0}));
  }
}

// While the disk is full nothing gated leaves, so whatever is said piles up until there is room.
TEST(Bounds, AFullDiskMeansSilenceOfEveryKind) {
  Subject a(kA, 3);
  const auto block = block_of({write("x")});
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, Commit{id(kB, 1), CommitKind::kFull, {0, 0, 0}, block});
  a.core.storage_full(true);

  EXPECT_TRUE(a.deliver(kC, Status{id(kB, 1)}).empty());
  EXPECT_TRUE(a.deliver(kC, FetchRange{kB, Slot(1), Slot(9)}).empty());
  EXPECT_TRUE(a.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block}).empty());
  EXPECT_TRUE(a.deliver(kB, Accept{id(kB, 1), kInitialBallot, false, {0, 0, 0}, block}).empty());
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(a.advance(CoreConfig{}.retransmit_us).empty());
    EXPECT_GT(a.core.next_deadline(), a.now) << "and it does not spin";
  }

  a.core.storage_full(false);
  bool proposed_again = false;
  bool gossiped = false;
  for (int i = 0; i < 100; ++i) {
    const Effects& effects = a.advance(CoreConfig{}.retransmit_us);
    proposed_again |= any<PreAccept>(effects);
    gossiped |= any<Frontier>(effects);
  }
  EXPECT_TRUE(proposed_again);
  EXPECT_TRUE(gossiped);
}

// Each of them begins again after a time of its own, which chance has drawn, and a turn looks at
// all of them: with a turn for each, a replica does nothing else.
TEST(Bounds, ManyRecoveriesShareTheTurnsInWhichSomethingIsDue) {
  constexpr std::uint64_t kMany = 400;
  const CoreConfig defaults;
  Subject b(kB, 5);
  b.deliver(kC, Status{id(kA, kMany)});
  const Ballot own = recovers(b, kA1);
  for (std::uint64_t slot = 1; slot <= kMany; ++slot) {
    b.deliver(kC, Nack{id(kA, slot), own, {own.round + 1, kC}});
  }
  ASSERT_EQ(b.count(Count::kRecoveriesStarted), kMany);

  const Tick patience = 4 * defaults.recovery_timeout_us;  // The longest of a second attempt.
  const Tick end = b.now + patience + defaults.question_us;
  int turns = 0;
  for (b.end_turn(); b.core.next_deadline() <= end; b.end_turn()) {
    const Tick due = b.core.next_deadline();
    b.advance(due - std::min(due, b.now));
    ASSERT_LT(++turns, 1'000'000) << "time stands still";
  }

  EXPECT_GE(b.count(Count::kRecoveriesRestarted), kMany) << "none is forgotten";
  EXPECT_LT(turns, 200);
}

TEST(Bounds, CommandsOfANopWaitForRoomOnTheDisk) {
  Subject a(kA, 3);
  a.propose({write("x", 1)});
  a.durable();
  a.deliver(kB, Commit{id(kA, 1), CommitKind::kNop, {}, {}});
  a.core.storage_full(true);
  EXPECT_TRUE(a.end_turn().empty());
  EXPECT_GT(a.core.next_deadline(), a.now) << "and it does not spin";

  a.core.storage_full(false);
  EXPECT_EQ(only<PreAccept>(a.end_turn(), 3).instance, id(kA, 2));
}

TEST(Bounds, ABatchThatEndedAsNopIsSentAgainWhole) {
  CoreConfig batching = config(kA, 3);
  batching.batch_commands_max = 10;
  Subject a(batching);
  const auto first = only<PreAccept>(a.propose({write("x", 1), read("y", 2), write("z", 3)}), 3);
  const std::vector<std::byte> block(first.block.begin(), first.block.end());
  a.durable();
  a.deliver(kB, Commit{id(kA, 1), CommitKind::kNop, {}, {}});

  const auto again = only<PreAccept>(a.end_turn(), 3);

  EXPECT_TRUE(std::ranges::equal(again.block, block)) << "the same commands, the same footprint";
}

// 13.5: it cannot know what it voted for, so its own vote must not carry its own rounds either.
TEST(Bounds, AReplicaThatLearnsOfItsLossDecidesNothingMore) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, Frontier{Dependencies(3), Dependencies(3), {9, 0, 0}});
  ASSERT_FALSE(a.core.voting());

  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  a.durable();
  EXPECT_FALSE(a.instance(id(kA, 1)).decided());
  EXPECT_FALSE(any<PreAccept>(a.advance(CoreConfig{}.retransmit_us)));
  EXPECT_FALSE(any<PreAccept>(a.deliver(kC, Status{id(kA, 1)})));
}

// An executor that visited every slot of a claim would never come back.
TEST(Bounds, DependenciesOnSlotsThatDoNotExistCostAtMostTheRecoveriesThatMayRun) {
  Subject c(kC, 3);
  const auto block = block_of({write("x"), command(Footprint::everything(), 2)});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, kSlotMax, 0}, block});
  const std::size_t memory = c.core.instances().memory_bytes();

  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(c.advance(CoreConfig{}.question_us).executions.empty());
    EXPECT_TRUE(c.end_turn().executions.empty());
  }

  EXPECT_GT(c.count(Count::kRecoveriesStarted), 0u);
  EXPECT_LE(c.core.instances().memory_bytes(), memory + 128 * CoreConfig{}.recoveries_max);
}

}  // namespace
}  // namespace epaxos::protocol
