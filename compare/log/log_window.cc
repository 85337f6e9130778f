#include "compare/log/log_window.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::compare {

LogWindow::Chunk* LogWindow::chunk_of(Slot slot) const {
  const std::uint64_t index = slot.value() / kChunkSlots;
  // What lies before the first one wraps round to beyond the end.
  return index - first_chunk_ < chunks_.size() ? chunks_[index - first_chunk_].get() : nullptr;
}

LogWindow::Chunk& LogWindow::add_chunk(Slot slot) {
  const std::uint64_t index = slot.value() / kChunkSlots;
  if (chunks_.empty()) first_chunk_ = base_.next().value() / kChunkSlots;
  if (index - first_chunk_ >= chunks_.size()) chunks_.resize(index - first_chunk_ + 1);
  std::unique_ptr<Chunk>& chunk = chunks_[index - first_chunk_];
  chunk = std::make_unique<Chunk>();
  memory_bytes_ += sizeof(Chunk);
  return *chunk;
}

void LogWindow::free(std::unique_ptr<Chunk>& chunk) {
  if (chunk == nullptr) return;
  memory_bytes_ -= sizeof(Chunk) + chunk->page_bytes;
  chunk.reset();
}

Bytes LogWindow::encoded(Slot slot) const {
  if (slot <= base_ || slot > last_) return {};
  const Chunk* const chunk = chunk_of(slot);
  return chunk == nullptr ? Bytes() : chunk->entries[slot.value() % kChunkSlots];
}

std::uint64_t LogWindow::round(Slot slot) const {
  if (slot == base_) return base_round_;
  const Bytes bytes = encoded(slot);
  check(!bytes.empty(), "the round of an entry was asked for that is not held");
  return round_of(bytes);
}

Entry LogWindow::entry(Slot slot) const {
  Bytes bytes = encoded(slot);
  Entry entry;
  const bool is_held = take_entry(bytes, kReplicasMax, entry);
  check(is_held && bytes.empty(), "an entry was asked for that is not held");
  return entry;
}

/// Where the bytes of an entry go. What is larger than a page gets a page of its own.
std::byte* LogWindow::room(Chunk& chunk, std::size_t bytes) {
  if (kPageBytes - chunk.page_used < bytes) {
    const std::size_t page = std::max(kPageBytes, bytes);
    chunk.pages.push_back(std::make_unique_for_overwrite<std::byte[]>(page));
    chunk.page_bytes += page;
    memory_bytes_ += page;
    chunk.page_used = 0;
  }
  std::byte* const to = chunk.pages.back().get() + chunk.page_used;
  chunk.page_used = std::min(kPageBytes, chunk.page_used + bytes);
  return to;
}

void LogWindow::set(Slot slot, Bytes encoded) {
  check(slot > base_, "an entry was set that has left its window");
  check(slot.value() - base_.value() <= kSpanMax, "an entry was set far beyond its window");
  check(encoded.size() >= kEntryHeaderBytes && encoded.size() % 8 == 0, "no entry is like this");
  Chunk* const known = chunk_of(slot);
  Chunk& chunk = known == nullptr ? add_chunk(slot) : *known;
  std::byte* const to = room(chunk, encoded.size());
  copy_bytes(encoded, to);
  Bytes& place = chunk.entries[slot.value() % kChunkSlots];
  if (place.empty()) ++chunk.held;
  place = {to, encoded.size()};
  last_ = std::max(last_, slot);
}

void LogWindow::drop_through(Slot slot) {
  if (slot <= base_) return;
  const Bytes at_base = encoded(slot);
  base_round_ = at_base.empty() ? 0 : round_of(at_base);
  base_ = slot;
  last_ = std::max(last_, base_);
  const std::uint64_t first_kept = base_.next().value() / kChunkSlots;
  while (!chunks_.empty() && first_chunk_ < first_kept) {
    free(chunks_.front());
    chunks_.pop_front();
    ++first_chunk_;
  }
}

Slot LogWindow::surplus(Slot applied, std::uint64_t entries_max) const {
  const std::uint64_t held = applied.value() - std::min(applied, base_).value();
  std::uint64_t leave = held - std::min(held, entries_max);
  if (memory_bytes_ > kHeldBytesMax) leave = std::max(leave, (held + 1) / 2);
  return Slot(base_.value() + leave);
}

void LogWindow::drop_from(Slot slot) {
  check(slot > base_, "a window was cut below its base");
  while (last_ >= slot) {
    if (Chunk* const chunk = chunk_of(last_)) {
      Bytes& place = chunk->entries[last_.value() % kChunkSlots];
      if (!place.empty()) --chunk->held;
      place = {};
      if (chunk->held == 0) free(chunks_[last_.value() / kChunkSlots - first_chunk_]);
    }
    last_ = Slot(last_.value() - 1);
  }
  while (last_ > base_ && !holds(last_)) last_ = Slot(last_.value() - 1);
  while (!chunks_.empty() && chunks_.back() == nullptr) chunks_.pop_back();
}

void LogWindow::reset(Slot base, std::uint64_t round) {
  for (std::unique_ptr<Chunk>& chunk : chunks_) free(chunk);
  chunks_.clear();
  base_ = last_ = base;
  base_round_ = round;
}

}  // namespace epaxos::compare
