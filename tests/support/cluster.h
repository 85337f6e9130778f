#pragma once

// Words for tests that run a whole virtual cluster of the real protocol over the reference
// key-value machine.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "epaxos/sim/cluster.h"
#include "epaxos/sim/key_value_load.h"

namespace epaxos::testing {

inline constexpr ReplicaId kA{0};
inline constexpr ReplicaId kB{1};
inline constexpr ReplicaId kC{2};
inline constexpr ReplicaId kD{3};
inline constexpr ReplicaId kE{4};

/// Links that lose, repeat and reorder.
sim::LinkConditions bad_links(std::uint32_t loss_ppm = 300'000,
                              std::uint32_t duplicate_ppm = 200'000);

using sim::Outcomes;
using Load = sim::KeyValueLoad;

/// A cluster of the real protocol over the key-value machine.
class KeyValueCluster : public sim::Cluster {
 public:
  explicit KeyValueCluster(const sim::ClusterConfig& config);
  KeyValueCluster(int replica_count, std::uint64_t seed);

  /// Proposes and counts the outcome.
  void put(ReplicaId at, std::string_view key, std::string_view value);
  [[nodiscard]] const Outcomes& outcomes() const { return outcomes_; }
  /// What a replica holds; "" when nothing.
  [[nodiscard]] std::string value(ReplicaId at, std::string_view key);

 private:
  Outcomes outcomes_;
};

}  // namespace epaxos::testing
