#pragma once

// Which paths commands took, by the counters of the replica that decided them. A core counts from 0
// in every life, so that of a replica that is restarted the lives are added: sums only grow.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "deps/types/ids.h"

namespace epaxos::bench {

/// What core counters say of the paths that commands took.
struct Paths {
  std::uint64_t fast = 0;
  std::uint64_t slow = 0;

  friend bool operator==(const Paths&, const Paths&) = default;
};

/// Of what was decided between the two. None: nothing was, or one of them is not known.
std::optional<double> slow_share(const std::optional<Paths>& before,
                                 const std::optional<Paths>& after);

/// The lives of all replicas of a run.
class PathsOfLives {
 public:
  explicit PathsOfLives(int replica_count) : ended_(static_cast<std::size_t>(replica_count)) {}

  /// A life is over, in which so much was counted; none: nobody knows.
  void ended(ReplicaId replica, const std::optional<Paths>& counted);
  /// Of all lives, when the present one has counted so much; none: of an earlier one nobody knows.
  [[nodiscard]] std::optional<Paths> sum(ReplicaId replica, const Paths& now) const;

 private:
  struct Ended {
    Paths counted;
    bool is_known = true;
  };
  std::vector<Ended> ended_;  // By replica.
};

}  // namespace epaxos::bench
