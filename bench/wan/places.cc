#include "bench/wan/places.h"

#include <algorithm>
#include <utility>

#include "bench/wan/bounds.h"

namespace epaxos::bench {
namespace {

using compare::paxos::Quorums;

constexpr std::size_t kCandidatesKept = 3;
/// Some seconds.
constexpr double kWaysMax = 1e6;

double ways(std::size_t sites, int replicas) {
  double product = 1;
  for (int i = 0; i < replicas; ++i) {
    product *= static_cast<double>(sites - static_cast<std::size_t>(i)) / (i + 1);
  }
  return product;
}

/// The next way to choose places.size() of `n` in the order of a dictionary. False: it was the
/// last.
bool next_way(std::vector<std::size_t>& places, std::size_t n) {
  const std::size_t k = places.size();
  for (std::size_t i = k; i-- > 0;) {
    if (places[i] == n - k + i) continue;
    ++places[i];
    for (std::size_t j = i + 1; j < k; ++j) places[j] = places[j - 1] + 1;
    return true;
  }
  return false;
}

Candidate judged(const Topology& topology, const std::vector<std::size_t>& replica_sites) {
  const Placement placement(topology, replica_sites);
  const Quorums majorities = Quorums::majorities(placement.replica_count());
  Candidate candidate{replica_sites, epaxos_fast_path(placement).mean_us(), 0, {}};
  for_each_member(placement.all(), [&](ReplicaId leader) {
    const double mean = by_leader(placement, leader, majorities).mean_us();
    if (leader != ReplicaId(0) && mean >= candidate.leader_us) return;
    candidate.leader_us = mean;
    candidate.leader = leader;
  });
  return candidate;
}

void keep_if_good(std::vector<Candidate>& kept, const Candidate& candidate,
                  double Candidate::*criterion) {
  // Of equals the first stays in front.
  const auto place = std::ranges::upper_bound(kept, candidate.*criterion, {}, criterion);
  kept.insert(place, candidate);
  if (kept.size() > kCandidatesKept) kept.pop_back();
}

}  // namespace

Result<Topology> only(const Topology& topology, const std::vector<std::string>& sites) {
  if (sites.empty()) return topology;
  std::vector<std::size_t> kept;
  for (const std::string& name : sites) {
    const Result<std::size_t> site = topology.find(name);
    if (!site) return fail(site.error());
    if (std::ranges::find(kept, *site) != kept.end()) {
      return fail(ErrorCode::kInvalidArgument, "--sites names " + name + " twice. Name it once.");
    }
    kept.push_back(*site);
  }
  std::vector<Tick> one_way_us;
  for (const std::size_t from : kept) {
    for (const std::size_t to : kept) one_way_us.push_back(topology.one_way_us(from, to));
  }
  return Topology(topology.name(), topology.source(), sites, std::move(one_way_us));
}

Result<Best> best_placements(const Topology& topology, int replicas) {
  const std::size_t n = topology.site_count();
  if (static_cast<std::size_t>(replicas) > n) {
    return fail(ErrorCode::kInvalidArgument, "--place " + std::to_string(replicas) + ", but " +
                                                 topology.name() + " has " + std::to_string(n) +
                                                 " sites. Place fewer replicas.");
  }
  if (ways(n, replicas) > kWaysMax) {
    return fail(ErrorCode::kInvalidArgument,
                "There are over a million ways to place " + std::to_string(replicas) +
                    " replicas at " + std::to_string(n) + " sites. Name fewer with --sites.");
  }
  Best best;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < static_cast<std::size_t>(replicas); ++i) places.push_back(i);
  do {
    const Candidate candidate = judged(topology, places);
    keep_if_good(best.for_epaxos, candidate, &Candidate::epaxos_us);
    keep_if_good(best.for_leader, candidate, &Candidate::leader_us);
  } while (next_way(places, n));
  return best;
}

Result<Places> places_of(const PlaceOptions& options) {
  if (options.place > 0 && !options.replicas.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "--place chooses the sites of the replicas, and so does --replicas. Leave one of "
                "them out.");
  }
  const Result<Topology> whole = Topology::load(options.topology);
  if (!whole) return fail(whole.error());
  Result<Topology> chosen = only(*whole, options.sites);
  if (!chosen) return fail(chosen.error());
  auto topology = std::make_unique<const Topology>(*std::move(chosen));
  Best best;
  std::vector<std::string> replicas = options.replicas;
  if (options.place > 0) {
    Result<Best> found = best_placements(*topology, options.place);
    if (!found) return fail(found.error());
    best = *std::move(found);
    for (const std::size_t site : best.for_epaxos.front().replica_sites) {
      replicas.push_back(topology->site(site));
    }
  }
  Result<Placement> placement = Placement::at(*topology, replicas);
  if (!placement) return fail(placement.error());
  return Places{std::move(topology), *std::move(placement), std::move(best)};
}

}  // namespace epaxos::bench
