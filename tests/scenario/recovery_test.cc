// Replicas that are gone for good: whoever is left decides and executes everything that anybody
// who is left knows. Source: protocol.md 7.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "epaxos/protocol/quorum.h"
#include "tests/support/cluster.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::IsEmpty;

struct Case {
  int replicas = 3;
  std::uint32_t conflict_ppm = 0;
  bool bad_links = false;
};

class Gone : public ::testing::TestWithParam<Case> {};

// Any minority dies at any moment, for ever.
TEST_P(Gone, ThoseWhoAreLeftFinishEverything) {
  const Case& which = GetParam();
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig config;
    config.replica_count = which.replicas;
    config.seed = seed;
    if (which.bad_links) config.links = bad_links();
    KeyValueCluster cluster(config);
    SpeechChecker speech(cluster);
    Load load(cluster, {.commands = 60,
                        .clients = 2 * which.replicas,
                        .conflict_ppm = which.conflict_ppm,
                        .seed = seed});
    sim::Random random = sim::stream(seed, sim::Purpose::kCrash, 7);

    load.start();
    for (int dead = 0; dead < protocol::faults_tolerated(which.replicas); ++dead) {
      cluster.run_for(random.below(20'000));
      const ReplicaId victim(static_cast<std::uint16_t>(dead));
      if (cluster.alive(victim)) cluster.kill(victim);
    }

    ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
    ASSERT_TRUE(cluster.run_until_converged(120 * kSecond)) << "a hole stayed open";
    EXPECT_THAT(cluster.final_violations(), IsEmpty());
    EXPECT_THAT(speech.final_violations(), IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(OfSize, Gone,
                         ::testing::Values(Case{3, 0, false}, Case{3, 300'000, false},
                                           Case{3, 1'000'000, true}, Case{4, 300'000, false},
                                           Case{5, 300'000, false}, Case{5, 1'000'000, true},
                                           Case{7, 300'000, false}, Case{7, 1'000'000, true}));

TEST(Recovery, NothingIsRecoveredWhileEverybodyLives) {
  KeyValueCluster cluster(5, 3);
  Load load(cluster, {.commands = 3'000, .clients = 200, .conflict_ppm = 300'000, .seed = 3});

  load.start();

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
  EXPECT_EQ(load.outcomes().executed, 3'000);
  EXPECT_EQ(cluster.count("recoveries_started"), 0u);
}

// Suspicion, and then at most three round trips: promises, validation, votes.
TEST(Recovery, EndsWithinThreeRoundTripsOfTheSuspicion) {
  sim::ClusterConfig config;
  config.replica_count = 5;
  config.links.delay_us = 50'000;
  config.links.jitter_us = 0;
  KeyValueCluster cluster(config);
  SpeechChecker speech(cluster);
  cluster.put(kA, "key", "value");
  ASSERT_TRUE(
      cluster.run_until([&] { return speech.said(MessageType::kPreAcceptOk) == 4; }, kSecond));
  cluster.kill(kA);

  ASSERT_TRUE(
      cluster.run_until([&] { return speech.said(MessageType::kRecover) > 0; }, 5 * kSecond));
  const Tick begin = cluster.now();
  ASSERT_TRUE(cluster.run_until([&] { return cluster.count("recovered") == 1; }, 5 * kSecond));
  EXPECT_LE(cluster.now() - begin, Tick{3 * 101'000});

  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));
  for (const ReplicaId replica : {kB, kC, kD, kE}) {
    EXPECT_EQ(cluster.value(replica, "key"), "value") << "all voted alike, so it may be decided";
  }
  EXPECT_EQ(speech.said(MessageType::kRecover), 4u) << "one recovers, the others watch";
  EXPECT_THAT(speech.final_violations(), IsEmpty());
}

// An owner that comes back finds its instances decided, as Nop or as it proposed, and its clients'
// commands are executed at most once.
TEST(Recovery, AnOwnerThatComesBackLearnsWhatBecameOfItsInstances) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    KeyValueCluster cluster(3, seed);
    SpeechChecker speech(cluster);
    Load load(cluster, {.commands = 60, .clients = 6, .conflict_ppm = 500'000, .seed = seed});
    load.start();
    cluster.run_for(1'000 + 150 * seed);
    cluster.isolate(kA);
    cluster.run_for(3 * kSecond);
    cluster.network().mend_all();

    ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
    EXPECT_EQ(load.outcomes().executed, 60) << "an isolated replica keeps its clients' commands";
    ASSERT_TRUE(cluster.run_until_converged(120 * kSecond));
    EXPECT_THAT(cluster.final_violations(), IsEmpty());
    EXPECT_THAT(speech.final_violations(), IsEmpty());
  }
}

}  // namespace
}  // namespace epaxos::testing
