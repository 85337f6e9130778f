#include "deps/conflict_index.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "deps/types/prefetch.h"

namespace epaxos::deps {
namespace {

constexpr std::size_t kFirstCapacity = 1024;
constexpr std::uint64_t kUsed = 1;
constexpr std::size_t kPrefetchAhead = 8;
constexpr std::size_t kWordBits = 64;

void set_bit(std::vector<std::uint64_t>& bits, std::size_t at) {
  bits[at / kWordBits] |= std::uint64_t{1} << (at % kWordBits);
}
void clear_bit(std::vector<std::uint64_t>& bits, std::size_t at) {
  bits[at / kWordBits] &= ~(std::uint64_t{1} << (at % kWordBits));
}

}  // namespace

ConflictIndex::ConflictIndex(int rows)
    : rows_(rows),
      lines_((1 + 2 * static_cast<std::size_t>(rows) + 7) / 8),
      mask_(kFirstCapacity - 1),
      table_(kFirstCapacity * lines_),
      used_(kFirstCapacity / kWordBits) {
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

void ConflictIndex::move_entry(const std::uint64_t* from, std::size_t to) {
  std::copy_n(from, lines_ * kLineWords, entry(to));
}

void ConflictIndex::rebuild(std::size_t capacity) {
  HugeVector<Line> old(capacity * lines_);
  old.swap(table_);
  const std::vector<std::uint64_t> used =
      std::exchange(used_, std::vector<std::uint64_t>(capacity / kWordBits));
  mask_ = capacity - 1;
  for (std::size_t word = 0; word < used.size(); ++word) {
    for (std::uint64_t bits = used[word]; bits != 0; bits &= bits - 1) {
      const std::size_t at = word * kWordBits + static_cast<std::size_t>(std::countr_zero(bits));
      const std::uint64_t* const from = old[at * lines_].words;
      check(from[0] != 0, "a free place counts as used");
      const std::size_t to = probe(from[0] & ~kUsed);
      move_entry(from, to);
      set_bit(used_, to);
    }
  }
}

std::uint64_t* ConflictIndex::find_or_add(std::uint64_t key) {
  std::size_t at = probe(key);
  if (entry(at)[0] == 0) {
    if (keys_ * 4 > mask_ * 3) {
      rebuild(2 * (mask_ + 1));
      at = probe(key);
    }
    ++keys_;
    entry(at)[0] = key | kUsed;
    set_bit(used_, at);
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

bool ConflictIndex::says_nothing_above(const Dependencies& floor, std::size_t at) const {
  const std::uint64_t* const writes = entry(at) + 1;
  const std::uint64_t* const reads = writes + rows_;
  for (std::uint16_t row = 0; row < rows_; ++row) {
    if (Slot(std::max(writes[row], reads[row])) > floor[ReplicaId(row)]) return false;
  }
  return true;
}

/// No tombstones: what follows moves up to where it would have been.
void ConflictIndex::remove(std::size_t hole) {
  --keys_;
  for (std::size_t at = (hole + 1) & mask_; entry(at)[0] != 0; at = (at + 1) & mask_) {
    const std::size_t home = mix64(entry(at)[0] & ~kUsed) & mask_;
    if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
    move_entry(entry(at), hole);
    hole = at;
  }
  std::fill_n(entry(hole), lines_ * kLineWords, std::uint64_t{0});
  clear_bit(used_, hole);
}

std::size_t ConflictIndex::sweep(const Dependencies& floor, std::size_t entries) {
  check(floor.rows() == rows_, "the floor of another group");
  std::size_t removed = 0;
  for (; entries > 0; --entries) {
    if (entry(cursor_)[0] != 0 && says_nothing_above(floor, cursor_)) {
      remove(cursor_);
      ++removed;
      continue;  // What has moved here, always from further on, is looked at next.
    }
    cursor_ = (cursor_ + 1) & mask_;
    if (cursor_ == 0) shrink_if_sparse();
  }
  return removed;
}

void ConflictIndex::shrink_if_sparse() {
  const std::size_t capacity = mask_ + 1;
  if (capacity == kFirstCapacity || keys_ >= capacity / 8 || keys_ > kMovedMax) return;
  // At most half full, so that it need not grow again soon.
  rebuild(std::max(kFirstCapacity, std::bit_ceil(2 * keys_)));
}

std::size_t ConflictIndex::memory_bytes() const {
  return table_.size() * sizeof(Line) + used_.size() * sizeof(used_[0]);
}

}  // namespace epaxos::deps
