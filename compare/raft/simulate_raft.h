#pragma once

// Raft in the simulator.

#include "epaxos/programs/simulate.h"

namespace epaxos::compare::raft {

SimulatedProtocol simulated_raft();

}  // namespace epaxos::compare::raft
