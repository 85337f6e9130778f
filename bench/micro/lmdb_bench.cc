// What the store adds to LMDB: the same batches of 128-byte records once through the store (queue,
// writer thread, checksums, fingerprint) and once in a bare loop of LMDB calls, with the same
// layout and keys, taking turns in the same run. The counter "ratio" is the throughput of the store
// over that of the loop. In the directory of EPAXOS_BENCH_DIR, or else the current one, since a
// file system in memory would hide what matters.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <benchmark/benchmark.h>
#include <lmdb.h>

#include "bench/micro/bench_directory.h"
#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_layout.h"
#include "epaxos/storage/lmdb_store.h"

namespace epaxos::storage {
namespace {

using bench::BenchDirectory;
using bench::must;

constexpr std::size_t kValueBytes = 128;
constexpr std::uint64_t kRows = 5;
constexpr std::uint64_t kKinds = 3;

/// The records of a turn: rows take turns, and each instance has one record of each kind.
class Workload {
 public:
  void next_batch(std::size_t records, Effects& effects) {
    const std::array<std::byte, kValueBytes> value{};
    effects.clear();
    ++effects.batch;
    for (std::size_t i = 0; i < records; ++i) {
      const std::uint64_t instance = next_++;
      const std::uint64_t kind = instance % kKinds;
      const std::uint64_t row = instance / kKinds % kRows;
      effects.put({.kind = static_cast<std::uint8_t>(kind),
                   .group = {},
                   .epoch = {},
                   .row = ReplicaId(static_cast<std::uint16_t>(row)),
                   .slot = Slot(1 + instance / kKinds / kRows)},
                  effects.append(value));
    }
  }

 private:
  std::uint64_t next_ = 0;
};

/// The floor: nothing but LMDB.
class BareLoop {
 public:
  explicit BareLoop(const std::string& path) {
    must(mdb_env_create(&environment_) == 0, "no environment");
    must(mdb_env_set_mapsize(environment_, std::size_t{64} << 30) == 0, "no map");
    must(mdb_env_set_maxdbs(environment_, kPartitions) == 0, "no databases");
    must(mdb_env_open(environment_, path.c_str(), MDB_NOTLS, 0640) == 0, "not opened");
  }
  ~BareLoop() { mdb_env_close(environment_); }
  BareLoop(const BareLoop&) = delete;
  BareLoop& operator=(const BareLoop&) = delete;

  void write(const Effects& effects) {
    MDB_txn* transaction = nullptr;
    std::array<MDB_cursor*, kPartitions> cursors{};
    must(mdb_txn_begin(environment_, nullptr, 0, &transaction) == 0, "no transaction");
    for (const RecordEffect& record : effects.records) {
      const int partition = partition_of(record.key);
      MDB_cursor*& cursor = cursors[static_cast<std::size_t>(partition)];
      if (cursor == nullptr) {
        MDB_dbi& handle = handles_[static_cast<std::size_t>(partition)];
        if (handle == 0) {
          const std::string name = partition_name(partition);
          must(mdb_dbi_open(transaction, name.c_str(), MDB_CREATE, &handle) == 0, "no database");
        }
        must(mdb_cursor_open(transaction, handle, &cursor) == 0, "no cursor");
      }
      StoredKey key = encode_key(record.key);
      const Bytes value = effects.view(record.value);
      MDB_val key_value{key.size(), key.data()};
      MDB_val stored{value.size(), const_cast<std::byte*>(value.data())};
      must(mdb_cursor_put(cursor, &key_value, &stored, MDB_APPEND) == 0, "no put");
    }
    must(mdb_txn_commit(transaction) == 0, "no commit");
  }

 private:
  MDB_env* environment_ = nullptr;
  std::array<MDB_dbi, kPartitions> handles_{};
};

/// A store, and a wait for its batches like that of an event loop.
class WaitingStore {
 public:
  explicit WaitingStore(const std::string& path) {
    DataDirectoryOptions options;
    options.path = path;
    options.identity.replica_count = 5;
    auto directory = DataDirectory::open(options);
    must(directory.has_value(), "no data directory");
    directory_ = std::move(*directory);
    LmdbOptions lmdb;
    lmdb.on_progress = [this] {
      const std::lock_guard lock(mutex_);
      progress_.notify_one();
    };
    auto store = LmdbStore::open(*directory_, lmdb);
    must(store.has_value(), "no store");
    store_ = std::move(*store);
  }

  void write(const Effects& effects) {
    store_->submit(effects);
    std::unique_lock lock(mutex_);
    progress_.wait(lock, [&] { return store_->durable() >= effects.batch; });
  }

  [[nodiscard]] LmdbStore& store() { return *store_; }

 private:
  std::unique_ptr<DataDirectory> directory_;
  std::mutex mutex_;
  std::condition_variable progress_;
  std::unique_ptr<LmdbStore> store_;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// One batch at a time, durable before the next begins.
void BM_StoreAgainstBareLmdb(benchmark::State& state) {
  const BenchDirectory store_directory;
  const BenchDirectory bare_directory;
  WaitingStore store(store_directory.path());
  BareLoop bare(bare_directory.path());
  Workload store_workload;
  Workload bare_workload;
  Effects store_batch;
  Effects bare_batch;
  const auto records = static_cast<std::size_t>(state.range(0));
  double store_seconds = 0;
  double bare_seconds = 0;

  for (auto _ : state) {
    store_workload.next_batch(records, store_batch);
    bare_workload.next_batch(records, bare_batch);
    const auto store_start = std::chrono::steady_clock::now();
    store.write(store_batch);
    const double elapsed = seconds_since(store_start);
    store_seconds += elapsed;
    const auto bare_start = std::chrono::steady_clock::now();
    bare.write(bare_batch);
    bare_seconds += seconds_since(bare_start);
    state.SetIterationTime(elapsed);
  }

  const auto written = static_cast<double>(state.iterations()) * static_cast<double>(records);
  state.counters["store_records_per_s"] = written / store_seconds;
  state.counters["bare_records_per_s"] = written / bare_seconds;
  state.counters["ratio"] = bare_seconds / store_seconds;
}
BENCHMARK(BM_StoreAgainstBareLmdb)
    ->Arg(1)
    ->Arg(16)
    ->Arg(256)
    ->Arg(4096)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

/// Up to 64 batches on their way, as under load: the writer groups what waits.
void BM_StoreWithBatchesInFlight(benchmark::State& state) {
  constexpr BatchNumber kInFlight = 64;
  const BenchDirectory directory;
  WaitingStore store(directory.path());
  Workload workload;
  Effects batch;
  const auto records = static_cast<std::size_t>(state.range(0));

  for (auto _ : state) {
    workload.next_batch(records, batch);
    store.store().submit(batch);
    while (store.store().durable() + kInFlight < batch.batch) std::this_thread::yield();
  }
  while (store.store().durable() < batch.batch) std::this_thread::yield();

  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
  state.counters["batches_per_transaction"] =
      static_cast<double>(state.iterations()) / static_cast<double>(store.store().transactions());
}
BENCHMARK(BM_StoreWithBatchesInFlight)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

/// What a start costs: verifying the file and streaming its records.
void BM_OpenAndLoad(benchmark::State& state) {
  const BenchDirectory directory;
  const auto records = static_cast<std::size_t>(state.range(0));
  {
    WaitingStore store(directory.path());
    Workload workload;
    Effects batch;
    for (std::size_t done = 0; done < records; done += 4096) {
      workload.next_batch(4096, batch);
      store.write(batch);
    }
  }
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    WaitingStore store(directory.path());
    const auto loaded = store.store().load([&](const RecordKey&, Bytes value) -> Result<void> {
      bytes += value.size();
      return {};
    });
    must(loaded.has_value(), "not loaded");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) *
                          static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(BM_OpenAndLoad)->Arg(1 << 20)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace epaxos::storage
