#pragma once

// Makes a plan that fails smaller, one number after the other, as long as it still fails: a few
// faults and a few commands can be read, thousands cannot. Source: reliability.md 3.2.

#include <functional>

#include "epaxos/sim/swarm_plan.h"

namespace epaxos::sim {

/// Whether a plan still shows what is looked for.
using StillFails = std::function<bool(const SwarmPlan&)>;

/// Precondition: `plan` fails. Returns a plan that fails too. Cost: at most `tries_max` runs.
SwarmPlan shrink(SwarmPlan plan, const StillFails& still_fails, int tries_max = 1'000);

}  // namespace epaxos::sim
