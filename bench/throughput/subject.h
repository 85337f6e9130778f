#pragma once

// What a child process runs and measures: a node with a load inside, or the bare floor.

#include <functional>
#include <memory>

#include "bench/throughput/group_options.h"
#include "bench/throughput/measurement.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "epaxos/node/config.h"

namespace epaxos::bench {

class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  /// Whether every peer can be written to, and a load would be taken. Asked until it says yes.
  virtual bool ready() = 0;
  /// What it waits for, when it has waited for too long: a sentence.
  [[nodiscard]] virtual std::string why_not_ready() const {
    return "The replicas did not find each other on 127.0.0.1, or could decide nothing.";
  }
  /// Begins the closed loop; once.
  virtual void start_load() = 0;
  /// From now on nothing new is proposed.
  virtual void stop_load() = 0;
  /// Called every few milliseconds: for what is not proposed at once.
  virtual void tick() {}
  /// Forgets the latencies so far.
  virtual void begin_window() = 0;
  /// Fills all but the process's own times and sizes.
  virtual void measure(Measurement& out) = 0;
  virtual Result<void> close() = 0;
};

/// Where a child process runs.
struct Place {
  ClusterConfig cluster;
  ReplicaId self;
  std::string directory;  ///< Of the whole run; empty at durability "none".
};

using MakeSubject = std::function<Result<std::unique_ptr<Subject>>(const GroupOptions& options,
                                                                   const Place& place)>;

/// A node with a key-value machine and a closed loop of puts.
Result<std::unique_ptr<Subject>> open_node_subject(const GroupOptions& options, const Place& place);

/// The same messages and records over the same sockets and store, without a protocol: no conflict
/// index, no executor, no instance table, no state machine.
Result<std::unique_ptr<Subject>> open_floor_subject(const GroupOptions& options,
                                                    const Place& place);

}  // namespace epaxos::bench
