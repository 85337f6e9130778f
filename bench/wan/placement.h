#pragma once

// Which sites of a topology have a replica, which of these are down, and whom the clients of each
// site ask: the nearest replica that lives.

#include <cstddef>
#include <string>
#include <vector>

#include "bench/wan/topology.h"
#include "deps/types/replica_set.h"

namespace epaxos::bench {

class Placement {
 public:
  /// Replica i stands at `replica_sites[i]`. The topology outlives it.
  /// Precondition: 1 .. 9 distinct sites; one of them lives.
  Placement(const Topology& topology, std::vector<std::size_t> replica_sites, ReplicaSet down = {});

  /// As options say it: replicas at the sites of these names, or at all sites if there are none.
  /// Errors: invalid argument - unknown, named twice, or too many sites.
  static Result<Placement> at(const Topology& topology, const std::vector<std::string>& replicas);
  /// The same with these sites down. Errors: invalid argument - no replica there, or no majority is
  /// left.
  [[nodiscard]] Result<Placement> without(const std::vector<std::string>& down) const;

  /// The same with these replicas down. Precondition: one is left.
  [[nodiscard]] Placement without(ReplicaSet down) const {
    return Placement(*topology_, replica_sites_, down);
  }

  [[nodiscard]] const Topology& topology() const { return *topology_; }
  [[nodiscard]] int replica_count() const { return static_cast<int>(replica_sites_.size()); }
  [[nodiscard]] ReplicaSet all() const { return ReplicaSet::all(replica_count()); }
  [[nodiscard]] ReplicaSet down() const { return down_; }
  [[nodiscard]] ReplicaSet living() const { return all().without(down_); }
  [[nodiscard]] std::size_t site_of(ReplicaId replica) const {
    return replica_sites_[replica.value()];
  }
  [[nodiscard]] const std::string& name_of(ReplicaId replica) const {
    return topology_->site(site_of(replica));
  }
  /// Errors: invalid argument - there is no replica at this site.
  [[nodiscard]] Result<ReplicaId> replica_at_site(std::string_view site) const;

  /// 0 from a replica to itself, whatever passes within its site.
  [[nodiscard]] Tick one_way_us(ReplicaId from, ReplicaId to) const {
    return from == to ? 0 : topology_->one_way_us(site_of(from), site_of(to));
  }
  [[nodiscard]] Tick round_trip_us(ReplicaId one, ReplicaId other) const {
    return one_way_us(one, other) + one_way_us(other, one);
  }

  /// Whom the clients of a site ask.
  [[nodiscard]] ReplicaId nearest(std::size_t site) const { return nearest_[site]; }
  /// From a client there to its replica, and back.
  [[nodiscard]] Tick to_nearest_us(std::size_t site) const {
    return topology_->one_way_us(site, site_of(nearest(site)));
  }
  [[nodiscard]] Tick from_nearest_us(std::size_t site) const {
    return topology_->one_way_us(site_of(nearest(site)), site);
  }

 private:
  [[nodiscard]] ReplicaId nearest_that_lives(std::size_t site) const;

  const Topology* topology_;
  std::vector<std::size_t> replica_sites_;
  ReplicaSet down_;
  std::vector<ReplicaId> nearest_;  // By site.
};

/// The names of the sites of these replicas: "VA, CA".
std::string names_of(const Placement& placement, ReplicaSet replicas);

/// Calls `visit` with every member, the lowest number first.
template <class Visit>
void for_each_member(ReplicaSet set, Visit visit) {
  for (; set.first(); set = set.without(*set.first())) visit(*set.first());
}
std::vector<ReplicaId> members_of(ReplicaSet set);

}  // namespace epaxos::bench
