#pragma once

// A workload of the demo in which one replica is killed with -9 and started again, while the
// clients count: how long the others' clients waited, and whether everything that was acknowledged
// is there.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/client/load.h"
#include "bench/report/latency.h"
#include "deps/types/result.h"

namespace epaxos::bench {

/// Moments of the steady clock of this machine, which the clients' slices tell too.
struct KillMoments {
  Tick begun = 0;  ///< About when the measured time begins.
  std::optional<Tick> killed;
  std::optional<Tick> started;    ///< Its process.
  std::optional<Tick> answered;   ///< Its status, for the first time after that.
  std::optional<Tick> votes;      ///< Never: it may have forgotten what it promised.
  std::optional<Tick> connected;  ///< To all others, and they to it.
};

struct KillRun {
  int conflicts = 0;  ///< Percent.
  int victim = 0;
  KillMoments moments;
  std::vector<LoadResult> loads;  ///< One a replica, as its client saw it.
};

/// A part of a run, as the clients saw it.
struct KillPhase {
  std::string name;
  double from_s = 0;  ///< Since the measured time began.
  double to_s = 0;
  double others_per_second = 0;  ///< Executed commands of the other replicas' clients.
  double victim_per_second = 0;
  // Of any other replica's client, if it ended in this part:
  Tick longest_gap_us = 0;  ///< The longest time without an executed answer.
  Tick slowest_us = 0;      ///< The longest time from a command to its answer.
};
/// Before, while it was gone, and after; fewer if it was cut short.
std::vector<KillPhase> phases_of(const KillRun& run);
/// Of any client of the others, in the whole run.
Tick longest_gap_of_others(const KillRun& run);

/// What the clients of a run were told, beside what the replicas hold in the end.
struct KillCount {
  std::vector<std::uint64_t> own;  ///< Sums of the own counters, one a client.
  std::uint64_t hot = 0;           ///< The counter that all share.
};
/// Whether the counters hold what was acknowledged and at most what is unknown on top.
/// Errors: corrupted - the sentence names the client and the numbers.
Result<void> nothing_lost(const KillRun& run, const KillCount& count);

/// The table for people, lines of CSV, and JSON.
std::string kills_table(const std::vector<KillRun>& runs);
std::string kills_csv(const std::vector<KillRun>& runs);
std::vector<Json> kills_json(const std::vector<KillRun>& runs);

}  // namespace epaxos::bench
