#include "bench/wan/wan_trace.h"

#include "bench/wan/wan.h"

namespace epaxos::bench {

CommandTraceOptions trace_options(const Placement& placement, const MeasuredRun& run,
                                  const RunOptions& options, Tick from_us) {
  CommandTraceOptions how;
  how.title =
      name_of(placement, run.protocol, run.leader) + ", seed " + std::to_string(options.seed);
  for_each_member(placement.all(),
                  [&](ReplicaId replica) { how.sites.push_back(placement.name_of(replica)); });
  how.is_epaxos = run.protocol == "epaxos";
  how.from_us = from_us;
  how.commands_max = options.traced_commands_max;
  return how;
}

std::unique_ptr<ClusterTrace> trace_commands(sim::Cluster& cluster, const Placement& placement,
                                             const MeasuredRun& run, const RunOptions& options,
                                             Tick from_us) {
  if (options.trace == nullptr) return nullptr;
  auto trace = std::make_unique<ClusterTrace>(
      cluster, trace_options(placement, run, options, from_us), *options.trace);
  cluster.watch(*trace);
  return trace;
}

}  // namespace epaxos::bench
