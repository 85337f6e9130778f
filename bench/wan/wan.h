#pragma once

// `epaxos-bench wan`: protocols on a topology, each with the leaders that were asked for, and what
// was measured beside what is possible.

#include <optional>
#include <string>
#include <vector>

#include "bench/wan/bounds.h"
#include "bench/wan/gate.h"
#include "bench/wan/measured_run.h"
#include "bench/wan/places.h"

namespace epaxos::bench {

enum class WanMode {
  kSimulated,  ///< In virtual time, in this process.
  kEmulated,   ///< In real time, a process a replica.
  kMachines,   ///< On machines, each site by itself, and merged; see site_merge.h.
};
/// "simulated", "emulated", "machines".
std::string to_string(WanMode mode);

struct WanOptions {
  WanMode mode = WanMode::kSimulated;
  PlaceOptions places = {};
  std::vector<std::string> protocols = {"epaxos", "raft", "multipaxos"};
  std::vector<std::string> leaders = {"best"};  ///< "best", "worst", "all", or names of sites.
  RunOptions run = {};
  std::size_t repeat = 1;  ///< Runs of each, with seed, seed + 1, ...
  std::vector<std::string> faults = {};
  std::vector<Gate> gates = {};
  std::size_t batch = 1;  ///< Commands of an instance or entry at most; more on machines alone.
  std::string csv = {};
  std::string json = {};
  std::string series = {};
  std::string out = {};  ///< A directory for a report.
  std::string trace = {};
};

/// One protocol with one leader, and what the clients of each site could see at best.
struct WanRun {
  MeasuredRun measured;  ///< All repeats as one.
  Bounds bound;          ///< Of writes; of reads, where nothing is written.
  Bounds read_bound;
  Reads reads_by = Reads::kLog;
  std::vector<MeasuredRun> repeats = {};  ///< Each alone.

  [[nodiscard]] const Bounds& bound_of(Kind kind) const {
    return kind == Kind::kReads ? read_bound : bound;
  }
};

struct WanResult {
  Placement placement;
  std::vector<WanRun> runs;
  double cpu_s = 0;  ///< For all of them, of this process and those that it made.
  bool interrupted = false;
  std::string failure = {};        ///< A sentence: what ended it after the first measurement.
  Trace trace = {};                ///< When it was asked for.
  std::vector<Fault> faults = {};  ///< Those of the plan.
};

/// What is to be run, checked before anything starts.
struct WanPlan {
  Places places;
  struct Run {
    std::string protocol;
    std::optional<ReplicaId> leader;
    Bounds bound;
    Bounds read_bound;
    Reads reads_by = Reads::kLog;
  };
  std::vector<Run> runs;
  std::vector<Fault> faults;
};
/// Errors: invalid argument - a sentence that names the option and the remedy.
Result<WanPlan> plan(const WanOptions& options);

/// Runs it; the plan outlives the result. Ends early when `stop` says so; the last run then holds
/// what was measured until there. Errors: as simulate() and emulate(), if the first one fails.
Result<WanResult> run_wan(const WanOptions& options, const WanPlan& plan, bool (*stop)());

/// The bound of a protocol that can be measured. `leader`: if it has one.
Bounds bound_of(const Placement& placement, const std::string& protocol,
                std::optional<ReplicaId> leader);

/// The same for reads that are served like this.
Bounds read_bound_of(const Placement& placement, const std::string& protocol,
                     std::optional<ReplicaId> leader, Reads reads_by);

/// What is to be run of a protocol, and what its clients could see at best with this mix.
WanPlan::Run planned_run(const Placement& placement, const std::string& protocol,
                         std::optional<ReplicaId> leader, const CommandMix& mix, Reads reads_by);

/// Every site where a gate does not hold, a sentence each.
std::vector<std::string> broken_gates(const WanOptions& options, const WanResult& result);

/// "raft led from CA", "epaxos".
std::string name_of(const Placement& placement, const std::string& protocol,
                    std::optional<ReplicaId> leader);

}  // namespace epaxos::bench
