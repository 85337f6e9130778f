#include "bench/client/client_options.h"

namespace epaxos::bench {

Result<ClusterConfig> cluster_of(const ClientCommand& command) {
  auto cluster = ClusterConfig::load(command.config_path);
  if (!cluster) return cluster;
  if (command.replica >= cluster->replica_count()) {
    return fail(ErrorCode::kInvalidArgument,
                "--replica " + std::to_string(command.replica) + ", but " + command.config_path +
                    " lists replicas 0 to " + std::to_string(cluster->replica_count() - 1) + ".");
  }
  for (const ReplicaSettings& replica : cluster->replicas) {
    if (replica.client.empty()) {
      return fail(ErrorCode::kInvalidArgument, command.config_path +
                                                   " has a replica without a client address. Give "
                                                   "every replica one.");
    }
  }
  return cluster;
}

net::ClientOptions client_options(const ClientCommand& command, const ClusterConfig& cluster) {
  net::ClientOptions options;
  options.cluster = cluster.id;
  options.request_timeout_us = static_cast<Tick>(command.timeout_s * 1e6);
  options.in_flight_max =
      command.site.is_on() ? command.offered.in_flight_max() : command.load.in_flight;
  options.preferred = command.load.replica;
  options.exactly_once = command.sessions;
  for (const ReplicaSettings& replica : cluster.replicas) {
    options.addresses.push_back(replica.client);
  }
  return options;
}

}  // namespace epaxos::bench
