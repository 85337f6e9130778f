// A member is away for long: what the others hold in memory for it is bounded, their commands are
// as fast as before, and everything is as it was once it is back. Source: protocol.md 14.2.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "executor/key_value_machine.h"
#include "tests/support/cluster.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kHeldMax = 64;
constexpr int kCommands = 4'000;

sim::ClusterConfig absent_for_long(Durability durability) {
  sim::ClusterConfig config;
  config.replica_count = 5;
  config.durability = durability;
  config.core.held_executed_max = kHeldMax;
  return config;
}

/// Commands at all but E, on keys that nobody ever touches again.
void executes(KeyValueCluster& cluster, int commands) {
  const std::string prefix = "at" + std::to_string(cluster.now()) + "-";
  for (int i = 0; i < commands; ++i) {
    const ReplicaId at(static_cast<std::uint16_t>(i % 4));
    cluster.put(at, prefix + std::to_string(i), std::string(40, 'x'));
    cluster.run_for(1'000);
  }
  cluster.run_for(5 * kSecond);
}

std::uint64_t value_of(KeyValueCluster& cluster, ReplicaId at, std::string_view name) {
  for (const Counter& each : cluster.status(at).counters) {
    if (each.name == name) return each.value;
  }
  ADD_FAILURE() << "nobody counts " << name;
  return 0;
}

/// Five replicas; E is cut off.
class Absence : public ::testing::TestWithParam<Durability> {};

TEST_P(Absence, CostsTheOthersNeitherMemoryNorTheFastPath) {
  KeyValueCluster cluster(absent_for_long(GetParam()));
  cluster.partition({{kA, kB, kC, kD}, {kE}});
  executes(cluster, kCommands);

  ASSERT_EQ(cluster.outcomes().executed, kCommands);
  EXPECT_EQ(cluster.count("fast_path"), static_cast<std::uint64_t>(kCommands));
  EXPECT_GT(cluster.count("vector_floors_raised"), 0u);
  for (const ReplicaId at : {kA, kB, kC, kD}) {
    EXPECT_LT(value_of(cluster, at, "conflict_index_keys"), 600u) << to_string(at);
    const std::uint64_t held = value_of(cluster, at, "held_executed_instances");
    if (GetParam() == Durability::kNone) {
      EXPECT_GE(held, static_cast<std::uint64_t>(kCommands)) << "nothing can be read back";
    } else {
      EXPECT_LE(held, kHeldMax) << to_string(at);
    }
  }

  cluster.heal();
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  cluster.run_for(5 * kSecond);
  EXPECT_EQ(value_of(cluster, kA, "held_executed_instances"), 0u) << "all have executed all";
  const std::uint64_t fast = cluster.count("fast_path");
  for (int i = 0; i < 20; ++i) cluster.put(kE, "mine" + std::to_string(i), "word");
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  EXPECT_EQ(cluster.count("fast_path"), fast + 20);
  EXPECT_EQ(cluster.value(kA, "mine7"), "word");
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// What cannot be decided cannot be put away either, wherever it can be read back.
TEST_P(Absence, OfTooManyClosesTheDoorBeforeMemoryIsFull) {
  sim::ClusterConfig little = absent_for_long(GetParam());
  little.core.held_bytes_max = 1024 * 1024;
  KeyValueCluster cluster(little);
  cluster.partition({{kA}, {kB, kC, kD, kE}});
  for (int i = 0; i < 500; ++i) {
    cluster.put(kA, "undecided" + std::to_string(i), std::string(4096, 'x'));
    cluster.run_for(1'000);
  }
  const HeldMemory held = cluster.status(kA).memory;

  EXPECT_LT(held.bytes, held.limit_bytes);
  EXPECT_TRUE(held.is_short());
  EXPECT_GT(held.undecided_bytes, held.limit_bytes / 2);
  EXPECT_GT(cluster.outcomes().rejected, 200);
  const auto heard = [](const Outcome& outcome) {
    EXPECT_EQ(outcome.code, ErrorCode::kOverloaded);
    EXPECT_THAT(std::string(outcome.reason), HasSubstr("more than half"));
  };
  cluster.propose(kA, kv::put("one", "more"), heard);
  cluster.run_for(kSecond);

  cluster.heal();
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  cluster.run_for(10 * kSecond);
  EXPECT_EQ(cluster.status(kA).memory.undecided_bytes, 0u);
  const int rejected = cluster.outcomes().rejected;
  cluster.put(kA, "last", "word");
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  EXPECT_EQ(cluster.outcomes().rejected, rejected);
  EXPECT_EQ(cluster.value(kA, "undecided0"), std::string(4096, 'x'));
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// Where commands can be read back, they make room instead.
TEST_P(Absence, ClosesTheDoorBeforeMemoryIsFullAndOpensItByItself) {
  sim::ClusterConfig little = absent_for_long(GetParam());
  little.core.held_executed_max = 1'000'000;
  little.core.held_bytes_max = 512 * 1024;
  KeyValueCluster cluster(little);
  cluster.partition({{kA, kB, kC, kD}, {kE}});
  executes(cluster, kCommands);
  const HeldMemory held = cluster.status(kA).memory;

  EXPECT_LT(held.bytes, held.limit_bytes / 4 * 5) << "it grew on";
  if (GetParam() != Durability::kNone) {
    EXPECT_EQ(cluster.outcomes().rejected, 0);
    EXPECT_EQ(held.behind, std::nullopt);
  } else {
    EXPECT_GT(cluster.outcomes().rejected, 0);
    EXPECT_EQ(held.behind, kE);
    EXPECT_TRUE(held.is_short());
    const auto heard = [](const Outcome& outcome) {
      EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
      EXPECT_EQ(outcome.code, ErrorCode::kOverloaded);
      EXPECT_THAT(std::string(outcome.reason), HasSubstr("R4"));
    };
    cluster.propose(kA, kv::put("one", "more"), heard);
    cluster.run_for(kSecond);
  }

  cluster.heal();
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  cluster.run_for(10 * kSecond);
  EXPECT_FALSE(cluster.status(kA).memory.is_short());
  const int rejected = cluster.outcomes().rejected;
  cluster.put(kA, "last", "word");
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  EXPECT_EQ(cluster.outcomes().rejected, rejected);
  EXPECT_EQ(cluster.value(kE, "last"), "word");
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

TEST(AbsenceAtSync, ARestartOfAnotherMemberMeanwhileCostsNoMemoryEither) {
  sim::ClusterConfig with_images = absent_for_long(Durability::kSync);
  with_images.image_log_bytes = 64 * 1024;
  KeyValueCluster cluster(with_images);
  cluster.kill(kE);
  executes(cluster, kCommands);
  cluster.kill(kB);
  executes(cluster, 100);
  cluster.restart(kB);
  EXPECT_LT(value_of(cluster, kB, "conflict_index_keys"), 2'000u) << "of 4,100";
  const std::uint64_t slow = cluster.count("slow_path_mismatch") + cluster.count("slow_path_floor");
  executes(cluster, 1'000);

  EXPECT_LT(value_of(cluster, kB, "conflict_index_keys"), 600u);
  EXPECT_EQ(cluster.outcomes().executed, kCommands + 1'100 - 25) << "but for those at B";
  EXPECT_LT(cluster.count("slow_path_mismatch") + cluster.count("slow_path_floor"), slow + 50);

  cluster.restart(kE);
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  EXPECT_TRUE(cluster.digests_agree());
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Durability, Absence,
                         ::testing::Values(Durability::kSync, Durability::kAsync,
                                           Durability::kNone),
                         [](const auto& each) { return std::string(to_string(each.param)); });

}  // namespace
}  // namespace epaxos::testing
