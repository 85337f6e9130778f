// What a message costs to write and to read, with everything that an acceptor needs of it.

#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "epaxos/protocol/message_codec.h"

namespace epaxos::protocol {
namespace {

constexpr int kRows = 3;

std::vector<Proposal> commands(std::size_t count, const std::string& payload) {
  const Bytes bytes{reinterpret_cast<const std::byte*>(payload.data()), payload.size()};
  std::vector<Proposal> proposals;
  for (std::size_t i = 0; i < count; ++i) {
    proposals.push_back({{{1, i}, 0, false, bytes}, {Access::write(mix64(i))}});
  }
  return proposals;
}

/// An instance as its owner writes it and an acceptor reads it, footprint included; per command.
void codec_pre_accept(benchmark::State& state) {
  const std::string payload(64, 'x');
  const auto proposals = commands(static_cast<std::size_t>(state.range(0)), payload);
  const InstanceId instance{ReplicaId(1), Slot(77)};
  const Dependencies initial{1, 2, 3};
  Effects out;
  std::vector<std::uint64_t> received(1024 * 16);
  for (auto _ : state) {
    const Footprint footprint = merged_footprint(proposals);
    Slice body;
    const auto room =
        encode_with_room(instance, initial, block_bytes(proposals, footprint), out, body);
    encode_block(proposals, footprint, room);
    const Bytes bytes = out.view(body);
    std::memcpy(received.data(), bytes.data(), bytes.size());

    PreAccept message;
    const bool decoded =
        decode({reinterpret_cast<const std::byte*>(received.data()), bytes.size()}, kRows, message);
    const Result<Footprint> read = decode_block_footprint(message.block);
    if (!decoded || !read) state.SkipWithError("the message does not come back");
    benchmark::DoNotOptimize(read->accesses().data());
    out.clear();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["time/command"] =
      benchmark::Counter(static_cast<double>(state.iterations() * state.range(0)),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(codec_pre_accept)->Arg(1)->Arg(100);

template <class Message>
void round_trip(benchmark::State& state, const Message& message) {
  Effects out;
  for (auto _ : state) {
    const Slice body = encode(message, out);
    Message again;
    if (!decode(out.view(body), kRows, again))
      state.SkipWithError("the message does not come back");
    benchmark::DoNotOptimize(again);
    out.clear();
  }
}

void codec_pre_accept_ok(benchmark::State& state) {
  round_trip(state, PreAcceptOk{{ReplicaId(1), Slot(77)}, true, {}});
}
BENCHMARK(codec_pre_accept_ok);

void codec_pre_accept_ok_with_conflict(benchmark::State& state) {
  round_trip(state, PreAcceptOk{{ReplicaId(1), Slot(77)}, false, {4, 5, 6}});
}
BENCHMARK(codec_pre_accept_ok_with_conflict);

void codec_commit(benchmark::State& state) {
  round_trip(state, Commit{{ReplicaId(1), Slot(77)}, CommitKind::kInitial, {}, {}});
}
BENCHMARK(codec_commit);

}  // namespace
}  // namespace epaxos::protocol
