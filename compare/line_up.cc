#include "compare/line_up.h"

#include "compare/multipaxos/core.h"
#include "compare/paxos/core.h"
#include "compare/raft/core.h"
#include "epaxos/protocol/core.h"

namespace epaxos::compare {

std::vector<Protocol> line_up() {
  return {protocol::epaxos(),
          raft::raft(),
          raft::raft({.learn_from_all = true}),
          multipaxos::multipaxos(),
          multipaxos::multipaxos({.learn_from_all = true}),
          paxos::paxos()};
}

}  // namespace epaxos::compare
