// Replicas that stop right after any effect, come back with what their disk kept, and must neither
// lose what they acknowledged nor contradict what they said.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/cluster.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using sim::CrashPoint;
using ::testing::IsEmpty;

struct Sweep {
  int replicas = 3;
  ReplicaId victim;
  CrashPoint point = CrashPoint::kSubmit;
  std::uint64_t seed = 1;
};

/// One run with a crash after the k-th effect. Returns whether there were as many.
bool survives(const Sweep& sweep, std::uint64_t k) {
  SCOPED_TRACE("crash after effect " + std::to_string(k));
  KeyValueCluster cluster(sweep.replicas, sweep.seed);
  SpeechChecker speech(cluster);
  Load load(cluster, {.commands = 16, .clients = 4, .conflict_ppm = 600'000, .seed = sweep.seed});
  cluster.crash_after(sweep.victim, sweep.point, k);
  load.start();
  const auto stopped = [&] { return !cluster.alive(sweep.victim); };
  const bool crashed =
      cluster.run_until([&] { return stopped() || load.done(); }, 60 * kSecond) && stopped();
  cluster.crash_after(sweep.victim, sweep.point, 0);  // No longer.
  if (crashed) {
    cluster.run_for(200'000);
    cluster.restart(sweep.victim);
  }

  EXPECT_TRUE(cluster.run_until([&] { return load.done(); }, 60 * kSecond)) << "a client waits";
  EXPECT_TRUE(cluster.run_until_converged(60 * kSecond)) << "a hole stayed open";

  EXPECT_THAT(cluster.final_violations(), IsEmpty());
  EXPECT_THAT(speech.violations(), IsEmpty());
  for (const ReplicaId replica : cluster.replicas()) {
    EXPECT_EQ(cluster.status(replica).role, "voting") << to_string(replica);
  }
  return crashed;
}

class CrashSweep : public ::testing::TestWithParam<std::tuple<int, CrashPoint, int>> {};

TEST_P(CrashSweep, NothingAcknowledgedIsLostAndNothingSaidIsContradicted) {
  Sweep sweep;
  sweep.replicas = std::get<0>(GetParam());
  sweep.point = std::get<1>(GetParam());
  sweep.victim = ReplicaId(static_cast<std::uint16_t>(std::get<2>(GetParam())));
  std::uint64_t k = 1;
  while (survives(sweep, k) && !HasFailure()) ++k;
  RecordProperty("crash_points", static_cast<int>(k) - 1);
  EXPECT_GT(k, 4u) << "the sweep hit hardly anything";
}

INSTANTIATE_TEST_SUITE_P(
    Crash, CrashSweep,
    ::testing::Combine(::testing::Values(3, 5),
                       ::testing::Values(CrashPoint::kSubmit, CrashPoint::kDurable,
                                         CrashPoint::kSend, CrashPoint::kApply),
                       ::testing::Values(0, 2)));

TEST(Crash, AllReplicasMayStopAtOnceAtAnyMoment) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig config;
    config.replica_count = std::array{1, 3, 5}[seed % 3];
    config.seed = seed;
    config.links = bad_links(50'000, 50'000);
    KeyValueCluster cluster(config);
    SpeechChecker speech(cluster);
    Load load(cluster, {.commands = 40, .clients = 5, .conflict_ppm = 400'000, .seed = seed});
    load.start();
    sim::Random random = sim::stream(seed, sim::Purpose::kCrash, 0);
    for (int crash = 0; crash < 3; ++crash) {
      cluster.run_for(random.below(20'000));
      cluster.kill_all();
      cluster.run_for(random.below(20'000));
      cluster.restart_all();
    }

    ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 300 * kSecond));
    cluster.heal();
    ASSERT_TRUE(cluster.run_until_converged(60 * kSecond)) << "a hole stayed open";

    EXPECT_THAT(cluster.final_violations(), IsEmpty());
    EXPECT_THAT(speech.violations(), IsEmpty());
  }
}

TEST(Crash, ReplicasThatComeAndGoUnderABadNetworkStayInAgreement) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig config;
    config.replica_count = seed % 2 == 0 ? 3 : 5;
    config.seed = seed;
    config.links = bad_links();
    config.disks.jitter_us = 5'000;
    KeyValueCluster cluster(config);
    SpeechChecker speech(cluster);
    Load load(cluster, {.commands = 60, .clients = 6, .conflict_ppm = 400'000, .seed = seed});
    load.start();
    sim::Random random = sim::stream(seed, sim::Purpose::kCrash, 0);
    for (int crash = 0; crash < 12; ++crash) {
      cluster.run_for(random.below(100'000));
      const auto replicas = static_cast<std::uint64_t>(config.replica_count);
      const ReplicaId victim(static_cast<std::uint16_t>(random.below(5) % replicas));
      if (cluster.alive(victim)) cluster.kill(victim);
      cluster.run_for(random.below(50'000));
      if (random.below(3) != 0) cluster.restart_all();
    }
    cluster.heal();

    ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 300 * kSecond));
    ASSERT_TRUE(cluster.run_until_converged(60 * kSecond)) << "a hole stayed open";

    EXPECT_THAT(cluster.final_violations(), IsEmpty());
    EXPECT_THAT(speech.violations(), IsEmpty());
  }
}

// The same without the gate: what is said runs ahead of the disk, and the checker must see it, each
// row of 13.1 that exists.
TEST(Crash, TheCheckerSeesSpeechThatRunsAheadOfTheDisk) {
  sim::ClusterConfig config;
  config.replica_count = 5;
  config.durability = Durability::kAsync;
  config.disks.latency_us = 3 * kSecond;
  KeyValueCluster cluster(config);
  SpeechChecker speech(cluster);

  // All at once on one key, so that both rounds are needed.
  for (const ReplicaId replica : cluster.replicas()) cluster.put(replica, "colour", "blue");
  cluster.run_for(100'000);
  // Only B hears of it: it stays undecided, and the others learn of it from B.
  for (const ReplicaId deaf : {kC, kD, kE}) cluster.network().cut(kA, deaf);
  cluster.put(kA, "shape", "round");
  cluster.run_for(2 * kSecond);

  std::string all;
  for (const std::string& violation : speech.violations()) all += violation + "\n";
  EXPECT_THAT(all, ::testing::HasSubstr("PreAccept, without its record"));
  EXPECT_THAT(all, ::testing::HasSubstr("PreAcceptOk, without its record"));
  EXPECT_THAT(all, ::testing::HasSubstr("Accept, without its own vote"));
  EXPECT_THAT(all, ::testing::HasSubstr("AcceptOk, without its vote"));
  EXPECT_THAT(all, ::testing::HasSubstr("Commit, without a decision"));
  EXPECT_THAT(all, ::testing::HasSubstr("Learn, without its record"));
  EXPECT_THAT(all, ::testing::HasSubstr("executed, by gossip, without its decision"));
  EXPECT_THAT(all, ::testing::HasSubstr("executed, to a client, without its decision"));
}

}  // namespace
}  // namespace epaxos::testing
