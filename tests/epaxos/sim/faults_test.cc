// Each fault of the virtual world does what its name says.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "epaxos/protocol/message.h"
#include "epaxos/sim/nemesis.h"
#include "executor/key_value_command.h"
#include "tests/support/cluster.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::IsEmpty;

constexpr auto kCommit = static_cast<net::FrameType>(MessageType::kCommit);

// --- Disks -------------------------------------------------------------------------------------

TEST(VirtualDisk, WhateverIsDamagedItsReplicaDoesNotStart) {
  KeyValueCluster cluster(sim::ClusterConfig{});
  for (int i = 0; i < 20; ++i) cluster.put(kA, "x", std::to_string(i));
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));
  cluster.kill(kC);
  const sim::VirtualDisk::Image written = cluster.disk(kC).image();
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    sim::Random random(seed);
    ASSERT_TRUE(cluster.disk(kC).damage(random));

    const Result<void> started = cluster.at_replica(kC).start();

    ASSERT_FALSE(started) << "seed " << seed;
    EXPECT_EQ(started.error().code, ErrorCode::kCorrupted);
    EXPECT_EQ(cluster.disk(kC).image(), written);
    cluster.disk(kC).set_back(written);
  }

  cluster.restart(kC);
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// --- Links -------------------------------------------------------------------------------------

TEST(VirtualNetwork, ASenderMayBeToldThatABundleWasDroppedWhichArrives) {
  sim::EventQueue events(3);
  sim::VirtualNetwork network(2, 3, events);
  network.set_all({.reported_failed_ppm = 500'000});
  const std::vector<std::byte> bundle(8);
  int refused = 0;
  for (int i = 0; i < 1'000; ++i) {
    if (!network.send(kA, kB, bundle)) ++refused;
  }

  EXPECT_NEAR(refused, 500, 100);
  EXPECT_EQ(network.totals().reported_failed, static_cast<unsigned>(refused));
  EXPECT_NEAR(static_cast<double>(network.totals().lost), refused / 2.0, 100)
      << "half of them arrive";
}

TEST(VirtualNetwork, OneBitOfACorruptBundleIsAnotherOne) {
  sim::EventQueue events(3);
  sim::VirtualNetwork network(2, 3, events);
  network.set_all({.corrupt_ppm = 1'000'000});
  network.send(kA, kB, std::vector<std::byte>(16));

  const Bytes arrived = network.arrival(events.pop().subject).bundle;

  int bits = 0;
  for (const std::byte each : arrived) bits += std::popcount(std::to_integer<unsigned>(each));
  EXPECT_EQ(bits, 1);
}

TEST(VirtualNetwork, WhatIsCloggedArrivesAtOnceLater) {
  sim::EventQueue events(3);
  sim::VirtualNetwork network(3, 3, events);
  network.clog(kA, kB, 5 * kSecond);
  network.send(kA, kB, std::vector<std::byte>(8));
  network.send(kA, kC, std::vector<std::byte>(8));
  EXPECT_LT(events.pop().time, kSecond) << "the other link is free";
  EXPECT_EQ(events.pop().time, 5 * kSecond);

  network.clog(kA, kB, 50 * kSecond);
  network.unclog_all();
  network.send(kA, kB, std::vector<std::byte>(8));
  EXPECT_LT(events.pop().time, 6 * kSecond);
}

TEST(Faults, CorruptBundlesAreRefusedAndHurtNobody) {
  sim::ClusterConfig config;
  config.links.corrupt_ppm = 200'000;
  KeyValueCluster cluster(config);
  Load load(cluster, {.commands = 100, .conflict_ppm = 300'000});
  load.start();

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
  ASSERT_TRUE(cluster.run_until_converged(600 * kSecond));

  std::uint64_t refused = 0;
  for (const ReplicaId replica : cluster.replicas()) {
    refused += cluster.host(replica).refusals().total();
  }
  EXPECT_GT(refused, 20u);
  EXPECT_EQ(load.outcomes().executed, 100);
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// --- Replicas ----------------------------------------------------------------------------------

TEST(Faults, AReplicaThatStandsStillAnswersWhenItGoesOn) {
  KeyValueCluster cluster(3, 1);
  cluster.run_for(kSecond);
  cluster.at_replica(kA).pause_until(cluster.now() + 30 * kSecond);

  cluster.put(kA, "key", "1");
  cluster.put(kB, "other", "2");
  cluster.run_for(29 * kSecond);
  EXPECT_EQ(cluster.outcomes().executed, 1) << "the others go on";
  EXPECT_EQ(cluster.value(kC, "other"), "2");
  EXPECT_EQ(cluster.value(kA, "other"), "");

  cluster.run_for(2 * kSecond);
  EXPECT_EQ(cluster.outcomes().executed, 2);
  EXPECT_EQ(cluster.value(kA, "other"), "2");
}

TEST(Faults, AClockThatDriftsShowsMoreOrLessAndNeverGoesBack) {
  KeyValueCluster cluster(3, 1);
  cluster.at_replica(kA).set_clock_drift(200'000);
  cluster.at_replica(kB).set_clock_drift(-200'000);
  cluster.run_for(10 * kSecond);
  EXPECT_EQ(cluster.at_replica(kA).local_now(), 12 * kSecond);
  EXPECT_EQ(cluster.at_replica(kB).local_now(), 8 * kSecond);
  EXPECT_EQ(cluster.at_replica(kC).local_now(), 10 * kSecond);

  cluster.at_replica(kA).set_clock_drift(-100'000);
  cluster.run_for(10 * kSecond);
  EXPECT_EQ(cluster.at_replica(kA).local_now(), 21 * kSecond);

  cluster.put(kA, "key", "1");
  EXPECT_TRUE(cluster.run_until_converged(60 * kSecond));
  EXPECT_EQ(cluster.value(kB, "key"), "1");
}

TEST(Faults, ADeadlineIsCountedByTheClockOfItsReplica) {
  KeyValueCluster cluster(3, 1);
  cluster.at_replica(kA).set_clock_drift(100'000);
  cluster.run_for(100 * kSecond);
  for (const ReplicaId other : {kB, kC}) cluster.network().cut(kA, other);
  Tick told_at = 0;
  const Tick begin = cluster.now();
  cluster.propose(kA, kv::put("key", "1"), begin + kSecond,
                  [&](const Outcome&) { told_at = cluster.now(); });

  cluster.run_for(10 * kSecond);

  // Its clock is a tenth fast, and so is its deadline.
  EXPECT_NEAR(static_cast<double>(told_at - begin), 0.91 * kSecond, 0.02 * kSecond);
}

TEST(Faults, TheFirstCommitMayBeTheLastWordOfItsSender) {
  KeyValueCluster cluster(5, 1);
  SpeechChecker speech(cluster);
  cluster.crash_after_frame(kA, kCommit, 1);

  cluster.put(kA, "key", "1");
  cluster.run_for(kSecond);

  EXPECT_FALSE(cluster.alive(kA));
  EXPECT_EQ(speech.said(kA, MessageType::kCommit), 1u) << "one receiver heard it";
  EXPECT_EQ(cluster.outcomes().unknown, 1);
}

TEST(Faults, TotalsKeepWhatEarlierLivesHaveCounted) {
  KeyValueCluster cluster(3, 1);
  cluster.put(kA, "key", "1");
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));
  cluster.kill(kA);
  cluster.restart(kA);
  cluster.put(kA, "key", "2");
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  EXPECT_EQ(cluster.count("fast_path"), 1u) << "of those that live";
  EXPECT_EQ(cluster.totals().at("fast_path"), 2u);
  EXPECT_EQ(cluster.totals().at("slow_path_mismatch"), 0u) << "there, though it never counted";
}

TEST(Faults, WhoeverLooksAfterEveryEventSeesEveryEvent) {
  KeyValueCluster cluster(3, 1);
  std::uint64_t looks = 0;
  cluster.after_event([&] { ++looks; });
  const std::uint64_t before = cluster.events();

  cluster.put(kA, "key", "1");
  cluster.run_for(kSecond);

  EXPECT_GT(looks, 10u);
  EXPECT_EQ(looks, cluster.events() - before);
}

// --- Disks -------------------------------------------------------------------------------------

sim::SwarmPlan forgetting_plan(std::uint64_t seed) {
  sim::SwarmPlan plan;
  plan.seed = seed;
  plan.faults = 64;
  plan.fault_mask = ~std::uint64_t{0};
  plan.classes = std::uint64_t{1} << static_cast<unsigned>(sim::FaultClass::kForget);
  plan.permanent = 1;
  return plan;
}

// Nothing is under way when the disk goes, so that nobody must finish what its owner began.
TEST(Faults, ADiskThatForgotIsFoundOut) {
  int confronted = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const sim::SwarmPlan plan = forgetting_plan(seed);
    KeyValueCluster cluster(plan.cluster());
    SpeechChecker speech(cluster);
    sim::Nemesis nemesis(cluster, plan, {});
    for (std::uint64_t moment = 0; moment < plan.faults; ++moment) {
      for (const ReplicaId replica : cluster.replicas()) cluster.put(replica, "key", "1");
      ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));
      nemesis.moment(moment);
    }
    nemesis.settle();
    int down = 0;
    for (const ReplicaId replica : cluster.replicas()) down += cluster.alive(replica) ? 0 : 1;
    confronted += down;

    EXPECT_THAT(nemesis.confront_with_what_was_forgotten(), IsEmpty());

    EXPECT_TRUE(cluster.run_until_converged(60 * kSecond));
    EXPECT_THAT(cluster.final_violations(), IsEmpty());
    EXPECT_THAT(speech.violations(), IsEmpty());
  }
  EXPECT_GT(confronted, 10);
}

}  // namespace
}  // namespace epaxos::testing
