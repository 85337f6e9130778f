// Bundles and client messages: cost per frame and per request, beside the copy and the checksum
// that nobody can save.

#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <xxhash.h>

#include "net/bundle.h"
#include "net/client_message.h"

namespace epaxos::net {
namespace {

constexpr std::size_t kBodyBytes = 168;  // A PreAccept with a command of 64 bytes.

BundleIdentity identity(std::uint16_t self) {
  BundleIdentity identity;
  identity.self = ReplicaId(self);
  identity.incarnation = 1;
  return identity;
}

void per_item(benchmark::State& state, std::int64_t items) {
  state.SetItemsProcessed(state.iterations() * items);
  state.counters["time/item"] =
      benchmark::Counter(static_cast<double>(state.iterations() * items),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

Bytes write_bundle(BundleWriter& writer, const std::vector<std::byte>& body, std::int64_t frames) {
  writer.start(identity(1), ReplicaId(0), 42);
  for (std::int64_t i = 0; i < frames; ++i) writer.append({GroupId(0), Epoch(0), 1, body});
  return writer.bytes();
}

void bundle_write(benchmark::State& state) {
  const std::vector<std::byte> body(kBodyBytes, std::byte{7});
  BundleWriter writer;
  for (auto _ : state) benchmark::DoNotOptimize(write_bundle(writer, body, state.range(0)).data());
  per_item(state, state.range(0));
}
BENCHMARK(bundle_write)->Arg(1)->Arg(10)->Arg(100);

void bundle_read(benchmark::State& state) {
  const std::vector<std::byte> body(kBodyBytes, std::byte{7});
  BundleWriter writer;
  const Bytes bytes = write_bundle(writer, body, state.range(0));
  BundleReader reader(identity(0), 3);
  for (auto _ : state) {
    if (reader.open(bytes)) state.SkipWithError("refused");
    Frame frame;
    while (reader.next(frame)) benchmark::DoNotOptimize(frame.body.data());
  }
  per_item(state, state.range(0));
}
BENCHMARK(bundle_read)->Arg(1)->Arg(10)->Arg(100);

void floor_copy_and_checksum(benchmark::State& state) {
  const auto frames = static_cast<std::size_t>(state.range(0));
  const std::vector<std::byte> from((kBodyBytes + kFrameHeaderBytes) * frames + kBundleHeaderBytes);
  std::vector<std::byte> to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::DoNotOptimize(XXH3_64bits(to.data(), to.size()));
  }
  per_item(state, state.range(0));
}
BENCHMARK(floor_copy_and_checksum)->Arg(1)->Arg(10)->Arg(100);

std::vector<ClientRequest> requests(std::int64_t count, Bytes payload) {
  std::vector<ClientRequest> batch(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    batch[i].token = i + 1;
    batch[i].kind = RequestKind::kPropose;
    batch[i].payload = payload;
  }
  return batch;
}

void client_requests_encode(benchmark::State& state) {
  const std::vector<std::byte> payload(64);
  const auto batch = requests(state.range(0), payload);
  ClientMessageWriter writer({});
  for (auto _ : state) benchmark::DoNotOptimize(writer.encode(batch).data());
  per_item(state, state.range(0));
}
BENCHMARK(client_requests_encode)->Arg(1)->Arg(100);

void client_requests_decode(benchmark::State& state) {
  const std::vector<std::byte> payload(64);
  ClientMessageWriter writer({});
  const Bytes message = writer.encode(requests(state.range(0), payload));
  ClientMessageReader reader({});
  for (auto _ : state) {
    if (reader.open_requests(message)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(reader.requests().data());
  }
  per_item(state, state.range(0));
}
BENCHMARK(client_requests_decode)->Arg(1)->Arg(100);

std::vector<ClientReply> replies(std::int64_t count, Bytes reply) {
  return std::vector<ClientReply>(static_cast<std::size_t>(count),
                                  ClientReply{1, OutcomeKind::kExecuted, {}, {}, reply, 10});
}

void client_replies_encode(benchmark::State& state) {
  const std::vector<std::byte> reply(8);
  const auto batch = replies(state.range(0), reply);
  ClientMessageWriter writer({});
  for (auto _ : state) benchmark::DoNotOptimize(writer.encode(batch).data());
  per_item(state, state.range(0));
}
BENCHMARK(client_replies_encode)->Arg(1)->Arg(100);

void client_replies_decode(benchmark::State& state) {
  const std::vector<std::byte> reply(8);
  ClientMessageWriter writer({});
  const Bytes message = writer.encode(replies(state.range(0), reply));
  ClientMessageReader reader({});
  for (auto _ : state) {
    if (reader.open_replies(message)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(reader.replies().data());
  }
  per_item(state, state.range(0));
}
BENCHMARK(client_replies_decode)->Arg(1)->Arg(100);

}  // namespace
}  // namespace epaxos::net
