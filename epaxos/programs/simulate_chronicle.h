#pragma once

// All that happens in one run, a line each, so that a person can make a scenario of it. Private to
// the programs.

#include <string>

#include "deps/types/result.h"
#include "epaxos/programs/simulate.h"
#include "epaxos/programs/simulate_workers.h"

namespace epaxos {

/// Runs the plan in a process of its own and writes down what happens until its end, whatever ends
/// it. `replay_line` shows the run again; folders of `path` are made.
/// Errors: io.
Result<void> write_chronicle(const SimulatedRuns& runs, const sim::SwarmOptions& swarm,
                             const SimulatedWords& words, const sim::SwarmPlan& plan,
                             const std::string& replay_line, const std::string& path);

}  // namespace epaxos
