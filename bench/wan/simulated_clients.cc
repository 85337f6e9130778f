#include "bench/wan/simulated_clients.h"

#include <utility>

#include "bench/wan/client_keys.h"

namespace epaxos::bench {

SimulatedClients::SimulatedClients(sim::Cluster& cluster, const FaultyWorld& world,
                                   const SimulationOptions& options, Recorder& recorder)
    : cluster_(cluster), world_(world), options_(options), recorder_(recorder) {
  for (std::size_t site = 0; site < world.placement().topology().site_count(); ++site) {
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
  if (stopped_) return;
  const Placement& placement = world_.placement();
  const Asked asked{site, placement.nearest(site), cluster_.now(), placement.from_nearest_us(site)};
  if (recorder_.is_measured(asked.sent_at)) ++unfinished_;
  after(placement.to_nearest_us(site), [this, asked] { propose(asked); });
}

void SimulatedClients::propose(const Asked& asked) {
  cluster_.propose(asked.replica, writes_[asked.site]->next().payload,
                   [this, asked](const Outcome& outcome) { ended(asked, outcome); });
}

void SimulatedClients::ended(const Asked& asked, const Outcome& outcome) {
  const bool executed = outcome.kind == OutcomeKind::kExecuted;
  const Tick latency = cluster_.now() - asked.sent_at + asked.back_us;
  recorder_.add({.sent_us = asked.sent_at,
                 .execution_us = latency,
                 .commit_us = executed ? latency - outcome.execution_wait_us : 0,
                 .site = static_cast<std::uint32_t>(asked.site),
                 .executed = executed});
  if (recorder_.is_measured(asked.sent_at)) --unfinished_;
  after(asked.back_us + options_.think_us + (executed ? 0 : kPauseUs),
        [this, site = asked.site] { send(site); });
}

}  // namespace epaxos::bench
