#include "compare/line_up.h"

#include "compare/raft/core.h"
#include "epaxos/protocol/core.h"

namespace epaxos::compare {

std::vector<Protocol> line_up() {
  return {protocol::epaxos(), raft::raft()};
}

}  // namespace epaxos::compare
