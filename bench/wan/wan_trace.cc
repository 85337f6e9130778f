#include "bench/wan/wan_trace.h"

#include "bench/wan/wan.h"

namespace epaxos::bench {

std::unique_ptr<CommandTrace> trace_commands(sim::Cluster& cluster, const Placement& placement,
                                             const MeasuredRun& run, const RunOptions& options,
                                             Tick from_us) {
  if (options.trace == nullptr) return nullptr;
  CommandTraceOptions how;
  how.title =
      name_of(placement, run.protocol, run.leader) + ", seed " + std::to_string(options.seed);
  for (const ReplicaId replica : cluster.replicas()) {
    how.sites.push_back(placement.name_of(replica));
  }
  how.is_epaxos = run.protocol == "epaxos";
  how.from_us = from_us;
  how.commands_max = options.traced_commands_max;
  auto trace = std::make_unique<CommandTrace>(cluster, how, *options.trace);
  cluster.watch(*trace);
  return trace;
}

}  // namespace epaxos::bench
