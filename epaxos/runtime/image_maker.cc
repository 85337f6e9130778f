#include "epaxos/runtime/image_maker.h"

#include <algorithm>
#include <utility>

namespace epaxos::runtime {

ImageMaker::ImageMaker(std::uint64_t number, std::uint16_t area, Parts parts)
    : parts_(std::move(parts)) {
  check(!parts_.coverage.empty(), "an image covers something");
  header_.number = number;
  header_.area = area;
  note_coverage();
}

void ImageMaker::note_coverage() {
  header_.coverage_bytes = parts_.coverage.size();
  executor::Checksum hash;
  hash.update(parts_.coverage);
  header_.coverage_digest = hash.value();
}

Result<bool> ImageMaker::write(std::size_t bytes, Effects& out) {
  std::size_t done = 0;
  while (done < bytes && coverage_written_ < parts_.coverage.size()) {
    const Bytes rest = Bytes(parts_.coverage).subspan(coverage_written_);
    const Bytes piece = rest.first(std::min(rest.size(), kPieceBytes));
    put_piece(piece, out);
    coverage_written_ += piece.size();
    done += piece.size();
  }
  while (done < bytes) {
    while (buffer_.size() - taken_ < kPieceBytes && parts_.machine != nullptr) {
      const Result<std::size_t> read = read_more(bytes - done);
      if (!read) return fail(read.error());
      done += *read;
      if (done >= bytes) break;
    }
    const std::size_t held = buffer_.size() - taken_;
    if (held < kPieceBytes && parts_.machine != nullptr) return false;
    const std::size_t size = std::min(held, kPieceBytes);
    if (size > 0) put_piece(Bytes(buffer_).subspan(taken_, size), out);
    taken_ += size;
    if (parts_.machine == nullptr && taken_ == buffer_.size()) {
      header_.digest = hash_.value();
      return true;
    }
  }
  return false;
}

/// How much it was.
Result<std::size_t> ImageMaker::read_more(std::size_t bytes_max) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(taken_));
  taken_ = 0;
  const std::size_t before = buffer_.size();
  const bool of_sessions = parts_.sessions != nullptr;
  std::unique_ptr<Image>& source = of_sessions ? parts_.sessions : parts_.machine;
  const Result<bool> more = source->read(std::min(kPieceBytes - before, bytes_max), buffer_);
  if (!more) return fail(more.error());
  const std::size_t read = buffer_.size() - before;
  if (*more && read == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "an image of the state machine gave nothing, and did not end");
  }
  (of_sessions ? header_.sessions_bytes : header_.machine_bytes) += read;
  hash_.update(Bytes(buffer_).subspan(before));
  if (!*more) source.reset();
  return read;
}

void ImageMaker::put_piece(Bytes piece, Effects& out) {
  out.put(image_piece_key(header_.area, pieces_++), out.append(piece));
}

void ImageMaker::replace_coverage(const std::vector<std::byte>& coverage, Effects& out) {
  if (ImageHeader::pieces_of(coverage.size()) != header_.coverage_pieces()) return;
  parts_.coverage = coverage;
  note_coverage();
  const std::uint64_t pieces = std::exchange(pieces_, 0);
  for (Bytes rest = coverage; !rest.empty();) {
    const Bytes piece = rest.first(std::min(rest.size(), kPieceBytes));
    put_piece(piece, out);
    rest = rest.subspan(piece.size());
  }
  pieces_ = pieces;
}

}  // namespace epaxos::runtime
