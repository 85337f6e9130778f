#include "net/client_plane.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "deps/types/check.h"
#include "net/open_files.h"

namespace epaxos::net {
namespace {

constexpr std::size_t kReplyCloseBytes = 256 * 1024;  // A message takes no further reply beyond it.
constexpr std::size_t kRouteBytesMax = 7;
constexpr std::uint32_t kReceivesPerLook = 64;  // Under load nobody waits for connections.

/// A route of up to seven bytes as a number: its length in the highest byte.
std::uint64_t packed(Bytes route) {
  std::uint64_t value = 0;
  std::memcpy(&value, route.data(), route.size());
  return value | (std::uint64_t{route.size()} << 56);
}

struct Route {
  explicit Route(ClientId client) : value(client.value()) {}
  [[nodiscard]] Bytes bytes() const {
    return std::as_bytes(std::span(&value, 1)).first(value >> 56);
  }
  std::uint64_t value;
};

std::string_view sentence(Refusal refusal) {
  switch (refusal) {
    case Refusal::kWrongCluster:
      return "This replica belongs to another cluster. Check the cluster id and the address.";
    case Refusal::kWrongVersion:
      return "This replica speaks another wire version. Use a client of the same version.";
    default:
      return "The message could not be read. Use a client of the same version.";
  }
}

}  // namespace

/// Replies of one client in the order they were made. Views point into `bytes`, which may move
/// while it grows, so they are kept as sizes until the message is encoded.
struct ClientPlane::Waiting {
  struct Item {
    ClientReply reply;
    std::size_t reason_bytes = 0;
    std::size_t reply_bytes = 0;
  };

  ClientId client;
  std::vector<Item> items;
  std::vector<std::byte> bytes;

  void add(const ClientReply& reply) {
    items.push_back({reply, reply.reason.size(), reply.reply.size()});
    const auto reason = std::as_bytes(std::span(reply.reason));
    bytes.insert(bytes.end(), reason.begin(), reason.end());
    bytes.insert(bytes.end(), reply.reply.begin(), reply.reply.end());
  }

  void clear() {
    items.clear();
    bytes.clear();
  }
};

ClientPlane::ClientPlane(std::unique_ptr<Socket> socket, const ClientPlaneOptions& options)
    : socket_(std::move(socket)), reader_(options.cluster), writer_(options.cluster) {
  counters_.connections_max = options.connections_max;
}

ClientPlane::~ClientPlane() = default;

Result<std::unique_ptr<ClientPlane>> ClientPlane::open(Context& context,
                                                       const ClientPlaneOptions& wanted) {
  ClientPlaneOptions options = wanted;
  if (options.connections_max == 0) options.connections_max = connections_for(open_files_max());
  SocketOptions socket_options;
  socket_options.kind = SocketKind::kRouter;
  socket_options.message_bytes_max = kClientMessageBytesMax;
  socket_options.queue_messages_max = options.queue_messages_max;
  socket_options.held_bytes_max = options.held_bytes_max;
  socket_options.connections_max = options.connections_max;
  socket_options.linger_ms = options.linger_ms;
  socket_options.security = options.security;
  auto socket = Socket::open(context, socket_options);
  if (!socket) return fail(socket.error());
  if (const auto bound = (*socket)->bind(options.address); !bound) return fail(bound.error());
  return std::unique_ptr<ClientPlane>(new ClientPlane(std::move(*socket), options));
}

std::size_t ClientPlane::receive(const Handler& handler, std::size_t limit) {
  if (++receives_ % kReceivesPerLook == 0) look_at_connections();
  socket_->gather();
  counters_.refusals.count(Refusal::kOverflow, socket_->take_overflows());
  paused_ = false;
  std::size_t count = 0;
  for (; count < limit && !paused_ && socket_->waits(); ++count) {
    const Received received = socket_->receive();
    if (received == Received::kExtraFrames) {
      counters_.refusals.count(Refusal::kExtraFrames);
      continue;
    }
    if (socket_->progress() == 0) {
      ++counters_.messages_in;
      counters_.bytes_in += socket_->payload().size();
    }
    const Bytes route = socket_->route();
    if (route.empty() || route.size() > kRouteBytesMax) {
      counters_.refusals.count(Refusal::kForeignRoute);
      continue;
    }
    take(ClientId(packed(route)), socket_->payload(), handler);
  }
  return count;
}

void ClientPlane::look_at_connections() {
  socket_->look_at_connections();
  counters_.connections = socket_->connections();
  counters_.refused_connections = socket_->refused_connections();
}

void ClientPlane::take(ClientId client, Bytes message, const Handler& handler) {
  if (const auto refusal = reader_.open_requests(message)) return refuse(client, *refusal);
  const std::size_t first = socket_->progress();
  const auto bad_requests = first == 0 ? reader_.bad_requests() : std::span<const BadRequest>();
  for (const BadRequest& bad : bad_requests) {
    counters_.refusals.count(Refusal::kBadRequest);
    reply(client, {bad.token, OutcomeKind::kRejected, bad.code, bad.reason, {}, 0});
  }
  const std::span<const ClientRequest> requests = reader_.requests();
  for (std::size_t i = first; i < requests.size(); ++i) {
    if (paused_) return socket_->keep(i);
    const ClientRequest& request = requests[i];
    if (request.kind == RequestKind::kPing) {
      ++counters_.pings_in;
      reply(client, {request.token, OutcomeKind::kExecuted, {}, {}, {}, 0});
    } else if (request.kind != RequestKind::kPropose &&
               !socket_->has_room(socket_->route(), kReplyMessageBytesMax)) {
      ++counters_.replies_dropped_would_block;
    } else {
      ++counters_.requests_in;
      handler(client, request);
    }
  }
}

/// A client of ours that talks to the wrong place is told so, under the name of this cluster. What
/// is damaged or foreign gets no answer: it costs an attacker nothing and us a queue.
void ClientPlane::refuse(ClientId client, Refusal refusal) {
  counters_.refusals.count(refusal);
  if (refusal != Refusal::kWrongCluster && refusal != Refusal::kWrongVersion &&
      refusal != Refusal::kMalformed) {
    return;
  }
  const ErrorCode code =
      refusal == Refusal::kMalformed ? ErrorCode::kMalformed : ErrorCode::kWrongIdentity;
  reply(client, {0, OutcomeKind::kRejected, code, sentence(refusal), {}, 0});
}

ClientPlane::Waiting& ClientPlane::waiting_for(ClientId client) {
  const auto [found, is_new] = index_.try_emplace(client, waiting_count_);
  if (is_new) {
    if (waiting_count_ == waiting_.size()) waiting_.push_back(std::make_unique<Waiting>());
    waiting_[waiting_count_++]->client = client;
  }
  return *waiting_[found->second];
}

void ClientPlane::reply(ClientId client, const ClientReply& reply) {
  ClientReply shortened = reply;
  shortened.reason = reply.reason.substr(0, kReasonBytesMax);
  if (reply.reply.size() > kReplyBytesMax) {
    // Executed all the same: the client must not think that it can simply be tried again.
    ++counters_.replies_too_large;
    shortened.reply = {};
    shortened.kind = OutcomeKind::kUnknown;
    shortened.code = ErrorCode::kTooLarge;
    shortened.reason =
        "The request was carried out, but its answer is too large to be sent. Ask for less at "
        "once.";
  }
  Waiting& waiting = waiting_for(client);
  waiting.add(shortened);
  if (waiting.bytes.size() < kReplyCloseBytes) return;
  send(waiting);
  waiting.clear();
}

void ClientPlane::flush() {
  for (std::size_t i = 0; i < waiting_count_; ++i) {
    send(*waiting_[i]);
    waiting_[i]->clear();
  }
  waiting_count_ = 0;
  index_.clear();
}

void ClientPlane::send(const Waiting& waiting) {
  const Bytes all(waiting.bytes);
  std::size_t at = 0;
  std::size_t bytes = kClientMessageOverheadBytes;
  batch_.clear();
  for (const Waiting::Item& item : waiting.items) {
    const std::size_t more = reply_bytes(item.reply_bytes, item.reason_bytes);
    if (!batch_.empty() && (bytes + more > kReplyCloseBytes || batch_.size() == kClientBatchMax)) {
      send_batch(waiting.client);
      bytes = kClientMessageOverheadBytes;
    }
    ClientReply reply = item.reply;
    reply.reason = {reinterpret_cast<const char*>(all.data() + at), item.reason_bytes};
    reply.reply = all.subspan(at + item.reason_bytes, item.reply_bytes);
    at += item.reason_bytes + item.reply_bytes;
    bytes += more;
    batch_.push_back(reply);
  }
  if (!batch_.empty()) send_batch(waiting.client);
}

void ClientPlane::send_batch(ClientId client) {
  const Bytes message = writer_.encode(batch_);
  switch (socket_->send_to(Route(client).bytes(), message)) {
    case Sent::kYes:
      ++counters_.messages_out;
      counters_.bytes_out += message.size();
      counters_.replies_out += batch_.size();
      break;
    case Sent::kWouldBlock:
      counters_.replies_dropped_would_block += batch_.size();
      break;
    case Sent::kUnreachable:
      counters_.replies_dropped_unreachable += batch_.size();
      break;
  }
  batch_.clear();
}

}  // namespace epaxos::net
