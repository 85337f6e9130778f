#pragma once

// Bytes between replicas: one socket that only receives, and one a peer that only sends. It knows
// no bundle: who sent what stands inside and is checked there, never taken from ZeroMQ. What cannot
// be sent at once is dropped and counted; protocols send again. Source: reliability.md 5.2.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "net/limits.h"
#include "net/refusals.h"
#include "net/socket.h"

namespace epaxos::net {

struct PeerPlaneOptions {
  ReplicaId self;
  /// One a replica, in the order of their ids. An empty one is not connected to; see connect().
  std::vector<std::string> addresses;
  /// Where this replica listens, when that is not addresses[self].
  std::string bind_address;
  int queue_messages_max = 1024;  ///< To be sent to a peer; beyond it messages are dropped.
  SecurityOptions security;
};

/// What was sent to one peer, and what could not be.
struct PeerCounters {
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t dropped_would_block = 0;  ///< Its queue was full.
  std::uint64_t dropped_unreachable = 0;  ///< There was no connection.
  std::uint64_t dropped_too_large = 0;    ///< Over kBundleBytesMax.
  std::uint64_t disconnections = 0;
};

struct PeerPlaneCounters {
  std::uint64_t messages_in = 0;
  std::uint64_t bytes_in = 0;
  RefusalCounters refusals;
};

class PeerPlane {
 public:
  static constexpr std::size_t kReceiveMax = 256;  ///< Messages of one receive().

  /// Binds the own address and starts to connect to the others.
  /// Errors: invalid argument - an address is none; busy - the own address is in use.
  static Result<std::unique_ptr<PeerPlane>> open(Context& context, const PeerPlaneOptions& options);

  /// Hands one message to ZeroMQ, or drops it. Never blocks. Precondition: `to` is another replica.
  bool send(ReplicaId to, Bytes message);

  /// Calls `fn` for up to `limit` messages that have arrived; their bytes live as long as the call
  /// and have no alignment. Returns how many there were.
  std::size_t receive(const std::function<void(Bytes)>& fn, std::size_t limit = kReceiveMax);

  /// Connects to a peer whose address was not known at open().
  Result<void> connect(ReplicaId peer, const std::string& address);

  [[nodiscard]] bool connected(ReplicaId peer);
  [[nodiscard]] const std::string& bound_address() const { return inbound_->bound_address(); }
  [[nodiscard]] Pollable pollable() const { return inbound_->pollable(); }
  [[nodiscard]] PeerCounters counters(ReplicaId peer);
  [[nodiscard]] const PeerPlaneCounters& counters() const { return counters_; }

 private:
  struct Peer {
    std::unique_ptr<Socket> socket;  // Null: self, or no address yet.
    PeerCounters counters;
    std::uint32_t sends = 0;
  };

  PeerPlane(Context& context, const PeerPlaneOptions& options);
  Result<void> bind();
  SocketOptions socket_options(SocketKind kind) const;

  Context& context_;
  PeerPlaneOptions options_;
  std::unique_ptr<Socket> inbound_;
  std::vector<Peer> peers_;
  PeerPlaneCounters counters_;
};

}  // namespace epaxos::net
