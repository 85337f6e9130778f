// Stories of what clients ask for: batches, barriers, very small groups, deadlines.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "executor/key_value_command.h"
#include "tests/support/cluster.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::IsEmpty;

void expect_one_state(KeyValueCluster& cluster) {
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond)) << "a hole stayed open";
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

TEST(Batches, CommandsThatArriveTogetherShareAnInstanceAndEachHasItsOutcome) {
  sim::ClusterConfig config;
  config.core.batch_commands_max = 16;
  KeyValueCluster cluster(config);
  SpeechChecker speech(cluster);

  for (int i = 0; i < 40; ++i) cluster.put(kA, "key" + std::to_string(i), "x");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 40; }, 10 * kSecond));

  EXPECT_EQ(cluster.count("proposed_instances"), 3u) << "16, 16 and 8";
  EXPECT_EQ(speech.said(kA, MessageType::kPreAccept), 6u) << "one an instance and peer";
  expect_one_state(cluster);
}

// A batch interferes when one of its commands does.
TEST(Batches, OfTwoOwnersThatShareAKeyExecuteInOneOrderEverywhere) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig config;
    config.seed = seed;
    config.core.batch_commands_max = 8;
    config.links = bad_links(100'000, 100'000);
    KeyValueCluster cluster(config);
    for (const ReplicaId owner : {kA, kB}) {
      for (int i = 0; i < 8; ++i) {
        const std::string key = i == 3 ? "shared" : to_string(owner) + std::to_string(i);
        cluster.propose(owner, kv::append(key, to_string(owner)));
      }
    }

    expect_one_state(cluster);
    EXPECT_EQ(cluster.value(kA, "shared").size(), 4u);
    EXPECT_EQ(cluster.value(kA, "shared"), cluster.value(kC, "shared"));
  }
}

// A barrier interferes with everything, reads and other barriers included. The checker counts what
// stands before and behind it at each replica.
TEST(Barriers, StandAtOnePlaceAmongAllCommandsEverywhere) {
  for (const int replicas : {3, 5}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      SCOPED_TRACE(std::to_string(replicas) + " replicas, seed " + std::to_string(seed));
      KeyValueCluster cluster(replicas, seed);
      Load load(cluster, {.commands = 60, .clients = 6, .conflict_ppm = 100'000, .seed = seed});
      load.start();
      int passed = 0;
      for (int i = 0; i < 5; ++i) {
        cluster.propose(ReplicaId(static_cast<std::uint16_t>(i % replicas)),
                        kv::append("barriers", std::to_string(i)), Footprint::everything(), kNever,
                        [&](const Outcome& o) { passed += o.kind == OutcomeKind::kExecuted; });
        cluster.run_for(1'500);
      }

      ASSERT_TRUE(cluster.run_until([&] { return load.done() && passed == 5; }, 60 * kSecond));
      expect_one_state(cluster);
      EXPECT_EQ(cluster.value(kA, "barriers").size(), 5u);
    }
  }
}

TEST(SmallGroups, OneReplicaAloneDecidesWithItsDiskAndComesBack) {
  KeyValueCluster cluster(1, 1);

  cluster.put(kA, "key", "value");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, kSecond));
  EXPECT_EQ(cluster.network().totals().sent, 0u);
  cluster.kill(kA);
  cluster.restart(kA);

  expect_one_state(cluster);
  EXPECT_EQ(cluster.value(kA, "key"), "value");
}

TEST(SmallGroups, OfTwoBothAreNeededAndNothingIsLostWhileOneIsAway) {
  KeyValueCluster cluster(2, 1);
  cluster.kill(kB);

  cluster.put(kA, "key", "value");
  cluster.run_for(10 * kSecond);
  EXPECT_EQ(cluster.outcomes().total(), 0);
  cluster.restart(kB);

  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, 10 * kSecond));
  expect_one_state(cluster);
  EXPECT_EQ(cluster.value(kB, "key"), "value");
}

TEST(SmallGroups, OfTwoThatWriteOneKeyAtOnceAgree) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    KeyValueCluster cluster(2, seed);
    for (int i = 0; i < 5; ++i) {
      cluster.propose(kA, kv::append("log", "a"));
      cluster.propose(kB, kv::append("log", "b"));
      cluster.run_for(300);
    }

    expect_one_state(cluster);
    EXPECT_EQ(cluster.value(kA, "log").size(), 10u);
    EXPECT_EQ(cluster.value(kA, "log"), cluster.value(kB, "log"));
  }
}

TEST(Deadlines, AClientIsToldThatNobodyKnowsAndTheCommandMayStillHappenOnce) {
  KeyValueCluster cluster(3, 2);
  cluster.isolate(kA);
  std::vector<OutcomeKind> outcomes;
  const kv::Payload payload = kv::append("log", "x");

  cluster.propose(kA, payload, Footprint::write("log"), cluster.now() + kSecond,
                  [&](const Outcome& outcome) { outcomes.push_back(outcome.kind); });
  cluster.run_for(3 * kSecond);
  EXPECT_EQ(outcomes, std::vector{OutcomeKind::kUnknown});
  cluster.heal();

  expect_one_state(cluster);
  EXPECT_EQ(outcomes.size(), 1u) << "one outcome, whatever happens later";
  EXPECT_EQ(cluster.value(kB, "log"), "x");
}

}  // namespace
}  // namespace epaxos::testing
