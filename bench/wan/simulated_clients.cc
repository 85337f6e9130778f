#include "bench/wan/simulated_clients.h"

#include <utility>

namespace epaxos::bench {

SimulatedClients::SimulatedClients(sim::Cluster& cluster, const FaultyWorld& world,
                                   const RunOptions& options, Recorder& recorder)
    : cluster_(cluster),
      world_(world),
      options_(options),
      recorder_(recorder),
      commands_(world.placement().topology().site_count(), options, inserted_),
      in_flight_(commands_.sites()) {
}

void SimulatedClients::start() {
  for (std::size_t site = 0; site < commands_.sites(); ++site) {
    if (options_.open.is_on()) {
      arrivals_.push_back(arrivals_of(site, options_, cluster_.now()));
      schedule(site);
      continue;
    }
    sim::Random begins = beginnings_of(site, options_);
    for (std::size_t client = 0; client < options_.clients; ++client) {
      cluster_.at(cluster_.now() + begins.below(kSecond), [this, site] { send(site); });
    }
  }
}

void SimulatedClients::schedule(std::size_t site) {
  cluster_.at(arrivals_[site].next(), [this, site] { send_open(site); });
}

void SimulatedClients::send_open(std::size_t site) {
  if (stopped_) return;
  if (in_flight_[site] < options_.open.in_flight_max) {
    send(site);
  } else if (recorder_.is_measured(cluster_.now())) {
    recorder_.add_unsent(site, 1);
  }
  schedule(site);
}

template <class Action>
void SimulatedClients::after(Tick us, Action action) {
  if (us == 0) return action();
  cluster_.at(cluster_.now() + us, std::move(action));
}

void SimulatedClients::send(std::size_t site) {
  if (!stopped_) send(site, commands_.next(site));
}

void SimulatedClients::send(std::size_t site, MixedCommand command) {
  if (stopped_) return;
  const Placement& placement = world_.placement();
  Asked asked{site, placement.nearest(site), cluster_.now(), placement.from_nearest_us(site),
              std::move(command)};
  ++in_flight_[site];
  if (recorder_.is_measured(asked.sent_at)) ++unfinished_;
  after(placement.to_nearest_us(site), [this, asked = std::move(asked)] { propose(asked); });
}

void SimulatedClients::propose(const Asked& asked) {
  cluster_.propose(asked.replica, asked.command.payload,
                   [this, asked](const Outcome& outcome) { ended(asked, outcome); });
}

void SimulatedClients::ended(const Asked& asked, const Outcome& outcome) {
  const bool executed = outcome.kind == OutcomeKind::kExecuted;
  const Tick latency = cluster_.now() - asked.sent_at + asked.back_us;
  recorder_.add({.sent_us = asked.sent_at,
                 .execution_us = latency,
                 .commit_us = executed ? latency - outcome.execution_wait_us : 0,
                 .site = static_cast<std::uint32_t>(asked.site),
                 .executed = executed,
                 .reads = asked.command.reads});
  --in_flight_[asked.site];
  if (recorder_.is_measured(asked.sent_at)) --unfinished_;
  if (executed) commands_.executed(asked.command);
  if (executed && !asked.command.then.empty()) {
    return after(asked.back_us, [this, site = asked.site, write = asked.command.then] {
      send(site, {.payload = write});
    });
  }
  if (options_.open.is_on()) return;
  after(asked.back_us + options_.think_us + (executed ? 0 : kPauseUs),
        [this, site = asked.site] { send(site); });
}

}  // namespace epaxos::bench
