#include "epaxos/programs/cluster_trace.h"

#include "net/bundle.h"

namespace epaxos {

ClusterTrace::ClusterTrace(sim::Cluster& cluster, const CommandTraceOptions& options, Trace& trace)
    : cluster_(cluster), is_epaxos_(options.is_epaxos), commands_(cluster.size(), options, trace) {
}

void ClusterTrace::end() {
  commands_.end(cluster_.now());
}

void ClusterTrace::on_stopped(ReplicaId replica) {
  commands_.take({.at = cluster_.now(), .kind = TraceEvent::Kind::kStopped, .replica = replica});
}

void ClusterTrace::on_proposed(ReplicaId replica, const Proposal& proposal) {
  commands_.take({.at = cluster_.now(),
                  .kind = TraceEvent::Kind::kProposed,
                  .replica = replica,
                  .command = proposal.command.id});
}

template <class Visit>
void ClusterTrace::read(ReplicaId to, Bytes bundle, Visit visit) {
  if (!is_epaxos_ || !commands_.watches()) return;
  net::BundleReader reader(cluster_.at_replica(to).identity(), cluster_.size());
  if (reader.open(bundle)) return;  // Damaged on its way, or for an earlier life.
  for (net::Frame frame; reader.next(frame);) {
    const auto instance = traced_instance(frame, cluster_.size());
    if (instance) visit(frame, *instance);
  }
}

void ClusterTrace::on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk&) {
  read(to, bundle, [&](const net::Frame& frame, const InstanceId& instance) {
    TraceEvent event{
        cluster_.now(), TraceEvent::Kind::kInstance, frame.type, from, to, instance, {}};
    if (instance.row == from) {
      for (const CommandId& id : proposed_commands(frame, cluster_.size())) {
        event.command = id;
        commands_.take(event);
      }
    }
    event.kind = TraceEvent::Kind::kSent;
    commands_.take(event);
  });
}

void ClusterTrace::on_arrived(ReplicaId from, ReplicaId to, Bytes bundle, bool taken) {
  read(to, bundle, [&](const net::Frame& frame, const InstanceId& instance) {
    const TraceEvent::Kind kind = taken ? TraceEvent::Kind::kArrived : TraceEvent::Kind::kLost;
    commands_.take({cluster_.now(), kind, frame.type, from, to, instance, {}});
  });
}

void ClusterTrace::on_executed(ReplicaId replica, const Command& command, Bytes) {
  commands_.take({.at = cluster_.now(),
                  .kind = TraceEvent::Kind::kExecuted,
                  .replica = replica,
                  .command = command.id});
}

void ClusterTrace::on_read(ReplicaId replica, const Command& command, Bytes reply) {
  on_executed(replica, command, reply);
}

}  // namespace epaxos
