#pragma once

// Whether a node serves: its first command is executed when there is a leader, if there has to be
// one.

#include <atomic>

#include "epaxos/node/node.h"

namespace epaxos::bench {

class FirstCommand {
 public:
  [[nodiscard]] bool is_executed() const { return state_ == State::kExecuted; }

  /// Proposes what `payload()` gives, on the node's thread, unless one is under way. The node's
  /// callbacks end before this object does.
  template <class Payload>
  void propose(Node& node, Payload&& payload) {
    State none = State::kNone;
    if (!state_.compare_exchange_strong(none, State::kUnderWay)) return;
    node.query([&](const StateMachine&) {
      const Result<void> proposed = node.propose(payload(), kNever, [this](const Outcome& outcome) {
        state_ = outcome.kind == OutcomeKind::kExecuted ? State::kExecuted : State::kNone;
      });
      if (!proposed) state_ = State::kNone;
    });
  }

 private:
  enum class State { kNone, kUnderWay, kExecuted };
  std::atomic<State> state_ = State::kNone;
};

}  // namespace epaxos::bench
