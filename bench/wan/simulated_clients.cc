#include "bench/wan/simulated_clients.h"

#include <utility>

#include "bench/wan/client_keys.h"

namespace epaxos::bench {

SimulatedClients::SimulatedClients(sim::Cluster& cluster, const Placement& placement,
                                   const SimulationOptions& options, Recorder& recorder)
    : cluster_(cluster), placement_(placement), options_(options), recorder_(recorder) {
  for (std::size_t site = 0; site < placement.topology().site_count(); ++site) {
    writes_.push_back(std::make_unique<Writes>(keys_of(site, options)));
  }
}

void SimulatedClients::start() {
  for (std::size_t site = 0; site < writes_.size(); ++site) {
    sim::Random begins = beginnings_of(site, options_);
    for (std::size_t client = 0; client < options_.clients; ++client) {
      cluster_.at(cluster_.now() + begins.below(kSecond), [this, site] { send(site); });
    }
  }
}

template <class Action>
void SimulatedClients::after(Tick us, Action action) {
  if (us == 0) return action();
  cluster_.at(cluster_.now() + us, std::move(action));
}

void SimulatedClients::send(std::size_t site) {
  const Tick sent_at = cluster_.now();
  if (recorder_.is_measured(sent_at)) ++unfinished_;
  after(placement_.to_nearest_us(site), [this, site, sent_at] { propose(site, sent_at); });
}

void SimulatedClients::propose(std::size_t site, Tick sent_at) {
  cluster_.propose(
      placement_.nearest(site), writes_[site]->next().payload,
      [this, site, sent_at](const Outcome& outcome) { ended(site, sent_at, outcome); });
}

void SimulatedClients::ended(std::size_t site, Tick sent_at, const Outcome& outcome) {
  const Tick back = placement_.from_nearest_us(site);
  const bool executed = outcome.kind == OutcomeKind::kExecuted;
  const Tick latency = cluster_.now() - sent_at + back;
  recorder_.add({.sent_us = sent_at,
                 .execution_us = latency,
                 .commit_us = executed ? latency - outcome.execution_wait_us : 0,
                 .site = static_cast<std::uint32_t>(site),
                 .executed = executed});
  if (recorder_.is_measured(sent_at)) --unfinished_;
  after(back + options_.think_us + (executed ? 0 : kPauseUs), [this, site] { send(site); });
}

}  // namespace epaxos::bench
