#pragma once

// Messages to bytes and back. A body is one Cap'n Proto segment without a segment table. Decoding
// checks everything that does not depend on state (sizes, ranges, no trailing bytes) and copies
// every field into plain values, so that no handler ever sees a reader.

#include "epaxos/contract/effects.h"
#include "epaxos/protocol/message.h"

namespace epaxos::protocol {

/// Slots above this are refused: no row lives long enough to reach it.
inline constexpr std::uint64_t kSlotMax = std::uint64_t{1} << 48;
/// Blockers that one ValidateOk may name.
inline constexpr std::size_t kBlockersMax = 4096;

/// Writes the body into the arena of `out`. Cost: no allocation but the arena's growth.
Slice encode(const PreAccept& message, Effects& out);
Slice encode(const PreAcceptOk& message, Effects& out);
Slice encode(const Accept& message, Effects& out);
Slice encode(const AcceptOk& message, Effects& out);
Slice encode(const Commit& message, Effects& out);
Slice encode(const Nack& message, Effects& out);
Slice encode(const Recover& message, Effects& out);
Slice encode(const RecoverOk& message, Effects& out);
Slice encode(const Validate& message, Effects& out);
Slice encode(const ValidateOk& message, Effects& out);
Slice encode(const Waiting& message, Effects& out);
Slice encode(const Status& message, Effects& out);
Slice encode(const FetchRange& message, Effects& out);
Slice encode(const RangeEnd& message, Effects& out);
Slice encode(const Learn& message, Effects& out);
Slice encode(const Frontier& message, Effects& out);
Slice encode(const Truncated& message, Effects& out);
Slice encode(const Fence& message, Effects& out);
Slice encode(const Unfence& message, Effects& out);
Slice encode(const VectorFloor& message, Effects& out);

/// As encode(PreAccept), with the block written in place: returns where its bytes go.
/// Valid until the next use of `out`.
std::span<std::byte> encode_with_room(const InstanceId& instance, const Dependencies& initial,
                                      std::size_t block_bytes, Effects& out, Slice& body);

/// Reads a body of a group of `rows` replicas. False: malformed, and `out` is unspecified. Whether
/// a block makes sense is decode_block_footprint()'s question. Precondition: `body` starts at a
/// multiple of 8 bytes.
bool decode(Bytes body, int rows, PreAccept& out);
bool decode(Bytes body, int rows, PreAcceptOk& out);
bool decode(Bytes body, int rows, Accept& out);
bool decode(Bytes body, int rows, AcceptOk& out);
bool decode(Bytes body, int rows, Commit& out);
bool decode(Bytes body, int rows, Nack& out);
bool decode(Bytes body, int rows, Recover& out);
bool decode(Bytes body, int rows, RecoverOk& out);
bool decode(Bytes body, int rows, Validate& out);
bool decode(Bytes body, int rows, ValidateOk& out);
bool decode(Bytes body, int rows, Waiting& out);
bool decode(Bytes body, int rows, Status& out);
bool decode(Bytes body, int rows, FetchRange& out);
bool decode(Bytes body, int rows, RangeEnd& out);
bool decode(Bytes body, int rows, Learn& out);
bool decode(Bytes body, int rows, Frontier& out);
bool decode(Bytes body, int rows, Truncated& out);
bool decode(Bytes body, int rows, Fence& out);
bool decode(Bytes body, int rows, Unfence& out);
bool decode(Bytes body, int rows, VectorFloor& out);

}  // namespace epaxos::protocol
