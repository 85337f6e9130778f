// `epaxos-bench wan` as a whole: every shipped topology under a gate, what it prints and writes,
// and what it refuses before anything starts.

#include "bench/wan/wan.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using testing::text_of;

// Five replicas where a topology has more sites than a group has members.
TEST(WanProgram, EveryShippedTopologyHoldsTheBoundsForAllProtocols) {
  for (const ShippedTopology& topology : shipped_topologies()) {
    const bool small = must(Topology::load(std::string(topology.name))).site_count() <= 9;
    const Finished run =
        bench("wan --topology " + std::string(topology.name) + (small ? "" : " --place 5") +
              " --protocols epaxos,raft,raft-all,multipaxos,multipaxos-all"
              " --leaders all --clients 2 --warm-up 1s --duration 1s"
              " --assert 'p50<=1.01*bound+1ms'");
    EXPECT_EQ(run.status, 0) << topology.name << "\n" << run.out;
  }
}

TEST(WanProgram, TheFilesHoldWhatTheTableShows) {
  const Scratch scratch;
  const std::string csv = scratch.path() / "out.csv";
  const std::string json_path = scratch.path() / "out.json";

  const Finished run = bench(
      "wan --topology sosp13-3 --protocols epaxos,raft --leaders EU --clients 3 --conflicts 50"
      " --warm-up 1s --duration 2s --seed 7 --csv " +
      csv + " --json " + json_path);

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("3 clients a site"), HasSubstr("50 % of them on one key"),
                             HasSubstr("EPaxos on the slow path, ms: CA 170.0, VA 170.0, EU 180.0"),
                             HasSubstr("raft led from EU  CA    246.0"), HasSubstr("s of CPU")));
  const auto json = nlohmann::json::parse(text_of(json_path));
  EXPECT_EQ(json["seed"], 7);
  ASSERT_EQ(json["runs"].size(), 2u);
  EXPECT_EQ(json["runs"][0]["leader"], nullptr);
  EXPECT_EQ(json["runs"][1]["leader"], "EU");
  const auto& site = json["runs"][0]["sites"][1];
  EXPECT_EQ(site["site"], "VA");
  EXPECT_EQ(site["bound_ms"], 85.0);
  EXPECT_GT(site["slow_share"], 0.0);
  std::uint64_t counted = 0;
  for (const auto& bucket : site["commit"]["histogram_us"]) counted += bucket[1].get<unsigned>();
  EXPECT_EQ(counted, site["commit"]["count"]);
  const std::string rows = text_of(csv);
  EXPECT_EQ(std::ranges::count(rows, '\n'), 1 + 2 * 3);
  EXPECT_THAT(rows,
              AllOf(HasSubstr("topology,mode,protocol,leader,site,"),
                    HasSubstr("sosp13-3,simulated,raft,EU,CA,CA,3,0.000,0.000,50,16,1.000,2.000,7,"
                              "0.000,0.000,0.000,246.000,")));
}

TEST(WanProgram, SaysThatTheHistoriesAreLinearizable) {
  const Finished run = bench(
      "wan --topology sosp13-3 --clients 2 --conflicts 50 --warm-up 1s --duration 1s"
      " --check linearizability");

  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("increments of counters"),
                             HasSubstr("Linearizable: the history of every run")));
}

TEST(WanProgram, TheSameSeedWritesTheSameFile) {
  const Scratch scratch;
  std::string files[3];
  const char* seeds[] = {"1", "1", "2"};
  for (int i = 0; i < 3; ++i) {
    const std::string path = scratch.path() / ("out" + std::to_string(i));
    const Finished run = bench(std::string("wan --topology sosp13-3 --clients 2 --conflicts 10 ") +
                               "--warm-up 1s --duration 1s --json " + path + " --seed " + seeds[i]);
    ASSERT_EQ(run.status, 0) << run.out;
    files[i] = text_of(path);
  }
  EXPECT_EQ(files[0], files[1]);
  EXPECT_NE(files[0], files[2]);
}

TEST(WanProgram, AGateThatDoesNotHoldEndsWithThreeAndNamesTheSite) {
  const Finished run = bench(
      "wan --topology sosp13-3 --protocols raft --leaders VA --clients 1 --warm-up 1s"
      " --duration 1s --assert 'execution p50<=170.5ms' --assert 'p99<=2*bound'");

  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("execution p50<=170.5ms does not hold for the execution of raft led "
                              "from VA at EU: it is 175.0"),
                    HasSubstr("the limit 170.50 ms"), Not(HasSubstr("at CA:")),
                    Not(HasSubstr("2*bound does not"))));
}

TEST(WanProgram, WhatWasMeasuredUntilAnInterruptIsKept) {
  WanOptions options;
  options.places.topology = "sosp13-3";
  options.run.clients = 2;
  options.run.warm_up_us = kSecond;
  static int asked;
  asked = 0;
  const auto stop = [] { return ++asked > 60; };  // Looks come every 50 ms.

  const WanPlan planned = must(plan(options));
  const WanResult result = must(run_wan(options, planned, stop));

  EXPECT_TRUE(result.interrupted);
  ASSERT_EQ(result.runs.size(), 1u);
  EXPECT_TRUE(result.runs[0].measured.interrupted);
  EXPECT_NEAR(static_cast<double>(result.runs[0].measured.sites[0].commit_us.count()),
              2 / 0.085 * 2, 5)
      << "two seconds of it";
  EXPECT_THAT(conditions_text(options, result), HasSubstr("Interrupted: "));
  EXPECT_THAT(to_csv(options, result), HasSubstr(",none,1\n"));
}

TEST(WanProgram, BestAndWorstLeadersAreNamedOnce) {
  const auto planned = must(plan({.places = {.topology = "nsdi21-5"},
                                  .protocols = {"raft"},
                                  .leaders = {"worst", "best", "OR", "all"}}));
  std::vector<std::string> leaders;
  for (const auto& run : planned.runs)
    leaders.push_back(planned.places.placement.name_of(*run.leader));
  EXPECT_THAT(leaders, ::testing::ElementsAre("EU", "OR", "VA", "CA", "JP"));
}

TEST(WanProgram, RefusesWhatCannotBeBeforeAnythingStarts) {
  const Refused all[] = {
      {"", "--topology"},
      {"--topology nope", "There is no topology \"nope\"."},
      {"--topology gcp-20", "20 sites, and a group has at most 9 replicas. Choose with --replicas"},
      {"--topology sosp13-5 --sites VA,LON", "There is no site \"LON\" in sosp13-5."},
      {"--topology sosp13-5 --replicas VA,VA", "--replicas names VA twice."},
      {"--topology sosp13-5 --place 3 --replicas VA", "Leave one of them out."},
      {"--topology sosp13-5 --leaders LON", "--leaders takes best, worst, all, or sites"},
      {"--topology sosp13-5 --protocols raft --leaders LON", "There is no site \"LON\""},
      {"--topology sosp13-5 --replicas VA,CA,OR --leaders JP", "There is no replica at JP."},
      {"--topology sosp13-5 --protocols epaxos,epaxos", "--protocols names epaxos twice."},
      {"--topology sosp13-5 --protocols paxos", "what can be measured is one of epaxos"},
      {"--topology sosp13-5 --protocols raft --thrifty", "--thrifty is for epaxos"},
      {"--topology sosp13-5 --protocols raft --no-hot-key-limit", "is for epaxos"},
      {"--topology sosp13-5 --protocols epaxos --leaders CA", "none of --protocols has one"},
      {"--topology sosp13-5 --sites CA --protocols epaxos",
       "Commands of epaxos at CA take no time"},
      {"--topology sosp13-5 --protocols raft --ycsb C --reads-by lease --leaders CA",
       "Commands of raft led from CA at CA take no time"},
      {"--topology sosp13-5 --warm-up 0s", "warming up takes 1 second to an hour."},
      {"--topology sosp13-5 --duration 1us", "0.1 seconds to an hour are measured."},
      {"--topology sosp13-5 --duration 1s --fault 'at 1s heal'",
       "its time is not before the end of the --duration"},
      {"--topology sosp13-5 --mode real", "the mode is simulated or emulated"},
      {"--topology sosp13-5 --bandwidth 10", "--bandwidth needs --mode emulated"},
      {"--topology sosp13-5 --bandwidth -1", "0: as many as come"},
      {"--topology sosp13-5 --check serializability", "what can be checked is linearizability"},
      {"--topology sosp13-5 --check linearizability --mode emulated", "needs --mode simulated"},
      {"--topology sosp13-5 --check linearizability --value-bytes 64", "Leave --value-bytes out"},
      {"--topology sosp13-5 --rate 0", "0.1 to 100000 commands a second"},
      {"--topology sosp13-5 --rate 10 --clients 3", "--clients"},
      {"--topology sosp13-5 --rate 10 --arrival often", "arrive poisson or fixed"},
      {"--topology sosp13-5 --arrival fixed", "--rate"},
      {"--topology sosp13-5 --zipf 1", "theta is 0.001 to 0.999; that of YCSB is 0.99."},
      {"--topology sosp13-5 --zipf 0", "theta is 0.001 to 0.999"},
      {"--topology sosp13-5 --zipf nan", "theta is 0.001 to 0.999"},
      {"--topology sosp13-5 --zipf 0.9 --keys 0", "there are 1 to 1000000000 records"},
      {"--topology sosp13-5 --keys 10", "--keys is the number of records of --zipf or --ycsb."},
      {"--topology sosp13-5 --zipf 0.9 --conflicts 2",
       "--conflicts and --zipf both say which keys"},
      {"--topology sosp13-5 --ycsb A --conflicts 2", "--conflicts and --ycsb both say which keys"},
      {"--topology sosp13-5 --ycsb A --reads 10", "Leave one of them out."},
      {"--topology sosp13-5 --ycsb E --value-bytes 20000",
       "does not fit into one reply. Use --value-bytes of at most 10232."},
      {"--topology sosp13-5 --ycsb Z", "there is no workload \"Z\" of YCSB"},
      {"--topology sosp13-5 --reads 101", "it is a share in percent, from 0 to 100"},
      {"--topology sosp13-5 --reads-by index", "there are none. Add --reads or --ycsb."},
      {"--topology sosp13-5 --reads 5 --reads-by clock", "by log, index or lease"},
      {"--topology sosp13-5 --protocols epaxos --reads 5 --reads-by index", "none of --protocols"},
      {"--topology sosp13-5 --loss 51", "0 to 50 percent are lost"},
      {"--topology sosp13-5 --jitter 1h", "0 to 1 second at most"},
      {"--topology sosp13-5 --clients 0", "1 to 10000 clients are at a site"},
      {"--topology sosp13-5 --conflicts 101", "from 0 to 100"},
      {"--topology sosp13-5 --duration 10ms", "0.1 seconds to an hour are measured"},
      {"--topology sosp13-5 --duration long", "long"},
      {"--topology sosp13-5 --think -1s", "-1s"},
      {"--topology sosp13-5 --assert p50", "has no \"<\" or \"<=\" after the percentile"},
      {"--topology sosp13-5 --json /nowhere/out.json", "cannot be written"},
  };
  for (const Refused& each : all) {
    const Finished run = bench(std::string("wan ") + each.arguments);
    EXPECT_NE(run.status, 0) << each.arguments;
    EXPECT_THAT(run.out, HasSubstr(each.sentence)) << each.arguments;
    EXPECT_THAT(run.out, Not(HasSubstr("of CPU"))) << each.arguments;
  }
}

}  // namespace
}  // namespace epaxos::bench
