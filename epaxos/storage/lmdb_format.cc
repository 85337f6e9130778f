#include "epaxos/storage/lmdb_format.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace epaxos::storage::lmdb {
namespace {

constexpr std::size_t kNodeHeaderBytes = 8;
constexpr std::size_t kKeyBytesMax = 511;
constexpr std::size_t kOverflowNumberBytes = 8;
constexpr std::uint32_t kMagic = 0xbeefc0de;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint16_t kBigDataFlag = 1;
constexpr std::uint16_t kTreeFlag = 2;

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr std::size_t even(std::size_t bytes) {
  return (bytes + 1) & ~std::size_t{1};
}

std::uint64_t leaf_value_bytes(const std::byte* node) {
  return load<std::uint16_t>(node) | std::uint64_t{load<std::uint16_t>(node + 2)} << 16;
}
std::uint16_t node_flags(const std::byte* node) {
  return load<std::uint16_t>(node + 4);
}
std::size_t key_bytes(const std::byte* node) {
  return load<std::uint16_t>(node + 6);
}

/// Why a leaf of such a tree cannot hold this node.
std::string_view leaf_node_problem(const Node& node, TreeKind kind) {
  if (kind == TreeKind::kFree && node.key.size() != 8) return "a free list has no number";
  if (node.is_tree && node.overflows) return "a tree is described on overflow pages";
  if (node.is_tree != (kind == TreeKind::kMain && node.value_bytes == kTreeBytes)) {
    return "a node is a tree where none can be, or none where one must be";
  }
  return {};
}

}  // namespace

Tree load_tree(const std::byte* at) {
  return {.pad = load<std::uint32_t>(at),
          .flags = load<std::uint16_t>(at + 4),
          .depth = load<std::uint16_t>(at + 6),
          .branch_pages = load<std::uint64_t>(at + 8),
          .leaf_pages = load<std::uint64_t>(at + 16),
          .overflow_pages = load<std::uint64_t>(at + 24),
          .entries = load<std::uint64_t>(at + 32),
          .root = load<std::uint64_t>(at + 40)};
}

int compare_keys(TreeKind kind, Bytes a, Bytes b) {
  if (kind == TreeKind::kFree) {
    const auto x = load<std::uint64_t>(a.data());
    const auto y = load<std::uint64_t>(b.data());
    return x < y ? -1 : x > y;
  }
  const int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

std::uint64_t Page::number() const {
  return load<std::uint64_t>(data());
}

bool Page::is(PageKind kind) const {
  return load<std::uint16_t>(data() + 10) == static_cast<std::uint16_t>(kind);
}

std::uint32_t Page::overflow_pages() const {
  return load<std::uint32_t>(data() + 12);
}

Meta Page::meta() const {
  const std::byte* trees = data() + kPageHeaderBytes + 24;
  return {.free = load_tree(trees),
          .main = load_tree(trees + kTreeBytes),
          .last_page = load<std::uint64_t>(trees + 2 * kTreeBytes),
          .transaction = load<std::uint64_t>(trees + 2 * kTreeBytes + 8)};
}

std::string_view Page::meta_problem(std::uint64_t index, std::size_t page_bytes) const {
  const std::byte* at = data() + kPageHeaderBytes;
  const Meta found = meta();
  if (!is(PageKind::kMeta)) return "is not marked as a meta page";
  if (load<std::uint32_t>(at) != kMagic) return "does not begin with LMDB's magic number";
  if (load<std::uint32_t>(at + 4) != kVersion) return "is of another version of LMDB";
  if (found.free.pad != page_bytes) return "names another page size than this machine's";
  if (found.free.flags != kIntegerKeys || found.main.flags != 0 || found.main.pad != 0) {
    return "has flags that this program never sets";
  }
  if (found.transaction % kMetaPages != index) {
    return "names a transaction that belongs on the other meta page";
  }
  return {};
}

std::size_t Page::node_count() const {
  return (load<std::uint16_t>(data() + 12) - kPageHeaderBytes) / 2;
}

std::size_t Page::node_offset(std::size_t index) const {
  return load<std::uint16_t>(data() + kPageHeaderBytes + 2 * index);
}

std::size_t Page::node_bytes(std::size_t offset, bool leaf) const {
  const std::byte* at = data() + offset;
  if (!leaf) return even(kNodeHeaderBytes + key_bytes(at));
  const bool overflows = (node_flags(at) & kBigDataFlag) != 0;
  return even(kNodeHeaderBytes + key_bytes(at) +
              (overflows ? kOverflowNumberBytes : leaf_value_bytes(at)));
}

Node Page::node(std::size_t index, bool leaf) const {
  const std::byte* at = data() + node_offset(index);
  Node node;
  node.key = Bytes(at + kNodeHeaderBytes, key_bytes(at));
  if (!leaf) {
    node.child = leaf_value_bytes(at) | std::uint64_t{node_flags(at)} << 32;
    return node;
  }
  const std::byte* value = at + kNodeHeaderBytes + node.key.size();
  node.value_bytes = leaf_value_bytes(at);
  node.is_tree = (node_flags(at) & kTreeFlag) != 0;
  node.overflows = (node_flags(at) & kBigDataFlag) != 0;
  if (node.overflows) node.overflow = load<std::uint64_t>(value);
  if (!node.overflows) node.value = Bytes(value, node.value_bytes);
  return node;
}

std::string_view Page::layout_problem(bool leaf, std::size_t page_bytes) const {
  const std::size_t lower = load<std::uint16_t>(data() + 12);
  const std::size_t upper = load<std::uint16_t>(data() + 14);
  if (lower < kPageHeaderBytes || lower % 2 != 0 || lower > upper || upper > page_bytes) {
    return "its free space is impossible";
  }
  // The nodes fill the rest of the page without a gap, in any order.
  std::vector<std::pair<std::size_t, std::size_t>> extents;
  for (std::size_t i = 0; i < node_count(); ++i) {
    const std::size_t offset = node_offset(i);
    if (offset < upper || offset % 2 != 0 || offset + kNodeHeaderBytes > page_bytes) {
      return "a node lies outside of the page";
    }
    const std::byte* at = data() + offset;
    if (leaf && (node_flags(at) & ~(kBigDataFlag | kTreeFlag)) != 0) return "a node has odd flags";
    if (key_bytes(at) > kKeyBytesMax) return "a key is too long";
    extents.emplace_back(offset, node_bytes(offset, leaf));
  }
  std::ranges::sort(extents);
  std::size_t end = upper;
  for (const auto& [offset, bytes] : extents) {
    if (offset != end) return "nodes overlap, or leave a gap";
    end = offset + bytes;
  }
  return end == page_bytes ? std::string_view() : "a node reaches over the end of the page";
}

std::string_view Page::node_problem(bool leaf, TreeKind kind, std::size_t page_bytes) const {
  if (const std::string_view problem = layout_problem(leaf, page_bytes); !problem.empty()) {
    return problem;
  }
  // LMDB aborts on a branch with a single child, except in the tree of free pages.
  const bool needs_two = !leaf && kind != TreeKind::kFree;
  if (node_count() < (needs_two ? 2U : 1U)) return "it has too few nodes";
  // The first key of a branch means "everything smaller" and is not looked at.
  for (std::size_t i = leaf ? 0 : 1; i < node_count(); ++i) {
    const Node here = node(i, leaf);
    if (here.key.empty()) return "a key is empty";
    if (kind == TreeKind::kFree && here.key.size() != 8) return "a free list has no number";
    if (leaf) {
      if (const auto problem = leaf_node_problem(here, kind); !problem.empty()) return problem;
    }
    if (i == (leaf ? 0U : 1U)) continue;
    if (compare_keys(kind, node(i - 1, leaf).key, here.key) >= 0) return "keys are out of order";
  }
  return {};
}

}  // namespace epaxos::storage::lmdb
