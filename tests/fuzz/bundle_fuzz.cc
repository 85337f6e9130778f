// Bundles from a peer that may be anybody: whatever arrives, at whatever alignment, is refused or
// shown frame by frame, and what was shown can be sent again.

#include <cstdlib>

#include "deps/types/check.h"
#include "net/bundle.h"
#include "tests/fuzz/input.h"

namespace epaxos::fuzz {
namespace {

constexpr int kReplicas = 5;
constexpr net::ClusterId kCluster{std::byte{7}};

net::BundleIdentity identity(std::uint16_t self) {
  return {kCluster, ReplicaId(self), 3, 0x1234};
}

/// What stands in front of the frames, all in order, so that the fuzzer does not have to find it.
struct Preamble {
  std::uint16_t from = 1;
  std::uint16_t to = 0;
  std::uint32_t frames = 0;
  std::uint64_t incarnation = 3;
  std::uint64_t durable_sequence = 0;
  std::uint64_t durable_at_start = 0;
  std::uint64_t configuration_hash = 0x1234;
};

void read(Bytes bundle, bool keep) {
  net::BundleReader reader(identity(0), kReplicas);
  if (reader.open(bundle)) return;
  check(reader.header().from.value() < kReplicas, "a bundle of a stranger was accepted");
  check(reader.header().from.value() != 0, "a bundle of the receiver itself was accepted");
  net::BundleWriter writer;
  writer.start(identity(reader.header().from.value()), ReplicaId(0),
               reader.header().durable_sequence);
  std::uint32_t frames = 0;
  bool complete = true;
  for (net::Frame frame; reader.next(frame); ++frames) {
    check(reinterpret_cast<std::uintptr_t>(frame.body.data()) % 8 == 0, "a body is not aligned");
    check(frame.body.size() % 8 == 0, "the size of a body is no multiple of 8");
    if (writer.fits(frame)) {
      writer.append(frame);
    } else {
      complete = false;
    }
  }
  check(frames == reader.header().frame_count, "a bundle has another number of frames");
  if (!keep || !complete || writer.empty()) return;
  const Bytes again = writer.bytes();
  check(again.size() == bundle.size(), "a bundle is of another size when it is sent again");
  read(again, false);
}

/// The input as it is, behind up to seven bytes that shift it.
void read_raw(Input& input) {
  const std::size_t shift = input.below(8);
  std::vector<std::byte> moved(shift + input.left());
  const Bytes rest = input.rest();
  std::copy(rest.begin(), rest.end(), moved.begin() + static_cast<std::ptrdiff_t>(shift));
  read(Bytes(moved).subspan(shift), true);
}

/// The input as frames: everything before them is right, the checksum too.
void read_frames(Input& input) {
  Preamble preamble;
  preamble.frames = input.byte();
  preamble.from = static_cast<std::uint16_t>(input.below(kReplicas + 1));
  const Bytes frames = input.rest();
  std::vector<std::byte> bundle((net::kBundleHeaderBytes + frames.size()) / 8 * 8);
  std::memcpy(bundle.data() + sizeof(net::Envelope), &preamble, sizeof preamble);
  std::copy_n(frames.begin(), bundle.size() - net::kBundleHeaderBytes,
              bundle.begin() + static_cast<std::ptrdiff_t>(net::kBundleHeaderBytes));
  net::seal(bundle, net::kBundleMagic, kCluster);
  read(bundle, true);
}

}  // namespace
}  // namespace epaxos::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  if (input.flag()) {
    epaxos::fuzz::read_frames(input);
  } else {
    epaxos::fuzz::read_raw(input);
  }
  return 0;
}
