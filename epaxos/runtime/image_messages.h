#pragma once

// What hosts say to each other about images, whatever the protocol. The receiver asks for all of
// it, piece by piece, so that it sets the pace, and whatever is lost is asked for again.
//
//   Request                     "give me an image"
//   Offer {header}              of a coverage that is made for the receiver
//   Ask {number, first, count}  "send me these pieces"
//   Piece {number, piece, bytes, data}
//   Gone {number}               "that image is no longer here: ask for another one"

#include <cstdint>
#include <optional>

#include "epaxos/contract/effects.h"
#include "epaxos/runtime/image_format.h"
#include "net/frame.h"

namespace epaxos::runtime {

/// Types from here on are the host's; those below are the protocol's.
inline constexpr net::FrameType kFirstHostFrame = 0x100;

enum class ImageMessage : net::FrameType {
  kRequest = kFirstHostFrame,
  kOffer,
  kAsk,
  kPiece,
  kGone,
};

struct ImageAsk {
  std::uint64_t number = 0;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

struct ImagePiece {
  std::uint64_t number = 0;
  std::uint64_t piece = 0;
  Bytes data;
};

/// Pieces that one question may ask for.
inline constexpr std::uint64_t kAskMax = 64;

void send_request(ReplicaId to, Effects& out);
void send_offer(ReplicaId to, const ImageHeader& header, Effects& out);
void send_ask(ReplicaId to, const ImageAsk& ask, Effects& out);
void send_piece(ReplicaId to, const ImagePiece& piece, Effects& out);
void send_gone(ReplicaId to, std::uint64_t number, Effects& out);

/// Nothing: malformed. Of kGone, `first` and `count` are 0.
std::optional<ImageHeader> read_offer(Bytes body);
std::optional<ImageAsk> read_ask(Bytes body);
std::optional<ImagePiece> read_piece(Bytes body);

}  // namespace epaxos::runtime
