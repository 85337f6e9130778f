#include "bench/wan/simulated_faults.h"

#include "bench/wan/client_keys.h"

namespace epaxos::bench {

SimulatedFaults::SimulatedFaults(const std::vector<Fault>& faults, const Placement& placement,
                                 sim::Cluster& cluster)
    : faults_(faults), cluster_(cluster), world_(placement), lives_(placement.replica_count()) {
  set_links();
}

void SimulatedFaults::plan(Tick from, Tick to) {
  if (faults_.empty()) return;
  for (const Fault& fault : faults_) {
    cluster_.at(from + fault.at_us, [this, from] { happen(from); });
  }
  cluster_.at(to, [this] {
    world_.heal();
    set_links();
  });
}

void SimulatedFaults::happen(Tick from) {
  while (next_ < faults_.size() && from + faults_[next_].at_us <= cluster_.now()) {
    happens(faults_[next_++]);
  }
}

void SimulatedFaults::happens(const Fault& fault) {
  world_.apply(fault);
  set_links();
  if (fault.kind == Fault::Kind::kKill) {
    lives_.ended(fault.one, paths_of_life(fault.one));
    cluster_.kill(fault.one);
  }
  if (fault.kind == Fault::Kind::kRestart) {
    cluster_.restart(fault.one);
    ask_until_it_answers(fault.one);
  }
}

void SimulatedFaults::ask_until_it_answers(ReplicaId replica) {
  if (!cluster_.alive(replica)) return;
  cluster_.propose(replica, first_command(), [this, replica](const Outcome& outcome) {
    if (outcome.kind == OutcomeKind::kExecuted) return world_.answers_again(replica);
    if (outcome.kind == OutcomeKind::kUnknown) return;
    cluster_.at(cluster_.now() + kPauseUs, [this, replica] { ask_until_it_answers(replica); });
  });
}

std::vector<std::optional<Paths>> SimulatedFaults::paths() const {
  std::vector<std::optional<Paths>> paths;
  for (const ReplicaId replica : cluster_.replicas()) {
    paths.push_back(lives_.sum(replica, paths_of_life(replica)));
  }
  return paths;
}

Paths SimulatedFaults::paths_of_life(ReplicaId replica) const {
  Paths paths;
  if (!cluster_.alive(replica)) return paths;
  for (const Counter& counter : cluster_.status(replica).counters) {
    if (counter.name == "fast_path") paths.fast += counter.value;
    if (counter.name.starts_with("slow_path")) paths.slow += counter.value;
  }
  return paths;
}

void SimulatedFaults::set_links() {
  sim::VirtualNetwork& network = cluster_.network();
  const ReplicaSet all = world_.placement().all();
  for_each_member(all, [&](ReplicaId from) {
    for_each_member(all, [&](ReplicaId to) {
      network.link(from, to).delay_us = world_.one_way_us(from, to);
      network.link(from, to).cut = world_.is_cut(from, to);
    });
  });
}

}  // namespace epaxos::bench
