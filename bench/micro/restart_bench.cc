// How long a replica is away when it starts again: from opening a store that holds about 100 MB of
// decided instances until its core votes, and until all of them are handed out for execution.
// The argument is the size of a payload.
//
//   epaxos-micro --benchmark_filter=Restart

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/micro/bench_directory.h"
#include "epaxos/protocol/core.h"
#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_store.h"

namespace epaxos::protocol {
namespace {

using bench::BenchDirectory;
using bench::must;
using storage::DataDirectory;
using storage::LmdbStore;

constexpr int kReplicas = 5;
constexpr std::size_t kStoredBytes = std::size_t{100} * 1000 * 1000;

struct Opened {
  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<LmdbStore> store;
};

Opened open(const std::string& path) {
  storage::DataDirectoryOptions options;
  options.path = path;
  options.identity.replica_count = kReplicas;
  auto directory = DataDirectory::open(options);
  must(directory.has_value(), "no data directory");
  auto store = LmdbStore::open(**directory, {});
  must(store.has_value(), "no store");
  return {std::move(*directory), std::move(*store)};
}

void put(RecordKind kind, const InstanceId& id, Slice value, Effects& out) {
  out.put({.kind = static_cast<std::uint8_t>(kind),
           .group = {},
           .epoch = {},
           .row = id.row,
           .slot = id.slot},
          value);
}

/// One command on a key of its own, decided with its initial dependencies. Returns its bytes.
std::size_t put_instance(const InstanceId& id, std::size_t payload_bytes, Effects& out) {
  const std::vector<std::byte> payload(payload_bytes);
  const std::string key = to_string(id);
  const Proposal proposal{{{1u + id.row.value(), id.slot.value()}, 0, false, payload},
                          Footprint::write(key)};
  const std::span<const Proposal> one(&proposal, 1);
  std::vector<std::byte> block(block_bytes(one, proposal.footprint));
  encode_block(one, proposal.footprint, block);
  Dependencies initial(kReplicas);
  initial[id.row] = Slot(id.slot.value() - 1);
  const Slice recorded = encode(PreAccept{id, initial, block}, out);
  put(RecordKind::kPreAccepted, id, recorded, out);
  const Slice decided = encode(DecisionRecord{false, true, {}, {}}, out);
  put(RecordKind::kDecision, id, decided, out);
  return recorded.size + decided.size;
}

/// Returns how many instances the store holds then.
std::uint64_t fill(const std::string& path, std::size_t payload_bytes) {
  constexpr std::uint64_t kSlotsPerBatch = 1'000;
  const Opened opened = open(path);
  Effects batch;
  Slot slot(1);
  for (std::size_t bytes = 0; bytes < kStoredBytes;) {
    batch.clear();
    ++batch.batch;
    for (std::uint64_t i = 0; i < kSlotsPerBatch; ++i, slot = slot.next()) {
      for (std::uint16_t row = 0; row < kReplicas; ++row) {
        bytes += put_instance({ReplicaId(row), slot}, payload_bytes, batch);
      }
    }
    opened.store->submit(batch);
    while (opened.store->durable() + 2 < batch.batch) std::this_thread::yield();
  }
  must(opened.store->close().has_value(), "the store was not written");
  return (slot.value() - 1) * kReplicas;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void BM_Restart(benchmark::State& state) {
  const BenchDirectory directory;
  const std::uint64_t instances = fill(directory.path(), static_cast<std::size_t>(state.range(0)));
  double opened_s = 0;
  double executed_s = 0;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    const Opened opened = open(directory.path());
    opened_s += seconds_since(start);
    CoreConfig config;
    config.self = ReplicaId(0);
    config.replica_count = kReplicas;
    EpaxosCore core(config);
    const auto loaded = opened.store->load(
        [&](const RecordKey& key, Bytes value) { return core.restore(key, value); });
    must(loaded.has_value(), "not loaded");
    Effects out;
    out.batch = 1;
    core.start(0, out);
    must(core.voting(), "it does not vote");
    state.SetIterationTime(seconds_since(start));
    std::uint64_t executed = 0;
    while (executed < instances) {
      out.clear();
      core.end_of_turn(out);
      must(!out.executions.empty(), "not all is executed");
      executed = out.executions.back().position;
      core.applied(executed, out);
    }
    executed_s += seconds_since(start);
  }
  const auto runs = static_cast<double>(state.iterations());
  state.counters["instances"] = static_cast<double>(instances);
  state.counters["opened_s"] = opened_s / runs;
  state.counters["executed_s"] = executed_s / runs;
}
BENCHMARK(BM_Restart)->Arg(16)->Arg(1024)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace epaxos::protocol
