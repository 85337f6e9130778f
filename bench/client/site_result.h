#pragma once

// What the clients of one site of a wide-area experiment saw, as a file: everything that it takes
// to merge it with those of the other sites. Latencies are histograms, so that they are added and
// never averaged.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/client/offered_load.h"
#include "bench/report/latency.h"
#include "deps/types/histogram.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::bench {

/// What must be the same at all sites of an experiment.
struct SiteConditions {
  std::string version;  ///< Of the program that measured.
  std::string cluster;
  std::string cluster_id;
  std::vector<std::string> replica_sites;  ///< As the cluster file names them; some may be empty.
  std::string protocol;
  std::string durability;
  std::size_t batch = 1;      ///< Commands of one instance or entry at most.
  bool thrifty = false;       ///< Of EPaxos, by the cluster file.
  Reads reads = Reads::kLog;  ///< How the protocol serves them, by the cluster file.
  OfferedLoad load;           ///< What is wished for of reads is left out.
  bool increments = false;
  bool sessions = false;
  std::size_t own_keys = 0;
  std::string hot_key;
  Tick timeout_us = 0;
  Tick warm_up_us = 0;
  Tick measured_us = 0;
  Tick ramp_down_us = 0;
  // Of an emulated network, as the cluster file has it; empty and 0 on a real one.
  std::vector<std::vector<Tick>> emulated_one_way_us;
  Tick emulated_jitter_us = 0;
  double emulated_loss = 0;
  std::uint64_t emulated_bytes_per_second = 0;
};
/// A member a field, and one for each of the load.
Json to_json(const SiteConditions& conditions);

/// Commands that ended in one second of the measured time, whenever they were sent.
struct SiteSecond {
  FineHistogram execution_us;
  std::uint64_t failed = 0;
};

/// What a replica has decided of its own commands.
struct PathCounts {
  std::uint64_t fast = 0;
  std::uint64_t slow = 0;
};

inline constexpr unsigned kSiteRunsMax = 100;

/// Counts and histograms are of commands that were due in the measured time. Every one of these was
/// sent and is executed, rejected, unknown or unfinished; or there were too many under way.
struct SiteResult {
  SiteConditions conditions;
  std::string site;
  unsigned run = 1;                 ///< Of the repeats of one experiment, 1 .. kSiteRunsMax.
  ReplicaId replica;                ///< Whom the clients asked.
  std::optional<ReplicaId> leader;  ///< When the measured time began, if the protocol has one.
  bool leader_changed = false;      ///< Meanwhile.
  /// From here to each replica, without load; none: it did not answer.
  std::vector<std::optional<Tick>> round_trip_us;
  Tick measured_from_unix_us = 0;
  Tick measured_for_us = 0;  ///< Less than was wanted when it was interrupted.
  std::uint64_t sent = 0;
  std::uint64_t rejected = 0;
  std::uint64_t unknown = 0;
  std::uint64_t unfinished = 0;  ///< It was interrupted before they ended.
  std::uint64_t unsent = 0;      ///< Of an open loop: too many had no answer.
  Latency reads;
  Latency writes;
  FineHistogram late_us;  ///< How long after its time each was sent. Part of the latencies.
  std::optional<PathCounts> paths;  ///< Of the replica, in the measured time, if it tells them.
  std::vector<SiteSecond> seconds;
  std::string last_failure;  ///< The sentence of the last command that was not executed.
  double cpu_s = 0;          ///< Of the program.
  bool interrupted = false;

  [[nodiscard]] std::uint64_t executed() const {
    return reads.execution_us.count() + writes.execution_us.count();
  }
  [[nodiscard]] std::uint64_t failed() const { return rejected + unknown + unfinished; }
};

/// The file.
std::string to_json_text(const SiteResult& result);
/// Errors: malformed - a sentence to follow the name of the file, which says what is wrong where.
Result<SiteResult> read_site_result(std::string_view text);

/// For people.
std::string site_text(const SiteResult& result);

/// What is read of a replica's status.
struct SiteStatus {
  std::string protocol;
  std::string durability;
  bool has_leader = false;
  std::optional<ReplicaId> leader;
  std::uint64_t incarnation = 0;    ///< Another one: it was started again.
  std::optional<PathCounts> paths;  ///< None: the protocol has no two paths.
};
/// None: it is no status.
std::optional<SiteStatus> read_site_status(std::string_view json);

}  // namespace epaxos::bench
