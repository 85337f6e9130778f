#include "epaxos/programs/programs.h"

int main(int argc, char** argv) {
  return epaxos::control(argc, argv);
}
