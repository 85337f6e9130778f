#include "epaxos/protocol/instance_table.h"

#include <algorithm>
#include <cstring>

namespace epaxos::protocol {

InstanceTable::InstanceTable(int rows) : rows_(static_cast<std::size_t>(rows)) {
}

void InstanceTable::limit_held_undecided(std::size_t slots) {
  held_undecided_max_ = std::max(slots, kChunkSlots);
}

InstanceTable::Chunk* InstanceTable::find_chunk(const Row& row, Slot slot) const {
  const std::uint64_t index = chunk_of(slot);
  // What lies before the base wraps round to beyond the end.
  if (index - row.base < row.dense.size()) return row.dense[index - row.base].get();
  if (row.far.empty()) return nullptr;
  const auto found = row.far.find(index);
  return found == row.far.end() ? nullptr : found->second.get();
}

InstanceTable::Chunk* InstanceTable::add_chunk(Row& row, Slot slot) {
  const std::uint64_t index = chunk_of(slot);
  ++row.chunks;
  memory_bytes_ += sizeof(Chunk);
  auto chunk = std::make_unique<Chunk>();
  Chunk* const added = chunk.get();
  if (index - row.base >= row.dense.size() + kDenseGap) {
    row.far.emplace(index, std::move(chunk));
    return added;
  }
  if (index - row.base >= row.dense.size()) extend_dense(row, index);
  row.dense[index - row.base] = std::move(chunk);
  return added;
}

/// The dense part reaches up to this chunk; what was far away before may lie in it now.
void InstanceTable::extend_dense(Row& row, std::uint64_t last) {
  row.dense.resize(last - row.base + 1);
  while (!row.far.empty() && row.far.begin()->first <= last) {
    row.dense[row.far.begin()->first - row.base] = std::move(row.far.begin()->second);
    row.far.erase(row.far.begin());
  }
}

const Instance* InstanceTable::find(const InstanceId& id) const {
  const Row& row = rows_[id.row.value()];
  if (id.slot <= row.floor) return nullptr;
  Chunk* const chunk = find_chunk(row, id.slot);
  return chunk == nullptr ? nullptr : &chunk->instances[id.slot.value() % kChunkSlots];
}

Instance* InstanceTable::find(const InstanceId& id) {
  return const_cast<Instance*>(std::as_const(*this).find(id));
}

Instance* InstanceTable::find_or_add(const InstanceId& id) {
  Row& row = rows_[id.row.value()];
  check(id.slot > row.floor, "an instance that was forgotten is made again");
  Chunk* chunk = find_chunk(row, id.slot);
  if (chunk == nullptr) {
    // The first undecided slot always finds room: what lies behind it must not keep it out.
    const bool is_head = chunk_of(id.slot) == chunk_of(row.state.committed_up_to.next());
    const bool is_full = held_undecided(id.row) > held_undecided_max_ - kChunkSlots;
    if (is_full && !is_head) return nullptr;
    chunk = add_chunk(row, id.slot);
  }
  return &chunk->instances[id.slot.value() % kChunkSlots];
}

Slot InstanceTable::next_held(ReplicaId which, Slot from) const {
  const Row& row = rows_[which.value()];
  from = std::max(from, row.floor.next());
  const std::uint64_t first = chunk_of(from);
  const auto start_of = [&](std::uint64_t chunk) {
    return std::max(from, Slot(chunk * kChunkSlots));
  };
  // Fewer than kDenseGap chunks in a row are missing in the dense part.
  for (std::uint64_t chunk = first; chunk - row.base < row.dense.size(); ++chunk) {
    if (row.dense[chunk - row.base]) return start_of(chunk);
  }
  const auto found = row.far.lower_bound(first);
  return found == row.far.end() ? kNoSlot : start_of(found->first);
}

std::span<std::byte> InstanceTable::keep(const InstanceId& id, Bytes block) {
  const Row& row = rows_[id.row.value()];
  Chunk* const chunk = id.slot > row.floor ? find_chunk(row, id.slot) : nullptr;
  check(chunk != nullptr, "a payload was kept for an instance that is not held");
  check(block.size() % 8 == 0, "a payload is no multiple of 8");
  const std::size_t before = Instance::initial_bytes(rows());
  const std::size_t bytes = before + block.size();
  if (kPageBytes - chunk->page_used < bytes) {
    // A payload larger than a page gets a page of its own, which is full at once.
    const std::size_t page = std::max(kPageBytes, bytes);
    chunk->pages.push_back(std::make_unique_for_overwrite<std::byte[]>(page));
    memory_bytes_ += page;
    chunk->page_bytes += page;
    chunk->page_used = 0;
  }
  std::byte* const to = chunk->pages.back().get() + chunk->page_used;
  copy_bytes(block, to + before);
  chunk->page_used = std::min(kPageBytes, chunk->page_used + bytes);
  return {to, bytes};
}

std::size_t InstanceTable::held_undecided(ReplicaId row) const {
  const Row& r = rows_[row.value()];
  // What lies at or below the floor has a place in the first chunk, but nobody will ever decide it.
  const std::size_t nobodys =
      find_chunk(r, r.floor) == nullptr ? 0 : r.floor.value() % kChunkSlots + 1;
  return r.chunks * kChunkSlots - nobodys - r.decided;
}

void InstanceTable::note_known(const InstanceId& id) {
  RowState& state = rows_[id.row.value()].state;
  state.highest_known = std::max(state.highest_known, id.slot);
}

void InstanceTable::note_recorded(const InstanceId& id) {
  RowState& state = rows_[id.row.value()].state;
  state.highest_recorded = std::max(state.highest_recorded, id.slot);
  note_known(id);
}

void InstanceTable::note_decided(const InstanceId& id) {
  Row& row = rows_[id.row.value()];
  check(id.slot > row.floor, "an instance that was forgotten is decided");
  ++row.decided;
  note_known(id);
  advance_committed(id.row);
}

void InstanceTable::note_executed_through(ReplicaId row, Slot slot) {
  RowState& state = rows_[row.value()].state;
  state.committed_up_to = std::max(state.committed_up_to, slot);
  state.highest_known = std::max(state.highest_known, slot);
  state.highest_recorded = std::max(state.highest_recorded, slot);
  advance_committed(row);
}

void InstanceTable::advance_committed(ReplicaId row) {
  Slot& prefix = rows_[row.value()].state.committed_up_to;
  while (true) {
    const Instance* const next = find({row, prefix.next()});
    if (next == nullptr || !next->decided()) return;
    prefix = prefix.next();
  }
}

// ---- Forgetting ----

/// Slots of this chunk that the floor is about to pass count as decided no more.
void InstanceTable::forget_slots(Row& row, const Chunk& chunk, std::uint64_t index, Slot floor) {
  const std::uint64_t start = index * kChunkSlots;
  const std::uint64_t first = std::max(start, row.floor.value() + 1);
  const std::uint64_t last = std::min(start + kChunkSlots - 1, floor.value());
  for (std::uint64_t slot = first; slot <= last; ++slot) {
    if (chunk.instances[slot % kChunkSlots].decided()) --row.decided;
  }
}

void InstanceTable::free_chunk(Row& row, std::unique_ptr<Chunk> chunk, std::uint64_t index) {
  forget_slots(row, *chunk, index, kNoSlot);
  --row.chunks;
  memory_bytes_ -= sizeof(Chunk) + chunk->page_bytes;
}

void InstanceTable::drop_through(ReplicaId which, Slot floor) {
  Row& row = rows_[which.value()];
  if (floor <= row.floor) return;
  check(floor < kNoSlot, "a floor above all slots");
  const std::uint64_t first_kept = chunk_of(floor.next());
  const std::uint64_t dense_end = std::min(first_kept, row.base + row.dense.size());
  for (std::uint64_t index = chunk_of(row.floor.next()); index < dense_end; ++index) {
    std::unique_ptr<Chunk> chunk = std::move(row.dense[index - row.base]);
    if (chunk) free_chunk(row, std::move(chunk), index);
  }
  while (!row.far.empty() && row.far.begin()->first < first_kept) {
    free_chunk(row, std::move(row.far.begin()->second), row.far.begin()->first);
    row.far.erase(row.far.begin());
  }
  if (const Chunk* const partly = find_chunk(row, floor.next()); partly != nullptr) {
    forget_slots(row, *partly, first_kept, floor);
  }
  row.floor = floor;
  compact(row, first_kept);
  RowState& state = row.state;
  state.committed_up_to = std::max(state.committed_up_to, floor);
  state.highest_known = std::max(state.highest_known, floor);
  state.highest_recorded = std::max(state.highest_recorded, floor);
  advance_committed(which);
}

/// The dense part begins at the first chunk that is kept, once half of it is gone. A floor that
/// jumped brings chunks near that were far away.
void InstanceTable::compact(Row& row, std::uint64_t first_kept) {
  const std::size_t gone = std::min<std::uint64_t>(first_kept - row.base, row.dense.size());
  if (2 * gone < row.dense.size()) return;
  row.dense.erase(row.dense.begin(), row.dense.begin() + static_cast<std::ptrdiff_t>(gone));
  row.base = first_kept;
  while (!row.far.empty() && row.far.begin()->first - row.base < row.dense.size() + kDenseGap) {
    extend_dense(row, row.far.begin()->first);
  }
}

}  // namespace epaxos::protocol
