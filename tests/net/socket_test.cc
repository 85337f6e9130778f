// A socket where the process has hardly a file descriptor left, where connections break that have
// sent more than was read, and where more arrives than may wait.

#include "net/socket.h"

#include <chrono>
#include <gmock/gmock.h>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "net/limits.h"
#include "tests/net/raw_peer.h"
#include "tests/net/support.h"

namespace epaxos::net {
namespace {

/// The number that the next descriptor gets.
rlim_t next_descriptor() {
  const int fd = ::dup(0);
  ::close(fd);
  return static_cast<rlim_t>(fd);
}

/// The limit of open files for the time of a test.
class OpenFiles {
 public:
  explicit OpenFiles(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit low{limit, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

 private:
  rlimit before_{};
};

/// What opening a socket says when only so many descriptors are left; nothing when it opens. Only
/// the socket sees the low limit: the sanitizers need descriptors to judge what the assertions do.
std::string refusal_of_a_socket(SocketKind kind, rlim_t left) {
  const OpenFiles few(next_descriptor() + left);
  Context context;
  SocketOptions options;
  options.kind = kind;
  options.message_bytes_max = kBundleBytesMax;
  const auto socket = Socket::open(context, options);
  return socket ? std::string() : socket.error().message;
}

TEST(Socket, WithoutFileDescriptorsItIsRefusedAndTheProcessGoesOn) {
  int refused = 0, opened = 0;
  for (const SocketKind kind : {SocketKind::kRouter, SocketKind::kDealer}) {
    for (rlim_t left = 0; left < 20; ++left) {
      const std::string refusal = refusal_of_a_socket(kind, left);
      if (refusal.empty()) {
        ++opened;
        continue;
      }
      ++refused;
      EXPECT_THAT(refusal, ::testing::HasSubstr("ulimit -n"));
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(opened, 0);
}

std::unique_ptr<Socket> open_socket(Context& context, SocketOptions options) {
  options.message_bytes_max = kBundleBytesMax;
  auto socket = Socket::open(context, options);
  EXPECT_TRUE(socket) << (socket ? "" : socket.error().message);
  return std::move(*socket);
}

// A new one may lie where a closed one lay that ZeroMQ has not done away with yet.
TEST(Socket, OneAfterTheOtherIsOpenedAndClosedWhileSomebodyConnects) {
  Context context;
  SocketOptions options;
  options.kind = SocketKind::kRouter;
  options.connections_max = 1;
  for (int i = 0; i < 50; ++i) {
    auto socket = open_socket(context, options);
    ASSERT_TRUE(socket->bind("tcp://127.0.0.1:*"));
    std::vector<std::unique_ptr<RawPeer>> comers;
    for (int comer = 0; comer < 20; ++comer) {
      comers.push_back(std::make_unique<RawPeer>(socket->bound_address()));
    }
    socket.reset();
  }
}

/// More messages than queues of 1,024 hold, heartbeats among them, and a broken connection.
void send_and_break(RawPeer& peer) {
  for (int i = 0; i < 4000; ++i) {
    peer.send_frame("to be read later");
    if (i % 8 == 0) peer.send_ping();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  peer.reset();
}

/// Time for whatever ZeroMQ does about connections by itself.
void let_timers_pass() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
}

TEST(Socket, AConnectionThatBreaksBeforeItIsReadHarmsNoRouter) {
  Context context;
  SocketOptions options;
  options.kind = SocketKind::kRouter;
  const auto router = open_socket(context, options);
  ASSERT_TRUE(router->bind("tcp://127.0.0.1:*"));
  RawPeer peer(router->bound_address());
  peer.shake_hands();

  send_and_break(peer);
  let_timers_pass();

  while (router->receive() == Received::kMessage) continue;
  RawPeer other(router->bound_address());
  other.shake_hands();
  other.send_frame("alive");
  ASSERT_TRUE(eventually([&] {
    return router->receive() == Received::kMessage && text_of(router->payload()) == "alive";
  }));
}

TEST(Socket, AServerThatBreaksBeforeItIsReadHarmsNoDealer) {
  Context context;
  RawListener listener;
  const auto dealer = open_socket(context, {});
  ASSERT_TRUE(dealer->connect(listener.address()));
  RawPeer peer(listener.accept());
  peer.shake_hands("", "ROUTER");

  send_and_break(peer);
  RawPeer again(listener.accept());
  again.shake_hands("", "ROUTER");
  let_timers_pass();

  while (dealer->receive() == Received::kMessage) continue;
  again.send_frame("alive");
  ASSERT_TRUE(eventually([&] {
    return dealer->receive() == Received::kMessage && text_of(dealer->payload()) == "alive";
  }));
}

TEST(Socket, WhatArrivesAtARouterIsBoundedInBytesAndOthersAreServedInTurn) {
  Context context;
  SocketOptions options;
  options.kind = SocketKind::kRouter;
  options.arrived_bytes_max = 100'000;
  const auto router = open_socket(context, options);
  ASSERT_TRUE(router->bind("tcp://127.0.0.1:*"));
  RawPeer greedy(router->bound_address());
  RawPeer other(router->bound_address());
  greedy.shake_hands();
  other.shake_hands();

  for (int i = 0; i < 1000; ++i) greedy.send_frame(std::string(200, 'x'));
  std::uint64_t dropped = 0;
  ASSERT_TRUE(eventually([&] {
    router->gather();
    return (dropped += router->take_overflows()) >= 500;
  }));
  other.send_frame("small");

  std::size_t greedy_ones = 0;
  bool served = false;
  ASSERT_TRUE(eventually([&] {
    router->gather();
    if (router->receive() != Received::kMessage) return false;
    if (text_of(router->payload()) == "small") served = true;
    if (!served) ++greedy_ones;
    return served;
  }));
  EXPECT_LT(greedy_ones, 300U) << "it does not wait for what the other has sent";
}

TEST(Socket, AMessageThatIsKeptComesAgainAfterThoseOfOthers) {
  Context context;
  SocketOptions options;
  options.kind = SocketKind::kRouter;
  const auto router = open_socket(context, options);
  ASSERT_TRUE(router->bind("tcp://127.0.0.1:*"));
  RawPeer first(router->bound_address());
  first.shake_hands();
  first.send_frame("long");
  ASSERT_TRUE(eventually([&] { return router->receive() == Received::kMessage; }));
  EXPECT_EQ(router->progress(), 0U);
  router->keep(7);
  EXPECT_TRUE(router->waits());
  RawPeer second(router->bound_address());
  second.shake_hands();
  second.send_frame("short");

  bool short_came = false;
  ASSERT_TRUE(eventually([&] {
    router->gather();
    EXPECT_EQ(router->receive(), Received::kMessage);
    if (text_of(router->payload()) == "short") return short_came = true;
    EXPECT_EQ(router->progress(), 7U);
    router->keep(7);
    return false;
  }));

  ASSERT_EQ(router->receive(), Received::kMessage);
  EXPECT_EQ(text_of(router->payload()), "long");
  EXPECT_FALSE(router->waits());
}

}  // namespace
}  // namespace epaxos::net
