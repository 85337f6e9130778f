#pragma once

// From names to values, for a machine that is fed in batches: whoever knows what is asked next has
// it fetched from memory meanwhile. The names' hashes are given, since machines need them anyway.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deps/types/huge_pages.h"
#include "deps/types/prefetch.h"
#include "executor/bit_set.h"
#include "executor/hash_index.h"

namespace epaxos::executor {

class ValueTable {
 public:
  struct Entry {
    std::string name;
    std::string value;
  };

  /// Null if there is none; valid until the next change of the table.
  [[nodiscard]] const Entry* find(std::string_view name, std::uint64_t hash) const {
    const HashIndex::Number number = index_[probe(name, hash)];
    return number == HashIndex::kNone ? nullptr : &entries_[number];
  }
  [[nodiscard]] Entry* find(std::string_view name, std::uint64_t hash) {
    return const_cast<Entry*>(std::as_const(*this).find(name, hash));
  }

  /// Precondition: find() gives null.
  void add(std::string_view name, std::uint64_t hash, std::string_view value) {
    if (free_.empty()) {
      free_.push_back(static_cast<HashIndex::Number>(entries_.size()));
      entries_.emplace_back();
    }
    const HashIndex::Number number = free_.back();
    free_.pop_back();
    entries_[number].name = name;
    entries_[number].value = value;
    used_.insert(number);
    index_.put(probe(name, hash), hash, number);
  }

  /// Precondition: find() gives an entry.
  void remove(std::string_view name, std::uint64_t hash) {
    const HashIndex::Position at = probe(name, hash);
    entries_[index_[at]] = {};  // A large value gives its memory back at once.
    used_.erase(index_[at]);
    free_.push_back(index_[at]);
    index_.remove(at);
  }

  /// A name with this hash is asked for soon. Three stages, some requests apart: each needs what
  /// the one before it fetched.
  void prefetch_place(std::uint64_t hash) const { index_.prefetch(hash); }
  void prefetch_entry(std::uint64_t hash) const {
    const HashIndex::Number number = index_[index_.probe(hash)];
    if (number != HashIndex::kNone) prefetch(&entries_[number]);
  }
  void prefetch_value(std::uint64_t hash) const {
    const HashIndex::Number number = index_[index_.probe(hash)];
    if (number != HashIndex::kNone) prefetch(entries_[number].value.data());
  }

  [[nodiscard]] std::size_t size() const { return index_.size(); }

  /// The numbers of the entries. An entry keeps its number; a removed one's goes to another.
  [[nodiscard]] const BitSet& numbers() const { return used_; }
  [[nodiscard]] const Entry& operator[](std::size_t number) const { return entries_[number]; }
  [[nodiscard]] Entry& operator[](std::size_t number) { return entries_[number]; }
  [[nodiscard]] std::size_t number_of(const Entry& entry) const {
    return static_cast<std::size_t>(&entry - entries_.data());
  }

  /// Calls `look` with every entry, in no particular order.
  template <class Look>
  void for_each(Look look) const {
    for (std::size_t i = used_.next(0); i != BitSet::kNone; i = used_.next(i + 1)) {
      look(entries_[i]);
    }
  }

 private:
  [[nodiscard]] HashIndex::Position probe(std::string_view name, std::uint64_t hash) const {
    return index_.probe(hash,
                        [&](HashIndex::Number number) { return entries_[number].name == name; });
  }

  HashIndex index_;
  HugeVector<Entry> entries_;
  BitSet used_;  // Of the entries.
  std::vector<HashIndex::Number> free_;
};

}  // namespace epaxos::executor
