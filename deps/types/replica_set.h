#pragma once

// Which members of the group: one bit a replica.

#include <cstdint>
#include <optional>

#include "deps/types/ids.h"

namespace epaxos {

/// A set of replicas.
class ReplicaSet {
 public:
  constexpr ReplicaSet() = default;
  static constexpr ReplicaSet all(int replica_count) {
    return ReplicaSet(static_cast<std::uint16_t>((1u << replica_count) - 1));
  }

  constexpr void add(ReplicaId replica) {
    bits_ = static_cast<std::uint16_t>(bits_ | bit(replica));
  }
  constexpr void add(ReplicaSet other) { bits_ = static_cast<std::uint16_t>(bits_ | other.bits_); }
  [[nodiscard]] constexpr bool contains(ReplicaId replica) const {
    return (bits_ & bit(replica)) != 0;
  }
  [[nodiscard]] constexpr ReplicaSet without(ReplicaSet other) const {
    return ReplicaSet(static_cast<std::uint16_t>(bits_ & ~other.bits_));
  }
  [[nodiscard]] constexpr ReplicaSet without(ReplicaId replica) const {
    return ReplicaSet(static_cast<std::uint16_t>(bits_ & ~bit(replica)));
  }
  [[nodiscard]] constexpr int size() const { return __builtin_popcount(bits_); }
  /// The member with the lowest number.
  [[nodiscard]] constexpr std::optional<ReplicaId> first() const {
    if (bits_ == 0) return std::nullopt;
    return ReplicaId(static_cast<std::uint16_t>(__builtin_ctz(bits_)));
  }
  [[nodiscard]] constexpr std::uint16_t bits() const { return bits_; }
  static constexpr ReplicaSet of_bits(std::uint16_t bits) { return ReplicaSet(bits); }
  static constexpr ReplicaSet only(ReplicaId replica) {
    return ReplicaSet(static_cast<std::uint16_t>(bit(replica)));
  }

  friend constexpr bool operator==(ReplicaSet, ReplicaSet) = default;

 private:
  constexpr explicit ReplicaSet(std::uint16_t bits) : bits_(bits) {}
  static constexpr unsigned bit(ReplicaId replica) { return 1u << replica.value(); }

  std::uint16_t bits_ = 0;
};

/// The smallest number of members such that any two groups of so many meet.
constexpr int majority_of(int replica_count) {
  return replica_count / 2 + 1;
}

}  // namespace epaxos
