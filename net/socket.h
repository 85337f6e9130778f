#pragma once

// The wrapping of ZeroMQ: its library is included in socket.cc and nowhere else. Nothing here
// blocks but Poller::wait(), an interrupted call is repeated, and what cannot be sent is dropped
// and said. A socket belongs to the thread that uses it. Source: reliability.md 5.2.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::net {

/// ZeroMQ's I/O thread. It outlives every socket that was opened with it.
class Context {
 public:
  Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();

  /// Null when there was no file descriptor for it; then no socket opens.
  [[nodiscard]] void* handle() const { return handle_; }

 private:
  void* handle_;
};

/// Keys of CURVE, in Z85. Not supported yet: opening a socket with any of them fails.
struct SecurityOptions {
  std::string public_key;
  std::string secret_key;
  std::string server_key;  ///< Of a connecting socket: whom it expects.

  [[nodiscard]] bool empty() const {
    return public_key.empty() && secret_key.empty() && server_key.empty();
  }
};

enum class SocketKind {
  kRouter,  ///< Many connections; every message comes with the route back.
  kDealer,  ///< One connection.
};

struct SocketOptions {
  SocketKind kind = SocketKind::kDealer;
  std::size_t message_bytes_max = 0;  ///< A peer that sends more is disconnected.
  int queue_messages_max = 1024;      ///< To be sent, a connection.
  /// What has arrived at a router and was not received, of one connection and of all; what exceeds
  /// it is dropped. Of a connection of which nothing waits, one message is always taken.
  std::size_t arrived_bytes_max = std::size_t{64} << 20;
  std::size_t arrived_bytes_max_of_all = std::size_t{256} << 20;
  /// Large messages on their way to one connection that does not read; what exceeds it is dropped.
  std::size_t held_bytes_max = std::size_t{64} << 20;
  /// Of a router: who connects beyond it is disconnected again; see look_at_connections(). 0: no
  /// bound, and they are not counted.
  std::size_t connections_max = 0;
  int linger_ms = 0;  ///< How long closing waits for what is still queued.
  SecurityOptions security;
};

enum class Sent {
  kYes,          ///< Handed to ZeroMQ; may still be lost with its connection.
  kWouldBlock,   ///< The queue is full: dropped.
  kUnreachable,  ///< No connection: dropped.
};

enum class Received {
  kMessage,
  kNothing,
  kExtraFrames,  ///< A message of none or several payload frames: dropped.
};

/// Something that Poller::wait() can wait for.
struct Pollable {
  void* socket = nullptr;
  int fd = -1;
};

class Socket {
 public:
  /// Errors: unsupported - CURVE keys, or a ZeroMQ library that is too old;
  ///         io          - the process has no file descriptors or sockets left.
  static Result<std::unique_ptr<Socket>> open(Context& context, const SocketOptions& options);
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  /// Errors: invalid argument - not an address to bind; busy - somebody else has it.
  Result<void> bind(const std::string& address);
  /// Errors: invalid argument - not an address to connect to. Whether anybody listens shows later.
  Result<void> connect(const std::string& address);

  /// The address that bind() got: with the port that "tcp://127.0.0.1:*" was given.
  [[nodiscard]] const std::string& bound_address() const { return bound_address_; }

  Sent send(Bytes payload);
  Sent send_to(Bytes route, Bytes payload);
  /// Whether a message of this size to that connection would not be dropped for what it holds.
  [[nodiscard]] bool has_room(Bytes route, std::size_t bytes) const;

  /// A router takes what has arrived off ZeroMQ's queues, which have no bound of their own, into
  /// bounded ones. receive() does it when it has nothing; whoever receives less than everything
  /// calls it regularly.
  void gather();
  /// Whether a message waits that was gathered.
  [[nodiscard]] bool waits() const;
  /// A router gives one message of each connection in turn.
  Received receive();
  /// The message last received at a router comes again, after one of each other connection, and is
  /// known to be done up to `progress` then.
  void keep(std::size_t progress);
  /// What keep() said of the message last received; 0: it comes for the first time.
  [[nodiscard]] std::size_t progress() const;
  /// How many messages were dropped because too much had arrived, since the last call.
  std::uint64_t take_overflows();
  /// Of the last message received, until the next receive().
  [[nodiscard]] Bytes payload() const;
  [[nodiscard]] Bytes route() const;

  /// Of a router with a bound of connections: disconnects those beyond it. To be called when
  /// connections_changed() is readable, and now and then.
  void look_at_connections();
  [[nodiscard]] Pollable connections_changed() const;
  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::uint64_t refused_connections() const;

  /// Of a connected socket: whether its connection stands. Counts how often it broke.
  [[nodiscard]] bool connected();
  [[nodiscard]] std::uint64_t disconnections();

  [[nodiscard]] Pollable pollable() const;

 private:
  struct Impl;
  explicit Socket(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
  std::string bound_address_;
};

/// Waits for sockets and plain file descriptors (an eventfd, a signalfd).
class Poller {
 public:
  Poller();
  ~Poller();

  /// Returns the index by which ready() knows it.
  std::size_t add(Pollable pollable);
  std::size_t add_fd(int fd) { return add({nullptr, fd}); }

  /// Spends up to this long on asking again and again before it blocks, as long as that pays: on a
  /// free core a wake-up costs more than the wait. Default 0: never.
  void set_spin_us(Tick spin_us) { spin_us_ = spin_us; }

  /// Returns true when something can be read, false when the time has passed. kNever waits for
  /// ever. Units: ZeroMQ waits in milliseconds; a shorter wait is rounded up.
  bool wait(Tick timeout_us);

  /// Whether the last wait() found this one readable.
  [[nodiscard]] bool ready(std::size_t index) const;

 private:
  struct Impl;

  bool poll(long timeout_ms);
  bool spin(Tick timeout_us);

  std::unique_ptr<Impl> impl_;
  Tick spin_us_ = 0;
  std::uint32_t spins_to_skip_ = 0;
  std::uint32_t spins_in_vain_ = 0;
};

}  // namespace epaxos::net
