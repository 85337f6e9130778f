#pragma once

// Hands the decided prefix of a log to the host, position by position: every block once, although
// the log may hold it more often. Knows what the state machine has got, which is what an image may
// say that it covers.

#include <cstdint>
#include <deque>

#include "compare/log/forward_queue.h"
#include "compare/log/log_window.h"
#include "compare/log/origin_table.h"
#include "epaxos/contract/effects.h"

namespace epaxos::compare {

class LogExecutor {
 public:
  /// Walks on to `decided_up_to`, as far as one turn goes. Blocks of `own` that are executed leave
  /// it. Precondition: the log holds every entry from executed_up_to() on.
  /// Returns how many blocks were skipped because they had been executed before.
  std::uint64_t walk(const LogWindow& log, Slot decided_up_to, ReplicaId self, ForwardQueue& own,
                     Effects& out);
  /// As Core::applied().
  void applied(std::uint64_t position);

  /// Up to here everything was handed to the host, or skipped.
  [[nodiscard]] Slot executed_up_to() const { return executed_up_to_; }
  /// Up to here the state machine has got everything.
  [[nodiscard]] Slot applied_up_to() const {
    return handed_over_.empty() ? executed_up_to_ : Slot(handed_over_.front().slot.value() - 1);
  }
  /// What counts as executed at executed_up_to(), and at applied_up_to().
  [[nodiscard]] const OriginTable& executed() const { return executed_; }
  [[nodiscard]] const OriginTable& applied_origins() const { return applied_; }

  /// An image has taken the place of everything up to `slot`.
  /// Precondition: all that was handed over is applied.
  void install(Slot slot, const OriginTable& executed);

 private:
  struct HandedOver {
    Slot slot;
    Origin origin;
  };

  Slot executed_up_to_;
  OriginTable executed_;
  OriginTable applied_;
  std::deque<HandedOver> handed_over_;
  std::uint64_t position_ = 0;
  std::uint64_t applied_position_ = 0;
};

}  // namespace epaxos::compare
