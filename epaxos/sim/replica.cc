#include "epaxos/sim/replica.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"
#include "epaxos/contract/forwarding_core.h"
#include "epaxos/sim/watched_machine.h"
#include "epaxos/storage/memory_store.h"

namespace epaxos::sim {
namespace {

/// Shows proposals to the observers on their way into the core.
class WatchedCore final : public ForwardingCore {
 public:
  WatchedCore(std::unique_ptr<Core> core, ReplicaId self, const std::vector<Observer*>& observers)
      : ForwardingCore(std::move(core)), self_(self), observers_(observers) {}

  void propose(std::span<const Proposal> proposals, Effects& out) override {
    for (Observer* observer : observers_) {
      for (const Proposal& proposal : proposals) observer->on_proposed(self_, proposal);
    }
    ForwardingCore::propose(proposals, out);
  }

 private:
  const ReplicaId self_;
  const std::vector<Observer*>& observers_;
};

/// Calls `then` after every effect on the disk.
class LifeStore final : public VirtualStore {
 public:
  LifeStore(VirtualDisk& disk, const bool& dying, std::function<void()> then)
      : VirtualStore(disk), dying_(dying), then_(std::move(then)) {}

  void submit(const Effects& effects) override {
    if (dying_) return;
    VirtualStore::submit(effects);
    then_();
  }

 private:
  const bool& dying_;
  const std::function<void()> then_;
};

class LifeSink final : public runtime::PeerSink {
 public:
  explicit LifeSink(std::function<bool(ReplicaId, Bytes)> send) : send_(std::move(send)) {}
  bool send(ReplicaId to, Bytes bundle) override { return send_(to, bundle); }

 private:
  const std::function<bool(ReplicaId, Bytes)> send_;
};

constexpr Tick kMillion = 1'000'000;

/// Millionths of a true second that a drifting clock shows in one.
Tick rate_of(std::int64_t drift_ppm) {
  return static_cast<Tick>(static_cast<std::int64_t>(kMillion) + drift_ppm);
}

net::BundleIdentity identity_of(const ReplicaConfig& config, std::uint64_t incarnation) {
  net::BundleIdentity identity;
  identity.cluster.fill(std::byte{0x51});
  identity.self = config.self;
  identity.incarnation = incarnation;
  identity.configuration_hash = mix64(static_cast<std::uint64_t>(config.replica_count));
  return identity;
}

CoreConfig core_config(const ReplicaConfig& config, std::uint64_t life, bool voting) {
  CoreConfig core = config.core;
  core.self = config.self;
  core.replica_count = config.replica_count;
  core.seed = mix64(config.seed + config.self.value());
  core.life = life;
  core.voting = voting;
  return core;
}

}  // namespace

/// What a crash takes away.
struct VirtualReplica::Life {
  Life(VirtualReplica& replica, bool voting)
      : core(replica.world_.protocol.make_core(
                 core_config(replica.config_, replica.incarnation_, voting)),
             replica.config_.self, replica.world_.observers),
        machine(
            replica.world_.make_machine(),
            replica.config_.machine_keeps ? &replica.disk_.machine_storage() : nullptr,
            {.applied = [&replica](std::span<const Command> batch,
                                   const Replies& replies) { replica.on_applied(batch, replies); },
             .read = [&replica](std::span<const Command> batch,
                                const Replies& replies) { replica.on_read(batch, replies); },
             .imaged = [&replica] { return replica.on_imaged(); },
             .loaded = [&replica](std::uint64_t image) { replica.on_loaded(image); },
             .dying = [&replica] { return replica.dying_; },
             .keeping = [&replica] { replica.effect(CrashPoint::kSubmit); }}),
        store(store_of(replica)),
        sink([&replica](ReplicaId to, Bytes bundle) { return replica.on_send(to, bundle); }),
        host(replica.host_config(voting), core, *store, machine, sink) {}

  static std::unique_ptr<storage::Store> store_of(VirtualReplica& replica) {
    if (replica.config_.memory_only) return std::make_unique<storage::MemoryStore>();
    return std::make_unique<LifeStore>(replica.disk_, replica.dying_,
                                       [&replica] { replica.effect(CrashPoint::kSubmit); });
  }

  WatchedCore core;
  WatchedMachine machine;
  std::unique_ptr<storage::Store> store;
  LifeSink sink;
  runtime::Host host;
};

runtime::HostConfig VirtualReplica::host_config(bool voting) const {
  runtime::HostConfig host;
  host.identity = identity();
  host.replica_count = config_.replica_count;
  host.durability = config_.durability;
  if (config_.image_log_bytes > 0) host.image_log_bytes = config_.image_log_bytes;
  if (config_.image_turn_bytes > 0) host.image_turn_bytes = config_.image_turn_bytes;
  host.image_pause_us = config_.image_pause_us;
  if (!voting) {
    host.not_voting_reason =
        "this replica stopped without a warning and may have forgotten what it promised; "
        "use another one";
  }
  if (config_.session_ttl_us == 0) return host;
  host.session_ttl_us = config_.session_ttl_us;
  host.wall_clock_us = [this] {
    // All replicas were there some time before the world began, so that no clock is below 0.
    constexpr std::int64_t kBeginUs = 1'000'000'000'000;
    return static_cast<std::uint64_t>(kBeginUs + static_cast<std::int64_t>(world_.events.now()) +
                                      config_.wall_clock_skew_us);
  };
  return host;
}

VirtualReplica::VirtualReplica(const ReplicaConfig& config, const World& world)
    : config_(config),
      world_(world),
      disk_(config.self, config.seed, world.events),
      turn_delays_(stream(config.seed, Purpose::kSchedule, 1u + config.self.value())),
      turn_delay_us_(config.turn_delay_us) {
}

VirtualReplica::~VirtualReplica() = default;

Result<void> VirtualReplica::start() {
  check(!alive(), "a replica was started twice");
  ++incarnation_;
  disk_.open();
  const bool voting = config_.durability == Durability::kSync || !crashed_;
  life_ = std::make_unique<Life>(*this, voting);
  for (Observer* observer : world_.observers) observer->on_started(config_.self);
  life_->machine.begin();
  const Result<void> started = life_->host.start(local_now());
  if (started) {
    after_turn();
  } else {
    crash();
  }
  return started;
}

void VirtualReplica::crash() {
  check(alive(), "a replica was stopped twice");
  add_counters(world_.totals);
  life_.reset();
  disk_.crash();
  // Without a disk all is lost.
  if (config_.durability == Durability::kNone) disk_.wipe();
  crashed_ = true;
  dying_ = false;
  crash_in_ = 0;
  inbox_size_ = 0;
  wake_time_ = kNever;
  world_.events.set_turn(config_.self, kNever);
  paused_until_ = 0;
  begun_turn_.reset();
  for (Observer* observer : world_.observers) observer->on_stopped(config_.self);
  for (auto& [number, call] : std::exchange(calls_, {})) {
    world_.later(world_.events.now(), [done = std::move(call.done)] {
      done({.kind = OutcomeKind::kUnknown,
            .reply = {},
            .code = ErrorCode::kUnavailable,
            .reason = "the replica stopped before it answered"});
    });
  }
}

void VirtualReplica::crash_after(CrashPoint point, std::uint64_t count) {
  crash_at_frame_ = false;
  crash_point_ = point;
  crash_in_ = count;
}

void VirtualReplica::crash_after_frame(net::FrameType type, std::uint64_t count) {
  crash_at_frame_ = true;
  crash_frame_ = type;
  crash_in_ = count;
}

void VirtualReplica::effect(CrashPoint point) {
  if (crash_in_ == 0 || crash_at_frame_ || point != crash_point_ || dying_) return;
  if (--crash_in_ == 0) dying_ = true;
}

bool VirtualReplica::has_crash_frame(ReplicaId to, Bytes bundle) const {
  net::BundleIdentity receiver = identity();
  receiver.self = to;
  net::BundleReader reader(receiver, config_.replica_count);
  if (reader.open(bundle)) return false;
  net::Frame frame;
  while (reader.next(frame)) {
    if (frame.type == crash_frame_) return true;
  }
  return false;
}

bool VirtualReplica::on_send(ReplicaId to, Bytes bundle) {
  if (dying_) return true;
  for (Observer* observer : world_.observers) observer->on_sent(config_.self, to, bundle, disk_);
  const std::uint64_t lost = world_.network.totals().lost;
  const bool taken = world_.network.send(config_.self, to, bundle);
  if (world_.network.totals().lost > lost) {
    for (Observer* observer : world_.observers) {
      observer->on_arrived(config_.self, to, bundle, /*taken=*/false);
    }
  }
  effect(CrashPoint::kSend);
  if (crash_at_frame_ && crash_in_ > 0 && has_crash_frame(to, bundle)) {
    if (--crash_in_ == 0) dying_ = true;
  }
  return taken;
}

void VirtualReplica::on_applied(std::span<const Command> batch, const Replies& replies) {
  if (dying_) return;
  for (Observer* observer : world_.observers) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      observer->on_executed(config_.self, batch[i], replies[i]);
    }
  }
  effect(CrashPoint::kApply);
}

void VirtualReplica::on_read(std::span<const Command> batch, const Replies& replies) {
  if (dying_) return;
  for (Observer* observer : world_.observers) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      observer->on_read(config_.self, batch[i], replies[i]);
    }
  }
}

/// No two images of a world have the same number.
std::uint64_t VirtualReplica::on_imaged() {
  const std::uint64_t number = ++images_ * kReplicasMax + config_.self.value();
  for (Observer* observer : world_.observers) observer->on_imaged(config_.self, number);
  return number;
}

void VirtualReplica::on_loaded(std::uint64_t image) {
  for (Observer* observer : world_.observers) observer->on_loaded(config_.self, image);
}

void VirtualReplica::reject(runtime::Completion done) {
  world_.later(world_.events.now(), [done = std::move(done)] {
    done({.kind = OutcomeKind::kRejected,
          .reply = {},
          .code = ErrorCode::kUnavailable,
          .reason = "the replica is down; use another one"});
  });
}

CommandId VirtualReplica::propose(Bytes payload, const Footprint& footprint, Tick deadline,
                                  runtime::Completion done, const SessionRequest& request) {
  if (!alive()) {
    reject(std::move(done));
    return {};
  }
  const std::uint64_t number = next_call_++;
  Call& call = calls_[number];
  call.done = std::move(done);
  const Tick now = world_.events.now();
  const Tick local_deadline =
      deadline == kNever ? kNever : local_now() + (std::max(deadline, now) - now);
  call.command = life_->host.propose(
      payload, footprint, local_deadline,
      [this, number](const Outcome& outcome) { finish(number, outcome); }, request);
  // Also when it is answered at once, from the session table.
  if (request.id.session != 0 && footprint.writes()) call.command = request.id;
  wake();
  return call.command;
}

void VirtualReplica::control_session(SessionOperation operation, std::uint64_t session,
                                     runtime::Completion done) {
  if (!alive()) return reject(std::move(done));
  const std::uint64_t number = next_call_++;
  calls_[number].done = std::move(done);
  life_->host.control_session(operation, session, kNever,
                              [this, number](const Outcome& outcome) { finish(number, outcome); });
  wake();
}

void VirtualReplica::finish(std::uint64_t number, const Outcome& outcome) {
  if (dying_) return;  // The crash tells it "unknown".
  const auto found = calls_.find(number);
  check(found != calls_.end(), "a proposal had two outcomes");
  const Call call = std::move(found->second);
  calls_.erase(found);
  if (outcome.kind == OutcomeKind::kExecuted && call.command.session != 0) {
    for (Observer* observer : world_.observers) {
      observer->on_acknowledged(config_.self, call.command, outcome.reply);
    }
  }
  if (call.done) call.done(outcome);
}

void VirtualReplica::change_members(MemberChange change, ReplicaId whom) {
  if (!alive()) return;
  member_change_.emplace(change, whom);
  wake();
}

void VirtualReplica::deliver(Bytes bundle) {
  check(alive(), "a bundle was delivered to a replica that is down");
  if (inbox_size_ == inbox_.size()) inbox_.emplace_back();
  inbox_[inbox_size_++].assign(bundle.begin(), bundle.end());
  wake();
}

void VirtualReplica::wake() {
  if (!alive()) return;
  woken_ = true;
  // What arrives before the turn has begun belongs to it.
  if (wake_time_ <= world_.events.now() + turn_delay_us_) return;
  wake_at(world_.events.now() + turn_delays_.below(turn_delay_us_ + 1));
}

void VirtualReplica::wake_at(Tick time) {
  time = std::max(time, paused_until_);
  if (time >= wake_time_) return;
  wake_time_ = time;
  world_.events.set_turn(config_.self, time);
}

void VirtualReplica::run_turn() {
  check(alive(), "a replica that is down has a turn");
  wake_time_ = kNever;
  // It stood still when this turn was due.
  if (world_.events.now() < paused_until_) return wake_at(paused_until_);
  count_spins();
  runtime::Host& host = life_->host;
  const BegunTurn turn =
      std::exchange(begun_turn_, std::nullopt).value_or(BegunTurn{local_now(), inbox_size_});
  host.begin_turn(turn.now);
  for (std::size_t i = 0; i < turn.taken; ++i) host.receive_bundle(inbox_[i]);
  std::rotate(inbox_.begin(), inbox_.begin() + static_cast<std::ptrdiff_t>(turn.taken),
              inbox_.begin() + static_cast<std::ptrdiff_t>(inbox_size_));
  inbox_size_ -= turn.taken;
  if (const auto change = std::exchange(member_change_, {})) {
    (void)host.change_members(change->first, change->second);
  }
  host.end_turn();
  after_turn();
}

/// A core whose deadline is always now keeps a processor busy for nothing.
void VirtualReplica::count_spins() {
  constexpr Tick kAtOnceUs = 100;
  const Tick now = world_.events.now();
  spins_ = woken_ || now - last_turn_ > kAtOnceUs ? 0 : spins_ + 1;
  last_turn_ = now;
  woken_ = false;
  if (config_.spins_max == 0 || spins_ != config_.spins_max) return;
  world_.complaints.push_back(to_string(config_.self) + " has run " + std::to_string(spins_) +
                              " turns in a row at once, and nothing had happened");
}

void VirtualReplica::after_turn() {
  if (dying_) return crash();
  if (inbox_size_ > 0) wake();  // It stood still before these came.
  // Time passes, so that a core that is never done does not stop the world.
  const Tick due = life_->host.next_deadline();
  if (due != kNever) wake_at(std::max(global(due), world_.events.now() + 1));
}

// --- Time --------------------------------------------------------------------------------------

void VirtualReplica::pause_until(Tick time) {
  paused_until_ = time;
  const bool in_a_turn = config_.pauses_in_turns && alive() && time % 4 != 0;
  if (in_a_turn && time > world_.events.now() && !begun_turn_) {
    begun_turn_ = {local_now(), inbox_size_};
  }
  wake();
}

void VirtualReplica::set_turn_delay(Tick turn_delay_us) {
  turn_delay_us_ = turn_delay_us;
  wake();
}

void VirtualReplica::set_clock_drift(std::int64_t drift_ppm) {
  check(drift_ppm > -static_cast<std::int64_t>(kMillion), "a clock does not go backwards");
  local_base_ = local_now();
  global_base_ = world_.events.now();
  drift_ppm_ = drift_ppm;
  wake();
}

Tick VirtualReplica::local_now() const {
  const Tick passed = world_.events.now() - global_base_;
  return local_base_ + passed * rate_of(drift_ppm_) / kMillion;
}

/// When its clock will show this.
Tick VirtualReplica::global(Tick local) const {
  if (local <= local_base_) return global_base_;
  const Tick rate = rate_of(drift_ppm_);
  return global_base_ + ((local - local_base_) * kMillion + rate - 1) / rate;
}

void VirtualReplica::disk_done(std::uint64_t life) {
  if (!disk_.complete(life)) return;
  effect(CrashPoint::kDurable);
  if (dying_) return crash();
  wake();
}

net::BundleIdentity VirtualReplica::identity() const {
  return identity_of(config_, incarnation_);
}

bool VirtualReplica::idle() const {
  if (!alive() || !calls_.empty() || disk_.waiting() > 0) return false;
  if (life_->host.held_turns() > 0) return false;
  return config_.never_silent || (inbox_size_ == 0 && life_->host.next_deadline() > local_now());
}

void VirtualReplica::add_counters(Totals& totals) const {
  if (!alive()) return;
  CoreStatus status;
  life_->core.status(status);
  // Every counter has its place, also one that never counts.
  const auto add = [&totals](std::string_view name, std::uint64_t value) {
    const auto found = totals.find(name);
    if (found == totals.end()) {
      totals.emplace(name, value);
    } else {
      found->second += value;
    }
  };
  for (const Counter& counter : status.counters) add(counter.name, counter.value);
  const runtime::HostCounters& host = life_->host.counters();
  add("session_duplicates", host.session_duplicates);
  add("session_stale", host.session_stale);
  add("session_beyond_window", host.session_beyond_window);
  add("session_unknown", host.session_unknown);
  add("session_expired", host.session_expired);
  runtime::HostStatus all;
  life_->host.status(all);
  add("images_made", all.image.counters.made);
  add("states_kept", all.image.counters.kept);
  add("image_fetches", all.image.counters.fetches);
  add("image_fetches_given_up", all.image.counters.fetches_given_up);
  add("image_offers_refused", all.image.counters.refused_offers);
  add("images_damaged", all.image.counters.refused_damaged);
}

runtime::Host& VirtualReplica::host() {
  check(alive(), "the host of a replica that is down was asked for");
  return life_->host;
}

const Core& VirtualReplica::core() const {
  check(alive(), "the core of a replica that is down was asked for");
  return life_->core.watched();
}

StateMachine& VirtualReplica::machine() {
  check(alive(), "the machine of a replica that is down was asked for");
  return life_->machine.watched();
}

}  // namespace epaxos::sim
