#include "epaxos/programs/programs.h"
#include "epaxos/protocol/core.h"

int main(int argc, char** argv) {
  const epaxos::Protocol protocols[] = {epaxos::protocol::epaxos()};
  return epaxos::serve(protocols, argc, argv);
}
