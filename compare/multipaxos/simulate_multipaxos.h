#pragma once

// Multi-Paxos in the simulator: which messages are worth stopping their sender for, which parts of
// the protocol a long run must have reached, and a checker of what is said.

#include "compare/multipaxos/options.h"
#include "epaxos/programs/simulate.h"

namespace epaxos::compare::multipaxos {

SimulatedProtocol simulated_multipaxos(const Options& options = {});

}  // namespace epaxos::compare::multipaxos
