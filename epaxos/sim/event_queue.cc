#include "epaxos/sim/event_queue.h"

#include <algorithm>

#include "deps/types/check.h"

namespace epaxos::sim {
namespace {

bool earlier(const Event& a, const Event& b) {
  if (a.time != b.time) return a.time < b.time;
  if (a.tie != b.tie) return a.tie < b.tie;
  return a.number < b.number;
}

}  // namespace

EventQueue::EventQueue(std::uint64_t seed) : ties_(stream(seed, Purpose::kSchedule, 0)) {
  Event never;
  never.time = kNever;
  turns_.fill(never);
}

Event EventQueue::event(Tick time, EventKind kind, ReplicaId replica, std::uint64_t subject) {
  const auto tie = static_cast<std::uint32_t>(ties_.next());
  return {std::max(time, now_), tie, kind, replica, ++numbers_, subject};
}

void EventQueue::push(Tick time, EventKind kind, ReplicaId replica, std::uint64_t subject) {
  if (time == kNever) return;
  heap_.push_back(event(time, kind, replica, subject));
  sift_up();
}

void EventQueue::set_turn(ReplicaId replica, Tick time) {
  const std::size_t at = replica.value();
  Event& turn = turns_.at(at);
  if (time == kNever) {
    turn.time = kNever;
  } else {
    turn = event(time, EventKind::kTurn, replica, 0);
  }
  if (at == soonest_) {
    soonest_ = static_cast<std::size_t>(std::ranges::min_element(turns_, earlier) - turns_.begin());
  } else if (earlier(turn, turns_[soonest_])) {
    soonest_ = at;
  }
}

bool EventQueue::turn_is_next() const {
  return heap_.empty() || earlier(next_turn(), heap_.front());
}

Tick EventQueue::next_time() const {
  check(!empty(), "the next of no events was asked for");
  return turn_is_next() ? next_turn().time : heap_.front().time;
}

Event EventQueue::pop() {
  check(!empty(), "an event was taken where there is none");
  Event next;
  if (turn_is_next()) {
    next = next_turn();
    set_turn(next.replica, kNever);
  } else {
    next = heap_.front();
    sift_down();
  }
  now_ = next.time;
  ++taken_;
  return next;
}

void EventQueue::advance(Tick time) {
  check(empty() || next_time() >= time, "the clock would pass an event");
  now_ = std::max(now_, time);
}

// A heap of four children a node: half as deep as one of two, and the four lie side by side.

void EventQueue::sift_up() {
  std::size_t at = heap_.size() - 1;
  const Event rising = heap_[at];
  while (at > 0) {
    const std::size_t parent = (at - 1) / kChildren;
    if (!earlier(rising, heap_[parent])) break;
    heap_[at] = heap_[parent];
    at = parent;
  }
  heap_[at] = rising;
}

/// The last event takes the place of the first.
void EventQueue::sift_down() {
  const Event falling = heap_.back();
  heap_.pop_back();
  if (heap_.empty()) return;
  std::size_t at = 0;
  for (;;) {
    const std::size_t first = at * kChildren + 1;
    const std::size_t end = std::min(first + kChildren, heap_.size());
    if (first >= end) break;
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (earlier(heap_[child], heap_[least])) least = child;
    }
    if (!earlier(heap_[least], falling)) break;
    heap_[at] = heap_[least];
    at = least;
  }
  heap_[at] = falling;
}

}  // namespace epaxos::sim
