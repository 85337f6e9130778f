// The part of one site in an experiment on machines: its file, its beginning, and whom it asks.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

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

/// Of an open loop with reads and writes.
SiteResult any_result() {
  SiteResult result;
  SiteConditions& conditions = result.conditions;
  conditions.version = "epaxos-bench 1";
  conditions.cluster = "pets";
  conditions.replica_sites = {"VA", "CA", ""};
  conditions.protocol = "epaxos";
  conditions.durability = "none";
  conditions.load.clients = 0;
  conditions.load.open = {.rate = 12.5, .poisson = false, .in_flight_max = 7};
  conditions.load.mix = *ycsb_mix("F");
  conditions.load.mix.keys = 99;
  conditions.own_keys = 1;
  conditions.measured_us = 3 * kSecond;
  conditions.emulated_one_way_us = {{0, 1, 2}, {1, 0, 3}, {2, 3, 0}};
  conditions.emulated_loss = 0.25;
  result.site = "CA";
  result.run = 4;
  result.replica = ReplicaId(1);
  result.round_trip_us = {85'000, 200, std::nullopt};
  result.measured_from_unix_us = kNoon;
  result.measured_for_us = 2 * kSecond;
  for (const Tick us : {Tick{85'000}, Tick{85'000}, Tick{170'123}}) {
    result.writes.add(us - 10, us);
  }
  result.reads.add(300, 400);
  result.rejected = 1;
  result.unknown = 2;
  result.unfinished = 4;
  result.sent = 11;
  result.late_us.add(30, 11);
  result.unsent = 5;
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
  EXPECT_EQ(read.run, 4u);
  EXPECT_EQ(read.executed(), 4u);
  EXPECT_EQ(read.writes.commit_us.count(), 3u);
  EXPECT_EQ(read.writes.execution_us.percentile(0.5), result.writes.execution_us.percentile(0.5));
  EXPECT_EQ(read.reads, result.reads);
  EXPECT_EQ(read.failed(), 7u);
  EXPECT_EQ(read.unsent, 5u);
  EXPECT_EQ(read.late_us, result.late_us);
  EXPECT_EQ(read.conditions.load.open.rate, 12.5);
  EXPECT_FALSE(read.conditions.load.open.poisson);
  EXPECT_TRUE(read.conditions.load.mix.modifies);
  EXPECT_EQ(read.conditions.load.mix.keys, 99u);
  EXPECT_THAT(read.round_trip_us, ElementsAre(85'000, 200, std::nullopt));
}

TEST(SiteResult, IsToldWithReadsApartAndWhetherTheLoadWasOnTime) {
  const std::string text = site_text(any_result());

  EXPECT_THAT(text, HasSubstr("reads, commit"));
  EXPECT_THAT(text, HasSubstr("writes, execution"));
  EXPECT_THAT(text, HasSubstr("left late     by 0.030 ms in the median"));
  EXPECT_THAT(text, HasSubstr("unsent        5, as 7 had no answer"));
}

/// What is said of the result after the change.
std::string said_after(void (*spoil)(SiteResult&)) {
  SiteResult result = any_result();
  spoil(result);
  const auto read = read_site_result(to_json_text(result));
  return read ? "accepted" : read.error().message;
}

TEST(SiteResult, WhatCannotBeIsRefusedByItsPlace) {
  EXPECT_EQ(said_after([](SiteResult&) {}), "accepted");
  EXPECT_THAT(said_after([](SiteResult& r) { ++r.sent; }),
              HasSubstr("sent does not fit: it has 11 commands that were executed, failed or"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.reads.commit_us.add(1); }),
              HasSubstr("reads has 2 commits and 1 executions"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.late_us.add(1); }),
              HasSubstr("late_us does not fit: it has 11 commands that were sent"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.conditions.load.mix = {}; }),
              HasSubstr("reads has commands, and its load has none of them"));
  EXPECT_THAT(said_after([](SiteResult& r) {
                r.conditions.load.open.rate = 0;
                r.conditions.load.clients = 1;
              }),
              HasSubstr("unsent is of no open loop"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.run = 0; }),
              HasSubstr("run is 0 and not a whole number from 1 to 100"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.replica = ReplicaId(3); }),
              HasSubstr("replica is 3 and not a whole number from 0 to 2"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.round_trip_us.pop_back(); }),
              HasSubstr("round_trip_us has 2 items for 3 replicas"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.conditions.emulated_one_way_us[1].pop_back(); }),
              HasSubstr("conditions.emulated_one_way_us[1] has 2 items for 3 replicas"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.site = "two words"; }),
              HasSubstr("site is no name"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.conditions.protocol = "\x1b[2J"; }),
              HasSubstr("conditions.protocol is \"\\u001b[2J\" and not printable text"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.conditions.durability = "perhaps"; }),
              HasSubstr("conditions.durability is none that it can be"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.seconds.resize(9); }),
              HasSubstr("seconds has 9 items for 2 seconds"));
  EXPECT_THAT(said_after([](SiteResult& r) { r.measured_for_us = 4 * kSecond; }),
              HasSubstr("measured_for_us is 4000000 and not a whole number from 0 to 3000000"));
}

/// The file with this value at the place ("/conditions/clients"), or without it.
std::string edited(const std::string& place, const std::optional<nlohmann::json>& value) {
  auto json = nlohmann::json::parse(to_json_text(any_result()));
  const nlohmann::json::json_pointer at(place);
  if (value) {
    json[at] = *value;
  } else {
    json[at.parent_pointer()].erase(at.back());
  }
  const auto read = read_site_result(json.dump());
  return read ? "accepted" : read.error().message;
}

TEST(SiteResult, EveryMemberMayBeMissingOrOfAnotherKind) {
  const auto json = nlohmann::json::parse(to_json_text(any_result()));
  for (const std::string prefix : {"", "/conditions"}) {
    for (const auto& [name, value] : json[nlohmann::json::json_pointer(prefix)].items()) {
      const std::string place = (prefix.empty() ? "" : prefix.substr(1) + ".") + name;
      EXPECT_THAT(
          edited(prefix + "/" + name, std::nullopt),
          HasSubstr(name == "benchmark" ? "is no result of a site" : place + " is missing"));
      for (const nlohmann::json& wrong : {nlohmann::json(-1), nlohmann::json::object()}) {
        EXPECT_THAT(edited(prefix + "/" + name, wrong), HasSubstr("is no result of a site"))
            << place << " " << wrong;
      }
    }
  }
  EXPECT_THAT(edited("/seconds/1/failed", "three"),
              HasSubstr("seconds[1].failed is \"three\" and not a whole number"));
  EXPECT_THAT(edited("/writes/commit_us/0", 5),
              HasSubstr("writes.commit_us[0] is 5 and not an array"));
  EXPECT_THAT(edited("/writes/commit_us/0", nlohmann::json::array({1, 2, 3})),
              HasSubstr("writes.commit_us[0] is no bucket of a histogram"));
  EXPECT_THAT(edited("/writes/commit_us/0/0", 1e300),
              HasSubstr("writes.commit_us[0][0] is 1e+300"));
  EXPECT_THAT(edited("/writes/commit_us/1/0", 7),
              HasSubstr("writes.commit_us[1][0] is 7 and not a whole number from 84992 to"))
      << "below the bucket before it";
  EXPECT_THAT(edited("/writes/commit_us/0/1", std::uint64_t{1} << 56),
              HasSubstr("writes.commit_us[0] has more commands than any load"));
  EXPECT_THAT(edited("/conditions/replica_sites", nlohmann::json::array()),
              HasSubstr("conditions.replica_sites has 0 replicas; a cluster has 1 to 9"));
  EXPECT_THAT(edited("/conditions/rate", -0.5), HasSubstr("conditions.rate is -0.5 and not"));
}

TEST(SiteResult, AFileThatIsCutOffOrDamagedIsRefusedByLineAndColumn) {
  const auto said = [](const std::string& text) {
    const auto read = read_site_result(text);
    return read ? std::string("accepted") : read.error().message;
  };
  const std::string whole = to_json_text(any_result());
  const std::size_t end = whole.find_last_of('}');

  EXPECT_THAT(
      said(""),
      HasSubstr("is empty: its client has not finished yet, or ended before the load began"));
  for (std::size_t length = 1; length <= end; ++length) {
    const std::string sentence = said(whole.substr(0, length));
    EXPECT_EQ(sentence, "is cut off at line 1, column " + std::to_string(length + 1));
  }
  EXPECT_EQ(said("{\n \"benchmark\": site}"), "is no JSON at line 2, column 15");
  EXPECT_EQ(said(whole.substr(0, end) + ", \"x\": 1e999}"), "has a number that is too large");
  EXPECT_THAT(said(std::string(100'000, '[')), HasSubstr("is cut off"));
  EXPECT_THAT(said(whole + whole), HasSubstr("is no JSON at line 2, column 1"));
  EXPECT_THAT(said(R"({"benchmark": "wan"})"), HasSubstr("is no result of a site"));
  EXPECT_THAT(said("[]"), HasSubstr("is no result of a site"));
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

TEST(Site, ReadsAreServedAsTheClusterFileSaysAndNobodyExpectsOtherwise) {
  ClusterConfig cluster = cluster_at({"VA", "CA", "EU"});
  ClientCommand command;
  command.config_path = "cluster.toml";

  EXPECT_EQ(must(reads_served(command, cluster, "epaxos")), Reads::kLog);
  EXPECT_EQ(must(reads_served(command, cluster, "raft")), Reads::kIndex);
  cluster.reads = Reads::kLease;
  EXPECT_EQ(must(reads_served(command, cluster, "raft")), Reads::kLease);
  EXPECT_EQ(must(reads_served(command, cluster, "epaxos")), Reads::kLog);
  command.offered.reads_by = Reads::kIndex;
  const auto other = reads_served(command, cluster, "raft");
  ASSERT_FALSE(other);
  EXPECT_THAT(
      other.error().message,
      HasSubstr("--reads-by index, but by cluster.toml reads of raft are served by lease."));
}

// Sites do not tell each other what they inserted.
TEST(Site, InsertsRecordsThatNoOtherSiteInserts) {
  InsertedRecords second(1, 3);

  EXPECT_EQ(second.count(), 0u);
  EXPECT_EQ(second.take(), 1u);
  EXPECT_EQ(second.take(), 4u);
  second.inserted(4);
  EXPECT_EQ(second.count(), 5u);
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
      {"--rate 10", "--site"},
      {"--reads 50", "--site"},
      {"--site VA --out x --rate 10 --in-flight 3", "--in-flight"},
      {"--site VA --out x --rate 10 --think 5ms", "--think"},
      {"--site VA --out x --arrival fixed", "--rate"},
      {"--site VA --out x --ycsb E --value-bytes 20000", "does not fit into one reply."},
      {"--site VA --out x --zipf 0.9 --conflicts 2", "Leave one of them out."},
      {"--site VA --out x --keys 5", "Add one of them."},
      {"--site VA --out x --reads-by lease", "Add --reads or --ycsb."},
      {"--site VA --out x --run 0", "runs have numbers from 1 to 100."},
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
