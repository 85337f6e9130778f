#pragma once

// One ZeroMQ message between two replicas: an envelope, who speaks to whom, and frames. The reader
// copies what it gets into aligned memory of its own and checks all of it before it shows the first
// frame; nothing here allocates once its memory has grown.
//
// Layout: Envelope | u16 from, u16 to, u32 frames, u64 incarnation, u64 durable sequence,
//         u64 configuration hash | frames x { u32 bytes, u16 group, u16 type, u32 epoch, u32 zero,
//         body }

#include <cstdint>
#include <optional>

#include "deps/types/ids.h"
#include "net/frame.h"
#include "net/limits.h"
#include "net/refusals.h"
#include "net/wire.h"

namespace epaxos::net {

/// What every bundle of a replica carries, and what it expects of its peers'.
struct BundleIdentity {
  ClusterId cluster{};
  ReplicaId self;
  std::uint64_t incarnation = 0;         ///< Higher at each start.
  std::uint64_t configuration_hash = 0;  ///< Of the membership; differs: refused.
  /// Batches of earlier lives that this replica remembers. Who has heard of more of them knows that
  /// its disk has lost something.
  std::uint64_t durable_at_start = 0;
};

inline constexpr std::size_t kBundleHeaderBytes = sizeof(Envelope) + 40;
inline constexpr std::size_t kFrameHeaderBytes = 16;
/// The largest body that travels at all.
inline constexpr std::size_t kFrameBodyBytesMax =
    kBundleBytesMax - kBundleHeaderBytes - kFrameHeaderBytes;

/// Builds bundles, one after the other, in memory that it keeps.
class BundleWriter {
 public:
  /// Begins a bundle; what was there is forgotten.
  /// `durable_sequence`: the number of the last durable batch of this replica.
  void start(const BundleIdentity& identity, ReplicaId to, std::uint64_t durable_sequence);

  /// Whether append() may take this frame: below kBundleCloseBytes, or the first of its bundle.
  [[nodiscard]] bool fits(const Frame& frame) const;

  /// Precondition: started, not yet sealed by bytes(), fits(frame); the body is at most
  /// kFrameBodyBytesMax and a multiple of 8.
  void append(const Frame& frame);

  [[nodiscard]] std::uint32_t frame_count() const { return frame_count_; }
  [[nodiscard]] bool empty() const { return frame_count_ == 0; }

  /// Seals the bundle. The view lives until the next start().
  Bytes bytes();

 private:
  BundleIdentity identity_;
  ReplicaId to_;
  std::uint64_t durable_sequence_ = 0;
  AlignedBuffer buffer_;
  std::span<std::byte> memory_;  // Of buffer_; grows by doubling.
  std::size_t size_ = 0;
  std::uint32_t frame_count_ = 0;
  bool sealed_ = true;
};

/// What a bundle says about its sender.
struct BundleHeader {
  ReplicaId from;
  std::uint64_t incarnation = 0;  ///< Whether it is too old is the host's question.
  std::uint64_t durable_sequence = 0;
  std::uint64_t durable_at_start = 0;
  std::uint32_t frame_count = 0;
};

/// Checks bundles and walks their frames.
class BundleReader {
 public:
  BundleReader(const BundleIdentity& identity, int replica_count);

  /// Takes a copy of a bundle, of any alignment, or says why it is refused. What was there is gone.
  std::optional<Refusal> open(Bytes bundle);

  /// After open() has refused a bundle of another cluster or configuration that was meant for this
  /// replica: who sent it, by its own word. Else nobody.
  [[nodiscard]] std::optional<ReplicaId> stranger() const { return stranger_; }

  /// Precondition: open() accepted.
  [[nodiscard]] const BundleHeader& header() const { return header_; }

  /// The next frame, or false after the last. Its body lives until the next open().
  bool next(Frame& frame);

 private:
  std::optional<Refusal> accept(Bytes bundle);

  BundleIdentity identity_;
  int replica_count_;
  AlignedBuffer buffer_;
  BundleHeader header_;
  std::optional<ReplicaId> stranger_;
  Bytes rest_;  // The frames that next() has not given yet.
};

}  // namespace epaxos::net
