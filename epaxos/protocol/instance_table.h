#pragma once

// All instances of a replica: one row a replica, slots in chunks that also own the bytes of their
// payloads, so that a chunk is forgotten as a whole. Memory follows what is held, not how far apart
// slots are: a chunk far ahead of the others costs one chunk. Each row has a floor, at and below
// which nothing is known any more. Source: protocol.md 14.2.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "epaxos/protocol/instance.h"

namespace epaxos::protocol {

/// Beyond every slot.
inline constexpr Slot kNoSlot{~std::uint64_t{0}};

/// What a replica knows of a row as a whole.
struct RowState {
  Slot committed_up_to;   ///< Every slot up to this one is decided here.
  Slot highest_known;     ///< The highest slot that anybody mentioned.
  Slot highest_recorded;  ///< The highest slot with a payload here.
};

class InstanceTable {
 public:
  explicit InstanceTable(int rows);

  /// Refuses new instances of a row that holds this many undecided ones, but for those beside the
  /// first one. Without a limit at first, because what was durable must be restored whatever its
  /// size.
  void limit_held_undecided(std::size_t slots);

  /// The instance, if anything is known of it; null at and below the floor. Cost: O(1).
  [[nodiscard]] Instance* find(const InstanceId& id);
  [[nodiscard]] const Instance* find(const InstanceId& id) const;

  /// The instance, made if need be; null when the row holds too many undecided ones.
  /// Precondition: its slot is above the row's floor.
  Instance* find_or_add(const InstanceId& id);

  /// Forgets every instance of the row up to `floor`, which never goes back: chunks that lie wholly
  /// at or below it are freed with their payloads. The floor may lie above all that is held or
  /// known; the row then counts as committed, known and recorded up to it.
  /// Pointers to instances up to the floor are void. Cost: amortised O(1) a slot that is held.
  void drop_through(ReplicaId row, Slot floor);
  [[nodiscard]] Slot dropped_through(ReplicaId row) const { return rows_[row.value()].floor; }

  /// The first slot from this one on, above the floor, whose chunk is held; kNoSlot if there is
  /// none.
  /// Cost: O(1) but for the gap limit, O(log chunks) far ahead.
  [[nodiscard]] Slot next_held(ReplicaId row, Slot from) const;

  /// Copies a payload into the memory of the instance's chunk. Returns what
  /// Instance::set_payload() takes.
  /// Precondition: find_or_add(id) gave an instance.
  std::span<std::byte> keep(const InstanceId& id, Bytes block);

  [[nodiscard]] const RowState& row(ReplicaId row) const { return rows_[row.value()].state; }

  void note_known(const InstanceId& id);
  void note_recorded(const InstanceId& id);
  /// An image has executed every slot up to this one: they count as committed and known.
  void note_executed_through(ReplicaId row, Slot slot);
  /// Call after the instance was decided; moves the committed prefix.
  void note_decided(const InstanceId& id);

  [[nodiscard]] int rows() const { return static_cast<int>(rows_.size()); }
  /// Held by chunks and their payloads.
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }
  /// Places of the dense part, where a chunk is found without a search, whether it is held or not.
  [[nodiscard]] std::size_t dense_places(ReplicaId row) const {
    return rows_[row.value()].dense.size();
  }
  /// Slots in memory that are not decided, an upper bound: chunks are counted whole.
  [[nodiscard]] std::size_t held_undecided(ReplicaId row) const;

 private:
  static constexpr std::size_t kChunkSlots = 64;
  static constexpr std::size_t kPageBytes = 4 * 1024;
  /// Chunks that may be skipped before a slot counts as far away.
  static constexpr std::size_t kDenseGap = 1024;

  struct Chunk {
    std::array<Instance, kChunkSlots> instances;
    std::vector<std::unique_ptr<std::byte[]>> pages;
    std::size_t page_used = kPageBytes;  // Of the last page; full when there is none.
    std::size_t page_bytes = 0;          // Of all pages.
  };

  struct Row {
    RowState state;
    Slot floor;  ///< Slots up to this one are forgotten; slot 0 always is, as nobody owns it.
    std::uint64_t base = 0;  ///< The chunk that dense[0] is.
    std::vector<std::unique_ptr<Chunk>> dense;
    std::map<std::uint64_t, std::unique_ptr<Chunk>> far;  ///< All beyond the dense part.
    std::size_t chunks = 0;
    std::size_t decided = 0;  ///< Above the floor.
  };

  [[nodiscard]] static std::uint64_t chunk_of(Slot slot) { return slot.value() / kChunkSlots; }
  [[nodiscard]] Chunk* find_chunk(const Row& row, Slot slot) const;
  Chunk* add_chunk(Row& row, Slot slot);
  void extend_dense(Row& row, std::uint64_t last);
  void forget_slots(Row& row, const Chunk& chunk, std::uint64_t index, Slot floor);
  void free_chunk(Row& row, std::unique_ptr<Chunk> chunk, std::uint64_t index);
  void compact(Row& row, std::uint64_t first_kept);
  void advance_committed(ReplicaId row);

  std::vector<Row> rows_;
  std::size_t held_undecided_max_ = ~std::size_t{0};
  std::size_t memory_bytes_ = 0;
};

}  // namespace epaxos::protocol
