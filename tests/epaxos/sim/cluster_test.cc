// The real protocol in virtual clusters: everything executes everywhere, in agreement, whatever the
// network does.

#include "tests/support/cluster.h"

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

namespace epaxos::testing {
namespace {

using ::testing::IsEmpty;

TEST(Cluster, WhatOneClientWritesIsReadEverywhere) {
  KeyValueCluster cluster(3, 1);

  cluster.put(kB, "colour", "blue");
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  EXPECT_EQ(cluster.outcomes().executed, 1);
  for (const ReplicaId replica : cluster.replicas()) {
    EXPECT_EQ(cluster.value(replica, "colour"), "blue");
  }
}

TEST(Cluster, TheSameSeedGivesTheSameRunAndAnotherSeedAnother) {
  const auto run = [](std::uint64_t seed) {
    sim::ClusterConfig config;
    config.seed = seed;
    config.links = bad_links();
    KeyValueCluster cluster(config);
    Load load(cluster, {.commands = 50, .conflict_ppm = 500'000});
    load.start();
    cluster.run_for(5 * kSecond);
    return cluster.trace_hash();
  };

  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

class Conflicts : public ::testing::TestWithParam<std::tuple<int, std::uint32_t>> {};

TEST_P(Conflicts, EveryCommandExecutesEverywhereAndStatesAgree) {
  const auto [replicas, conflict_ppm] = GetParam();
  KeyValueCluster cluster(replicas, 11);
  Load load(cluster, {.commands = 300, .clients = 2 * replicas, .conflict_ppm = conflict_ppm});

  load.start();

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 60 * kSecond));
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));
  EXPECT_EQ(load.outcomes().executed, 300);
  EXPECT_EQ(cluster.executions().executed(), 300u * static_cast<unsigned>(replicas));
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Cluster, Conflicts,
                         ::testing::Combine(::testing::Values(1, 3, 4, 5, 7),
                                            ::testing::Values(0u, 20'000u, 1'000'000u)));

TEST(Cluster, CommandsWithoutConflictsTakeTheFastPathWithoutFaults) {
  KeyValueCluster cluster(5, 3);
  Load load(cluster, {.commands = 200, .clients = 5, .conflict_ppm = 0});

  load.start();
  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 60 * kSecond));

  EXPECT_EQ(cluster.count("fast_path"), 200u);
}

TEST(Cluster, HolesCloseUnderLossDuplicationAndReordering) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig config;
    config.seed = seed;
    config.replica_count = seed % 2 == 0 ? 3 : 5;
    config.links = bad_links();
    KeyValueCluster cluster(config);
    Load load(cluster, {.commands = 60, .clients = 6, .conflict_ppm = 300'000, .seed = seed});

    load.start();

    ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
    cluster.heal();
    ASSERT_TRUE(cluster.run_until_converged(120 * kSecond)) << "a hole stayed open";
    EXPECT_EQ(load.outcomes().executed, 60);
    EXPECT_THAT(cluster.final_violations(), IsEmpty());
  }
}

TEST(Cluster, AMinorityThatWasCutOffCatchesUp) {
  KeyValueCluster cluster(5, 21);
  cluster.partition({{kA, kB, kC}, {kD, kE}});
  for (int i = 0; i < 50; ++i) cluster.put(kA, "key" + std::to_string(i), "x");
  cluster.put(kE, "lonely", "y");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 50; }, 60 * kSecond));
  EXPECT_EQ(cluster.value(kE, "key7"), "");

  cluster.heal();
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  EXPECT_EQ(cluster.value(kE, "key7"), "x");
  EXPECT_EQ(cluster.value(kA, "lonely"), "y");
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

}  // namespace
}  // namespace epaxos::testing
