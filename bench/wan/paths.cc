#include "bench/wan/paths.h"

#include "deps/types/check.h"

namespace epaxos::bench {

std::optional<double> slow_share(const std::optional<Paths>& before,
                                 const std::optional<Paths>& after) {
  if (!before || !after) return std::nullopt;
  check(after->fast >= before->fast, "commands on the fast path are not taken back");
  check(after->slow >= before->slow, "commands on the slow path are not taken back");
  const auto fast = static_cast<double>(after->fast - before->fast);
  const auto slow = static_cast<double>(after->slow - before->slow);
  if (fast + slow == 0) return std::nullopt;
  return slow / (fast + slow);
}

void PathsOfLives::ended(ReplicaId replica, const std::optional<Paths>& counted) {
  Ended& ended = ended_[replica.value()];
  ended.is_known = ended.is_known && counted.has_value();
  if (!counted) return;
  ended.counted.fast += counted->fast;
  ended.counted.slow += counted->slow;
}

std::optional<Paths> PathsOfLives::sum(ReplicaId replica, const Paths& now) const {
  const Ended& ended = ended_[replica.value()];
  if (!ended.is_known) return std::nullopt;
  return Paths{ended.counted.fast + now.fast, ended.counted.slow + now.slow};
}

}  // namespace epaxos::bench
