// Faults on a timeline: how they are written, what they do to links and clients, and what a run
// tells about them.

#include "bench/wan/faults.h"

#include <gmock/gmock.h>

#include "bench/throughput/protocols.h"
#include "bench/wan/wan.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using testing::must;
using testing::shipped;
using testing::short_run;
using testing::text_of;

constexpr ReplicaId kVA{0};
constexpr ReplicaId kCA{1};
constexpr ReplicaId kOR{2};
constexpr ReplicaId kJP{3};
constexpr ReplicaId kEU{4};

std::vector<Fault> faults(const Placement& placement, const std::vector<std::string>& texts,
                          Tick measured_us = 100 * kSecond) {
  return must(faults_from(texts, placement, measured_us));
}

TEST(Faults, AreReadInTheOrderOfTheirTimes) {
  const Topology topology = shipped("nsdi21-5");
  const Placement placement = must(Placement::at(topology, {}));

  const auto all = faults(placement, {"at 80s heal", "at 30s kill JP", "at 40s partition EU|*",
                                      "at 60s slow OR 2.5x", "at 1m latency CA-VA +50ms"});

  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0], (Fault{.text = "at 30s kill JP",
                           .at_us = 30 * kSecond,
                           .kind = Fault::Kind::kKill,
                           .one = kJP}));
  EXPECT_EQ(all[1].kind, Fault::Kind::kPartition);
  ASSERT_EQ(all[1].parts.size(), 2u);
  EXPECT_EQ(all[1].parts[0], ReplicaSet::only(kEU));
  EXPECT_EQ(all[1].parts[1], ReplicaSet::all(4));
  EXPECT_EQ(all[2].factor, 2.5);
  EXPECT_EQ(all[3].one, kCA);
  EXPECT_EQ(all[3].other, kVA);
  EXPECT_EQ(all[3].more_us, 50'000u);
  EXPECT_EQ(all[4].kind, Fault::Kind::kHeal);
}

TEST(Faults, SitesWithDashesInTheirNamesHaveLinksToo) {
  const Topology topology("dashes", "", {"a", "a-b", "b-c"}, std::vector<Tick>(9, 1000));
  const Placement placement = must(Placement::at(topology, {}));

  const auto all = faults(placement, {"at 1s latency a-b-b-c +1s", "at 2s latency a-a-b +2ms"});

  EXPECT_EQ(all[0].one, ReplicaId(1));
  EXPECT_EQ(all[0].other, ReplicaId(2));
  EXPECT_EQ(all[1].one, ReplicaId(0));
  EXPECT_EQ(all[1].other, ReplicaId(1));
}

TEST(Faults, ChangeTheWorldUntilItIsHealed) {
  const Topology topology = shipped("nsdi21-5");
  const Placement placement = must(Placement::at(topology, {}));
  FaultyWorld world(placement);
  const Tick usual = placement.one_way_us(kVA, kJP);
  const auto all = faults(placement, {"at 1s slow JP 5x", "at 2s latency JP-VA +50ms",
                                      "at 3s partition VA,CA|JP|*", "at 4s kill OR", "at 5s heal"});

  world.apply(all[0]);
  EXPECT_EQ(world.one_way_us(kVA, kJP), 5 * usual);
  world.apply(all[1]);
  EXPECT_EQ(world.one_way_us(kVA, kJP), 5 * usual + 50'000);
  EXPECT_EQ(world.one_way_us(kJP, kVA), 5 * usual + 50'000);
  EXPECT_EQ(world.one_way_us(kCA, kVA), placement.one_way_us(kCA, kVA));
  world.apply(all[2]);
  EXPECT_TRUE(world.is_cut(kVA, kJP));
  EXPECT_TRUE(world.is_cut(kEU, kVA));
  EXPECT_FALSE(world.is_cut(kVA, kCA));
  EXPECT_FALSE(world.is_cut(kOR, kEU)) << "they are the others";
  world.apply(all[3]);
  EXPECT_EQ(world.placement().nearest(topology.find("OR").value()), kCA);
  world.apply(all[4]);
  EXPECT_EQ(world.one_way_us(kVA, kJP), usual);
  EXPECT_FALSE(world.is_cut(kVA, kJP));
  EXPECT_FALSE(world.placement().living().contains(kOR)) << "the dead stay dead";
}

TEST(Timeline, CountsCommandsWhereTheyEndAndGapsWhereNothingIsCommitted) {
  TimelineRecorder recorder(2, 3 * kSecond);
  recorder.add_executed(0, 100'000, 200'000, 150'000);
  recorder.add_executed(0, 900'000, 1'100'000, 300'000);
  recorder.add_executed(0, -5'000, 0, 80'000);
  recorder.add_executed(0, 2'999'000, 3'000'000, 1'000);
  recorder.add_executed(1, -200'000, -100'000, 1'000);
  recorder.add_failed(1, 2'500'000);

  const Timeline timeline = recorder.timeline({0, 1'500'000, 1'500'000}, 3 * kSecond);

  ASSERT_EQ(timeline.all.size(), 3u);
  EXPECT_EQ(timeline.by_site[0][0],
            (Second{.executed = 2, .failed = 0, .p50_us = 80'000, .p99_us = 150'000}));
  EXPECT_EQ(timeline.by_site[0][1].p50_us, 300'000u);
  EXPECT_EQ(timeline.all[2], (Second{.executed = 0, .failed = 1, .p50_us = 0, .p99_us = 0}));
  using Gap = Timeline::Gap;
  EXPECT_THAT(timeline.gaps[0], ::testing::ElementsAre(Gap{800'000, false}, Gap{1'500'000, true}));
  EXPECT_THAT(timeline.gaps[1],
              ::testing::ElementsAre(Gap{1'499'000, false}, Gap{1'500'000, false}));
  EXPECT_EQ(timeline.gaps[2], timeline.gaps[1]) << "of one moment";
  EXPECT_EQ(recorder.timeline({}, 1'200'000).all.size(), 2u) << "interrupted";
}

// The paper's promise: whoever lives goes on. What needs a leader waits for an election.
TEST(Simulation, AKilledReplicaStopsNobodyElseAndAKilledLeaderEverybody) {
  const Topology topology = shipped("nsdi21-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 10 * kSecond;
  options.faults = faults(placement, {"at 3s kill OR"}, options.measured_us);

  const MeasuredRun epaxos = must(simulate(placement, protocol_named("epaxos"), {}, options));
  const MeasuredRun raft = must(simulate(placement, protocol_named("raft"), kOR, options));
  const MeasuredRun paxos = must(simulate(placement, protocol_named("multipaxos"), kOR, options));

  ASSERT_TRUE(epaxos.timeline && raft.timeline && paxos.timeline);
  for (const ReplicaId site : {kVA, kCA, kJP, kEU}) {
    EXPECT_LT(epaxos.timeline->gaps[0][site.value()].us, 300'000u) << placement.name_of(site);
    EXPECT_GT(raft.timeline->gaps[0][site.value()].us, 600'000u) << placement.name_of(site);
    EXPECT_GT(paxos.timeline->gaps[0][site.value()].us, 600'000u) << placement.name_of(site);
  }
  for (const MeasuredRun* run : {&epaxos, &raft, &paxos}) {
    EXPECT_GT(run->sites[kOR.value()].failed, 0u) << "what was under way there";
    EXPECT_EQ(run->sites[kOR.value()].slow_share.has_value(), run == &epaxos)
        << "of what it decided before";
    for (const auto& seconds : run->timeline->by_site) {
      EXPECT_GT(seconds.back().executed, 0u)
          << run->protocol << " goes on, also the clients of the dead at another replica";
    }
  }
  EXPECT_EQ(epaxos, must(simulate(placement, protocol_named("epaxos"), {}, options)));
}

TEST(Simulation, LatenciesMayBeThoseBeforeTheFirstFault) {
  const Topology topology = shipped("nsdi21-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 5 * kSecond;
  options.faults = faults(placement, {"at 2s kill OR", "at 3s heal"}, options.measured_us);
  const MeasuredRun all = must(simulate(placement, protocol_named("raft"), kOR, options));
  options.latency_before_faults = true;

  const MeasuredRun before = must(simulate(placement, protocol_named("raft"), kOR, options));

  EXPECT_EQ(before.timeline, all.timeline) << "which has everything";
  EXPECT_EQ(before.trace_hash, all.trace_hash);
  for (const ReplicaId site : {kVA, kCA, kOR, kJP, kEU}) {
    const SiteLatency& seen = before.sites[site.value()];
    EXPECT_LT(seen.execution_us.percentile(1.0), 200'000u) << placement.name_of(site);
    EXPECT_GT(all.sites[site.value()].execution_us.percentile(1.0), 600'000u);
    EXPECT_EQ(seen.failed, all.sites[site.value()].failed) << "nothing that failed is hidden";
    EXPECT_GT(seen.execution_us.count(), 2u * 3u * 4u);
  }
}

TEST(Simulation, WhoIsCutOffWaitsUntilItIsHealed) {
  const Topology topology = shipped("nsdi21-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 6 * kSecond;
  options.faults = faults(placement, {"at 2s partition EU|*", "at 4s heal"}, options.measured_us);

  for (const std::string& name : measured_protocols()) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(kVA) : std::nullopt;
    const MeasuredRun run = must(simulate(placement, protocol, leader, options));

    ASSERT_TRUE(run.timeline.has_value());
    EXPECT_GE(run.timeline->gaps[0][kEU.value()].us, 1'700'000u) << name;
    EXPECT_LT(run.timeline->gaps[0][kCA.value()].us, 1'000'000u) << name;
    EXPECT_GT(run.timeline->by_site[kEU.value()].back().executed, 0u) << name;
    EXPECT_LT(run.sites[kEU.value()].execution_us.percentile(1.0), 3'500'000u)
        << name << ": what was under way for two seconds does not wait for long after them";
  }
}

TEST(WanProgram, TellsTheGapAfterEachFaultAndWritesEverySecond) {
  const Scratch scratch;
  const std::string series = scratch.path() / "series.csv";

  const Finished run = bench(
      "wan --topology sosp13-3 --protocols epaxos,raft --clients 2 --warm-up 1s --duration 5s"
      " --fault 'at 2s kill EU' --fault 'at 4s slow CA 5x' --series " +
      series);

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("2 faults"), HasSubstr("longest time without a commit"),
                             HasSubstr("at 2s kill EU"), HasSubstr("at 4s slow CA 5x")));
  const std::string rows = text_of(series);
  EXPECT_EQ(std::ranges::count(rows, '\n'), 1 + 2 * 4 * 5) << "runs, sites and all, seconds";
  EXPECT_THAT(rows, AllOf(HasSubstr("topology,protocol,leader,site,second,commands,failed,p50_ms,"),
                          HasSubstr("sosp13-3,epaxos,,all,2,"), HasSubstr(",\"at 2s kill EU\"\n")));
}

// Of repeats one alone would say little: the longest wait of a run is a matter of chance.
TEST(WanProgram, GapsOfRepeatsHaveAMedianAndARangeAndThoseOfOneMomentAreOne) {
  const Scratch scratch;
  const std::string json_path = scratch.path() / "out.json";

  const Finished run = bench(
      "wan --topology nsdi21-5 --protocols epaxos --clients 5 --conflicts 20 --warm-up 1s"
      " --duration 5s --repeat 3 --fault 'at 1s kill OR' --fault 'at 2s partition VA|*'"
      " --fault 'at 2s latency CA-JP +5ms' --fault 'at 3s slow JP 2x' --json " +
      json_path);

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("at 2s partition VA|*; at 2s latency CA-JP +5ms"),
                             ContainsRegex("kill OR .*[0-9] \\([0-9]+\\.\\.[0-9]+\\)"),
                             HasSubstr("Median of the runs, and in brackets their range.")));
  const auto moments =
      nlohmann::json::parse(text_of(json_path))["runs"][0]["longest_without_commit"];
  ASSERT_EQ(moments.size(), 3u) << moments;
  const auto& cut_off = moments[1]["sites"][0];
  EXPECT_EQ(cut_off["site"], "VA");
  ASSERT_EQ(cut_off["of_each_run_ms"].size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(cut_off["of_each_run_ms"][i], 700) << "of the second until the next fault";
    EXPECT_TRUE(cut_off["goes_on"][i]);
    EXPECT_FALSE(moments[2]["sites"][0]["goes_on"][i]) << "there the measurement ends";
  }
  EXPECT_THAT(run.out, ContainsRegex("CA-JP \\+5ms +[0-9]+[^ ]*( \\([0-9.]+\\))?\\+"));
}

TEST(WanProgram, RefusesFaultsThatCannotBeBeforeAnythingStarts) {
  const Refused all[] = {
      {"'at 5s kill LON'", "There is no site \"LON\""},
      {"'at 50s kill JP'", "its time is not before the end of the --duration; give an earlier one"},
      {"'at 5 kill'", "\"kill\" with 0 words behind it is none of the faults"},
      {"'at soon kill JP'", "\"soon\" is no duration"},
      {"'5s kill JP'", "it begins with a time and a verb"},
      {"'at 5s explode JP'", "\"explode\" with 1 word"},
      {"'at 5s slow OR 5'", "\"5\" is not 1x to 1000x"},
      {"'at 5s slow OR 0.5x'", "is not 1x to 1000x"},
      {"'at 5s slow OR nanx'", "is not 1x to 1000x"},
      {"'at 5s latency CA-LON +5ms'", "\"CA-LON\" is not ONE-OTHER of VA, CA, OR, JP, EU"},
      {"'at 5s latency CA-CA +5ms'", "a site has no link to itself"},
      {"'at 5s latency CA-VA 5ms'", "does not begin with +"},
      {"'at 5s latency CA-VA +5'", "\"+5\" has no unit; 50 ms are +50ms"},
      {"'at 5s partition EU,VA'", "it has no part for CA, OR, JP; write them, or *"},
      {"'at 5s partition *'", "at least two parts"},
      {"'at 5s partition EU|EU,*'", "EU is in it twice"},
      {"'at 5s partition VA,CA,OR,JP,EU|*'", "at least two parts"},
      {"'at 5s heal JP'", "is none of the faults"},
      {"'at 5s kill JP' --fault 'at 6s kill JP'", "the replica at JP is dead by then"},
      {"'at 6s slow JP 2x' --fault 'at 5s kill JP'", "'at 6s slow JP 2x': the replica at JP is"},
      {"'at 5s kill JP' --fault 'at 6s kill VA' --fault 'at 7s kill CA'",
       "'at 7s kill CA': no majority of the 5 replicas would live"},
  };
  for (const Refused& each : all) {
    const Finished run =
        bench(std::string("wan --topology sosp13-5 --duration 20s --fault ") + each.arguments);
    EXPECT_EQ(run.status, 2) << each.arguments;
    EXPECT_THAT(run.out,
                AllOf(HasSubstr(each.sentence), HasSubstr("Faults are written 'at 30s kill JP'")))
        << each.arguments;
  }
}

TEST(WanProgram, RefusesWhatThisMachineCannotDoBeforeAnythingStarts) {
  const Refused all[] = {
      // Nobody has the thousands of cores that it takes to be accepted.
      {"--topology aws-19 --place 9 --mode emulated --rate 100000", "this machine with its"},
      {"--topology nsdi21-5 --mode emulated --bandwidth 0.0001 --value-bytes 65536 --duration 2s",
       "one value of --value-bytes 65536 takes 5461 s on a link, longer than the --duration."},
      {"--topology nsdi21-5 --fault 'at 0s kill OR' --latency-before-faults",
       "'at 0s kill OR', is at the beginning of the measured time, and nothing is before it"},
  };
  for (const Refused& each : all) {
    const Finished run = bench(std::string("wan --protocols epaxos ") + each.arguments);
    EXPECT_EQ(run.status, 2) << each.arguments;
    EXPECT_THAT(run.out, HasSubstr(each.sentence)) << each.arguments;
  }
}

}  // namespace
}  // namespace epaxos::bench
