// Emulated runs: real processes and sockets. On a busy machine only what cannot be is certain:
// nothing comes before its bound, everything is counted once, and all states are equal in the end.

#include "bench/wan/emulation.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "bench/report/clock.h"
#include "bench/throughput/protocols.h"
#include "bench/wan/client_keys.h"
#include "bench/wan/emulated_clients.h"
#include "bench/wan/shared_memory.h"
#include "bench/wan/timer_thread.h"
#include "bench/wan/wan.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;
using testing::short_run;
using testing::text_of;

/// Three replicas, and a site D without one, next to C. Clients of A are 1 ms from their replica.
Topology near() {
  return {"near",
          "",
          {"A", "B", "C", "D"},
          {500, 4'000, 9'000, 20'000,  //
           6'000, 0, 7'000, 30'000,    //
           11'000, 8'000, 0, 2'000,    //
           25'000, 35'000, 3'000, 0}};
}

/// One value less than which nothing was measured: exact up to the steps of the histogram.
void expect_nothing_below(const SiteLatency& seen, Tick bound, const std::string& where) {
  ASSERT_GT(seen.execution_us.count(), 0u) << where;
  EXPECT_EQ(seen.execution_us.count(), seen.commit_us.count()) << where;
  EXPECT_GE(seen.execution_us.percentile(0), bound) << where;
  EXPECT_GE(seen.commit_us.percentile(0), bound) << where;
  EXPECT_EQ(seen.failed, 0u) << where;
}

TEST(Emulation, NothingIsFasterThanItsBoundAndAllStatesAreEqual) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  for (const char* const name : {"epaxos", "raft", "multipaxos-all"}) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(ReplicaId(1)) : std::nullopt;

    const MeasuredRun run = must(emulate(placement, protocol, leader, short_run()));

    const Bounds bound = bound_of(placement, name, leader);
    ASSERT_EQ(run.sites.size(), 4u);
    for (std::size_t site = 0; site < run.sites.size(); ++site) {
      const std::string where = std::string(name) + " at " + topology.site(site);
      expect_nothing_below(run.sites[site], bound.by_site_us[site], where);
      // A client sends no sooner than it has its answer, so that so many fit in the second.
      EXPECT_LE(run.sites[site].execution_us.count(), 3 * (kSecond / bound.by_site_us[site] + 1))
          << where;
      EXPECT_EQ(run.sites[site].slow_share.has_value(), !leader) << where;
    }
    EXPECT_TRUE(run.digest.has_value()) << name;
    EXPECT_FALSE(run.interrupted) << name;
  }
}

TEST(Emulation, ConflictsJitterAndLossStillEndInOneState) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = short_run();
  options.conflict_percent = 100;
  options.think_us = 1'000;
  options.links = {.jitter_us = 3'000, .loss = 0.01, .bytes_per_second = 10'000'000};

  const MeasuredRun run = must(emulate(placement, protocol_named("epaxos"), {}, options));

  EXPECT_TRUE(run.digest.has_value());
  EXPECT_GT(run.sites[1].slow_share.value_or(0), 0.0) << "everything conflicts";
  for (const SiteLatency& seen : run.sites) {
    EXPECT_GE(seen.execution_us.percentile(0.5), seen.commit_us.percentile(0.5));
  }
}

TEST(Emulation, StopsWhenItIsToldAndKeepsWhatItHas) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  const auto watch = [](Tick passed, Tick of) {
    EXPECT_EQ(of, 2 * kSecond);
    return passed < kSecond * 3 / 2;
  };

  const MeasuredRun run =
      must(emulate(placement, protocol_named("epaxos"), {}, short_run(), watch));

  EXPECT_TRUE(run.interrupted);
  EXPECT_GT(run.sites[1].execution_us.count(), 0u);
  EXPECT_FALSE(run.digest.has_value());
}

TEST(Emulation, WhoIsToldToStopDoesNotWaitForAReplicaThatStandsStill) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  const auto watch = [](Tick passed, Tick) {
    if (passed < kSecond * 3 / 2) return true;
    ::kill(children_of(::getpid()).front(), SIGSTOP);
    return false;
  };

  const auto run = emulate(placement, protocol_named("epaxos"), {}, short_run(), watch);

  ASSERT_TRUE(run) << run.error().message;
  EXPECT_TRUE(run->interrupted);
}

TEST(Emulation, FaultsHitProcessesAndThoseThatLiveEndInOneState) {
  const Topology topology("near", "", {"A", "B", "C", "D"},
                          {0, 2000, 4000, 9000, 2000, 0, 3000, 9000,  //
                           4000, 3000, 0, 1000, 9000, 9000, 1000, 0});
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = short_run();
  options.measured_us = 4 * kSecond;
  options.faults = must(faults_from({"at 0.5s kill C", "at 2s partition A|B,C", "at 3s heal",
                                     "at 3.1s slow A 3x", "at 3.2s latency A-B +10ms"},
                                    placement, options.measured_us));

  const MeasuredRun run = must(emulate(placement, protocol_named("epaxos"), {}, options));

  EXPECT_TRUE(run.digest.has_value());
  ASSERT_TRUE(run.timeline.has_value());
  // Half of the second without a majority, however late a busy machine begins and ends it.
  EXPECT_GE(run.timeline->gaps[1][0].us, 500'000u);
  EXPECT_GE(run.timeline->gaps[1][1].us, 500'000u);
  for (const std::size_t site : {0u, 1u, 2u, 3u}) {
    EXPECT_GT(run.sites[site].execution_us.count(), 0u);
  }
  for (const std::size_t site : {2u, 3u}) {
    EXPECT_GT(run.sites[site].failed, 0u) << "what was under way at C";
    EXPECT_LE(run.sites[site].failed, 3u) << "one command a client";
    const Tick elsewhere = 4000 + 2 * topology.one_way_us(site, 1);
    EXPECT_GE(run.sites[site].execution_us.max(), elsewhere) << "they go on at B";
  }
}

/// Commands of the open loop of a site that are due in the measured time.
std::uint64_t due(std::size_t site, const RunOptions& options) {
  Arrivals arrivals = arrivals_of(site, options, 0);
  std::uint64_t count = 0;
  for (Tick at = arrivals.next(); at < options.warm_up_us + options.measured_us;
       at = arrivals.next()) {
    if (at >= options.warm_up_us) ++count;
  }
  return count;
}

// However busy the machine is, every command of the schedule is sent once, and none before its
// time.
TEST(Emulation, AnOpenLoopSendsItsScheduleAsInVirtualTime) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = short_run();
  options.open = {.rate = 100};
  for (const char* name : {"epaxos", "raft"}) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(ReplicaId(1)) : std::nullopt;

    const MeasuredRun real = must(emulate(placement, protocol, leader, options));
    const MeasuredRun simulated = must(simulate(placement, protocol, leader, options));

    const Bounds bound = bound_of(placement, name, leader);
    for (std::size_t site = 0; site < real.sites.size(); ++site) {
      const SiteLatency& seen = real.sites[site];
      expect_nothing_below(seen, bound.by_site_us[site], name);
      EXPECT_EQ(seen.execution_us.count(), due(site, options)) << name << ", " << site;
      EXPECT_EQ(seen.execution_us.count(), simulated.sites[site].execution_us.count());
      EXPECT_EQ(seen.late_us.count(), seen.execution_us.count());
    }
  }
}

// A command takes 4 ms at least, so that two of three find another one under way.
TEST(Emulation, WhatAnOpenLoopMayNotSendIsCounted) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = short_run();
  options.open = {.rate = 500, .poisson = false, .in_flight_max = 1};

  const MeasuredRun run = must(emulate(placement, protocol_named("epaxos"), {}, options));

  const Bounds bound = bound_of(placement, "epaxos", {});
  for (std::size_t site = 0; site < run.sites.size(); ++site) {
    const SiteLatency& seen = run.sites[site];
    EXPECT_EQ(seen.execution_us.count() + seen.unsent, due(site, options)) << site;
    EXPECT_GT(seen.unsent, 0u) << site;
    EXPECT_LE(seen.execution_us.count(), kSecond / bound.by_site_us[site] + 1) << site;
  }
}

// Whoever takes a site over goes on where the replica that was killed left its schedule. At the
// moment of the kill one command a site may be counted twice or not at all.
TEST(Emulation, TheScheduleOfAnOpenLoopGoesOnElsewhere) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = short_run();
  options.measured_us = 2 * kSecond;
  options.open = {.rate = 200};
  options.faults = must(faults_from({"at 0.5s kill C"}, placement, options.measured_us));

  const MeasuredRun run = must(emulate(placement, protocol_named("epaxos"), {}, options));

  for (std::size_t site = 0; site < run.sites.size(); ++site) {
    const SiteLatency& seen = run.sites[site];
    EXPECT_NEAR(static_cast<double>(seen.execution_us.count() + seen.failed),
                static_cast<double>(due(site, options)), 1)
        << site;
    EXPECT_EQ(seen.unsent, 0u);
  }
  EXPECT_GE(run.sites[2].execution_us.max(), 18'000u) << "from C to B and back, at least";
}

// In the end all clients ask replicas that were restarted, as the only other one is dead: whatever
// was due since then they have executed, and only a command that was under way at a kill is lost.
TEST(Emulation, WhoIsRestartedServesAgainWithWhatItsDiskKept) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  const Scratch scratch;
  RunOptions options = short_run();
  options.clients = 1;
  options.durability = Durability::kSync;
  options.data = scratch.path();
  options.measured_us = 3 * kSecond;
  options.faults = must(faults_from({"at 0.4s kill C", "at 0.6s restart C", "at 1.2s kill B",
                                     "at 1.4s restart B", "at 2s kill A"},
                                    placement, options.measured_us));
  const std::pair<const char*, double> all[] = {{"epaxos", 20}, {"raft", 0}};
  for (const auto& [name, rate] : all) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(ReplicaId(1)) : std::nullopt;
    options.open.rate = rate;

    const MeasuredRun run = must(emulate(placement, protocol, leader, options));

    EXPECT_TRUE(run.digest.has_value()) << name;
    for (std::size_t site = 0; site < run.sites.size(); ++site) {
      const SiteLatency& seen = run.sites[site];
      EXPECT_GT(seen.execution_us.count(), 0u) << name << ", " << site;
      if (options.open.is_on()) {
        const auto ended = static_cast<double>(seen.execution_us.count() + seen.failed);
        EXPECT_NEAR(ended, static_cast<double>(due(site, options)), 3) << "one a kill, " << site;
      } else {
        EXPECT_LE(seen.failed, 3u) << name << ", " << site << ": one a kill";
      }
      const double share = seen.slow_share.value_or(0);
      EXPECT_TRUE(share >= 0 && share <= 1) << share;
    }
    EXPECT_TRUE(std::filesystem::is_empty(scratch.path())) << "the data is removed";
  }
}

/// Whether it comes to hold, however busy the machine is.
bool becomes_true(Subject& subject, const std::function<bool()>& holds) {
  const Tick deadline = now_us() + 60 * kSecond;
  while (now_us() < deadline) {
    if (holds()) return true;
    subject.tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

// Who is to ask another replica goes there when its command has ended, and none gets lost or
// doubled on the way there and back.
TEST(Emulation, ClientsLeaveForTheReplicaThatTheyAreToAskAndComeBack) {
  const Topology topology = near();
  const Placement placement(topology, {0});
  const Protocol protocol = protocol_named("epaxos");
  auto cluster = must(ClusterConfig::loopback("bench", 1));
  cluster.replicas[0].client.clear();
  for (const double rate : {0.0, 100.0}) {
    RunOptions options = short_run();
    options.open.rate = rate;
    const std::size_t count = rate > 0 ? 1 : options.clients;
    const auto shared = make_shared_value<SharedRun>();
    ASSERT_NE(shared, nullptr);
    SharedRun::Replica& told = shared->replicas[0];
    std::size_t ended = 0;
    const auto more_end = [&] {
      const std::size_t before = ended;
      told.samples.read([&ended](const Sample&) { ++ended; });
      return ended > before;
    };
    const EmulatedGroup group{placement, protocol, {}, options, *shared};
    const auto subject = must(emulated_clients(group)({}, {cluster, ReplicaId(0), ""}));
    ASSERT_TRUE(becomes_true(*subject, [&] { return subject->ready(); }));
    shared->begin_us = now_us();
    shared->waiting_clients[1] = count;
    subject->start_load();
    ASSERT_TRUE(becomes_true(*subject, more_end));

    shared->server_of[1] = 1;
    EXPECT_TRUE(becomes_true(*subject, [&] { return shared->waiting_clients[1] == count; }));
    EXPECT_EQ(told.clients[1], 0u);
    more_end();
    const std::uint64_t arrived = shared->arrived[1];
    shared->server_of[1] = 0;
    EXPECT_TRUE(becomes_true(*subject, [&] { return told.clients[1] == count; }));
    EXPECT_EQ(shared->waiting_clients[1], 0u);

    EXPECT_TRUE(becomes_true(*subject, more_end));
    EXPECT_TRUE(rate == 0 || becomes_true(*subject, [&] { return shared->arrived[1] > arrived; }));
    ASSERT_TRUE(subject->close().has_value());
  }
}

TEST(Emulation, EveryMixRunsAndReadsStandApart) {
  const Topology topology = near();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = short_run();
  const std::pair<const char*, const char*> all[] = {
      {"B", "multipaxos"}, {"D", "epaxos"}, {"E", "epaxos"}, {"F", "epaxos"}};
  for (const auto& [workload, name] : all) {
    options.mix = must(ycsb_mix(workload));
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(ReplicaId(1)) : std::nullopt;

    const MeasuredRun run = must(emulate(placement, protocol, leader, options));

    const Bounds reads =
        read_bound_of(placement, name, leader, reads_of(protocol, options.reads_by));
    for (std::size_t site = 0; site < run.sites.size(); ++site) {
      const std::string where = std::string(workload) + ", " + name + ", " + topology.site(site);
      const SiteLatency& seen = run.sites[site];
      ASSERT_GT(seen.reads.execution_us.count(), 0u) << where;
      EXPECT_GE(seen.reads.execution_us.percentile(0), reads.by_site_us[site]) << where;
      EXPECT_EQ(seen.reads.execution_us.count() + seen.writes.execution_us.count(),
                seen.execution_us.count())
          << where;
      EXPECT_EQ(seen.late_us.count(), seen.execution_us.count() + seen.failed) << where;
    }
    EXPECT_TRUE(run.digest.has_value()) << workload << ", " << name;
  }
}

TEST(WanProgram, EmulatesWithTheSameTableFilesAndGates) {
  const Scratch scratch;
  const std::string csv = scratch.path() / "out.csv";
  const std::string json_path = scratch.path() / "out.json";
  const std::string trace = scratch.path() / "trace.json";

  const Finished run = bench(
      "wan --mode emulated --topology sosp13-3 --protocols epaxos,raft --leaders EU --clients 2"
      " --warm-up 1s --duration 1s --jitter 1ms --bandwidth 100 --assert 'p50<1ms' --csv " +
      csv + " --json " + json_path + " --trace-commands 5 --trace " + trace);

  EXPECT_EQ(run.status, 3) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("Emulated: replicas at CA, VA, EU"),
                             HasSubstr("jitter up to 0.001 s, 100.0 Mbit/s"),
                             HasSubstr("raft led from EU  CA    246.0"),
                             HasSubstr("p50<1ms does not hold for the commit of epaxos at CA")));
  const auto json = nlohmann::json::parse(text_of(json_path));
  EXPECT_EQ(json["mode"], "emulated");
  EXPECT_EQ(json["runs"].size(), 2u);
  EXPECT_FALSE(json["runs"][0].contains("trace_hash"));
  EXPECT_TRUE(json["runs"][0].contains("digest"));
  const auto& site = json["runs"][0]["sites"][0];
  EXPECT_EQ(site["late"]["count"], site["execution"]["count"]);
  EXPECT_THAT(text_of(trace), AllOf(HasSubstr("\"epaxos, seed 1: R2 EU\""),
                                    HasSubstr("\"raft led from EU, seed 1: R0 CA\""),
                                    HasSubstr("\"name\":\"first round\"")));
  EXPECT_THAT(text_of(csv), HasSubstr("\nsosp13-3,emulated,raft,EU,VA,VA,2,"));
}

TEST(WanProgram, CtrlCEndsTheReplicasOfAnEmulationAndPrintsWhatWasMeasured) {
  const Finished run =
      interrupted_bench({"wan", "--mode", "emulated", "--topology", "sosp13-3", "--protocols",
                         "epaxos", "--clients", "1", "--duration", "1h"});

  EXPECT_EQ(run.status, 130);
  EXPECT_THAT(run.out, HasSubstr("Emulated: replicas at CA, VA, EU"));
}

TEST(TimerThread, RunsWhatIsDueInItsOrderAndForgetsTheRest) {
  std::vector<int> ran;
  std::mutex mutex;
  std::condition_variable last;
  const auto note = [&](int number) {
    const std::scoped_lock lock(mutex);
    ran.push_back(number);
    last.notify_one();
  };
  {
    TimerThread timer;
    const Tick now = now_us();
    timer.at(now + 20'000, [&] { note(2); });
    timer.at(now + 3600 * kSecond, [&] { note(4); });
    timer.at(now + 10'000, [&] {
      note(1);
      timer.at(now + 30'000, [&] {
        EXPECT_GE(now_us(), now + 30'000);
        note(3);
      });
    });
    std::unique_lock lock(mutex);
    last.wait(lock, [&] { return ran.size() == 3; });
  }
  EXPECT_THAT(ran, ::testing::ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace epaxos::bench
