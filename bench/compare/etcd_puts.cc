#include "bench/compare/etcd_puts.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/report/clock.h"

namespace epaxos::bench {
namespace {

enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kResetStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
};
constexpr std::uint8_t kEndStream = 1;
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;

constexpr std::size_t kFrameHeader = 9;
constexpr std::int64_t kFirstRoom = 65'535;         // RFC 9113, 6.9.2.
constexpr std::uint32_t kOurRoom = (1u << 31) - 1;  // As large as may be.
constexpr std::size_t kReportBytes = std::size_t{1} << 30;

std::string big_endian(std::uint32_t number, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(number >> (8 * i));
  return out;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return number;
}

std::string frame(FrameType type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload) {
  std::string out = big_endian(static_cast<std::uint32_t>(payload.size()), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  out += big_endian(stream, 4);
  out += payload;
  return out;
}

std::string sized(std::string_view text) {
  return static_cast<char>(text.size()) + std::string(text);  // Below 127 bytes, not compressed.
}

/// Names by their number in the static table of HPACK, values as they are, nothing remembered.
std::string put_headers() {
  return std::string("\x83\x86") +                 // POST, http
         "\x04" + sized("/etcdserverpb.KV/Put") +  // :path
         "\x01" + sized("127.0.0.1") +             // :authority
         "\x0f\x10" + sized("application/grpc") +  // content-type
         std::string(1, '\0') + sized("te") + sized("trailers");
}

/// A field of a protocol buffer that holds bytes.
std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  std::size_t size = bytes.size();
  for (; size >= 128; size >>= 7) out += static_cast<char>(size | 128);
  out += static_cast<char>(size);
  out += bytes;
  return out;
}

}  // namespace

EtcdPuts::EtcdPuts(std::string name, std::size_t value_bytes, std::size_t keys)
    : name_(std::move(name)),
      keys_(keys),
      value_(std::min(value_bytes, kValueBytesMax), 'v'),
      headers_(put_headers()) {
}

EtcdPuts::~EtcdPuts() {
  if (socket_ >= 0) ::close(socket_);
}

Result<void> EtcdPuts::connect(int port) {
  if (socket_ >= 0) ::close(socket_);
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(ErrorCode::kUnavailable,
                std::string("etcd cannot be reached: ") + std::strerror(errno) + ".");
  }
  const int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  // Settings: 4, how much each of its answers may hold.
  out_ =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
      frame(kSettings, 0, 0, big_endian(4, 2) + big_endian(kOurRoom, 4)) +
      frame(kWindowUpdate, 0, 0, big_endian(kOurRoom - static_cast<std::uint32_t>(kFirstRoom), 4));
  in_.clear();
  streams_.clear();
  room_ = kFirstRoom;
  next_stream_ = 1;
  return {};
}

void EtcdPuts::put() {
  ++count_;
  // No two values are equal, as in the load of our own nodes.
  std::memcpy(value_.data(), &count_, std::min(sizeof count_, value_.size()));
  const std::string request =
      field(1, name_ + "/" + std::to_string(count_ % keys_)) + field(2, value_);
  const std::string message =
      std::string(1, '\0') + big_endian(static_cast<std::uint32_t>(request.size()), 4) + request;
  out_ += frame(kHeaders, kEndHeaders, next_stream_, headers_);
  out_ += frame(kData, kEndStream, next_stream_, message);
  room_ -= static_cast<std::int64_t>(message.size());
  streams_[next_stream_] = {now_us(), false};
  next_stream_ += 2;
}

void EtcdPuts::send() {
  const auto most = static_cast<std::int64_t>(value_.size() + name_.size() + 64);
  while (streams_.size() < wanted_ && room_ >= most) put();
  while (!out_.empty()) {
    const ssize_t sent = ::send(socket_, out_.data(), out_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) return;  // Full, or closed, which shows when it is read.
    out_.erase(0, static_cast<std::size_t>(sent));
  }
}

Result<void> EtcdPuts::receive() {
  char part[64 * 1024];
  const ssize_t got = ::recv(socket_, part, sizeof part, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (got <= 0) return fail(ErrorCode::kUnavailable, "etcd has closed the connection.");
  in_.append(part, static_cast<std::size_t>(got));
  std::size_t at = 0;
  while (in_.size() - at >= kFrameHeader) {
    const std::size_t size = number_at(in_, at, 3);
    if (in_.size() - at < kFrameHeader + size) break;
    const auto taken =
        take_frame(static_cast<std::uint8_t>(in_[at + 3]), static_cast<std::uint8_t>(in_[at + 4]),
                   number_at(in_, at + 5, 4) & kOurRoom,
                   std::string_view(in_).substr(at + kFrameHeader, size));
    if (!taken) return taken;
    at += kFrameHeader + size;
  }
  in_.erase(0, at);
  return {};
}

Result<void> EtcdPuts::take_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                                  std::string_view payload) {
  const auto found = streams_.find(stream);
  switch (type) {
    case kData:
      if (found != streams_.end()) found->second.answered |= !payload.empty();
      unreported_ += payload.size();
      if (unreported_ >= kReportBytes) {
        out_ += frame(kWindowUpdate, 0, 0, big_endian(static_cast<std::uint32_t>(unreported_), 4));
        unreported_ = 0;
      }
      break;
    case kResetStream:
      end(stream, false);
      return {};
    case kSettings:
      if ((flags & kAck) == 0) out_ += frame(kSettings, kAck, 0, {});
      return {};
    case kPing:
      if ((flags & kAck) == 0) out_ += frame(kPing, kAck, 0, payload);
      return {};
    case kGoAway:
      return fail(ErrorCode::kUnavailable, "etcd ends the connection.");
    case kWindowUpdate:
      if (stream == 0 && payload.size() == 4) room_ += number_at(payload, 0, 4) & kOurRoom;
      return {};
    default:
      break;
  }
  const bool last = (type == kData || type == kHeaders) && (flags & kEndStream) != 0;
  if (last && found != streams_.end()) end(stream, found->second.answered);
  return {};
}

void EtcdPuts::end(std::uint32_t stream, bool well) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  if (well) {
    ++completed_;
    latency_us_.add(now_us() - found->second.begun_us);
  } else {
    ++failed_;
  }
  streams_.erase(found);
}

}  // namespace epaxos::bench
