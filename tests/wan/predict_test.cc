// `epaxos-bench predict`: what it finds out beyond single bounds, what it prints and writes, and
// what it refuses.

#include "bench/wan/predict.h"

#include <fstream>
#include <gmock/gmock.h>
#include <random>

#include <nlohmann/json.hpp>

#include "compare/multipaxos/options.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using compare::paxos::Quorums;
using ::testing::AllOf;
using testing::any_topology;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using testing::shipped;
using testing::text_of;

// Means 106.8 and 213.6 ms against 161.0 ms of the best leader; at OR 81 and 162 against 106.
TEST(Predict, TellsFromWhichShareOfSlowPathsALeaderIsFaster) {
  const Prediction p = must(predict({.places = {.topology = "sosp13-5"}}));

  EXPECT_EQ(p.now.placement.name_of(*best_of(p.now.leaders).leader), "CA");
  EXPECT_NEAR(*p.now.crossover, (161.0 - 106.8) / 106.8, 1e-9);
  ASSERT_EQ(p.now.crossover_sites.size(), 5u);
  EXPECT_EQ(p.now.crossover_sites[0], std::nullopt) << "VA: a slow path is as fast as the leader";
  EXPECT_EQ(p.now.crossover_sites[1], 0.0) << "CA leads";
  EXPECT_NEAR(*p.now.crossover_sites[2], 25.0 / 81, 1e-9);
}

TEST(Predict, ShowsTheLossOfEachSite) {
  const Prediction p = must(predict({.places = {.topology = "sosp13-5"}}));

  ASSERT_EQ(p.one_down.size(), 5u);
  EXPECT_EQ(names_of(p.one_down[0].placement, p.one_down[0].placement.down()), "VA");
  EXPECT_EQ(p.one_down[0].fast.by_site_us, epaxos_fast_path(p.one_down[0].placement).by_site_us);
  EXPECT_EQ(p.one_down[0].leaders.size(), 4u);

  const Prediction two = must(predict({.places = {.topology = "sosp13-5"}, .down = {"EU", "JP"}}));
  EXPECT_TRUE(two.one_down.empty()) << "no third one can go";
  EXPECT_EQ(two.now.leaders.size(), 3u);
}

TEST(Predict, FlexibleQuorumsAreThoseOfMultiPaxos) {
  const Prediction p = must(predict({.places = {.topology = "sosp13-5"}, .phase2 = 2}));
  ASSERT_EQ(p.now.leaders_flexible.size(), 5u);
  EXPECT_EQ(p.now.leaders_flexible[1].by_site_us[1], 21'000u);
  EXPECT_TRUE(must(predict({.places = {.topology = "sosp13-5"}})).now.leaders_flexible.empty());
}

TEST(Predict, TheBestPlacesAreTheBestOfAllWays) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20; ++round) {
    const Topology topology = any_topology(6, 100'000, random);
    const Best best = must(best_placements(topology, 3));

    double epaxos = 1e18;
    double leader = 1e18;
    for (std::size_t a = 0; a < 6; ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        for (std::size_t c = 0; c < b; ++c) {
          const Placement p(topology, {a, b, c});
          epaxos = std::min(epaxos, epaxos_fast_path(p).mean_us());
          for (const ReplicaId who : members_of(p.all())) {
            leader = std::min(leader, by_leader(p, who, Quorums::majorities(3)).mean_us());
          }
        }
      }
    }

    EXPECT_DOUBLE_EQ(best.for_epaxos.front().epaxos_us, epaxos);
    EXPECT_DOUBLE_EQ(best.for_leader.front().leader_us, leader);
    EXPECT_LE(best.for_epaxos[0].epaxos_us, best.for_epaxos[1].epaxos_us);
    EXPECT_LE(best.for_epaxos[1].epaxos_us, best.for_epaxos[2].epaxos_us);
  }
}

TEST(Predict, AllPlacesAreTheOnlyWay) {
  const Best best = must(best_placements(shipped("sosp13-3"), 3));
  ASSERT_EQ(best.for_epaxos.size(), 1u);
  EXPECT_THAT(best.for_epaxos[0].replica_sites, ElementsAre(0, 1, 2));
}

TEST(Predict, SomeSitesOfATopologyKeepTheirDelays) {
  const Topology two = must(only(shipped("sosp13-5"), {"EU", "CA"}));
  EXPECT_THAT(two.sites(), ElementsAre("EU", "CA"));
  EXPECT_EQ(two.round_trip_us(0, 1), 156'000u);
}

TEST(PredictProgram, PrintsTheTableAndWritesTheFiles) {
  const Scratch scratch;
  const std::string csv = scratch.path() / "out.csv";
  const std::string json_path = scratch.path() / "out.json";

  const Finished run =
      bench("predict --topology nsdi21-5 --q2 2 --csv " + csv + " --json " + json_path);

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("epaxos            fast path           64.0   64.0   59.0"),
                             HasSubstr("leader OR (best)"), HasSubstr("leader EU (worst)"),
                             HasSubstr("Best leader (the smallest mean over the sites): OR, 120.0"),
                             HasSubstr("VA 84 %, CA 33 %, OR always, JP 53 %, EU 46 %"),
                             HasSubstr("one site down"), Not(HasSubstr("best places"))));
  const auto json = nlohmann::json::parse(text_of(json_path));
  EXPECT_EQ(json["now"]["best_leader"], "OR");
  EXPECT_EQ(json["now"]["bounds"][0]["sites_ms"]["JP"], 98.0);
  EXPECT_EQ(json["now"]["bounds"].size(), 2u + 5 + 5 + 5);
  EXPECT_EQ(json["one_more_down"].size(), 5u);
  const std::string rows = text_of(csv);
  EXPECT_THAT(rows, AllOf(HasSubstr("topology,replicas,down,protocol,way,leader,site,bound_ms\n"),
                          HasSubstr("nsdi21-5,VA;CA;OR;JP;EU,,\"epaxos\",\"fast path\",,JP,98.000"),
                          HasSubstr(",JP,\"raft, multipaxos\",\"leader\",OR,VA,")));
}

TEST(PredictProgram, SaysWhereALeaderAlwaysWinsAndWhereNothingTakesTime) {
  const Finished far = bench("predict --topology nsdi21-5");
  EXPECT_THAT(far.out, HasSubstr("OR always")) << "the site of the best leader";
  EXPECT_THAT(far.out, Not(HasSubstr("nan")));

  const Finished alone = bench("predict --topology nsdi21-5 --sites VA");
  EXPECT_EQ(alone.status, 0);
  EXPECT_THAT(alone.out, HasSubstr("With that leader no command takes any time."));
  EXPECT_THAT(alone.out, Not(HasSubstr("nan")));
}

// Also when a run fails, what was there before stays.
TEST(PredictProgram, TwoResultsInOneFileAreRefusedAndTheFileStays) {
  const Scratch scratch;
  const std::string path = scratch.path() / "out";
  std::ofstream(path) << "as it was";

  const Finished run = bench("predict --topology sosp13-3 --csv " + path + " --json " + path);

  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("--csv and --json name one file"));
  EXPECT_EQ(text_of(path), "as it was");
}

TEST(PredictProgram, PlacesReplicasAmongManySites) {
  const Finished run = bench("predict --topology aws-19 --place 3");

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("The best places for 3 replicas of 19 sites"),
                             HasSubstr("best for"), HasSubstr("least   most   mean")));
}

TEST(PredictProgram, ReadsAFile) {
  const Scratch scratch;
  const std::string path = scratch.path() / "two.toml";
  std::ofstream(path) << "sites = [\"A\", \"B\"]\none_way_ms = [[0, 10], [30, 0]]\n";

  const Finished run = bench("predict --topology " + path);

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, HasSubstr("fast path"));
  EXPECT_THAT(run.out, HasSubstr("40.0"));
}

TEST(PredictProgram, RefusesWhatCannotBe) {
  const Refused all[] = {
      {"", "--topology"},
      {"--topology nope", "There is no topology \"nope\". Name one of aws-19"},
      {"--topology ./none.toml", "The topology file ./none.toml cannot be read"},
      {"--topology aws-19", "19 sites, and a group has at most 9 replicas. Choose with --replicas"},
      {"--topology sosp13-5 --sites VA,LON", "There is no site \"LON\" in sosp13-5."},
      {"--topology sosp13-5 --sites VA,VA", "--sites names VA twice."},
      {"--topology sosp13-5 --replicas VA,CA,VA", "--replicas names VA twice."},
      {"--topology sosp13-5 --down EU,EU", "--down names EU twice"},
      {"--topology sosp13-5 --down LON", "There is no site \"LON\""},
      {"--topology sosp13-5 --replicas VA,CA,OR --down JP", "There is no replica at JP."},
      {"--topology sosp13-5 --down VA,CA,JP", "With VA, CA, JP down, no majority of the 5"},
      {"--topology sosp13-5 --q2 0", "a quorum has 1 to 9 replicas"},
      {"--topology sosp13-5 --q2 6", "--q2 6 is more than there are replicas. Take 1 to 5."},
      {"--topology sosp13-5 --place 6", "--place 6, but sosp13-5 has 5 sites."},
      {"--topology sosp13-5 --place 3 --replicas VA", "Leave one of them out."},
      {"--topology sosp13-5 --csv /nowhere/out.csv", "cannot be written"},
  };
  for (const Refused& each : all) {
    const Finished run = bench(std::string("predict ") + each.arguments);
    EXPECT_NE(run.status, 0) << each.arguments;
    EXPECT_THAT(run.out, HasSubstr(each.sentence)) << each.arguments;
  }
}

}  // namespace
}  // namespace epaxos::bench
