#pragma once

// Watches a virtual cluster and draws the lives of its first commands into a trace.

#include <string_view>

#include "epaxos/programs/command_trace.h"
#include "epaxos/sim/cluster.h"

namespace epaxos {

class ClusterTrace final : public sim::Checker {
 public:
  /// Both outlive it.
  ClusterTrace(sim::Cluster& cluster, const CommandTraceOptions& options, Trace& trace);
  /// See CommandTrace::end().
  void end();

  [[nodiscard]] std::string_view name() const override { return "trace"; }
  [[nodiscard]] std::vector<std::string> violations() const override { return {}; }

  void on_stopped(ReplicaId replica) override;
  void on_proposed(ReplicaId replica, const Proposal& proposal) override;
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;
  void on_arrived(ReplicaId from, ReplicaId to, Bytes bundle, bool taken) override;
  void on_executed(ReplicaId replica, const Command& command, Bytes reply) override;
  void on_read(ReplicaId replica, const Command& command, Bytes reply) override;

 private:
  template <class Visit>
  void read(ReplicaId to, Bytes bundle, Visit visit);

  sim::Cluster& cluster_;
  const bool is_epaxos_;
  CommandTrace commands_;
};

}  // namespace epaxos
