#pragma once

// All protocols as the simulator runs them. Linked with the libraries NAME_mutable only.

#include <vector>

#include "epaxos/programs/simulate.h"

namespace epaxos::compare {

std::vector<SimulatedProtocol> simulated_line_up();

}  // namespace epaxos::compare
