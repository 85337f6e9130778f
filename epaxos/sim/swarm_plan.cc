#include "epaxos/sim/swarm_plan.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace epaxos::sim {
namespace {

constexpr std::array<std::string_view, kFaultClasses> kNames{
    "loss",  "duplicate", "tail",      "reported-failed", "corrupt", "tiny-limits", "timeout",
    "haste", "crash",     "target",    "partition",       "clog",    "pause",       "speed",
    "clock", "disk-slow", "disk-full", "disk-error",      "forget",  "permanent",   "disk-rot"};

struct Field {
  std::string_view name;
  std::uint64_t SwarmPlan::*value;
};
constexpr std::array kFields{
    Field{"seed", &SwarmPlan::seed},
    Field{"replicas", &SwarmPlan::replicas},
    Field{"classes", &SwarmPlan::classes},
    Field{"faults", &SwarmPlan::faults},
    Field{"fault_mask", &SwarmPlan::fault_mask},
    Field{"pause_us", &SwarmPlan::pause_us},
    Field{"permanent", &SwarmPlan::permanent},
    Field{"return_at_end", &SwarmPlan::return_at_end},
    Field{"tail_us", &SwarmPlan::tail_us},
    Field{"turn_delay_us", &SwarmPlan::turn_delay_us},
    Field{"delay_us", &SwarmPlan::delay_us},
    Field{"jitter_us", &SwarmPlan::jitter_us},
    Field{"in_order", &SwarmPlan::in_order},
    Field{"loss_ppm", &SwarmPlan::loss_ppm},
    Field{"duplicate_ppm", &SwarmPlan::duplicate_ppm},
    Field{"duplicate_after_us", &SwarmPlan::duplicate_after_us},
    Field{"late_ppm", &SwarmPlan::late_ppm},
    Field{"late_us", &SwarmPlan::late_us},
    Field{"reported_failed_ppm", &SwarmPlan::reported_failed_ppm},
    Field{"corrupt_ppm", &SwarmPlan::corrupt_ppm},
    Field{"disk_latency_us", &SwarmPlan::disk_latency_us},
    Field{"disk_jitter_us", &SwarmPlan::disk_jitter_us},
    Field{"batch_commands_max", &SwarmPlan::batch_commands_max},
    Field{"batch_bytes_max", &SwarmPlan::batch_bytes_max},
    Field{"held_undecided_max", &SwarmPlan::held_undecided_max},
    Field{"in_flight_max", &SwarmPlan::in_flight_max},
    Field{"wait_for_fast_path", &SwarmPlan::wait_for_fast_path},
    Field{"thrifty", &SwarmPlan::thrifty},
    Field{"question_us", &SwarmPlan::question_us},
    Field{"suspicion_us", &SwarmPlan::suspicion_us},
    Field{"recovery_stagger_us", &SwarmPlan::recovery_stagger_us},
    Field{"recovery_timeout_us", &SwarmPlan::recovery_timeout_us},
    Field{"commands", &SwarmPlan::commands},
    Field{"clients", &SwarmPlan::clients},
    Field{"conflict_ppm", &SwarmPlan::conflict_ppm},
    Field{"think_us", &SwarmPlan::think_us},
    Field{"keys", &SwarmPlan::keys},
    Field{"rich", &SwarmPlan::rich},
    Field{"moves", &SwarmPlan::moves},
    Field{"timeout_us", &SwarmPlan::timeout_us},
    Field{"session_clients", &SwarmPlan::session_clients},
    Field{"session_patience_us", &SwarmPlan::session_patience_us},
    Field{"session_repeat_ppm", &SwarmPlan::session_repeat_ppm},
    Field{"session_commands", &SwarmPlan::session_commands},
    Field{"session_kept", &SwarmPlan::session_kept},
    Field{"session_gap", &SwarmPlan::session_gap},
    Field{"session_ttl_us", &SwarmPlan::session_ttl_us},
    Field{"image_log_bytes", &SwarmPlan::image_log_bytes},
    Field{"image_lag_instances", &SwarmPlan::image_lag_instances},
    Field{"gossip_us", &SwarmPlan::gossip_us},
    Field{"held_executed_max", &SwarmPlan::held_executed_max},
    Field{"image_turn_bytes", &SwarmPlan::image_turn_bytes},
    Field{"image_pause_us", &SwarmPlan::image_pause_us},
    Field{"machine_keeps", &SwarmPlan::machine_keeps},
    Field{"keep_us", &SwarmPlan::keep_us},
    Field{"keep_fail_ppm", &SwarmPlan::keep_fail_ppm},
    Field{"spares", &SwarmPlan::spares},
    Field{"member_change_ppm", &SwarmPlan::member_change_ppm},
    Field{"reads", &SwarmPlan::reads},
};
static_assert(sizeof(SwarmPlan) == kFields.size() * sizeof(std::uint64_t));

/// Elections of leaders that come sooner than that leave the turns of slow replicas no rest.
constexpr Tick kLeastElectionUs = 50'000;

std::uint64_t bit(FaultClass fault) {
  return std::uint64_t{1} << static_cast<unsigned>(fault);
}

/// Between least and most, small ones as often as large ones.
std::uint64_t scaled(Random& random, std::uint64_t least, std::uint64_t most) {
  std::uint64_t limit = least;
  while (limit < most && random.below(8) != 0) limit *= 2;
  return random.between(least, std::min(limit, most));
}

void draw_classes(Random& random, const SwarmLimits& limits, SwarmPlan& plan) {
  for (std::size_t fault = 0; fault <= kLastOfFirst; ++fault) {
    if (random.below(2) == 0) plan.classes |= std::uint64_t{1} << fault;
  }
  // Rare, as each of them changes all of a run.
  if (random.below(2) == 0) plan.remove(FaultClass::kTinyLimits);
  if (random.below(2) == 0) plan.remove(FaultClass::kTimeout);
  if (random.below(4) != 0) plan.remove(FaultClass::kForget);
  const std::uint64_t minority = (plan.replicas - 1) / 2;
  plan.permanent = minority == 0 ? 0 : random.between(1, minority);
  plan.return_at_end = random.below(2);
  if (!limits.permanent_faults || minority == 0) {
    plan.remove(FaultClass::kForget);
    plan.remove(FaultClass::kPermanent);
  }
}

void draw_links(Random& random, SwarmPlan& plan) {
  plan.delay_us = random.below(20'000);
  plan.jitter_us = random.below(2) == 0 ? 100 : random.below(20'000);
  plan.in_order = random.below(4) == 0 ? 1 : 0;
  plan.loss_ppm = random.below(300'000);
  plan.duplicate_ppm = random.below(500'000);
  plan.duplicate_after_us = scaled(random, kSecond, 600 * kSecond);
  plan.late_ppm = 10'000;
  plan.late_us = random.below(60 * kSecond);
  plan.reported_failed_ppm = random.below(50'000);
  plan.corrupt_ppm = random.below(50'000);
}

void draw_limits(Random& random, SwarmPlan& plan) {
  plan.batch_commands_max = random.below(2) == 0 ? 1 : 16;
  plan.wait_for_fast_path = random.below(4) == 0 ? 1 : 0;
  const std::uint64_t batch_bytes = random.between(64, 512);
  const std::uint64_t held = random.between(8, 64);
  const std::uint64_t in_flight = random.between(1, 8);
  plan.question_us = scaled(random, 5'000, 200'000);
  plan.suspicion_us = scaled(random, 1'000, 300'000);
  plan.recovery_stagger_us = random.below(2) == 0 ? 0 : scaled(random, 1'000, 200'000);
  plan.recovery_timeout_us = scaled(random, 10'000, 500'000);
  if (!plan.has(FaultClass::kTinyLimits)) return;
  if (random.below(2) == 0) plan.batch_bytes_max = batch_bytes;
  if (random.below(2) == 0) plan.held_undecided_max = held;
  if (random.below(2) == 0) plan.in_flight_max = in_flight;
}

void draw_load(Random& random, Profile profile, SwarmPlan& plan) {
  plan.commands = 20 + random.below(120);
  if (profile == Profile::kNightly) plan.commands = scaled(random, 50, 3'000);
  plan.clients = 1 + random.below(24);
  plan.conflict_ppm = std::array<std::uint64_t, 4>{0, 20'000, 300'000, 1'000'000}[random.below(4)];
  plan.keys = std::array<std::uint64_t, 4>{0, 4, 32, 100'000}[random.below(4)];
  plan.think_us = random.below(100'000);
  plan.rich = random.below(2);
  plan.moves = random.below(2);
  plan.timeout_us = scaled(random, 50'000, 5 * kSecond);
}

/// A quarter of the runs has sessions. From a stream of its own: all others stay as they are.
void draw_sessions(Random random, SwarmPlan& plan) {
  if (random.below(4) != 0 || plan.calm()) return;
  plan.session_clients = random.between(1, 4);
  plan.session_patience_us = scaled(random, 10'000, 2 * kSecond);
  plan.session_repeat_ppm = std::array<std::uint64_t, 3>{0, 20'000, 300'000}[random.below(3)];
  plan.session_commands = scaled(random, 4, 256);
  plan.session_kept = random.below(2) == 0 ? 0 : random.below(8);
  plan.session_gap = std::array<std::uint64_t, 4>{0, 0, 3, 1'500}[random.below(4)];
  const Tick ttl = scaled(random, kSecond, 20 * kSecond);
  // Replicas take care of sessions by commands of their own, and who comes back with an old disk
  // must hear before it proposes (decision record 13).
  const bool expire = random.below(2) == 0 && !plan.has(FaultClass::kForget);
  if (expire) plan.session_ttl_us = ttl;
}

void draw_rot(Random random, const SwarmLimits& limits, SwarmPlan& plan) {
  const bool possible = limits.permanent_faults && plan.permanent > 0 && !plan.calm();
  if (possible && random.below(8) == 0) plan.classes |= bit(FaultClass::kDiskRot);
}

/// Half of the runs make images and drop what all have executed all the time.
void draw_images(Random random, const SwarmLimits& limits, SwarmPlan& plan) {
  if (random.below(2) != 0 && !limits.always_images) return;
  plan.image_log_bytes = scaled(random, 512, 64 * 1024);
  plan.image_lag_instances = scaled(random, 4, 256);
  plan.gossip_us = scaled(random, 5'000, 200'000);
  if (random.below(2) == 0) plan.held_executed_max = scaled(random, 1, 256);
  if (random.below(2) == 0) plan.image_turn_bytes = scaled(random, 16, 4'096);
  if (random.below(2) == 0) plan.image_pause_us = scaled(random, 100, 50'000);
  // An image that takes many turns takes them one after the other, not all at once.
  constexpr Tick kLeastPauseUs = 200;
  if (plan.image_turn_bytes > 0) plan.image_pause_us = std::max(plan.image_pause_us, kLeastPauseUs);
}

/// In a third of the runs with images the state machines keep themselves. Stream and third are
/// those that leave the seeds in docs/testing.md as they were.
void draw_keeping(Random random, SwarmPlan& plan) {
  if (random.below(3) != 1 || plan.image_log_bytes == 0) return;
  plan.machine_keeps = 1;
  plan.keep_us = random.below(4) == 0 ? 0 : scaled(random, 100, 2 * kSecond);
  if (random.below(4) == 0 && !plan.calm()) plan.keep_fail_ppm = 200'000;
}

/// In half of the runs of a protocol that can do it the members change. Nobody is gone for good
/// then: whoever stays away may be one of few that are left.
void draw_members(Random random, const SwarmLimits& limits, SwarmPlan& plan) {
  if (!limits.changes_members || plan.calm() || plan.replicas == 1 || random.below(2) != 0) return;
  plan.spares = random.below(plan.replicas);
  plan.member_change_ppm = std::array<std::uint64_t, 3>{100'000, 300'000, 900'000}[random.below(3)];
  for (const FaultClass lasting :
       {FaultClass::kForget, FaultClass::kPermanent, FaultClass::kDiskRot}) {
    plan.remove(lasting);
  }
  plan.permanent = 0;
}

/// In a third of the runs each; from a stream of its own, as above. What shows a read that is too
/// old is a command that conflicts with it, and what makes one are replicas that stand still, or
/// hear nobody, while others go on.
void draw_reads(Random random, const SwarmLimits& limits, SwarmPlan& plan) {
  const std::uint64_t reads = random.below(static_cast<std::uint64_t>(Reads::kLease) + 1);
  const bool sharpened = random.below(2) == 0;
  if (!limits.reads) return;
  plan.reads = reads;
  if (reads == 0 || plan.calm() || !sharpened) return;
  plan.classes |= bit(FaultClass::kPause) | bit(FaultClass::kPartition);
  plan.conflict_ppm = std::max<std::uint64_t>(plan.conflict_ppm, 700'000);
  plan.faults = std::max<std::uint64_t>(plan.faults, 24);
  plan.clients = std::max<std::uint64_t>(plan.clients, 12);
  plan.commands = std::max<std::uint64_t>(plan.commands, 240);
  plan.think_us = std::min(plan.faults * plan.pause_us * plan.clients / plan.commands, kSecond);
}

/// A world in which nothing goes wrong and nothing is slow.
void calm_down(SwarmPlan& plan) {
  plan.classes = 0;
  plan.faults = 0;
  plan.permanent = 0;
  plan.delay_us = plan.delay_us % 5'000;
  plan.jitter_us = plan.jitter_us % 1'000;
  plan.disk_latency_us = plan.disk_latency_us % 1'000;
  plan.disk_jitter_us = 50;
  plan.turn_delay_us = plan.turn_delay_us % 1'000;
}

}  // namespace

std::string_view to_string(FaultClass fault) {
  return kNames[static_cast<std::size_t>(fault)];
}

SwarmPlan draw_plan(std::uint64_t seed, const SwarmLimits& limits) {
  Random random = stream(seed, Purpose::kConfiguration, 0);
  constexpr std::array<std::uint64_t, 12> kSizes{3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 4, 1};
  SwarmPlan plan;
  plan.seed = seed;
  plan.replicas = kSizes[random.below(kSizes.size())];
  if (limits.replicas > 0) plan.replicas = static_cast<std::uint64_t>(limits.replicas);
  draw_classes(random, limits, plan);
  plan.turn_delay_us = std::array<std::uint64_t, 5>{0, 20, 20, 500, 5'000}[random.below(5)];
  draw_links(random, plan);
  plan.disk_latency_us = random.below(5'000);
  plan.disk_jitter_us = random.below(2) == 0 ? 50 : random.below(50'000);
  draw_limits(random, plan);
  draw_load(random, limits.profile, plan);
  plan.faults = random.below(64);
  plan.fault_mask = ~std::uint64_t{0};
  plan.pause_us = random.below(limits.profile == Profile::kSmoke ? 200'000 : kSecond);
  // In half of the runs the load lasts as long as the faults do.
  const std::uint64_t lasting = plan.faults * plan.pause_us * plan.clients / plan.commands;
  if (random.below(2) == 0) plan.think_us = std::min(lasting, 10 * kSecond);
  plan.tail_us = random.below(8) == 0 ? 30 * kSecond : 0;
  if (random.below(20) == 0) calm_down(plan);
  draw_sessions(stream(seed, Purpose::kConfiguration, 1), plan);
  draw_rot(stream(seed, Purpose::kConfiguration, 2), limits, plan);
  draw_images(stream(seed, Purpose::kConfiguration, 3), limits, plan);
  draw_keeping(stream(seed, Purpose::kConfiguration, 5), plan);
  draw_members(stream(seed, Purpose::kConfiguration, 7), limits, plan);
  draw_reads(stream(seed, Purpose::kConfiguration, 6), limits, plan);
  plan.thrifty = stream(seed, Purpose::kConfiguration, 8).below(4) == 0 ? 1 : 0;
  return plan;
}

ClusterConfig SwarmPlan::cluster() const {
  const auto share = [this](FaultClass fault, std::uint64_t ppm) {
    return has(fault) ? static_cast<std::uint32_t>(ppm) : 0;
  };
  ClusterConfig config;
  config.replica_count = static_cast<int>(replicas);
  config.seed = seed;
  config.turn_delay_us = turn_delay_us;
  config.links.delay_us = delay_us;
  config.links.jitter_us = jitter_us;
  config.links.in_order = in_order != 0;
  config.links.loss_ppm = share(FaultClass::kLoss, loss_ppm);
  config.links.duplicate_ppm = share(FaultClass::kDuplicate, duplicate_ppm);
  config.links.duplicate_after_us = duplicate_after_us;
  config.links.tail_ppm = share(FaultClass::kTail, late_ppm);
  config.links.tail_us = late_us;
  config.links.reported_failed_ppm = share(FaultClass::kReportedFailed, reported_failed_ppm);
  config.links.corrupt_ppm = share(FaultClass::kCorrupt, corrupt_ppm);
  config.session_ttl_us = session_ttl_us;
  config.image_log_bytes = image_log_bytes;
  config.image_turn_bytes = image_turn_bytes;
  config.image_pause_us = image_pause_us;
  config.machine_keeps = machine_keeps != 0;
  config.machine_storages = {keep_us, keep_fail_ppm};
  config.pauses_in_turns = reads > 0;
  config.core.reads = static_cast<Reads>(reads);
  if (image_lag_instances > 0) config.core.image_lag_instances = image_lag_instances;
  if (gossip_us > 0) config.core.gossip_us = gossip_us;
  if (held_executed_max > 0) config.core.held_executed_max = held_executed_max;
  config.disks.latency_us = disk_latency_us;
  config.disks.jitter_us = disk_jitter_us;
  for (std::uint64_t i = 0; i < std::min(spares, replicas - 1); ++i) {
    config.core.spares.add(replica_at(static_cast<int>(replicas - 1 - i)));
  }
  config.core.batch_commands_max = batch_commands_max;
  config.core.wait_for_fast_path = wait_for_fast_path != 0;
  config.core.thrifty = thrifty != 0;
  if (has(FaultClass::kHaste)) {
    if (question_us > 0) config.core.question_us = question_us;
    if (suspicion_us > 0) {
      config.core.suspicion_us = suspicion_us;
      // A leader is given up as soon as an owner is, but it must have had the time to say a word.
      config.core.election_us = std::max(suspicion_us, kLeastElectionUs);
      config.core.heartbeat_us = config.core.election_us / 5;
    }
    config.core.recovery_stagger_us = recovery_stagger_us;
    if (recovery_timeout_us > 0) config.core.recovery_timeout_us = recovery_timeout_us;
  }
  if (has(FaultClass::kTinyLimits)) {
    if (batch_bytes_max > 0) config.core.batch_bytes_max = batch_bytes_max;
    if (held_undecided_max > 0) config.core.held_undecided_max = held_undecided_max;
    if (in_flight_max > 0) config.core.in_flight_max = in_flight_max;
  }
  return config;
}

LoadOptions SwarmPlan::load() const {
  LoadOptions options;
  options.commands = static_cast<int>(commands);
  options.clients = static_cast<int>(clients);
  options.conflict_ppm = static_cast<std::uint32_t>(conflict_ppm);
  options.think_us = think_us;
  options.seed = seed;
  options.keys = keys;
  options.rich = rich != 0;
  options.moves = moves != 0;
  options.timeout_us = has(FaultClass::kTimeout) ? timeout_us : 0;
  options.sessions.clients_each = session_clients;
  if (session_patience_us > 0) options.sessions.patience_us = session_patience_us;
  options.sessions.timeout_us = options.timeout_us;
  options.sessions.repeat_ppm = static_cast<std::uint32_t>(session_repeat_ppm);
  options.sessions.commands_max = session_commands;
  options.sessions.kept_numbers = session_kept;
  options.sessions.gap_max = session_gap;
  options.sessions.ttl_us = session_ttl_us;
  return options;
}

// --- As text -----------------------------------------------------------------------------------

namespace {

std::string classes_text(std::uint64_t classes) {
  std::string text;
  for (std::size_t fault = 0; fault < kFaultClasses; ++fault) {
    if ((classes >> fault & 1) == 0) continue;
    if (!text.empty()) text += "+";
    text += kNames[fault];
  }
  return text.empty() ? "none" : text;
}

bool read_classes(std::string_view text, std::uint64_t& classes) {
  classes = 0;
  if (text == "none") return true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('+'), text.size());
    bool known = false;
    for (std::size_t fault = 0; fault < kFaultClasses; ++fault) {
      if (kNames[fault] != text.substr(0, end)) continue;
      classes |= bit(static_cast<FaultClass>(fault));
      known = true;
    }
    if (!known) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

bool read_field(std::string_view word, SwarmPlan& plan) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view value = word.substr(equals + 1);
  for (const Field& field : kFields) {
    if (field.name != word.substr(0, equals)) continue;
    if (field.name == "classes") return read_classes(value, plan.classes);
    std::uint64_t& number = plan.*field.value;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    return error == std::errc() && end == value.data() + value.size();
  }
  return false;
}

}  // namespace

std::string to_text(const SwarmPlan& plan) {
  const SwarmPlan defaults;
  std::string text;
  for (const Field& field : kFields) {
    const bool usual = plan.*field.value == defaults.*field.value;
    if (usual && field.name != "seed") continue;
    if (!text.empty()) text += ' ';
    text += std::string(field.name) + "=";
    text +=
        field.name == "classes" ? classes_text(plan.classes) : std::to_string(plan.*field.value);
  }
  return text;
}

Result<SwarmPlan> plan_from(std::string_view text) {
  SwarmPlan plan;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!word.empty() && !read_field(word, plan)) {
      return fail(ErrorCode::kInvalidArgument,
                  "A plan has no \"" + std::string(word) + "\"; write name=number.");
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (plan.replicas < 1 || plan.replicas > kReplicasMax || plan.clients < 1) {
    return fail(ErrorCode::kInvalidArgument, "A plan has 1 to 9 replicas and at least one client.");
  }
  if (plan.reads > static_cast<std::uint64_t>(Reads::kLease)) {
    return fail(ErrorCode::kInvalidArgument,
                "A plan has reads=0 (by the log), 1 (by the leader's index) or 2 (by its lease).");
  }
  return plan;
}

}  // namespace epaxos::sim
