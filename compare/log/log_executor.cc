#include "compare/log/log_executor.h"

#include <algorithm>

#include "deps/types/check.h"

namespace epaxos::compare {
namespace {

/// Positions that one turn walks; the rest follows in the next turn.
constexpr std::uint64_t kWalkMax = 8192;

}  // namespace

std::uint64_t LogExecutor::walk(const LogWindow& log, Slot decided_up_to, ReplicaId self,
                                ForwardQueue& own, Effects& out) {
  std::uint64_t skipped = 0;
  const Slot end = std::min(decided_up_to, Slot(executed_up_to_.value() + kWalkMax));
  while (executed_up_to_ < end) {
    const Slot slot = executed_up_to_.next();
    check(log.holds(slot), "a decided entry is not held until it is executed");
    const Entry entry = log.entry(slot);
    executed_up_to_ = slot;
    if (!executed_.take(entry.origin)) {
      if (!entry.origin.is_nobody()) ++skipped;
      continue;
    }
    const Origin& origin = entry.origin;
    const bool is_own = origin.proposer == self && origin.life == own.life();
    out.executions.push_back({++position_, {origin.proposer, slot}, out.now, entry.block, is_own});
    handed_over_.push_back({slot, origin});
    if (is_own) own.executed(origin.sequence, out.now);
  }
  out.ends_component = true;  // Every position does.
  return skipped;
}

void LogExecutor::applied(std::uint64_t position) {
  check(position <= position_, "the host applied what it was never given");
  for (; applied_position_ < position; ++applied_position_) {
    applied_.take(handed_over_.front().origin);
    handed_over_.pop_front();
  }
}

void LogExecutor::install(Slot slot, const OriginTable& executed) {
  check(handed_over_.empty(), "an image was installed before all executions were applied");
  executed_up_to_ = slot;
  executed_ = applied_ = executed;
}

}  // namespace epaxos::compare
