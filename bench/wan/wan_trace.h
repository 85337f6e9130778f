#pragma once

// Of a simulated run: the lives of its first measured commands, drawn into a trace.

#include <memory>
#include <optional>
#include <string>

#include "bench/wan/measured_run.h"
#include "bench/wan/placement.h"
#include "epaxos/programs/command_trace.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::bench {

/// Watches the commands that are proposed from then on. Null: no trace is asked for. Everything
/// outlives it; CommandTrace::end() completes it.
std::unique_ptr<CommandTrace> trace_commands(sim::Cluster& cluster, const Placement& placement,
                                             const MeasuredRun& run, const RunOptions& options,
                                             Tick from_us);

}  // namespace epaxos::bench
