#pragma once

// Messages to bytes and back. Decoding checks everything that does not depend on state: sizes,
// ranges, no trailing bytes, and that entries can be told apart.

#include "compare/raft/message.h"
#include "epaxos/contract/effects.h"

namespace epaxos::compare::raft {

/// Writes the body into the arena of `out`.
Slice encode(const RequestVote& message, Effects& out);
Slice encode(const RequestVoteReply& message, Effects& out);
Slice encode(const AppendEntries& message, Effects& out);
Slice encode(const AppendEntriesReply& message, Effects& out);
Slice encode(const Truncated& message, Effects& out);
Slice encode(const TimeoutNow& message, Effects& out);
Slice encode(const Hello& message, Effects& out);
Slice encode(const Forgot& message, Effects& out);

/// As encode(), with room for entries in place of those of the message: returns where their bytes
/// go. Valid until the next use of `out`.
std::span<std::byte> encode_with_room(const AppendEntries& message, std::size_t entry_bytes,
                                      Effects& out, Slice& body);

/// Reads a body. False: malformed, and `out` is unspecified. Whether the blocks of entries make
/// sense is decode_block_footprint()'s question.
/// Precondition: `body` starts at a multiple of 8 bytes.
bool decode(Bytes body, int replicas, RequestVote& out);
bool decode(Bytes body, int replicas, RequestVoteReply& out);
bool decode(Bytes body, int replicas, AppendEntries& out);
bool decode(Bytes body, int replicas, AppendEntriesReply& out);
bool decode(Bytes body, int replicas, Truncated& out);
bool decode(Bytes body, int replicas, TimeoutNow& out);
bool decode(Bytes body, int replicas, Hello& out);
bool decode(Bytes body, int replicas, Forgot& out);

/// Whether what an entry is about can be read. Precondition: take_entry() took it.
[[nodiscard]] bool makes_sense(const Entry& entry);

}  // namespace epaxos::compare::raft
