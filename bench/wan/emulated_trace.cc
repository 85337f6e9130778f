#include "bench/wan/emulated_trace.h"

#include <algorithm>
#include <utility>

#include "bench/report/clock.h"

namespace epaxos::bench {

void EmulatedTrace::add(const TraceEvent& event) {
  if (events_.size() < kEventsMax) {
    events_.push_back(event);
  } else {
    ++left_out_;
  }
}

void EmulatedTrace::look() {
  for (SharedTrace::Replica& replica : shared_.replicas) {
    replica.events.read([this](const TraceEvent& event) { add(event); });
  }
}

void EmulatedTrace::stopped(ReplicaId replica, Tick now) {
  events_.push_back({.at = now, .kind = TraceEvent::Kind::kStopped, .replica = replica});
}

std::uint64_t EmulatedTrace::lost() const {
  std::uint64_t lost = left_out_;
  for (const SharedTrace::Replica& replica : shared_.replicas) lost += replica.events.lost();
  return lost;
}

/// All processes have one clock, and what causes something is stamped no later than that, so that
/// the order of times is one in which everything can have happened.
void EmulatedTrace::draw(const CommandTraceOptions& options, Tick begin_us, Trace& trace) {
  std::ranges::stable_sort(events_, {},
                           [](const TraceEvent& event) { return std::pair(event.at, event.kind); });
  CommandTrace commands(replica_count_, options, trace);
  for (TraceEvent& event : events_) {
    event.at -= std::min(begin_us, event.at);
    commands.take(event);
  }
  commands.end(now_us() - begin_us);
  events_.clear();
}

}  // namespace epaxos::bench
