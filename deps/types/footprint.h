#pragma once

// What a command touches: a set of keys, each read or written, or everything (barriers). Two
// commands conflict when they share a key that at least one writes. Keys are 64-bit hashes; a
// collision only adds a needless dependency. The hash is part of the wire version: it must be the
// same on all replicas and versions for ever. Source: protocol.md 2.

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace epaxos {

/// One key of a footprint: the upper 63 bits are the key's hash, the lowest says "written".
class Access {
 public:
  constexpr Access() = default;
  static constexpr Access read(std::uint64_t key_hash) { return Access(key_hash & ~kWrite); }
  static constexpr Access write(std::uint64_t key_hash) { return Access(key_hash | kWrite); }
  static constexpr Access from_packed(std::uint64_t packed) { return Access(packed); }

  /// The key's hash with the lowest bit cleared.
  [[nodiscard]] constexpr std::uint64_t key() const { return packed_ & ~kWrite; }
  [[nodiscard]] constexpr bool writes() const { return (packed_ & kWrite) != 0; }
  [[nodiscard]] constexpr std::uint64_t packed() const { return packed_; }

  friend constexpr auto operator<=>(Access, Access) = default;

 private:
  static constexpr std::uint64_t kWrite = 1;
  constexpr explicit Access(std::uint64_t packed) : packed_(packed) {}

  std::uint64_t packed_ = 0;
};

/// The hash of a key's name: XXH3 with the seed of the wire version.
std::uint64_t hash_key(std::string_view name);

/// A set of accesses, sorted by key, one a key (a write swallows a read), or everything.
/// Cost: no allocation up to four keys.
class Footprint {
 public:
  Footprint() = default;
  Footprint(std::initializer_list<Access> accesses) {
    for (const Access access : accesses) add(access);
  }

  static Footprint everything() {
    Footprint footprint;
    footprint.everything_ = true;
    return footprint;
  }
  /// The footprint of these accesses, in any order and with repetitions.
  /// Cost: one sort, where adding them one by one would move them again and again.
  static Footprint of(std::vector<Access> accesses);
  /// The same, of accesses in ascending order of their keys, one a key. Cost: one copy.
  static Footprint of_sorted(std::span<const Access> accesses);

  static Footprint read(std::string_view key) { return {Access::read(hash_key(key))}; }
  static Footprint write(std::string_view key) { return {Access::write(hash_key(key))}; }

  /// Adds one access. Cost: linear in the number of keys.
  void add(Access access);
  void merge(const Footprint& other);
  void clear();

  [[nodiscard]] bool is_everything() const { return everything_; }
  [[nodiscard]] bool empty() const { return !everything_ && size_ == 0; }
  /// Whether anything may change: some key is written, or everything is touched.
  [[nodiscard]] bool writes() const;

  /// The accesses, in ascending order of their keys; empty for "everything".
  [[nodiscard]] std::span<const Access> accesses() const {
    return overflow_.empty() ? std::span<const Access>(inline_.data(), size_)
                             : std::span<const Access>(overflow_);
  }

  friend bool operator==(const Footprint& a, const Footprint& b);

 private:
  static constexpr std::size_t kInline = 4;

  std::array<Access, kInline> inline_{};
  std::vector<Access> overflow_;  // All of them, once there are more than kInline.
  std::uint32_t size_ = 0;
  bool everything_ = false;
};

/// Whether the order of two commands matters: one touches everything and the other anything, or
/// they share a key that at least one writes. Symmetric. Cost: linear in the keys of both.
bool conflicts(const Footprint& a, const Footprint& b);

}  // namespace epaxos
