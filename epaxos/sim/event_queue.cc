#include "epaxos/sim/event_queue.h"

#include <algorithm>
#include <tuple>

#include "deps/types/check.h"

namespace epaxos::sim {
namespace {

/// The heap of the standard library keeps its largest element first.
bool later(const Event& a, const Event& b) {
  return std::tie(a.time, a.tie, a.number) > std::tie(b.time, b.tie, b.number);
}

}  // namespace

void EventQueue::push(Tick time, EventKind kind, ReplicaId replica, std::uint64_t subject) {
  if (time == kNever) return;
  const auto tie = static_cast<std::uint32_t>(ties_.next());
  heap_.push_back({std::max(time, now_), tie, kind, replica, ++numbers_, subject});
  std::ranges::push_heap(heap_, later);
}

Tick EventQueue::next_time() const {
  check(!heap_.empty(), "the next of no events was asked for");
  return heap_.front().time;
}

Event EventQueue::pop() {
  check(!heap_.empty(), "an event was taken where there is none");
  std::ranges::pop_heap(heap_, later);
  const Event event = heap_.back();
  heap_.pop_back();
  now_ = event.time;
  ++taken_;
  return event;
}

void EventQueue::advance(Tick time) {
  check(heap_.empty() || heap_.front().time >= time, "the clock would pass an event");
  now_ = std::max(now_, time);
}

}  // namespace epaxos::sim
