#pragma once

// The demo: replicas and clients as processes of this machine, one workload after the other, what
// each replica did, and what the others' clients notice when one is killed. Every figure is
// measured by the clients or read from the replicas' counters.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/client/load.h"
#include "bench/demo/kill.h"
#include "bench/demo/replicas.h"
#include "bench/report/latency.h"
#include "epaxos/storage/store.h"

namespace epaxos::bench {

struct DemoOptions {
  int replicas = 5;
  double seconds = 6;  ///< A workload.
  std::size_t in_flight = 16;
  std::size_t value_bytes = 64;
  std::vector<int> conflicts{0, 2, 100};
  std::vector<int> kills{0, 2};  ///< Conflicts of the workloads in which a replica is killed.
  double kill_seconds = 9;       ///< Each of these.
  Durability durability = Durability::kSync;
  std::string out = "out/demo";
};

/// What one replica did under one workload; `replica` kAll: all of them together.
struct DemoRow {
  static constexpr int kAll = -1;

  int conflicts = 0;  ///< Percent.
  int replica = kAll;
  LoadResult load;       ///< As its client saw it.
  ReplicaCounts counts;  ///< As it counted itself, over the whole workload with its warm-up.
};

struct DemoResult {
  DemoOptions options;
  std::vector<DemoRow> rows;
  std::vector<KillRun> kills;
  bool counted = false;              ///< The counters hold what they should.
  std::vector<std::string> digests;  ///< One a replica; empty when they were not compared.
  bool interrupted = false;          ///< The last workload was cut short.
  std::string trouble;               ///< What went wrong, as a sentence; empty when nothing did.
};

/// The table for people, the same as lines of CSV, and everything as JSON.
std::string demo_table(const DemoResult& result);
std::string demo_csv(const DemoResult& result);  // Without the kills, which have kills_csv().
std::string demo_json(const DemoResult& result);

/// Runs it. Replicas and clients have ended when it returns.
DemoResult run_demo(const DemoOptions& options);

}  // namespace epaxos::bench
