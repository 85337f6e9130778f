// State machines that keep themselves, in virtual storages of their own: what a crash leaves of
// one, and clusters that start again from it.

#include <gmock/gmock.h>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "epaxos/sim/swarm.h"
#include "tests/support/cluster.h"

namespace epaxos::testing {
namespace {

using sim::MachineStorage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

MachineStorage::State state(std::uint64_t number) {
  return {number, {std::byte{1}}, {std::byte(number)}};
}

TEST(MachineStorage, AStateIsThereAfterAWhileAndWhole) {
  sim::EventQueue events(1);
  MachineStorage storage(kA, 1, events);
  storage.set_conditions({.latency_us = 100, .fail_ppm = 0});
  EXPECT_EQ(*storage.kept_number(), 0);
  ASSERT_TRUE(storage.keep(state(1)));

  events.advance(200);

  EXPECT_EQ(*storage.kept_number(), 1);
  EXPECT_EQ(storage.kept().state, state(1).state);
}

TEST(MachineStorage, ACrashKeepsOrLosesWhatWasOnItsWayAndNothingElse) {
  std::set<std::uint64_t> left;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::EventQueue events(1);
    MachineStorage storage(kA, seed, events);
    ASSERT_TRUE(storage.keep(state(1)));
    EXPECT_EQ(*storage.kept_number(), 1);
    storage.set_conditions({.latency_us = 1'000'000, .fail_ppm = 0});
    ASSERT_TRUE(storage.keep(state(2)));

    storage.crash();

    events.advance(5 * kSecond);
    left.insert(storage.kept().number);
  }
  EXPECT_THAT(left, ElementsAre(1, 2));
}

TEST(MachineStorage, AFailureIsToldAndMayHaveLeftTheState) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    sim::EventQueue events(1);
    MachineStorage storage(kA, seed, events);
    storage.set_conditions({.latency_us = 0, .fail_ppm = 1'000'000});
    const bool at_once = !storage.keep(state(1));
    EXPECT_EQ(!storage.kept_number(), !at_once);
    seen.insert((at_once ? "at once " : "later ") + std::to_string(storage.kept().number));
    storage.set_conditions({});
    EXPECT_TRUE(storage.keep(state(2)));
    EXPECT_EQ(*storage.kept_number(), 2) << "that is over";
  }
  EXPECT_THAT(seen, ElementsAre("at once 0", "later 0", "later 1"));
}

// --- Clusters ----------------------------------------------------------------------------------

class KeepingCluster : public ::testing::Test {
 protected:
  static sim::ClusterConfig config() {
    sim::ClusterConfig config;
    config.machine_keeps = true;
    config.machine_storages.latency_us = 20'000;
    config.image_log_bytes = 2'000;
    return config;
  }
  void put_some(int from) {
    for (int i = from; i < from + 50; ++i) {
      cluster.put(kA, "x" + std::to_string(i % 7), std::to_string(i));
      cluster.run_for(10'000);
    }
    ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));
  }
  std::string refusal(ReplicaId replica) {
    const Result<void> started = cluster.at_replica(replica).start();
    return started ? "" : started.error().message;
  }

  KeyValueCluster cluster{config()};
};

TEST_F(KeepingCluster, StartsFromWhatItsMachinesKept) {
  put_some(0);
  EXPECT_GT(cluster.totals()["states_kept"], 10);
  EXPECT_EQ(cluster.totals()["images_made"], 0);
  for (int times = 1; times <= 3; ++times) {
    cluster.kill_all();
    EXPECT_GT(cluster.disk(kB).machine_storage().kept().number, 0);
    cluster.restart_all();
    put_some(50 * times);
  }
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// It begins with nothing, so it must not vote, and gets the state of a peer.
TEST_F(KeepingCluster, WhoLostItsMemoryKeepsTheImageOfAPeer) {
  put_some(0);
  cluster.kill(kC);
  cluster.disk(kC).wipe();
  cluster.restart(kC);
  put_some(50);
  EXPECT_EQ(cluster.count("images_installed"), 1);
  EXPECT_GT(cluster.disk(kC).machine_storage().kept().number, 0);

  cluster.kill(kC);
  cluster.restart(kC);

  EXPECT_NE(cluster.value(kC, "x1"), "") << "it has its own state now";
  put_some(100);
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

TEST_F(KeepingCluster, AMachineOrAStoreThatWasSetBackAloneIsRefused) {
  put_some(0);
  cluster.kill(kC);
  const sim::VirtualDisk::Image records = cluster.disk(kC).image();
  const MachineStorage::State kept = cluster.disk(kC).machine_storage().kept();

  cluster.disk(kC).set_back(records, {});
  EXPECT_THAT(refusal(kC), HasSubstr("holds an older state (number 0)"));
  cluster.disk(kC).set_back({}, kept);
  EXPECT_THAT(refusal(kC), HasSubstr("was emptied or set back"));
  cluster.disk(kC).set_back(records, cluster.disk(kB).machine_storage().kept());
  EXPECT_THAT(refusal(kC), ::testing::Not(IsEmpty()));

  cluster.disk(kC).set_back(records, kept);
  EXPECT_EQ(refusal(kC), "");
}

// The machine keeps what it has applied, and the records of it may not be on disk yet. Then they
// are lost, and the replica knows that it has forgotten something.
TEST_F(KeepingCluster, AtAsyncTheMachineMayBeAheadOfTheRecords) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::ClusterConfig async = config();
    async.seed = seed;
    async.durability = Durability::kAsync;
    async.machine_storages.latency_us = 0;
    async.image_log_bytes = 200;
    async.disks.latency_us = 30'000;
    KeyValueCluster other(async);
    for (int i = 0; i < 100; ++i) {
      other.put(i % 2 == 0 ? kA : kB, "x" + std::to_string(i % 7), std::to_string(i));
      other.run_for(3'000);
      if (i == 40) other.kill(kC);
      if (i == 60) other.restart(kC);
    }
    ASSERT_TRUE(other.run_until_converged(30 * kSecond));
    EXPECT_THAT(other.status(kC).role, HasSubstr("non-voting"));
    EXPECT_THAT(other.final_violations(), IsEmpty());
    EXPECT_GT(other.disk(kC).machine_storage().kept().number, 1);
  }
}

}  // namespace
}  // namespace epaxos::testing
