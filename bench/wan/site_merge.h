#pragma once

// `epaxos-bench wan-merge`: the files of several sites as one result of `wan`, and of several runs
// as its repeats. Histograms are added. What does not belong together is refused by a sentence that
// names both files.

#include <string>
#include <vector>

#include "bench/wan/site_topology.h"
#include "bench/wan/wan.h"

namespace epaxos::bench {

struct MergeOptions {
  std::string topology = {};  ///< Name or file; empty: as measured_topology().
  bool add_clients = false;  ///< Several files may be of one site in one run, whose clients add up.
  bool by_protocol = false;  ///< Files may be of several protocols, each at the same sites.
};

/// What `wan` would have had. The result refers to the plan.
struct Merged {
  WanOptions options;
  WanPlan plan;
  WanResult result;
  std::vector<std::string> remarks;  ///< What a reader of the table should know, a sentence each.
};
/// Precondition: there are files.
/// Errors: invalid argument - they do not belong together, or the topology does not fit them.
Result<Merged> merge_sites(std::vector<SiteFile> files, const MergeOptions& options);

}  // namespace epaxos::bench
