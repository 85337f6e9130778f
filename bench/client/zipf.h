#pragma once

// Ranks by Zipf's law: the i-th most frequent of n items is asked for in proportion to 1 / i^theta.
// The generator is the one of Gray et al., "Quickly Generating Billion-Record Synthetic Databases",
// SIGMOD 1994, which YCSB uses too: exact for the two most frequent items, a close curve for the
// others. Items are not scrambled. Other generators with an exponent above 1 (Go's rand.Zipf) give
// other loads.

#include <cstdint>

namespace epaxos::bench {

class Zipf {
 public:
  /// Precondition: there are items, and 0 < theta < 1. Cost: that of zeta().
  Zipf(std::uint64_t items, double theta);

  /// The rank, from 0 for the most frequent item, of a number that is drawn evenly from [0, 1).
  /// Cost: O(1).
  [[nodiscard]] std::uint64_t rank_of(double share) const;

  /// 1 / 1^theta + ... + 1 / items^theta, to twelve digits. Cost: at most 10000 terms, however many
  /// items.
  static double zeta(std::uint64_t items, double theta);

 private:
  const std::uint64_t items_;
  const double zeta_;
  const double first_two_;  // zeta() of two items.
  const double alpha_;
  const double eta_;
};

}  // namespace epaxos::bench
