#include "epaxos/runtime/image_messages.h"

#include <array>
#include <span>

namespace epaxos::runtime {
namespace {

using Words = std::array<std::uint64_t, 3>;

void send(ReplicaId to, ImageMessage type, Slice body, Release release, Effects& out) {
  const auto receiver = static_cast<std::uint16_t>(1u << to.value());
  out.sends.push_back({receiver, release, static_cast<net::FrameType>(type), {}, {}, body});
}

Slice append(const Words& words, Bytes data, Effects& out) {
  Slice body;
  const std::size_t padded = (data.size() + 7) / 8 * 8;
  const std::span<std::byte> room = out.allocate(sizeof words + padded, body);
  copy_bytes(std::as_bytes(std::span(words)), room.data());
  copy_bytes(data, room.subspan(sizeof words).data());
  return body;
}

}  // namespace

void send_request(ReplicaId to, Effects& out) {
  send(to, ImageMessage::kRequest, append({}, {}, out), Release::kNow, out);
}

void send_offer(ReplicaId to, const ImageHeader& header, Effects& out) {
  Slice body;
  encode(header, out.allocate(kImageHeaderBytes, body));
  send(to, ImageMessage::kOffer, body, Release::kGated, out);
}

void send_ask(ReplicaId to, const ImageAsk& ask, Effects& out) {
  const Words words{ask.number, ask.first, ask.count};
  send(to, ImageMessage::kAsk, append(words, {}, out), Release::kNow, out);
}

void send_piece(ReplicaId to, const ImagePiece& piece, Effects& out) {
  const Words words{piece.number, piece.piece, piece.data.size()};
  send(to, ImageMessage::kPiece, append(words, piece.data, out), Release::kGated, out);
}

void send_gone(ReplicaId to, std::uint64_t number, Effects& out) {
  send(to, ImageMessage::kGone, append({number, 0, 0}, {}, out), Release::kNow, out);
}

std::optional<ImageHeader> read_offer(Bytes body) {
  return decode_image_header(body);
}

std::optional<ImageAsk> read_ask(Bytes body) {
  Words words{};
  if (body.size() != sizeof words) return std::nullopt;
  copy_bytes(body, words.data());
  if (words[2] > kAskMax || words[1] > kPiecesMax) return std::nullopt;
  return ImageAsk{words[0], words[1], words[2]};
}

std::optional<ImagePiece> read_piece(Bytes body) {
  Words words{};
  if (body.size() < sizeof words) return std::nullopt;
  copy_bytes(body.first(sizeof words), words.data());
  const Bytes data = body.subspan(sizeof words);
  const bool fits =
      words[2] >= 1 && words[2] <= kPieceBytes && (words[2] + 7) / 8 * 8 == data.size();
  if (!fits) return std::nullopt;
  return ImagePiece{words[0], words[1], data.first(words[2])};
}

}  // namespace epaxos::runtime
