#pragma once

// One protocol on one placement in real time: a process a replica on this machine, ZeroMQ over
// loopback between them, and what each sends is held back for as long as the link takes. Unless at
// durability none each has a data directory, which is removed when the run is over. What is
// measured differs from simulate() by what real processes, sockets, disks and this machine add.

#include "bench/wan/measured_run.h"
#include "bench/wan/placement.h"
#include "epaxos/contract/core.h"

namespace epaxos::bench {

/// As simulate(), but without a judged history.
/// Precondition: also, the calling process has a single thread.
/// Errors: unavailable - no process or port is left, a replica has ended, there is no leader,
/// commands never end, this machine does not keep up, states differ, or who is restarted never
/// answers; io - there is no place for the data.
Result<MeasuredRun> emulate(const Placement& placement, const Protocol& protocol,
                            std::optional<ReplicaId> leader, const RunOptions& options,
                            const Watch& watch = {});

}  // namespace epaxos::bench
