#include "bench/wan/simulated_clients.h"

#include <cmath>
#include <utility>

#include "bench/wan/client_keys.h"

namespace epaxos::bench {

SimulatedClients::SimulatedClients(sim::Cluster& cluster, const FaultyWorld& world,
                                   const RunOptions& options, Recorder& recorder)
    : cluster_(cluster), world_(world), options_(options), recorder_(recorder) {
  for (std::size_t site = 0; site < world.placement().topology().site_count(); ++site) {
    writes_.push_back(std::make_unique<Writes>(keys_of(site, options)));
    arrivals_.push_back(sim::stream(options.seed, sim::Purpose::kWorkload, kSitesMax + 1 + site));
  }
  in_flight_.resize(writes_.size());
}

void SimulatedClients::start() {
  for (std::size_t site = 0; site < writes_.size(); ++site) {
    if (options_.open.is_on()) {
      start_open(site, static_cast<double>(cluster_.now()));
      continue;
    }
    sim::Random begins = beginnings_of(site, options_);
    for (std::size_t client = 0; client < options_.clients; ++client) {
      cluster_.at(cluster_.now() + begins.below(kSecond), [this, site] { send(site); });
    }
  }
}

void SimulatedClients::start_open(std::size_t site, double from_us) {
  const double time_us = from_us + interval_us(site);
  cluster_.at(static_cast<Tick>(time_us), [this, site, time_us] { send_open(site, time_us); });
}

void SimulatedClients::send_open(std::size_t site, double time_us) {
  if (stopped_) return;
  if (in_flight_[site] < options_.open.in_flight_max) {
    send(site);
  } else {
    recorder_.add_unsent(site, cluster_.now());
  }
  start_open(site, time_us);
}

/// Of a Poisson process: exponentially distributed.
double SimulatedClients::interval_us(std::size_t site) {
  const double mean = 1e6 / options_.open.rate;
  if (!options_.open.poisson) return mean;
  const double share = static_cast<double>(arrivals_[site].next() >> 11) * 0x1p-53;  // [0, 1)
  return -std::log1p(-share) * mean;
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
  ++in_flight_[site];
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
  --in_flight_[asked.site];
  if (recorder_.is_measured(asked.sent_at)) --unfinished_;
  if (options_.open.is_on()) return;
  after(asked.back_us + options_.think_us + (executed ? 0 : kPauseUs),
        [this, site = asked.site] { send(site); });
}

}  // namespace epaxos::bench
