#include "net/wire.h"

#include <bit>
#include <cstring>

#include <xxhash.h>

#include "deps/types/check.h"

namespace epaxos::net {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

constexpr std::size_t kChecksumAt = offsetof(Envelope, checksum);

void store_checksum(std::span<std::byte> message, std::uint64_t checksum) {
  std::memcpy(message.data() + kChecksumAt, &checksum, sizeof checksum);
}

}  // namespace

void seal(std::span<std::byte> message, std::uint32_t magic, const ClusterId& cluster) {
  check(message.size() >= sizeof(Envelope), "a message is shorter than its envelope");
  check(message.size() % 8 == 0, "the length of a message is no multiple of 8");
  Envelope envelope;
  envelope.magic = magic;
  envelope.cluster = cluster;
  envelope.length = message.size();
  std::memcpy(message.data(), &envelope, sizeof envelope);
  store_checksum(message, XXH3_64bits(message.data(), message.size()));
}

std::optional<Refusal> unseal(std::span<std::byte> message, std::uint32_t magic,
                              const ClusterId& cluster, std::size_t bytes_max) {
  if (message.size() < sizeof(Envelope)) return Refusal::kTooShort;
  if (message.size() > bytes_max) return Refusal::kTooLarge;

  Envelope envelope;
  std::memcpy(&envelope, message.data(), sizeof envelope);
  if (envelope.magic != magic) return Refusal::kWrongMagic;
  if (envelope.version != kWireVersion) return Refusal::kWrongVersion;
  if (envelope.length != message.size() || message.size() % 8 != 0) return Refusal::kWrongLength;

  store_checksum(message, 0);
  if (XXH3_64bits(message.data(), message.size()) != envelope.checksum) {
    return Refusal::kWrongChecksum;
  }
  if (envelope.cluster != cluster) return Refusal::kWrongCluster;
  return std::nullopt;
}

std::span<std::byte> AlignedBuffer::reserve(std::size_t bytes) {
  return grow(0, bytes).first(bytes);
}

std::span<std::byte> AlignedBuffer::assign(Bytes bytes) {
  const std::span<std::byte> copy = reserve(bytes.size());
  copy_bytes(bytes, copy.data());
  return copy;
}

std::span<std::byte> AlignedBuffer::grow(std::size_t kept, std::size_t bytes) {
  const std::size_t words = (bytes + 7) / 8;
  if (words > capacity_) {
    const std::size_t capacity = std::max(std::bit_ceil(words), std::size_t{512});
    auto larger = std::make_unique_for_overwrite<std::uint64_t[]>(capacity);
    if (kept > 0) std::memcpy(larger.get(), words_.get(), kept);
    words_ = std::move(larger);
    capacity_ = capacity;
  }
  return {reinterpret_cast<std::byte*>(words_.get()), capacity_ * 8};
}

}  // namespace epaxos::net
