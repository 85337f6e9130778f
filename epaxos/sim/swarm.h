#pragma once

// Many runs of a virtual cluster, each with a size, a load and a selection of faults of its own,
// all of which follow from one seed. At the end of a run the world is healed, and what must hold
// then is checked. Whoever embeds a state machine tests it by bringing it here with a load. Source:
// reliability.md 3.2, 3.4.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "epaxos/sim/cluster.h"
#include "epaxos/sim/load.h"
#include "epaxos/sim/observer.h"
#include "epaxos/sim/swarm_plan.h"

namespace epaxos::sim {

/// A checker for one run; the run lets it watch the cluster, and asks it at the end.
using CheckerFactory = std::function<std::unique_ptr<Checker>(Cluster&)>;

struct SwarmOptions {
  Protocol protocol;
  MachineFactory make_machine;
  LoadFactory make_load;
  SwarmLimits limits;
  std::vector<CheckerFactory> checkers;
  /// Messages after which their sender is worth stopping, the more often the more it is listed.
  std::vector<net::FrameType> targets;
  /// Counters of what no replica ever does to another one, whatever the world does to both.
  std::vector<std::string> always_zero;
  /// Counters that must stay 0 where there are no faults and no conflicts.
  std::vector<std::string> zero_when_calm;
  /// ClusterConfig::spins_max.
  std::uint64_t spins_max = 0;
  /// ClusterConfig::never_silent.
  bool never_silent = false;
  /// Called after every event.
  std::function<void(Cluster&)> after_event;

  /// What a seed draws, for this protocol.
  [[nodiscard]] SwarmPlan plan(std::uint64_t seed) const;
};

/// The key-value machine with its load and its checker of linearizability.
SwarmOptions key_value_swarm(Protocol protocol);

struct Violation {
  std::string checker;  ///< Who says so.
  std::string what;     ///< A sentence.
};

struct SwarmResult {
  SwarmPlan plan;
  std::vector<Violation> violations;
  Outcomes outcomes;
  std::uint64_t events = 0;
  std::uint64_t trace_hash = 0;
  Tick simulated_us = 0;
  Totals marks;                                       ///< Cluster::totals().
  std::array<std::uint64_t, kFaultClasses> faults{};  ///< How often each kind came.
};

/// One sentence a violation; the first names the plan that shows it again. Empty when all is well.
std::vector<std::string> sentences(const SwarmResult& result);

/// Cost: some milliseconds for a plan of Profile::kSmoke.
SwarmResult run_swarm(const SwarmOptions& options, std::uint64_t seed);
SwarmResult run_swarm(const SwarmOptions& options, const SwarmPlan& plan);

}  // namespace epaxos::sim
