// The status as JSON: others read these keys.

#include "epaxos/programs/status_json.h"

#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/epaxos/programs/support.h"

namespace epaxos::testing {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

TEST(StatusJson, HasExactlyTheKeysThatOthersRelyOn) {
  const Json json = Json::parse(status_json(status_of_replica_one()));

  EXPECT_THAT(keys_of(json),
              UnorderedElementsAre("replica", "replicas", "cluster", "site", "protocol", "state",
                                   "stop_reason", "role", "has_leader", "leader", "members",
                                   "voting", "non_voting_reason", "durability", "incarnation",
                                   "uptime_us", "peer_address", "client_address", "rows", "store",
                                   "memory", "image", "queues", "peers", "counters"));
  EXPECT_THAT(
      keys_of(json.at("rows").at(0)),
      UnorderedElementsAre("row", "committed_up_to", "executed_up_to", "highest_known", "floor"));
  EXPECT_THAT(keys_of(json.at("image")),
              UnorderedElementsAre("number", "bytes", "log_bytes", "making", "fetching",
                                   "waits_for_peer", "trouble"));
  EXPECT_THAT(keys_of(json.at("store")),
              UnorderedElementsAre("state", "error", "durable_batch", "pending_bytes",
                                   "transactions", "used_bytes", "limit_bytes", "warning"));
  EXPECT_THAT(keys_of(json.at("memory")),
              UnorderedElementsAre("held_bytes", "limit_bytes", "warning"));
  EXPECT_THAT(keys_of(json.at("queues")),
              UnorderedElementsAre("submitted", "submitted_bytes", "pending"));
  EXPECT_THAT(
      keys_of(json.at("peers").at(0)),
      UnorderedElementsAre("replica", "connected", "is_stranger", "lacks_instances", "counters"));
}

TEST(StatusJson, EveryValueIsTheOneOfTheStatus) {
  const Json json = Json::parse(status_json(status_of_replica_one()));

  EXPECT_EQ(json.at("replica"), 1);
  EXPECT_EQ(json.at("peers").at(0).at("lacks_instances"), 12'345);
  EXPECT_EQ(json.at("replicas"), 3);
  EXPECT_EQ(json.at("site"), "Zürich");
  EXPECT_EQ(json.at("state"), "running");
  EXPECT_EQ(json.at("durability"), "async");
  EXPECT_EQ(json.at("incarnation"), 4);
  EXPECT_EQ(json.at("rows").at(2), (Json{{"row", 2},
                                         {"committed_up_to", 9},
                                         {"executed_up_to", 8},
                                         {"highest_known", 12},
                                         {"floor", 1}}));
  EXPECT_EQ(json.at("image"), (Json{{"number", 17},
                                    {"bytes", 123456},
                                    {"log_bytes", 789},
                                    {"making", true},
                                    {"fetching", false},
                                    {"waits_for_peer", false},
                                    {"trouble", ""}}));
  EXPECT_EQ(json.at("store").at("pending_bytes"), 4096);
  EXPECT_EQ(json.at("queues").at("pending"), 1234);
  EXPECT_EQ(json.at("peers").at(1).at("replica"), 2);
  EXPECT_EQ(json.at("peers").at(1).at("connected"), false);
  EXPECT_EQ(json.at("counters").at("core").at("fast_path"), 75);
  EXPECT_EQ(json.at("counters").at("peer_plane").at("refused_wrong_cluster"), 7);
}

TEST(StatusJson, BytesThatAreNoTextDoNotBreakIt) {
  NodeStatus status = status_of_replica_one();
  status.site = "\xff\"\n";

  EXPECT_FALSE(Json::parse(status_json(status), nullptr, false).is_discarded());
}

TEST(StatusJson, WhatWasRefusedIsToldFromWhatWasDone) {
  for (const auto* const name :
       {"refused_wrong_cluster", "rejected_overloaded", "unknown_deadline",
        "local_refused_not_a_command", "dropped_would_block", "replies_too_large",
        "refused_connections", "no_descriptor_left"}) {
    EXPECT_TRUE(tells_refusal(name)) << name;
  }
  for (const auto* const name :
       {"fast_path", "ignored_stale", "messages_in", "nacks_sent", "connections"}) {
    EXPECT_FALSE(tells_refusal(name)) << name;
  }
}

TEST(StatusJson, WhatIsNormalIsNoRefusalWhateverItsName) {
  for (const auto* const name :
       {"dropped_instances", "dropped_entries", "votes_refused", "dropped_unreachable",
        "replies_dropped_unreachable", "bundles_dropped"}) {
    EXPECT_FALSE(tells_refusal(name)) << name;
  }
}

}  // namespace
}  // namespace epaxos::testing
