#include "bench/wan/placement.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::bench {

Placement::Placement(const Topology& topology, std::vector<std::size_t> replica_sites,
                     ReplicaSet down)
    : topology_(&topology), replica_sites_(std::move(replica_sites)), down_(down) {
  check(!replica_sites_.empty() && replica_sites_.size() <= std::size_t{kReplicasMax},
        "a group has 1 .. 9 replicas");
  check(living().size() > 0, "somebody must be left to ask");
  nearest_.reserve(topology.site_count());
  for (std::size_t site = 0; site < topology.site_count(); ++site) {
    nearest_.push_back(nearest_that_lives(site));
  }
}

Result<Placement> Placement::at(const Topology& topology,
                                const std::vector<std::string>& replicas) {
  std::vector<std::size_t> sites;
  for (const std::string& name : replicas) {
    const Result<std::size_t> site = topology.find(name);
    if (!site) return fail(site.error());
    if (std::ranges::find(sites, *site) != sites.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  "--replicas names " + name + " twice. A site has at most one replica.");
    }
    sites.push_back(*site);
  }
  if (replicas.empty()) {
    sites.resize(topology.site_count());
    std::iota(sites.begin(), sites.end(), std::size_t{0});
  }
  if (sites.size() > std::size_t{kReplicasMax}) {
    const std::string count = std::to_string(sites.size());
    return fail(ErrorCode::kInvalidArgument,
                (replicas.empty() ? topology.name() + " has " + count + " sites"
                                  : "--replicas names " + count + " sites") +
                    ", and a group has at most 9 replicas. Choose with --replicas A,B,C, or have "
                    "--place 5 choose.");
  }
  return Placement(topology, std::move(sites));
}

Result<Placement> Placement::without(const std::vector<std::string>& down) const {
  ReplicaSet lost = down_;
  for (const std::string& name : down) {
    const Result<ReplicaId> replica = replica_at_site(name);
    if (!replica) return fail(replica.error());
    if (lost.contains(*replica)) {
      return fail(ErrorCode::kInvalidArgument, "--down names " + name + " twice. Name it once.");
    }
    lost.add(*replica);
  }
  if (all().without(lost).size() >= majority_of(replica_count())) {
    return without(lost);
  }
  return fail(ErrorCode::kInvalidArgument,
              "With " + names_of(*this, lost) + " down, no majority of the " +
                  std::to_string(replica_count()) +
                  " replicas is left and nothing is decided. Name fewer with --down.");
}

Result<ReplicaId> Placement::replica_at_site(std::string_view name) const {
  const Result<std::size_t> site = topology_->find(name);
  if (!site) return fail(site.error());
  const auto found = std::ranges::find(replica_sites_, *site);
  if (found != replica_sites_.end()) return replica_at(found - replica_sites_.begin());
  return fail(ErrorCode::kInvalidArgument, "There is no replica at " + std::string(name) +
                                               ". They are at " + names_of(*this, all()) + ".");
}

ReplicaId Placement::nearest_that_lives(std::size_t site) const {
  ReplicaId best;
  Tick least = kNever;
  for_each_member(living(), [&](ReplicaId replica) {
    // At home whatever passes within the site.
    const Tick distance =
        site_of(replica) == site ? 0 : topology_->round_trip_us(site, site_of(replica));
    if (distance >= least) return;
    least = distance;
    best = replica;
  });
  return best;
}

std::string names_of(const Placement& placement, ReplicaSet replicas) {
  std::string names;
  for (const ReplicaId replica : members_of(replicas)) {
    names += (names.empty() ? "" : ", ") + placement.name_of(replica);
  }
  return names;
}

std::vector<ReplicaId> members_of(ReplicaSet set) {
  std::vector<ReplicaId> members;
  for_each_member(set, [&members](ReplicaId replica) { members.push_back(replica); });
  return members;
}

}  // namespace epaxos::bench
