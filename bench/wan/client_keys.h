#pragma once

// What the clients of an experiment do the same way in both modes: which keys they write, when they
// begin, how long they wait after a refusal.

#include "bench/client/load.h"
#include "bench/wan/measured_run.h"
#include "epaxos/sim/random.h"

namespace epaxos::bench {

/// After a refusal, so that a replica in trouble is not flooded.
inline constexpr Tick kPauseUs = 50'000;

/// What the clients of a site write.
KeyChoice keys_of(std::size_t site, const RunOptions& options);

/// When they begin, one draw below a second each.
sim::Random beginnings_of(std::size_t site, const RunOptions& options);

}  // namespace epaxos::bench
