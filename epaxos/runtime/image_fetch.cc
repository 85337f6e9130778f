#include "epaxos/runtime/image_fetch.h"

#include <algorithm>
#include <utility>

namespace epaxos::runtime {

ImageFetch::ImageFetch(ReplicaId from, const ImageHeader& offer, std::uint16_t area, Tick now)
    : from_(from), offer_(offer), area_(area), due_(now) {
}

ImageFetch::Progress ImageFetch::take(const ImagePiece& piece, Tick now, Effects& out) {
  const bool is_wanted = piece.number == offer_.number && piece.piece >= next_ &&
                         piece.piece < asked_end_ &&
                         piece.data.size() == offer_.piece_bytes(piece.piece);
  if (!is_wanted) return Progress::kGoesOn;
  early_.try_emplace(piece.piece, piece.data.begin(), piece.data.end());
  Progress progress = Progress::kGoesOn;
  while (!early_.empty() && early_.begin()->first == next_) {
    const std::vector<std::byte> data = std::move(early_.begin()->second);
    early_.erase(early_.begin());
    out.put(image_piece_key(area_, next_), out.append(data));
    if (next_ < offer_.coverage_pieces()) {
      coverage_.insert(coverage_.end(), data.begin(), data.end());
      coverage_hash_.update(data);
    } else {
      state_hash_.update(data);
    }
    ++next_;
    attempts_ = 0;
    due_ = now + kPatienceUs;
    if (next_ != offer_.coverage_pieces()) continue;
    if (coverage_hash_.value() != offer_.coverage_digest) return Progress::kDamaged;
    progress = Progress::kCoverageComplete;
  }
  if (next_ == asked_end_) due_ = now;
  if (next_ < offer_.pieces()) return progress;
  return state_hash_.value() == offer_.digest ? Progress::kComplete : Progress::kDamaged;
}

void ImageFetch::ask(Tick now, bool disk_is_behind, Effects& out) {
  if (due_ > now || next_ == offer_.pieces()) return;
  if (next_ == asked_end_) {
    if (disk_is_behind) return;  // Asked again with the next turn, which the disk brings about.
  } else {
    ++attempts_;
  }
  asked_end_ = std::min(offer_.pieces(), next_ + kAskMax);
  // What came early is sent once more; that is rare, and simple.
  send_ask(from_, {offer_.number, next_, asked_end_ - next_}, out);
  due_ = now + kPatienceUs;
}

}  // namespace epaxos::runtime
