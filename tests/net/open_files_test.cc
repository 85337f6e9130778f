#include "net/open_files.h"

#include <arpa/inet.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/net/raw_peer.h"

namespace epaxos::net {
namespace {

TEST(Connections, ALimitOfOpenFilesLeavesRoomForTheOthers) {
  EXPECT_EQ(connections_for(1), 1U);
  EXPECT_EQ(connections_for(64), 32U);
  EXPECT_EQ(connections_for(128), 64U);
  EXPECT_EQ(connections_for(1024), 832U);
}

TEST(Connections, BeyondTheBoundTheNewestIsShutDown) {
  const RawListener listener;
  Connections connections(1);
  ASSERT_TRUE(connections.reserve());
  connections.listens_at(listener.address());
  const RawPeer old_client(listener.address()), new_client(listener.address());
  const int old_one = listener.accept(), new_one = listener.accept();
  const RawPeer closes_old(old_one), closes_new(new_one);

  connections.accepted(old_one);
  connections.accepted(new_one);

  EXPECT_EQ(connections.count(), 1U);
  EXPECT_EQ(connections.refused(), 1U);
  EXPECT_TRUE(new_client.wait_until_closed());
  closes_old.write("x");
  EXPECT_EQ(old_client.read(1), "x");
}

// Its number may mean something else by the time that the event is read.
TEST(Connections, WhatIsNoConnectionToTheAddressIsLeftAlone) {
  const RawListener listener, other;
  Connections connections(0);
  ASSERT_TRUE(connections.reserve());
  connections.listens_at(listener.address());
  const RawPeer client(other.address());
  const int elsewhere = other.accept();
  const RawPeer closes(elsewhere);
  const int file = ::eventfd(0, EFD_CLOEXEC);

  for (const int fd : {elsewhere, file, 1'000'000}) connections.accepted(fd);

  EXPECT_EQ(connections.refused(), 0U);
  closes.write("x");
  EXPECT_EQ(client.read(1), "x");
  EXPECT_EQ(connections.count(), 3U) << "until their end is told";
  for (const int fd : {elsewhere, file, 1'000'000}) connections.ended(fd);
  EXPECT_EQ(connections.count(), 0U);
  ::close(file);
}

}  // namespace
}  // namespace epaxos::net
