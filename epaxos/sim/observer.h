#pragma once

// Who watches a virtual cluster: checkers, traces, statistics. Observers only look; nothing that a
// replica does depends on them.

#include <string>
#include <string_view>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "epaxos/sim/disk.h"

namespace epaxos::sim {

class Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  /// A replica begins a life with an empty state machine.
  virtual void on_started(ReplicaId) {}
  /// A replica's life is over; what it had not told anybody is lost.
  virtual void on_stopped(ReplicaId) {}

  /// A core is given a command.
  virtual void on_proposed(ReplicaId, const Proposal&) {}
  /// A bundle leaves a replica. The disk shows what is durable there at this moment.
  virtual void on_sent(ReplicaId /*from*/, ReplicaId /*to*/, Bytes /*bundle*/,
                       const VirtualDisk& /*disk*/) {}
  /// A bundle is at its end: its receiver takes it, or it is lost (also right after on_sent()).
  virtual void on_arrived(ReplicaId /*from*/, ReplicaId /*to*/, Bytes /*bundle*/, bool /*taken*/) {}
  /// A state machine has applied a command.
  virtual void on_executed(ReplicaId, const Command&, Bytes /*reply*/) {}
  /// A state machine has answered a command that only reads and has no place in the order.
  virtual void on_read(ReplicaId, const Command&, Bytes /*reply*/) {}
  /// An image of the replica's state machine is taken; its number is the only one of its kind.
  virtual void on_imaged(ReplicaId, std::uint64_t /*image*/) {}
  /// The replica's state machine is now what that image shows.
  virtual void on_loaded(ReplicaId, std::uint64_t /*image*/) {}
  /// A client of the replica is told that its command is executed.
  virtual void on_acknowledged(ReplicaId, CommandId, Bytes /*reply*/) {}
};

/// An observer that can tell right from wrong.
class Checker : public Observer {
 public:
  /// One word for reports: "linearizability".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// The world is healed and has converged: what can be judged only now is judged. May come again.
  virtual void finish() {}
  /// What was wrong so far, a sentence each; the first few.
  [[nodiscard]] virtual std::vector<std::string> violations() const = 0;
};

}  // namespace epaxos::sim
