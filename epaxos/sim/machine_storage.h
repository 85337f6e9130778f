#pragma once

// The storage of a state machine that keeps itself, as that of a database beside the replica's
// disk: what is to be kept becomes durable after a while, whole, or fails. A crash keeps or loses
// what was on its way. It outlives its replica.

#include <cstdint>
#include <optional>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/result.h"
#include "epaxos/sim/event_queue.h"
#include "epaxos/sim/random.h"

namespace epaxos::sim {

struct MachineStorageConditions {
  Tick latency_us = 0;         ///< The mean of what a state takes, evenly distributed from 0 on.
  std::uint64_t fail_ppm = 0;  ///< Of all states: half of them at once, half after that time.
};

class MachineStorage {
 public:
  struct State {
    std::uint64_t number = 0;  ///< 0: there is none.
    std::vector<std::byte> mark;
    std::vector<std::byte> state;
  };

  MachineStorage(ReplicaId replica, std::uint64_t seed, const EventQueue& events);

  void set_conditions(const MachineStorageConditions& conditions) { conditions_ = conditions; }

  /// Begins to keep a state. Errors: it fails at once.
  Result<void> keep(State state);
  /// The number of what is kept. Errors: the last one has failed; nobody knows whether it is there.
  [[nodiscard]] Result<std::uint64_t> kept_number() const;
  /// What a replica would find after a power loss now.
  [[nodiscard]] const State& kept() const;

  /// The replica stops without a warning.
  void crash();
  /// It holds what it held once. Between two lives.
  void set_back(State state);

 private:
  struct OnItsWay {
    State state;
    Tick done_at = 0;
    bool fails = false;    // As the machine is told.
    bool arrives = false;  // Nevertheless.
  };
  [[nodiscard]] bool is_done() const;
  void settle();

  const EventQueue& events_;
  Random random_;
  MachineStorageConditions conditions_;
  State kept_;
  std::optional<OnItsWay> on_its_way_;
};

}  // namespace epaxos::sim
