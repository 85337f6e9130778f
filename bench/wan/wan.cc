#include "bench/wan/wan.h"

#include <algorithm>
#include <set>
#include <sys/resource.h>
#include <thread>
#include <utility>

#include "bench/report/clock.h"
#include "bench/report/progress.h"
#include "bench/throughput/group_arguments.h"
#include "bench/throughput/protocols.h"
#include "bench/wan/emulation.h"
#include "bench/wan/repeats.h"
#include "bench/wan/simulation.h"
#include "epaxos/node/config.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// Of this process and those of its children that have ended.
double cpu_seconds() {
  double sum = 0;
  for (const int whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(whose, &used);
    for (const timeval& time : {used.ru_utime, used.ru_stime}) {
      sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
  }
  return sum;
}

/// A misspelt site is never what was meant.
Result<void> check_leader(const Placement& placement, const std::string& name) {
  if (name == "best" || name == "worst" || name == "all") return {};
  const Result<ReplicaId> leader = placement.replica_at_site(name);
  if (leader) return {};
  return fail(leader.error().code, "--leaders takes best, worst, all, or sites with a replica. " +
                                       leader.error().message);
}

Result<void> check_linearizability_options(const WanOptions& options) {
  if (!options.run.check_linearizability) return {};
  if (options.mode == WanMode::kEmulated) {
    return fail(ErrorCode::kInvalidArgument,
                "--check needs --mode simulated: one process sees the whole history there.");
  }
  if (options.run.value_bytes != RunOptions().value_bytes) {
    return fail(ErrorCode::kInvalidArgument,
                "--check has counters incremented, whose values have a size of their own. Leave "
                "--value-bytes out.");
  }
  return {};
}

/// The replicas that are to lead this protocol, each once. Precondition: check_leader() accepts the
/// names.
std::vector<ReplicaId> leaders_of(const Placement& placement, const std::string& protocol,
                                  const std::vector<std::string>& names) {
  std::vector<Bounds> bounds;
  for (const ReplicaId leader : members_of(placement.all())) {
    bounds.push_back(bound_of(placement, protocol, leader));
  }
  std::vector<ReplicaId> leaders;
  const auto add = [&leaders](ReplicaId leader) {
    if (std::ranges::find(leaders, leader) == leaders.end()) leaders.push_back(leader);
  };
  for (const std::string& name : names) {
    if (name == "best") {
      add(*best_of(bounds).leader);
    } else if (name == "worst") {
      add(*worst_of(bounds).leader);
    } else if (name == "all") {
      for (const Bounds& each : bounds) add(*each.leader);
    } else {
      add(*placement.replica_at_site(name));
    }
  }
  return leaders;
}

/// A way that none of the protocols has is never what was meant.
Result<void> check_reads_by(const WanOptions& options) {
  const std::optional<Reads> wished = options.run.reads_by;
  const bool any_has = std::ranges::any_of(options.protocols, [&](const std::string& protocol) {
    return reads_of(protocol_named(protocol), wished) == wished;
  });
  if (!wished || any_has) return {};
  return fail(ErrorCode::kInvalidArgument,
              "--reads-by " + std::string(to_string(*wished)) +
                  " is a way of protocols with a leader, and none of --protocols has it. Add raft "
                  "or multipaxos, or leave it out.");
}

/// What none of the protocols could heed is never what was meant.
Result<void> check_heeded(const WanOptions& options) {
  const auto none = [&](const auto& heeds) {
    return std::ranges::none_of(options.protocols, [&](const std::string& protocol) {
      return heeds(protocol_named(protocol));
    });
  };
  const auto refused = [](const std::string& sentence) {
    return fail(ErrorCode::kInvalidArgument, sentence);
  };
  if (options.run.thrifty && none([](const Protocol& p) { return p.can_be_thrifty; })) {
    return refused(
        "--thrifty is for epaxos, which none of --protocols is. Add it, or leave --thrifty out.");
  }
  if (!options.run.limit_hot_keys && none([](const Protocol& p) { return !has_leader(p); })) {
    return refused(
        "--no-hot-key-limit is for epaxos, which none of --protocols is. Add it, or leave the "
        "option out.");
  }
  if (options.leaders != WanOptions().leaders && none(has_leader)) {
    return refused(
        "--leaders is for protocols with a leader, and none of --protocols has one. Add raft or "
        "multipaxos, or leave --leaders out.");
  }
  return {};
}

Result<void> check_data(const WanOptions& options) {
  if (options.run.data.empty()) return {};
  if (options.mode == WanMode::kSimulated) {
    return fail(ErrorCode::kInvalidArgument,
                "--data needs --mode emulated: in virtual time the disks are virtual too.");
  }
  if (options.run.durability != Durability::kNone) return {};
  return fail(ErrorCode::kInvalidArgument, kDataOfNoUse);
}

/// What this machine cannot do, or only long after the run would have to end.
Result<void> check_possible(const WanOptions& options, const Placement& placement) {
  if (options.mode != WanMode::kEmulated) return {};
  const RunOptions& run = options.run;
  // What one command costs a replica at least. Five of them were measured to take 50 us together
  // when emulated, and 8 us where nothing is held back: no machine that could do it is refused.
  constexpr double kLeastCpuS = 3e-6;
  const auto cores = static_cast<double>(std::max(1u, std::thread::hardware_concurrency()));
  const auto sites = static_cast<double>(placement.topology().site_count());
  const double cpu_s_of_one = sites * placement.replica_count() * kLeastCpuS;
  if (run.open.rate * cpu_s_of_one > cores) {
    return fail(ErrorCode::kInvalidArgument,
                "--rate " + fixed(run.open.rate, 0) + " at " + fixed(sites, 0) + " sites is " +
                    fixed(run.open.rate * sites, 0) + " commands/s, and this machine with its " +
                    fixed(cores, 0) + (cores > 1 ? " cores" : " core") + " has not the CPU for " +
                    std::to_string(placement.replica_count()) +
                    " replicas of that. Ask for a --rate far below " +
                    fixed(cores / cpu_s_of_one, 0) + ", or use --mode simulated.");
  }
  if (run.links.bytes_per_second == 0) return {};
  const double value_s =
      static_cast<double>(run.value_bytes) / static_cast<double>(run.links.bytes_per_second);
  if (value_s * static_cast<double>(kSecond) <= static_cast<double>(run.measured_us)) return {};
  return fail(ErrorCode::kInvalidArgument,
              "At this --bandwidth one value of --value-bytes " + std::to_string(run.value_bytes) +
                  " takes " + fixed(value_s, 0) +
                  " s on a link, longer than the --duration. Give more bandwidth, smaller values "
                  "or a longer duration.");
}

Result<void> check_latency_before_faults(const WanOptions& options,
                                         const std::vector<Fault>& faults) {
  if (!options.run.latency_before_faults || faults.empty() || faults.front().at_us > 0) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      "--latency-before-faults: the first fault, '" + faults.front().text +
          "', is at the beginning of the measured time, and nothing is before it. Give it a "
          "later time, or leave the option out.");
}

/// In virtual time a client whose commands take no time sends so many that a run hardly ends.
Result<void> check_time_passes(const WanOptions& options, const Placement& placement,
                               const std::vector<WanPlan::Run>& runs) {
  const RunOptions& run = options.run;
  if (options.mode != WanMode::kSimulated || run.open.rate > 0 || run.think_us > 0) return {};
  for (const WanPlan::Run& each : runs) {
    for (std::size_t site = 0; site < placement.topology().site_count(); ++site) {
      const bool writes_pass = run.mix.has_writes() && each.bound.by_site_us[site] > 0;
      const bool reads_pass = run.mix.has_reads() && each.read_bound.by_site_us[site] > 0;
      if (writes_pass || reads_pass) continue;
      return fail(ErrorCode::kInvalidArgument,
                  "Commands of " + name_of(placement, each.protocol, each.leader) + " at " +
                      placement.topology().site(site) +
                      " take no time, so in virtual time a client that sends one after the other "
                      "would send hundreds of thousands a second, and hardly come to an end. Add "
                      "--think, --rate, or --mode emulated.");
    }
  }
  return {};
}

/// Adds a sentence for each phase of this kind where the gate does not hold at the site.
void look(const Gate& gate, const Placement& placement, const WanRun& run, std::size_t site,
          Kind kind, std::vector<std::string>& broken) {
  const Tick bound = run.bound_of(kind).by_site_us[site];
  const auto phase = [&](const char* name, const FineHistogram& seen) {
    const Tick measured = seen.percentile(gate.share());
    if (seen.count() > 0 && gate.holds(measured, bound)) return;
    const std::string what =
        seen.count() == 0 ? "nothing was measured"
                          : "it is " + fixed(static_cast<double>(measured) / 1000, 2) +
                                " ms, the limit " + fixed(gate.limit_us(bound) / 1000, 2) + " ms";
    const std::string of = kind == Kind::kAll ? "" : to_string(kind) + " of ";
    broken.push_back(gate.text() + " does not hold for the " + name + " of " + of +
                     name_of(placement, run.measured.protocol, run.measured.leader) + " at " +
                     placement.topology().site(site) + ": " + what + ".");
  };
  const Latency& seen = latency_of(run.measured.sites[site], kind);
  if (gate.phase() != Gate::Phase::kExecution) phase("commit", seen.commit_us);
  if (gate.phase() != Gate::Phase::kCommit) phase("execution", seen.execution_us);
}

/// Tells how far all runs are, in their own time.
class Watcher {
 public:
  Watcher(std::size_t runs, bool (*stop)()) : runs_(runs), stop_(stop), progress_(0) {}

  void begin(const std::string& name) { progress_.stage(name); }
  void ended() { ++done_; }
  [[nodiscard]] Watch watch() {
    return [this](Tick passed_us, Tick of_us) {
      const double passed = static_cast<double>(passed_us) / static_cast<double>(of_us);
      const double share = (static_cast<double>(done_) + passed) / static_cast<double>(runs_);
      const double spent = seconds_now() - begin_;
      if (share > 0) progress_.expect(spent / share - spent);
      progress_.tick();
      return !stop_();
    };
  }

 private:
  const std::size_t runs_;
  bool (*const stop_)();
  Progress progress_;
  const double begin_ = seconds_now();
  std::size_t done_ = 0;
};

}  // namespace

Bounds bound_of(const Placement& placement, const std::string& protocol,
                std::optional<ReplicaId> leader) {
  if (!leader) return epaxos_fast_path(placement);
  const auto majorities = compare::paxos::Quorums::majorities(placement.replica_count());
  if (protocol == "multipaxos-all" || protocol == "raft-all") {
    return by_leader_learning_from_all(placement, *leader, majorities);
  }
  return by_leader(placement, *leader, majorities);
}

Bounds read_bound_of(const Placement& placement, const std::string& protocol,
                     std::optional<ReplicaId> leader, Reads reads_by) {
  if (reads_by == Reads::kLog) return bound_of(placement, protocol, leader);
  // The leader is asked, and asks a majority whether it leads; with a lease it asks nobody.
  const int n = placement.replica_count();
  return by_leader(placement, *leader,
                   reads_by == Reads::kLease ? *compare::paxos::Quorums::of_sizes(n, n, 1)
                                             : compare::paxos::Quorums::majorities(n));
}

WanPlan::Run planned_run(const Placement& placement, const std::string& protocol,
                         std::optional<ReplicaId> leader, const CommandMix& mix, Reads reads_by) {
  const Bounds reads = read_bound_of(placement, protocol, leader, reads_by);
  return {protocol, leader, mix.has_writes() ? bound_of(placement, protocol, leader) : reads, reads,
          reads_by};
}

std::string to_string(WanMode mode) {
  if (mode == WanMode::kMachines) return "machines";
  return mode == WanMode::kEmulated ? "emulated" : "simulated";
}

std::string name_of(const Placement& placement, const std::string& protocol,
                    std::optional<ReplicaId> leader) {
  return leader ? protocol + " led from " + placement.name_of(*leader) : protocol;
}

Result<WanPlan> plan(const WanOptions& options) {
  if (options.mode == WanMode::kSimulated && options.run.links.bytes_per_second > 0) {
    return fail(
        ErrorCode::kInvalidArgument,
        "--bandwidth needs --mode emulated: in virtual time messages take no time to send.");
  }
  for (const auto& checked : {check_linearizability_options(options), check_reads_by(options),
                              check_heeded(options), check_data(options)}) {
    if (!checked) return fail(checked.error());
  }
  Result<Places> places = places_of(options.places);
  if (!places) return fail(places.error());
  WanPlan plan{*std::move(places), {}, {}};
  const Placement& placement = plan.places.placement;
  Result<std::vector<Fault>> faults =
      faults_from(options.faults, placement, options.run.measured_us);
  if (!faults) return fail(faults.error());
  plan.faults = *std::move(faults);
  for (const auto& checked :
       {check_restarts(plan.faults, options.run.durability),
        check_latency_before_faults(options, plan.faults), check_possible(options, placement)}) {
    if (!checked) return fail(checked.error());
  }
  for (const std::string& name : options.leaders) {
    const auto checked = check_leader(placement, name);
    if (!checked) return fail(checked.error());
  }
  const auto planned = [&](const std::string& protocol, std::optional<ReplicaId> leader) {
    const Reads reads_by = reads_of(protocol_named(protocol), options.run.reads_by);
    return planned_run(placement, protocol, leader, options.run.mix, reads_by);
  };
  std::set<std::string> seen;
  for (const std::string& protocol : options.protocols) {
    if (!seen.insert(protocol).second) {
      return fail(ErrorCode::kInvalidArgument,
                  "--protocols names " + protocol + " twice. Name it once.");
    }
    if (!has_leader(protocol_named(protocol))) {
      plan.runs.push_back(planned(protocol, std::nullopt));
      continue;
    }
    for (const ReplicaId leader : leaders_of(placement, protocol, options.leaders)) {
      plan.runs.push_back(planned(protocol, leader));
    }
  }
  if (const auto passes = check_time_passes(options, placement, plan.runs); !passes) {
    return fail(passes.error());
  }
  return plan;
}

Result<WanResult> run_wan(const WanOptions& options, const WanPlan& plan, bool (*stop)()) {
  const Placement& placement = plan.places.placement;
  WanResult result{placement, {}, 0, false, {}};
  Watcher watcher(plan.runs.size() * options.repeat, stop);
  const double cpu = cpu_seconds();
  RunOptions run_options = options.run;
  run_options.faults = result.faults = plan.faults;
  if (!options.trace.empty()) run_options.trace = &result.trace;
  run_options.timeline = !options.series.empty() || !options.out.empty();
  const auto measure = options.mode == WanMode::kEmulated ? emulate : simulate;
  for (const WanPlan::Run& run : plan.runs) {
    WanRun all{{}, run.bound, run.read_bound, run.reads_by, {}};
    for (std::size_t repeat = 0; repeat < options.repeat && !result.interrupted; ++repeat) {
      watcher.begin(name_of(placement, run.protocol, run.leader) +
                    (options.repeat > 1 ? ", run " + std::to_string(repeat + 1) : ""));
      RunOptions once = run_options;
      once.seed += repeat;
      once.thrifty = once.thrifty && protocol_named(run.protocol).can_be_thrifty;
      Result<MeasuredRun> measured =
          measure(placement, protocol_named(run.protocol), run.leader, once, watcher.watch());
      if (!measured && all.repeats.empty() && result.runs.empty()) return fail(measured.error());
      if (!measured) {
        result.failure = name_of(placement, run.protocol, run.leader) +
                         " could not be measured: " + measured.error().message;
        break;
      }
      result.interrupted = measured->interrupted;
      all.repeats.push_back(*std::move(measured));
      watcher.ended();
    }
    if (!all.repeats.empty()) {
      all.measured = merged(all.repeats);
      result.runs.push_back(std::move(all));
    }
    if (result.interrupted || !result.failure.empty()) break;
  }
  result.cpu_s = cpu_seconds() - cpu;
  return result;
}

std::vector<std::string> broken_gates(const WanOptions& options, const WanResult& result) {
  std::vector<std::string> broken;
  const std::vector<Kind> kinds = kinds_of(options.run.mix);
  for (const Gate& gate : options.gates) {
    for (const WanRun& run : result.runs) {
      for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
        for (const Kind kind : kinds) look(gate, result.placement, run, site, kind, broken);
      }
    }
  }
  return broken;
}

}  // namespace epaxos::bench
