// Writes the seeds of the fuzzers: one small well-formed input of each kind, from the real codecs.
//
//   cmake --preset fuzz && cmake --build --preset fuzz --target fuzz_corpus
//   build/fuzz/bin/fuzz_corpus tests/fuzz/corpus
//
// Run it again after a change of a format, and commit what changes. Inputs that a fuzzer found and
// that are worth keeping lie beside them under names of their own; nothing here removes them.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "deps/types/check.h"
#include "epaxos/node/config.h"
#include "epaxos/protocol/coverage.h"
#include "executor/key_value_command.h"
#include "net/bundle.h"
#include "net/client_message.h"
#include "tests/fuzz/message_source.h"

namespace epaxos::fuzz {
namespace {

using protocol::MessageType;
using Seed = std::vector<std::byte>;

constexpr net::ClusterId kCluster{std::byte{7}};

class Corpus {
 public:
  explicit Corpus(std::filesystem::path root) : root_(std::move(root)) {}

  void add(const std::string& fuzzer, const std::string& name, std::span<const std::byte> seed) {
    const std::filesystem::path folder = root_ / fuzzer;
    std::filesystem::create_directories(folder);
    std::ofstream file(folder / name, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(seed.data()),
               static_cast<std::streamsize>(seed.size()));
    check(file.good(), "a seed could not be written");
  }

 private:
  const std::filesystem::path root_;
};

Seed with_head(std::initializer_list<unsigned> head, Bytes rest) {
  Seed seed;
  for (const unsigned byte : head) seed.push_back(static_cast<std::byte>(byte));
  seed.insert(seed.end(), rest.begin(), rest.end());
  return seed;
}

/// Bytes without a meaning of their own, the same every time.
std::vector<std::uint8_t> noise(std::uint64_t seed, std::size_t size) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(mix64(seed * 1000 + i)));
  }
  return bytes;
}

/// One body of every type, of a group of three.
void add_messages(Corpus& corpus) {
  net::BundleWriter bundle;
  bundle.start({kCluster, ReplicaId(1), 3, 0x1234}, ReplicaId(0), 17);
  for (unsigned type = 1; type < protocol::kMessageTypes; ++type) {
    const std::vector<std::uint8_t> bytes = noise(type, 64);
    Input input(bytes.data(), bytes.size());
    Effects out;
    const Slice slice = MessageSource(input, 3).body(static_cast<MessageType>(type), out);
    const Bytes body = out.view(slice);
    corpus.add("protocol_message_fuzz", "type_" + std::to_string(type), with_head({type, 2}, body));
    if (type <= 3) bundle.append({GroupId(), Epoch(), static_cast<net::FrameType>(type), body});
  }
  const Bytes whole = bundle.bytes();
  corpus.add("bundle_fuzz", "whole", with_head({0, 3}, whole));
  corpus.add("bundle_fuzz", "frames", with_head({1, 3, 1}, whole.subspan(net::kBundleHeaderBytes)));
}

void add_client_messages(Corpus& corpus) {
  net::ClientMessageWriter writer(kCluster);
  const kv::Payload payload = kv::put("colour", "blue");
  std::array<net::ClientRequest, 2> requests;
  requests[0] = {1, net::RequestKind::kPropose, false, 500, {7, 1}, 0, payload};
  requests[1] = {2, net::RequestKind::kStatus, true, 0, {}, 0, {}};
  const Bytes asked = writer.encode(requests);
  corpus.add("client_message_fuzz", "requests", with_head({0, 0}, asked));
  corpus.add("client_message_fuzz", "requests_body",
             with_head({0, 1}, asked.subspan(sizeof(net::Envelope))));
  std::array<net::ClientReply, 2> replies;
  replies[0] = {1, OutcomeKind::kExecuted, ErrorCode::kUnavailable, "", payload, 12};
  replies[1] = {2, OutcomeKind::kRejected, ErrorCode::kOverloaded, "try again later", {}, 0};
  const Bytes answered = writer.encode(replies);
  corpus.add("client_message_fuzz", "replies", with_head({1, 0}, answered));
  corpus.add("client_message_fuzz", "replies_body",
             with_head({1, 1}, answered.subspan(sizeof(net::Envelope))));
}

void add_noise(Corpus& corpus, const std::string& fuzzer, std::size_t size) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const std::vector<std::uint8_t> bytes = noise(seed, size);
    corpus.add(fuzzer, "noise_" + std::to_string(seed), std::as_bytes(std::span(bytes)));
  }
}

/// A replica that is behind fetches an image: time passes, and bundles arrive; see image_fuzz.cc.
void add_image(Corpus& corpus) {
  const auto rounds = [](int count, std::initializer_list<unsigned> also) {
    Seed seed;
    for (; count > 0; --count) {
      const Seed round = with_head({11, 0, 0, 0, 0, 0, 0}, with_head(also, {}));
      seed.insert(seed.end(), round.begin(), round.end());
    }
    return seed;
  };
  corpus.add("image_fuzz", "fetch_votes", with_head({0, 1, 0, 7}, rounds(25, {})));
  corpus.add("image_fuzz", "fetch_new", with_head({0, 0, 0, 7}, rounds(25, {})));
  corpus.add("image_fuzz", "fetch_own_images",
             with_head({0, 1, 1, 7}, rounds(14, {14, 0, 1, 0, 0, 0, 0})));
  Seed restarts = rounds(12, {});
  const Seed again = rounds(6, {15, 0});
  restarts.insert(restarts.end(), again.begin(), again.end());
  corpus.add("image_fuzz", "fetch_restart", with_head({0, 0, 0, 7}, restarts));
  for (std::uint64_t number = 1; number <= 4; ++number) {
    const std::vector<std::uint8_t> bytes = noise(number, 400);
    corpus.add("image_fuzz", "noise_" + std::to_string(number),
               with_head({0}, std::as_bytes(std::span(bytes))));
  }
  protocol::Coverage coverage{{1, 0, 0}, {2, 0, 0}, {}};
  coverage.instances.push_back({{ReplicaId(0), Slot(2)}, false, Footprint::write("a")});
  coverage.instances.push_back({{ReplicaId(2), Slot(3)}, true, std::nullopt});
  std::vector<std::byte> encoded;
  encode(coverage, encoded);
  corpus.add("image_fuzz", "coverage", with_head({7}, encoded));
}

void add_config(Corpus& corpus) {
  constexpr std::string_view kShort =
      "name = \"demo\"\n\n[[replicas]]\npeer = \"tcp://127.0.0.1:7000\"\n"
      "client = \"tcp://127.0.0.1:7100\"\n";
  corpus.add("config_fuzz", "short", std::as_bytes(std::span(kShort)));
  auto config = ClusterConfig::parse(kShort, "short.toml");
  check(config.has_value(), config ? "" : config.error().message.c_str());
  const std::string full = config->to_toml();
  corpus.add("config_fuzz", "full", std::as_bytes(std::span(full)));
}

}  // namespace
}  // namespace epaxos::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_corpus FOLDER\n");
    return 2;
  }
  epaxos::fuzz::Corpus corpus(argv[1]);
  add_messages(corpus);
  add_client_messages(corpus);
  add_config(corpus);
  add_noise(corpus, "core_fuzz", 600);
  add_noise(corpus, "record_fuzz", 300);
  add_noise(corpus, "key_value_fuzz", 300);
  add_noise(corpus, "restart_fuzz", 900);
  add_image(corpus);
  return 0;
}
