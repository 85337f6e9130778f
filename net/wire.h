#pragma once

// What all our messages begin with: who speaks which language in which cluster, how long it is, and
// a checksum of everything. Also the aligned copy without which nothing received may be read:
// ZeroMQ's buffers are aligned to nothing. Integers are little-endian.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "deps/types/command.h"
#include "net/refusals.h"

namespace epaxos::net {

/// Names a cluster for ever; drawn once, when it is set up.
using ClusterId = std::array<std::byte, 16>;

/// Goes up whenever bytes change their meaning: of a header, of a schema, or of hash_key().
inline constexpr std::uint16_t kWireVersion = 2;

/// The first bytes of every message.
struct Envelope {
  std::uint32_t magic = 0;
  std::uint16_t version = kWireVersion;
  std::uint16_t reserved = 0;  ///< Zero.
  ClusterId cluster{};
  std::uint64_t length = 0;    ///< Of the whole message; a multiple of 8.
  std::uint64_t checksum = 0;  ///< XXH3-64 of the whole message with this field zero.
};
static_assert(sizeof(Envelope) == 40);

inline constexpr std::uint32_t kBundleMagic = 0x42585045;   // "EPXB"
inline constexpr std::uint32_t kRequestMagic = 0x51585045;  // "EPXQ"
inline constexpr std::uint32_t kReplyMagic = 0x52585045;    // "EPXR"

/// Writes the envelope of a message whose other bytes are final.
/// Precondition: at least sizeof(Envelope) bytes, a multiple of 8.
void seal(std::span<std::byte> message, std::uint32_t magic, const ClusterId& cluster);

/// Checks the envelope of a message, or says why it is refused. The checksum is checked before the
/// cluster, so a message that is refused for its cluster really is of another one.
/// `message` is the receiver's own copy; its checksum field is zeroed.
std::optional<Refusal> unseal(std::span<std::byte> message, std::uint32_t magic,
                              const ClusterId& cluster, std::size_t bytes_max);

/// Memory that starts at a multiple of 8 and is kept for the next message. Never zeroed.
class AlignedBuffer {
 public:
  /// Room for `bytes`; what was there is lost.
  std::span<std::byte> reserve(std::size_t bytes);
  /// A copy of `bytes`.
  std::span<std::byte> assign(Bytes bytes);
  /// Room for at least `bytes`, of which the first `kept` stay as they are. Returns all there is.
  std::span<std::byte> grow(std::size_t kept, std::size_t bytes);

 private:
  std::unique_ptr<std::uint64_t[]> words_;
  std::size_t capacity_ = 0;  // In words.
};

}  // namespace epaxos::net
