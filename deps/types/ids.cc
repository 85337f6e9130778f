#include "deps/types/ids.h"

namespace epaxos {

std::string to_string(ReplicaId replica) {
  return "R" + std::to_string(replica.value());
}

std::string to_string(const InstanceId& instance) {
  return to_string(instance.row) + "." + std::to_string(instance.slot.value());
}

std::string to_string(const Ballot& ballot) {
  return std::to_string(ballot.round) + "@" + to_string(ballot.replica);
}

}  // namespace epaxos
