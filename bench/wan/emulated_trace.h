#pragma once

// The measuring process's side of the trace of an emulated run: gathers what the replicas tell, and
// draws it when the run is over. Bounded: what comes beyond is counted and left out.

#include <cstddef>
#include <vector>

#include "bench/wan/shared_trace.h"
#include "bench/wan/wan_trace.h"

namespace epaxos::bench {

class EmulatedTrace {
 public:
  /// Of a run. A command takes about ten for each replica.
  static constexpr std::size_t kEventsMax = 1'000'000;

  /// `shared` outlives it.
  EmulatedTrace(SharedTrace& shared, int replica_count)
      : shared_(shared), replica_count_(replica_count) {}

  [[nodiscard]] SharedTrace& shared() { return shared_; }
  /// Takes what the replicas have told. Often, as they do not wait for it.
  void look();
  /// A replica was killed; what it told until then counts. Precondition: look().
  void stopped(ReplicaId replica, Tick now);
  /// Events for which there was no room, here or on the way.
  [[nodiscard]] std::uint64_t lost() const;
  /// Once, at the end. Times count from `begin_us`.
  void draw(const CommandTraceOptions& options, Tick begin_us, Trace& trace);

 private:
  void add(const TraceEvent& event);

  SharedTrace& shared_;
  const int replica_count_;
  std::vector<TraceEvent> events_;
  std::uint64_t left_out_ = 0;
};

}  // namespace epaxos::bench
