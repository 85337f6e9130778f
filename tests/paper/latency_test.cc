// Round trips in virtual time (SOSP'13, sections 4.1 and 6): a command that meets no conflict
// commits after one round trip to the nearest fast quorum, one that does after one more to the
// nearest slow quorum. Five sites; disks and turns take no time, so that round trips are all there
// is.

#include <array>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "executor/key_value_command.h"
#include "tests/support/cluster.h"
#include "tests/support/conversation.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::IsEmpty;

/// One way, in milliseconds, between Virginia, California, Oregon, Ireland and Tokyo.
constexpr std::array<std::array<Tick, 5>, 5> kOneWayMs{{
    {0, 31, 38, 42, 80},
    {31, 0, 11, 73, 54},
    {38, 11, 0, 65, 49},
    {42, 73, 65, 0, 108},
    {80, 54, 49, 108, 0},
}};

sim::ClusterConfig five_sites() {
  sim::ClusterConfig config;
  config.replica_count = 5;
  config.links.jitter_us = 0;
  config.disks = {.latency_us = 0, .jitter_us = 0};
  config.turn_delay_us = 0;
  return config;
}

class FiveSites : public KeyValueCluster {
 public:
  FiveSites() : KeyValueCluster(five_sites()), conversation(*this) {
    for (const ReplicaId from : replicas()) {
      for (const ReplicaId to : replicas()) {
        network().link(from, to).delay_us = 1'000 * kOneWayMs[from.value()][to.value()];
      }
    }
  }

  /// The round trip from here to the `count`-th nearest peer.
  [[nodiscard]] static Tick round_trip(ReplicaId from, int count) {
    std::vector<Tick> delays;
    for (const Tick delay : kOneWayMs[from.value()]) delays.push_back(delay);
    std::ranges::sort(delays);
    return 2'000 * delays[static_cast<std::size_t>(count)];
  }

  Conversation conversation;
};

/// What is left of a turn when everything else takes no time.
constexpr Tick kSlackUs = 100;

class FastPath : public ::testing::TestWithParam<std::uint16_t> {};

TEST_P(FastPath, CommitsAndAnswersAfterOneRoundTripToTheNearestFastQuorum) {
  FiveSites cluster;
  const ReplicaId owner(GetParam());
  const InstanceId instance{owner, Slot(1)};
  Tick answered = kNever;

  const Tick begin = cluster.now();
  cluster.propose(owner, kv::put("key", "value"),
                  [&](const Outcome&) { answered = cluster.now(); });
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  // Three of five, the owner included.
  const Tick round_trip = FiveSites::round_trip(owner, 2);
  EXPECT_GE(answered - begin, round_trip);
  EXPECT_LE(answered - begin, round_trip + kSlackUs);
  EXPECT_LE(cluster.conversation.first(MessageType::kCommit, instance), answered + kSlackUs);
  EXPECT_EQ(cluster.conversation.first(MessageType::kAccept, instance), kNever);
}

INSTANTIATE_TEST_SUITE_P(PaperLatency, FastPath, ::testing::Range<std::uint16_t>(0, 5));

// California and Oregon write the same key at once, so each sees the other's command before its own
// quorum is complete.
TEST(PaperLatency, SlowPathTakesOneMoreRoundTripToTheNearestSlowQuorum) {
  FiveSites cluster;
  const ReplicaId california = kB;
  const InstanceId instance{california, Slot(1)};

  const Tick begin = cluster.now();
  cluster.put(california, "key", "one");
  cluster.put(kC, "key", "two");
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  const Tick round_trip = FiveSites::round_trip(california, 2);
  const Tick accepted = cluster.conversation.first(MessageType::kAccept, instance) - begin;
  EXPECT_GE(accepted, round_trip);
  EXPECT_LE(accepted, round_trip + kSlackUs);
  const Tick committed = cluster.conversation.first(MessageType::kCommit, instance) - begin;
  EXPECT_GE(committed, 2 * round_trip);
  EXPECT_LE(committed, 2 * round_trip + 2 * kSlackUs);
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// Whoever is nearest to the others answers its clients fastest: no site pays for a leader
// elsewhere.
TEST(PaperLatency, EverySiteIsServedByItsOwnReplica) {
  FiveSites cluster;
  for (const ReplicaId owner : cluster.replicas()) {
    cluster.put(owner, "key of " + to_string(owner), "value");
  }
  const Tick slowest = FiveSites::round_trip(kD, 2);

  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 5; }, slowest + 1'000))
      << "five at once take no longer than the slowest alone";
  EXPECT_EQ(cluster.count("fast_path"), 5u);
}

// With two of five down the fast quorum of three is still there; with the nearest ones down it is
// only farther away.
TEST(PaperLatency, TheFastPathSurvivesAsManyFailuresAsAFastQuorumAllows) {
  FiveSites cluster;
  cluster.kill(kB);
  cluster.kill(kC);
  Tick answered = kNever;

  const Tick begin = cluster.now();
  cluster.propose(kA, kv::put("key", "value"), [&](const Outcome&) { answered = cluster.now(); });
  ASSERT_TRUE(cluster.run_until([&] { return answered != kNever; }, 10 * kSecond));

  EXPECT_EQ(cluster.count("fast_path"), 1u);
  EXPECT_GE(answered - begin, 2'000 * kOneWayMs[0][4]);
  EXPECT_LE(answered - begin, 2'000 * kOneWayMs[0][4] + kSlackUs);
}

}  // namespace
}  // namespace epaxos::testing
