#include "compare/paxos/simulate_paxos.h"

int main(int argc, char** argv) {
  const epaxos::SimulatedProtocol protocols[] = {epaxos::compare::paxos::simulated_paxos()};
  return epaxos::simulate(protocols, argc, argv);
}
