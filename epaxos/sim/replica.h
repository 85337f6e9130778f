#pragma once

// One replica of a virtual cluster: the real host, a real core and a state machine over a virtual
// disk and network. It can stop between any two effects of a turn, and starts again with what its
// disk kept. Inputs that arrive close together share a turn, as they do in production.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "epaxos/contract/core.h"
#include "epaxos/runtime/host.h"
#include "epaxos/sim/disk.h"
#include "epaxos/sim/event_queue.h"
#include "epaxos/sim/network.h"
#include "epaxos/sim/observer.h"

namespace epaxos::sim {

using MachineFactory = std::function<std::unique_ptr<StateMachine>()>;

/// The effect right after which a replica stops.
enum class CrashPoint {
  kSubmit,   ///< A batch is given to the disk, or a state to the machine's own storage.
  kDurable,  ///< A batch is on disk, and nobody knows it yet.
  kSend,     ///< A bundle leaves.
  kApply,    ///< The state machine has applied a batch of commands.
};

struct ReplicaConfig {
  ReplicaId self;
  int replica_count = 0;
  std::uint64_t seed = 0;
  Durability durability = Durability::kSync;
  Tick turn_delay_us = 20;
  std::uint64_t spins_max = 0;
  bool never_silent = false;
  bool pauses_in_turns = false;
  Tick session_ttl_us = 0;  ///< 0: as usual.
  std::int64_t wall_clock_skew_us = 0;
  std::uint64_t image_log_bytes = 0;  ///< 0: as usual.
  std::size_t image_turn_bytes = 0;   ///< 0: as usual.
  Tick image_pause_us = 0;
  bool machine_keeps = false;  ///< Its state, in a virtual storage of its own.
  bool memory_only = false;    ///< Nothing is written.
  CoreConfig core;
};

/// Sums of counters by name, over replicas and lives.
using Totals = std::map<std::string, std::uint64_t, std::less<>>;

/// What all replicas of a cluster share. Everything outlives them.
struct World {
  const Protocol& protocol;
  const MachineFactory& make_machine;
  EventQueue& events;
  VirtualNetwork& network;
  const std::vector<Observer*>& observers;
  Totals& totals;  ///< Of the lives that are over.
  std::vector<std::string>& complaints;
  /// Runs something in an event of its own.
  std::function<void(Tick time, std::function<void()> action)> later;
};

class VirtualReplica {
 public:
  VirtualReplica(const ReplicaConfig& config, const World& world);
  VirtualReplica(const VirtualReplica&) = delete;
  VirtualReplica& operator=(const VirtualReplica&) = delete;
  ~VirtualReplica();

  /// A new life on what the disk holds. Precondition: not alive.
  /// Errors: what the host found wrong; the replica stays down.
  Result<void> start();
  /// Stops without a warning, between two events. Who waits here for an outcome is told "unknown".
  void crash();
  [[nodiscard]] bool alive() const { return life_ != nullptr; }

  /// Stops right after the `count`-th next effect of this kind; 0: no longer. One plan at a time.
  void crash_after(CrashPoint point, std::uint64_t count);
  /// The same after the `count`-th next bundle with a frame of this type: the receivers of the
  /// other bundles of its turn hear nothing.
  void crash_after_frame(net::FrameType type, std::uint64_t count);

  /// No turn begins before this time; what arrives meanwhile waits, and so do timers. With
  /// pauses_in_turns one has often begun: then it ends with what clients have sent meanwhile.
  void pause_until(Tick time);
  /// From now on inputs that arrive within this time share a turn: how slow the replica is.
  void set_turn_delay(Tick turn_delay_us);
  /// From now on its clock gains (or loses) these millionths: its timers are early (or late).
  /// Precondition: above -1'000'000.
  void set_clock_drift(std::int64_t drift_ppm);
  /// What its clock shows now.
  [[nodiscard]] Tick local_now() const;

  /// As Host::propose(); a replica that is down rejects. The completion runs in an event of its
  /// own when this replica is down, else where the host tells it.
  CommandId propose(Bytes payload, const Footprint& footprint, Tick deadline,
                    runtime::Completion done, const SessionRequest& request = {});
  /// As Host::control_session(), in the same way.
  void control_session(SessionOperation operation, std::uint64_t session, runtime::Completion done);

  /// As Core::change_members(), in the next turn; what comes of it the core's status tells.
  void change_members(MemberChange change, ReplicaId whom);

  void deliver(Bytes bundle);
  void run_turn();
  void disk_done(std::uint64_t life);
  /// Runs a turn soon: something outside of it has changed.
  void wake();

  /// Precondition of these: alive().
  [[nodiscard]] runtime::Host& host();
  [[nodiscard]] const Core& core() const;
  [[nodiscard]] StateMachine& machine();

  [[nodiscard]] VirtualDisk& disk() { return disk_; }
  [[nodiscard]] ReplicaId self() const { return config_.self; }
  [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }
  /// What its bundles carry, and what it expects of others'.
  [[nodiscard]] net::BundleIdentity identity() const;
  /// Whether no client waits here, nothing waits for the disk, and no turn is due now.
  [[nodiscard]] bool idle() const;

  /// Adds what the core of the present life has counted.
  void add_counters(Totals& totals) const;

 private:
  struct Life;
  struct Call {
    CommandId command;  // Session 0: it is about a session, and no command of a client.
    runtime::Completion done;
  };

  [[nodiscard]] runtime::HostConfig host_config(bool voting) const;
  void wake_at(Tick time);
  [[nodiscard]] Tick global(Tick local) const;
  [[nodiscard]] bool has_crash_frame(ReplicaId to, Bytes bundle) const;
  void after_turn();
  void count_spins();
  void effect(CrashPoint point);
  bool on_send(ReplicaId to, Bytes bundle);
  void on_applied(std::span<const Command> batch, const Replies& replies);
  void on_read(std::span<const Command> batch, const Replies& replies);
  std::uint64_t on_imaged();
  void on_loaded(std::uint64_t image);
  void finish(std::uint64_t call, const Outcome& outcome);
  void reject(runtime::Completion done);

  const ReplicaConfig config_;
  const World world_;
  VirtualDisk disk_;
  Random turn_delays_;
  std::unique_ptr<Life> life_;
  std::uint64_t incarnation_ = 0;
  std::uint64_t images_ = 0;  // In all lives.
  bool crashed_ = false;      // Ever, without a clean stop.
  Tick wake_time_ = kNever;
  Tick last_turn_ = 0;
  bool woken_ = false;       // Something arrived since the last turn.
  std::uint64_t spins_ = 0;  // Turns in a row that nothing caused but the core's own deadline.
  Tick turn_delay_us_;
  Tick paused_until_ = 0;
  /// What a turn had done when its replica stood still.
  struct BegunTurn {
    Tick now = 0;           // It has read the clock,
    std::size_t taken = 0;  // and so much of the inbox, but nothing of what clients sent.
  };
  std::optional<BegunTurn> begun_turn_;
  // The clock showed local_base_ at global_base_ and has drifted evenly since then.
  std::int64_t drift_ppm_ = 0;
  Tick global_base_ = 0;
  Tick local_base_ = 0;
  std::vector<std::vector<std::byte>> inbox_;
  std::size_t inbox_size_ = 0;

  std::optional<std::pair<MemberChange, ReplicaId>> member_change_;  // Asked for.

  CrashPoint crash_point_ = CrashPoint::kSubmit;
  std::uint64_t crash_in_ = 0;   // 0: not planned.
  bool crash_at_frame_ = false;  // crash_frame_ counts, not crash_point_.
  net::FrameType crash_frame_ = 0;
  bool dying_ = false;  // The crash point was passed inside of a turn: nothing leaves.

  std::map<std::uint64_t, Call> calls_;
  std::uint64_t next_call_ = 1;
};

}  // namespace epaxos::sim
