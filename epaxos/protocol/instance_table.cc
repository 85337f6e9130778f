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
  if (index < row.dense.size()) return row.dense[index].get();
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
  if (index >= row.dense.size() + kDenseGap) {
    row.far.emplace(index, std::move(chunk));
    return added;
  }
  if (index >= row.dense.size()) {
    row.dense.resize(index + 1);
    // What was far away before may lie in the dense part now.
    while (!row.far.empty() && row.far.begin()->first <= index) {
      row.dense[row.far.begin()->first] = std::move(row.far.begin()->second);
      row.far.erase(row.far.begin());
    }
  }
  row.dense[index] = std::move(chunk);
  return added;
}

const Instance* InstanceTable::find(const InstanceId& id) const {
  Chunk* const chunk = find_chunk(rows_[id.row.value()], id.slot);
  return chunk == nullptr ? nullptr : &chunk->instances[id.slot.value() % kChunkSlots];
}

Instance* InstanceTable::find(const InstanceId& id) {
  return const_cast<Instance*>(std::as_const(*this).find(id));
}

Instance* InstanceTable::find_or_add(const InstanceId& id) {
  Row& row = rows_[id.row.value()];
  Chunk* chunk = find_chunk(row, id.slot);
  if (chunk == nullptr) {
    if (held_undecided(id.row) > held_undecided_max_ - kChunkSlots) return nullptr;
    chunk = add_chunk(row, id.slot);
  }
  return &chunk->instances[id.slot.value() % kChunkSlots];
}

Slot InstanceTable::next_held(ReplicaId which, Slot from) const {
  const Row& row = rows_[which.value()];
  const std::uint64_t first = chunk_of(from);
  const auto start_of = [&](std::uint64_t chunk) {
    return std::max(from, Slot(chunk * kChunkSlots));
  };
  // Fewer than kDenseGap chunks in a row are missing in the dense part.
  for (std::uint64_t chunk = first; chunk < row.dense.size(); ++chunk) {
    if (row.dense[chunk]) return start_of(chunk);
  }
  const auto found = row.far.lower_bound(first);
  return found == row.far.end() ? kNoSlot : start_of(found->first);
}

std::span<std::byte> InstanceTable::keep(const InstanceId& id, Bytes block) {
  Chunk* const chunk = find_chunk(rows_[id.row.value()], id.slot);
  check(chunk != nullptr, "a payload was kept for an instance that is not held");
  check(block.size() % 8 == 0, "a payload is no multiple of 8");
  const std::size_t before = Instance::initial_bytes(rows());
  const std::size_t bytes = before + block.size();
  if (kPageBytes - chunk->page_used < bytes) {
    // A payload larger than a page gets a page of its own, which is full at once.
    const std::size_t page = std::max(kPageBytes, bytes);
    chunk->pages.push_back(std::make_unique_for_overwrite<std::byte[]>(page));
    memory_bytes_ += page;
    chunk->page_used = 0;
  }
  std::byte* const to = chunk->pages.back().get() + chunk->page_used;
  copy_bytes(block, to + before);
  chunk->page_used = std::min(kPageBytes, chunk->page_used + bytes);
  return {to, bytes};
}

std::size_t InstanceTable::held_undecided(ReplicaId row) const {
  const Row& r = rows_[row.value()];
  // Slot 0 has a place in its chunk, but is no instance: nobody will ever decide it.
  const std::size_t nobodys = find_chunk(r, Slot()) == nullptr ? 0 : 1;
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
  ++row.decided;
  note_known(id);
  Slot& prefix = row.state.committed_up_to;
  while (true) {
    const Instance* const next = find({id.row, prefix.next()});
    if (next == nullptr || !next->decided()) break;
    prefix = prefix.next();
  }
}

}  // namespace epaxos::protocol
