// The conflict index among few and many live keys: a lookup and an insert, as an acceptor does for
// every command. With many keys the cost is that of fetching an entry from memory.

#include <vector>

#include <benchmark/benchmark.h>

#include "deps/conflict_index.h"

namespace epaxos::deps {
namespace {

/// range(0): live keys; range(1): replicas.
void conflict_index(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const auto rows = static_cast<int>(state.range(1));
  ConflictIndex index(rows);
  const auto row = [rows](std::uint64_t i) {
    return ReplicaId(static_cast<std::uint16_t>(i % static_cast<std::uint64_t>(rows)));
  };
  for (std::uint64_t i = 0; i < keys; ++i) {
    index.insert({row(i), Slot(i + 1)}, {Access::write(mix64(i))});
  }
  std::uint64_t i = keys;
  for (auto _ : state) {
    // A pseudo-random walk over the live keys.
    const Footprint footprint{Access::write(mix64(mix64(i) % keys))};
    Dependencies dependencies(rows);
    index.merge_conflicts(footprint, dependencies);
    index.insert({row(i), Slot(i)}, footprint);
    benchmark::DoNotOptimize(dependencies);
    ++i;
  }
  state.counters["bytes/key"] =
      static_cast<double>(index.memory_bytes()) / static_cast<double>(index.keys());
}
BENCHMARK(conflict_index)->ArgsProduct({{1'000, 100'000, 1'000'000}, {3, 5}});

}  // namespace
}  // namespace epaxos::deps
