#pragma once

// The one place that calls liblmdb: an environment in its default, synchronous mode, whose every
// write transaction is one durable change of many batches. It has no thread and no queue; one
// thread at a time may use it, but for read(), which another one may call meanwhile.
// Source: lmdb.h, "Caveats"; reliability.md 5.1.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "epaxos/contract/effects.h"
#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_layout.h"
#include "epaxos/storage/store.h"

// As lmdb.h declares them.
struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace epaxos::storage {

/// The records of one turn, copied out of its effects. Values are slices of `bytes`.
struct WriteBatch {
  BatchNumber number = 0;
  std::vector<RecordEffect> records;
  std::vector<std::byte> bytes;

  /// What it counts in Store::pending_bytes().
  [[nodiscard]] std::uint64_t size() const { return bytes.size() + records.size() * 32; }
};

struct LmdbEnvironmentOptions {
  std::uint64_t map_bytes = 0;
  std::uint64_t map_bytes_max = 0;
  std::function<int()> write_fault;
};

class LmdbEnvironment {
 public:
  /// See LmdbStore::open().
  static Result<std::unique_ptr<LmdbEnvironment>> open(DataDirectory& directory,
                                                       const LmdbEnvironmentOptions& options);
  ~LmdbEnvironment();
  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;

  /// See Store::load().
  Result<void> load(const Store::RecordVisitor& visit);

  /// See Store::read(). One thread at a time; while another one is in write().
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value);

  /// Writes the batches in order, as one atomic and durable change; on error nothing of them is
  /// visible, now or later. A full map grows first.
  /// Errors: out_of_space - try again when there is room; anything else - never write again.
  Result<void> write(std::span<const std::unique_ptr<WriteBatch>> batches);

  /// What the file holds without its free pages, and how much it may come to hold. Cost: reads the
  /// lists of free pages. One thread at a time, the one that writes.
  [[nodiscard]] Space space() const;

  /// What the last durable transaction says about itself.
  [[nodiscard]] const StateRecord& state() const { return state_; }

 private:
  using Handle = unsigned int;  // MDB_dbi; 0, LMDB's own tree of free pages, means "not open".
  class WriteTransaction;
  class Reader;
  class Snapshot;

  LmdbEnvironment(const DataDirectory& directory, LmdbEnvironmentOptions options);

  static Result<StateRecord> check_file(const std::string& path, const DataDirectory& directory);
  Result<void> map_file();
  Result<void> create();
  Result<void> open_partitions();
  int write_once(std::span<const std::unique_ptr<WriteBatch>> batches);
  bool grow_map();
  [[nodiscard]] std::uint64_t free_pages() const;
  [[nodiscard]] Failure failure(int code, std::string_view what) const;
  [[nodiscard]] Failure damaged(const std::string& what) const;
  [[nodiscard]] Failure write_failure(int code, std::uint64_t bytes) const;

  std::string path_;
  DirectoryIdentity identity_;
  LmdbEnvironmentOptions options_;
  MDB_env* environment_ = nullptr;
  std::uint64_t map_bytes_ = 0;
  Handle main_ = 0;
  // A handle is published here once the transaction that made its database is durable.
  std::array<std::atomic<Handle>, kPartitions> partitions_{};
  StateRecord state_;

  std::mutex map_mutex_;  // Held where the map must not move: by a reader, or by who moves it.
  MDB_txn* reading_ = nullptr;  // Of read(), between reads without a snapshot. Under map_mutex_.
};

}  // namespace epaxos::storage
