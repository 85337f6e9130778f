// The part of one site in an experiment on machines: its file, its beginning, and whom it asks.

#include <gmock/gmock.h>

#include "bench/client/site_command.h"
#include "bench/client/site_result.h"
#include "bench/client/start_time.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::must;
using testing::text_of;

/// 2026-05-03T12:00:00Z.
constexpr Tick kNoon = Tick{1'777'809'600} * kSecond;

TEST(StartTime, IsTheNextSuchMomentOfUtc) {
  EXPECT_EQ(must(start_time_from("12:30", kNoon)), kNoon + 1800 * kSecond);
  EXPECT_EQ(must(start_time_from("12:00:01", kNoon)), kNoon + kSecond);
  EXPECT_EQ(must(start_time_from("2026-05-03T12:30:15Z", kNoon)), kNoon + 1815 * kSecond);
  EXPECT_EQ(must(start_time_from("00:05", kNoon + 43'000 * kSecond)), kNoon + 43'500 * kSecond)
      << "after midnight";
  EXPECT_EQ(utc_text(kNoon + kSecond), "2026-05-03 12:00:01 UTC");
}

TEST(StartTime, WhatHasPassedOrIsNoMomentIsRefused) {
  const auto sentence = [](const std::string& text) {
    const auto start = start_time_from(text, kNoon);
    return start ? std::string("accepted") : start.error().message;
  };

  EXPECT_THAT(sentence("11:59"), HasSubstr("2026-05-03 11:59:00 UTC has passed"));
  EXPECT_THAT(sentence("12:00"), HasSubstr("has passed"));
  EXPECT_THAT(sentence("2026-05-05T12:00:00Z"), HasSubstr("more than a day ahead"));
  for (const char* wrong : {"", "soon", "25:00", "12:60", "12:30x", "2026-02-30T12:00:00Z", "12"}) {
    EXPECT_THAT(sentence(wrong), HasSubstr("is no moment to start at")) << wrong;
  }
}

SiteResult any_result() {
  SiteResult result;
  result.conditions.version = "epaxos-bench 1";
  result.conditions.cluster = "pets";
  result.conditions.replica_sites = {"VA", "CA", ""};
  result.conditions.protocol = "epaxos";
  result.conditions.emulated_one_way_us = {{0, 1, 2}, {1, 0, 3}, {2, 3, 0}};
  result.conditions.emulated_loss = 0.25;
  result.site = "CA";
  result.replica = ReplicaId(1);
  result.round_trip_us = {85'000, 200, std::nullopt};
  result.measured_from_unix_us = kNoon;
  result.measured_for_us = 2 * kSecond;
  for (const Tick us : {Tick{85'000}, Tick{85'000}, Tick{170'123}}) {
    result.commit_us.add(us - 10);
    result.execution_us.add(us);
  }
  result.rejected = 1;
  result.unknown = 2;
  result.unfinished = 4;
  result.sent = 10;
  result.paths = PathCounts{30, 10};
  result.seconds.resize(2);
  result.seconds[1].execution_us.add(7);
  result.seconds[1].failed = 3;
  result.last_failure = "no";
  result.interrupted = true;
  return result;
}

TEST(SiteResult, ComesBackFromItsFileAsItWas) {
  const SiteResult result = any_result();

  const SiteResult read = must(read_site_result(to_json_text(result)));

  EXPECT_EQ(to_json_text(read), to_json_text(result));
  EXPECT_EQ(read.execution_us.count(), 3u);
  EXPECT_EQ(read.execution_us.percentile(0.5), result.execution_us.percentile(0.5));
  EXPECT_EQ(read.failed(), 7u);
  EXPECT_THAT(read.round_trip_us, ElementsAre(85'000, 200, std::nullopt));
}

TEST(SiteResult, WhatCannotBeIsRefused) {
  const auto refused = [](void (*spoil)(SiteResult&)) {
    SiteResult result = any_result();
    spoil(result);
    return !read_site_result(to_json_text(result));
  };

  EXPECT_FALSE(refused([](SiteResult&) {}));
  EXPECT_TRUE(refused([](SiteResult& r) { ++r.sent; })) << "a command without an end";
  EXPECT_TRUE(refused([](SiteResult& r) { r.commit_us.add(1); }));
  EXPECT_TRUE(refused([](SiteResult& r) { r.replica = ReplicaId(3); }));
  EXPECT_TRUE(refused([](SiteResult& r) { r.round_trip_us.pop_back(); }));
  EXPECT_TRUE(refused([](SiteResult& r) { r.conditions.emulated_one_way_us.pop_back(); }));
  EXPECT_TRUE(refused([](SiteResult& r) { r.site = "two words"; }));
  EXPECT_FALSE(read_site_result(""));
  EXPECT_FALSE(read_site_result(R"({"benchmark": "wan"})"));
  EXPECT_FALSE(read_site_result(R"({"benchmark": "site"})"));
}

ClusterConfig cluster_at(const std::vector<std::string>& sites) {
  ClusterConfig cluster = must(ClusterConfig::loopback("sites", static_cast<int>(sites.size())));
  for (std::size_t r = 0; r < sites.size(); ++r) cluster.replicas[r].site = sites[r];
  return cluster;
}

TEST(Site, AsksItsReplicaElseTheNearest) {
  const ClusterConfig cluster = cluster_at({"VA", "CA", "CA", ""});
  const RoundTrips round_trips{10, 900, 800, 5};
  ClientCommand command;
  const auto asked = [&](const std::string& site, int wished = -1) {
    command.site.site = site;
    command.replica = wished;
    return must(replica_for(command, cluster, round_trips)).value();
  };

  EXPECT_EQ(asked("VA"), 0);
  EXPECT_EQ(asked("CA"), 2) << "the nearer one of two";
  EXPECT_EQ(asked("EU"), 3) << "nobody is there";
  EXPECT_EQ(asked("CA", 0), 0);
}

TEST(Site, AReplicaThatDoesNotAnswerIsNamed) {
  const ClusterConfig cluster = cluster_at({"VA", "CA"});
  ClientCommand command;
  command.site.site = "CA";

  const auto replica = replica_for(command, cluster, {10, std::nullopt});

  ASSERT_FALSE(replica);
  EXPECT_THAT(replica.error().message, HasSubstr("R1 at " + cluster.replicas[1].client +
                                                 " did not answer within 5 seconds"));
}

TEST(Site, MistakesAreNamedBeforeAnythingStarts) {
  const Scratch scratch;
  const std::string file = scratch.path() / "cluster.toml";
  ClusterConfig cluster = cluster_at({"VA", "CA", "EU"});
  std::ofstream(file) << cluster.to_toml();
  cluster.replicas[2].member = false;
  const std::string spare = scratch.path() / "spare.toml";
  std::ofstream(spare) << cluster.to_toml();
  const std::string out = scratch.path() / "out.json";
  const Refused all[] = {
      {"--site VA", "--out"},
      {"--start-at 12:30", "--site"},
      {"--json --site VA --out x", "--site"},
      {"--site 'two words' --out x", "--site two words is no name of a site"},
      {"--site VA --out x --start-at noon", "--start-at: \"noon\" is no moment to start at."},
      {"--site VA --out /nowhere/x.json", "/nowhere/x.json cannot be written"},
  };

  for (const Refused& each : all) {
    const Finished run = bench("client --config " + file + " " + each.arguments);
    EXPECT_EQ(run.status, 1) << run.out;
    EXPECT_THAT(run.out, HasSubstr(each.sentence));
  }
  EXPECT_THAT(bench("client --config " + spare + " --site VA --out " + out).out,
              HasSubstr("a replica that is no member at the beginning"));
}

}  // namespace
}  // namespace epaxos::bench
