#include "executor/image.h"

#include <algorithm>
#include <utility>

namespace epaxos::executor {

void ImageLink::close() {
  if (image_ != nullptr) image_->leave();
}

LiveImage::LiveImage(ImageLink& link, BitSet units, std::vector<std::byte> header)
    : link_(&link), waiting_(std::move(units)), header_(std::move(header)) {
  link.close();
  link.image_ = this;
}

LiveImage::~LiveImage() {
  leave();
}

void LiveImage::leave() {
  if (link_ != nullptr) link_->image_ = nullptr;
  link_ = nullptr;
}

Result<bool> LiveImage::read(std::size_t bytes, std::vector<std::byte>& out) {
  if (finished_) return false;
  if (link_ == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "this image has ended, as another was taken or its state was replaced or is gone; "
                "take a new one");
  }
  const std::size_t before = out.size();
  const std::size_t enough =
      before + std::clamp(bytes, std::size_t{1}, out.max_size() - before);  // No overflow.
  Appender(out).bytes(std::exchange(header_, {}));
  while (out.size() < enough && append_some(out, enough)) {
  }
  checksum_.update(Bytes(out).subspan(before));
  if (!finished_) return true;
  Appender(out).number(checksum_.value());
  leave();
  return false;
}

/// What was kept goes first, so that its memory is free again soon.
bool LiveImage::append_some(std::vector<std::byte>& out, std::size_t enough) {
  if (append_kept(out, enough)) return true;
  cursor_ = waiting_.next(cursor_);
  finished_ = cursor_ == BitSet::kNone;
  if (finished_) return false;
  waiting_.erase(cursor_);
  append_unit(cursor_, out);
  return true;
}

}  // namespace epaxos::executor
