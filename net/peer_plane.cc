#include "net/peer_plane.h"

#include <utility>

#include "deps/types/check.h"

namespace epaxos::net {
namespace {

constexpr std::uint32_t kSendsPerLook = 256;

}  // namespace

PeerPlane::PeerPlane(Context& context, const PeerPlaneOptions& options)
    : context_(context), options_(options), peers_(options.addresses.size()) {
}

Result<std::unique_ptr<PeerPlane>> PeerPlane::open(Context& context,
                                                   const PeerPlaneOptions& options) {
  check(options.self.value() < options.addresses.size(), "a replica is not in its own group");
  auto plane = std::unique_ptr<PeerPlane>(new PeerPlane(context, options));
  if (const auto bound = plane->bind(); !bound) return fail(bound.error());
  for (std::uint16_t i = 0; i < options.addresses.size(); ++i) {
    const std::string& address = options.addresses[i];
    if (i == options.self.value() || address.empty()) continue;
    if (const auto connected = plane->connect(ReplicaId(i), address); !connected) {
      return fail(connected.error());
    }
  }
  return plane;
}

SocketOptions PeerPlane::socket_options(SocketKind kind) const {
  SocketOptions options;
  options.kind = kind;
  options.message_bytes_max = kBundleBytesMax;
  options.queue_messages_max = options_.queue_messages_max;
  options.security = options_.security;
  return options;
}

Result<void> PeerPlane::bind() {
  auto socket = Socket::open(context_, socket_options(SocketKind::kRouter));
  if (!socket) return fail(socket.error());
  inbound_ = std::move(*socket);
  const std::string& own = options_.addresses[options_.self.value()];
  return inbound_->bind(options_.bind_address.empty() ? own : options_.bind_address);
}

Result<void> PeerPlane::connect(ReplicaId peer, const std::string& address) {
  check(peer.value() < peers_.size() && peer != options_.self, "no such peer to connect to");
  auto socket = Socket::open(context_, socket_options(SocketKind::kDealer));
  if (!socket) return fail(socket.error());
  if (const auto connected = (*socket)->connect(address); !connected) return connected;
  peers_[peer.value()].socket = std::move(*socket);
  return {};
}

bool PeerPlane::send(ReplicaId to, Bytes message) {
  check(to.value() < peers_.size() && to != options_.self, "a message was sent to no peer");
  Peer& peer = peers_[to.value()];
  if (message.size() > kBundleBytesMax) {
    ++peer.counters.dropped_too_large;
    return false;
  }
  if (peer.socket && ++peer.sends % kSendsPerLook == 0) {
    // Nobody writes back; whoever does must not fill this process.
    while (peer.socket->receive() != Received::kNothing) continue;
  }
  const Sent sent = peer.socket ? peer.socket->send(message) : Sent::kUnreachable;
  switch (sent) {
    case Sent::kYes:
      ++peer.counters.messages_out;
      peer.counters.bytes_out += message.size();
      return true;
    case Sent::kWouldBlock:
      ++peer.counters.dropped_would_block;
      return false;
    case Sent::kUnreachable:
      ++peer.counters.dropped_unreachable;
      return false;
  }
  return false;
}

std::size_t PeerPlane::receive(const std::function<void(Bytes)>& fn, std::size_t limit) {
  inbound_->gather();
  counters_.refusals.count(Refusal::kOverflow, inbound_->take_overflows());
  std::size_t count = 0;
  for (; count < limit && inbound_->waits(); ++count) {
    const Received received = inbound_->receive();
    if (received == Received::kExtraFrames) {
      counters_.refusals.count(Refusal::kExtraFrames);
      continue;
    }
    ++counters_.messages_in;
    counters_.bytes_in += inbound_->payload().size();
    fn(inbound_->payload());
  }
  return count;
}

bool PeerPlane::connected(ReplicaId peer) {
  const auto& socket = peers_[peer.value()].socket;
  return socket && socket->connected();
}

PeerCounters PeerPlane::counters(ReplicaId peer) {
  PeerCounters counters = peers_[peer.value()].counters;
  if (const auto& socket = peers_[peer.value()].socket) {
    counters.disconnections = socket->disconnections();
  }
  return counters;
}

}  // namespace epaxos::net
