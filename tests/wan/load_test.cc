// Loads of experiments: reads apart from writes and against bounds of their own, keys by Zipf's
// law, the workloads of YCSB, and what reports and files say of them.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "bench/throughput/protocols.h"
#include "bench/wan/client_keys.h"
#include "bench/wan/wan.h"
#include "bench/wan/wan_report.h"
#include "epaxos/node/config.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using testing::shipped;
using testing::short_run;
using testing::text_of;

std::optional<ReplicaId> leader_of(const Protocol& protocol) {
  return has_leader(protocol) ? std::optional(ReplicaId(2)) : std::nullopt;
}

/// Sums over the sites.
std::pair<std::uint64_t, std::uint64_t> reads_and_writes(const MeasuredRun& run) {
  std::pair<std::uint64_t, std::uint64_t> sums;
  for (const SiteLatency& seen : run.sites) {
    EXPECT_EQ(seen.execution_us.count(),
              seen.reads.execution_us.count() + seen.writes.execution_us.count());
    sums.first += seen.reads.execution_us.count();
    sums.second += seen.writes.execution_us.count();
  }
  return sums;
}

// Nothing is written: a replica that hears of a commit later than the leader would read later.
TEST(Loads, ReadsReachTheBoundOfTheWayTheyTake) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 5 * kSecond;
  options.think_us = 10'000;  // A read by a lease takes no time.
  options.mix.read_percent = 100;
  for (const Reads way : {Reads::kLog, Reads::kIndex, Reads::kLease}) {
    options.reads_by = way;
    for (const std::string& name : measured_protocols()) {
      const Protocol protocol = protocol_named(name);
      const auto leader = leader_of(protocol);

      const MeasuredRun run = must(simulate(placement, protocol, leader, options));

      const Bounds bound =
          read_bound_of(placement, name, leader, reads_of(protocol, options.reads_by));
      for (std::size_t site = 0; site < run.sites.size(); ++site) {
        const std::string where =
            name + " by " + std::string(to_string(way)) + " at " + topology.site(site);
        const FineHistogram& seen = run.sites[site].reads.execution_us;
        ASSERT_GT(seen.count(), 0u) << where;
        const auto least = static_cast<double>(bound.by_site_us[site]);
        EXPECT_GE(static_cast<double>(seen.percentile(0)), least) << where;
        EXPECT_LE(static_cast<double>(seen.percentile(0.5)), 1.01 * least + 1000) << where;
        EXPECT_EQ(run.sites[site].failed, 0u) << where;
      }
    }
  }
}

TEST(Loads, ReadsOfOneKeyDoNotWaitForEachOther) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.conflict_percent = 100;
  options.mix.read_percent = 100;

  const MeasuredRun reads = must(simulate(placement, protocol_named("epaxos"), {}, options));
  options.mix.read_percent = 50;
  const MeasuredRun both = must(simulate(placement, protocol_named("epaxos"), {}, options));

  const Bounds bound = bound_of(placement, "epaxos", {});
  for (std::size_t site = 0; site < reads.sites.size(); ++site) {
    EXPECT_EQ(reads.sites[site].slow_share, 0.0) << topology.site(site);
    EXPECT_LE(reads.sites[site].execution_us.max(), bound.by_site_us[site] + 1000);
    EXPECT_EQ(reads.sites[site].writes.execution_us.count(), 0u);
    EXPECT_GT(both.sites[site].slow_share.value_or(0), 0.0) << "with writes they conflict";
  }
}

TEST(Loads, EveryWorkloadOfYcsbRunsOnEveryProtocol) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 5 * kSecond;
  options.clients = 10;
  for (const char* name : {"A", "B", "C", "D", "E", "F"}) {
    options.mix = must(ycsb_mix(name));
    options.mix.keys = 1000;
    // Of F each half of the operations is a read alone, and the other half is one and a write.
    const double reads_percent = options.mix.modifies ? 100 / 1.5 : options.mix.read_percent;
    for (const std::string& protocol_name : measured_protocols()) {
      const Protocol protocol = protocol_named(protocol_name);

      const MeasuredRun run = must(simulate(placement, protocol, leader_of(protocol), options));

      const auto [reads, writes] = reads_and_writes(run);
      const auto all = static_cast<double>(reads + writes);
      ASSERT_GT(all, 500) << name;
      EXPECT_NEAR(100 * static_cast<double>(reads) / all, reads_percent, 8)
          << name << " with " << protocol_name;
      EXPECT_TRUE(run.digest.has_value());
    }
  }
}

TEST(Loads, TheSameSeedGivesTheSameRunAndTheSkewIsFelt) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 10 * kSecond;
  options.clients = 10;
  const auto slow_share_of = [&](double theta) {
    options.mix = {.read_percent = 50, .zipf_theta = theta};
    const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));
    EXPECT_EQ(run, must(simulate(placement, protocol_named("epaxos"), {}, options)));
    double sum = 0;
    for (const SiteLatency& seen : run.sites) sum += seen.slow_share.value_or(0);
    return sum / static_cast<double>(run.sites.size());
  };

  EXPECT_LT(2 * slow_share_of(0.5), slow_share_of(0.99));
}

TEST(Loads, HistoriesOfEveryMixAreLinearizable) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 3 * kSecond;
  options.clients = 5;
  options.check_linearizability = true;
  options.faults =
      must(faults_from({"at 1s kill EU", "at 2s latency CA-VA +50ms"}, placement, 3 * kSecond));
  for (const char* name : {"A", "D", "E", "F"}) {
    options.mix = must(ycsb_mix(name));
    options.mix.keys = 50;
    for (const Reads way : {Reads::kIndex, Reads::kLease}) {
      options.reads_by = way;
      for (const std::string& protocol_name : measured_protocols()) {
        const Protocol protocol = protocol_named(protocol_name);
        const auto leader = has_leader(protocol) ? std::optional(ReplicaId(0)) : std::nullopt;

        const MeasuredRun run = must(simulate(placement, protocol, leader, options));

        const auto [reads, writes] = reads_and_writes(run);
        EXPECT_GE(run.linearizable.value_or(0), reads + writes) << name << ", " << protocol_name;
        EXPECT_GT(reads, 0u);
      }
    }
  }
}

TEST(Loads, AnOpenLoopCountsBothHalvesOfAReadModifyWrite) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 10 * kSecond;
  options.open = {.rate = 50, .poisson = false};
  options.mix = must(ycsb_mix("F"));

  const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));

  for (const SiteLatency& seen : run.sites) {
    EXPECT_NEAR(static_cast<double>(seen.reads.execution_us.count()), 500, 1)
        << "each operation begins with one";
    EXPECT_NEAR(static_cast<double>(seen.writes.execution_us.count()), 250, 60);
  }
}

TEST(Loads, InVirtualTimeNothingIsLate) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));

  const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, short_run()));

  for (const SiteLatency& seen : run.sites) EXPECT_EQ(seen.late_us.count(), 0u);
}

TEST(SiteLatencies, AddUp) {
  SiteLatency one;
  one.add(10, 20);
  one.reads.add(10, 20);
  one.late_us.add(3);
  one.failed = 1;
  SiteLatency other;
  other.add(30, 40);
  other.writes.add(30, 40);
  other.unsent = 2;

  one.merge(other);

  EXPECT_EQ(one.execution_us.count(), 2u);
  EXPECT_EQ(one.execution_us.max(), 40u);
  EXPECT_EQ(one.reads.commit_us.max(), 10u);
  EXPECT_EQ(one.writes.commit_us.max(), 30u);
  EXPECT_EQ(one.late_us.count(), 1u);
  EXPECT_EQ(one.failed, 1u);
  EXPECT_EQ(one.unsent, 2u);
}

TEST(Arrivals, AreTheSameForTheSameSeedAndOthersAtEachSite) {
  RunOptions options;
  options.open = {.rate = 100};
  const auto first_of = [&](std::size_t site, Tick begin) {
    Arrivals arrivals = arrivals_of(site, options, begin);
    std::vector<Tick> times;
    for (int i = 0; i < 1000; ++i) times.push_back(arrivals.next() - begin);
    EXPECT_TRUE(std::ranges::is_sorted(times));
    return times;
  };

  EXPECT_EQ(first_of(1, 0), first_of(1, 123'456'789));
  EXPECT_NE(first_of(1, 0), first_of(2, 0));
  // A thousand intervals of 10 ms, and three standard deviations of their sum.
  EXPECT_NEAR(static_cast<double>(first_of(1, 0).back()), 10e6, 1e6);
  options.open.poisson = false;
  EXPECT_EQ(first_of(1, 0).back(), 10'000'000u);
}

TEST(WanProgram, ReadsStandApartFromWritesInEveryFile) {
  const Scratch scratch;
  const auto out = scratch.path() / "report";

  const Finished run = bench(
      "wan --topology sosp13-5 --protocols epaxos,raft --leaders CA --ycsb a --keys 1000"
      " --reads-by lease --clients 3 --warm-up 1s --duration 3s"
      " --assert 'execution p99<1ms' --repeat 2 --out " +
      out.string());

  EXPECT_EQ(run.status, 3) << run.out;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("workload A of YCSB, 50 % reads and 50 % writes of 16 bytes,\n"
                              "of 1,000 keys that all share, by Zipf's law with theta 0.99\n"
                              "(generator of Gray et al., SIGMOD 1994, not scrambled); 3 s"),
                    HasSubstr("Reads of epaxos go through the log, and conflict with writes only."),
                    HasSubstr("Reads of raft go to any replica and not through the log, after a "
                              "word of the leader (lease)"),
                    HasSubstr("raft led from CA  VA    reads    85.0"),
                    HasSubstr("raft led from CA  VA    writes  170.0"),
                    HasSubstr("for the execution of reads of raft led from CA at VA: it is 85.0")));
  EXPECT_THAT(run.out, Not(HasSubstr("bottleneck")));
  const auto json = nlohmann::json::parse(text_of(out / "results.json"));
  EXPECT_EQ(json["ycsb"], "A");
  EXPECT_EQ(json["reads_percent"], 50);
  EXPECT_EQ(json["zipf_theta"], 0.99);
  EXPECT_EQ(json["keys"], 1000);
  EXPECT_EQ(json["runs"][0]["reads_by"], "log");
  EXPECT_EQ(json["runs"][1]["reads_by"], "lease");
  const auto& site = json["runs"][1]["sites"][0];
  EXPECT_EQ(site["reads"]["bound_ms"], 85.0);
  EXPECT_EQ(site["writes"]["bound_ms"], 170.0);
  EXPECT_EQ(site["reads"]["execution"]["of_each_run"]["p50_ms"].size(), 2u);
  EXPECT_EQ(site["reads"]["execution"]["count"].get<int>() +
                site["writes"]["execution"]["count"].get<int>(),
            site["execution"]["count"].get<int>());
  EXPECT_FALSE(site.contains("late"));
  const std::string csv = text_of(out / "results.csv");
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 2 * 5 * 3);
  EXPECT_THAT(csv, AllOf(HasSubstr(",kind,ycsb,reads_percent,reads_by,zipf_theta,keys,"),
                         HasSubstr(",all,A,50,log,0.9900,1000,,,0,1,\"\",none,0\n"),
                         HasSubstr(",reads,A,50,lease,0.9900,1000,,,0,1,\"\",none,0\n"),
                         HasSubstr(",writes,A,50,lease,0.9900,1000,,,0,1,\"\",none,0\n")));
  for (const char* name : {"reads.commit", "reads.execution", "writes.execution"}) {
    const std::string log = "raft-led-from-CA.VA." + std::string(name) + ".hgrm";
    EXPECT_TRUE(std::filesystem::exists(out / "histograms" / log)) << log;
  }
  EXPECT_THAT(text_of(out / "report.html"), HasSubstr("<td class=\"left\">reads</td>"));
}

TEST(WanProgram, ReadsAloneAreMeasuredAgainstTheirBound) {
  const Finished run = bench(
      "wan --topology sosp13-5 --protocols multipaxos --leaders CA --ycsb C --reads-by lease "
      "--think 10ms"
      " --clients 2 --warm-up 1s --duration 1s --assert 'p50<=1.01*bound+1ms'");

  EXPECT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("workload C of YCSB, reads,\n"),
                    HasSubstr("multipaxos led from CA  VA     85.0"), Not(HasSubstr("writes"))));
}

TEST(WanProgram, ADifferenceIsFoundAmongReads) {
  const Scratch scratch;
  const std::string before = scratch.path() / "before.json";
  const std::string after = scratch.path() / "after.json";
  const std::string options =
      "wan --topology sosp13-5 --protocols raft --leaders CA --clients 2 --reads 50 --warm-up 1s"
      " --duration 1s --repeat 5 --reads-by ";
  ASSERT_EQ(bench(options + "index --json " + before).status, 0);
  ASSERT_EQ(bench(options + "lease --json " + after).status, 0);

  const Finished run = bench("wan-diff " + before + " " + after);

  EXPECT_EQ(run.status, 3);
  EXPECT_THAT(run.out, AllOf(HasSubstr("reads_by: \"index\", then \"lease\""),
                             HasSubstr("raft led from CA at VA, reads, execution p50"),
                             Not(HasSubstr("at VA, writes, execution p50"))));
}

/// A result of a run in real time at whose second site a tenth of the commands left so late.
struct LateRun {
  explicit LateRun(Tick late_us) {
    options.mode = WanMode::kEmulated;
    MeasuredRun measured{"epaxos", {}, std::vector<SiteLatency>(3), 0, 0, {}, {}, {}, false};
    for (SiteLatency& seen : measured.sites) {
      seen.add(100'000, 100'000);
      seen.late_us.add(10, 90);
    }
    measured.sites[1].late_us.add(late_us, 10);
    const Bounds bound = bound_of(placement, "epaxos", {});
    result.runs.push_back({measured, bound, bound, Reads::kLog, {measured}});
  }

  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  WanOptions options;
  WanResult result{placement, {}, 0, false};
};

TEST(WanReport, SaysWhenTheGeneratorWasTheBottleneck) {
  LateRun late(5'000);

  EXPECT_THAT(to_text(late.options, late.result),
              AllOf(HasSubstr("The generator was the bottleneck of epaxos: commands left late, by "
                              "ms in the median and the 99th percentile: VA 0.010 and 5.000.\n"),
                    HasSubstr("Ask for fewer --clients or more --think.")));
  late.options.run.open.rate = 10;
  EXPECT_THAT(to_text(late.options, late.result), HasSubstr("Ask for a lower --rate."));
}

TEST(WanReport, KeepsLatenessThatDoesNotMatterForTheFiles) {
  const LateRun late(900);

  EXPECT_THAT(to_text(late.options, late.result), Not(HasSubstr("bottleneck")));
  const auto json = nlohmann::json::parse(to_json(late.options, late.result));
  EXPECT_EQ(json["runs"][0]["sites"][1]["late"]["p99_ms"], 0.9);
  EXPECT_EQ(json["runs"][0]["sites"][0]["late"]["count"], 90);
  EXPECT_THAT(to_csv(late.options, late.result), HasSubstr(",0.010,0.900,0,1,"));
}

}  // namespace
}  // namespace epaxos::bench
