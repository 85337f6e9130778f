#pragma once

// Of a run: the lives of its first measured commands, drawn into a trace.

#include <memory>

#include "bench/wan/measured_run.h"
#include "bench/wan/placement.h"
#include "epaxos/programs/cluster_trace.h"

namespace epaxos::bench {

/// How those that are proposed from then on are drawn.
CommandTraceOptions trace_options(const Placement& placement, const MeasuredRun& run,
                                  const RunOptions& options, Tick from_us);

/// Of a simulated run: watches the commands that are proposed from then on. Null: no trace is asked
/// for. Everything outlives it; ClusterTrace::end() completes it.
std::unique_ptr<ClusterTrace> trace_commands(sim::Cluster& cluster, const Placement& placement,
                                             const MeasuredRun& run, const RunOptions& options,
                                             Tick from_us);

}  // namespace epaxos::bench
