#pragma once

// Where an experiment on machines took place, made of what its sites measured: which replica stands
// where, and how far the sites are apart. A client at each site knows the round trip to every
// replica; two of them together know all that bounds need.

#include <string>
#include <vector>

#include "bench/client/site_result.h"
#include "bench/wan/topology.h"

namespace epaxos::bench {

/// A file that `epaxos-bench client --site` wrote.
struct SiteFile {
  std::string path;  ///< For sentences.
  SiteResult result;
};

/// The site of each replica: as the cluster file says; else that of the nearest clients that ask
/// it; else "R2". Errors: invalid argument - two replicas are at one site.
Result<std::vector<std::string>> replica_sites_of(const std::vector<SiteFile>& files);

/// The sites of the replicas in the order of their numbers, then those that have clients alone.
/// Delays are half of the shortest round trip that either end measured; or, where the cluster file
/// has an emulated network, those of it. Where nothing says how far two sites are apart that have
/// no replica, or one that nobody there asks, the shortest way over others stands for it.
/// Errors: invalid argument - nobody measured the round trip between two replicas.
Result<Topology> measured_topology(const std::vector<SiteFile>& files,
                                   const std::vector<std::string>& replica_sites);

/// The topology as a file (docs/wan.md 2).
std::string to_toml(const Topology& topology);

}  // namespace epaxos::bench
