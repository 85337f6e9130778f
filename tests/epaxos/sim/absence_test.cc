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

/// Five replicas; E is cut off, and the others execute commands on keys that nobody ever touches
/// again.
class Absence : public ::testing::TestWithParam<Durability> {
 protected:
  static sim::ClusterConfig config(Durability durability) {
    sim::ClusterConfig config;
    config.replica_count = 5;
    config.durability = durability;
    config.core.held_executed_max = kHeldMax;
    return config;
  }
  static void executes(KeyValueCluster& cluster, int commands) {
    static int number = 0;
    for (int i = 0; i < commands; ++i) {
      const ReplicaId at(static_cast<std::uint16_t>(i % 4));
      cluster.put(at, "key" + std::to_string(++number), std::string(40, 'x'));
      cluster.run_for(1'000);
    }
    cluster.run_for(5 * kSecond);
  }
  static std::uint64_t value_of(KeyValueCluster& cluster, ReplicaId at, std::string_view name) {
    for (const Counter& each : cluster.status(at).counters) {
      if (each.name == name) return each.value;
    }
    ADD_FAILURE() << "nobody counts " << name;
    return 0;
  }
};

TEST_P(Absence, CostsTheOthersNeitherMemoryNorTheFastPath) {
  KeyValueCluster cluster(config(GetParam()));
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
  cluster.put(kE, "last", "word");
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
  EXPECT_EQ(cluster.value(kA, "last"), "word");
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// Where commands can be read back, they make room instead.
TEST_P(Absence, ClosesTheDoorBeforeMemoryIsFullAndOpensItByItself) {
  sim::ClusterConfig little = config(GetParam());
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

INSTANTIATE_TEST_SUITE_P(Durability, Absence,
                         ::testing::Values(Durability::kSync, Durability::kAsync,
                                           Durability::kNone),
                         [](const auto& each) { return std::string(to_string(each.param)); });

}  // namespace
}  // namespace epaxos::testing
