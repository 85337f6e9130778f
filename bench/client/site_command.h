#pragma once

// `epaxos-bench client --site NAME --out FILE`: the part of one machine in an experiment over a
// wide-area network. docs/wan.md 9 says how the parts of all machines become one.

#include <optional>
#include <string>
#include <vector>

#include "bench/client/client_options.h"

namespace CLI {
class App;
}

namespace epaxos::bench {

/// Adds the options that only such a load has. Precondition: `options` outlives the parsing.
void add_site_options(CLI::App& command, SiteOptions& options);

/// Runs it, prints what it measured, and writes the file. Returns the exit status.
int run_site(const ClientCommand& command);

/// By replica, without load; none: it did not answer.
using RoundTrips = std::vector<std::optional<Tick>>;

/// Whom the clients of this site ask: the replica that the command wishes for; else, of those that
/// the cluster file has at this site, or of all if there is none, the nearest one.
/// Errors: unavailable - it does not answer.
Result<ReplicaId> replica_for(const ClientCommand& command, const ClusterConfig& cluster,
                              const RoundTrips& round_trips);

/// How the replicas serve reads, by the cluster file. Errors: unavailable - otherwise than wished.
Result<Reads> reads_served(const ClientCommand& command, const ClusterConfig& cluster,
                           const std::string& protocol);

/// What stands in the way of an experiment with this command and this group, before anything
/// starts. Errors: invalid argument.
Result<void> check_site(const ClientCommand& command, const ClusterConfig& cluster);

}  // namespace epaxos::bench
