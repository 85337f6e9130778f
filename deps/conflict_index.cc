#include "deps/conflict_index.h"

#include <algorithm>

#include "deps/types/prefetch.h"

namespace epaxos::deps {
namespace {

constexpr std::size_t kFirstCapacity = 1024;
constexpr std::uint64_t kUsed = 1;
constexpr std::size_t kPrefetchAhead = 8;

}  // namespace

ConflictIndex::ConflictIndex(int rows)
    : rows_(rows),
      lines_((1 + 2 * static_cast<std::size_t>(rows) + 7) / 8),
      mask_(kFirstCapacity - 1),
      table_(kFirstCapacity * lines_) {
  check(rows >= 1 && rows <= kReplicasMax, "a group has 1 .. 9 rows");
}

/// The index of the key's entry, or of the free one where it belongs. Linear probing; keys are
/// hashes already, but only their upper bits, so they are mixed once more.
std::size_t ConflictIndex::probe(std::uint64_t key) const {
  std::size_t at = mix64(key) & mask_;
  while (entry(at)[0] != 0 && entry(at)[0] != (key | kUsed)) at = (at + 1) & mask_;
  return at;
}

void ConflictIndex::prefetch_after(std::span<const Access> accesses, std::size_t at) const {
  if (at + kPrefetchAhead >= accesses.size()) return;
  prefetch_entry(accesses[at + kPrefetchAhead].key());
}

void ConflictIndex::prefetch_entry(std::uint64_t key) const {
  const std::uint64_t* const at = entry(mix64(key) & mask_);
  for (std::size_t line = 0; line < lines_; ++line) prefetch(at + line * 8);
}

void ConflictIndex::prefetch_conflicts(const Footprint& footprint) const {
  const std::span<const Access> accesses = footprint.accesses();
  const std::size_t first = std::min(accesses.size(), kPrefetchAhead);
  for (std::size_t i = 0; i < first; ++i) prefetch_entry(accesses[i].key());
}

void ConflictIndex::grow() {
  HugeVector<Line> old(2 * table_.size());
  old.swap(table_);
  mask_ = 2 * mask_ + 1;
  for (std::size_t at = 0; at < old.size(); at += lines_) {
    const std::uint64_t key = old[at].words[0];
    if (key == 0) continue;
    std::copy_n(old.begin() + static_cast<std::ptrdiff_t>(at), lines_,
                table_.begin() + static_cast<std::ptrdiff_t>(probe(key & ~kUsed) * lines_));
  }
}

std::uint64_t* ConflictIndex::find_or_add(std::uint64_t key) {
  std::size_t at = probe(key);
  if (entry(at)[0] == 0) {
    if (keys_ * 4 > mask_ * 3) {
      grow();
      at = probe(key);
    }
    ++keys_;
    entry(at)[0] = key | kUsed;
  }
  return entry(at) + 1;
}

void ConflictIndex::insert(InstanceId instance, const Footprint& footprint) {
  if (footprint.empty()) return;
  const std::size_t row = instance.row.value();
  check(instance.row.value() < rows_, "an instance of another group was recorded");
  highest_[row] = std::max(highest_[row], instance.slot);
  if (footprint.is_everything()) {
    highest_barrier_[row] = std::max(highest_barrier_[row], instance.slot);
  }
  const std::span<const Access> accesses = footprint.accesses();
  for (std::size_t i = 0; i < accesses.size(); ++i) {
    prefetch_after(accesses, i);
    const Access access = accesses[i];
    std::uint64_t* const slots = find_or_add(access.key());
    const std::size_t column = access.writes() ? row : row + static_cast<std::size_t>(rows_);
    slots[column] = std::max(slots[column], instance.slot.value());
  }
}

void ConflictIndex::merge_conflicts(const Footprint& footprint, Dependencies& into) const {
  if (footprint.empty()) return;
  const auto& barriers = footprint.is_everything() ? highest_ : highest_barrier_;
  for (std::uint16_t row = 0; row < rows_; ++row) into.raise(ReplicaId(row), barriers[row]);
  const std::span<const Access> accesses = footprint.accesses();
  for (std::size_t i = 0; i < accesses.size(); ++i) {
    prefetch_after(accesses, i);
    const Access access = accesses[i];
    const std::uint64_t* const found = entry(probe(access.key()));
    if (found[0] == 0) continue;
    const std::uint64_t* const writes = found + 1;
    const std::uint64_t* const reads = writes + rows_;
    for (std::uint16_t row = 0; row < rows_; ++row) {
      std::uint64_t slot = writes[row];
      if (access.writes()) slot = std::max(slot, reads[row]);
      into.raise(ReplicaId(row), Slot(slot));
    }
  }
}

std::size_t ConflictIndex::memory_bytes() const {
  return table_.size() * sizeof(Line);
}

}  // namespace epaxos::deps
