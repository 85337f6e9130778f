// Images that travel: what this host gives to peers, and how it takes one itself. Source:
// protocol.md 14.4-14.5.

#include <utility>

#include "epaxos/runtime/images.h"

namespace epaxos::runtime {
namespace {

/// Effects of one turn beyond which no more pieces are sent: the rest is asked for again.
constexpr std::size_t kTurnBytesMax = std::size_t{16} * 1024 * 1024;
/// Of a coverage, which is decoded in memory: far beyond what a core lists.
constexpr std::uint64_t kCoverageBytesMax = std::uint64_t{1} << 30;
constexpr const char* kNoRoomForPeers =
    "the store has too little room for the image of the state that a peer offers: see the room "
    "that "
    "epaxosctl status prints";

}  // namespace

void Images::receive(ReplicaId from, const net::Frame& frame, Effects& out) {
  switch (static_cast<ImageMessage>(frame.type)) {
    case ImageMessage::kRequest:
      return on_request(from, out);
    case ImageMessage::kOffer:
      if (const auto offer = read_offer(frame.body)) return on_offer(from, *offer);
      break;
    case ImageMessage::kAsk:
      if (const auto ask = read_ask(frame.body)) return on_ask(from, *ask, out);
      break;
    case ImageMessage::kPiece:
      if (const auto piece = read_piece(frame.body)) return on_piece(from, *piece, out);
      break;
    case ImageMessage::kGone:
      if (const auto gone = read_ask(frame.body)) {
        const bool is_mine = stage_ == Stage::kFetching && fetch_->from() == from &&
                             fetch_->offer().number == gone->number;
        if (is_mine) give_up_fetch();
        return;
      }
      break;
  }
  ++counters_.refused_malformed;
}

// --- For peers ---------------------------------------------------------------------------------

void Images::on_request(ReplicaId from, Effects& out) {
  ++counters_.requests;
  if (paused() || preparing_) return;  // It asks again.
  Offered& offered = offered_[from.value()];
  if (current_ && offered.header.number == current_->number && !offered.asked) {
    return send_offer_of(from, out);  // That took longer than it waited.
  }
  offered = {};
  made_for_ = from;
  if (current_) {
    preparing_ = from;
    prepare_at_ = now_;
  } else if (maker_ == nullptr) {
    asked_ = true;
  }
}

/// What an image covers is listed for each peer anew, a part a turn.
void Images::prepare_offer(Effects& out) {
  if (!preparing_ || paused() || now_ < prepare_at_) return;
  prepare_at_ = now_ + config_.pause_us;
  Offered& offered = offered_[preparing_->value()];
  const Result<bool> complete =
      core_.coverage_for(*preparing_, current_coverage_, offered.coverage);
  if (complete && !*complete) return pin();
  const ReplicaId peer = *std::exchange(preparing_, std::nullopt);
  if (complete) {
    if (made_for_ == peer) made_for_.reset();
    offered.header = *current_;
    offered.header.coverage_bytes = offered.coverage.size();
    executor::Checksum hash;
    hash.update(offered.coverage);
    offered.header.coverage_digest = hash.value();
    return send_offer_of(peer, out);
  }
  if (complete.error().code == ErrorCode::kTooLarge) trouble_ = complete.error().message;
  // Not for one that was made for it: whoever asks gets one image, and asks again.
  const bool is_new = made_for_ == peer && complete.error().code == ErrorCode::kUnavailable;
  if (maker_ == nullptr && is_new) asked_ = true;
}

void Images::send_offer_of(ReplicaId to, Effects& out) {
  pin();
  send_offer(to, offered_[to.value()].header, out);
}

/// Nobody has asked for a piece for a long time; what was listed can be much.
void Images::forget_offers() {
  if (is_pinned() || preparing_) return;
  for (Offered& offered : offered_) {
    if (offered.header.number != 0) offered = {};
  }
}

void Images::on_ask(ReplicaId from, const ImageAsk& ask, Effects& out) {
  Offered& offered = offered_[from.value()];
  const ImageHeader& header = offered.header;
  if (!current_ || header.number == 0 || header.number != ask.number ||
      current_->number != ask.number) {
    return send_gone(from, ask.number, out);
  }
  offered.asked = true;
  pin();
  std::vector<std::byte> data;
  for (std::uint64_t piece = ask.first; piece < ask.first + ask.count; ++piece) {
    if (piece >= header.pieces() || out.bytes() > kTurnBytesMax) return;
    if (piece < header.coverage_pieces()) {
      const Bytes part =
          Bytes(offered.coverage).subspan(piece * kPieceBytes, header.piece_bytes(piece));
      data.assign(part.begin(), part.end());
    } else {
      const std::uint64_t here = piece - header.coverage_pieces() + current_->coverage_pieces();
      const Result<bool> found = store_.read(image_piece_key(current_->area, here), data);
      if (!found || !*found) return send_gone(from, ask.number, out);
    }
    ++counters_.pieces_sent;
    send_piece(from, {ask.number, piece, data}, out);
  }
}

// --- From a peer -------------------------------------------------------------------------------

void Images::wish(const ImageWish& wish, Effects& out) {
  if (stage_ == Stage::kNone) asked_whom_ = {};
  // The core goes from peer to peer: who was asked first may be gone, and whoever answers will do.
  const bool may_ask = stage_ == Stage::kNone || stage_ == Stage::kAsked;
  if (!may_ask || asked_whom_.contains(wish.from)) return;
  stage_ = Stage::kAsked;
  asked_whom_.add(wish.from);
  asked_at_ = now_;
  worth_bytes_ = wish.bytes_max;
  send_request(wish.from, out);
}

void Images::on_offer(ReplicaId from, const ImageHeader& offer) {
  if (stage_ != Stage::kAsked || !asked_whom_.contains(from)) return;
  const std::optional<std::uint16_t> area = free_area();
  const std::uint64_t bytes = offer.coverage_bytes + offer.state_bytes();
  const bool is_worth_it = offer.coverage_bytes <= kCoverageBytesMax && bytes <= worth_bytes_;
  const bool fits = has_room(bytes);
  if (is_worth_it && !fits) trouble_ = kNoRoomForPeers;
  if (!is_worth_it || !area || !fits) {
    ++counters_.refused_offers;
    asked_whom_ = asked_whom_.without(from);
    if (asked_whom_.size() == 0) stage_ = Stage::kNone;
    return;
  }
  ++counters_.fetches;
  stage_ = Stage::kFetching;
  fetch_ = std::make_unique<ImageFetch>(from, offer, *area, now_);
}

void Images::on_piece(ReplicaId from, const ImagePiece& piece, Effects& out) {
  if (stage_ != Stage::kFetching || fetch_->from() != from) return;
  ++counters_.pieces_received;
  switch (fetch_->take(piece, now_, out)) {
    case ImageFetch::Progress::kGoesOn:
      return;
    case ImageFetch::Progress::kCoverageComplete:
      if (core_.may_install(fetch_->coverage())) return;
      ++counters_.refused_offers;
      return give_up_fetch();
    case ImageFetch::Progress::kComplete:
      fetched_batch_ = out.batch;
      stage_ = Stage::kComplete;
      return;
    case ImageFetch::Progress::kDamaged:
      ++counters_.refused_damaged;
      return give_up_fetch();
  }
}

void Images::give_up_fetch() {
  ++counters_.fetches_given_up;
  erase_area(fetch_->area(), fetch_->pieces());
  fetch_.reset();
  stage_ = Stage::kNone;
}

/// All that the core has executed is applied, and all pieces are on disk.
Result<void> Images::load_fetched(Effects& next) {
  fetched_ = fetch_->offer();
  fetched_.area = fetch_->area();
  fetched_.number = ++numbers_;
  bool replaced = false;
  if (const Result<void> loaded = load_state(fetched_, replaced); !loaded) {
    // Between the old state and the new one there is no way back but a start.
    if (replaced) return loaded;
    ++counters_.refused_damaged;
    trouble_ = loaded.error().message;
    give_up_fetch();
    return {};
  }
  stage_ = Stage::kLoaded;
  if (kept_.is_used()) {
    keep_loaded();
  } else {
    put_fetched_header(next);
  }
  return {};
}

void Images::put_fetched_header(Effects& next) {
  Slice header;
  encode(fetched_, next.allocate(kImageHeaderBytes, header));
  next.put(kImageHeaderKey, header);
  fetched_batch_ = next.batch;
}

/// The new state is what the next start begins with.
void Images::install(Effects& next) {
  stage_ = Stage::kNone;
  ++counters_.installed;
  const std::vector<std::byte> coverage = fetch_->coverage();
  if (kept_.is_used()) {
    drop_current();
    erase_area(fetched_.area, fetched_.pieces());
  } else {
    switch_to(fetched_, coverage);
  }
  fetch_.reset();
  log_bytes_ = 0;
  asked_ = asked_to_keep_ = false;
  trouble_.clear();
  core_.install(coverage, next);
}

}  // namespace epaxos::runtime
