// The dependency graph, per command: independent commands, chains that are decided from their far
// end (the worst order: everything waits until the last decision), and cycles.

#include <vector>

#include <benchmark/benchmark.h>

#include "executor/dependency_graph.h"

namespace epaxos::executor {
namespace {

constexpr std::uint64_t kRows = 3;

InstanceId at(std::uint64_t i) {
  return {ReplicaId(static_cast<std::uint16_t>(i % kRows)), Slot(i / kRows + 1)};
}

void per_command(benchmark::State& state, std::uint64_t commands) {
  const auto total = static_cast<double>(state.iterations()) * static_cast<double>(commands);
  state.counters["time/command"] =
      benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void take_all(DependencyGraph& graph, std::vector<InstanceId>& out, std::size_t expected,
              benchmark::State& state) {
  out.clear();
  graph.take_ready(out);
  if (out.size() != expected) state.SkipWithError("not everything ran");
}

void executor_independent(benchmark::State& state) {
  constexpr std::uint64_t kTurn = 100;
  DependencyGraph graph(kRows);
  std::vector<InstanceId> out;
  std::uint64_t i = 0;
  for (auto _ : state) {
    for (std::uint64_t end = i + kTurn; i < end; ++i) {
      graph.record(at(i), {Access::write(mix64(i))});
      graph.decide(at(i), {0, 0, 0});
    }
    take_all(graph, out, kTurn, state);
  }
  per_command(state, kTurn);
}
BENCHMARK(executor_independent);

void executor_chain(benchmark::State& state) {
  const auto length = static_cast<std::uint64_t>(state.range(0));
  const Footprint hot{Access::write(2)};
  DependencyGraph graph(kRows);
  std::vector<InstanceId> out;
  std::uint64_t begin = 0;
  for (auto _ : state) {
    for (std::uint64_t i = begin; i < begin + length; ++i) graph.record(at(i), hot);
    for (std::uint64_t i = begin + length; i-- > begin;) {
      Dependencies before(kRows);
      for (std::uint64_t j = i < kRows ? 0 : i - kRows; j < i; ++j) {
        before.raise(at(j).row, at(j).slot);
      }
      graph.decide(at(i), before);
    }
    take_all(graph, out, length, state);
    begin += length;
  }
  per_command(state, length);
}
BENCHMARK(executor_chain)->Arg(10)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

void executor_cycle(benchmark::State& state) {
  const std::uint64_t length = static_cast<std::uint64_t>(state.range(0)) / kRows * kRows;
  const Footprint hot{Access::write(2)};
  DependencyGraph graph(kRows);
  std::vector<InstanceId> out;
  std::uint64_t begin = 0;
  for (auto _ : state) {
    for (std::uint64_t i = begin; i < begin + length; ++i) graph.record(at(i), hot);
    for (std::uint64_t i = begin; i < begin + length; ++i) {
      const std::uint64_t last = (begin + length) / kRows;
      Dependencies others{last, last, last};
      others[at(i).row] = Slot(at(i).slot.value() - 1);
      graph.decide(at(i), others);
    }
    take_all(graph, out, length, state);
    begin += length;
  }
  per_command(state, length);
}
BENCHMARK(executor_cycle)->Arg(3)->Arg(99)->Arg(999);

}  // namespace
}  // namespace epaxos::executor
