#pragma once

// Which earlier instances must this command wait for? Per key and row the highest slot that reads
// it and the highest that writes it, plus the highest barrier and the highest slot of each row. An
// instance never leaves the index because it was decided Nop; a key leaves when all that touched it
// lies at or below a floor. Source: protocol.md 3, 6 and 14.2.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "deps/types/dependencies.h"
#include "deps/types/footprint.h"
#include "deps/types/huge_pages.h"
#include "deps/types/ids.h"

namespace epaxos::deps {

class ConflictIndex {
 public:
  explicit ConflictIndex(int rows);

  /// Records that `instance` touches `footprint`. Idempotent; slots may come in any order.
  /// Cost: one probe a key; the table doubles when it is full.
  void insert(InstanceId instance, const Footprint& footprint);

  /// Raises every row of `into` to the highest slot whose command conflicts with `footprint`.
  /// Callers keep the own-row rule by restoring the row of the instance they ask for.
  /// Cost: one probe a key.
  void merge_conflicts(const Footprint& footprint, Dependencies& into) const;

  /// Fetches what merge_conflicts() will read for a command of few keys: for who asks for many
  /// commands, some steps before each one.
  void prefetch_conflicts(const Footprint& footprint) const;

  /// Goes on with a walk through the table, round and round, over this many places of it, and
  /// removes every key of which all that is kept is at most the floor of its row. Returns how many
  /// it removed. Barriers and the highest slots stay. At the end of a round a table that has become
  /// far too large for its keys is exchanged for a smaller one.
  /// Precondition: whoever asks for conflicts raises every row to the floor, now and later.
  /// Cost: O(entries), no allocation; to exchange the table, at most kMovedMax keys are moved and
  /// one bit is read a place of the old one. A table with more keys stays as large as it is.
  std::size_t sweep(const Dependencies& floor, std::size_t entries);

  /// A table with more keys than this is not exchanged for a smaller one: some milliseconds.
  static constexpr std::size_t kMovedMax = std::size_t{64} * 1024;

  [[nodiscard]] std::size_t places() const { return mask_ + 1; }  ///< Of a round of sweep().
  [[nodiscard]] std::size_t keys() const { return keys_; }        ///< Live keys.
  [[nodiscard]] std::size_t memory_bytes() const;                 ///< Held by the table.

 private:
  /// A cache line. A lookup among many keys costs what it costs to fetch its entry from memory, so
  /// entries fill whole lines and begin at one: up to three rows take a single line.
  static constexpr std::size_t kLineWords = 8;
  struct alignas(64) Line {
    std::uint64_t words[kLineWords] = {};
  };

  // An entry is 1 + 2 * rows words: the key, the highest writing slot of each row, the highest
  // reading one of each row. The key's lowest bit, which no key has, marks an entry in use.
  [[nodiscard]] std::size_t probe(std::uint64_t key) const;
  [[nodiscard]] const std::uint64_t* entry(std::size_t at) const {
    return table_[at * lines_].words;
  }
  [[nodiscard]] std::uint64_t* entry(std::size_t at) { return table_[at * lines_].words; }
  void prefetch_entry(std::uint64_t key) const;
  /// Fetches what an access some places after `at` will look at: with many accesses, the
  /// time goes into waiting for memory.
  void prefetch_after(std::span<const Access> accesses, std::size_t at) const;
  std::uint64_t* find_or_add(std::uint64_t key);
  /// Moves all entries to a table with this many places, a power of two.
  void rebuild(std::size_t capacity);
  void remove(std::size_t hole);
  void move_entry(const std::uint64_t* from, std::size_t to);
  [[nodiscard]] bool says_nothing_above(const Dependencies& floor, std::size_t at) const;
  void shrink_if_sparse();

  int rows_;
  std::size_t lines_;  ///< Of one entry.
  std::size_t mask_;
  std::size_t keys_ = 0;
  HugeVector<Line> table_;
  /// A bit a place: whether an entry is there. So few entries are found in a huge table at once.
  std::vector<std::uint64_t> used_;
  std::size_t cursor_ = 0;                    ///< Where sweep() goes on.
  std::array<Slot, kReplicasMax> highest_{};  ///< Of commands that touch anything.
  std::array<Slot, kReplicasMax> highest_barrier_{};
};

}  // namespace epaxos::deps
