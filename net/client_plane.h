#pragma once

// Where clients connect: requests come in, batched as the client likes; replies are collected and
// leave as one message a client when the loop's turn ends. A client is known by the route that
// ZeroMQ gave its connection, and by nothing else. Source: reliability.md 5.2, 5.3.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "net/client_message.h"
#include "net/refusals.h"
#include "net/socket.h"

namespace epaxos::net {

/// One connection of one client: its ZeroMQ route, packed. Never reused while the process lives,
/// and needs no table; a reply to a client that has gone is dropped and counted.
using ClientId = Id<struct ClientTag, std::uint64_t>;

struct ClientIdHash {
  std::size_t operator()(ClientId id) const noexcept { return mix64(id.value()); }
};

struct ClientPlaneOptions {
  std::string address;  ///< Where clients connect.
  ClusterId cluster{};
  int queue_messages_max = 1024;                       ///< To be sent to a client.
  std::size_t held_bytes_max = std::size_t{16} << 20;  ///< Large replies that one client leaves.
  /// Of clients that are connected; who comes beyond it is disconnected. 0: as many as the limit of
  /// open files has room for beside everything else.
  std::size_t connections_max = 0;
  int linger_ms = 1000;  ///< For the last replies of a clean stop.
  SecurityOptions security;
};

struct ClientPlaneCounters {
  std::uint64_t messages_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t requests_in = 0;  ///< Handed to the handler.
  std::uint64_t pings_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t replies_out = 0;
  std::uint64_t replies_too_large = 0;            ///< Told as such instead.
  std::uint64_t replies_dropped_would_block = 0;  ///< The client does not read.
  std::uint64_t replies_dropped_unreachable = 0;  ///< The client has gone.
  std::uint64_t connections = 0;                  ///< Now.
  std::uint64_t connections_max = 0;
  std::uint64_t refused_connections = 0;  ///< Beyond connections_max.
  RefusalCounters refusals;
};

class ClientPlane {
 public:
  static constexpr std::size_t kReceiveMax = 256;  ///< Messages of one receive().

  /// The request's payload lives as long as the call.
  using Handler = std::function<void(ClientId, const ClientRequest&)>;

  /// Errors: invalid argument - not an address; busy - the address is in use.
  static Result<std::unique_ptr<ClientPlane>> open(Context& context,
                                                   const ClientPlaneOptions& options);
  ClientPlane(const ClientPlane&) = delete;
  ClientPlane& operator=(const ClientPlane&) = delete;
  ~ClientPlane();

  /// Hands every request of up to `limit` messages that have arrived to `handler`. Pings and bad
  /// requests are answered here; a question of a client that leaves too many answers unread is
  /// dropped, as its answer would be. Returns how many messages there were.
  std::size_t receive(const Handler& handler, std::size_t limit = kReceiveMax);

  /// Within receive(): it ends after this request. The other requests of the message come later,
  /// after those of other clients.
  void pause() { paused_ = true; }

  /// Collects one reply; everything is copied. A client's leave at once when they fill a message.
  void reply(ClientId client, const ClientReply& reply);

  /// Sends what was collected. Once a turn.
  void flush();

  [[nodiscard]] const std::string& bound_address() const { return socket_->bound_address(); }
  [[nodiscard]] Pollable pollable() const { return socket_->pollable(); }
  /// Readable when clients have come or gone; then look_at_connections() is to be called.
  [[nodiscard]] Pollable connections_changed() const { return socket_->connections_changed(); }
  void look_at_connections();
  [[nodiscard]] const ClientPlaneCounters& counters() const { return counters_; }

 private:
  struct Waiting;  // The replies that one client is owed.

  ClientPlane(std::unique_ptr<Socket> socket, const ClientPlaneOptions& options);
  void take(ClientId client, Bytes message, const Handler& handler);
  void refuse(ClientId client, Refusal refusal);
  Waiting& waiting_for(ClientId client);
  void send(const Waiting& waiting);
  void send_batch(ClientId client);

  std::unique_ptr<Socket> socket_;
  ClientMessageReader reader_;
  ClientMessageWriter writer_;
  std::unordered_map<ClientId, std::size_t, ClientIdHash> index_;  // Into waiting_; of this turn.
  std::vector<std::unique_ptr<Waiting>> waiting_;  // The first waiting_count_ are in use.
  std::size_t waiting_count_ = 0;
  std::vector<ClientReply> batch_;
  bool paused_ = false;
  std::uint32_t receives_ = 0;
  ClientPlaneCounters counters_;
};

}  // namespace epaxos::net
