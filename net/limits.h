#pragma once

// The sizes that are part of the wire: whoever receives something larger refuses it, so whoever
// sends must cut below. Limits of keys and values belong to the state machine; that of an instance
// is kBlockBytesMax in deps/types/command.h.

#include <cstddef>

namespace epaxos::net {

/// A bundle, and with it any message between replicas.
inline constexpr std::size_t kBundleBytesMax = 1024 * 1024;
/// A bundle takes no further frame beyond this size; only a single larger frame exceeds it.
inline constexpr std::size_t kBundleCloseBytes = 256 * 1024;

/// A message of a client to a replica.
inline constexpr std::size_t kClientMessageBytesMax = 256 * 1024;
/// One request's payload: what fits into a message beside its envelope.
inline constexpr std::size_t kClientPayloadBytesMax = kClientMessageBytesMax - 1024;
/// A message of a replica to a client: room for the answer to a read of several large values.
inline constexpr std::size_t kReplyMessageBytesMax = 1024 * 1024;
inline constexpr std::size_t kReplyBytesMax = kReplyMessageBytesMax - 4096;
/// Requests, or replies, of one message.
inline constexpr std::size_t kClientBatchMax = 1024;
/// The sentence of a reply.
inline constexpr std::size_t kReasonBytesMax = 1024;

}  // namespace epaxos::net
