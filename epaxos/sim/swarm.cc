#include "epaxos/sim/swarm.h"

#include <utility>

#include "epaxos/sim/checkers/linearizability.h"
#include "epaxos/sim/key_value_load.h"
#include "epaxos/sim/nemesis.h"
#include "executor/key_value_machine.h"

namespace epaxos::sim {
namespace {

ClusterConfig config(const SwarmOptions& options, const SwarmPlan& plan) {
  ClusterConfig config = plan.cluster();
  config.spins_max = options.spins_max;
  config.never_silent = options.never_silent;
  return config;
}

class Run {
 public:
  Run(const SwarmOptions& options, const SwarmPlan& plan)
      : options_(options),
        plan_(plan),
        cluster_(config(options, plan), options.protocol, options.make_machine),
        nemesis_(cluster_, plan, options.targets),
        load_(options.make_load(cluster_, plan.load())) {
    for (const CheckerFactory& make : options.checkers) {
      checkers_.push_back(make(cluster_));
      cluster_.watch(*checkers_.back());
    }
    if (options.after_event) {
      cluster_.after_event([this] { options_.after_event(cluster_); });
    }
    result_.plan = plan;
  }

  SwarmResult run() {
    load_->start();
    for (std::uint64_t i = 0; i < plan_.faults; ++i) nemesis_.moment(i);
    nemesis_.settle();
    finish("");
    // No client is left: one that came before the first gossip would get a slot a second time.
    for (std::string& what : nemesis_.confront_with_what_was_forgotten()) {
      violation("forgetting", std::move(what));
    }
    finish(", after disks that forgot came back");
    for (std::string& what : nemesis_.confront_with_damage()) {
      violation("damage", std::move(what));
    }
    if (plan_.return_at_end != 0) {
      nemesis_.bring_back();
      finish(", after all came back");
    }
    if (plan_.tail_us > 0) {
      cluster_.run_for(plan_.tail_us);
      finish(", long after all was well");
    }
    expect_zero(options_.always_zero, "honest replicas do not do that");
    if (plan_.calm()) expect_calm();
    collect();
    return std::move(result_);
  }

 private:
  void violation(std::string checker, std::string what) {
    result_.violations.push_back({std::move(checker), std::move(what)});
  }

  /// What must hold whenever the world is well.
  void finish(const std::string& when) {
    if (!result_.violations.empty()) return;
    // Who rests until its session has expired waits for nobody.
    const Tick limit = 600 * kSecond + load_->rests_left_us();
    if (!cluster_.run_until([&] { return load_->done(); }, limit)) {
      violation("liveness", "a client waits for ever" + when);
    }
    if (!cluster_.run_until_converged(300 * kSecond)) {
      violation("liveness", "something stays undecided, or is not executed" + when + hole());
    }
    for (std::string& what : load_->violations()) {
      violation("execution", std::move(what) + when);
    }
    for (std::string& what : cluster_.final_violations()) {
      violation("execution", std::move(what) + when);
    }
    for (const auto& checker : checkers_) {
      checker->finish();
      for (std::string& what : checker->violations()) {
        violation(std::string(checker->name()), std::move(what) + when);
      }
    }
  }

  /// The first place at which somebody does not know what to do.
  std::string hole() {
    for (const ReplicaId replica : cluster_.replicas()) {
      if (!cluster_.alive(replica)) continue;
      const std::vector<RowStatus> rows = cluster_.status(replica).rows;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const RowStatus& status = rows[row];
        if (status.executed_up_to == status.highest_known) continue;
        const bool decided = status.committed_up_to > status.executed_up_to;
        const InstanceId id{ReplicaId(static_cast<std::uint16_t>(row)),
                            status.executed_up_to.next()};
        return ": " + to_string(id) + (decided ? " is not executed at " : " is not decided at ") +
               to_string(replica);
      }
    }
    return {};
  }

  /// Without faults everything succeeds; without conflicts it does at once.
  void expect_calm() {
    const Outcomes& outcomes = load_->outcomes();
    if (!load_->all_served()) {
      violation("calm", std::to_string(outcomes.rejected + outcomes.unknown) +
                            " commands failed although there was no fault");
    }
    if (plan_.conflict_ppm > 0 || plan_.keys > 0) return;
    expect_zero(options_.zero_when_calm, "there was no fault and no conflict");
  }

  void expect_zero(const std::vector<std::string>& counters, const std::string& why) {
    const Totals totals = cluster_.totals();
    for (const std::string& counter : counters) {
      const auto found = totals.find(counter);
      if (found == totals.end() || found->second == 0) continue;
      violation("counters", counter + " is " + std::to_string(found->second) + ", but " + why);
    }
  }

  void collect() {
    result_.outcomes = load_->outcomes();
    result_.events = cluster_.events();
    result_.trace_hash = cluster_.trace_hash();
    result_.simulated_us = cluster_.now();
    result_.marks = cluster_.totals();
    result_.faults = nemesis_.counts();
    const NetworkTotals& network = cluster_.network().totals();
    const auto count = [this](FaultClass fault, std::uint64_t times) {
      if (plan_.has(fault)) result_.faults[static_cast<std::size_t>(fault)] = times;
    };
    count(FaultClass::kLoss, network.lost);
    count(FaultClass::kDuplicate, network.duplicated);
    count(FaultClass::kTail, 1);
    count(FaultClass::kReportedFailed, network.reported_failed);
    count(FaultClass::kCorrupt, network.corrupted);
    count(FaultClass::kTinyLimits, 1);
    count(FaultClass::kHaste, 1);
    count(FaultClass::kTimeout, static_cast<std::uint64_t>(load_->outcomes().unknown));
  }

  const SwarmOptions& options_;
  const SwarmPlan plan_;
  SwarmResult result_;
  Cluster cluster_;
  Nemesis nemesis_;
  std::unique_ptr<Load> load_;
  std::vector<std::unique_ptr<Checker>> checkers_;
};

}  // namespace

SwarmPlan SwarmOptions::plan(std::uint64_t seed) const {
  SwarmLimits drawn = limits;
  drawn.changes_members = protocol.changes_members;
  return draw_plan(seed, drawn);
}

SwarmOptions key_value_swarm(Protocol protocol) {
  SwarmOptions options;
  options.protocol = std::move(protocol);
  options.make_machine = [] { return std::make_unique<KeyValueMachine>(); };
  options.make_load = key_value_load();
  options.checkers.push_back([](Cluster&) { return std::make_unique<LinearizabilityChecker>(); });
  return options;
}

std::vector<std::string> sentences(const SwarmResult& result) {
  std::vector<std::string> all;
  for (const Violation& violation : result.violations) {
    all.push_back(violation.checker + ": " + violation.what);
  }
  if (!all.empty()) all.insert(all.begin(), to_text(result.plan));
  return all;
}

SwarmResult run_swarm(const SwarmOptions& options, std::uint64_t seed) {
  return run_swarm(options, options.plan(seed));
}

SwarmResult run_swarm(const SwarmOptions& options, const SwarmPlan& plan) {
  return Run(options, plan).run();
}

}  // namespace epaxos::sim
