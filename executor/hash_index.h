#pragma once

// From a hash to the number of what is kept elsewhere. Open addressing with linear probing: a
// look-up among many usually costs one cache line, which prefetch() fetches ahead. Nothing depends
// on the order.

#include <cstddef>
#include <cstdint>

#include "deps/types/check.h"
#include "deps/types/huge_pages.h"
#include "deps/types/ids.h"
#include "deps/types/prefetch.h"

namespace epaxos::executor {

class HashIndex {
 public:
  using Number = std::uint32_t;
  static constexpr Number kNone = ~Number{0};

  /// The place of a hash; valid until the next put() or remove().
  using Position = std::size_t;

  HashIndex() : places_(kFirstCapacity) {}

  /// Where the hash is and `same(number)` holds, or the free place where it belongs. Cost: about
  /// one cache line.
  template <class Same>
  [[nodiscard]] Position probe(std::uint64_t hash, Same same) const {
    Position at = home(hash);
    while (places_[at].number != kNone && (places_[at].hash != hash || !same(places_[at].number))) {
      at = next(at);
    }
    return at;
  }
  /// For hashes that stand for one thing each.
  [[nodiscard]] Position probe(std::uint64_t hash) const {
    return probe(hash, [](Number) { return true; });
  }

  /// What is kept there; kNone: nothing.
  [[nodiscard]] Number operator[](Position at) const { return places_[at].number; }

  /// Precondition: `at` is the free place that probe() gave for this hash.
  void put(Position at, std::uint64_t hash, Number number) {
    check(places_[at].number == kNone && number != kNone, "a place of the index is taken");
    if (++size_ * 2 > places_.size()) {
      grow();
      at = free_place(hash);
    }
    places_[at] = {hash, number};
  }

  /// Precondition: something is kept there. No tombstones: what follows moves up to where it would
  /// have been.
  void remove(Position hole) {
    check(places_[hole].number != kNone, "a free place of the index is removed");
    --size_;
    const std::size_t mask = places_.size() - 1;
    for (Position at = next(hole); places_[at].number != kNone; at = next(at)) {
      const std::size_t from_home = (at - home(places_[at].hash)) & mask;
      if (from_home >= ((at - hole) & mask)) {
        places_[hole] = places_[at];
        hole = at;
      }
    }
    places_[hole] = {};
  }

  /// Tells the processor that this hash is looked up soon.
  void prefetch(std::uint64_t hash) const { epaxos::prefetch(&places_[home(hash)]); }

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kFirstCapacity = 1024;

  struct Place {
    std::uint64_t hash = 0;
    Number number = kNone;
  };

  [[nodiscard]] Position home(std::uint64_t hash) const {
    return mix64(hash) & (places_.size() - 1);
  }
  [[nodiscard]] Position next(Position at) const { return (at + 1) & (places_.size() - 1); }
  [[nodiscard]] Position free_place(std::uint64_t hash) const {
    Position at = home(hash);
    while (places_[at].number != kNone) at = next(at);
    return at;
  }

  void grow() {
    HugeVector<Place> old(places_.size() * 2);
    old.swap(places_);
    for (const Place& place : old) {
      if (place.number != kNone) places_[free_place(place.hash)] = place;
    }
  }

  HugeVector<Place> places_;
  std::size_t size_ = 0;
};

}  // namespace epaxos::executor
