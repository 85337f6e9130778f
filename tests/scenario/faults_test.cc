// Stories of whole clusters under one fault each: what clients see, what is withheld, and that all
// replicas end in one state.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "executor/key_value_command.h"
#include "tests/support/cluster.h"
#include "tests/support/conversation.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void expect_one_state_in_time(KeyValueCluster& cluster) {
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond)) << "a hole stayed open";
  EXPECT_TRUE(cluster.digests_agree());
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// --- The network ---------------------------------------------------------------------------------

class Sizes : public ::testing::TestWithParam<int> {};

// Nothing is healed here: the protocol alone closes what the network tears open.
TEST_P(Sizes, HolesCloseWhileAThirdIsLostAndMuchArrivesTwiceAndLate) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig config;
    config.replica_count = GetParam();
    config.seed = seed;
    config.links = bad_links();
    KeyValueCluster cluster(config);
    SpeechChecker speech(cluster);
    Load load(cluster,
              {.commands = 40, .clients = 2 * GetParam(), .conflict_ppm = 300'000, .seed = seed});

    load.start();

    ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));
    EXPECT_EQ(load.outcomes().executed, 40);
    expect_one_state_in_time(cluster);
    EXPECT_THAT(speech.violations(), IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(BadNetwork, Sizes, ::testing::Values(1, 2, 3, 4, 5, 7));

TEST(Partition, AMinorityDecidesNothingAndLosesNothing) {
  KeyValueCluster cluster(5, 3);
  cluster.partition({{kA, kB}, {kC, kD, kE}});

  cluster.put(kA, "key", "minority");
  cluster.run_for(30 * kSecond);
  EXPECT_EQ(cluster.outcomes().total(), 0) << "neither executed nor refused: nobody can know";
  cluster.put(kC, "key", "majority");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, 30 * kSecond));
  cluster.heal();

  expect_one_state_in_time(cluster);
  EXPECT_EQ(cluster.outcomes().executed, 2) << "both, once they hear each other";
}

// A hears nobody, but is heard.
TEST(Partition, AReplicaThatIsHeardButHearsNothingCatchesUp) {
  KeyValueCluster cluster(3, 4);
  cluster.network().cut(kB, kA);
  cluster.network().cut(kC, kA);

  cluster.put(kA, "one", "x");
  cluster.put(kB, "two", "y");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, 30 * kSecond));
  EXPECT_EQ(cluster.value(kA, "two"), "");
  cluster.heal();

  expect_one_state_in_time(cluster);
  EXPECT_EQ(cluster.value(kA, "two"), "y");
  EXPECT_EQ(cluster.outcomes().executed, 2);
}

TEST(Partition, OneThatMovesEverySecondStopsNobodyForEver) {
  KeyValueCluster cluster(5, 5);
  Load load(cluster, {.commands = 100, .clients = 5, .conflict_ppm = 300'000});
  load.start();
  for (std::uint16_t round = 0; round < 20; ++round) {
    cluster.network().mend_all();
    cluster.isolate(ReplicaId(round % 5));
    cluster.run_for(kSecond);
  }
  cluster.heal();

  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 120 * kSecond));
  EXPECT_EQ(load.outcomes().executed, 100);
  expect_one_state_in_time(cluster);
}

// --- Crashes -------------------------------------------------------------------------------------

// The owner's promise to go on with its round is the record of it.
TEST(Restart, TheOwnerGoesOnWithTheRoundThatItsCrashInterrupted) {
  KeyValueCluster cluster(3, 6);
  Conversation conversation(cluster);
  const InstanceId instance{kA, Slot(1)};
  cluster.crash_after(kA, sim::CrashPoint::kSend, 1);

  cluster.put(kA, "key", "value");
  ASSERT_TRUE(cluster.run_until([&] { return !cluster.alive(kA); }, 10 * kSecond));
  cluster.run_for(kSecond);
  cluster.restart(kA);

  expect_one_state_in_time(cluster);
  EXPECT_EQ(cluster.outcomes().unknown, 1) << "the client cannot know";
  EXPECT_NE(conversation.first(MessageType::kCommit, instance), kNever);
  for (const ReplicaId replica : cluster.replicas()) {
    EXPECT_EQ(cluster.value(replica, "key"), "value");
  }
}

TEST(Restart, AReplicaThatSleptLearnsThousandsOfCommandsThatItMissed) {
  KeyValueCluster cluster(3, 7);
  cluster.kill(kC);
  Load load(cluster, {.commands = 3'000, .clients = 8, .conflict_ppm = 20'000});
  load.start();
  cluster.run_for(20 * kSecond);

  cluster.restart(kC);
  ASSERT_TRUE(cluster.run_until([&] { return load.done(); }, 600 * kSecond));

  expect_one_state_in_time(cluster);
}

TEST(Restart, ADiskThatWasReplacedMakesAReplicaThatLearnsAndServesButDoesNotVote) {
  KeyValueCluster cluster(3, 8);
  cluster.put(kC, "of C", "x");
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));
  cluster.kill(kC);
  cluster.disk(kC).wipe();
  cluster.restart(kC);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.value(kC, "of C") == "x"; }, 30 * kSecond));

  EXPECT_THAT(cluster.status(kC).role, HasSubstr("non-voting"));
  cluster.kill(kC);
  cluster.restart(kC);
  cluster.put(kA, "later", "y");

  EXPECT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 2; }, 10 * kSecond));
  EXPECT_THAT(cluster.status(kC).role, HasSubstr("non-voting")) << "nor in its next life";
  cluster.put(kC, "refused", "z");
  cluster.run_for(kSecond);
  EXPECT_EQ(cluster.outcomes().rejected, 1);
  expect_one_state_in_time(cluster);
}

// --- Disks ---------------------------------------------------------------------------------------

TEST(FullDisk, RefusesCommandsWithholdsVotesAndGoesOnWhenThereIsRoom) {
  KeyValueCluster cluster(3, 9);
  Conversation conversation(cluster);
  cluster.set_disk(kC, {.full = true});
  cluster.put(kC, "first", "waits in line");  // The disk is found full by writing to it.
  cluster.run_for(kSecond);
  std::string reason;

  cluster.propose(kC, kv::put("second", "x"),
                  [&](const Outcome& outcome) { reason = outcome.reason; });
  cluster.put(kA, "third", "y");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, 10 * kSecond))
      << "the other two are a quorum";
  EXPECT_THAT(reason, HasSubstr("full"));
  for (const auto& line : conversation.about({kA, Slot(1)})) {
    EXPECT_NE(line.from, kC) << "a replica that cannot remember does not speak";
  }
  cluster.set_disk(kC, {});

  expect_one_state_in_time(cluster);
  EXPECT_EQ(cluster.value(kA, "first"), "waits in line");
  EXPECT_EQ(cluster.value(kA, "second"), "") << "refused is refused";
  EXPECT_EQ(cluster.value(kC, "third"), "y");
}

TEST(FullDisk, OfAMajorityStopsTheClusterUntilThereIsRoom) {
  KeyValueCluster cluster(3, 10);
  cluster.set_disk(kB, {.full = true});
  cluster.set_disk(kC, {.full = true});

  cluster.put(kA, "key", "value");
  cluster.run_for(10 * kSecond);
  EXPECT_EQ(cluster.outcomes().total(), 0);
  cluster.set_disk(kB, {});

  EXPECT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, 30 * kSecond));
  cluster.set_disk(kC, {});
  expect_one_state_in_time(cluster);
}

TEST(SlowDisk, OfAMinorityDelaysNobody) {
  KeyValueCluster cluster(5, 11);
  cluster.set_disk(kD, {.latency_us = 2 * kSecond});
  cluster.set_disk(kE, {.latency_us = 2 * kSecond});

  cluster.put(kA, "key", "value");

  EXPECT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, kSecond));
  cluster.heal();
  expect_one_state_in_time(cluster);
}

TEST(BrokenDisk, StopsItsReplicaAndTheOthersGoOn) {
  KeyValueCluster cluster(3, 12);
  cluster.fail_disk(kC);
  cluster.put(kC, "lost or not", "x");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.host(kC).stopped(); }, 10 * kSecond));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.outcomes().total() == 1; }, 10 * kSecond));
  EXPECT_EQ(cluster.outcomes().executed, 0) << "nobody may be told that it happened";

  cluster.put(kA, "key", "value");
  EXPECT_TRUE(cluster.run_until([&] { return cluster.outcomes().executed == 1; }, 10 * kSecond));
  cluster.kill(kC);
  cluster.restart(kC);

  expect_one_state_in_time(cluster);
}

}  // namespace
}  // namespace epaxos::testing
