#pragma once

// Names of things: replicas, slots, instances, ballots, commands. Each is its own type, so that a
// slot cannot be passed for a row. Plain values, ordered, printable.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace epaxos {

/// The largest group. Dependencies are kept inline with this many slots.
inline constexpr int kReplicasMax = 9;

/// A number that converts to no other number.
template <class Tag, class Rep>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  [[nodiscard]] constexpr Id next() const { return Id(static_cast<Rep>(value_ + 1)); }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Rep value_ = 0;
};

/// A member of the group: 0 .. replica_count - 1. Also names the row that it owns.
using ReplicaId = Id<struct ReplicaTag, std::uint16_t>;

/// The member at this place, counted from 0.
template <class Index>
constexpr ReplicaId replica_at(Index index) {
  return ReplicaId(static_cast<std::uint16_t>(index));
}

/// A position in a row (EPaxos) or in the log (Multi-Paxos). Slots start at 1; 0 means "none".
using Slot = Id<struct SlotTag, std::uint64_t>;

/// A group of replicas inside one process, and the epoch of its membership.
using GroupId = Id<struct GroupTag, std::uint16_t>;
using Epoch = Id<struct EpochTag, std::uint32_t>;

/// Microseconds on the host's monotonic clock, or virtual ones in the simulator.
using Tick = std::uint64_t;
inline constexpr Tick kSecond = 1'000'000;
inline constexpr Tick kNever = ~Tick{0};

/// The number of a batch of records, ascending from 1; 0 is "nothing was ever submitted".
using BatchNumber = std::uint64_t;

/// A cell of the instance space. Its row is its owner. Written R2.17.
struct InstanceId {
  ReplicaId row;
  Slot slot;

  friend constexpr auto operator<=>(const InstanceId&, const InstanceId&) = default;
};

std::string to_string(ReplicaId replica);
std::string to_string(const InstanceId& instance);
/// What to_string() made of an instance; nothing: it is no such name.
std::optional<InstanceId> instance_from(std::string_view name);

/// A proposal number of one instance. Round 0 is the owner's first round; recoverers use rounds
/// from 1, and no two replicas share one. Source: protocol.md 4.4.
struct Ballot {
  std::uint64_t round = 0;
  ReplicaId replica;

  friend constexpr auto operator<=>(const Ballot&, const Ballot&) = default;

  /// round * 2^16 + replica + 1, and 0 for the first round of every owner.
  [[nodiscard]] constexpr std::uint64_t packed() const {
    return round == 0 ? 0 : (round << 16) + replica.value() + 1;
  }
  [[nodiscard]] static constexpr Ballot from_packed(std::uint64_t packed) {
    if (packed == 0) return {};
    return {packed >> 16, ReplicaId(static_cast<std::uint16_t>((packed & 0xffff) - 1))};
  }
};
inline constexpr Ballot kInitialBallot{};
inline constexpr std::uint64_t kBallotRoundMax = (std::uint64_t{1} << 47) - 1;

std::string to_string(const Ballot& ballot);

/// A client's request: the same on every retry. Session 0 does not exist.
struct CommandId {
  std::uint64_t session = 0;
  std::uint64_t number = 0;

  friend constexpr auto operator<=>(const CommandId&, const CommandId&) = default;
};

/// Mixes 64 bits (the finaliser of splitmix64); for hash tables, and for seeds of streams.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace epaxos

template <>
struct std::hash<epaxos::InstanceId> {
  std::size_t operator()(const epaxos::InstanceId& id) const noexcept {
    return epaxos::mix64(id.slot.value() * 16 + id.row.value());
  }
};
