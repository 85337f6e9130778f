#include "tests/support/cluster.h"

#include "epaxos/protocol/core.h"
#include "executor/key_value_machine.h"

namespace epaxos::testing {
namespace {

sim::ClusterConfig config(int replica_count, std::uint64_t seed) {
  sim::ClusterConfig config;
  config.replica_count = replica_count;
  config.seed = seed;
  return config;
}

}  // namespace

sim::LinkConditions bad_links(std::uint32_t loss_ppm, std::uint32_t duplicate_ppm) {
  sim::LinkConditions links;
  links.jitter_us = 3'000;
  links.tail_ppm = 10'000;
  links.tail_us = 500'000;
  links.loss_ppm = loss_ppm;
  links.duplicate_ppm = duplicate_ppm;
  links.duplicate_after_us = 2 * kSecond;
  return links;
}

KeyValueCluster::KeyValueCluster(const sim::ClusterConfig& config)
    : Cluster(config, protocol::epaxos(), [] { return std::make_unique<KeyValueMachine>(); }) {
}

KeyValueCluster::KeyValueCluster(int replica_count, std::uint64_t seed)
    : KeyValueCluster(config(replica_count, seed)) {
}

void KeyValueCluster::put(ReplicaId at, std::string_view key, std::string_view value) {
  propose(at, kv::put(key, value),
          [this](const Outcome& outcome) { note(outcomes_, outcome.kind); });
}

std::string KeyValueCluster::value(ReplicaId at, std::string_view key) {
  const auto found = dynamic_cast<KeyValueMachine&>(machine(at)).find(key);
  return found ? std::string(*found) : std::string();
}

}  // namespace epaxos::testing
