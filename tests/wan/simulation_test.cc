// Simulated protocols against the bounds: without conflicts and load every one of them reaches its
// bound at every site, and the same seed gives the same run.

#include "bench/wan/simulation.h"

#include <gmock/gmock.h>
#include <random>

#include "bench/throughput/protocols.h"
#include "bench/wan/wan.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using testing::any_topology;
using testing::must;
using testing::shipped;
using testing::short_run;

/// Runs a protocol, led from each site if it has a leader, and holds every site to its bound.
void expect_bounds(const Placement& placement, const std::string& name, const RunOptions& options) {
  const Protocol protocol = protocol_named(name);
  std::vector<std::optional<ReplicaId>> leaders;
  if (has_leader(protocol)) {
    for (const ReplicaId leader : members_of(placement.all())) leaders.emplace_back(leader);
  } else {
    leaders.emplace_back(std::nullopt);
  }
  for (const auto& leader : leaders) {
    const MeasuredRun run = must(simulate(placement, protocol, leader, options));
    const Bounds bound = bound_of(placement, name, leader);
    for (std::size_t site = 0; site < run.sites.size(); ++site) {
      const std::string where =
          name_of(placement, name, leader) + " at " + placement.topology().site(site);
      const SiteLatency& seen = run.sites[site];
      const auto least = static_cast<double>(bound.by_site_us[site]);
      ASSERT_GT(seen.execution_us.count(), 0u) << where;
      EXPECT_EQ(seen.failed, 0u) << where;
      for (const FineHistogram* phase : {&seen.commit_us, &seen.execution_us}) {
        const auto p50 = static_cast<double>(phase->percentile(0.5));
        EXPECT_GE(p50, least) << where;
        EXPECT_LE(p50, 1.01 * least + 1000) << where;
      }
      EXPECT_EQ(seen.slow_share, leader ? std::nullopt : std::optional(0.0)) << where;
    }
  }
}

TEST(Simulation, EveryProtocolReachesItsBoundWhereverItsLeaderIs) {
  for (const char* name : {"sosp13-3", "sosp13-5", "nsdi21-5"}) {
    const Topology topology = shipped(name);
    const Placement placement = must(Placement::at(topology, {}));
    for (const std::string& protocol : measured_protocols()) {
      expect_bounds(placement, protocol, short_run());
    }
  }
}

TEST(Simulation, AlsoInGroupsOfAnySizeWithDelaysThatDifferByDirection) {
  std::mt19937_64 random(5);
  for (const std::size_t n : {1u, 2u, 4u, 7u, 9u}) {
    const Topology topology = any_topology(n, 150'000, random);
    const Placement placement = must(Placement::at(topology, {}));
    for (const std::string& protocol : measured_protocols()) {
      expect_bounds(placement, protocol, short_run());
    }
  }
}

TEST(Simulation, ClientsWithoutAReplicaAtTheirSiteAskTheNearest) {
  const Topology topology = shipped("azure-6");
  const Placement placement =
      must(Placement::at(topology, {"eastus2", "francecentral", "southeastasia"}));
  for (const std::string& protocol : measured_protocols()) {
    expect_bounds(placement, protocol, short_run());
  }
}

TEST(Simulation, TheSameSeedGivesTheSameRun) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.conflict_percent = 25;
  for (const std::string& name : measured_protocols()) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(ReplicaId(2)) : std::nullopt;
    options.seed = 1;
    const MeasuredRun one = must(simulate(placement, protocol, leader, options));
    const MeasuredRun again = must(simulate(placement, protocol, leader, options));
    options.seed = 2;
    const MeasuredRun other = must(simulate(placement, protocol, leader, options));

    EXPECT_EQ(one, again) << name;
    EXPECT_NE(one.trace_hash, other.trace_hash) << name;
  }
}

// Twice a round trip to a majority each; executed when the commits of the others have come too. Who
// is far away meets a key that rests at times.
TEST(Simulation, WhereEverythingConflictsCommitsTakeTheSlowPathAndExecutionWaits) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 10 * kSecond;
  options.conflict_percent = 100;
  options.limit_hot_keys = false;

  const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));

  const Bounds slow = epaxos_slow_path(placement);
  for (std::size_t site = 0; site < run.sites.size(); ++site) {
    const SiteLatency& seen = run.sites[site];
    const auto bound = static_cast<double>(slow.by_site_us[site]);
    EXPECT_GE(seen.slow_share.value_or(0), 0.7) << topology.site(site);
    EXPECT_NEAR(static_cast<double>(seen.commit_us.percentile(0.5)), bound, 0.03 * bound)
        << topology.site(site);
    EXPECT_GE(seen.execution_us.percentile(0.5), seen.commit_us.percentile(0.5));
    EXPECT_GT(seen.execution_us.percentile(0.5), 250'000u) << topology.site(site);
  }
}

TEST(Simulation, ThinkingClientsSendLess) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 10 * kSecond;
  options.think_us = kSecond;

  const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));

  // One each 1.085 s, of three clients.
  EXPECT_NEAR(static_cast<double>(run.sites[0].execution_us.count()), 27.6, 3);
}

// Jitter is drawn evenly, so that half of it comes on top of a way, and of two ways more often than
// not more; and who waits for the answers of two replicas waits for the later one.
TEST(Simulation, JitterAndLossComeOnTopOfTheDelays) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 20 * kSecond;
  options.links.jitter_us = 10'000;
  const MeasuredRun jitter = must(simulate(placement, protocol_named("epaxos"), {}, options));
  options.links = {.loss = 0.2};
  const MeasuredRun loss = must(simulate(placement, protocol_named("epaxos"), {}, options));

  const Bounds bound = bound_of(placement, "epaxos", {});
  for (std::size_t site = 0; site < jitter.sites.size(); ++site) {
    const Tick least = bound.by_site_us[site];
    const FineHistogram& late = jitter.sites[site].execution_us;
    EXPECT_GE(late.percentile(0), least);
    EXPECT_GE(late.percentile(0.5), least + 5'000);
    EXPECT_LE(late.max(), least + 30'000);
    const FineHistogram& lost = loss.sites[site].execution_us;
    EXPECT_GE(lost.percentile(0), least);
    EXPECT_GE(lost.percentile(0.95), least + LinkTrouble::kResentUs / 2);
  }
}

TEST(Simulation, AnOpenLoopSendsAtItsTimesWhateverBecameOfOthers) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 20 * kSecond;
  options.open = {.rate = 50, .poisson = false};
  const MeasuredRun even = must(simulate(placement, protocol_named("epaxos"), {}, options));
  options.open.poisson = true;
  const MeasuredRun poisson = must(simulate(placement, protocol_named("epaxos"), {}, options));
  options.open.in_flight_max = 2;
  const MeasuredRun few = must(simulate(placement, protocol_named("epaxos"), {}, options));

  const Bounds bound = bound_of(placement, "epaxos", {});
  for (std::size_t site = 0; site < even.sites.size(); ++site) {
    EXPECT_NEAR(static_cast<double>(even.sites[site].execution_us.count()), 1000, 1);
    // Three standard deviations and more.
    EXPECT_NEAR(static_cast<double>(poisson.sites[site].execution_us.count()), 1000, 110);
    EXPECT_EQ(poisson.sites[site].unsent, 0u);
    for (const MeasuredRun* run : {&even, &poisson, &few}) {
      EXPECT_GE(run->sites[site].execution_us.percentile(0), bound.by_site_us[site]);
    }
    // Two at a time, each for the bound.
    EXPECT_LE(few.sites[site].execution_us.count(), 2 * 20 * kSecond / bound.by_site_us[site] + 2);
    EXPECT_EQ(few.sites[site].execution_us.count() + few.sites[site].unsent,
              poisson.sites[site].execution_us.count());
  }
}

// A replica that is cut off answers late; from its intended time on, that counts.
TEST(Simulation, AnOpenLoopCountsFromTheIntendedTime) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 10 * kSecond;
  options.open = {.rate = 100, .poisson = false};
  options.faults =
      must(faults_from({"at 2s partition EU|*", "at 4s heal"}, placement, options.measured_us));

  const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));

  const FineHistogram& cut_off = run.sites[2].execution_us;
  EXPECT_EQ(cut_off.count(), 1000u) << "none is left out because others were late";
  EXPECT_GE(cut_off.percentile(0.9), kSecond) << "a fifth waited for up to two seconds";
}

TEST(Simulation, JudgesTheHistoryOfTheRunItself) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.measured_us = 5 * kSecond;
  options.conflict_percent = 50;
  options.check_linearizability = true;
  options.faults = must(
      faults_from({"at 1s kill OR", "at 2s partition EU|*", "at 3s heal"}, placement, 5 * kSecond));
  for (const std::string& name : measured_protocols()) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(ReplicaId(2)) : std::nullopt;

    const MeasuredRun run = must(simulate(placement, protocol, leader, options));

    std::uint64_t executed = 0;
    for (const SiteLatency& seen : run.sites) executed += seen.execution_us.count();
    EXPECT_GT(executed, 0u) << name;
    EXPECT_GE(run.linearizable.value_or(0), executed) << name;
    EXPECT_TRUE(run.digest.has_value()) << name;
  }
}

// Every replica decides alone, as if it were the only one.
TEST(Simulation, FailsWhenReplicasDiffer) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.conflict_percent = 100;
  options.think_us = 100'000;  // Alone, nothing else takes time.
  const Protocol epaxos = protocol_named("epaxos");
  Protocol alone = epaxos;
  alone.make_core = [&epaxos](CoreConfig config) {
    config.self = ReplicaId(0);
    config.replica_count = 1;
    return epaxos.make_core(config);
  };

  const auto run = simulate(placement, alone, {}, options);

  ASSERT_FALSE(run.has_value());
  EXPECT_THAT(run.error().message, ::testing::HasSubstr("did not come to one state"));
}

TEST(Simulation, StopsWhenItIsTold) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  int asked = 0;
  const MeasuredRun run =
      must(simulate(placement, protocol_named("epaxos"), {}, short_run(), [&asked](Tick, Tick of) {
        EXPECT_EQ(of, 2 * kSecond);
        return ++asked < 5;
      }));

  EXPECT_TRUE(run.interrupted);
  EXPECT_EQ(asked, 5);
}

TEST(Timers, FitTheRoundTrips) {
  const Topology near("near", "", {"A", "B"}, {0, 1000, 1000, 0});
  const Topology far("far", "", {"A", "B"}, {0, 200'000, 300'000, 0});

  const CoreConfig usual = timers_for(Placement(near, {0, 1}));
  EXPECT_EQ(usual.suspicion_us, CoreConfig().suspicion_us);
  EXPECT_EQ(usual.election_us, CoreConfig().election_us);
  const CoreConfig raised = timers_for(Placement(far, {0, 1}));
  EXPECT_GT(raised.suspicion_us, 500'000u);
  EXPECT_GT(raised.retransmit_us, 1'000'000u) << "what is forwarded waits for two round trips";
  EXPECT_GE(raised.election_us, 2'000'000u);
}

}  // namespace
}  // namespace epaxos::bench
