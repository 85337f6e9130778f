#include "epaxos/sim/nemesis.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace epaxos::sim {
namespace {

std::uint64_t bit(ReplicaId replica) {
  return std::uint64_t{1} << replica.value();
}

}  // namespace

Nemesis::Nemesis(Cluster& cluster, const SwarmPlan& plan, std::vector<net::FrameType> targets)
    : cluster_(cluster),
      plan_(plan),
      targets_(std::move(targets)),
      copies_(static_cast<std::size_t>(cluster.size())) {
}

void Nemesis::moment(std::uint64_t number) {
  Random random = stream(plan_.seed, Purpose::kCrash, number);
  cluster_.run_for(random.below(plan_.pause_us + 1));
  const auto fault = static_cast<FaultClass>(random.between(kFirstTimedFault, kLastOfFirst));
  const bool due = (plan_.fault_mask >> number % 64 & 1) != 0;
  if (plan_.has(fault) && due) strike(fault, random);
  Random rot = stream(plan_.seed, Purpose::kDisk, (1u << 16) + number);
  if (plan_.has(FaultClass::kDiskRot) && due && rot.below(8) == 0) {
    strike(FaultClass::kDiskRot, rot);
  }
  Random members = stream(plan_.seed, Purpose::kConfiguration, (1u << 16) + number);
  if (due && members.chance(plan_.member_change_ppm)) change_members(members);
  Random standing = stream(plan_.seed, Purpose::kSchedule, (1u << 16) + number);
  if (plan_.has(FaultClass::kPause) && plan_.reads > 0 && due && standing.below(6) == 0) {
    pause_leaders(standing);
  }
  Random repairs = stream(plan_.seed, Purpose::kClock, number);
  repair(repairs);
}

void Nemesis::strike(FaultClass fault, Random& random) {
  ++counts_[static_cast<std::size_t>(fault)];
  switch (fault) {
    case FaultClass::kCrash:
      return crash(random);
    case FaultClass::kTarget:
      return target(random);
    case FaultClass::kPartition:
      return partition(random);
    case FaultClass::kClog:
      return clog(random);
    case FaultClass::kPause:
      return pause(random);
    case FaultClass::kSpeed:
      return slow_down(random);
    case FaultClass::kClock:
      return bend_clock(random);
    case FaultClass::kDiskSlow:
      return slow_disk(random);
    case FaultClass::kDiskFull:
      return fill_disk(random);
    case FaultClass::kDiskError:
      return cluster_.fail_disk(anybody(random));
    case FaultClass::kForget:
      return forget(random);
    case FaultClass::kDiskRot:
      return damage_disk(random);
    case FaultClass::kPermanent:
      return remove_for_good(random);
    default:
      return;  // These are there all the time.
  }
}

// --- Words -------------------------------------------------------------------------------------

ReplicaId Nemesis::anybody(Random& random) const {
  return replica_at(random.below(plan_.replicas));
}

Nemesis::Replicas Nemesis::some(Random& random) const {
  Replicas chosen;
  for (const ReplicaId replica : cluster_.replicas()) {
    if (random.below(2) == 0) chosen.push_back(replica);
  }
  return chosen;
}

Tick Nemesis::hold(Random& random) const {
  return random.below(10 * plan_.pause_us + 1);
}

void Nemesis::later(Tick us, std::function<void()> action) {
  cluster_.at(cluster_.now() + us, [this, action = std::move(action)] {
    if (!settled_) action();
  });
}

void Nemesis::restart(ReplicaId replica) {
  if (!cluster_.alive(replica) && !is_gone(replica)) cluster_.restart(replica);
}

/// At once, later, or when the operator finds it.
void Nemesis::restart_later(ReplicaId replica, Random& random) {
  switch (random.below(3)) {
    case 0:
      return later(0, [this, replica] { restart(replica); });
    case 1:
      return later(hold(random), [this, replica] { restart(replica); });
    default:
      return;
  }
}

void Nemesis::stop_failed() {
  for (const ReplicaId replica : cluster_.replicas()) {
    if (cluster_.alive(replica) && cluster_.host(replica).stopped()) cluster_.kill(replica);
  }
}

void Nemesis::repair(Random& random) {
  stop_failed();
  for (const ReplicaId replica : cluster_.replicas()) {
    if (random.below(3) == 0) restart(replica);
  }
}

// --- Replicas ----------------------------------------------------------------------------------

void Nemesis::crash(Random& random) {
  const ReplicaId victim = anybody(random);
  if (random.below(4) == 0) {
    cluster_.kill_all();
    for (const ReplicaId replica : cluster_.replicas()) restart_later(replica, random);
    return;
  }
  if (cluster_.alive(victim)) cluster_.kill(victim);
  restart_later(victim, random);
}

void Nemesis::target(Random& random) {
  const ReplicaId victim = anybody(random);
  const std::uint64_t count = 1 + random.below(10);
  if (!targets_.empty() && random.below(2) == 0) {
    // Mostly the very first one: its other receivers hear nothing. Two draws are two statements, as
    // compilers evaluate arguments in different orders.
    const std::uint64_t which = random.below(2) == 0 ? 1 : count;
    const net::FrameType type = targets_[random.below(targets_.size())];
    cluster_.crash_after_frame(victim, type, which);
  } else {
    cluster_.crash_after(victim, static_cast<CrashPoint>(random.below(4)), count);
  }
  restart_later(victim, random);
}

void Nemesis::pause(Random& random) {
  // From 10 ms to a minute, short ones as often as long ones.
  const Tick longest = Tick{10'000} << random.below(13);
  const ReplicaId victim = anybody(random);
  const Tick until = cluster_.now() + random.between(10'000, std::min(longest, 60 * kSecond));
  cluster_.at_replica(victim).pause_until(until);
}

/// Those who lead, or believe so: long enough for others to lead meanwhile.
void Nemesis::pause_leaders(Random& random) {
  const Tick until = cluster_.now() + random.between(100'000, 4 * kSecond);
  for (const ReplicaId replica : cluster_.replicas()) {
    if (!cluster_.alive(replica) || cluster_.status(replica).role != "leader") continue;
    ++counts_[static_cast<std::size_t>(FaultClass::kPause)];
    cluster_.at_replica(replica).pause_until(until);
  }
}

void Nemesis::slow_down(Random& random) {
  const ReplicaId victim = anybody(random);
  cluster_.at_replica(victim).set_turn_delay(random.below(Tick{1'000} << random.below(8)));
  later(hold(random),
        [this, victim] { cluster_.at_replica(victim).set_turn_delay(plan_.turn_delay_us); });
}

void Nemesis::bend_clock(Random& random) {
  const auto drift = static_cast<std::int64_t>(random.below(400'001)) - 200'000;
  cluster_.at_replica(anybody(random)).set_clock_drift(drift);
}

bool Nemesis::may_remove() const {
  return static_cast<std::uint64_t>(std::popcount(gone_)) < plan_.permanent;
}

void Nemesis::remove_for_good(Random& random) {
  const ReplicaId victim = anybody(random);
  if (!may_remove() || is_gone(victim)) return;
  gone_ |= bit(victim);
  if (cluster_.alive(victim)) cluster_.kill(victim);
}

/// What an operator does: he asks those who say that they lead.
void Nemesis::change_members(Random& random) {
  const ReplicaId whom = anybody(random);
  for (const ReplicaId replica : cluster_.replicas()) {
    if (!cluster_.alive(replica)) continue;
    const CoreStatus status = cluster_.status(replica);
    if (status.role != "leader" || !status.members) continue;
    const bool leaves = status.members->voters.contains(whom);
    cluster_.at_replica(replica).change_members(leaves ? MemberChange::kRemove : MemberChange::kAdd,
                                                whom);
  }
}

// --- Links -------------------------------------------------------------------------------------

void Nemesis::cut(ReplicaId one, ReplicaId other) {
  cluster_.network().cut(one, other);
  cluster_.network().cut(other, one);
}

/// A ring: everybody hears those beside him. Non-transitive from five replicas on.
void Nemesis::hear_only_neighbours(std::size_t reach) {
  const std::size_t n = plan_.replicas;
  for (std::size_t one = 0; one < n; ++one) {
    for (std::size_t other = 0; other < n; ++other) {
      const std::size_t apart = (one + n - other) % n;
      if (std::min(apart, n - apart) > reach)
        cluster_.network().cut(replica_at(one), replica_at(other));
    }
  }
}

/// Two halves that hear each other only over one replica, which hears both.
void Nemesis::build_bridge(Random& random) {
  const ReplicaId bridge = anybody(random);
  const Replicas left = some(random);
  for (const ReplicaId one : left) {
    for (const ReplicaId other : cluster_.replicas()) {
      const bool across = std::ranges::find(left, other) == left.end();
      if (across && one != bridge && other != bridge) cut(one, other);
    }
  }
}

void Nemesis::partition(Random& random) {
  const ReplicaId victim = anybody(random);
  switch (random.below(8)) {
    case 0:
      cluster_.isolate(victim);
      break;
    case 1:
      cluster_.network().cut(victim, anybody(random));
      break;
    case 2:  // It speaks, and hears nothing.
      for (const ReplicaId other : cluster_.replicas()) cluster_.network().cut(other, victim);
      break;
    case 3:  // It hears, and nobody hears it.
      for (const ReplicaId other : cluster_.replicas()) cluster_.network().cut(victim, other);
      break;
    case 4: {
      const Replicas left = some(random);
      Replicas right;
      for (const ReplicaId other : cluster_.replicas()) {
        if (std::ranges::find(left, other) == left.end()) right.push_back(other);
      }
      cluster_.partition({left, right});
      break;
    }
    case 5:
      hear_only_neighbours(1);
      break;
    case 6:
      build_bridge(random);
      break;
    default:
      cluster_.network().mend_all();
  }
  if (random.below(2) == 0) later(hold(random), [this] { cluster_.network().mend_all(); });
}

/// Some replicas are clogged one after the other and let go in another order.
void Nemesis::clog(Random& random) {
  for (const ReplicaId victim : some(random)) {
    const Tick from = random.below(plan_.pause_us + 1);
    const Tick until = cluster_.now() + from + hold(random);
    later(from, [this, victim, until] {
      for (const ReplicaId other : cluster_.replicas()) {
        cluster_.network().clog(victim, other, until);
        cluster_.network().clog(other, victim, until);
      }
    });
  }
}

// --- Disks -------------------------------------------------------------------------------------

void Nemesis::slow_disk(Random& random) {
  const ReplicaId victim = anybody(random);
  DiskConditions conditions = plan_.cluster().disks;
  conditions.latency_us = random.below(8) == 0 ? 10 * kSecond : random.below(kSecond);
  cluster_.set_disk(victim, conditions);
  later(hold(random), [this, victim] { cluster_.set_disk(victim, plan_.cluster().disks); });
}

void Nemesis::fill_disk(Random& random) {
  const ReplicaId victim = anybody(random);
  DiskConditions conditions = plan_.cluster().disks;
  conditions.full = true;
  cluster_.set_disk(victim, conditions);
  later(hold(random), [this, victim] { cluster_.set_disk(victim, plan_.cluster().disks); });
}

/// The first time a copy of the disk is made, to which it may be set back later.
void Nemesis::forget(Random& random) {
  const ReplicaId victim = anybody(random);
  Copy& old = copies_[victim.value()];
  if (old.image.empty() && random.below(2) == 0) {
    if (!cluster_.alive(victim)) return;
    const VirtualDisk& disk = cluster_.disk(victim);
    old = {disk.image(), disk.machine_storage().kept(), {}};
    if (has_rows()) old.own = own_slot(victim, victim);
    return;
  }
  if (!may_remove() || is_gone(victim)) return;
  gone_ |= bit(victim);
  if (cluster_.alive(victim)) cluster_.kill(victim);
  // What nobody else knows it cannot be told (decision record 13): then it is only gone.
  if (!others_know_more(victim)) return;
  forgot_ |= bit(victim);
  cluster_.disk(victim).set_back(old.image, old.kept);
}

/// The highest slot of a replica's own row, as far as another one knows.
Slot Nemesis::own_slot(ReplicaId replica, ReplicaId at) {
  return cluster_.status(at).rows[replica.value()].highest_known;
}

/// Whether each replica has a row of its own, whose slots others know of by gossip. Without rows
/// only the number of durable batches, which every bundle carries, tells that a disk was set back.
bool Nemesis::has_rows() const {
  for (const ReplicaId replica : cluster_.replicas()) {
    if (cluster_.alive(replica)) return cluster_.status(replica).rows.size() == plan_.replicas;
  }
  return false;
}

/// How many batches a disk says that were ever durable on it.
std::uint64_t Nemesis::durable_batches(const VirtualDisk::Image& image) {
  const auto found = image.find({kRecordKindMax, {}, {}, {}, Slot(1)});
  return found == image.end() ? 0 : number_from<std::uint64_t>(found->second).value_or(0);
}

/// Whether others know of something which it did not know when its disk was copied.
bool Nemesis::others_know_more(ReplicaId replica) {
  const Copy& copy = copies_[replica.value()];
  const bool rows = has_rows();
  for (const ReplicaId other : cluster_.replicas()) {
    if (!cluster_.alive(other) || other == replica) continue;
    if (rows && own_slot(replica, other) > copy.own) return true;
    const std::uint64_t heard = cluster_.host(other).durable_heard(replica);
    if (!rows && heard > durable_batches(copy.image)) return true;
  }
  return false;
}

/// What a disk no longer holds as it was written its replica must not run on: it refuses to start,
/// as on the real store, and is gone for good.
void Nemesis::damage_disk(Random& random) {
  const ReplicaId victim = anybody(random);
  if (!may_remove() || is_gone(victim)) return;
  if (cluster_.alive(victim)) cluster_.kill(victim);
  if (!cluster_.disk(victim).damage(random)) return;
  gone_ |= bit(victim);
  damaged_ |= bit(victim);
  expect_refusal(victim);
}

void Nemesis::expect_refusal(ReplicaId replica) {
  if (cluster_.alive(replica)) return;  // It did not refuse the last time.
  const Result<void> started = cluster_.at_replica(replica).start();
  if (!started && started.error().code == ErrorCode::kCorrupted) return;
  unnoticed_.push_back(to_string(replica) + " does not refuse its disk, which is damaged");
}

// --- The end -----------------------------------------------------------------------------------

void Nemesis::settle() {
  settled_ = true;
  for (const ReplicaId replica : cluster_.replicas()) {
    cluster_.crash_after(replica, CrashPoint::kSend, 0);
  }
  stop_failed();
  cluster_.heal_living();
  // A host hears of a write that failed in its next turn.
  for (int i = 0; i < 5; ++i) {
    for (const ReplicaId replica : cluster_.replicas()) restart(replica);
    cluster_.run_for(kSecond);
    stop_failed();
  }
  for (const ReplicaId replica : cluster_.replicas()) restart(replica);
}

std::vector<std::string> Nemesis::confront_with_what_was_forgotten() {
  std::vector<std::string> violations;
  for (const ReplicaId replica : cluster_.replicas()) {
    // Who knew more may have lost it meanwhile, when it was not on disk.
    if ((forgot_ & bit(replica)) == 0 || !others_know_more(replica)) continue;
    // It hears before it is heard: what it says before the first gossip comes nobody can judge.
    // Where nobody gossips, who remembers more must hear of the start to say so.
    for (const ReplicaId other : cluster_.replicas()) {
      if (has_rows()) cluster_.network().cut(replica, other);
    }
    cluster_.restart(replica);
    cluster_.run_for(10 * kSecond);
    if (cluster_.alive(replica) && !cluster_.status(replica).role.starts_with("non-voting")) {
      violations.push_back(to_string(replica) + " votes although its disk has forgotten");
    }
    cluster_.network().mend_all();
    cluster_.run_for(2 * kSecond);
    if (cluster_.alive(replica)) cluster_.kill(replica);
  }
  return violations;
}

std::vector<std::string> Nemesis::confront_with_damage() {
  for (const ReplicaId replica : cluster_.replicas()) {
    if ((damaged_ & bit(replica)) != 0) expect_refusal(replica);
  }
  return unnoticed_;
}

void Nemesis::bring_back() {
  for (const ReplicaId replica : cluster_.replicas()) {
    if (is_gone(replica) && ((forgot_ | damaged_) & bit(replica)) == 0) cluster_.restart(replica);
  }
  gone_ = forgot_ | damaged_;
}

}  // namespace epaxos::sim
