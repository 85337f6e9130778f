#include "epaxos/sim/cluster.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::sim {
namespace {

/// The checksum that every bundle carries.
std::uint64_t fingerprint(Bytes bundle) {
  std::uint64_t word = 0;
  const std::size_t at = offsetof(net::Envelope, checksum);
  if (bundle.size() >= at + sizeof word) std::memcpy(&word, bundle.data() + at, sizeof word);
  return word ^ bundle.size();
}

std::int64_t skew(const ClusterConfig& config, std::uint64_t replica) {
  const auto most = static_cast<std::int64_t>(config.session_ttl_us / 16);
  Random random = stream(config.seed, Purpose::kClock, (1u << 16) + replica);
  return static_cast<std::int64_t>(random.below(2 * config.session_ttl_us / 16 + 1)) - most;
}

/// So much longer than the one who is to lead the others wait before they stand for election.
constexpr Tick kFirstElectionUs = 60 * kSecond;

}  // namespace

Cluster::Cluster(const ClusterConfig& config, Protocol protocol, MachineFactory make_machine)
    : config_(config),
      protocol_(std::move(protocol)),
      make_machine_(std::move(make_machine)),
      events_(config.seed),
      network_(config.replica_count, config.seed, events_) {
  check(config.replica_count >= 1 && config.replica_count <= kReplicasMax,
        "a group has 1 .. 9 replicas");
  check(!config.memory_only || config.durability == Durability::kNone,
        "only at durability none nothing is written");
  if (config.check_executions) observers_.push_back(&checker_);
  network_.set_all(config.links);
  const auto later = [this](Tick time, std::function<void()> action) {
    at(time, std::move(action));
  };
  const World world{protocol_,  make_machine_, events_,     network_,
                    observers_, ended_,        complaints_, later};
  for (std::uint16_t id = 0; id < config.replica_count; ++id) {
    ReplicaConfig replica;
    replica.self = ReplicaId(id);
    replica.replica_count = config.replica_count;
    replica.seed = config.seed;
    replica.durability = config.durability;
    replica.turn_delay_us = config.turn_delay_us;
    replica.spins_max = config.spins_max;
    replica.never_silent = config.never_silent;
    replica.memory_only = config.memory_only;
    replica.pauses_in_turns = config.pauses_in_turns;
    replica.core = config.core;
    const bool waits = config.leads_first && *config.leads_first != replica.self;
    if (waits) replica.core.first_election_us = kFirstElectionUs;
    replica.session_ttl_us = config.session_ttl_us;
    replica.image_log_bytes = config.image_log_bytes;
    replica.image_turn_bytes = config.image_turn_bytes;
    replica.image_pause_us = config.image_pause_us;
    replica.machine_keeps = config.machine_keeps;
    replica.wall_clock_skew_us = skew(config, id);
    replicas_.push_back(std::make_unique<VirtualReplica>(replica, world));
    replicas_.back()->disk().set_conditions(config.disks);
    replicas_.back()->disk().machine_storage().set_conditions(config.machine_storages);
  }
  restart_all();
}

Cluster::~Cluster() = default;

// --- Time --------------------------------------------------------------------------------------

bool Cluster::step() {
  if (events_.empty()) return false;
  dispatch(events_.pop());
  if (after_event_) after_event_();
  return true;
}

void Cluster::run_until(Tick time) {
  while (!events_.empty() && events_.next_time() <= time) step();
  events_.advance(time);
}

bool Cluster::run_until(const std::function<bool()>& reached, Tick limit_us) {
  const Tick limit = now() + limit_us;
  while (!reached()) {
    if (events_.empty() || events_.next_time() > limit) {
      events_.advance(limit);
      return reached();
    }
    step();
  }
  return true;
}

bool Cluster::run_until_converged(Tick limit_us) {
  // No multiple of it is near a round number: gossip would always be on its way when it looks.
  constexpr Tick kLookEveryUs = 17'393;
  const Tick limit = now() + limit_us;
  while (!converged()) {
    if (now() >= limit) return false;
    run_until(std::min(limit, now() + kLookEveryUs));
  }
  return true;
}

void Cluster::at(Tick time, std::function<void()> action) {
  actions_.emplace(next_action_, std::move(action));
  events_.push(time, EventKind::kAction, ReplicaId(), next_action_++);
}

void Cluster::dispatch(const Event& event) {
  trace(event.time);
  trace(static_cast<std::uint64_t>(event.kind) << 16 | event.replica.value());
  switch (event.kind) {
    case EventKind::kDelivery:
      return deliver(event);
    case EventKind::kDiskDone:
      return at_replica(event.replica).disk_done(event.subject);
    case EventKind::kTurn:
      return at_replica(event.replica).run_turn();
    case EventKind::kAction:
      return run_action(event.subject);
  }
}

void Cluster::deliver(const Event& event) {
  const VirtualNetwork::Arrival arrival = network_.arrival(event.subject);
  trace(fingerprint(arrival.bundle));
  VirtualReplica& receiver = at_replica(arrival.to);
  const bool arrives = receiver.alive() && network_.passes(event.subject);
  for (Observer* observer : observers_) {
    observer->on_arrived(arrival.from, arrival.to, arrival.bundle, arrives);
  }
  if (arrives) receiver.deliver(arrival.bundle);
  network_.release(event.subject, arrives);
}

void Cluster::run_action(std::uint64_t number) {
  const auto found = actions_.find(number);
  const std::function<void()> action = std::move(found->second);
  actions_.erase(found);
  action();
}

// --- Load --------------------------------------------------------------------------------------

Footprint Cluster::admit(ReplicaId replica, Bytes payload) {
  const std::unique_ptr<StateMachine> nobodys = alive(replica) ? nullptr : make_machine_();
  const StateMachine& admits = alive(replica) ? machine(replica) : *nobodys;
  const Result<Footprint> footprint = admits.admit(payload);
  check(footprint.has_value(), "the state machine does not admit a proposed command");
  return *footprint;
}

CommandId Cluster::propose(ReplicaId replica, Bytes payload, Tick deadline,
                           runtime::Completion done) {
  return propose(replica, payload, admit(replica, payload), deadline, std::move(done));
}

CommandId Cluster::propose(ReplicaId replica, Bytes payload, Tick deadline,
                           const SessionRequest& request, runtime::Completion done) {
  return at_replica(replica).propose(payload, admit(replica, payload), deadline, std::move(done),
                                     request);
}

CommandId Cluster::propose(ReplicaId replica, Bytes payload, const Footprint& footprint,
                           Tick deadline, runtime::Completion done) {
  return at_replica(replica).propose(payload, footprint, deadline, std::move(done));
}

// --- Faults ------------------------------------------------------------------------------------

void Cluster::kill_all() {
  for (const auto& replica : replicas_) {
    if (replica->alive()) replica->crash();
  }
}

void Cluster::restart(ReplicaId replica) {
  const Result<void> started = at_replica(replica).start();
  if (started) return;
  complaints_.push_back(to_string(replica) + " does not start: " + started.error().message);
}

void Cluster::restart_all() {
  for (const auto& replica : replicas_) {
    if (!replica->alive()) restart(replica->self());
  }
}

void Cluster::heal() {
  heal_living();
  restart_all();
}

void Cluster::heal_living() {
  network_.mend_all();
  network_.unclog_all();
  network_.set_all({});
  for (const ReplicaId replica : replicas()) {
    disk(replica).repair();
    set_disk(replica, {});
    disk(replica).machine_storage().set_conditions({});
    at_replica(replica).set_clock_drift(0);
    at_replica(replica).set_turn_delay(config_.turn_delay_us);
    at_replica(replica).pause_until(now());
  }
}

void Cluster::set_disk(ReplicaId replica, const DiskConditions& conditions) {
  at_replica(replica).disk().set_conditions(conditions);
  at_replica(replica).wake();
}

void Cluster::fail_disk(ReplicaId replica) {
  at_replica(replica).disk().fail();
}

// --- A look ------------------------------------------------------------------------------------

std::vector<ReplicaId> Cluster::replicas() const {
  std::vector<ReplicaId> all;
  for (const auto& replica : replicas_) all.push_back(replica->self());
  return all;
}

VirtualReplica& Cluster::at_replica(ReplicaId replica) {
  check(replica.value() < replicas_.size(), "a replica outside of the cluster was asked for");
  return *replicas_[replica.value()];
}

void Cluster::read_bundle(ReplicaId to, Bytes bundle,
                          const std::function<void(const net::Frame&)>& visit) {
  net::BundleReader reader(at_replica(to).identity(), config_.replica_count);
  check(!reader.open(bundle), "a bundle left that its receiver would refuse");
  net::Frame frame;
  while (reader.next(frame)) visit(frame);
}

CoreStatus Cluster::status(ReplicaId replica) {
  CoreStatus status;
  core(replica).status(status);
  return status;
}

std::uint64_t Cluster::count(std::string_view counter) {
  std::uint64_t sum = 0;
  for (const ReplicaId replica : replicas()) {
    if (!alive(replica)) continue;
    for (const Counter& each : status(replica).counters) {
      if (each.name == counter) sum += each.value;
    }
  }
  return sum;
}

Totals Cluster::totals() const {
  Totals totals = ended_;
  for (const auto& replica : replicas_) replica->add_counters(totals);
  return totals;
}

bool Cluster::digests_agree() {
  std::vector<std::uint64_t> digests;
  for (const ReplicaId replica : replicas()) {
    if (alive(replica)) digests.push_back(digest(replica));
  }
  return std::ranges::adjacent_find(digests, std::ranges::not_equal_to()) == digests.end();
}

bool Cluster::converged() {
  std::vector<Slot> first;
  for (const auto& replica : replicas_) {
    if (!replica->alive()) continue;
    if (!replica->idle()) return false;
    std::vector<Slot> known;
    for (const RowStatus& row : status(replica->self()).rows) {
      if (row.committed_up_to != row.highest_known) return false;
      if (row.executed_up_to != row.highest_known) return false;
      known.push_back(row.highest_known);
    }
    if (first.empty()) first = known;
    if (first != known) return false;
  }
  return true;
}

std::vector<std::string> Cluster::violations() const {
  std::vector<std::string> all = checker_.violations();
  all.insert(all.end(), complaints_.begin(), complaints_.end());
  return all;
}

std::vector<std::string> Cluster::final_violations() {
  std::vector<std::string> all = violations();
  std::vector<ReplicaId> living;
  for (const ReplicaId replica : replicas()) {
    if (alive(replica)) living.push_back(replica);
  }
  const std::vector<std::string> missing = checker_.missing_acknowledged(living);
  all.insert(all.end(), missing.begin(), missing.end());
  if (!digests_agree()) all.push_back("the states of the replicas differ");
  return all;
}

}  // namespace epaxos::sim
