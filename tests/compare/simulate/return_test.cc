// A group whose majority was away for long has a leader soon after it is back: what was asked in
// vain meanwhile makes nobody wait.

#include <gtest/gtest.h>

#include "compare/multipaxos/core.h"
#include "compare/raft/core.h"
#include "epaxos/sim/cluster.h"
#include "executor/key_value_machine.h"

namespace epaxos::compare {
namespace {

bool agree_on_a_leader(sim::Cluster& cluster, ReplicaId one, ReplicaId other) {
  const std::optional<ReplicaId> leader = cluster.status(one).leader;
  return leader && (*leader == one || *leader == other) && cluster.status(other).leader == leader;
}

TEST(ReturnOfTheMajority, EndsTheWaitForALeader) {
  const CoreConfig defaults;
  for (const Protocol& protocol : {raft::raft(), multipaxos::multipaxos()}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      sim::ClusterConfig config;
      config.seed = seed;
      config.leads_first = ReplicaId(0);
      sim::Cluster cluster(config, protocol, [] { return std::make_unique<KeyValueMachine>(); });
      cluster.run_for(2 * kSecond);
      cluster.kill(ReplicaId(1));
      cluster.run_for(2 * kSecond);
      cluster.kill(ReplicaId(0));
      cluster.run_for(60 * kSecond + static_cast<Tick>(seed) * kSecond);

      cluster.restart(ReplicaId(1));

      EXPECT_TRUE(
          cluster.run_until([&] { return agree_on_a_leader(cluster, ReplicaId(1), ReplicaId(2)); },
                            6 * defaults.election_us))
          << protocol.name << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace epaxos::compare
