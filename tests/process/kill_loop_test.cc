// Replicas that are killed with -9 again and again under load, and come back: the others go on,
// nothing acknowledged is lost, nothing happens twice, and the replicas agree. protocol.md 7, 13.2.

#include <functional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/process/counting_clients.h"

namespace epaxos::testing {
namespace {

const std::vector<int> kAll{0, 1, 2, 3, 4};

using Victims = std::function<std::vector<int>(int round)>;

/// Kills the victims of each round at once and starts them again, while clients count.
void kill_loop(int rounds, const std::vector<int>& clients_at, const Victims& victims) {
  ClusterProcesses cluster(5);
  cluster.start_all();
  CountingClients clients(cluster, {.at = clients_at});
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_TRUE(clients.wait_for_progress(30)) << clients.executed();
    const std::vector<int> killed = victims(round);
    for (const int r : killed) cluster.kill(r);
    // A client whose replica is gone asks another one.
    if (killed.size() <= 2) {
      ASSERT_TRUE(clients.wait_for_progress(30)) << "while they are gone";
    }
    for (const int r : killed) cluster.start(r);
    for (const int r : killed) ASSERT_TRUE(cluster.wait_until_it_answers(r)) << cluster.log(r);
  }
  EXPECT_TRUE(clients.wait_for_progress(30));

  clients.stop();

  EXPECT_TRUE(cluster.agree(kAll));
  EXPECT_EQ(clients.contradictions(*cluster.client_at(rounds % 5)), "") << clients.summary();
  ::testing::Test::RecordProperty("commands", clients.summary());
}

void one_after_the_other(int rounds) {
  kill_loop(rounds, {0, 1, 2, 3, 4}, [](int round) { return std::vector<int>{round % 5}; });
}
void the_owner(int rounds) {
  kill_loop(rounds, {2, 2, 2}, [](int) { return std::vector<int>{2}; });
}
void a_minority(int rounds) {
  kill_loop(rounds, {0, 1, 2, 3, 4}, [](int round) {
    return std::vector<int>{round % 5, (round + 1 + round / 5) % 5};
  });
}
void all_at_once(int rounds) {
  kill_loop(rounds, {0, 2, 4}, [](int) { return kAll; });
}

TEST(KillLoop, OneReplicaAfterTheOther) {
  one_after_the_other(3);
}
TEST(KillLoop, TheOwnerThatAllClientsTalkTo) {
  the_owner(3);
}
TEST(KillLoop, AMinorityAtOnce) {
  a_minority(3);
}
TEST(KillLoop, AllAtOnce) {
  all_at_once(3);
}

TEST(NightlyKillLoop, OneReplicaAfterTheOther) {
  one_after_the_other(100);
}
TEST(NightlyKillLoop, TheOwnerThatAllClientsTalkTo) {
  the_owner(60);
}
TEST(NightlyKillLoop, AMinorityAtOnce) {
  a_minority(100);
}
TEST(NightlyKillLoop, AllAtOnce) {
  all_at_once(60);
}

/// A replica that dies for good, with every command on the same few keys.
void killed_for_good(int replicas, std::uint64_t before) {
  ClusterProcesses cluster(replicas);
  cluster.start_all();
  std::vector<int> everywhere;
  for (int r = 0; r < replicas; ++r) everywhere.push_back(r);
  const int dead = replicas - 1;
  std::vector<int> others(everywhere.begin(), everywhere.end() - 1);
  CountingClients clients(cluster, {.at = everywhere, .shared_percent = 100});
  ASSERT_TRUE(clients.wait_for_progress(before));

  cluster.kill(dead);

  EXPECT_TRUE(clients.wait_for_progress(100)) << "the others go on";
  clients.stop();
  ASSERT_TRUE(cluster.agree(others)) << "nothing that is known stays undecided";
  for (const int r : others) {
    const Ran status = cluster.control(
        {"--replica", std::to_string(r), "--output", "json", "--timeout", "10", "status"});
    const auto list = nlohmann::json::parse(status.out);
    const auto& row = list.at(0).at("rows").at(static_cast<std::size_t>(dead));
    EXPECT_EQ(row.at("committed_up_to"), row.at("highest_known")) << "replica " << r;
    EXPECT_EQ(row.at("executed_up_to"), row.at("highest_known")) << "replica " << r;
  }
  EXPECT_EQ(clients.contradictions(*cluster.client_at(0)), "") << clients.summary();
}

TEST(KilledForGood, TheOthersOfFiveGoOnAndItsRowHasNoUndecidedHead) {
  killed_for_good(5, 40);
}
TEST(KilledForGood, TheOthersOfThreeGoOnAndItsRowHasNoUndecidedHead) {
  killed_for_good(3, 40);
}
TEST(NightlyKilledForGood, TheOthersGoOnEachTime) {
  for (std::uint64_t run = 0; run < 50; ++run) killed_for_good(run % 2 == 0 ? 5 : 3, 10 + run);
}

}  // namespace
}  // namespace epaxos::testing
