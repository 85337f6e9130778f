#pragma once

// A TCP connection that speaks just enough of ZeroMQ's protocol (ZMTP 3.0, NULL) to say what a real
// ZeroMQ library would not: several frames, a chosen routing id, sizes that lie.

#include <arpa/inet.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <utility>

namespace epaxos::net {

class RawPeer {
 public:
  /// `address` is "tcp://127.0.0.1:PORT".
  explicit RawPeer(const std::string& address)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto port = std::stoul(address.substr(address.rfind(':') + 1));
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    const timeval hangs{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &hangs, sizeof hangs);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  /// A connection that was accepted.
  explicit RawPeer(int fd) : fd_(fd), connected_(fd >= 0) {}
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] bool connected() const { return connected_; }

  bool write(std::string_view bytes) const {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  /// Ends the connection as a process does that dies with bytes unread: what is on its way is lost.
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(fd_, -1));
  }

  /// Greeting and READY of a DEALER, which a ROUTER accepts, or of another kind; waits for both of
  /// the other side.
  void shake_hands(std::string_view routing_id = "", std::string_view kind = "DEALER") const {
    offer_hand(routing_id, kind);
    (void)read(64);
    const std::string command = read(2);
    if (command.size() == 2) (void)read(static_cast<unsigned char>(command[1]));
  }

  /// Its own half of that, without waiting for the other one: nobody may have accepted it yet.
  void offer_hand(std::string_view routing_id = "", std::string_view kind = "DEALER") const {
    std::string greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL", 16);
    greeting.resize(64);
    write(greeting);
    std::string ready = "\5READY";
    ready += property("Socket-Type", kind) + property("Identity", routing_id);
    write(std::string("\4") + static_cast<char>(ready.size()) + ready);
  }

  /// That many bytes, or fewer when the connection ends.
  [[nodiscard]] std::string read(std::size_t size) const {
    std::string bytes(size, '\0');
    const ssize_t got = ::recv(fd_, bytes.data(), size, MSG_WAITALL);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

  /// One frame of up to 255 bytes.
  void send_frame(std::string_view body, bool more = false) const {
    std::string frame(1, more ? '\1' : '\0');
    frame += static_cast<char>(body.size());
    write(frame.append(body));
  }

  /// One frame of any size.
  void send_long_frame(std::string_view body) const {
    announce(body.size());
    write(body);
  }

  /// The body of the next frame; empty when the connection ends.
  [[nodiscard]] std::string read_frame() const {
    const std::string flags = read(1);
    if (flags.empty()) return {};
    const bool is_long = (flags[0] & 2) != 0;
    std::size_t size = 0;
    for (const char byte : read(is_long ? 8 : 1))
      size = size << 8 | static_cast<unsigned char>(byte);
    return read(size);
  }

  /// A heartbeat, which ZeroMQ answers.
  void send_ping() const { write(std::string("\4\7\4PING\0\0", 9)); }

  /// The beginning of a frame that claims to be this large.
  void announce(std::uint64_t size) const {
    std::string frame(1, '\2');
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift & 0xff);
    write(frame);
  }

  /// Waits until the other side has closed the connection; false when it seems never to.
  [[nodiscard]] bool wait_until_closed() const {
    char bytes[4096];
    ssize_t got = 0;
    while ((got = ::recv(fd_, bytes, sizeof bytes, 0)) > 0) continue;
    return got == 0 || errno == ECONNRESET;
  }

 private:
  static std::string property(std::string_view name, std::string_view value) {
    std::string text(1, static_cast<char>(name.size()));
    text.append(name).append(3, '\0');
    text += static_cast<char>(value.size());
    return text.append(value);
  }

  int fd_;
  bool connected_ = false;
};

/// A port of this machine that accepts connections for RawPeer.
class RawListener {
 public:
  RawListener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    const bool listens = ::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size) == 0 &&
                         ::listen(fd_, 8) == 0 &&
                         ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0;
    if (listens) address_ = "tcp://127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  ~RawListener() { ::close(fd_); }

  [[nodiscard]] const std::string& address() const { return address_; }
  /// Waits for the next connection.
  [[nodiscard]] int accept() const { return ::accept(fd_, nullptr, nullptr); }

 private:
  int fd_;
  std::string address_;
};

}  // namespace epaxos::net
