#pragma once

// One protocol on one placement, whether in virtual time or in real time: what is asked of the run,
// and what it measured.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/client/offered_load.h"
#include "bench/report/latency.h"
#include "bench/wan/faults.h"
#include "bench/wan/timeline.h"
#include "deps/types/histogram.h"
#include "epaxos/contract/core.h"
#include "epaxos/programs/trace.h"
#include "epaxos/storage/store.h"

namespace epaxos::bench {

/// What every link does beside taking the delay of the topology. Messages never overtake.
struct LinkTrouble {
  Tick jitter_us = 0;  ///< Up to so much more, evenly drawn.
  double loss = 0;     ///< Of messages, 0 .. 1: they and all behind them are late by kResentUs.
  std::uint64_t bytes_per_second = 0;  ///< 0: as many as come. Not in virtual time.

  static constexpr Tick kResentUs = 200'000;  ///< Until TCP sends again what was lost.

  [[nodiscard]] bool is_on() const { return jitter_us > 0 || loss > 0 || bytes_per_second > 0; }
};

/// Whose lives can be drawn.
inline constexpr std::size_t kTracedCommandsMax = 100'000;

struct RunOptions : OfferedLoad {
  Tick warm_up_us = 5 * kSecond;
  Tick measured_us = 60 * kSecond;
  std::uint64_t seed = 1;
  LinkTrouble links = {};
  std::vector<Fault> faults = {};  ///< In the order of their times; those of this placement.
  /// Only what ended before the first fault counts in the latencies, not in the timeline.
  bool latency_before_faults = false;
  bool timeline = false;  ///< Kept as soon as there are faults.
  /// Whether clients could tell the group from one machine is judged in the end. They increment
  /// counters instead of putting values, as the answers to these show the order. In virtual time.
  bool check_linearizability = false;
  /// Of EPaxos: one undecided instance a replica on a key that others contend for, as usual.
  bool limit_hot_keys = true;
  /// Where the lives of the first measured commands are drawn; null: nowhere.
  Trace* trace = nullptr;
  std::size_t traced_commands_max = 2000;
  bool thrifty = false;  ///< Of EPaxos: asks the nearest that can decide.
  Durability durability = Durability::kNone;
  std::string data = {};  ///< In real time: where a directory for the run is made; empty: system's.
};

/// What the clients of one site saw: of the commands that they sent in the measured time, all of
/// them and each kind apart.
struct SiteLatency : Latency {
  Latency reads;
  Latency writes;
  /// In real time: how long after its time each command left, which is the generator's doing. It is
  /// part of the latencies.
  FineHistogram late_us;
  std::uint64_t failed = 0;  ///< Rejected, or without a known outcome.
  std::uint64_t unsent = 0;  ///< Of an open loop: there were too many without an answer.
  /// Of the commands that their replica decided in the measured time; none: the protocol has no
  /// paths, or nothing was decided.
  std::optional<double> slow_share;

  /// Adds all but the share of slow paths, which is left alone.
  void merge(const SiteLatency& other) {
    Latency::merge(other);
    reads.merge(other.reads);
    writes.merge(other.writes);
    late_us.merge(other.late_us);
    failed += other.failed;
    unsent += other.unsent;
  }
  friend bool operator==(const SiteLatency&, const SiteLatency&) = default;
};

/// Which of the commands.
enum class Kind { kAll, kReads, kWrites };
/// "commands", "reads", "writes".
inline std::string to_string(Kind kind) {
  if (kind == Kind::kReads) return "reads";
  return kind == Kind::kWrites ? "writes" : "commands";
}
inline const Latency& latency_of(const SiteLatency& seen, Kind kind) {
  if (kind == Kind::kReads) return seen.reads;
  return kind == Kind::kWrites ? seen.writes : seen;
}
/// The kinds that are told apart: both where there are both, else all as one.
inline std::vector<Kind> kinds_of(const CommandMix& mix) {
  if (mix.has_reads() && mix.has_writes()) return {Kind::kReads, Kind::kWrites};
  return {Kind::kAll};
}

struct MeasuredRun {
  std::string protocol;
  std::optional<ReplicaId> leader;
  std::vector<SiteLatency> sites;
  std::uint64_t events = 0;      ///< In virtual time.
  std::uint64_t trace_hash = 0;  ///< Of all of them.
  /// Of the states of all replicas that live, once they had executed everything: they are equal.
  std::optional<std::uint64_t> digest;
  std::optional<Timeline> timeline;  ///< When it was asked for.
  /// So many commands were judged, warm-up and all, and are linearizable.
  std::optional<std::uint64_t> linearizable;
  bool interrupted = false;
  /// In real time: what happened to traced commands and is not in the trace, as there was no room.
  std::uint64_t untraced = 0;

  friend bool operator==(const MeasuredRun&, const MeasuredRun&) = default;
};

/// Called now and then with the time of the run that has passed, of so much; false: stop.
using Watch = std::function<bool(Tick passed_us, Tick of_us)>;

}  // namespace epaxos::bench
