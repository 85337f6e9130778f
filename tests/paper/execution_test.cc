// The execution algorithm (SOSP'13, section 4.3.2): strongly connected components in the order of
// their dependencies, and within one an order that all replicas share. Also the rule for the own
// row of the dependencies.

#include <gmock/gmock.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "executor/key_value_command.h"
#include "tests/support/cluster.h"
#include "tests/support/conversation.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::IsEmpty;

sim::ClusterConfig exact(int replica_count) {
  sim::ClusterConfig config;
  config.replica_count = replica_count;
  config.links = {.delay_us = 20'000, .jitter_us = 0};
  config.disks = {.latency_us = 0, .jitter_us = 0};
  config.turn_delay_us = 0;
  return config;
}

// A and B answer each other before C answers either, so each command comes before the other.
TEST(PaperExecution, ACycleOfTwoExecutesEverywhereInTheOrderOfSlotsThenRows) {
  KeyValueCluster cluster(exact(3));
  Conversation conversation(cluster);
  cluster.network().set_delay(kA, kB, 1'000);

  cluster.propose(kB, kv::append("log", "b"));
  cluster.propose(kA, kv::append("log", "a"));
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  const auto decided = [&](ReplicaId owner) {
    for (const auto& line : conversation.about({owner, Slot(1)})) {
      if (line.type == MessageType::kCommit) return line.dependencies;
    }
    return Dependencies(3);
  };
  ASSERT_EQ(decided(kA), (Dependencies{0, 1, 0})) << "B.1 before A.1";
  ASSERT_EQ(decided(kB), (Dependencies{1, 0, 0})) << "and A.1 before B.1";
  for (const ReplicaId replica : cluster.replicas()) {
    EXPECT_EQ(cluster.value(replica, "log"), "ab") << to_string(replica);
  }
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// Five owners write one key at once: whatever components come of it, one log everywhere.
TEST(PaperExecution, ComponentsOfFiveOwnersExecuteInOneOrderEverywhere) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    KeyValueCluster cluster(5, seed);
    for (int round = 0; round < 3; ++round) {
      for (const ReplicaId owner : cluster.replicas()) {
        cluster.propose(owner, kv::append("log", to_string(owner) + ";"));
      }
      cluster.run_for(700);
    }

    ASSERT_TRUE(cluster.run_until_converged(20 * kSecond));

    const std::string log = cluster.value(kA, "log");
    EXPECT_EQ(log.size(), 15 * std::string("R0;").size());
    for (const ReplicaId replica : cluster.replicas()) {
      EXPECT_EQ(cluster.value(replica, "log"), log) << to_string(replica);
    }
    EXPECT_THAT(cluster.final_violations(), IsEmpty());
  }
}

// What does not interfere executes as soon as it is decided, whatever else is still open.
TEST(PaperExecution, ACommandWaitsForNothingThatDoesNotInterfere) {
  KeyValueCluster cluster(exact(3));
  cluster.partition({{kA}, {kB, kC}});
  cluster.put(kA, "cut off", "x");
  cluster.run_for(kSecond);

  cluster.put(kB, "other", "y");

  EXPECT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, kSecond));
  EXPECT_EQ(cluster.value(kC, "cut off"), "");
}

// Without the rule C would answer the earlier command of A with the later one, which has overtaken
// it, and send it down the slow path. The owner knows the order of its own commands already.
TEST(PaperExecution, ALaterOwnCommandThatOvertakesAnEarlierOneCostsNoSecondRound) {
  KeyValueCluster cluster(exact(5));
  Conversation conversation(cluster);
  const InstanceId first{kA, Slot(1)};
  const InstanceId second{kA, Slot(2)};

  cluster.propose(kA, kv::append("log", "1"));
  cluster.run_for(1'000);
  cluster.network().set_all({.delay_us = 2'000, .jitter_us = 0});
  cluster.propose(kA, kv::append("log", "2"));
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  ASSERT_LT(conversation.first(MessageType::kPreAcceptOk, second),
            conversation.first(MessageType::kPreAcceptOk, first))
      << "the second has overtaken the first";
  EXPECT_EQ(cluster.count("fast_path"), 2u);
  EXPECT_EQ(conversation.first(MessageType::kAccept, first), kNever);
  for (const ReplicaId replica : cluster.replicas()) EXPECT_EQ(cluster.value(replica, "log"), "12");
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

}  // namespace
}  // namespace epaxos::testing
