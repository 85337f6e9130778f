#pragma once

// Raft in the simulator.

#include "compare/raft/options.h"
#include "epaxos/programs/simulate.h"

namespace epaxos::compare::raft {

SimulatedProtocol simulated_raft(const Options& options = {});

}  // namespace epaxos::compare::raft
