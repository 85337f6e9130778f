// Who leads a virtual cluster: the one that is to stand first, and whom the lead is given to.

#include <gtest/gtest.h>

#include "compare/raft/core.h"
#include "epaxos/sim/cluster.h"
#include "executor/key_value_machine.h"

namespace epaxos::compare::raft {
namespace {

bool all_follow(sim::Cluster& cluster, ReplicaId leader) {
  return std::ranges::all_of(cluster.replicas(), [&](ReplicaId replica) {
    return cluster.status(replica).leader == leader;
  });
}

sim::MachineFactory machines() {
  return [] { return std::make_unique<KeyValueMachine>(); };
}

TEST(VirtualLeader, IsTheOneThatIsToStandFirst) {
  for (std::uint16_t first = 0; first < 5; ++first) {
    sim::ClusterConfig config;
    config.replica_count = 5;
    config.durability = Durability::kNone;
    config.memory_only = true;
    config.leads_first = ReplicaId(first);
    sim::Cluster cluster(config, raft(), machines());

    EXPECT_TRUE(
        cluster.run_until([&] { return all_follow(cluster, ReplicaId(first)); }, 2 * kSecond))
        << first;
    cluster.run_for(20 * kSecond);
    EXPECT_TRUE(all_follow(cluster, ReplicaId(first))) << first << " does not stay";
  }
}

// Whoever waits longer at the start does not when the first leader is gone.
TEST(VirtualLeader, IsReplacedAsSoonAsAnyOther) {
  sim::ClusterConfig config;
  config.leads_first = ReplicaId(0);
  sim::Cluster cluster(config, raft(), machines());
  ASSERT_TRUE(cluster.run_until([&] { return all_follow(cluster, ReplicaId(0)); }, 2 * kSecond));

  cluster.kill(ReplicaId(0));

  EXPECT_TRUE(cluster.run_until(
      [&] {
        const std::optional<ReplicaId> leader = cluster.status(ReplicaId(1)).leader;
        return leader && leader != ReplicaId(0) && cluster.status(ReplicaId(2)).leader == leader;
      },
      5 * kSecond));
}

TEST(VirtualLeader, GivesTheLeadToAnother) {
  sim::ClusterConfig config;
  config.leads_first = ReplicaId(0);
  sim::Cluster cluster(config, raft(), machines());
  ASSERT_TRUE(cluster.run_until([&] { return all_follow(cluster, ReplicaId(0)); }, 2 * kSecond));

  runtime::Host& host = cluster.host(ReplicaId(0));
  host.begin_turn(cluster.now());
  EXPECT_TRUE(host.transfer_leadership(ReplicaId(2)));
  host.end_turn();

  EXPECT_TRUE(cluster.run_until([&] { return all_follow(cluster, ReplicaId(2)); }, 2 * kSecond));
}

// A command is executed everywhere without a disk, and nobody checks.
TEST(VirtualLeader, NeedsNeitherADiskNorAChecker) {
  sim::ClusterConfig config;
  config.durability = Durability::kNone;
  config.memory_only = true;
  config.check_executions = false;
  sim::Cluster cluster(config, raft(), machines());
  int executed = 0;
  for (const ReplicaId replica : cluster.replicas()) {
    cluster.propose(replica, kv::put("k" + to_string(replica), "v"), [&](const Outcome& outcome) {
      executed += outcome.kind == OutcomeKind::kExecuted ? 1 : 0;
    });
  }

  cluster.run_for(5 * kSecond);

  EXPECT_EQ(executed, 3);
  EXPECT_TRUE(cluster.digests_agree());
  EXPECT_TRUE(cluster.disk(ReplicaId(0)).image().empty());
  EXPECT_EQ(cluster.executions().executed(), 0u);
}

}  // namespace
}  // namespace epaxos::compare::raft
