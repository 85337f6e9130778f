// The way of a command, leaders that change, replicas that were away.

#include <random>

#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

using ::testing::IsSubsetOf;
using ::testing::SizeIs;

/// So many executed entries stay in memory.
CoreConfig forgetting(std::uint64_t held_executed_max) {
  CoreConfig config;
  config.held_executed_max = held_executed_max;
  return config;
}

TEST(MultiPaxos, ALeaderNeedsOneRoundTripAnEntry) {
  Group group(3);
  group.make_leader(0);

  group.propose(0, 1);
  EXPECT_EQ(group.on_their_way(MessageType::kAccept), 2u);
  EXPECT_EQ(group.on_their_way(MessageType::kPrepare), 0u);
  group.deliver(0);
  group.deliver(0);
  EXPECT_EQ(group.on_their_way(MessageType::kAccepted), 2u);
  group.deliver(0);

  EXPECT_EQ(group[0].executed, commands(1, 1));
  group.deliver_all();
  EXPECT_EQ(group[1].executed, commands(1, 1)) << "it is told at once, not by the next entry";
}

TEST(MultiPaxos, AGroupOfOneLeadsAtOnce) {
  Group group(1);
  group.pass(0);

  group.propose(0, 1);

  EXPECT_EQ(group[0].executed, commands(1, 1));
}

TEST(MultiPaxos, CommandsOfAllReplicasAreExecutedOnceInOneOrderEverywhere) {
  Group group(5);
  group.make_leader(2);
  for (std::uint64_t number = 1; number <= 50; ++number) {
    group.propose(static_cast<int>(number % 5), number);
    if (number % 7 == 0) group.deliver_all();
  }

  group.settle(kSecond);

  EXPECT_THAT(group[0].executed, ::testing::UnorderedElementsAreArray(commands(1, 50)));
  for (int i = 1; i < 5; ++i) EXPECT_EQ(group[i].executed, group[0].executed);
}

TEST(MultiPaxos, AnAcceptLeavesBeforeTheDiskAndTheOwnVoteCountsAfterIt) {
  Group group(3);
  group.make_leader(0);
  group[0].lags = true;
  group[2].lose_power();

  group.propose(0, 1);
  EXPECT_EQ(group.on_their_way(MessageType::kAccept), 2u);
  group.deliver_all();

  EXPECT_TRUE(group[0].executed.empty()) << "two of three have not voted durably";
  group[0].catch_up();
  EXPECT_EQ(group[0].executed, commands(1, 1));
}

TEST(MultiPaxos, NoVoteAndNoPromiseIsToldBeforeItIsOnDisk) {
  Group group(3);
  group.make_leader(0);
  group[1].lags = true;
  group.propose(0, 1);
  group.lose([](const Letter& letter) { return letter.to.value() == 2; });

  EXPECT_TRUE(group[0].executed.empty());
  group[1].catch_up();
  group.collect();
  EXPECT_EQ(group.on_their_way(MessageType::kAccepted), 1u);
}

TEST(MultiPaxos, ANewLeaderProposesAgainWhatWasChosenAndNobodyWasTold) {
  Group group(3);
  group.make_leader(0);
  group.propose(0, 1);
  group.lose([](const Letter& letter) {
    return letter.to.value() == 2 || is(letter, MessageType::kAccepted);
  });
  group[0].lose_power();

  group.make_leader(2);

  EXPECT_EQ(group[2].executed, commands(1, 1));
  EXPECT_EQ(group[1].executed, commands(1, 1));
  EXPECT_EQ(group[2].count("adopted"), 1u);
}

TEST(MultiPaxos, ANewLeaderFillsHolesWithNops) {
  Group group(3);
  group.make_leader(0);
  for (std::uint64_t number = 1; number <= 3; ++number) {
    group.propose(0, number);
    // Of three entries only the third one arrives, and at one replica.
    group.lose([&](const Letter& letter) { return number < 3 || letter.to.value() != 1; });
  }
  group[0].lose_power();

  group.make_leader(2);

  EXPECT_EQ(group[2].count("nops"), 2u);
  EXPECT_TRUE(group[1].executed.empty())
      << "the third block of its proposer comes after two others";
  EXPECT_EQ(group[1].status().rows[0].committed_up_to, Slot(3));
  group.propose(2, 4);
  group.deliver_all();
  EXPECT_EQ(group[1].executed, commands(4, 4));
}

TEST(MultiPaxos, APromiseWithManyVotesComesInParts) {
  Group group(3);
  group.make_leader(0);
  group.lose([](const Letter&) { return true; });
  for (std::uint64_t number = 1; number <= 10; ++number) group.propose(0, number, 100'000);
  group.lose([](const Letter& letter) {
    return letter.to.value() == 2 || is(letter, MessageType::kAccepted);
  });
  group[0].lose_power();

  group.make_leader(2);

  EXPECT_GE(group[1].count("promise_parts"), 2u);
  EXPECT_EQ(group[2].count("adopted"), 10u);
  EXPECT_EQ(group[1].executed, commands(1, 10));
}

TEST(MultiPaxos, WhatIsForwardedToALeaderThatFallsIsExecutedUnderTheNextOne) {
  Group group(3);
  group.make_leader(0);
  group.propose(1, 1);
  group[0].lose_power();
  group.deliver_all();

  group.make_leader(2);
  group.settle(kSecond);

  EXPECT_EQ(group[1].executed, commands(1, 1));
  EXPECT_EQ(group[2].executed, commands(1, 1));
}

TEST(MultiPaxos, AReplicaThatWasAwayAsksForWhatItLacks) {
  Group group(3);
  group.make_leader(0);
  group[2].lose_power();
  for (std::uint64_t number = 1; number <= 20; ++number) group.propose(0, number);
  group.deliver_all();

  group[2].boot();
  group.settle(kSecond);

  EXPECT_EQ(group[2].executed, commands(1, 20));
  EXPECT_EQ(group[2].count("learned"), 20u);
}

TEST(MultiPaxos, ARestartExecutesWhatItKnewToBeDecidedAndAsksForNothing) {
  Group group(3);
  group.make_leader(0);
  for (std::uint64_t number = 1; number <= 20; ++number) {
    group.propose(0, number);
    group.deliver_all();
  }

  group[1].lose_power();
  group[1].boot();

  // What it heard with the last entry is in the record of that entry's turn.
  EXPECT_EQ(group[1].executed, commands(1, 19));
}

TEST(MultiPaxos, WhoeverNeedsAnImageSaysSoAndGoesOnFromIt) {
  Group group(3, {}, forgetting(5));
  group.make_leader(0);
  group[2].lose_power();
  for (std::uint64_t number = 1; number <= 20; ++number) group.propose(0, number);
  group.deliver_all();
  for (int images = 0; images < 2; ++images) {
    for (int i = 0; i < 2; ++i) group[i].make_image();
  }
  group.propose(0, 21);
  group.deliver_all();

  group[2].boot();
  group.settle(kSecond);
  ASSERT_TRUE(group[2].wish);
  StagedCore& peer = group[group[2].wish->from.value()];
  std::vector<std::byte> coverage;
  ASSERT_TRUE(peer.core->coverage_for(ReplicaId(2), peer.image(), coverage));
  group[2].install(peer, coverage);
  group.settle(kSecond);

  EXPECT_EQ(group[2].executed, commands(1, 21));
  EXPECT_EQ(group[2].count("images_installed"), 1u);
  EXPECT_FALSE(group[2].core->may_install(coverage)) << "it holds nothing that is new";
}

TEST(MultiPaxos, ALeaderThatNeedsAnImageLetsOthersLead) {
  Group group(3, {}, forgetting(5));
  group.make_leader(0);
  group[2].lose_power();
  for (std::uint64_t number = 1; number <= 20; ++number) group.propose(0, number);
  group.deliver_all();
  for (int images = 0; images < 2; ++images) {
    for (int i = 0; i < 2; ++i) group[i].make_image();
  }
  group.propose(0, 21);
  group.deliver_all();
  group[2].boot();
  group[2].sent.clear();  // Its first question gets lost.
  group[0].lose_power();

  StagedCore& behind = group[2];
  for (int i = 0; i < 3; ++i) group[i].now += 20 * CoreConfig{}.election_us;
  behind.turn([&](Effects& out) { behind.core->tick(behind.now, out); });
  group.collect();
  group.deliver_all();

  EXPECT_EQ(behind.status().role, "follower");
  EXPECT_EQ(behind.count("truncated_received"), 1u);
}

TEST(MultiPaxos, WhenWhoeverHasTheImageIsGoneForGoodTheVotesOfOthersTell) {
  Group group(3, {}, forgetting(1));
  group.make_leader(0);
  group[2].lose_power();
  for (std::uint64_t number = 1; number <= 5; ++number) group.propose(0, number);
  // The other one votes, and hears of no decision.
  group.lose([](const Letter& letter) {
    return is(letter, MessageType::kHeartbeat) || letter.to == ReplicaId(2);
  });
  for (int images = 0; images < 2; ++images) group[0].make_image();
  ASSERT_EQ(group[0].status().rows[0].floor, Slot(5));
  group[2].boot();
  for (const int asks : {1, 2}) {
    const auto words = words_of(Truncated{Slot(5)});
    const auto type = static_cast<net::FrameType>(MessageType::kTruncated);
    group.letters.push_back({ReplicaId(0), replica_at(asks), type, words, words.size() * 8});
  }
  group.lose([](const Letter& letter) { return !is(letter, MessageType::kTruncated); });
  group[0].lose_power();

  group.settle(30 * kSecond);

  EXPECT_EQ(group[1].executed, commands(1, 5));
  EXPECT_EQ(group[2].executed, commands(1, 5));
}

// Entries may be large, and few of them fill the memory; what is away finds them on the disks.
TEST(MultiPaxos, WhatIsExecutedTakesNoMoreMemoryThanItMayAndCanBeReadBack) {
  constexpr std::uint64_t kCommands = 200;
  constexpr std::size_t kBytes = 400'000;
  static_assert(kCommands * kBytes > LogWindow::kHeldBytesMax + 10 * kBytes);
  Group group(3);
  group.make_leader(0);
  group[2].lose_power();
  for (std::uint64_t number = 1; number <= kCommands; ++number) {
    group.propose(0, number, kBytes);
    group.deliver_all();
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_LT(group[i].core->held_memory().bytes, LogWindow::kHeldBytesMax + 10 * kBytes);
  }

  group[2].boot();
  group.settle(5 * kSecond);

  EXPECT_EQ(group[2].executed, commands(1, kCommands));
  EXPECT_EQ(group[2].count("images_installed"), 0u);
}

// Found by the simulator: the record of the vote at the highest ballot may be the only one that
// tells of the promise, and an image lets it go.
TEST(MultiPaxos, APromiseOutlivesTheVotesThatMadeIt) {
  Group group(3);
  group[2].lose_power();
  group.make_leader(1);
  group[2].boot();  // An Accept is the first that it hears of this ballot.
  group.propose(1, 1);
  group.deliver_all();
  ASSERT_EQ(group[2].executed, commands(1, 1));
  for (int images = 0; images < 2; ++images) group[2].make_image();
  const auto is_entry = [](const auto& record) { return record.first.kind == 2; };
  ASSERT_EQ(std::ranges::count_if(group[2].disk, is_entry), 0);
  group[2].lose_power();
  group[2].boot();

  const auto words = words_of(Prepare{Ballot{1, ReplicaId(0)}, Slot(1)});
  group.letters.clear();
  group.letters.push_back({ReplicaId(0), ReplicaId(2),
                           static_cast<net::FrameType>(MessageType::kPrepare), words,
                           words.size() * 8});
  group.deliver(0);

  EXPECT_EQ(group.on_their_way(MessageType::kNack), 1u);
  EXPECT_EQ(group.on_their_way(MessageType::kPromise), 0u);
}

// Found by the simulator, with a known bug switched on.
TEST(MultiPaxos, WhoHasPromisedNothingWritesDownNoPromise) {
  CoreConfig config;
  config.self = ReplicaId(2);
  config.replica_count = 3;
  config.voting = false;
  StagedCore replica(multipaxos(), config);
  std::vector<std::byte> nop(kEntryHeaderBytes);
  encode_entry({Ballot{1, ReplicaId(0)}.packed(), {}, {}}, nop);
  const auto words = words_of(Learn{Slot(1), nop});
  replica.turn([&](Effects& out) {
    const auto type = static_cast<net::FrameType>(MessageType::kLearn);
    replica.core->receive(ReplicaId(0), {{}, {}, type, std::as_bytes(std::span(words))}, out);
  });
  ASSERT_EQ(replica.status().rows[0].executed_up_to, Slot(1));
  for (int images = 0; images < 2; ++images) replica.make_image();

  replica.lose_power();
  replica.boot();

  EXPECT_EQ(replica.status().rows[0].executed_up_to, Slot(1));
}

TEST(MultiPaxos, WhoMayNotVoteLearnsAndDoesNotLead) {
  Group group(3);
  group.make_leader(0);
  CoreConfig config;
  config.self = ReplicaId(2);
  config.replica_count = 3;
  config.voting = false;
  StagedCore replica(multipaxos(), config);
  replica.sent.clear();
  group.propose(0, 1);
  for (const Letter& letter : group.letters) {
    if (letter.to != config.self) continue;
    replica.turn([&](Effects& out) {
      replica.core->receive(letter.from, {{}, {}, letter.type, letter.body()}, out);
    });
  }
  replica.now = 100 * kSecond;
  replica.turn([&](Effects& out) { replica.core->tick(replica.now, out); });

  EXPECT_TRUE(replica.sent.empty());
  EXPECT_EQ(replica.status().role, "non-voting");
  EXPECT_EQ(replica.count("refused_not_voting"), 1u);
}

TEST(MultiPaxos, ALeaderWithAFullDiskStepsDown) {
  Group group(3);
  group.make_leader(0);

  group[0].core->storage_full(true);
  group.settle(5 * kSecond);

  EXPECT_NE(group.leader(), 0);
  EXPECT_NE(group.leader(), -1);
  group.propose(group.leader(), 1);
  group.deliver_all();
  EXPECT_TRUE(group[0].executed.empty());
  group[0].core->storage_full(false);
  group.settle(5 * kSecond);
  EXPECT_EQ(group[0].executed, commands(1, 1));
}

TEST(MultiPaxos, WhoForgotCountsForNothing) {
  Group group(3);
  group.make_leader(0);
  group[0].core->peer_forgot(ReplicaId(1));
  group[2].lose_power();

  group.propose(0, 1);
  group.deliver_all();

  EXPECT_TRUE(group[0].executed.empty());
  EXPECT_GE(group[0].count("refused_peer_forgot"), 1u);
}

// Decision record 13.
TEST(MultiPaxos, WhoIsToldThatItForgotVotesNoMoreAndStillLearns) {
  Group group(3);
  group.make_leader(0);
  group[2].lose_power();
  group[2].disk.clear();
  group[0].core->peer_forgot(ReplicaId(2));
  group[1].core->peer_forgot(ReplicaId(2));

  group[2].boot();
  group.settle(kSecond);
  group[2].lose_power();
  group[2].boot();
  group[1].lose_power();
  group.propose(0, 1);
  group.settle(5 * kSecond);

  EXPECT_THAT(group[2].status().role, ::testing::StartsWith("non-voting"));
  EXPECT_TRUE(group[0].executed.empty());
  group[1].boot();
  group.settle(5 * kSecond);
  EXPECT_EQ(group[2].executed, commands(1, 1));
}

TEST(MultiPaxos, AFollowerThatLearnsFromAllNeedsNoWordOfTheLeader) {
  Group group(3, {.learn_from_all = true});
  group.make_leader(0);

  group.propose(0, 1);
  group.lose([](const Letter& letter) {
    return is(letter, MessageType::kHeartbeat) || letter.to == ReplicaId(0);
  });

  EXPECT_EQ(group[1].executed, commands(1, 1));
  EXPECT_TRUE(group[0].executed.empty());
}

// Letters in any order, some lost, some twice, powers that fail, disks that lag.
TEST(MultiPaxos, NothingThatChanceDoesMakesTwoHistories) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    std::mt19937 random(seed);
    const int n = 3 + static_cast<int>(random() % 3);
    Group group(n, {.learn_from_all = seed % 2 == 0});
    std::uint64_t number = 0;
    for (int step = 0; step < 600; ++step) {
      const int which = static_cast<int>(random() % static_cast<unsigned>(n));
      StagedCore& one = group[which];
      if (random() % 10 == 0) group.pass(random() % 200'000);
      if (random() % 20 == 0 && one.is_up()) group.propose(which, ++number);
      if (random() % 100 == 0 && one.is_up()) one.lose_power();
      if (random() % 20 == 0 && !one.is_up()) one.boot();
      if (one.is_up()) one.lags = random() % 4 == 0;
      if (one.is_up() && !one.lags) one.catch_up();
      if (one.is_up() && random() % 50 == 0) one.make_image();
      group.collect();
      for (int i = 0; i < 3 && !group.letters.empty(); ++i) {
        const std::size_t place = random() % std::min<std::size_t>(group.letters.size(), 8);
        group.deliver(place, random() % 8 == 0);
      }
    }
    for (int i = 0; i < n; ++i) {
      group[i].lags = false;
      if (!group[i].is_up()) group[i].boot();
      group[i].catch_up();
    }
    group.settle_with_images(20 * kSecond);
    group.propose(0, ++number);
    group.settle_with_images(20 * kSecond);
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(group[i].executed, group[0].executed);
      EXPECT_THAT(group[i].executed, IsSubsetOf(commands(1, number)));
      EXPECT_THAT(group[i].executed, ::testing::Contains(command(number)));
      const std::set<CommandId> once(group[i].executed.begin(), group[i].executed.end());
      EXPECT_THAT(once, SizeIs(group[i].executed.size()));
    }
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
