#pragma once

// Fetches the image of a peer, a window of pieces at a time, into an area of the store. Source:
// protocol.md 14.5.

#include <cstdint>
#include <map>
#include <vector>

#include "epaxos/runtime/image_messages.h"
#include "executor/saved_state.h"

namespace epaxos::runtime {

class ImageFetch {
 public:
  ImageFetch(ReplicaId from, const ImageHeader& offer, std::uint16_t area, Tick now);

  enum class Progress {
    kGoesOn,
    kCoverageComplete,  ///< Once: coverage() can be judged.
    kComplete,          ///< All pieces are in the records of this turn or of earlier ones.
    kDamaged,           ///< It is not what was offered: worth nothing.
  };
  /// A piece of this image from its sender. One that was not asked for is ignored.
  Progress take(const ImagePiece& piece, Tick now, Effects& out);

  /// Asks for the next window, or again for what did not come. `disk_is_behind`: not yet.
  void ask(Tick now, bool disk_is_behind, Effects& out);
  /// When ask() has something to do although nothing arrives; kNever: the disk has.
  [[nodiscard]] Tick due(bool disk_is_behind) const {
    return disk_is_behind && next_ == asked_end_ ? kNever : due_;
  }
  /// Nothing came for too long.
  [[nodiscard]] bool is_stuck() const { return attempts_ > kAttemptsMax; }

  [[nodiscard]] ReplicaId from() const { return from_; }
  [[nodiscard]] const ImageHeader& offer() const { return offer_; }
  [[nodiscard]] std::uint16_t area() const { return area_; }
  [[nodiscard]] const std::vector<std::byte>& coverage() const { return coverage_; }
  [[nodiscard]] std::uint64_t pieces() const { return next_; }  ///< That have come, in order.

 private:
  static constexpr unsigned kAttemptsMax = 8;
  static constexpr Tick kPatienceUs = 500'000;

  const ReplicaId from_;
  const ImageHeader offer_;
  const std::uint16_t area_;
  std::uint64_t next_ = 0;       // The first piece that has not come.
  std::uint64_t asked_end_ = 0;  // Pieces below were asked for.
  std::map<std::uint64_t, std::vector<std::byte>> early_;
  std::vector<std::byte> coverage_;
  executor::Checksum coverage_hash_;
  executor::Checksum state_hash_;
  Tick due_ = 0;
  unsigned attempts_ = 0;
};

}  // namespace epaxos::runtime
