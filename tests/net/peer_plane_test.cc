#include "net/peer_plane.h"

#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/raw_peer.h"
#include "tests/net/support.h"

namespace epaxos::net {
namespace {

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};
const char* const kAnyPort = "tcp://127.0.0.1:*";

PeerPlaneOptions options_of(ReplicaId self, const std::string& bind_address = kAnyPort) {
  PeerPlaneOptions options;
  options.self = self;
  options.addresses = {"", ""};
  options.bind_address = bind_address;
  return options;
}

std::unique_ptr<PeerPlane> plane_of(Context& context, const PeerPlaneOptions& options) {
  auto plane = PeerPlane::open(context, options);
  EXPECT_TRUE(plane) << (plane ? "" : plane.error().message);
  return plane ? std::move(*plane) : nullptr;
}

/// Sends until one of them went out.
bool send_eventually(PeerPlane& from, ReplicaId to, const std::string& text) {
  return eventually([&] { return from.send(to, bytes_of(text)); });
}

std::string receive_one(PeerPlane& plane) {
  std::string text = "nothing";
  const auto take = [&](Bytes bytes) { text = text_of(bytes); };
  eventually([&] { return plane.receive(take, 1) == 1 && text != "nothing"; });
  return text;
}

class PeerPlanes : public ::testing::Test {
 protected:
  void SetUp() override {
    a = plane_of(context, options_of(kA));
    b = plane_of(context, options_of(kB));
    ASSERT_TRUE(a && b);
    ASSERT_TRUE(a->connect(kB, b->bound_address()));
    ASSERT_TRUE(b->connect(kA, a->bound_address()));
  }

  Context context;
  std::unique_ptr<PeerPlane> a;
  std::unique_ptr<PeerPlane> b;
};

TEST_F(PeerPlanes, MessagesArriveInOrderAndAreCounted) {
  ASSERT_TRUE(send_eventually(*a, kB, "first"));
  ASSERT_TRUE(a->send(kB, bytes_of("second")));

  EXPECT_EQ(receive_one(*b), "first");
  EXPECT_EQ(receive_one(*b), "second");

  EXPECT_EQ(a->counters(kB).messages_out, 2U);
  EXPECT_EQ(a->counters(kB).bytes_out, 11U);
  EXPECT_EQ(b->counters().messages_in, 2U);
  EXPECT_EQ(b->counters().bytes_in, 11U);
  EXPECT_TRUE(a->connected(kB));
}

TEST_F(PeerPlanes, OneReceiveIsBounded) {
  ASSERT_TRUE(send_eventually(*a, kB, "0"));
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(a->send(kB, bytes_of("more")));
  std::size_t total = 0;
  ASSERT_TRUE(eventually([&] {
    const std::size_t count = b->receive([](Bytes) {}, 3);
    EXPECT_LE(count, 3U);
    total += count;
    return total == 10;
  }));
}

TEST_F(PeerPlanes, WhatIsTooLargeIsNotSent) {
  ASSERT_TRUE(send_eventually(*a, kB, "small"));
  EXPECT_FALSE(a->send(kB, bytes_of(std::string(kBundleBytesMax + 8, 'x'))));
  EXPECT_EQ(a->counters(kB).dropped_too_large, 1U);
  EXPECT_TRUE(a->send(kB, bytes_of(std::string(kBundleBytesMax, 'x'))));
  EXPECT_EQ(receive_one(*b), "small");
  EXPECT_EQ(receive_one(*b).size(), kBundleBytesMax);
}

TEST_F(PeerPlanes, AnAnnouncedTerabyteEndsItsConnectionAndNoOther) {
  RawPeer hostile(b->bound_address());
  ASSERT_TRUE(hostile.connected());
  hostile.shake_hands();
  hostile.announce(std::uint64_t{1} << 40);
  EXPECT_TRUE(hostile.wait_until_closed());

  ASSERT_TRUE(send_eventually(*a, kB, "still here"));
  EXPECT_EQ(receive_one(*b), "still here");
}

TEST_F(PeerPlanes, AMessageOverTheLimitIsNeverDelivered) {
  RawPeer hostile(b->bound_address());
  ASSERT_TRUE(hostile.connected());
  hostile.shake_hands();
  hostile.announce(kBundleBytesMax + 8);
  hostile.write(std::string(kBundleBytesMax + 8, 'x'));
  EXPECT_TRUE(hostile.wait_until_closed());

  ASSERT_TRUE(send_eventually(*a, kB, "still here"));
  EXPECT_EQ(receive_one(*b), "still here");
}

TEST_F(PeerPlanes, SeveralFramesAreDrainedAndCounted) {
  RawPeer stranger(b->bound_address());
  ASSERT_TRUE(stranger.connected());
  stranger.shake_hands();
  stranger.send_frame("one", true);
  stranger.send_frame("two", true);
  stranger.send_frame("three");
  stranger.send_frame("alone");

  EXPECT_EQ(receive_one(*b), "alone");
  EXPECT_EQ(b->counters().refusals[Refusal::kExtraFrames], 1U);
}

TEST_F(PeerPlanes, GarbageOnTheWireLeavesThePlaneAlive) {
  for (int i = 0; i < 50; ++i) {
    RawPeer hostile(b->bound_address());
    std::string garbage(static_cast<std::size_t>(i) * 7 + 1, static_cast<char>(i * 37));
    if (i % 2 == 0) garbage.insert(0, "GET / HTTP/1.1\r\n\r\n");
    if (i % 3 == 0) hostile.shake_hands();
    hostile.write(garbage);
  }
  ASSERT_TRUE(send_eventually(*a, kB, "still here"));
  // Bytes that pass for the oldest ZeroMQ protocol are delivered: bundles are checked for a reason.
  EXPECT_TRUE(eventually([&] { return receive_one(*b) == "still here"; }));
}

TEST_F(PeerPlanes, APeerThatComesBackIsReachedAgain) {
  ASSERT_TRUE(send_eventually(*a, kB, "before"));
  ASSERT_EQ(receive_one(*b), "before");
  const std::string address = b->bound_address();

  b.reset();
  // While ZeroMQ has not noticed, its queue takes what it can, and then refuses it for being full.
  const std::uint64_t unreachable = a->counters(kB).dropped_unreachable;
  ASSERT_TRUE(eventually([&] {
    a->send(kB, bytes_of("into the void"));
    return a->counters(kB).dropped_unreachable > unreachable;
  }));
  EXPECT_FALSE(a->connected(kB));
  EXPECT_EQ(a->counters(kB).disconnections, 1U);

  ASSERT_TRUE(eventually([&] {
    auto again = PeerPlane::open(context, options_of(kB, address));
    if (again) b = std::move(*again);
    return again.has_value();
  }));
  ASSERT_TRUE(send_eventually(*a, kB, "after"));
  EXPECT_EQ(receive_one(*b), "after") << "nothing that was sent to the dead one is delivered";
}

TEST(PeerPlane, APeerThatDoesNotReadCostsDropsAndNeverBlocks) {
  Context context;
  PeerPlaneOptions narrow = options_of(kA);
  narrow.queue_messages_max = 4;
  auto a = plane_of(context, narrow);
  const RawListener listener;
  ASSERT_TRUE(a->connect(kB, listener.address()));
  const RawPeer b(listener.accept());
  b.shake_hands("", "ROUTER");
  const std::string message(256 * 1024, 'x');
  ASSERT_TRUE(send_eventually(*a, kB, message));

  // Nobody reads: the queues and the kernel's buffers are finite, so one of these must be dropped.
  ASSERT_TRUE(eventually([&] { return !a->send(kB, bytes_of(message)); }));

  EXPECT_GE(a->counters(kB).dropped_would_block, 1U);
  EXPECT_EQ(a->counters(kB).disconnections, 0U);
  EXPECT_EQ(b.read_frame().size(), message.size());
}

TEST(PeerPlane, AnUnknownPeerIsUnreachableAndCounted) {
  Context context;
  auto a = plane_of(context, options_of(kA));
  EXPECT_FALSE(a->send(kB, bytes_of("nobody")));
  EXPECT_EQ(a->counters(kB).dropped_unreachable, 1U);
}

TEST(PeerPlane, ATakenPortIsNamed) {
  Context context;
  auto a = plane_of(context, options_of(kA));
  const auto again = PeerPlane::open(context, options_of(kB, a->bound_address()));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kBusy);
  EXPECT_NE(again.error().message.find(a->bound_address()), std::string::npos);
}

TEST(PeerPlane, ATakenUnixSocketIsNamedAndALeftOverOneIsNot) {
  const std::string address =
      "ipc://" + ::testing::TempDir() + "peer-plane-" + std::to_string(::getpid());
  Context context;
  auto a = plane_of(context, options_of(kA, address));

  const auto again = PeerPlane::open(context, options_of(kB, address));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kBusy);

  a.reset();
  ASSERT_TRUE(eventually([&] { return PeerPlane::open(context, options_of(kB, address)); }));
  ::unlink(address.substr(6).c_str());
}

TEST(PeerPlane, WrongAddressesAreNamed) {
  Context context;
  PeerPlaneOptions options = options_of(kA);
  options.addresses[1] = "tcp://*:7000";
  const auto plane = PeerPlane::open(context, options);
  ASSERT_FALSE(plane);
  EXPECT_EQ(plane.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(plane.error().message.find("tcp://*:7000"), std::string::npos);

  const auto elsewhere = PeerPlane::open(context, options_of(kA, "tcp://203.0.113.1:7000"));
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, ErrorCode::kInvalidArgument);
}

TEST(PeerPlane, KeysAreRefusedUntilTheyMeanSomething) {
  Context context;
  PeerPlaneOptions options = options_of(kA);
  options.security.secret_key = "key";
  const auto plane = PeerPlane::open(context, options);
  ASSERT_FALSE(plane);
  EXPECT_EQ(plane.error().code, ErrorCode::kUnsupported);
}

TEST(PeerPlane, ManyPlanesOpenAndCloseWithoutWaiting) {
  for (int i = 0; i < 20; ++i) {
    Context context;
    auto a = plane_of(context, options_of(kA));
    ASSERT_TRUE(a->connect(kB, "tcp://127.0.0.1:1"));
    EXPECT_FALSE(a->send(kB, bytes_of("nobody")));
  }
}

TEST(Poller, ItWakesForASocketAndForAFileDescriptor) {
  Context context;
  auto a = plane_of(context, options_of(kA));
  auto b = plane_of(context, options_of(kB));
  ASSERT_TRUE(a->connect(kB, b->bound_address()));
  const int event = ::eventfd(0, EFD_NONBLOCK);
  Poller poller;
  const std::size_t plane = poller.add(b->pollable());
  const std::size_t fd = poller.add_fd(event);
  EXPECT_FALSE(poller.wait(0));

  const std::uint64_t one = 1;
  ASSERT_EQ(::write(event, &one, sizeof one), ssize_t{sizeof one});
  EXPECT_TRUE(poller.wait(kNever));
  EXPECT_TRUE(poller.ready(fd));
  EXPECT_FALSE(poller.ready(plane));
  std::uint64_t value = 0;
  ASSERT_EQ(::read(event, &value, sizeof value), ssize_t{sizeof value});

  ASSERT_TRUE(send_eventually(*a, kB, "wake up"));
  EXPECT_TRUE(poller.wait(kNever));
  EXPECT_TRUE(poller.ready(plane));
  EXPECT_FALSE(poller.ready(fd));
  ::close(event);
}

TEST(Poller, SpinningFindsWhatBlockingFinds) {
  Context context;
  auto a = plane_of(context, options_of(kA));
  auto b = plane_of(context, options_of(kB));
  ASSERT_TRUE(a->connect(kB, b->bound_address()));
  Poller poller;
  poller.add(b->pollable());
  poller.set_spin_us(100);
  ASSERT_TRUE(send_eventually(*a, kB, "first"));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(poller.wait(kNever));
    ASSERT_EQ(receive_one(*b).empty(), false);
    EXPECT_FALSE(poller.wait(200)) << "in vain: the spinning backs off";
    ASSERT_TRUE(send_eventually(*a, kB, "next"));
  }
}

}  // namespace
}  // namespace epaxos::net
