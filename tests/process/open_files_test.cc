// Idle connections use up what a replica may open: who is connected is served all the same, it is
// told, and when they have gone new clients get in. docs/operation.md, "Open files".

#include <gmock/gmock.h>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/net/raw_peer.h"
#include "tests/process/cluster_processes.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kOpenFilesMax = 128;
// More than the descriptors, and fewer than these and those that may wait to be accepted.
constexpr int kIdle = 140;

using IdleConnections = std::vector<std::unique_ptr<net::RawPeer>>;

/// Connections that finish the handshake, as soon as somebody accepts them, and say nothing then.
IdleConnections connect_idle(const std::string& address) {
  IdleConnections idle;
  for (int i = 0; i < kIdle; ++i) {
    idle.push_back(std::make_unique<net::RawPeer>(address));
    EXPECT_TRUE(idle.back()->connected());
    idle.back()->offer_hand();
  }
  return idle;
}

std::uint64_t counter(const std::string& status, const std::string& part, const std::string& name) {
  return nlohmann::json::parse(status).at("counters").at(part).at(name).get<std::uint64_t>();
}

/// Whether a client that replica 0 does not know yet is served by it within a second.
bool newcomer_is_served(const ClusterProcesses& cluster) {
  const auto newcomer = cluster.client_at(0);
  net::SubmitOptions how;
  how.replica = ReplicaId(0);
  how.reads_only = true;
  how.deadline_us = 1'000'000;
  return newcomer->call(net::RequestKind::kStatus, {}, how).kind == OutcomeKind::kExecuted;
}

bool put_at_replica_0(net::Client& client, const std::string& key) {
  net::SubmitOptions how;
  how.replica = ReplicaId(0);
  return client.call(net::RequestKind::kPropose, kv::put(key, "1"), how).kind ==
         OutcomeKind::kExecuted;
}

class OpenFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster.start_limited(0, kOpenFilesMax);
    cluster.start(1);
    cluster.start(2);
    for (const int r : {0, 1, 2}) ASSERT_TRUE(cluster.wait_until_it_answers(r)) << cluster.log(r);
    ASSERT_TRUE(put_at_replica_0(cluster.client(), "before"));
    EXPECT_THAT(cluster.log(0), HasSubstr("at most 128 open files"));
  }

  bool wait_until_logged(const std::string& words) {
    return cluster.wait_for(
        0, [&](const std::string&) { return cluster.log(0).find(words) != std::string::npos; });
  }
  bool wait_until_a_newcomer_is_served() {
    return cluster.wait_for(0, [&](const std::string&) { return newcomer_is_served(cluster); });
  }

  ClusterProcesses cluster{3};
};

TEST_F(OpenFiles, IdleClientsKeepOutNewClientsButNeitherKnownOnesNorReplicas) {
  const int room = kOpenFilesMax / 2;
  IdleConnections idle = connect_idle(cluster.config().replicas[0].client);

  ASSERT_TRUE(cluster.wait_for(0, [&](const std::string& status) {
    return counter(status, "client_plane", "refused_connections") >= kIdle + 1 - room;
  })) << cluster.log(0);

  EXPECT_TRUE(cluster.wait_for(0, [&](const std::string& status) {
    return counter(status, "client_plane", "connections") == room;
  }));
  EXPECT_TRUE(wait_until_logged("too many clients are connected")) << cluster.log(0);
  EXPECT_THAT(cluster.log(0), HasSubstr("ulimit -n"));
  EXPECT_FALSE(newcomer_is_served(cluster));
  EXPECT_TRUE(put_at_replica_0(cluster.client(), "meanwhile"));

  cluster.kill(1);
  cluster.start(1);
  const auto knows_the_others = [](const std::string& status) {
    for (const auto& peer : nlohmann::json::parse(status).at("peers")) {
      if (!peer.at("connected").get<bool>()) return false;
    }
    return true;
  };
  EXPECT_TRUE(cluster.wait_for(1, knows_the_others)) << "a restarted replica gets in";
  EXPECT_TRUE(put_at_replica_0(cluster.client(), "after the restart"));

  idle.clear();
  EXPECT_TRUE(wait_until_a_newcomer_is_served());
  EXPECT_EQ(cluster.stop(0), 0);
}

TEST_F(OpenFiles, WithoutDescriptorsWhoIsConnectedIsServedAndItIsTold) {
  IdleConnections idle = connect_idle(cluster.config().replicas[0].peer);

  ASSERT_TRUE(cluster.wait_for(0, [](const std::string& status) {
    return counter(status, "node", "no_descriptor_left") > 0;
  })) << cluster.log(0);

  EXPECT_TRUE(wait_until_logged("no file descriptor is left: the limit is 128 open files"))
      << cluster.log(0);
  EXPECT_FALSE(newcomer_is_served(cluster));
  for (const char* const key : {"a", "b", "c"}) {
    EXPECT_TRUE(put_at_replica_0(cluster.client(), key));
  }

  idle.clear();
  EXPECT_TRUE(wait_until_a_newcomer_is_served());
  EXPECT_THAT(cluster.control({"status"}).out, HasSubstr("no_descriptor_left"));
  EXPECT_EQ(cluster.stop(0), 0);
}

}  // namespace
}  // namespace epaxos::testing
