#include "net/client_message.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include "deps/types/check.h"
#include "net/client_message.capnp.h"

namespace epaxos::net {
namespace {

constexpr std::size_t kBodyAt = sizeof(Envelope);
constexpr std::size_t kSegmentTableBytes = 8;  // One segment: u32 segments - 1, u32 words.
constexpr std::uint32_t kSegmentsMax = 8;
constexpr int kNestingMax = 8;

// The numbers of codes and kinds on the wire are the positions in these tables, for ever.
constexpr std::array kCodes = {
    ErrorCode::kInvalidArgument,
    ErrorCode::kMalformed,
    ErrorCode::kTooLarge,
    ErrorCode::kOverloaded,
    ErrorCode::kDeadline,
    ErrorCode::kOutOfSpace,
    ErrorCode::kIo,
    ErrorCode::kCorrupted,
    ErrorCode::kWrongIdentity,
    ErrorCode::kBusy,
    ErrorCode::kUnavailable,
    ErrorCode::kNotVoting,
    ErrorCode::kStopped,
    ErrorCode::kUnsupported,
    ErrorCode::kUnknownSession,
};
constexpr std::array kKinds = {OutcomeKind::kExecuted, OutcomeKind::kRejected,
                               OutcomeKind::kUnknown};

template <class Table, class Value>
std::uint16_t wire_number(const Table& table, Value value) {
  const auto found = std::find(table.begin(), table.end(), value);
  check(found != table.end(), "a code has no number on the wire");
  return static_cast<std::uint16_t>(found - table.begin());
}

kj::ArrayPtr<const kj::byte> data_of(const void* bytes, std::size_t size) {
  return {static_cast<const kj::byte*>(bytes), size};
}

/// Cap'n Proto's framing, before any of its readers sees it: a handful of segments that fill the
/// body exactly.
bool segments_fill(Bytes body) {
  if (body.size() < 2 * sizeof(capnp::word)) return false;
  std::uint32_t last_segment = 0;
  std::memcpy(&last_segment, body.data(), sizeof last_segment);
  if (last_segment >= kSegmentsMax) return false;

  const std::size_t table_bytes = (last_segment / 2 + 1) * std::size_t{8};
  if (body.size() < table_bytes) return false;
  std::uint64_t words = table_bytes / sizeof(capnp::word);
  for (std::uint32_t i = 0; i <= last_segment; ++i) {
    std::uint32_t size = 0;
    std::memcpy(&size, body.data() + 4 + i * std::size_t{4}, sizeof size);
    words += size;
  }
  return words * sizeof(capnp::word) == body.size();
}

/// Reads a checked envelope's body with `read`, which fills plain structs and answers whether they
/// are acceptable. Readers throw lazily, so nothing of them leaves `read`.
template <class Read>
std::optional<Refusal> read_body(std::span<std::byte> message, Read&& read) {
  const std::span<std::byte> body = message.subspan(kBodyAt);
  if (!segments_fill(body)) return Refusal::kMalformed;
  const std::size_t words = body.size() / sizeof(capnp::word);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * words + 64;  // Many pointers to one payload end here.
  options.nestingLimit = kNestingMax;
  try {
    capnp::FlatArrayMessageReader reader(
        kj::ArrayPtr<const capnp::word>(reinterpret_cast<const capnp::word*>(body.data()), words),
        options);
    if (!read(reader)) return Refusal::kMalformed;
  } catch (const kj::Exception&) {
    return Refusal::kMalformed;
  }
  return std::nullopt;
}

Bytes bytes_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

ClientRequest plain(schema::Request::Reader from) {
  ClientRequest request;
  request.token = from.getToken();
  request.kind = static_cast<RequestKind>(from.getKind());
  request.reads_only = from.getReadsOnly();
  request.deadline_us = from.getDeadlineUs();
  request.id = {from.getSession(), from.getNumber()};
  request.acknowledged_up_to = from.getAcknowledgedUpTo();
  request.payload = bytes_of(from.getPayload());
  return request;
}

std::optional<BadRequest> fault_of(const ClientRequest& request) {
  if (static_cast<std::uint16_t>(request.kind) >= kRequestKinds) {
    return BadRequest{request.token, ErrorCode::kUnsupported,
                      "This replica does not know that kind of request. Use a client of the same "
                      "version."};
  }
  if (request.payload.size() > kClientPayloadBytesMax) {
    return BadRequest{request.token, ErrorCode::kTooLarge,
                      "The request is larger than a client message may be. Split it."};
  }
  return std::nullopt;
}

}  // namespace

ClientMessageWriter::ClientMessageWriter(const ClusterId& cluster) : cluster_(cluster) {
}

template <class Fill>
Bytes ClientMessageWriter::encode(std::uint32_t magic, std::size_t body_bytes, Fill&& fill) {
  const std::size_t head = kBodyAt + kSegmentTableBytes;
  const std::size_t capacity = head + body_bytes;
  if (capacity > memory_.size()) {
    memory_ = buffer_.grow(0, capacity);
    dirty_ = memory_.size();
  }
  std::memset(memory_.data(), 0, dirty_);  // A builder wants zeros; only what was used has none.

  // The message is built where it leaves from, behind its envelope and the table of one segment.
  capnp::FlatMessageBuilder builder(kj::ArrayPtr<capnp::word>(
      reinterpret_cast<capnp::word*>(memory_.data() + head), body_bytes / sizeof(capnp::word)));
  fill(builder);
  const std::size_t words = builder.getSegmentsForOutput()[0].size();
  const auto size = static_cast<std::uint32_t>(words);
  std::memcpy(memory_.data() + kBodyAt + 4, &size, sizeof size);
  dirty_ = head + words * sizeof(capnp::word);
  seal(memory_.first(dirty_), magic, cluster_);
  return Bytes(memory_).first(dirty_);
}

Bytes ClientMessageWriter::encode(std::span<const ClientRequest> requests) {
  check(!requests.empty() && requests.size() <= kClientBatchMax, "a batch has 1 .. 1024 requests");
  std::size_t bytes = kClientMessageOverheadBytes;
  for (const ClientRequest& request : requests) bytes += request_bytes(request.payload.size());
  check(bytes <= kClientMessageBytesMax, "a batch of requests exceeds a client message");

  return encode(kRequestMagic, bytes, [&](capnp::MessageBuilder& builder) {
    auto list = builder.initRoot<schema::RequestBatch>().initRequests(
        static_cast<unsigned>(requests.size()));
    for (unsigned i = 0; i < requests.size(); ++i) {
      const ClientRequest& from = requests[i];
      auto to = list[i];
      to.setToken(from.token);
      to.setDeadlineUs(from.deadline_us);
      to.setSession(from.id.session);
      to.setNumber(from.id.number);
      to.setAcknowledgedUpTo(from.acknowledged_up_to);
      to.setKind(static_cast<std::uint16_t>(from.kind));
      to.setReadsOnly(from.reads_only);
      if (from.payload.empty()) continue;
      to.setPayload(data_of(from.payload.data(), from.payload.size()));
    }
  });
}

Bytes ClientMessageWriter::encode(std::span<const ClientReply> replies) {
  check(!replies.empty() && replies.size() <= kClientBatchMax, "a batch has 1 .. 1024 replies");
  std::size_t bytes = kClientMessageOverheadBytes;
  for (const ClientReply& r : replies) bytes += reply_bytes(r.reply.size(), r.reason.size());
  check(bytes <= kReplyMessageBytesMax, "a batch of replies exceeds a reply message");

  return encode(kReplyMagic, bytes, [&](capnp::MessageBuilder& builder) {
    auto list =
        builder.initRoot<schema::ReplyBatch>().initReplies(static_cast<unsigned>(replies.size()));
    for (unsigned i = 0; i < replies.size(); ++i) {
      const ClientReply& from = replies[i];
      auto to = list[i];
      to.setToken(from.token);
      to.setExecutionWaitUs(from.execution_wait_us);
      to.setKind(wire_number(kKinds, from.kind));
      to.setCode(wire_number(kCodes, from.code));
      if (!from.reason.empty()) to.setReason(data_of(from.reason.data(), from.reason.size()));
      if (!from.reply.empty()) to.setReply(data_of(from.reply.data(), from.reply.size()));
    }
  });
}

std::optional<Refusal> ClientMessageReader::open_requests(Bytes message) {
  requests_.clear();
  bad_requests_.clear();
  if (message.size() > kClientMessageBytesMax) return Refusal::kTooLarge;
  const std::span<std::byte> copy = buffer_.assign(message);
  if (const auto refusal = unseal(copy, kRequestMagic, cluster_, kClientMessageBytesMax)) {
    return refusal;
  }
  const auto refusal = read_body(copy, [&](capnp::MessageReader& reader) {
    const auto list = reader.getRoot<schema::RequestBatch>().getRequests();
    if (list.size() == 0 || list.size() > kClientBatchMax) return false;
    for (const auto from : list) {
      const ClientRequest request = plain(from);
      if (request.token == 0) return false;
      if (const auto fault = fault_of(request)) {
        bad_requests_.push_back(*fault);
      } else {
        requests_.push_back(request);
      }
    }
    return true;
  });
  if (refusal) requests_.clear(), bad_requests_.clear();
  return refusal;
}

std::optional<Refusal> ClientMessageReader::open_replies(Bytes message) {
  replies_.clear();
  if (message.size() > kReplyMessageBytesMax) return Refusal::kTooLarge;
  const std::span<std::byte> copy = buffer_.assign(message);
  if (const auto refusal = unseal(copy, kReplyMagic, cluster_, kReplyMessageBytesMax)) {
    return refusal;
  }
  const auto refusal = read_body(copy, [&](capnp::MessageReader& reader) {
    const auto list = reader.getRoot<schema::ReplyBatch>().getReplies();
    if (list.size() == 0 || list.size() > kClientBatchMax) return false;
    for (const auto from : list) {
      if (from.getKind() >= kKinds.size() || from.getCode() >= kCodes.size()) return false;
      const Bytes reason = bytes_of(from.getReason());
      if (reason.size() > kReasonBytesMax) return false;
      const std::string_view words(reinterpret_cast<const char*>(reason.data()), reason.size());
      replies_.push_back({from.getToken(), kKinds[from.getKind()], kCodes[from.getCode()], words,
                          bytes_of(from.getReply()), from.getExecutionWaitUs()});
    }
    return true;
  });
  if (refusal) replies_.clear();
  return refusal;
}

}  // namespace epaxos::net
