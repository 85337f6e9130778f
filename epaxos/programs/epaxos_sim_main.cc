#include "epaxos/programs/simulate.h"

int main(int argc, char** argv) {
  const epaxos::SimulatedProtocol protocols[] = {epaxos::simulated_epaxos()};
  return epaxos::simulate(protocols, argc, argv);
}
