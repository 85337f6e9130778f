#pragma once

// The part of a log that is in memory: encoded entries by position, in chunks that own their bytes
// and are forgotten as a whole. What lies at or below the base has left. A position may be a hole
// (Multi-Paxos); Raft leaves none.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "compare/log/entry.h"

namespace epaxos::compare {

class LogWindow {
 public:
  /// Positions that may lie above the base; who takes more from a peer must refuse it first.
  static constexpr std::uint64_t kSpanMax = std::uint64_t{1} << 24;
  /// Bytes beyond which applied entries are surplus.
  static constexpr std::size_t kHeldBytesMax = std::size_t{64} * 1024 * 1024;

  /// Everything at or below it has left.
  [[nodiscard]] Slot base() const { return base_; }
  /// The round of the entry at the base, if it is known: of what left last, or told by reset().
  [[nodiscard]] std::uint64_t base_round() const { return base_round_; }
  /// The highest position that holds an entry; the base when there is none.
  [[nodiscard]] Slot last() const { return last_; }
  [[nodiscard]] bool holds(Slot slot) const { return !encoded(slot).empty(); }

  /// The bytes of an entry; empty: none is held there. They stay until the entry is dropped or
  /// replaced. Cost: O(1).
  [[nodiscard]] Bytes encoded(Slot slot) const;
  /// The round of an entry. Precondition: holds(slot), or it is the base.
  [[nodiscard]] std::uint64_t round(Slot slot) const;
  /// Precondition: holds(slot).
  [[nodiscard]] Entry entry(Slot slot) const;

  /// Copies an entry to a position, in place of what was there.
  /// Precondition: `encoded` is what encode_entry() writes; base() < slot <= base() + kSpanMax.
  void set(Slot slot, Bytes encoded);

  /// Everything up to `slot` leaves; the base never goes back. It may lie above all that is held.
  /// Pointers into what leaves are void. Cost: O(chunks that leave).
  void drop_through(Slot slot);
  /// Everything from `slot` on leaves. Precondition: slot > base().
  void drop_from(Slot slot);
  /// Empties the window; `round` is that of the entry at the new base.
  void reset(Slot base, std::uint64_t round);

  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }
  /// Up to here what is applied is too much to be kept in memory, although somebody may lack it:
  /// there are more than `entries_max` entries of it, or all that is held takes too many bytes;
  /// then half of them leave at once.
  [[nodiscard]] Slot surplus(Slot applied, std::uint64_t entries_max) const;

 private:
  static constexpr std::size_t kChunkSlots = 64;
  static constexpr std::size_t kPageBytes = 16 * 1024;

  struct Chunk {
    std::array<Bytes, kChunkSlots> entries{};
    std::size_t held = 0;
    std::vector<std::unique_ptr<std::byte[]>> pages;
    std::size_t page_used = kPageBytes;  // Of the last page; full when there is none.
    std::size_t page_bytes = 0;          // Of all.
  };

  [[nodiscard]] Chunk* chunk_of(Slot slot) const;
  [[nodiscard]] Chunk& add_chunk(Slot slot);
  void free(std::unique_ptr<Chunk>& chunk);
  [[nodiscard]] std::byte* room(Chunk& chunk, std::size_t bytes);

  Slot base_;
  std::uint64_t base_round_ = 0;
  Slot last_;
  std::uint64_t first_chunk_ = 0;
  std::deque<std::unique_ptr<Chunk>> chunks_;
  std::size_t memory_bytes_ = 0;
};

}  // namespace epaxos::compare
