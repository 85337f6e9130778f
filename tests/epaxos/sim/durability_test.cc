// What each durability level keeps, and what a replica that may have forgotten votes still does:
// architecture.md, "Durability"; protocol.md 13.1, 13.5.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/cluster.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

sim::ClusterConfig at(Durability durability, int replicas) {
  sim::ClusterConfig config;
  config.replica_count = replicas;
  config.durability = durability;
  return config;
}

class BelowSync : public ::testing::TestWithParam<Durability> {};

TEST_P(BelowSync, AReplicaThatMayHaveForgottenVotesLearnsAndServesButDoesNotVote) {
  KeyValueCluster cluster(at(GetParam(), 3));
  for (int i = 0; i < 20; ++i) cluster.put(kB, "key" + std::to_string(i), "before");
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  cluster.kill(kC);
  for (int i = 0; i < 20; ++i) cluster.put(kA, "key" + std::to_string(i), "meanwhile");
  cluster.run_for(kSecond);
  cluster.restart(kC);
  cluster.put(kC, "mine", "refused");
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond)) << "it does not catch up";

  EXPECT_THAT(cluster.status(kC).role, HasSubstr("non-voting"));
  EXPECT_EQ(cluster.outcomes().rejected, 1);
  EXPECT_EQ(cluster.value(kC, "key7"), "meanwhile");
  EXPECT_TRUE(cluster.digests_agree());
  EXPECT_EQ(cluster.outcomes().executed, 40);

  // Its vote is missing: with one more replica down nothing is decided, where before it was.
  cluster.kill(kB);
  cluster.put(kA, "last", "x");
  cluster.run_for(10 * kSecond);
  EXPECT_EQ(cluster.value(kA, "last"), "");
}

INSTANTIATE_TEST_SUITE_P(Durability, BelowSync,
                         ::testing::Values(Durability::kAsync, Durability::kNone));

TEST(Durability, AtSyncAReplicaThatWasKilledVotesAgain) {
  KeyValueCluster cluster(at(Durability::kSync, 3));
  cluster.put(kA, "key", "1");
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  cluster.kill(kC);
  cluster.run_for(kSecond);
  cluster.restart(kC);
  cluster.run_for(kSecond);
  cluster.kill(kB);
  cluster.put(kA, "last", "x");

  ASSERT_TRUE(cluster.run_until([&] { return cluster.value(kC, "last") == "x"; }, 60 * kSecond));
  EXPECT_EQ(cluster.status(kC).role, "voting");
}

// A disk may be full for hours. Meanwhile its replica is silent and keeps nothing for later, and
// the others go on; afterwards it goes on by itself.
TEST(Durability, AFullDiskIsSatOutWithoutPilingUp) {
  KeyValueCluster cluster(at(Durability::kSync, 3));
  SpeechChecker speech(cluster);
  cluster.put(kC, "own", "1");
  ASSERT_TRUE(cluster.run_until_converged(60 * kSecond));

  cluster.put(kC, "own", "2");  // On its way when the disk fills up.
  cluster.set_disk(kC, {.full = true});
  std::uint64_t held_before = 0;
  for (int i = 0; i < 600; ++i) {
    cluster.put(i % 2 == 0 ? kA : kB, "key" + std::to_string(i % 50), std::to_string(i));
    cluster.run_for(kSecond);
    if (i == 10) held_before = cluster.host(kC).held_turns();
  }
  EXPECT_EQ(cluster.outcomes().executed, 601);
  EXPECT_LE(cluster.host(kC).held_turns(), held_before) << "what it may not say piles up";
  cluster.put(kC, "mine", "refused");
  cluster.run_for(kSecond);
  EXPECT_EQ(cluster.outcomes().rejected, 1);

  cluster.heal();
  ASSERT_TRUE(cluster.run_until_converged(120 * kSecond)) << "it does not go on by itself";

  EXPECT_EQ(cluster.value(kA, "own"), "2");
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
  EXPECT_THAT(speech.violations(), IsEmpty());
}

}  // namespace
}  // namespace epaxos::testing
