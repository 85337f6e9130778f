#include "compare/simulate_line_up.h"

#include "compare/multipaxos/simulate_multipaxos.h"
#include "compare/paxos/simulate_paxos.h"
#include "compare/raft/simulate_raft.h"

namespace epaxos::compare {

std::vector<SimulatedProtocol> simulated_line_up() {
  return {simulated_epaxos(),
          raft::simulated_raft(),
          raft::simulated_raft({.learn_from_all = true}),
          multipaxos::simulated_multipaxos(),
          multipaxos::simulated_multipaxos({.learn_from_all = true}),
          paxos::simulated_paxos()};
}

}  // namespace epaxos::compare
