#pragma once

// Watches a virtual cluster and draws the lives of its first commands into a trace: at the replica
// that proposes one a slice until its reply, with the rounds, the wait and the execution in it;
// arrows for the messages of EPaxos that carry it and for its execution at every other replica. Of
// other protocols the frames are not read, and an arrow leads from the proposal to each execution.

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "epaxos/programs/trace.h"
#include "epaxos/sim/cluster.h"

namespace epaxos {

struct CommandTraceOptions {
  std::string title;               ///< Of the run; before the name of each replica. May be empty.
  std::vector<std::string> sites;  ///< By replica; may be empty.
  bool is_epaxos = true;           ///< The frames are those of EPaxos.
  Tick from_us = 0;                ///< What is proposed before is left out.
  std::size_t commands_max = 2000;
};

class CommandTrace final : public sim::Checker {
 public:
  /// Both outlive it.
  CommandTrace(sim::Cluster& cluster, const CommandTraceOptions& options, Trace& trace);
  /// Draws what has not ended, as far as it got. Once, when nothing more happens.
  void end();

  [[nodiscard]] std::string_view name() const override { return "trace"; }
  [[nodiscard]] std::vector<std::string> violations() const override { return {}; }

  void on_stopped(ReplicaId replica) override;
  void on_proposed(ReplicaId replica, const Proposal& proposal) override;
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;
  void on_arrived(ReplicaId from, ReplicaId to, Bytes bundle, bool taken) override;
  void on_executed(ReplicaId replica, const Command& command, Bytes reply) override;

 private:
  struct Life {
    CommandId id;
    ReplicaId owner;
    InstanceId instance;  // Slot 0: not known.
    int row = 0;          // Its row at its owner.
    Tick proposed_at = 0;
    Tick sent_at = 0;    // PreAccept; 0: not yet.
    Tick slow_at = 0;    // Accept.
    Tick commit_at = 0;  // Commit left its owner, or came to it.
    Tick end = 0;        // Executed at its owner.
    bool drawn = false;
    std::set<ReplicaId> executed;
  };
  /// A message about an instance: its type, the instance, from, to.
  using MessageKey = std::tuple<net::FrameType, InstanceId, ReplicaId, ReplicaId>;

  [[nodiscard]] bool watches() const { return open_ > 0 || lives_.size() < options_.commands_max; }
  [[nodiscard]] int process_of(ReplicaId replica) const { return processes_[replica.value()]; }
  /// Where a replica's messages and executions are shown.
  [[nodiscard]] Trace::Track messages_of(ReplicaId replica) const {
    return {process_of(replica), 1};
  }
  [[nodiscard]] Trace::Track track_of(const Life& life) const {
    return {process_of(life.owner), life.row};
  }
  [[nodiscard]] int take_row(ReplicaId owner);
  void give_row(const Life& life);
  template <class Visit>
  void read(ReplicaId to, Bytes bundle, Visit visit);
  void learn_instance(const net::Frame& frame, ReplicaId owner);
  void left(const net::Frame& frame, const InstanceId& id, ReplicaId from, ReplicaId to);
  void came(const net::Frame& frame, const InstanceId& id, ReplicaId from, ReplicaId to);
  void draw(Life& life, Tick end, bool has_ended);
  [[nodiscard]] Life* life_of(const CommandId& id);

  sim::Cluster& cluster_;
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
