// The load on etcd, against somebody who speaks as much HTTP/2 as an answer needs.

#include "bench/compare/etcd_puts.h"

#include <arpa/inet.h>
#include <cstdint>
#include <gmock/gmock.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace epaxos::bench {
namespace {

using testing::HasSubstr;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string big_endian(std::size_t number, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(number >> (8 * i));
  return out;
}

std::string frame(char type, char flags, std::size_t stream, const std::string& payload) {
  return big_endian(payload.size(), 3) + type + flags + big_endian(stream, 4) + payload;
}

/// An answer with a message, and one without, which is an error.
std::string well(std::size_t stream) {
  return frame(1, 4, stream, "\x88") + frame(0, 0, stream, std::string(5, '\0')) +
         frame(1, 5, stream, "\x88");
}
std::string badly(std::size_t stream) {
  return frame(1, 5, stream, "\x88");
}

/// Listens on a free port, and has one connection.
class Member {
 public:
  Member() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~Member() {
    ::close(listener_);
    hang_up();
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  [[nodiscard]] int port() const { return port_; }
  void accept() { connection_ = ::accept(listener_, nullptr, nullptr); }
  void hang_up() {
    if (connection_ >= 0) ::close(connection_);
    connection_ = -1;
  }
  void say(const std::string& bytes) const {
    EXPECT_EQ(::send(connection_, bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  /// What has come, `bytes` at least.
  [[nodiscard]] std::string hear(std::size_t bytes) const {
    std::string all;
    char part[64 * 1024];
    while (all.size() < bytes) {
      const ssize_t got = ::recv(connection_, part, sizeof part, 0);
      if (got <= 0) break;
      all.append(part, static_cast<std::size_t>(got));
    }
    return all;
  }

 private:
  int listener_;
  int connection_ = -1;
  int port_ = 0;
};

class EtcdPutsTo : public testing::Test {
 protected:
  EtcdPutsTo() {
    EXPECT_TRUE(puts_.connect(member_.port()));
    member_.accept();
  }
  /// Takes frames until so many puts have ended.
  void receive_until_ended(std::uint64_t count) {
    while (puts_.completed() + puts_.failed() < count) ASSERT_TRUE(puts_.receive());
  }

  Member member_;
  EtcdPuts puts_{"R7", 100, 10};
};

TEST_F(EtcdPutsTo, AMemberBeginAsHttpSaysAndNameTheirCall) {
  puts_.keep_in_flight(1);
  puts_.send();

  const std::string heard = member_.hear(kPreface.size() + 200);
  EXPECT_TRUE(heard.starts_with(kPreface));
  EXPECT_THAT(heard, HasSubstr("/etcdserverpb.KV/Put"));
  EXPECT_THAT(heard, HasSubstr("R7/1"));
}

TEST_F(EtcdPutsTo, AMemberFollowEachOtherAndErrorsAreNotCompleted) {
  puts_.keep_in_flight(2);
  puts_.send();
  EXPECT_EQ(puts_.in_flight(), 2u);

  member_.say(well(1) + badly(3));
  receive_until_ended(2);

  EXPECT_EQ(puts_.completed(), 1u);
  EXPECT_EQ(puts_.failed(), 1u);
  EXPECT_EQ(puts_.latency_us().count(), 1u);
  puts_.send();
  EXPECT_EQ(puts_.in_flight(), 2u);
  puts_.keep_in_flight(0);
  member_.say(well(5) + frame(3, 0, 7, std::string(4, '\0')));
  receive_until_ended(4);
  puts_.send();
  EXPECT_EQ(puts_.in_flight(), 0u);
  EXPECT_EQ(puts_.failed(), 2u);
}

TEST_F(EtcdPutsTo, AMemberSendNoMoreThanItHasRoomFor) {
  puts_.keep_in_flight(10'000);
  puts_.send();
  const std::size_t at_first = puts_.in_flight();
  EXPECT_GT(at_first, 65'535u / 200);
  EXPECT_LE(at_first, 65'535u / 100);

  member_.say(frame(8, 0, 0, big_endian(100'000, 4)) + well(1));
  receive_until_ended(1);
  puts_.send();

  EXPECT_GT(puts_.in_flight(), 2 * at_first);
  EXPECT_LT(puts_.in_flight(), 4 * at_first);
}

TEST_F(EtcdPutsTo, AMemberThatGoesAreAFailure) {
  puts_.keep_in_flight(1);
  puts_.send();
  member_.hang_up();

  Result<void> received;
  while (received) received = puts_.receive();

  EXPECT_THAT(received.error().message, HasSubstr("closed the connection"));
}

TEST(EtcdPuts, NobodyThereIsAFailure) {
  EtcdPuts puts("R0", 100, 10);

  EXPECT_FALSE(puts.connect(1));
}

}  // namespace
}  // namespace epaxos::bench
