#pragma once

// A whole cluster in one thread: real hosts and cores of any protocol over virtual time, network
// and disks. The same configuration and seed give the same run, event by event; trace_hash() tells
// whether they did. Checkers watch every run. Source: reliability.md 3.

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "epaxos/sim/checkers/execution_checker.h"
#include "epaxos/sim/disk.h"
#include "epaxos/sim/event_queue.h"
#include "epaxos/sim/network.h"
#include "epaxos/sim/observer.h"
#include "epaxos/sim/replica.h"

namespace epaxos::sim {

struct ClusterConfig {
  int replica_count = 3;
  std::uint64_t seed = 1;  ///< Of all chance.
  Durability durability = Durability::kSync;
  LinkConditions links;
  DiskConditions disks;
  Tick turn_delay_us = 20;  ///< Inputs of a replica that arrive within it share a turn.
  /// So many turns in a row without any input are a violation; 0: never.
  std::uint64_t spins_max = 0;
  /// The protocol never falls silent (heartbeats of a leader): who has something to read, or whose
  /// timer is due, may count as idle.
  bool never_silent = false;
  /// A replica that is paused may have begun a turn: it has read its clock and what its peers had
  /// sent, and reads what clients have sent when it goes on.
  bool pauses_in_turns = false;
  /// Of sessions, on wall clocks that are up to a sixteenth of it apart from the time of the world;
  /// 0: as usual, on the clocks of the replicas.
  Tick session_ttl_us = 0;
  std::uint64_t image_log_bytes = 0;  ///< HostConfig's; 0: as usual.
  std::size_t image_turn_bytes = 0;   ///< The same.
  Tick image_pause_us = 0;            ///< HostConfig's.
  /// Machines keep their state, in virtual storages of their own under these conditions.
  bool machine_keeps = false;
  MachineStorageConditions machine_storages;
  /// Nothing is written, as in a node at durability "none"; else there are disks at this level too.
  bool memory_only = false;
  /// Watches what is executed, which costs time and memory with every command.
  bool check_executions = true;
  /// Of protocols with a leader: this replica stands for election long before all others at first.
  std::optional<ReplicaId> leads_first = std::nullopt;
  CoreConfig core;  ///< A template: who it is for is filled in.
};

class Cluster {
 public:
  /// Every replica starts at time 0.
  Cluster(const ClusterConfig& config, Protocol protocol, MachineFactory make_machine);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster();

  // --- Time.

  [[nodiscard]] Tick now() const { return events_.now(); }
  /// Takes the next event. False when there is none.
  bool step();
  void run_until(Tick time);
  void run_for(Tick us) { run_until(now() + us); }
  /// Until `reached` holds, asked after every event. False: it did not within `limit_us`.
  bool run_until(const std::function<bool()>& reached, Tick limit_us);
  /// Until all that live know, decided and executed the same, and no client waits. False: not
  /// within `limit_us`.
  bool run_until_converged(Tick limit_us);
  /// Runs `action` at this time, between two events of the replicas.
  void at(Tick time, std::function<void()> action);

  // --- Load.

  /// A command of a client of this replica; the machine says what it touches. A payload that the
  /// machine does not admit is a bug of the caller.
  CommandId propose(ReplicaId replica, Bytes payload, runtime::Completion done = {}) {
    return propose(replica, payload, kNever, std::move(done));
  }
  CommandId propose(ReplicaId replica, Bytes payload, Tick deadline, runtime::Completion done);
  CommandId propose(ReplicaId replica, Bytes payload, const Footprint& footprint, Tick deadline,
                    runtime::Completion done);
  /// The same for a request of a client's session.
  CommandId propose(ReplicaId replica, Bytes payload, Tick deadline, const SessionRequest& request,
                    runtime::Completion done);
  /// As Host::control_session(). A replica that is down rejects.
  void control_session(ReplicaId replica, SessionOperation operation, std::uint64_t session,
                       runtime::Completion done) {
    at_replica(replica).control_session(operation, session, std::move(done));
  }

  // --- Faults.

  void kill(ReplicaId replica) { at_replica(replica).crash(); }
  void kill_all();
  /// Precondition: the replica is down. A start that fails is a violation.
  void restart(ReplicaId replica);
  /// All that are down.
  void restart_all();
  void crash_after(ReplicaId replica, CrashPoint point, std::uint64_t count) {
    at_replica(replica).crash_after(point, count);
  }
  void crash_after_frame(ReplicaId replica, net::FrameType type, std::uint64_t count) {
    at_replica(replica).crash_after_frame(type, count);
  }
  VirtualNetwork& network() { return network_; }
  void partition(std::initializer_list<std::vector<ReplicaId>> parts) { network_.partition(parts); }
  void isolate(ReplicaId replica) { network_.isolate(replica); }
  /// The network and all disks are well, clocks agree, and everybody is up.
  void heal();
  /// The same, and who is down stays down.
  void heal_living();
  void set_disk(ReplicaId replica, const DiskConditions& conditions);
  void fail_disk(ReplicaId replica);

  // --- A look.

  [[nodiscard]] int size() const { return config_.replica_count; }
  [[nodiscard]] ReplicaSet spares() const { return config_.core.spares; }
  [[nodiscard]] bool thrifty() const { return config_.core.thrifty; }
  [[nodiscard]] std::vector<ReplicaId> replicas() const;
  [[nodiscard]] bool alive(ReplicaId replica) const { return replicas_[replica.value()]->alive(); }
  [[nodiscard]] VirtualReplica& at_replica(ReplicaId replica);
  /// Calls `visit` with the frames of a bundle that leaves for this replica.
  void read_bundle(ReplicaId to, Bytes bundle, const std::function<void(const net::Frame&)>& visit);
  [[nodiscard]] runtime::Host& host(ReplicaId replica) { return at_replica(replica).host(); }
  [[nodiscard]] const Core& core(ReplicaId replica) { return at_replica(replica).core(); }
  [[nodiscard]] StateMachine& machine(ReplicaId replica) { return at_replica(replica).machine(); }
  [[nodiscard]] VirtualDisk& disk(ReplicaId replica) { return at_replica(replica).disk(); }
  [[nodiscard]] CoreStatus status(ReplicaId replica);
  /// The value of a core's counter, over all that live.
  [[nodiscard]] std::uint64_t count(std::string_view counter);
  /// What all cores have counted, over all lives: which parts of the protocol a run has reached.
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] std::uint64_t digest(ReplicaId replica) { return host(replica).digest(); }
  /// Whether all that live have the same state.
  [[nodiscard]] bool digests_agree();
  [[nodiscard]] bool converged();

  /// Watches from now on; outlives the cluster.
  void watch(Observer& observer) { observers_.push_back(&observer); }
  /// Called after every event, between two turns: for checkers that look into cores.
  void after_event(std::function<void()> look) { after_event_ = std::move(look); }
  [[nodiscard]] const ExecutionChecker& executions() const { return checker_; }
  /// What went wrong so far, a sentence each; the first few.
  [[nodiscard]] std::vector<std::string> violations() const;
  /// violations(), and what must hold once a healed cluster has converged: every acknowledged
  /// command is executed everywhere, and all states are equal.
  [[nodiscard]] std::vector<std::string> final_violations();

  /// A fingerprint of every event so far.
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_hash_; }
  [[nodiscard]] std::uint64_t events() const { return events_.taken(); }

 private:
  [[nodiscard]] Footprint admit(ReplicaId replica, Bytes payload);
  void dispatch(const Event& event);
  void deliver(const Event& event);
  void run_action(std::uint64_t number);
  void trace(std::uint64_t word) { trace_hash_ = mix64(trace_hash_ ^ word); }

  const ClusterConfig config_;
  const Protocol protocol_;
  const MachineFactory make_machine_;
  EventQueue events_;
  VirtualNetwork network_;
  std::vector<Observer*> observers_;
  ExecutionChecker checker_;
  std::map<std::uint64_t, std::function<void()>> actions_;
  std::uint64_t next_action_ = 1;
  Totals ended_;  // What lives that are over have counted.
  std::vector<std::unique_ptr<VirtualReplica>> replicas_;
  std::function<void()> after_event_;
  std::vector<std::string> complaints_;
  std::uint64_t trace_hash_ = 0;
};

}  // namespace epaxos::sim
