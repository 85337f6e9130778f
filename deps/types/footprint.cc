#include "deps/types/footprint.h"

#include <algorithm>

#include <xxhash.h>

namespace epaxos {
namespace {

// Part of the wire version: changing it splits a running cluster.
constexpr std::uint64_t kKeyHashSeed = 0x65706178'6f732d31;

}  // namespace

std::uint64_t hash_key(std::string_view name) {
  return XXH3_64bits_withSeed(name.data(), name.size(), kKeyHashSeed);
}

Footprint Footprint::of(std::vector<Access> accesses) {
  // A write sorts after a read of the same key, and of equal keys the last one stays.
  std::ranges::sort(accesses);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < accesses.size(); ++i) {
    if (i + 1 < accesses.size() && accesses[i].key() == accesses[i + 1].key()) continue;
    accesses[kept++] = accesses[i];
  }
  accesses.resize(kept);
  return of_sorted(accesses);
}

Footprint Footprint::of_sorted(std::span<const Access> accesses) {
  Footprint footprint;
  footprint.size_ = static_cast<std::uint32_t>(accesses.size());
  if (accesses.size() <= kInline) {
    std::ranges::copy(accesses, footprint.inline_.begin());
  } else {
    footprint.overflow_.assign(accesses.begin(), accesses.end());
  }
  return footprint;
}

void Footprint::add(Access access) {
  if (everything_) return;
  const std::span<const Access> before = accesses();
  const auto at = std::lower_bound(before.begin(), before.end(), access.key(),
                                   [](Access a, std::uint64_t key) { return a.key() < key; });
  const auto index = static_cast<std::size_t>(at - before.begin());
  if (at != before.end() && at->key() == access.key()) {
    if (!access.writes()) return;
    (overflow_.empty() ? inline_[index] : overflow_[index]) = access;
    return;
  }
  if (overflow_.empty() && size_ < kInline) {
    std::copy_backward(inline_.begin() + index, inline_.begin() + size_,
                       inline_.begin() + size_ + 1);
    inline_[index] = access;
  } else {
    if (overflow_.empty()) overflow_.assign(inline_.begin(), inline_.begin() + size_);
    overflow_.insert(overflow_.begin() + static_cast<std::ptrdiff_t>(index), access);
  }
  ++size_;
}

void Footprint::merge(const Footprint& other) {
  if (everything_) return;
  if (other.everything_) {
    *this = everything();
    return;
  }
  const std::span<const Access> theirs = other.accesses();
  if (theirs.size() <= kInline) {
    for (const Access access : theirs) add(access);
    return;
  }
  const std::span<const Access> mine = accesses();
  std::vector<Access> all(mine.begin(), mine.end());
  all.insert(all.end(), theirs.begin(), theirs.end());
  *this = of(std::move(all));
}

void Footprint::clear() {
  overflow_.clear();
  size_ = 0;
  everything_ = false;
}

bool Footprint::writes() const {
  if (everything_) return true;
  return std::ranges::any_of(accesses(), [](Access access) { return access.writes(); });
}

bool operator==(const Footprint& a, const Footprint& b) {
  return a.everything_ == b.everything_ && std::ranges::equal(a.accesses(), b.accesses());
}

bool conflicts(const Footprint& a, const Footprint& b) {
  if (a.is_everything() || b.is_everything()) return !a.empty() && !b.empty();
  const auto mine = a.accesses();
  const auto theirs = b.accesses();
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < mine.size() && j < theirs.size()) {
    if (mine[i].key() == theirs[j].key()) {
      if (mine[i].writes() || theirs[j].writes()) return true;
      ++i;
      ++j;
    } else if (mine[i].key() < theirs[j].key()) {
      ++i;
    } else {
      ++j;
    }
  }
  return false;
}

}  // namespace epaxos
