#pragma once

// A closed loop of puts on one member of etcd: gRPC over HTTP/2 without TLS, written by hand, as
// its JSON gateway would cost the member more than the command. One connection, a stream a put. Of
// the answers only the outcome is read, so no header needs to be decoded. Source: RFC 9113, RFC
// 7541; "gRPC over HTTP2".

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "deps/types/histogram.h"
#include "deps/types/result.h"

namespace epaxos::bench {

class EtcdPuts {
 public:
  /// `name`: of the member, in its own keys. `value_bytes`: at most kValueBytesMax.
  EtcdPuts(std::string name, std::size_t value_bytes, std::size_t keys);
  ~EtcdPuts();
  EtcdPuts(const EtcdPuts&) = delete;
  EtcdPuts& operator=(const EtcdPuts&) = delete;

  /// So that a put fits into one frame.
  static constexpr std::size_t kValueBytesMax = 16'000;

  /// Errors: unavailable - nobody listens at this port of 127.0.0.1.
  Result<void> connect(int port);
  /// So many puts are under way from now on; 0: what is under way ends, and no other follows.
  void keep_in_flight(std::size_t count) { wanted_ = count; }
  /// Sends what there is room for.
  void send();
  /// Reads what has come. Errors: unavailable - the member has closed the connection.
  Result<void> receive();
  void forget_latencies() { latency_us_ = {}; }

  [[nodiscard]] int socket() const { return socket_; }
  [[nodiscard]] bool has_to_send() const { return !out_.empty(); }
  [[nodiscard]] std::size_t in_flight() const { return streams_.size(); }
  [[nodiscard]] std::uint64_t completed() const { return completed_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] const Histogram& latency_us() const { return latency_us_; }

 private:
  struct Stream {
    std::uint64_t begun_us = 0;
    bool answered = false;  ///< With a message; an error has none.
  };

  void put();
  Result<void> take_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                          std::string_view payload);
  void end(std::uint32_t stream, bool well);

  const std::string name_;
  const std::size_t keys_;
  std::string value_;
  const std::string headers_;  // Of every put.
  int socket_ = -1;
  std::string out_;
  std::string in_;
  std::size_t wanted_ = 0;
  std::int64_t room_ = 0;       // What the member takes on this connection now, in bytes.
  std::size_t unreported_ = 0;  // Bytes that the member does not know to be read.
  std::uint32_t next_stream_ = 1;
  std::uint64_t count_ = 0;
  std::unordered_map<std::uint32_t, Stream> streams_;
  std::uint64_t completed_ = 0;
  std::uint64_t failed_ = 0;
  Histogram latency_us_;
};

}  // namespace epaxos::bench
