#pragma once

// What clients and replicas say to each other: batches of requests, batches of replies, each batch
// one ZeroMQ message. Decoding copies into aligned memory, checks everything and fills plain
// structs; whoever uses them never meets a Cap'n Proto reader. Source: reliability.md 5.3.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "net/limits.h"
#include "net/refusals.h"
#include "net/wire.h"

namespace epaxos::net {

/// What a client wants. The numbers are part of the wire.
enum class RequestKind : std::uint16_t {
  kPing = 0,      ///< Whether the replica answers; the plane answers by itself.
  kPropose = 1,   ///< Replicate this command and apply it.
  kQuery = 2,     ///< A local, possibly stale read of the state machine.
  kStatus = 3,    ///< The replica's status, as JSON.
  kDigest = 4,    ///< The digest of the state machine and sessions: 8 bytes, little-endian.
  kSnapshot = 5,  ///< Make an image of the state now; answered at once, with nothing.
  kTransferLeadership = 6,  ///< To the replica that the payload names, 2 bytes, little-endian;
                            ///< answered at once, with nothing.
  kChangeMembers = 7,       ///< A replica joins or leaves the members: 2 bytes, which one, and 2
                            ///< bytes, 0 to add it and 1 to remove it; answered at once, likewise.
  kExplain = 8,  ///< What is known of the life of an instance, as JSON: 2 bytes, its row, and 8
                 ///< bytes, its slot, little-endian; with no payload, of those that took longest.
};
inline constexpr std::uint16_t kRequestKinds = 9;

/// Names a request between one client and one replica, in whatever way the client likes. 0 is none.
using RequestToken = std::uint64_t;

struct ClientRequest {
  RequestToken token = 0;
  RequestKind kind = RequestKind::kPing;
  bool reads_only = false;        ///< Running it twice does no harm.
  std::uint64_t deadline_us = 0;  ///< From now; 0: none.
  /// All zero without a session. With the number 0 the request is about its session: the payload
  /// is one byte, a SessionOperation.
  CommandId id;
  std::uint64_t acknowledged_up_to = 0;
  Bytes payload;  ///< A view; see ClientMessageReader.
};

struct ClientReply {
  RequestToken token = 0;  ///< 0: about the message as a whole.
  OutcomeKind kind = OutcomeKind::kUnknown;
  ErrorCode code = ErrorCode::kUnavailable;  ///< Unless executed: why.
  std::string_view reason;                   ///< Unless executed: a sentence.
  Bytes reply;                               ///< Of kExecuted.
  std::uint64_t execution_wait_us = 0;       ///< Of kExecuted: see Outcome.
};

/// A request that was readable but not acceptable.
struct BadRequest {
  RequestToken token = 0;
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string_view reason;  ///< Static storage.
};

/// Upper bounds of what one of them adds to a message.
[[nodiscard]] constexpr std::size_t request_bytes(std::size_t payload_bytes) {
  return 64 + (payload_bytes + 7) / 8 * 8;
}
[[nodiscard]] constexpr std::size_t reply_bytes(std::size_t reply, std::size_t reason) {
  return 64 + (reply + 7) / 8 * 8 + (reason + 8) / 8 * 8;
}
/// What an empty message has at most.
inline constexpr std::size_t kClientMessageOverheadBytes = 128;

/// Encodes messages into memory that it keeps. The views live until the next call.
class ClientMessageWriter {
 public:
  explicit ClientMessageWriter(const ClusterId& cluster);

  /// Precondition: 1 .. kClientBatchMax, within kClientMessageBytesMax by request_bytes().
  Bytes encode(std::span<const ClientRequest> requests);
  /// Precondition: 1 .. kClientBatchMax, within kReplyMessageBytesMax by reply_bytes().
  Bytes encode(std::span<const ClientReply> replies);

 private:
  template <class Fill>
  Bytes encode(std::uint32_t magic, std::size_t body_bytes, Fill&& fill);

  ClusterId cluster_;
  AlignedBuffer buffer_;
  std::span<std::byte> memory_;  // Of buffer_.
  std::size_t dirty_ = 0;        // Bytes of it that may not be zero.
};

/// Decodes messages of any alignment. What it shows lives until the next call.
class ClientMessageReader {
 public:
  explicit ClientMessageReader(const ClusterId& cluster) : cluster_(cluster) {}

  /// Fills requests() and bad_requests(), or says why the whole message is refused.
  std::optional<Refusal> open_requests(Bytes message);
  [[nodiscard]] std::span<const ClientRequest> requests() const { return requests_; }
  [[nodiscard]] std::span<const BadRequest> bad_requests() const { return bad_requests_; }

  /// Fills replies(), or says why the whole message is refused.
  std::optional<Refusal> open_replies(Bytes message);
  [[nodiscard]] std::span<const ClientReply> replies() const { return replies_; }

 private:
  ClusterId cluster_;
  AlignedBuffer buffer_;
  std::vector<ClientRequest> requests_;
  std::vector<BadRequest> bad_requests_;
  std::vector<ClientReply> replies_;
};

}  // namespace epaxos::net
