// A network that falls into two parts: the majority goes on, the minority decides nothing and says
// so, and afterwards all agree. Each replica and its client have a network of their own.

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/process/counting_clients.h"
#include "tests/process/network_namespaces.h"

namespace epaxos::testing {
namespace {

ClusterConfig config_of(int replicas) {
  ClusterConfig config;
  config.name = "partition";
  config.durability = Durability::kSync;
  for (int r = 0; r < replicas; ++r) {
    const std::string host = "tcp://" + NetworkNamespaces::host(r);
    config.replicas.push_back({host + ":7000", host + ":8000", "network " + std::to_string(r)});
  }
  const auto completed = config.complete();
  EXPECT_TRUE(completed) << completed.error().message;
  return config;
}

/// Cuts two of five off, a different two each round.
void partition_loop(int rounds) {
  const std::vector<int> all{0, 1, 2, 3, 4};
  NetworkNamespaces networks(5);
  if (!networks.trouble().empty()) GTEST_SKIP() << "NOT TESTED: " << networks.trouble() << ".";
  ClusterProcesses cluster(config_of(5));
  for (const int r : all) {
    networks.enter(r);
    cluster.start(r);
  }
  networks.enter_switch();
  for (const int r : all) ASSERT_TRUE(cluster.wait_until_it_answers(r)) << cluster.log(r);
  CountingClients clients(
      cluster, {.at = all, .pinned = true, .enter = [&](int client) { networks.enter(client); }});
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_TRUE(clients.wait_for_progress(30));
    const std::vector<int> minority{round % 5, (round + 1 + round / 5 % 4) % 5};
    std::vector<std::size_t> majority;
    for (std::size_t r = 0; r < 5; ++r) {
      if (std::ranges::find(minority, static_cast<int>(r)) == minority.end()) majority.push_back(r);
    }

    ASSERT_TRUE(networks.split_off(minority)) << networks.trouble();

    ASSERT_TRUE(clients.wait_for_progress(60, majority)) << "the majority goes on";
    networks.enter(minority[0]);
    const auto alone = cluster.client_at(minority[0]);
    networks.enter_switch();
    net::SubmitOptions how;
    how.deadline_us = 1'000'000;
    const net::CallOutcome outcome =
        alone->call(net::RequestKind::kPropose, kv::increment("alone", 1), how);
    EXPECT_NE(outcome.kind, OutcomeKind::kExecuted) << "a minority decides nothing";
    ASSERT_TRUE(clients.wait_for_progress(60, majority)) << "the majority still goes on";

    ASSERT_TRUE(networks.heal()) << networks.trouble();

    ASSERT_TRUE(clients.wait_for_progress(30)) << "the minority's clients are answered again";
  }

  clients.stop();

  EXPECT_TRUE(cluster.agree(all));
  EXPECT_EQ(clients.contradictions(cluster.client()), "") << clients.summary();
}

TEST(Partition, TheMajorityGoesOnTheMinorityWaitsAndAllAgreeAfterwards) {
  partition_loop(1);
}
TEST(NightlyPartition, AgainAndAgain) {
  partition_loop(40);
}

}  // namespace
}  // namespace epaxos::testing
