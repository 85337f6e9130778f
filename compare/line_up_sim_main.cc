#include "compare/multipaxos/simulate_multipaxos.h"
#include "compare/paxos/simulate_paxos.h"

int main(int argc, char** argv) {
  const epaxos::SimulatedProtocol protocols[] = {
      epaxos::compare::paxos::simulated_paxos(),
      epaxos::compare::multipaxos::simulated_multipaxos(),
      epaxos::compare::multipaxos::simulated_multipaxos({.learn_from_all = true})};
  return epaxos::simulate(protocols, argc, argv);
}
