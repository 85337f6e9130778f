#pragma once

// A set of small numbers, a bit each: which places of a table are used, and which of them are still
// to be visited. Copied whole it costs a word for 64 places.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace epaxos::executor {

class BitSet {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  void insert(std::size_t number) {
    if (number / kWordBits >= words_.size()) words_.resize(number / kWordBits + 1);
    words_[number / kWordBits] |= bit(number);
  }

  /// Whether it was there.
  bool erase(std::size_t number) {
    if (!contains(number)) return false;
    words_[number / kWordBits] &= ~bit(number);
    return true;
  }

  [[nodiscard]] bool contains(std::size_t number) const {
    return number / kWordBits < words_.size() && (words_[number / kWordBits] & bit(number)) != 0;
  }

  /// The smallest from `from` on; kNone if there is none. Cost: a step for 64 absent ones.
  [[nodiscard]] std::size_t next(std::size_t from) const {
    std::size_t at = from / kWordBits;
    if (at >= words_.size()) return kNone;
    std::uint64_t word = words_[at] & ~(bit(from) - 1);
    while (word == 0) {
      if (++at == words_.size()) return kNone;
      word = words_[at];
    }
    return at * kWordBits + static_cast<std::size_t>(std::countr_zero(word));
  }

 private:
  static constexpr std::size_t kWordBits = 64;

  static constexpr std::uint64_t bit(std::size_t number) {
    return std::uint64_t{1} << number % kWordBits;
  }

  std::vector<std::uint64_t> words_;
};

}  // namespace epaxos::executor
