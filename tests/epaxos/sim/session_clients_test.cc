// Clients with sessions, in worlds in which answers are lost: whatever they repeat takes effect
// once, and whoever looks on would notice if it did not.

#include "epaxos/sim/session_clients.h"

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "epaxos/sim/load.h"
#include "executor/key_value_command.h"
#include "tests/support/cluster.h"

namespace epaxos::testing {
namespace {

using ::testing::IsEmpty;

/// Every command adds one to the same number.
class Increments final : public sim::Load {
 public:
  using Load::Load;

 private:
  [[nodiscard]] std::vector<std::byte> command(sim::Random&, int) override {
    return kv::increment("sum", 1);
  }
};

/// Nobody waits as long as an answer takes.
sim::LoadOptions impatient() {
  sim::LoadOptions options;
  options.commands = 60;
  options.clients = 4;
  options.sessions.clients_each = 2;
  options.sessions.patience_us = 300;
  options.sessions.repeat_ppm = 500'000;
  return options;
}

TEST(SessionClients, WhatIsRepeatedElsewhereAtAnyTimeTakesEffectOnce) {
  KeyValueCluster cluster(sim::ClusterConfig{});
  Increments load(cluster, impatient());
  load.start();

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 60 * kSecond));
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  EXPECT_THAT(cluster.final_violations(), IsEmpty());
  EXPECT_THAT(load.violations(), IsEmpty());
  EXPECT_EQ(load.outcomes().executed, 60);
  EXPECT_EQ(cluster.value(kA, "sum"), "60");
  EXPECT_GT(cluster.totals().at("session_duplicates"), 0u) << "the table answered";
}

TEST(SessionClients, ARequestIsRepeatedWhereAReplicaIsUpAndTheAnswerOfTheLastOneIsLost) {
  KeyValueCluster cluster(sim::ClusterConfig{});
  sim::LoadOptions options = impatient();
  options.sessions.patience_us = 20'000;
  options.sessions.repeat_ppm = 0;
  Increments load(cluster, options);
  load.start();
  // It has executed, and stops before it answers.
  cluster.crash_after(kA, sim::CrashPoint::kApply, 5);

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 60 * kSecond));
  cluster.restart_all();
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  EXPECT_THAT(cluster.final_violations(), IsEmpty());
  EXPECT_EQ(load.outcomes().executed, 60) << "nobody is left without an answer";
  EXPECT_EQ(cluster.value(kA, "sum"), "60");
}

TEST(SessionClients, SessionsExpireWhileTheirClientsRest) {
  sim::ClusterConfig config;
  config.session_ttl_us = kSecond;
  KeyValueCluster cluster(config);
  sim::LoadOptions options = impatient();
  options.commands = 400;
  options.sessions.clients_each = 1;
  options.sessions.ttl_us = kSecond;
  Increments load(cluster, options);
  load.start();

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  EXPECT_THAT(cluster.final_violations(), IsEmpty());
  EXPECT_THAT(load.violations(), IsEmpty());
  const sim::Outcomes& outcomes = load.outcomes();
  EXPECT_GT(outcomes.rejected + outcomes.unknown, 0) << "who had rested was told so";
  EXPECT_GT(cluster.totals().at("session_expired"), 0u);
  EXPECT_GE(std::stoi(cluster.value(kA, "sum")), outcomes.executed);
  EXPECT_LE(std::stoi(cluster.value(kA, "sum")), outcomes.executed + outcomes.unknown);
}

// Whoever says that a client waits for ever must know how long clients only rest.
TEST(SessionClients, RestsAreAccountedForUntilTheLastOneIsOver) {
  KeyValueCluster cluster(sim::ClusterConfig{});
  sim::SessionOptions options;
  options.clients_each = 1;
  options.ttl_us = kSecond;
  sim::SessionClients clients(cluster, options, 1, /*seed=*/1);
  EXPECT_EQ(clients.rests_left_us(), 8 * 4 * kSecond);

  int rests = 0;
  for (int i = 0; i < 10'000; ++i) {
    const Tick before = clients.rests_left_us();
    const Tick rest_us = clients.rest();
    EXPECT_EQ(clients.rests_left_us(), before) << "it is the same, begun or not";
    if (rest_us == 0) continue;
    ++rests;
    EXPECT_EQ(rest_us, 4 * kSecond);
    cluster.run_for(rest_us);
    EXPECT_EQ(clients.rests_left_us(), before - rest_us);
  }

  EXPECT_EQ(rests, 8);
  EXPECT_EQ(clients.rests_left_us(), 0u);
}

}  // namespace
}  // namespace epaxos::testing
