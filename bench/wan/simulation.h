#pragma once

// One protocol on one placement in virtual time: the real hosts, cores, codecs and executors over a
// network whose links take exactly the delays of the topology, but for faults that are asked for,
// at durability none. Nothing else takes time but the turns of the replicas (at most 20 us each),
// so that what is measured differs from the bound by what the protocol does. The same seed gives
// the same run, event by event.

#include <cstdint>
#include <optional>

#include "bench/wan/measured_run.h"
#include "bench/wan/placement.h"
#include "epaxos/contract/core.h"

namespace epaxos::bench {

/// What core counters say of the paths that commands took.
struct Paths {
  std::uint64_t fast = 0;
  std::uint64_t slow = 0;
};
/// None: there were neither.
std::optional<double> slow_share(const Paths& before, const Paths& after);

/// Whether one replica of this protocol leads the others.
bool has_leader(const Protocol& protocol);

/// The timers that round trips as long as these need (docs/operation.md); defaults that fit stay.
CoreConfig timers_for(const Placement& placement);

/// The same with what the options say of the core.
CoreConfig core_of(const Placement& placement, const RunOptions& options);

/// `leader`: of a protocol that has one. Precondition: nobody is down.
/// Errors: unavailable - it does not come to lead, commands never end, states differ in the end, or
/// the history is not linearizable.
Result<MeasuredRun> simulate(const Placement& placement, const Protocol& protocol,
                             std::optional<ReplicaId> leader, const RunOptions& options,
                             const Watch& watch = {});

}  // namespace epaxos::bench
