#pragma once

// All that one run of the swarm is, as numbers: they are drawn from a seed, can be written down as
// a line of text, and can be made smaller one by one while the rest of the run stays as it is.
// Source: reliability.md 3.2, 3.4.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "deps/types/result.h"
#include "epaxos/sim/cluster.h"
#include "epaxos/sim/load.h"

namespace epaxos::sim {

/// A kind of fault that a run has or has not.
enum class FaultClass : std::uint8_t {
  // These are always there, once a run has them.
  kLoss,            ///< Bundles are lost.
  kDuplicate,       ///< Bundles arrive twice, up to ten minutes later.
  kTail,            ///< Some bundles are late by up to a minute.
  kReportedFailed,  ///< Senders are told that a bundle was dropped; half of them arrive.
  kCorrupt,         ///< Bundles arrive with a wrong bit.
  kTinyLimits,      ///< Batches, what is in flight and what is held are bounded by a few.
  kTimeout,         ///< Clients give up.
  kHaste,           ///< Replicas suspect and recover each other at once.
  // These happen at times.
  kCrash,      ///< A replica stops, or all do.
  kTarget,     ///< A replica stops right after some effect or message.
  kPartition,  ///< Links are cut: halves, one, ring, bridge, one direction.
  kClog,       ///< Links let nothing through for a while, and then everything at once.
  kPause,      ///< A replica stands still for up to a minute.
  kSpeed,      ///< A replica is slow.
  kClock,      ///< The timers of a replica are early or late.
  kDiskSlow,   ///< A disk is slow or stalls.
  kDiskFull,   ///< A disk is full for a while.
  kDiskError,  ///< A write fails.
  kForget,     ///< A disk is wiped or set back.
  kPermanent,  ///< A replica is gone for good.
  kDiskRot,    ///< A disk gives back other records than were written; its replica is gone for good.
  kCount,
};
inline constexpr std::size_t kFaultClasses = static_cast<std::size_t>(FaultClass::kCount);
inline constexpr auto kFirstTimedFault = static_cast<std::size_t>(FaultClass::kCrash);
/// The kinds after this one have streams of their own, so that runs without them stay as they were.
inline constexpr auto kLastOfFirst = static_cast<std::size_t>(FaultClass::kPermanent);

/// "loss", "duplicate", ...
std::string_view to_string(FaultClass fault);

/// Which kinds of runs are drawn.
enum class Profile {
  kSmoke,    ///< Up to 140 commands: some milliseconds.
  kNightly,  ///< Up to 3,000 commands, and longer faults.
};

/// Times in microseconds, shares in millionths. 0 is "none" unless it says otherwise.
struct SwarmPlan {
  std::uint64_t seed = 1;
  std::uint64_t replicas = 3;
  std::uint64_t classes = 0;        ///< One bit a FaultClass.
  std::uint64_t faults = 0;         ///< Moments at which something may happen.
  std::uint64_t fault_mask = 0;     ///< Bit i mod 64: what is due at moment i happens.
  std::uint64_t pause_us = 0;       ///< At most, between two moments.
  std::uint64_t permanent = 0;      ///< At most so many are gone for good or forget.
  std::uint64_t return_at_end = 0;  ///< 1: who was gone comes back when the others are done.
  std::uint64_t tail_us = 0;        ///< So long everybody is watched after all is well.

  std::uint64_t turn_delay_us = 20;
  std::uint64_t delay_us = 500;
  std::uint64_t jitter_us = 100;
  std::uint64_t in_order = 0;
  std::uint64_t loss_ppm = 0;
  std::uint64_t duplicate_ppm = 0;
  std::uint64_t duplicate_after_us = 0;
  std::uint64_t late_ppm = 0;
  std::uint64_t late_us = 0;
  std::uint64_t reported_failed_ppm = 0;
  std::uint64_t corrupt_ppm = 0;
  std::uint64_t disk_latency_us = 200;
  std::uint64_t disk_jitter_us = 50;

  std::uint64_t batch_commands_max = 1;
  std::uint64_t batch_bytes_max = 0;  ///< These three: 0 is the default.
  std::uint64_t held_undecided_max = 0;
  std::uint64_t in_flight_max = 0;
  std::uint64_t wait_for_fast_path = 0;
  std::uint64_t thrifty = 0;
  std::uint64_t question_us = 0;  ///< These: CoreConfig's, if there is haste; 0: default.
  std::uint64_t suspicion_us = 0;
  std::uint64_t recovery_stagger_us = 0;
  std::uint64_t recovery_timeout_us = 0;

  std::uint64_t commands = 100;
  std::uint64_t clients = 4;
  std::uint64_t conflict_ppm = 0;
  std::uint64_t think_us = 0;
  std::uint64_t keys = 0;
  std::uint64_t rich = 0;
  std::uint64_t moves = 0;
  std::uint64_t timeout_us = 0;

  std::uint64_t session_clients = 0;  ///< That share a session; 0: no client has one.
  std::uint64_t session_patience_us = 0;
  std::uint64_t session_repeat_ppm = 0;
  std::uint64_t session_commands = 0;  ///< 0: no session is left.
  std::uint64_t session_kept = 0;
  std::uint64_t session_gap = 0;
  std::uint64_t session_ttl_us = 0;  ///< 0: as usual.

  std::uint64_t image_log_bytes = 0;  ///< These three: 0 is the default.
  std::uint64_t image_lag_instances = 0;
  std::uint64_t gossip_us = 0;
  std::uint64_t held_executed_max = 0;
  std::uint64_t image_turn_bytes = 0;
  std::uint64_t image_pause_us = 0;

  std::uint64_t machine_keeps = 0;  ///< 1: state machines have storages of their own.
  std::uint64_t keep_us = 0;
  std::uint64_t keep_fail_ppm = 0;

  std::uint64_t spares = 0;             ///< The last so many begin outside of the members.
  std::uint64_t member_change_ppm = 0;  ///< Of the moments, at which a change is asked for.
  std::uint64_t reads = 0;  ///< A Reads; with others than kLog, pauses begin within turns too.

  friend bool operator==(const SwarmPlan&, const SwarmPlan&) = default;

  [[nodiscard]] bool has(FaultClass fault) const {
    return (classes >> static_cast<unsigned>(fault) & 1) != 0;
  }
  void remove(FaultClass fault) { classes &= ~(std::uint64_t{1} << static_cast<unsigned>(fault)); }
  /// No faults at all: everything must succeed.
  [[nodiscard]] bool calm() const { return classes == 0; }

  [[nodiscard]] ClusterConfig cluster() const;
  [[nodiscard]] LoadOptions load() const;
};

/// What may be drawn.
struct SwarmLimits {
  Profile profile = Profile::kSmoke;
  int replicas = 0;              ///< 0: drawn.
  bool permanent_faults = true;  ///< kPermanent, kForget and kDiskRot: only with recovery.
  bool always_images = false;    ///< Not in every second run only.
  bool changes_members = false;  ///< The protocol can.
  bool reads = false;  ///< The protocol serves reads without its log, in some of the ways.
};
SwarmPlan draw_plan(std::uint64_t seed, const SwarmLimits& limits);

/// "seed=7 replicas=3 classes=loss+crash ...": every number that is not the default.
std::string to_text(const SwarmPlan& plan);
/// Errors: invalid argument - names the word that it does not understand.
Result<SwarmPlan> plan_from(std::string_view text);

}  // namespace epaxos::sim
