// Requests that are repeated at other replicas, with real hosts and cores: one effect, one answer.
// The regressions R23 and R37 of protocol.md 20.

#include "tests/epaxos/runtime/session_cluster.h"

#include <random>
#include <set>

namespace epaxos::runtime::testing {
namespace {

using Answer = SessionCluster::Answer;
using Link = SessionCluster::Link;

constexpr std::uint64_t kSharedSession = 77;

SessionRequest request(std::uint64_t number, std::uint64_t acknowledged = 0) {
  return {{kSharedSession, number}, acknowledged};
}

// R37: what replica 0 began nobody has heard of when the client turns to replica 1; then it is
// decided after all.
TEST(R37Retry, AtAnotherReplicaWhileTheFirstInstanceIsUndecidedTakesEffectOnce) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  cluster.cut_off(0, Link::kHolds);
  const Answer& first = cluster.propose(0, kv::increment("n", 1), request(1));
  cluster.run_for(1'000);
  const Answer& again = cluster.propose(1, kv::increment("n", 1), request(1));
  ASSERT_TRUE(cluster.run_until([&] { return again.executed(); }));
  EXPECT_FALSE(first.kind.has_value());

  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return first.executed(); }));
  EXPECT_EQ(first.value, "1");
  EXPECT_EQ(again.value, "1");
  cluster.expect_agreement();
  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(cluster.value(r, "n"), "1");
    EXPECT_EQ(cluster.host(r).counters().session_duplicates, 1u) << "both were executed";
  }
}

// The same, and the first one's replica is gone for good: others finish what it began.
TEST(R37Retry, WhatADeadReplicaBeganIsFinishedByOthersWithoutASecondEffect) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  cluster.set(0, 2, Link::kLoses);
  cluster.set(1, 0, Link::kLoses);
  cluster.propose(0, kv::increment("n", 1), request(1));
  cluster.run_for(1'000);
  cluster.crash(0);
  const Answer& again = cluster.propose(1, kv::increment("n", 1), request(1));
  ASSERT_TRUE(cluster.run_until([&] { return again.executed(); }));
  EXPECT_EQ(again.value, "1");

  cluster.boot(0);
  cluster.heal();

  cluster.expect_agreement();
  for (int r = 0; r < 3; ++r) EXPECT_EQ(cluster.value(r, "n"), "1");
}

/// Replica 0 proposes `number`, which nobody hears of, and something that replica 1 hears of; so
/// the others find a hole, and decide it Nop. Returns what became of the first.
const Answer& becomes_nop(SessionCluster& cluster, std::uint64_t number) {
  cluster.cut_off(0, Link::kLoses);
  const Answer& lost = cluster.propose(0, kv::increment("n", 1), request(number));
  cluster.run_for(1'000);
  cluster.set(0, 1, Link::kOpen);
  cluster.propose(0, kv::put("other", "x"));
  cluster.run_for(1'000);
  cluster.cut_off(0, Link::kLoses);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.value(1, "other") == "x"; }))
      << "the others have recovered both";
  EXPECT_FALSE(lost.kind.has_value());
  return lost;
}

// Nop, resubmission and retry together.
TEST(R37Retry, WithANopAndTheResubmissionItTakesEffectOnce) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  const Answer& first = becomes_nop(cluster, 1);
  const Answer& again = cluster.propose(2, kv::increment("n", 1), request(1));
  ASSERT_TRUE(cluster.run_until([&] { return again.executed(); }));

  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return first.executed(); }));
  EXPECT_EQ(first.value, again.value);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.counter(0, "resubmitted") == 1; }));
  cluster.expect_agreement();
  for (int r = 0; r < 3; ++r) EXPECT_EQ(cluster.value(r, "n"), "1");
}

// The client has its answer from elsewhere, and says so; then the resubmission comes.
TEST(R37Retry, AResubmissionAfterTheAcknowledgementIsIgnored) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  becomes_nop(cluster, 1);
  const Answer& again = cluster.propose(2, kv::increment("n", 1), request(1));
  ASSERT_TRUE(cluster.run_until([&] { return again.executed(); }));
  const Answer& next = cluster.propose(2, kv::increment("n", 1), request(2, 1));
  ASSERT_TRUE(cluster.run_until([&] { return next.executed(); }));

  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return cluster.counter(0, "resubmitted") == 1; }));
  cluster.expect_agreement();
  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(cluster.value(r, "n"), "2");
    EXPECT_EQ(cluster.host(r).counters().session_stale, 1u);
  }
}

// After a Nop number 1 comes behind number 2, and is no stale duplicate.
TEST(R37Retry, AResubmissionThatComesBehindALaterNumberTakesEffect) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  const Answer& first = becomes_nop(cluster, 1);
  const Answer& second = cluster.propose(1, kv::increment("n", 10), request(2));
  ASSERT_TRUE(cluster.run_until([&] { return second.executed(); }));

  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return first.executed(); }));
  EXPECT_EQ(second.value, "10");
  EXPECT_EQ(first.value, "11");
  cluster.expect_agreement();
}

/// Somebody opens a session and writes at once, and only the write is heard of: the others decide
/// the opening Nop, and the write finds no session.
const Answer& overtakes_its_opening(SessionCluster& cluster, Tick opening_deadline) {
  cluster.cut_off(0, Link::kLoses);
  cluster.control(0, SessionOperation::kOpen, kSharedSession, opening_deadline);
  cluster.run_for(1'000);
  cluster.set(0, 1, Link::kOpen);
  const Answer& write = cluster.propose(0, kv::increment("n", 1), request(1));
  cluster.run_for(1'000);
  cluster.cut_off(0, Link::kLoses);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.host(1).counters().session_unknown == 1; }))
      << "the others have recovered both";
  EXPECT_FALSE(write.kind.has_value());
  return write;
}

// The opening is proposed again, and the write follows it once more.
TEST(SessionOpening, AWriteThatOvertookItIsProposedBehindIt) {
  SessionCluster cluster;
  const Answer& write = overtakes_its_opening(cluster, kNever);

  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return write.kind.has_value(); }));
  EXPECT_TRUE(write.executed());
  EXPECT_EQ(write.value, "1");
  EXPECT_EQ(cluster.counter(0, "resubmitted"), 1u);
  cluster.expect_agreement();
  for (int r = 0; r < 3; ++r) EXPECT_EQ(cluster.value(r, "n"), "1");
}

TEST(SessionOpening, AWriteWhoseOpeningNobodyWaitsForIsRejected) {
  SessionCluster cluster;
  const Answer& write = overtakes_its_opening(cluster, 10'000);

  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return write.kind.has_value(); }));
  EXPECT_EQ(write.kind, OutcomeKind::kRejected);
  EXPECT_EQ(write.code, ErrorCode::kUnknownSession);
  cluster.expect_agreement();
}

// R23: 1 writes x at replica 0; its answer is acknowledged by 2, which writes y at replica 1.
// Replica 2 hears of 2 first, and must not execute it before 1.
TEST(R23Sessions, AReplicaThatHearsOfTheLaterRequestFirstExecutesTheEarlierOneFirst) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  cluster.set(0, 2, Link::kHolds);
  const Answer& one = cluster.propose(0, kv::put("x", "1"), request(1));
  ASSERT_TRUE(cluster.run_until([&] { return one.executed(); }));
  cluster.set(1, 2, Link::kOpen);
  const Answer& two = cluster.propose(1, kv::put("y", "2"), request(2, 1));
  ASSERT_TRUE(cluster.run_until([&] { return two.executed(); }));

  cluster.heal();

  cluster.expect_agreement();
  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(cluster.value(r, "x"), "1") << "replica " << r;
    EXPECT_EQ(cluster.host(r).counters().session_stale, 0u);
  }
}

TEST(SessionRestart, AReplicaThatComesBackStillKnowsTheAnswers) {
  SessionCluster cluster;
  cluster.open(kSharedSession);
  const Answer& first = cluster.propose(0, kv::increment("n", 5), request(1));
  ASSERT_TRUE(cluster.run_until([&] { return first.executed() && cluster.everybody_is_even(); }));
  const std::uint64_t digest = cluster.host(1).digest();

  for (int r = 0; r < 3; ++r) cluster.crash(r);
  for (int r = 0; r < 3; ++r) cluster.boot(r);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.everybody_is_even(); }));

  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(cluster.host(r).digest(), digest);
    const Answer& again = cluster.propose(r, kv::increment("n", 5), request(1));
    cluster.run_for(10);
    EXPECT_TRUE(again.executed()) << "without a word to the others";
    EXPECT_EQ(again.value, "5");
  }
}

TEST(SessionExpiry, AnUnusedSessionIsForgottenEverywhereAndAUsedOneIsNot) {
  SessionCluster cluster(1'000'000);
  cluster.open(kSharedSession);
  cluster.open(78);
  for (std::uint64_t number = 1; number <= 20; ++number) {
    const Answer& used = cluster.propose(1, kv::increment("n", 1), request(number, number - 1));
    cluster.run_for(300'000);
    ASSERT_TRUE(used.executed());
  }

  for (int r = 0; r < 3; ++r) {
    EXPECT_EQ(cluster.host(r).sessions().open(), 1u);
    EXPECT_EQ(cluster.host(r).counters().session_expired, 1u);
  }
  ASSERT_TRUE(cluster.run_until([&] { return cluster.host(0).sessions().empty(); }));
  cluster.expect_agreement();
  EXPECT_EQ(cluster.value(2, "n"), "20");
}

TEST(SessionExpiry, OthersStepInForAHomeThatIsGone) {
  SessionCluster cluster(500'000);
  cluster.open(78);  // 78 % 3: replica 0.
  cluster.crash(0);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.host(2).sessions().empty(); }));
}

/// Numbers on different keys conflict through their session alone.
std::string key_of(std::uint64_t number) {
  return "n" + std::to_string(number % 3);
}

// Clients that repeat their increments wherever they like, while links hold and lose and replicas
// crash: every number counts once, and whoever asked for it got the same answer.
TEST(SessionSwarm, EveryNumberTakesEffectOnce) {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto below = [&](unsigned bound) { return static_cast<int>(random() % bound); };
    SessionCluster cluster;
    cluster.open(kSharedSession);
    constexpr std::uint64_t kNumbers = 25;
    std::map<std::uint64_t, std::vector<const Answer*>> asked;
    const auto acknowledged = [&](std::uint64_t number) {
      // The client has seen what lies below, as a rule.
      std::uint64_t up_to = 0;
      while (up_to + 1 < number && std::ranges::any_of(asked[up_to + 1], &Answer::executed))
        ++up_to;
      return up_to;
    };
    for (std::uint64_t number = 1; number <= kNumbers; ++number) {
      for (int tries = 1 + below(3); tries > 0; --tries) {
        const int replica = below(3);
        if (!cluster.alive(replica)) continue;
        asked[number].push_back(&cluster.propose(replica, kv::increment(key_of(number), 1),
                                                 request(number, acknowledged(number))));
        cluster.run_for(static_cast<Tick>(below(3)) * 2'000);
        cluster.set(below(3), below(3), static_cast<Link>(below(3)));
        if (below(12) == 0 && cluster.alive(2)) cluster.crash(2);
        if (below(6) == 0 && !cluster.alive(2)) cluster.boot(2);
      }
      cluster.run_for(static_cast<Tick>(below(100)) * 1'000);
    }
    cluster.heal();
    if (!cluster.alive(2)) cluster.boot(2);
    for (std::uint64_t number = 1; number <= kNumbers; ++number) {
      asked[number].push_back(
          &cluster.propose(below(3), kv::increment(key_of(number), 1), request(number)));
    }
    ASSERT_TRUE(cluster.run_until([&] {
      return std::ranges::all_of(asked,
                                 [](const auto& a) { return a.second.back()->kind.has_value(); });
    }));

    cluster.expect_agreement();
    std::set<std::string> values;
    for (const auto& [number, answers] : asked) {
      std::set<std::string> of_one;
      for (const Answer* const answer : answers) {
        if (answer->executed()) of_one.insert(answer->value);
      }
      ASSERT_EQ(of_one.size(), 1u) << "number " << number << " was executed, with one answer";
      EXPECT_TRUE(values.insert(key_of(number) + "=" + *of_one.begin()).second)
          << "number " << number;
    }
    for (int r = 0; r < 3; ++r) {
      EXPECT_EQ(cluster.value(r, "n0"), "8");
      EXPECT_EQ(cluster.value(r, "n1"), "9");
      EXPECT_EQ(cluster.value(r, "n2"), "8");
    }
  }
}

}  // namespace
}  // namespace epaxos::runtime::testing
