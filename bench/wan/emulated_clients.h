#pragma once

// What the process of an emulated replica runs: a node, and inside of it the clients of all sites
// whose nearest replica it is. Their way to it and back is waited for here. Inside, as a client in
// another process adds a way through two sockets that no real network has beside the delay.

#include "bench/throughput/subject.h"
#include "bench/wan/shared_run.h"
#include "bench/wan/shared_trace.h"

namespace epaxos::bench {

/// What all replicas of a run have in common; outlives the processes.
struct EmulatedGroup {
  const Placement& placement;
  const Protocol& protocol;
  std::optional<ReplicaId> leader;
  const RunOptions& options;
  SharedRun& shared;
  SharedTrace* trace = nullptr;  ///< Null: nothing is traced.
};

/// Precondition: `group` outlives what is returned.
MakeSubject emulated_clients(const EmulatedGroup& group);

}  // namespace epaxos::bench
