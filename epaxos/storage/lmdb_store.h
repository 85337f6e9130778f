#pragma once

// Records on disk, in LMDB at its default, synchronous setting. One writer thread owns all write
// transactions; everything that waits when it begins goes into one of them (group commit). A batch
// is atomic, batches become durable in order, and a refused batch stays first in line.
// What is on disk is never trusted: the file is checked page by page before it is mapped, and every
// record against a checksum that is bound to its key. Source: reliability.md 5.1.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_environment.h"
#include "epaxos/storage/store.h"

namespace epaxos::storage {

struct LmdbOptions {
  /// Address space for the map. The file only takes what is written.
  std::uint64_t map_bytes = std::uint64_t{64} << 30;
  /// A full map grows up to this size before batches are refused.
  std::uint64_t map_bytes_max = std::uint64_t{256} << 30;

  /// How long a refused batch waits before it is tried again; doubles up to the second one.
  std::uint32_t retry_ms = 20;
  std::uint32_t retry_max_ms = 1000;

  /// Called on the writer thread, without a lock held, after durable() or state() has changed. Must
  /// not block or call the store's close(); an event loop signals its eventfd here.
  std::function<void()> on_progress;

  /// For tests: asked before every commit; an errno other than 0 fails that commit with it.
  std::function<int()> write_fault;
};

class LmdbStore final : public Store {
 public:
  /// Opens, or creates at the first start, the store in a directory that this process holds.
  /// `directory` must outlive the store. Cost: reads the whole file once.
  ///
  /// Errors: corrupted - the file is damaged, truncated, missing, or older than the directory says;
  ///         wrong_identity - written by another replica; out_of_space, io - the disk refused.
  static Result<std::unique_ptr<LmdbStore>> open(DataDirectory& directory,
                                                 LmdbOptions options = {});

  /// Closes, if close() was not called.
  ~LmdbStore() override;

  Result<void> load(const RecordVisitor& visit) override;
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const override;
  void submit(const Effects& effects) override;
  [[nodiscard]] BatchNumber durable() const override;
  [[nodiscard]] StoreState state() const override;
  [[nodiscard]] std::string error() const override;
  [[nodiscard]] Space space() const override;
  [[nodiscard]] std::uint64_t pending_bytes() const override;

  /// Tries a refused batch now rather than when its time has come.
  void retry_now();

  /// Writes what was submitted, waits for it, and closes. Errors: batches that could not be
  /// written; the directory must then not be marked clean. Nothing may be submitted afterwards.
  Result<void> close();

  /// Durable write transactions since the store was created.
  [[nodiscard]] std::uint64_t transactions() const;

 private:
  LmdbStore(DataDirectory& directory, LmdbOptions options,
            std::unique_ptr<LmdbEnvironment> environment);

  void run();
  bool take_work();
  void write_group();
  [[nodiscard]] std::size_t group_size() const;
  void group_is_durable(std::size_t batches);
  void group_is_refused(const Error& error, std::size_t batches);
  bool wait_to_retry();
  void set_state(StoreState state, std::string error);
  void report_progress();
  void measure_space(std::uint64_t written);

  DataDirectory& directory_;
  LmdbOptions options_;
  std::unique_ptr<LmdbEnvironment>
      environment_;  // The writer's, from the first submit() on; but read().

  std::atomic<BatchNumber> durable_{0};
  std::atomic<StoreState> state_{StoreState::kReady};
  std::atomic<std::uint64_t> pending_bytes_{0};
  std::atomic<std::uint64_t> transactions_{0};
  std::atomic<std::uint64_t> used_bytes_{0};
  std::atomic<std::uint64_t> limit_bytes_{0};
  BatchNumber submitted_ = 0;  // The caller's.

  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable wake_;
  std::vector<std::unique_ptr<WriteBatch>> submitted_batches_;
  std::vector<std::unique_ptr<WriteBatch>> spare_batches_;
  std::string error_;
  bool retry_now_ = false;
  bool closing_ = false;

  // The writer's.
  std::chrono::steady_clock::time_point measured_at_{};
  std::uint64_t unmeasured_bytes_ = 0;                // Written since then.
  std::vector<std::unique_ptr<WriteBatch>> writing_;  // Taken, not yet durable, in order.
  bool one_by_one_ = false;     // A group was refused: perhaps its first batch fits alone.
  std::uint32_t retry_ms_ = 0;  // The next wait; 0 unless a batch was refused.
  bool last_try_ = false;       // The store closes, and the refused batch gets one more try.

  std::thread writer_;
};

}  // namespace epaxos::storage
