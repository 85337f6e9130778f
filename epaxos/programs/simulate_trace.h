#pragma once

// The lives of the commands of one run, as a trace for ui.perfetto.dev. Private to the programs.

#include <string>

#include "deps/types/result.h"
#include "epaxos/programs/simulate.h"
#include "epaxos/programs/simulate_workers.h"

namespace epaxos {

/// Writes a trace without events, so that nobody waits for what cannot be written. Errors: io.
Result<void> begin_trace(const std::string& path);

/// Runs the plan in a process of its own and draws what happens. A run that ends by a failed check
/// leaves the trace that begin_trace() wrote. Errors: io.
Result<void> write_trace(const SimulatedRuns& runs, const sim::SwarmOptions& swarm,
                         const sim::SwarmPlan& plan, const std::string& path);

}  // namespace epaxos
