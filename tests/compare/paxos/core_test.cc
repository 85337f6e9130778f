// Groups of cores that decide once, whatever happens to letters and disks.

#include "compare/paxos/core.h"

#include <array>
#include <random>

#include <gtest/gtest.h>

#include "tests/compare/log/support.h"
#include "tests/compare/paxos/staged_cores.h"

namespace epaxos::compare::paxos {
namespace {

constexpr CommandId command(std::uint64_t number) {
  return {7, number};
}

/// Nobody has executed anything but this, and nobody lies about it.
void expect_agreement(StagedCores& group, const char* when) {
  std::vector<CommandId> executed;
  for (int i = 0; i < group.size(); ++i) {
    if (!group[i].is_up() || group[i].executed.empty()) continue;
    EXPECT_EQ(group[i].executed.size(), 1u) << when;
    if (executed.empty()) executed = group[i].executed;
    EXPECT_EQ(group[i].executed, executed) << when;
  }
  if (executed.empty()) return;
  for (int i = 0; i < group.size(); ++i) {
    for (const CommandId& each : group[i].rejected) EXPECT_NE(each, executed.front()) << when;
  }
}

void expect_all_executed(StagedCores& group, const char* when) {
  expect_agreement(group, when);
  for (int i = 0; i < group.size(); ++i) EXPECT_EQ(group[i].executed.size(), 1u) << when;
}

TEST(Paxos, TheFirstValueIsExecutedEverywhereAndLaterOnesAreRejected) {
  StagedCores group(paxos(), 3);

  group.propose(0, 1);
  group.deliver_all();
  group.propose(1, 2);

  for (int i = 0; i < 3; ++i) EXPECT_EQ(group[i].executed, std::vector{command(1)});
  EXPECT_EQ(group[1].rejected, std::vector{command(2)});
}

TEST(Paxos, AGroupOfOneDecidesAlone) {
  StagedCores group(paxos(), 1);

  group.propose(0, 1);

  EXPECT_EQ(group[0].executed, std::vector{command(1)});
}

TEST(Paxos, ASecondProposerAdoptsWhatAQuorumHasVotedForAndNobodyWasTold) {
  StagedCores group(paxos(), 5);
  group.propose(0, 1);
  // Three have voted, and no answer arrives.
  while (group[2].count("refused_malformed_frame") == 0 && !group.letters.empty()) {
    group.drop_if([](const Letter& letter) {
      const auto type = static_cast<MessageType>(letter.type);
      return type == MessageType::kAccepted || letter.to.value() >= 3;
    });
    if (!group.letters.empty()) group.deliver(0);
  }
  group[0].lose_power();

  group.propose(4, 2);
  group.deliver_all();

  for (int i = 1; i < 5; ++i) EXPECT_EQ(group[i].executed, std::vector{command(1)});
  EXPECT_EQ(group[4].rejected, std::vector{command(2)});
  EXPECT_EQ(group[4].count("adopted"), 1u);
}

TEST(Paxos, CompetingProposersEndWithOneValue) {
  StagedCores group(paxos(), 5);
  for (int i = 0; i < 5; ++i) group.propose(i, static_cast<std::uint64_t>(i) + 1);

  group.deliver_all();
  group.settle(60 * kSecond);

  expect_all_executed(group, "at the end");
  std::size_t rejected = 0;
  for (int i = 0; i < 5; ++i) rejected += group[i].rejected.size();
  EXPECT_EQ(rejected, 4u);
}

TEST(Paxos, WhatArrivesWhileItIsDecidingIsRejectedAtOnce) {
  StagedCores group(paxos(), 3);
  group.propose(0, 1);

  group.propose(0, 2);

  EXPECT_EQ(group[0].rejected, std::vector{command(2)});
  group.deliver_all();
  EXPECT_EQ(group[0].executed, std::vector{command(1)});
}

TEST(Paxos, NoPromiseAndNoVoteIsToldBeforeItIsOnDisk) {
  StagedCores group(paxos(), 3);
  group[1].lags = true;
  group.propose(0, 1);
  group.drop_if([](const Letter& letter) { return letter.to.value() == 2; });

  group.deliver_all();

  EXPECT_TRUE(group[0].executed.empty());
  group[1].catch_up();
  group.collect();
  ASSERT_EQ(group.letters.size(), 1u);
  EXPECT_EQ(static_cast<MessageType>(group.letters[0].type), MessageType::kPromise);
}

TEST(Paxos, AProposerCountsItsOwnVoteWhenItIsOnDisk) {
  StagedCores group(paxos(), 3);
  group.propose(0, 1);
  group[2].lose_power();
  group[0].lags = true;

  group.deliver_all();

  EXPECT_TRUE(group[1].executed.empty()) << "two of three have not voted durably";
  group[0].catch_up();
  group.collect();
  group.deliver_all();
  EXPECT_EQ(group[1].executed, std::vector{command(1)});
}

// Every letter in any order, some of them twice, and powers that fail now and then.
TEST(Paxos, NothingThatChanceDoesMakesTwoValues) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const int n = 3 + static_cast<int>(random() % 3);
    StagedCores group(paxos(), n);
    for (int i = 0; i < n; ++i) {
      if (random() % 2 == 0) group.propose(i, static_cast<std::uint64_t>(i) + 1);
    }
    for (int step = 0; step < 400; ++step) {
      StagedCore& one = group[static_cast<int>(random() % static_cast<unsigned>(n))];
      if (random() % 50 == 0) group.pass(random() % 1'000'000);
      if (random() % 100 == 0 && one.is_up()) one.lose_power();
      if (random() % 20 == 0 && !one.is_up()) one.boot();
      if (one.is_up()) one.lags = random() % 4 == 0;
      if (one.is_up() && !one.lags) one.catch_up();
      group.collect();
      if (!group.letters.empty()) {
        group.deliver(random() % group.letters.size(), random() % 4 == 0);
      }
    }
    expect_agreement(group, "in the middle");
    for (int i = 0; i < n; ++i) {
      group[i].lags = false;
      if (!group[i].is_up()) group[i].boot();
      group[i].catch_up();
    }
    group.propose(0, 100);
    group.settle(120 * kSecond);
    expect_all_executed(group, "at the end");
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

// One proposer, and the power of one replica fails after the k-th letter.
TEST(Paxos, APowerThatFailsInAnyGapLosesNothing) {
  for (int victim = 0; victim < 3; ++victim) {
    for (int gap = 0; gap < 14; ++gap) {
      for (const bool lags : {false, true}) {
        StagedCores group(paxos(), 3);
        group[victim].lags = lags;
        group.propose(0, 1);
        for (int i = 0; i < gap && !group.letters.empty(); ++i) group.deliver(0);
        group[victim].lose_power();
        group[victim].lags = false;
        group.propose(victim == 1 ? 2 : 1, 2);
        for (int i = 0; i < gap && !group.letters.empty(); ++i) group.deliver(0);
        group[victim].boot();
        group.settle(60 * kSecond);
        expect_all_executed(group, "after a restart");
        ASSERT_FALSE(::testing::Test::HasFailure())
            << "victim " << victim << ", gap " << gap << ", " << lags;
      }
    }
  }
}

TEST(Paxos, WhoMayNotVoteLearnsAndRefusesCommands) {
  CoreConfig config;
  config.replica_count = 3;
  config.self = ReplicaId(2);
  config.voting = false;
  StagedCore replica(paxos(), config);
  replica.sent.clear();
  StagedCores group(paxos(), 3);

  group.propose(0, 1);
  const Letter prepare = group.letters.back();
  ASSERT_EQ(prepare.to, config.self);
  replica.turn([&](Effects& out) {
    replica.core->receive(prepare.from, {{}, {}, prepare.type, prepare.body()}, out);
  });

  EXPECT_TRUE(replica.sent.empty());
  EXPECT_EQ(replica.count("refused_not_voting"), 1u);
}

TEST(Paxos, WhoForgotIsNotHeardButMayAsk) {
  StagedCores group(paxos(), 3);
  group[0].core->peer_forgot(ReplicaId(1));
  group.propose(0, 1);
  group.drop_if([](const Letter& letter) { return letter.to.value() == 2; });

  group.deliver_all();

  EXPECT_TRUE(group[0].executed.empty());
  EXPECT_EQ(group[0].count("refused_peer_forgot"), 1u);
  group.settle(60 * kSecond);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(group[i].executed, std::vector{command(1)});
}

// Decision record 13.
TEST(Paxos, WhoIsToldThatItForgotVotesNoMore) {
  StagedCores group(paxos(), 3);
  group.deliver_all();
  group[2].lose_power();
  group[0].core->peer_forgot(ReplicaId(2));
  group[1].lose_power();

  group[2].boot();
  group.collect();
  group.deliver_all();
  group[2].lose_power();
  group[2].boot();
  group.collect();
  group.propose(0, 1);
  group.settle(5 * kSecond);

  EXPECT_TRUE(group[0].executed.empty());
  EXPECT_GE(group[2].count("refused_not_voting"), 1u);
}

TEST(Paxos, BytesThatAreNoMessageAreCounted) {
  StagedCores group(paxos(), 3);
  const std::vector<std::uint64_t> nonsense(5, 0x0101010101010101);
  for (net::FrameType type = 1; type <= 6; ++type) {
    group.letters.push_back({ReplicaId(1), ReplicaId(0), type, nonsense, 40});
    group.letters.push_back({ReplicaId(1), ReplicaId(0), type, {}, 0});
  }

  group.deliver_all();

  EXPECT_EQ(group[0].count("refused_malformed_frame"), 12u);
}

// --- What no honest peer says. docs/multipaxos.md has the table.

constexpr Ballot kBallot{3, kB};

class PaxosRefusal : public ::testing::Test {
 protected:
  template <class Message>
  std::deque<Letter> tell(ReplicaId from, const Message& message) {
    Effects out;
    const Bytes body = out.view(encode(message, out));
    Letter letter{from, kA, static_cast<net::FrameType>(Message::kType), {}, body.size()};
    letter.words.resize(body.size() / 8);
    copy_bytes(body, letter.words.data());
    group.letters.assign(1, letter);
    group.deliver(0);
    return group.letters;
  }
  /// What A says when its clients want something.
  template <class Message>
  std::optional<Message> said_to_all() {
    group.letters.clear();
    group.propose(0, 1);
    for (const Letter& each : group.letters) {
      Message message;
      if (each.type != static_cast<net::FrameType>(Message::kType)) continue;
      EXPECT_TRUE(decode(each.body(), 3, message));
      return message;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::uint64_t count(std::string_view counter) { return group[0].count(counter); }

  const std::vector<std::byte> block = block_of("k", 1);
  const std::vector<std::byte> other_block = block_of("k", 2);
  const ValueView value{kB, block};
  const ValueView other{kB, other_block};
  StagedCores group{paxos(), 3};
};

TEST_F(PaxosRefusal, AnotherValueAtABallotThatWasVotedAt) {
  EXPECT_EQ(tell(kB, Accept{kBallot, value}).size(), 1u);
  EXPECT_EQ(tell(kB, Accept{kBallot, other}).size(), 0u);
  EXPECT_EQ(count("refused_contradicts_vote"), 1u);
  EXPECT_EQ(tell(kB, Accept{kBallot, value}).size(), 1u) << "a repetition";
}

TEST_F(PaxosRefusal, AnotherDecision) {
  tell(kB, Chosen{value});
  tell(kC, Chosen{value});
  EXPECT_EQ(count("refused_contradicts_decision"), 0u);
  tell(kC, Chosen{other});
  EXPECT_EQ(count("refused_contradicts_decision"), 1u);
  EXPECT_EQ(group[0].executed, std::vector{command(1)});
}

// Whoever claims a high ballot of somebody else must not drive this replica's ballots up.
TEST_F(PaxosRefusal, WordsAtTheBallotOfAnother) {
  const Ballot high{1'000'000, kB};
  tell(kC, Prepare{high});
  tell(kC, Accept{high, value});
  tell(kC, Promise{kBallot, kInitialBallot, {}});
  tell(kC, Accepted{kBallot});
  tell(kC, Nack{kBallot, high});
  EXPECT_EQ(count("refused_not_the_ballots_owner"), 5u);

  EXPECT_EQ(said_to_all<Prepare>()->ballot, (Ballot{1, kA}));
}

TEST_F(PaxosRefusal, AVoteForWhatIsNotProposed) {
  const Ballot ballot = said_to_all<Prepare>()->ballot;
  tell(kB, Accepted{ballot});
  tell(kC, Accepted{ballot});
  EXPECT_EQ(count("refused_never_asked"), 2u);
  EXPECT_TRUE(group[0].executed.empty());

  tell(kC, Accepted{{ballot.round + 1, kA}});
  EXPECT_EQ(count("ignored_stale"), 1u) << "an earlier life may have proposed there";
}

TEST_F(PaxosRefusal, ABallotWhenNoneIsLeft) {
  tell(kC, Prepare{{kBallotRoundMax, kC}});
  EXPECT_FALSE(said_to_all<Prepare>());
  EXPECT_EQ(count("refused_last_ballot"), 1u);
  group[0].lose_power();
  group[0].boot();
  EXPECT_EQ(group[0].status().role, "voting") << "its disk makes sense";
}

TEST_F(PaxosRefusal, EverythingThatAFullDiskCannotKeep) {
  group[0].core->storage_full(true);
  EXPECT_EQ(tell(kB, Prepare{kBallot}).size(), 0u);
  EXPECT_EQ(tell(kB, Accept{kBallot, value}).size(), 0u);
  tell(kB, Chosen{value});
  EXPECT_EQ(count("refused_storage_full"), 3u);
}

TEST_F(PaxosRefusal, FramesThatAreNotForIt) {
  group[0].turn([&](Effects& out) {
    group[0].core->receive(kB, {GroupId(4), {}, 1, {}}, out);
    group[0].core->receive(kB, {{}, Epoch(4), 1, {}}, out);
    group[0].core->receive(kB, {{}, {}, 99, {}}, out);
  });
  EXPECT_EQ(count("refused_wrong_group"), 1u);
  EXPECT_EQ(count("refused_wrong_epoch"), 1u);
  EXPECT_EQ(count("refused_unknown_type"), 1u);
}

TEST_F(PaxosRefusal, BallotsThatAreOutOfRange) {
  EXPECT_EQ(tell(kB, Prepare{{kBallotRoundMax + 1, kB}}).size(), 0u);
  EXPECT_EQ(tell(kB, Promise{kBallot, {4, kC}, value}).size(), 0u) << "a vote above the promise";
  EXPECT_EQ(tell(kB, Nack{kBallot, kBallot}).size(), 0u);
  EXPECT_EQ(tell(kB, Accept{kBallot, {ReplicaId(3), block}}).size(), 0u) << "of nobody";
  EXPECT_EQ(count("refused_malformed_frame"), 4u);
}

TEST(Paxos, ARecordThatMakesNoSenseStopsTheStart) {
  CoreConfig config;
  config.replica_count = 3;
  const std::vector<std::byte> nonsense(24, std::byte{1});
  for (const std::uint8_t kind : std::array<std::uint8_t, 4>{1, 2, 3, 5}) {
    PaxosCore core(config, Quorums::majorities(3));
    const Result<void> restored = core.restore({kind, {}, {}, {}, Slot(1)}, nonsense);
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, ErrorCode::kCorrupted);
  }
}

}  // namespace
}  // namespace epaxos::compare::paxos
