#include "compare/line_up.h"
#include "epaxos/programs/programs.h"

int main(int argc, char** argv) {
  return epaxos::serve(epaxos::compare::line_up(), argc, argv);
}
