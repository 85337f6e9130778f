#pragma once

// Paxos in the simulator: clients that all want the one decision, and a checker of what is said.

#include "epaxos/programs/simulate.h"

namespace epaxos::compare::paxos {

SimulatedProtocol simulated_paxos();

}  // namespace epaxos::compare::paxos
