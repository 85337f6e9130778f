#pragma once

// One protocol on one placement in virtual time: the real hosts, cores, codecs and executors over a
// network whose links take exactly the delays of the topology, but for faults that are asked for.
// Nothing else takes time but the turns of the replicas (at most 20 us each) and, unless at
// durability none, their virtual disks, so that what is measured differs from the bound by what the
// protocol does. The same seed gives the same run, event by event.

#include <optional>

#include "bench/wan/measured_run.h"
#include "bench/wan/placement.h"
#include "epaxos/contract/core.h"

namespace epaxos::bench {

/// Whether one replica of this protocol leads the others.
bool has_leader(const Protocol& protocol);

/// The timers that round trips as long as these need (docs/operation.md); defaults that fit stay.
CoreConfig timers_for(const Placement& placement);

/// The same with what the options say of the core.
CoreConfig core_of(const Placement& placement, const RunOptions& options);

/// `leader`: of a protocol that has one. Precondition: nobody is down; who is restarted has a disk
/// that keeps what it promised, check_restarts().
/// Errors: unavailable - it does not come to lead, commands never end, states differ in the end, or
/// the history is not linearizable.
Result<MeasuredRun> simulate(const Placement& placement, const Protocol& protocol,
                             std::optional<ReplicaId> leader, const RunOptions& options,
                             const Watch& watch = {});

}  // namespace epaxos::bench
