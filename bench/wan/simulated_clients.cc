#include "bench/wan/simulated_clients.h"

#include <utility>

namespace epaxos::bench {
namespace {

/// After a refusal, so that a replica in trouble is not flooded.
constexpr Tick kPauseUs = 50'000;
/// So many keys of its own a site has for each client: none is written twice at the same time.
constexpr std::size_t kKeysOfAClient = 4;

}  // namespace

SimulatedClients::SimulatedClients(sim::Cluster& cluster, const Placement& placement,
                                   const SimulationOptions& options,
                                   std::vector<SiteLatency>& sites)
    : cluster_(cluster), placement_(placement), options_(options), sites_(sites) {
  for (std::size_t site = 0; site < placement.topology().site_count(); ++site) {
    KeyChoice keys;
    keys.prefix = "site" + std::to_string(site) + "-";
    keys.hot_percent = options.conflict_percent;
    keys.value_bytes = options.value_bytes;
    keys.own_keys = kKeysOfAClient * options.clients;
    keys.seed = sim::stream(options.seed, sim::Purpose::kWorkload, site).next();
    writes_.push_back(std::make_unique<Writes>(keys));
  }
}

void SimulatedClients::start(Tick from, Tick to) {
  from_ = from;
  to_ = to;
  sim::Random begins = sim::stream(options_.seed, sim::Purpose::kWorkload, kSitesMax);
  for (std::size_t site = 0; site < writes_.size(); ++site) {
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
  if (sent_at >= from_ && sent_at < to_) ++unfinished_;
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
  if (sent_at >= from_ && sent_at < to_) {
    --unfinished_;
    SiteLatency& seen = sites_[site];
    if (executed) {
      const Tick latency = cluster_.now() - sent_at + back;
      seen.execution_us.add(latency);
      seen.commit_us.add(latency - outcome.execution_wait_us);
    } else {
      ++seen.failed;
    }
  }
  after(back + options_.think_us + (executed ? 0 : kPauseUs), [this, site] { send(site); });
}

}  // namespace epaxos::bench
