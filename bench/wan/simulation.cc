#include "bench/wan/simulation.h"

#include <algorithm>
#include <cmath>

#include "bench/throughput/protocols.h"
#include "bench/wan/client_keys.h"
#include "bench/wan/simulated_clients.h"
#include "bench/wan/simulated_faults.h"
#include "bench/wan/wan_trace.h"
#include "deps/types/check.h"
#include "epaxos/sim/checkers/linearizability.h"
#include "executor/key_value_machine.h"

namespace epaxos::bench {
namespace {

/// Between two looks at the clock of the real world.
constexpr Tick kSliceUs = 50'000;
/// Elections and stragglers that take longer never end.
constexpr Tick kPatienceUs = 120 * kSecond;
constexpr std::uint32_t kEach = 1'000'000;  // In parts per million.

sim::ClusterConfig config_of(const Placement& placement, const Protocol& protocol,
                             std::optional<ReplicaId> leader, const RunOptions& options) {
  sim::ClusterConfig config;
  config.replica_count = placement.replica_count();
  config.seed = options.seed;
  config.durability = options.durability;
  config.links.jitter_us = 0;
  config.links.tail_ppm = options.links.jitter_us > 0 ? kEach : 0;
  config.links.tail_us = options.links.jitter_us;
  config.links.resent_ppm = static_cast<std::uint32_t>(std::lround(options.links.loss * kEach));
  config.links.resent_us = LinkTrouble::kResentUs;
  config.links.in_order = true;
  config.never_silent = true;
  config.memory_only = options.durability == Durability::kNone;
  config.check_executions = false;
  config.leads_first = leader;
  config.core = core_of(placement, options);
  config.core.reads = reads_of(protocol, options.reads_by);
  return config;
}

bool all_follow(sim::Cluster& cluster, ReplicaId leader) {
  return std::ranges::all_of(cluster.replicas(), [&](ReplicaId replica) {
    return cluster.status(replica).leader == leader;
  });
}

/// Runs until then, in slices. False: told to stop.
bool run_until(sim::Cluster& cluster, Tick time, const Watch& watch, Tick begin, Tick end) {
  while (cluster.now() < time) {
    cluster.run_until(std::min(time, cluster.now() + kSliceUs));
    if (watch && !watch(cluster.now() - begin, end - begin)) return false;
  }
  return true;
}

/// The load goes on, so that what was sent last meets the same as what was sent before. When all of
/// that has ended it stops, and all that live come to one state.
Result<void> end(sim::Cluster& cluster, SimulatedClients& clients, const RunOptions& options,
                 MeasuredRun& run) {
  const auto finished = [&clients] { return clients.unfinished() == 0; };
  if (!cluster.run_until(finished, kPatienceUs)) {
    return fail(ErrorCode::kUnavailable,
                std::to_string(clients.unfinished()) + " commands of " + run.protocol +
                    " had no outcome two minutes after the measured time. " +
                    ask_for_less(options));
  }
  clients.stop();
  if (!cluster.run_until_converged(kPatienceUs) || !cluster.digests_agree()) {
    return fail(ErrorCode::kUnavailable,
                "The replicas of " + run.protocol +
                    " did not come to one state within two minutes after the load.");
  }
  const std::vector<std::string> wrong = cluster.violations();
  if (!wrong.empty()) return fail(ErrorCode::kUnavailable, wrong.front());
  for (const ReplicaId replica : cluster.replicas()) {
    if (cluster.alive(replica)) run.digest = cluster.digest(replica);
  }
  return {};
}

/// Precondition: all that live have converged.
Result<void> judge(sim::LinearizabilityChecker& history, std::uint64_t seed, MeasuredRun& run) {
  history.finish();
  const std::vector<std::string> wrong = history.violations();
  if (wrong.empty()) {
    run.linearizable = history.history().size();
    return {};
  }
  return fail(ErrorCode::kUnavailable, "The history of " + run.protocol +
                                           " is not linearizable: " + wrong.front() +
                                           ". That is a bug of the protocol; --seed " +
                                           std::to_string(seed) + " shows it again.");
}

}  // namespace

bool has_leader(const Protocol& protocol) {
  CoreConfig config;
  config.replica_count = 1;
  CoreStatus status;
  protocol.make_core(config)->status(status);
  return status.has_leader;
}

CoreConfig timers_for(const Placement& placement) {
  Tick longest = 0;
  for_each_member(placement.all(), [&](ReplicaId one) {
    for_each_member(placement.all(), [&](ReplicaId other) {
      longest = std::max(longest, placement.round_trip_us(one, other));
    });
  });
  CoreConfig core;
  const auto at_least = [](Tick& timer, Tick needed) { timer = std::max(timer, needed); };
  at_least(core.suspicion_us, 2 * longest);
  at_least(core.retransmit_us, 3 * longest);  // What is forwarded waits for two round trips.
  at_least(core.recovery_timeout_us, 3 * longest);
  at_least(core.question_us, 2 * longest);
  at_least(core.fast_wait_us, longest);
  at_least(core.election_us, 4 * longest);
  return core;
}

CoreConfig core_of(const Placement& placement, const RunOptions& options) {
  CoreConfig core = timers_for(placement);
  core.limit_hot_keys = options.limit_hot_keys;
  core.thrifty = options.thrifty;
  return core;
}

Result<MeasuredRun> simulate(const Placement& placement, const Protocol& protocol,
                             std::optional<ReplicaId> leader, const RunOptions& options,
                             const Watch& watch) {
  check(placement.down().size() == 0, "every replica runs in a simulation");
  check(check_restarts(options.faults, options.durability).has_value(),
        "who is restarted has a disk that keeps what it promised");
  MeasuredRun run{protocol.name, leader, {}, 0, 0, {}, {}, {}, false};
  run.sites.resize(placement.topology().site_count());
  sim::Cluster cluster(config_of(placement, protocol, leader, options), protocol,
                       [] { return std::make_unique<KeyValueMachine>(); });
  SimulatedFaults faults(options.faults, placement, cluster);
  if (leader && !cluster.run_until([&] { return all_follow(cluster, *leader); }, kPatienceUs)) {
    return fail(ErrorCode::kUnavailable, protocol.name + " did not come to be led from " +
                                             placement.name_of(*leader) +
                                             " within two minutes of virtual time.");
  }

  sim::LinearizabilityChecker history;
  if (options.check_linearizability) cluster.watch(history);
  Recorder recorder(run, options);
  SimulatedClients clients(cluster, faults.world(), options, recorder);
  const Tick begin = cluster.now();
  const Tick from = begin + options.warm_up_us;
  const Tick to = from + options.measured_us;
  recorder.measure(from);
  const std::unique_ptr<ClusterTrace> trace =
      trace_commands(cluster, placement, run, options, from);
  clients.start();
  faults.plan(from, to);
  run.interrupted = !run_until(cluster, from, watch, begin, to);
  const std::vector<std::optional<Paths>> before = faults.paths();
  run.interrupted = run.interrupted || !run_until(cluster, to, watch, begin, to);
  const std::vector<std::optional<Paths>> after = faults.paths();
  for (std::size_t site = 0; site < run.sites.size(); ++site) {
    const ReplicaId replica = placement.nearest(site);
    run.sites[site].slow_share = slow_share(before[replica.value()], after[replica.value()]);
  }
  if (!run.interrupted) {
    if (const auto ended = end(cluster, clients, options, run); !ended) return fail(ended.error());
    if (options.check_linearizability) {
      if (const auto judged = judge(history, options.seed, run); !judged)
        return fail(judged.error());
    }
  }
  recorder.finish(cluster.now());
  if (trace != nullptr) trace->end();
  run.events = cluster.events();
  run.trace_hash = cluster.trace_hash();
  return run;
}

}  // namespace epaxos::bench
