#pragma once

// Draws the lives of commands into a trace, from what somebody who watches their replicas tells: at
// the replica that proposes one a slice until its reply, with the rounds, the wait and the
// execution in it; arrows for the messages of EPaxos that carry it and for its execution at every
// other replica. Of other protocols no messages are told, and an arrow leads from the proposal to
// each execution.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "epaxos/programs/trace.h"
#include "net/frame.h"

namespace epaxos {

/// What happened to a command, or to a message about its instance. A plain value: it may come from
/// another process.
struct TraceEvent {
  /// In the order in which those of one moment are told.
  enum class Kind : std::uint8_t {
    kProposed,  ///< `replica` was given `command`.
    kInstance,  ///< It has `instance`: its proposal is about to leave its owner, `replica`.
    kSent,      ///< A message of `type` about `instance` leaves `replica` for `to`.
    kLost,      ///< The one that left last does not come.
    kArrived,   ///< The one that left first is at `to`.
    kExecuted,  ///< The state machine of `replica` has run `command`.
    kStopped,   ///< The life of `replica` is over.
  };

  Tick at = 0;
  Kind kind = Kind::kProposed;
  net::FrameType type = 0;
  ReplicaId replica = {};
  ReplicaId to = {};
  InstanceId instance = {};
  CommandId command = {};
};

/// The instance that a message of EPaxos is about, on its way to a decision; nothing: the message
/// is another one, or malformed.
std::optional<InstanceId> traced_instance(const net::Frame& frame, int rows);
/// The commands of a PreAccept; none: the message is another one, or malformed.
std::vector<CommandId> proposed_commands(const net::Frame& frame, int rows);

struct CommandTraceOptions {
  std::string title;               ///< Of the run; before the name of each replica. May be empty.
  std::vector<std::string> sites;  ///< By replica; may be empty.
  bool is_epaxos = true;           ///< Messages are told.
  Tick from_us = 0;                ///< What is proposed before is left out.
  std::size_t commands_max = 2000;
};

class CommandTrace {
 public:
  /// `trace` outlives it.
  CommandTrace(int replica_count, const CommandTraceOptions& options, Trace& trace);

  /// In the order of time. Events of commands that are not drawn are ignored.
  void take(const TraceEvent& event);
  /// Draws what has not ended, as far as it got. Once, when nothing more happens.
  void end(Tick now);

  /// Whether anything that may come is drawn.
  [[nodiscard]] bool watches() const { return open_ > 0 || lives_.size() < options_.commands_max; }

 private:
  struct Life {
    CommandId id;
    ReplicaId owner;
    InstanceId instance;  // Slot 0: not known.
    int row = 0;          // Its row at its owner.
    Tick proposed_at = 0;
    Tick slow_at = 0;    // Accept.
    Tick commit_at = 0;  // Commit left its owner, or came to it.
    Tick end = 0;        // Executed at its owner.
    bool drawn = false;
    std::set<ReplicaId> executed;
  };
  /// A message about an instance: its type, the instance, from, to.
  using MessageKey = std::tuple<net::FrameType, InstanceId, ReplicaId, ReplicaId>;

  [[nodiscard]] static MessageKey key_of(const TraceEvent& event) {
    return {event.type, event.instance, event.replica, event.to};
  }
  [[nodiscard]] int process_of(ReplicaId replica) const { return processes_[replica.value()]; }
  /// Where a replica's messages and executions are shown.
  [[nodiscard]] Trace::Track messages_of(ReplicaId replica) const {
    return {process_of(replica), 1};
  }
  [[nodiscard]] Trace::Track track_of(const Life& life) const {
    return {process_of(life.owner), life.row};
  }
  [[nodiscard]] int take_row(ReplicaId owner, Tick now);
  void give_row(const Life& life);
  void proposed(const TraceEvent& event);
  void learn_instance(const TraceEvent& event);
  void left(const TraceEvent& event);
  void lost(const TraceEvent& event);
  void came(const TraceEvent& event);
  void executed(const TraceEvent& event);
  void stopped(const TraceEvent& event);
  void draw(Life& life, Tick end, bool has_ended);
  [[nodiscard]] Life* life_of(const CommandId& id);

  const CommandTraceOptions options_;
  Trace& trace_;
  std::vector<int> processes_;
  std::vector<std::map<int, Tick>> free_rows_;  // By replica: since when.
  std::vector<int> rows_;                       // By replica: those that there are.
  std::vector<Life> lives_;
  std::size_t open_ = 0;  // Lives that something is still awaited of.
  std::map<CommandId, std::size_t> by_command_;
  std::multimap<InstanceId, std::size_t> by_instance_;
  std::map<MessageKey, std::vector<Tick>> under_way_;
  std::map<std::pair<InstanceId, ReplicaId>, Tick> commit_came_;
};

}  // namespace epaxos
