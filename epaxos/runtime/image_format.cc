#include "epaxos/runtime/image_format.h"

#include <algorithm>
#include <array>

#include "deps/types/check.h"

namespace epaxos::runtime {

std::uint64_t ImageHeader::piece_bytes(std::uint64_t piece) const {
  check(piece < pieces(), "an image has no such piece");
  const bool of_coverage = piece < coverage_pieces();
  const std::uint64_t bytes = of_coverage ? coverage_bytes : state_bytes();
  const std::uint64_t before = (of_coverage ? piece : piece - coverage_pieces()) * kPieceBytes;
  return std::min<std::uint64_t>(kPieceBytes, bytes - before);
}

RecordKey image_piece_key(std::uint16_t area, std::uint64_t piece) {
  return {.kind = kRecordKindMax,
          .group = {},
          .epoch = {},
          .row = ReplicaId(area),
          .slot = Slot(piece + 1)};
}

bool is_image_piece(const RecordKey& key) {
  return key.kind == kRecordKindMax && key.row.value() >= 1 && key.row.value() <= kImageAreas &&
         key.group == GroupId() && key.epoch == Epoch() && key.slot.value() >= 1;
}

void encode(const ImageHeader& header, std::span<std::byte> out) {
  check(out.size() == kImageHeaderBytes, "a header of an image was given room of another size");
  const std::array<std::uint64_t, 7> words{header.number,
                                           header.coverage_bytes,
                                           header.coverage_digest,
                                           header.sessions_bytes,
                                           header.machine_bytes,
                                           header.digest,
                                           header.area};
  copy_bytes(std::as_bytes(std::span(words)), out.data());
}

std::optional<ImageHeader> decode_image_header(Bytes bytes) {
  std::array<std::uint64_t, 7> words{};
  if (bytes.size() != sizeof words) return std::nullopt;
  copy_bytes(bytes, words.data());
  const auto [number, coverage, coverage_digest, sessions, machine, digest, area] = words;
  constexpr std::uint64_t kBytesMax = kPiecesMax * kPieceBytes;
  const bool makes_sense = number > 0 && coverage > 0 && coverage <= kBytesMax &&
                           sessions <= kBytesMax && machine <= kBytesMax && area >= 1 &&
                           area <= kImageAreas;
  if (!makes_sense) return std::nullopt;
  return ImageHeader{number,
                     coverage,
                     coverage_digest,
                     sessions,
                     machine,
                     digest,
                     static_cast<std::uint16_t>(area)};
}

}  // namespace epaxos::runtime
