#pragma once

// For every key that a waiting instance touches: which slots of each row write it, and which read
// it. A key without waiting instances takes no place; its lists' memory is used again.

#include <cstdint>
#include <vector>

#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "deps/types/prefetch.h"
#include "executor/hash_index.h"
#include "executor/slot_list.h"

namespace epaxos::executor {

class KeyTable {
 public:
  explicit KeyTable(int rows) : rows_(static_cast<std::size_t>(rows)) {}

  void insert(InstanceId instance, Access access) {
    const HashIndex::Position at = index_.probe(access.key());
    std::uint32_t entry = index_[at];
    if (entry == HashIndex::kNone) {
      entry = take_entry();
      index_.put(at, access.key(), entry);
    }
    lists_[first_of(entry) + column(instance.row, access.writes())].insert(instance.slot);
    ++lists_in_use_[entry];
  }

  void erase(InstanceId instance, Access access) {
    const HashIndex::Position at = index_.probe(access.key());
    const std::uint32_t entry = index_[at];
    if (entry == HashIndex::kNone) return;
    lists_[first_of(entry) + column(instance.row, access.writes())].erase(instance.slot);
    if (--lists_in_use_[entry] > 0) return;
    free_.push_back(entry);
    index_.remove(at);
  }

  /// The lists of a key, to be indexed by column(); null if nobody who waits touches it.
  [[nodiscard]] const SlotList* find(std::uint64_t key) const {
    const std::uint32_t entry = index_[index_.probe(key)];
    return entry == HashIndex::kNone ? nullptr : &lists_[first_of(entry)];
  }

  /// This access is inserted or erased soon. Two stages, some accesses apart: the second needs what
  /// the first fetched.
  void prefetch_place(Access access) const { index_.prefetch(access.key()); }
  void prefetch_list(InstanceId instance, Access access) const {
    const std::uint32_t entry = index_[index_.probe(access.key())];
    if (entry == HashIndex::kNone) return;
    epaxos::prefetch(&lists_[first_of(entry) + column(instance.row, access.writes())]);
  }

  [[nodiscard]] std::size_t column(ReplicaId row, bool writes) const {
    return row.value() + (writes ? 0 : rows_);
  }

 private:
  [[nodiscard]] std::size_t first_of(std::uint32_t entry) const { return entry * 2 * rows_; }

  std::uint32_t take_entry() {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(lists_in_use_.size()));
      lists_in_use_.push_back(0);
      lists_.resize(lists_.size() + 2 * rows_);
    }
    const std::uint32_t entry = free_.back();
    free_.pop_back();
    return entry;
  }

  std::size_t rows_;
  HashIndex index_;
  /// 2 * rows_ an entry: the writing slots of each row, then the reading ones.
  std::vector<SlotList> lists_;
  std::vector<std::uint32_t> lists_in_use_;
  std::vector<std::uint32_t> free_;
};

}  // namespace epaxos::executor
