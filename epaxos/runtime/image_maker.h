#pragma once

// Writes an image of this replica's state into the store, some pieces a turn, while the machine
// goes on. Source: protocol.md 14.4.

#include <cstdint>
#include <memory>
#include <vector>

#include "epaxos/contract/effects.h"
#include "epaxos/runtime/image_format.h"
#include "executor/saved_state.h"
#include "executor/state_machine.h"

namespace epaxos::runtime {

class ImageMaker {
 public:
  /// What the image shows, all of the same moment.
  struct Parts {
    std::vector<std::byte> coverage;
    std::unique_ptr<Image> sessions;
    std::unique_ptr<Image> machine;
  };

  ImageMaker(std::uint64_t number, std::uint16_t area, Parts parts);

  /// Reads about `bytes` of the state, and puts the pieces that are complete into the turn's
  /// records. True: that was all.
  /// Errors: why the state cannot be read, or that it never ends; what was written is worth
  /// nothing.
  Result<bool> write(std::size_t bytes, Effects& out);

  /// As a known bug would have it: another coverage takes the place of the one from the beginning.
  void replace_coverage(const std::vector<std::byte>& coverage, Effects& out);

  [[nodiscard]] const std::vector<std::byte>& coverage() const { return parts_.coverage; }
  /// Complete once write() has said so.
  [[nodiscard]] const ImageHeader& header() const { return header_; }
  /// Pieces that were written.
  [[nodiscard]] std::uint64_t pieces() const { return pieces_; }

 private:
  void note_coverage();
  Result<std::size_t> read_more(std::size_t bytes_max);
  void put_piece(Bytes piece, Effects& out);

  Parts parts_;
  ImageHeader header_;
  executor::Checksum hash_;
  std::vector<std::byte> buffer_;  // Of the state; from taken_ on not written yet.
  std::size_t taken_ = 0;
  std::uint64_t pieces_ = 0;
  std::size_t coverage_written_ = 0;
};

}  // namespace epaxos::runtime
