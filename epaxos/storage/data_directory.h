#pragma once

// The directory in which one replica keeps what it promised. Whoever holds a DataDirectory owns the
// directory alone on this machine, knows that it belongs to this cluster and this replica, has a
// fresh incarnation on disk, and knows whether the memory in it may still be trusted to vote.
// Source: protocol.md 13.2 and 13.5, reliability.md 5.1.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "epaxos/storage/store.h"
#include "net/bundle.h"

namespace epaxos::storage {

/// Whose directory it is. Stamped at the first start, compared at every later one.
struct DirectoryIdentity {
  net::ClusterId cluster{};
  ReplicaId replica;
  int replica_count = 0;

  friend bool operator==(const DirectoryIdentity&, const DirectoryIdentity&) = default;
};

/// How the run before this one ended.
enum class PreviousStop {
  kFirstStart,  ///< There was none.
  kClean,       ///< mark_clean() was its last act.
  kUnclean,     ///< Killed, crashed, or its machine lost power.
};

std::string_view to_string(PreviousStop stop);

/// What a directory tells about the runs before this one.
struct PastRuns {
  PreviousStop stop = PreviousStop::kFirstStart;
  Durability durability = Durability::kSync;  ///< Of the last run. Meaningless at the first start.
  bool memory_lost = false;                   ///< Some earlier run ended in a way that lost votes.
};

/// Whether votes given before this start may be missing from it. Once true, it stays true until the
/// directory is wiped or the operator insists.
///
/// A first start has given none. A run at sync left all of them on disk, however it ended; one at
/// async did when it stopped cleanly; one at none kept them in memory only. A start at none does
/// not read the disk, so it forgets whatever earlier runs had written.
[[nodiscard]] bool memory_is_lost(const PastRuns& past, Durability now);

struct DataDirectoryOptions {
  std::string path;
  DirectoryIdentity identity;
  /// Whose records they are; stamped and compared as the identity is.
  std::string protocol = "epaxos";
  Durability durability = Durability::kSync;
  /// Milliseconds since the epoch. Incarnations follow it, so that a directory that was emptied, or
  /// set back to an older copy, does not take up a number that peers have heard already.
  std::uint64_t clock_ms = 0;
  /// Vote although memory was lost. Agreement may break; for experiments.
  bool unsafe_rejoin = false;
  /// Accept network and user-space file systems, where locks and memory maps may not hold.
  bool any_filesystem = false;
};

/// Why a file system of this statfs() type is refused; empty when it is fine. Local file systems
/// are, and so is overlayfs: containers live on it, and a file that was created in its upper layer
/// is an ordinary file of the file system below.
[[nodiscard]] std::string_view filesystem_problem(std::int64_t statfs_type);

class DataDirectory {
 public:
  /// Creates the directory (not its parents) when it is missing, locks it, checks its stamp, and
  /// writes that this run has begun. Cost: two fsyncs; at the first start three.
  ///
  /// Errors: busy - another process holds it; wrong_identity - another cluster's, replica's or
  ///         protocol's; invalid_argument - a run at none would not read what it holds;
  ///         corrupted - the stamp is damaged or missing; invalid_argument - the path cannot serve,
  ///         or is new and holds files of somebody else;
  ///         out_of_space, io - the disk refused.
  static Result<std::unique_ptr<DataDirectory>> open(const DataDirectoryOptions& options);

  /// Whether no run has ever begun in it, so that whoever opens it will own it from then on.
  [[nodiscard]] static bool is_new(const std::string& path);

  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return options_.path; }
  [[nodiscard]] const DirectoryIdentity& identity() const { return options_.identity; }
  /// 1 at the first start, and one more at each later one, durably.
  [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }
  [[nodiscard]] const PastRuns& past() const { return past_; }
  /// For CoreConfig::voting.
  [[nodiscard]] bool voting() const { return !memory_lost_; }
  /// A sentence for the operator: why this replica does not vote and what to do. Empty if it votes.
  [[nodiscard]] std::string non_voting_reason() const;

  /// The last act of a clean stop, after the store has closed: durably says that nothing is
  /// missing.
  Result<void> mark_clean();

  /// A transaction of the store that was durable when this was last recorded; 0 if there never was
  /// a store. A store that is behind it was lost or replaced by an old copy.
  [[nodiscard]] std::uint64_t store_witness() const { return store_witness_; }
  Result<void> record_store_witness(std::uint64_t transaction);

 private:
  DataDirectory(const DataDirectoryOptions& options, int lock_file);

  Result<void> begin_run();
  [[nodiscard]] Result<void> check_use(const std::string& protocol, Durability durability) const;
  Result<void> write_stamp(bool clean);

  DataDirectoryOptions options_;
  int lock_file_ = -1;
  std::uint64_t incarnation_ = 0;
  std::uint64_t store_witness_ = 0;
  PastRuns past_;
  bool memory_lost_ = false;
};

}  // namespace epaxos::storage
