#pragma once

// How an image lies in the store: a header, and pieces in one of a few areas. The header is the
// switch: whatever it names is complete, and areas that it does not name hold nothing of worth.
// First come pieces with the coverage, then those of the state: the session table and the machine,
// one after the other. Source: protocol.md 14.4.

#include <cstdint>
#include <optional>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "epaxos/contract/effects.h"

namespace epaxos::runtime {

/// Of every piece but the last one of the coverage and of the state.
inline constexpr std::size_t kPieceBytes = 32 * 1024;
/// The image that counts, one that is being made, and one that comes from a peer.
inline constexpr std::uint16_t kImageAreas = 3;
/// 16 TiB: what a header claims beyond it makes no sense.
inline constexpr std::uint64_t kPiecesMax = std::uint64_t{1} << 29;

struct ImageHeader {
  std::uint64_t number = 0;  ///< Of this replica's images, ascending over its lives.
  std::uint64_t coverage_bytes = 0;
  std::uint64_t coverage_digest = 0;  ///< XXH3.
  std::uint64_t sessions_bytes = 0;
  std::uint64_t machine_bytes = 0;
  std::uint64_t digest = 0;  ///< XXH3 of the state.
  std::uint16_t area = 1;    ///< 1 .. kImageAreas.

  [[nodiscard]] std::uint64_t state_bytes() const { return sessions_bytes + machine_bytes; }
  [[nodiscard]] std::uint64_t coverage_pieces() const { return pieces_of(coverage_bytes); }
  [[nodiscard]] std::uint64_t pieces() const {
    return coverage_pieces() + pieces_of(state_bytes());
  }
  /// How large a piece is. Precondition: below pieces().
  [[nodiscard]] std::uint64_t piece_bytes(std::uint64_t piece) const;

  [[nodiscard]] static std::uint64_t pieces_of(std::uint64_t bytes) {
    return bytes / kPieceBytes + (bytes % kPieceBytes == 0 ? 0 : 1);
  }

  friend bool operator==(const ImageHeader&, const ImageHeader&) = default;
};

/// Where things lie; kinds and rows beside these are none of an image.
inline constexpr RecordKey kImageHeaderKey{
    .kind = kRecordKindMax, .group = {}, .epoch = {}, .row = {}, .slot = Slot(2)};
/// `piece` counts from 0.
[[nodiscard]] RecordKey image_piece_key(std::uint16_t area, std::uint64_t piece);
/// Whether the key is that of a piece, in any area.
[[nodiscard]] bool is_image_piece(const RecordKey& key);

inline constexpr std::size_t kImageHeaderBytes = 56;
void encode(const ImageHeader& header, std::span<std::byte> out);
/// Nothing: it makes no sense.
std::optional<ImageHeader> decode_image_header(Bytes bytes);

}  // namespace epaxos::runtime
