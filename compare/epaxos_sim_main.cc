#include "compare/simulate_line_up.h"

int main(int argc, char** argv) {
  return epaxos::simulate(epaxos::compare::simulated_line_up(), argc, argv);
}
