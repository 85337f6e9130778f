#pragma once

// An image that copies nothing at first. The state has numbered units; those that were there when
// the image was taken wait to be written, in their order. One that is about to change while it
// waits is kept before, so that what is read is the state of that one moment.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/result.h"
#include "executor/bit_set.h"
#include "executor/image_link.h"
#include "executor/saved_state.h"
#include "executor/state_machine.h"

namespace epaxos::executor {

/// Appends to a block of bytes what a Saver would write.
class Appender {
 public:
  explicit Appender(std::vector<std::byte>& out) : out_(out) {}
  void bytes(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  template <Number T>
  void number(T value) {
    bytes(bytes_of(value));
  }

 private:
  std::vector<std::byte>& out_;
};

class LiveImage : public Image {
 public:
  ~LiveImage() override;

  [[nodiscard]] Result<bool> read(std::size_t bytes, std::vector<std::byte>& out) final;

  /// Precondition: the unit is as it was when the image was taken, if it was there then. What the
  /// image takes of it, see keep(), is gone afterwards.
  void before_change(std::size_t unit) {
    if (waiting_.erase(unit)) keep(unit);
  }

 protected:
  /// Ends the image that was open. `units`: those that are there. `header`: what is written first.
  LiveImage(ImageLink& link, BitSet units, std::vector<std::byte> header);

 private:
  friend class ImageLink;

  /// Keeps what is needed of a unit that is going to change, for append_kept(). It may take what
  /// the change replaces.
  virtual void keep(std::size_t unit) = 0;
  /// Appends what was kept, until `out` holds `enough` bytes. False: there was nothing. Ends in the
  /// middle of a unit only if it is called again before anything else is appended.
  virtual bool append_kept(std::vector<std::byte>& out, std::size_t enough) = 0;
  /// Appends a unit that has not changed, or keeps it to be appended in parts.
  virtual void append_unit(std::size_t unit, std::vector<std::byte>& out) = 0;

  bool append_some(std::vector<std::byte>& out, std::size_t enough);
  void leave();

  ImageLink* link_;  ///< Null: ended, or read to the end.
  BitSet waiting_;
  std::size_t cursor_ = 0;  ///< No unit before it waits.
  std::vector<std::byte> header_;
  Checksum checksum_;
  bool finished_ = false;
};

}  // namespace epaxos::executor
