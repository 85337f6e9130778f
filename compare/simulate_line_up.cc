#include "compare/simulate_line_up.h"

#include "compare/raft/simulate_raft.h"

namespace epaxos::compare {

std::vector<SimulatedProtocol> simulated_line_up() {
  return {simulated_epaxos(), raft::simulated_raft()};
}

}  // namespace epaxos::compare
