#include "epaxos/storage/lmdb_verifier.h"

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/storage/file_system.h"
#include "epaxos/storage/lmdb_format.h"

namespace epaxos::storage {
namespace {

using lmdb::kMetaPages;
using lmdb::kNoPage;
using lmdb::Meta;
using lmdb::Node;
using lmdb::Page;
using lmdb::PageKind;
using lmdb::Tree;
using lmdb::TreeKind;

// LMDB may count pages that it took and gave back in one transaction without ever writing them, so
// a sound file can be shorter than it says; one transaction touches no more pages than this.
constexpr std::uint64_t kUnwrittenPagesMax = std::uint64_t{1} << 20;

/// The keys that a subtree may hold: from `lower` on, and below `upper`. Both point into pages of
/// the path from the root.
struct Bounds {
  std::optional<Bytes> lower;
  std::optional<Bytes> upper;
};

/// One page on the path from a root to the page at hand.
struct Frame {
  Page page;
  std::size_t next_child = 0;
  Bounds bounds;
};

class Verifier {
 public:
  Verifier(std::string path, const DirectoryIdentity& identity, int file, std::uint64_t file_bytes,
           std::size_t page_bytes)
      : path_(std::move(path)),
        identity_(identity),
        file_(file),
        file_bytes_(file_bytes),
        page_bytes_(page_bytes) {}

  Result<StateRecord> run() {
    return verify() ? Result<StateRecord>(*state_) : Result<StateRecord>(fail(error_));
  }

 private:
  // Everything below answers false after it has set error_.

  bool verify() {
    Meta metas[kMetaPages];
    if (!read_metas(metas)) return false;
    const std::uint64_t newest = metas[1].transaction > metas[0].transaction ? 1 : 0;
    meta_ = metas[newest];
    if (!walk_everything()) return false;
    if (!state_) return damaged("it holds no state record");
    if (state_->transaction != meta_.transaction) {
      return damaged(newest, "names transaction " + std::to_string(meta_.transaction) +
                                 ", but its tree is that of " +
                                 std::to_string(state_->transaction));
    }
    return check_older(metas[1 - newest], 1 - newest);
  }

  bool read_metas(Meta (&metas)[kMetaPages]) {
    if (file_bytes_ < kMetaPages * page_bytes_) {
      return damaged("it has " + std::to_string(file_bytes_) + " bytes, less than its first pages");
    }
    for (std::uint64_t i = 0; i < kMetaPages; ++i) {
      if (!read_page(i, scratch_)) return false;
      const std::string_view problem = scratch_.meta_problem(i, page_bytes_);
      if (!problem.empty()) return damaged(i, problem);
      metas[i] = scratch_.meta();
    }
    // LMDB writes them in turn, so they are one transaction apart, also after a crash.
    const std::uint64_t a = metas[0].transaction;
    const std::uint64_t b = metas[1].transaction;
    if (a == b + 1 || b == a + 1) return true;
    return damaged("its meta pages name transactions " + std::to_string(a) + " and " +
                   std::to_string(b) + ", which do not follow each other");
  }

  bool walk_everything() {
    if (meta_.last_page < kMetaPages - 1 ||
        meta_.last_page > file_bytes_ / page_bytes_ + kUnwrittenPagesMax) {
      return damaged("it would end with page " + std::to_string(meta_.last_page) + ", but has " +
                     std::to_string(file_bytes_) + " bytes");
    }
    used_.assign(meta_.last_page + 1, false);
    used_[0] = used_[1] = true;
    if (!walk(meta_.main, TreeKind::kMain)) return false;
    for (const Tree& tree : record_trees_) {
      if (!walk(tree, TreeKind::kRecords)) return false;
    }
    return walk(meta_.free, TreeKind::kFree);
  }

  /// Depth first, without recursion: path_from_root_ is the way from the root.
  bool walk(const Tree& tree, TreeKind kind) {
    counted_ = {};
    if (tree.root != kNoPage) {
      if (tree.depth == 0 || tree.depth > lmdb::kDepthMax) {
        return damaged(tree.root, "is the root of a tree of impossible depth");
      }
      depth_ = 0;
      if (!enter(tree.root, tree, kind, {})) return false;
      while (depth_ > 0) {
        Frame& top = *path_from_root_[depth_ - 1];
        const bool done = depth_ == tree.depth || top.next_child == top.page.node_count();
        if (done) {
          --depth_;
        } else if (!descend(top, tree, kind)) {
          return false;
        }
      }
    }
    return check_counts(tree);
  }

  bool descend(Frame& top, const Tree& tree, TreeKind kind) {
    const std::size_t index = top.next_child++;
    const Node node = top.page.node(index, false);
    Bounds bounds = top.bounds;
    if (index > 0) bounds.lower = node.key;
    if (index + 1 < top.page.node_count()) bounds.upper = top.page.node(index + 1, false).key;
    return enter(node.child, tree, kind, bounds);
  }

  bool enter(std::uint64_t number, const Tree& tree, TreeKind kind, const Bounds& bounds) {
    if (depth_ == path_from_root_.size()) path_from_root_.push_back(std::make_unique<Frame>());
    Frame& frame = *path_from_root_[depth_++];
    frame.next_child = 0;
    frame.bounds = bounds;
    const bool leaf = depth_ == tree.depth;
    if (!use(number) || !read_page(number, frame.page)) return false;
    if (!frame.page.is(leaf ? PageKind::kLeaf : PageKind::kBranch)) {
      return damaged(
          number, leaf ? "is not the leaf that it must be" : "is not the branch that it must be");
    }
    const std::string_view problem = frame.page.node_problem(leaf, kind, page_bytes_);
    if (!problem.empty()) return damaged(number, problem);
    if (!in_bounds(frame, leaf, kind)) return damaged(number, "holds keys that belong elsewhere");
    ++(leaf ? counted_.leaf_pages : counted_.branch_pages);
    return !leaf || check_leaf(frame.page, kind);
  }

  /// Keys ascend within the page, so its first and its last speak for all.
  [[nodiscard]] bool in_bounds(const Frame& frame, bool leaf, TreeKind kind) const {
    const std::size_t first = leaf ? 0 : 1;
    const std::size_t count = frame.page.node_count();
    if (first == count) return true;
    const auto& [lower, upper] = frame.bounds;
    if (lower && compare_keys(kind, frame.page.node(first, leaf).key, *lower) < 0) return false;
    return !upper || compare_keys(kind, frame.page.node(count - 1, leaf).key, *upper) < 0;
  }

  bool check_leaf(const Page& page, TreeKind kind) {
    for (std::size_t i = 0; i < page.node_count(); ++i) {
      const Node node = page.node(i, true);
      ++counted_.entries;
      if (node.overflows && !use_overflow(node)) return false;
      if (kind == TreeKind::kMain && !check_main_node(page.number(), node)) return false;
      if (kind == TreeKind::kFree && !check_free_list(page.number(), node)) return false;
      if (kind == TreeKind::kRecords &&
          (node.key.size() != sizeof(StoredKey) || node.value_bytes < kChecksumBytes)) {
        return damaged(page.number(), "holds something that is no record");
      }
    }
    return true;
  }

  bool use_overflow(const Node& node) {
    if (!read_page(node.overflow, scratch_)) return false;
    const std::uint64_t pages = scratch_.overflow_pages();
    const std::uint64_t needed = (lmdb::kPageHeaderBytes - 1 + node.value_bytes) / page_bytes_ + 1;
    if (!scratch_.is(PageKind::kOverflow) || pages < needed) {
      return damaged(node.overflow,
                     "does not begin a value of " + std::to_string(node.value_bytes) + " bytes");
    }
    if (node.overflow + pages > file_bytes_ / page_bytes_) {
      return damaged(node.overflow, "begins a value that reaches over the end of the file");
    }
    counted_.overflow_pages += pages;
    for (std::uint64_t i = 0; i < pages; ++i) {
      if (!use(node.overflow + i)) return false;
    }
    return true;
  }

  bool check_main_node(std::uint64_t page, const Node& node) {
    if (!node.is_tree) {
      if (text_of(node.key) != kStateName || node.overflows) {
        return damaged(page, "holds an unknown record beside the names of trees");
      }
      return load_state(page, node.value);
    }
    const Tree tree = lmdb::load_tree(node.value.data());
    if (!partition_from(text_of(node.key)) || tree.flags != 0 || tree.pad != 0) {
      return damaged(page, "names a tree that this program never makes");
    }
    record_trees_.push_back(tree);
    return true;
  }

  bool load_state(std::uint64_t page, Bytes value) {
    Result<StateRecord> state = decode_state(identity_, value);
    if (state) {
      state_ = *state;
      return true;
    }
    if (state.error().code == ErrorCode::kCorrupted) return damaged(page, state.error().message);
    error_ = {state.error().code,
              path_ + ": " + state.error().message + "; use this replica's own data directory"};
    return false;
  }

  /// A list of free pages: how many, then their numbers, descending.
  bool check_free_list(std::uint64_t page, const Node& node) {
    const std::uint64_t transaction = load_u64(node.key.data());
    if (transaction == 0 || transaction > meta_.transaction) {
      return damaged(page, "frees pages in a transaction that never was");
    }
    if (!read_value(node)) return false;
    const std::uint64_t words = value_.size() / 8;
    const std::uint64_t count = words == 0 ? 0 : load_u64(value_.data());
    if (words == 0 || value_.size() % 8 != 0 || count > words - 1) {
      return damaged(page, "holds a list of free pages of impossible length");
    }
    std::uint64_t previous = kNoPage;
    for (std::uint64_t i = 1; i <= count; ++i) {
      const std::uint64_t number = load_u64(value_.data() + 8 * i);
      if (number >= previous) return damaged(page, "holds a list of free pages out of order");
      if (!use(number)) return false;
      previous = number;
    }
    return true;
  }

  /// Into value_. Precondition: use_overflow() has accepted the pages, if there are any.
  bool read_value(const Node& node) {
    if (!node.overflows) {
      value_.assign(node.value.begin(), node.value.end());
      return true;
    }
    value_.resize(node.value_bytes);
    return read_bytes(node.overflow * page_bytes_ + lmdb::kPageHeaderBytes, value_.data(),
                      value_.size());
  }

  bool check_counts(const Tree& tree) {
    if (counted_.branch_pages == tree.branch_pages && counted_.leaf_pages == tree.leaf_pages &&
        counted_.overflow_pages == tree.overflow_pages && counted_.entries == tree.entries) {
      return true;
    }
    return damaged("the tree of page " + std::to_string(tree.root) + " has " +
                   std::to_string(counted_.entries) + " entries on " +
                   std::to_string(counted_.leaf_pages) + " pages, but should have " +
                   std::to_string(tree.entries) + " on " + std::to_string(tree.leaf_pages));
  }

  /// The meta page before the newest must name what its own tree names, or the one that looks
  /// newest is not: a changed bit in a transaction number would hide the last transaction. Its tree
  /// is still whole, because LMDB reuses pages only two transactions after they were freed.
  bool check_older(const Meta& older, std::uint64_t index) {
    std::uint64_t number = older.main.root;
    for (std::size_t level = older.main.depth; level > 1; --level) {
      if (level > lmdb::kDepthMax) return damaged(index, "has a tree of impossible depth");
      if (!read_node_page(number, false)) return false;
      number = scratch_.node(0, false).child;
    }
    if (older.main.depth == 0) return damaged(index, "has no tree");
    if (!read_node_page(number, true)) return false;
    const Node first = scratch_.node(0, true);
    if (text_of(first.key) != kStateName || first.overflows || !load_older(number, first.value)) {
      return damaged(number, "does not begin with a state record");
    }
    if (older_state_.transaction == older.transaction) return true;
    return damaged(index, "names transaction " + std::to_string(older.transaction) +
                              ", but its tree is that of " +
                              std::to_string(older_state_.transaction));
  }

  bool load_older(std::uint64_t page, Bytes value) {
    const std::optional<StateRecord> newest = state_;
    if (!load_state(page, value)) return false;
    older_state_ = *std::exchange(state_, newest);
    return true;
  }

  bool read_node_page(std::uint64_t number, bool leaf) {
    if (!read_page(number, scratch_)) return false;
    if (!scratch_.is(leaf ? PageKind::kLeaf : PageKind::kBranch) ||
        !scratch_.node_problem(leaf, TreeKind::kMain, page_bytes_).empty()) {
      return damaged(number, "is no page of the tree before the last transaction");
    }
    return true;
  }

  bool use(std::uint64_t number) {
    if (number > meta_.last_page) return damaged(number, "is used, but lies behind the last page");
    if (used_[number]) return damaged(number, "is used twice, or both used and free");
    used_[number] = true;
    return true;
  }

  bool read_page(std::uint64_t number, Page& page) {
    if (number >= file_bytes_ / page_bytes_) {
      return damaged(number, "is needed, but the file ends before it, after " +
                                 std::to_string(file_bytes_) + " bytes");
    }
    if (!read_bytes(number * page_bytes_, page.data(), page_bytes_)) return false;
    return page.number() == number || damaged(number, "carries the number of another page");
  }

  bool read_bytes(std::uint64_t offset, std::byte* to, std::size_t bytes) {
    while (bytes > 0) {
      const ssize_t got = ::pread(file_, to, bytes, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        error_ = system_failure(path_, "cannot be read", errno).error;
        return false;
      }
      if (got == 0) return damaged("it ended while it was read");
      offset += static_cast<std::uint64_t>(got);
      to += got;
      bytes -= static_cast<std::size_t>(got);
    }
    return true;
  }

  bool damaged(std::uint64_t page, std::string_view what) {
    return damaged("page " + std::to_string(page) + " " + std::string(what));
  }

  bool damaged(const std::string& what) {
    error_ = {
        ErrorCode::kCorrupted,
        path_ + ": is damaged (" + what +
            "). This replica must not run on it: with an empty directory it learns and serves "
            "again, but does not vote"};
    return false;
  }

  std::string path_;
  const DirectoryIdentity& identity_;
  int file_;
  std::uint64_t file_bytes_;
  std::size_t page_bytes_;

  Meta meta_;               // The newest.
  std::vector<bool> used_;  // By page number: in a tree, or free.
  std::vector<std::unique_ptr<Frame>> path_from_root_;
  std::size_t depth_ = 0;  // Of the page at hand, in path_from_root_.
  std::vector<Tree> record_trees_;
  Tree counted_;  // What the current walk has seen.
  std::optional<StateRecord> state_;
  StateRecord older_state_;
  std::vector<std::byte> value_;
  Page scratch_;
  Error error_;
};

/// Closes on every way out.
struct Descriptor {
  int file = -1;
  ~Descriptor() {
    if (file >= 0) ::close(file);
  }
};

}  // namespace

Result<StateRecord> verify_lmdb_file(const std::string& path, const DirectoryIdentity& identity) {
  const Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat information {};
  if (descriptor.file < 0 || ::fstat(descriptor.file, &information) != 0) {
    return system_failure(path, "cannot be opened", errno);
  }
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  check(page_bytes > 0 && std::size_t(page_bytes) <= lmdb::kPageBytesMax,
        "LMDB's pages are those of the machine, at most 32 KiB");
  Verifier verifier(path, identity, descriptor.file,
                    static_cast<std::uint64_t>(information.st_size),
                    static_cast<std::size_t>(page_bytes));
  return verifier.run();
}

}  // namespace epaxos::storage
