#include "epaxos/node/status.h"

namespace epaxos {

std::string_view to_string(NodeState state) {
  switch (state) {
    case NodeState::kRunning:
      return "running";
    case NodeState::kStopping:
      return "stopping";
    case NodeState::kStopped:
      return "stopped";
  }
  return "unknown";
}

std::uint64_t NodeStatus::counter(std::string_view group, std::string_view name) const {
  for (const CounterGroup& one : counters) {
    if (one.name != group) continue;
    for (const Counter& counter : one.counters) {
      if (counter.name == name) return counter.value;
    }
  }
  return 0;
}

}  // namespace epaxos
