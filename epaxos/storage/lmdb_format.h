#pragma once

// The pages of an LMDB 0.9 data file on a 64-bit little-endian machine, read with suspicion: a page
// says what is wrong with it, and only a page without a problem may be asked for its nodes.
// Source: mdb.c of LMDB 0.9.24 (MDB_page, MDB_node, MDB_db, MDB_meta).

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "deps/types/command.h"

namespace epaxos::storage::lmdb {

inline constexpr std::size_t kPageBytesMax = 32 * 1024;
inline constexpr std::size_t kPageHeaderBytes = 16;
inline constexpr std::size_t kTreeBytes = 48;
inline constexpr std::size_t kDepthMax = 32;  ///< LMDB's cursors hold no longer path.
inline constexpr std::uint64_t kNoPage = UINT64_MAX;
inline constexpr std::uint64_t kMetaPages = 2;
inline constexpr std::uint16_t kIntegerKeys = 8;  ///< The one flag of the tree of free pages.

enum class PageKind : std::uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8 };

/// What a tree holds, which decides how its keys compare and what its leaves may hold.
enum class TreeKind {
  kFree,     ///< Keys are transaction numbers, data are lists of free pages.
  kMain,     ///< Names of trees, and the state record.
  kRecords,  ///< Plain records.
};

/// A tree as LMDB describes it (MDB_db).
struct Tree {
  std::uint32_t pad = 0;
  std::uint16_t flags = 0;
  std::uint16_t depth = 0;
  std::uint64_t branch_pages = 0;
  std::uint64_t leaf_pages = 0;
  std::uint64_t overflow_pages = 0;
  std::uint64_t entries = 0;
  std::uint64_t root = kNoPage;
};

/// Precondition: kTreeBytes at `at`.
Tree load_tree(const std::byte* at);

struct Meta {
  Tree free;
  Tree main;
  std::uint64_t last_page = 0;
  std::uint64_t transaction = 0;
};

/// An entry of a leaf or of a branch.
struct Node {
  Bytes key;
  std::uint64_t child = 0;        ///< Of a branch.
  std::uint64_t value_bytes = 0;  ///< Of a leaf.
  bool overflows = false;         ///< Of a leaf: the value lies on overflow pages ...
  std::uint64_t overflow = 0;     ///< ... from this one on.
  bool is_tree = false;           ///< Of a leaf: the value is a Tree.
  Bytes value;                    ///< Of a leaf, when it does not overflow.
};

/// Less than, equal to or greater than 0. Precondition: keys that their pages have accepted.
int compare_keys(TreeKind kind, Bytes a, Bytes b);

class Page {
 public:
  /// Room for page_bytes(): to read the page into.
  std::byte* data() { return bytes_.data(); }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }

  [[nodiscard]] std::uint64_t number() const;
  [[nodiscard]] bool is(PageKind kind) const;

  /// Why this cannot be a meta page of this parity; empty when it can.
  [[nodiscard]] std::string_view meta_problem(std::uint64_t index, std::size_t page_bytes) const;
  /// Precondition: no meta_problem().
  [[nodiscard]] Meta meta() const;

  /// Why the nodes of this branch or leaf cannot be read or are out of order; empty when they can.
  [[nodiscard]] std::string_view node_problem(bool leaf, TreeKind kind,
                                              std::size_t page_bytes) const;
  /// Precondition of these: no node_problem().
  [[nodiscard]] std::size_t node_count() const;
  [[nodiscard]] Node node(std::size_t index, bool leaf) const;

  /// Of an overflow page: how many pages it and its successors are.
  [[nodiscard]] std::uint32_t overflow_pages() const;

 private:
  [[nodiscard]] std::string_view layout_problem(bool leaf, std::size_t page_bytes) const;
  [[nodiscard]] std::size_t node_offset(std::size_t index) const;
  [[nodiscard]] std::size_t node_bytes(std::size_t offset, bool leaf) const;

  alignas(8) std::array<std::byte, kPageBytesMax> bytes_{};
};

}  // namespace epaxos::storage::lmdb
