#pragma once

// Chance with an address: one stream for each purpose and entity, all from one seed. Taking one
// fault out of a run leaves the chance of all others as it was, which is what makes a failing run
// reducible. Whole numbers only, so that every compiler draws the same. Source: reliability.md 3.2.

#include <array>
#include <bit>
#include <cstdint>

#include "deps/types/check.h"
#include "deps/types/ids.h"

namespace epaxos::sim {

/// xoshiro256** by Blackman and Vigna (public domain), seeded by splitmix64.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) word = mix64(seed++);
  }

  constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// 0 .. limit - 1; 0 for an empty range. The bias of the multiplication is below 2^-32 here.
  constexpr std::uint64_t below(std::uint64_t limit) {
    if (limit >> 32 != 0) return next() % limit;
    return (next() >> 32) * limit >> 32;
  }

  /// Both ends included.
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    check(least <= most, "a random number was drawn from an empty range");
    return least + below(most - least + 1);
  }

  /// True `parts_per_million` times in a million. Draws only when there is a choice.
  constexpr bool chance(std::uint64_t parts_per_million) {
    return parts_per_million > 0 && below(1'000'000) < parts_per_million;
  }

  /// An exponential distribution with this mean, cut at 22 times the mean.
  constexpr std::uint64_t exponential(std::uint64_t mean) {
    if (mean == 0) return 0;
    // -ln(u) = -log2(u) * ln(2), in steps of 2^-16.
    const std::uint64_t u = (next() >> 32) | 1;
    const std::uint64_t nats = (std::uint64_t{32} * 65536 - log2_16(u)) * 45426 >> 16;
    return mean * nats >> 16;
  }

 private:
  /// log2(x) * 2^16 for 1 <= x < 2^32, a straight line between powers of two: at most 9 % of an
  /// octave off, which no fault plan can tell.
  static constexpr std::uint64_t log2_16(std::uint64_t x) {
    const auto octave = static_cast<std::uint64_t>(std::bit_width(x)) - 1;
    const std::uint64_t fraction = ((x << 16) >> octave) - 65536;
    return octave * 65536 + fraction;
  }

  std::array<std::uint64_t, 4> state_{};
};

enum class Purpose : std::uint8_t {
  kNetwork,
  kDisk,
  kCrash,
  kClock,
  kWorkload,
  kSchedule,
  kConfiguration,
};

/// The stream of one purpose and entity (a replica, a directed link, ...) of a run.
constexpr Random stream(std::uint64_t seed, Purpose purpose, std::uint64_t entity) {
  return Random(mix64(mix64(seed) + (static_cast<std::uint64_t>(purpose) << 32) + entity));
}

}  // namespace epaxos::sim
