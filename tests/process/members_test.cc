// The members of a running group change through epaxosctl, while clients write: a spare joins, the
// machine of a member is lost and its place given up, and the leader leaves.

#include <future>
#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/process/counting_clients.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;

/// Raft with three members and a spare, R3.
ClusterConfig with_spare() {
  ClusterConfig config = *ClusterConfig::loopback("members", 4, Durability::kSync);
  config.replicas[3].member = false;
  return config;
}

void start_raft(ClusterProcesses& cluster) {
  for (int r = 0; r < 4; ++r) cluster.start(r, {"--protocol", "raft"});
  for (int r = 0; r < 4; ++r) ASSERT_TRUE(cluster.wait_until_it_answers(r)) << cluster.log(r);
  ASSERT_EQ(cluster.control({"--timeout", "30s", "put", "a", "1"}).status, 0);
}

/// A slow machine may change its leader at any time.
constexpr int kTries = 20;

int leader_of(const ClusterProcesses& cluster) {
  for (int i = 0; i < kTries; ++i) {
    const Ran shown = cluster.control({"--output", "json", "leader", "show"});
    const auto leader = nlohmann::json::parse(shown.out).at("leader");
    if (!leader.is_null()) return leader.get<int>();
  }
  ADD_FAILURE() << "nobody leads";
  return 0;
}

/// A refusal that may pass is asked for again until `timeout`.
Ran change(const ClusterProcesses& cluster, const std::string& how, int replica,
           const std::string& timeout = "60s") {
  return cluster.control({"--timeout", timeout, "member", how, "--id", std::to_string(replica)});
}

TEST(Members, ASpareTakesThePlaceOfALostMemberWhileClientsWrite) {
  ClusterProcesses cluster(with_spare());
  start_raft(cluster);
  EXPECT_THAT(cluster.control({"member", "list"}).out, HasSubstr("spare"));
  // One of the clients is a client of the spare.
  CountingClients clients(cluster, {.at = {0, 1, 3}, .shared_percent = 100});
  ASSERT_TRUE(clients.wait_for_progress(50)) << clients.summary();

  const Ran added = change(cluster, "add", 3);

  EXPECT_EQ(added.status, 0) << added.err;
  EXPECT_EQ(added.out, "R3 is a member now.\n");
  ASSERT_TRUE(clients.wait_for_progress(50)) << clients.summary();
  EXPECT_EQ(cluster.control({"member", "list"}).out.find("spare"), std::string::npos);

  cluster.kill(2);
  const Ran removed = change(cluster, "remove", 2);

  EXPECT_EQ(removed.status, 0) << removed.err;
  EXPECT_EQ(removed.out, "R2 is no member any more.\n");
  ASSERT_TRUE(clients.wait_for_progress(50)) << clients.summary();

  // Of the three members that there are now one may go, though two of the four replicas are down.
  // Another one must stay, also while who has just died counts as one that was heard.
  cluster.kill(0);
  const Ran refused = change(cluster, "remove", 1, "5s");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("would lose the quorum"));
  ASSERT_TRUE(clients.wait_for_progress(50)) << clients.summary();
  clients.stop();
  EXPECT_TRUE(cluster.agree({1, 3}));
  EXPECT_EQ(clients.contradictions(cluster.client()), "");
}

// To wait half of this --timeout for who is down would take longer than the test may.
TEST(Members, WhoIsDownHoldsUpNobodyAndALeaderThatDiedIsWaitedFor) {
  ClusterProcesses cluster(with_spare());
  for (int r = 0; r < 3; ++r) cluster.start(r, {"--protocol", "raft"});
  ASSERT_EQ(cluster.control({"--timeout", "30s", "put", "a", "1"}).status, 0);

  const Ran transferred = cluster.control({"--timeout", "1h", "leader", "transfer"});
  EXPECT_EQ(transferred.status, 0) << "though the spare is off: " << transferred.err;
  EXPECT_THAT(transferred.out, HasSubstr(" leads.\n"));

  const Ran silent = change(cluster, "add", 3, "1s");
  EXPECT_EQ(silent.status, 2);
  EXPECT_THAT(silent.err, HasSubstr("R3 does not answer R"));
  std::future<Ran> added =
      std::async(std::launch::async, [&] { return change(cluster, "add", 3, "1h"); });
  cluster.start(3, {"--protocol", "raft"});
  EXPECT_EQ(added.get().out, "R3 is a member now.\n");

  const int leader = leader_of(cluster);
  cluster.kill(leader);
  const Ran removed = change(cluster, "remove", leader, "1h");
  EXPECT_EQ(removed.out, "R" + std::to_string(leader) + " is no member any more.\n");
  EXPECT_EQ(removed.status, 0) << removed.err;
}

TEST(Members, WhereNobodyCanLeadNothingWasSent) {
  ClusterProcesses cluster(with_spare());
  cluster.start(0, {"--protocol", "raft"});
  ASSERT_TRUE(cluster.wait_until_it_answers(0)) << cluster.log(0);
  for (const Ran& refused : {change(cluster, "add", 3, "1s"),
                             cluster.control({"--timeout", "1s", "leader", "transfer"})}) {
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.err, HasSubstr("Nobody who answered leads at the moment"));
  }
}

TEST(Members, ALeaderThatLeavesGivesTheLeadAwayAndItsClientsGoOn) {
  ClusterProcesses cluster(with_spare());
  start_raft(cluster);
  ASSERT_EQ(change(cluster, "add", 3).status, 0);
  const int leader = leader_of(cluster);
  CountingClients clients(cluster, {.at = {leader, (leader + 1) % 4}, .shared_percent = 100});
  ASSERT_TRUE(clients.wait_for_progress(50)) << clients.summary();

  const Ran removed = change(cluster, "remove", leader);

  EXPECT_EQ(removed.status, 0) << removed.err;
  ASSERT_TRUE(clients.wait_for_progress(50)) << clients.summary();
  EXPECT_NE(leader_of(cluster), leader);
  EXPECT_THAT(cluster.control({"member", "list"}).out, HasSubstr("spare"));
  clients.stop();
  EXPECT_TRUE(cluster.agree({0, 1, 2, 3})) << "who has left is given everything all the same";
  EXPECT_EQ(clients.contradictions(cluster.client()), "");
}

TEST(Members, WhoTheyAreIsKnownAfterARestartOfAll) {
  ClusterProcesses cluster(with_spare());
  start_raft(cluster);
  ASSERT_EQ(change(cluster, "add", 3).status, 0);
  ASSERT_EQ(change(cluster, "remove", 0).status, 0);
  ASSERT_EQ(cluster.control({"--timeout", "30s", "snapshot", "--wait"}).status, 0);

  for (int r = 0; r < 4; ++r) cluster.kill(r);
  start_raft(cluster);

  const Ran again = change(cluster, "add", 3);
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("R3 is a member already."));
  const Ran gone = change(cluster, "remove", 0);
  EXPECT_EQ(gone.status, 2);
  EXPECT_THAT(gone.err, HasSubstr("R0 is no member, so it cannot be removed."));
}

TEST(Members, ARequestThatMakesNoSenseIsRefusedByName) {
  ClusterProcesses cluster(1);
  cluster.start(0, {"--protocol", "raft"});
  ASSERT_TRUE(cluster.wait_until_it_answers(0)) << cluster.log(0);
  const auto refusal = [&](Bytes payload) {
    const net::CallOutcome outcome =
        cluster.client().call(net::RequestKind::kChangeMembers, payload, {});
    EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
    return outcome.reason;
  };
  const std::uint32_t neither = 2u << 16;
  EXPECT_THAT(refusal({}), HasSubstr("does not name a replica"));
  EXPECT_THAT(refusal(std::as_bytes(std::span(&neither, 1))), HasSubstr("does not name a replica"));
  const Ran unknown = change(cluster, "add", 7);
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("The cluster file lists no R7"));
}

TEST(Members, ASpareIsRefusedWhereTheMembersCannotChange) {
  const ClusterProcesses cluster(with_spare());
  const Ran refused = run_program(
      "epaxosd", {"--config", cluster.config_path(), "--replica", "0", "--data", cluster.data(0)});
  EXPECT_EQ(refused.status, 1) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("the members cannot change in protocol \"epaxos\""));
}

TEST(Peers, OneWithAnotherProtocolIsNamedAndNotConnected) {
  ClusterProcesses cluster(2);
  cluster.start(0, {"--protocol", "raft"});
  cluster.start(1, {"--protocol", "epaxos"});

  ASSERT_TRUE(cluster.wait_for(0, [](const std::string& json) {
    return nlohmann::json::parse(json).at("peers").at(0).at("is_stranger").get<bool>();
  })) << cluster.log(0);

  const Ran status = cluster.control({"--output", "json", "status"});
  EXPECT_EQ(nlohmann::json::parse(status.out).at(0).at("peers").at(0).at("connected"), false);
  ASSERT_TRUE(cluster.wait_for(0, [&](const std::string&) {
    return cluster.log(0).find("R1 runs with another cluster file or protocol") !=
           std::string::npos;
  }));
}

}  // namespace
}  // namespace epaxos::testing
