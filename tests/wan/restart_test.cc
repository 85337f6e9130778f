// A replica that was killed comes back with what its disk kept: whose clients ask it when, what the
// others see of it, and what a run tells.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "bench/throughput/protocols.h"
#include "bench/wan/paths.h"
#include "bench/wan/wan.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/trace_support.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;
using testing::shipped;
using testing::text_of;

constexpr ReplicaId kLeader{1};  // CA of sosp13-5.
constexpr ReplicaId kHome{3};    // JP.

/// Nine seconds whose history is judged, at durability sync.
RunOptions with_faults(const Placement& placement, const std::vector<std::string>& faults) {
  RunOptions options = testing::short_run();
  options.measured_us = 9 * kSecond;
  options.conflict_percent = 30;
  options.check_linearizability = true;
  options.durability = Durability::kSync;
  options.faults = must(faults_from(faults, placement, options.measured_us));
  return options;
}

/// When commands were given to a replica that it has executed in that life.
std::vector<std::int64_t> executed_at(ReplicaId replica, const nlohmann::json& events) {
  std::vector<std::int64_t> times;
  for (const nlohmann::json& event : events) {
    const bool is_command = event.at("ph") == "X" && event.contains("args") &&
                            event.at("args").contains("proposed by") &&
                            event.at("pid") == replica.value() + 1;
    const std::string name = event.at("name");
    if (is_command && !name.ends_with("not executed")) times.push_back(event.at("ts"));
  }
  return times;
}

TEST(Faults, ARestartedReplicaIsAskedWhenItAnswersAndBeforeIfNobodyElseDoes) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  const ReplicaId home = placement.nearest(0);
  FaultyWorld world(placement);
  const auto faults = must(faults_from(
      {"at 1s kill CA", "at 2s restart CA", "at 3s kill VA", "at 4s restart VA", "at 5s kill EU"},
      placement, 9 * kSecond));

  for (const Fault& fault : {faults[0], faults[1]}) world.apply(fault);
  EXPECT_NE(world.placement().nearest(0), home);
  EXPECT_EQ(world.returning(), ReplicaSet::only(home));
  world.answers_again(home);
  EXPECT_EQ(world.placement().nearest(0), home);
  EXPECT_EQ(world.answering(), placement.all());

  world.apply(faults[0]);
  for (const Fault& fault : {faults[1], faults[2], faults[3], faults[4]}) world.apply(fault);
  EXPECT_EQ(world.answering().size(), 0);
  EXPECT_EQ(world.placement().nearest(0), home) << "it will answer";
}

TEST(Faults, MajoritiesCountWhoWasRestarted) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));

  const auto enough =
      faults_from({"at 1s kill CA", "at 2s restart CA", "at 3s kill VA"}, placement, 9 * kSecond);
  const auto too_few =
      faults_from({"at 1s kill CA", "at 3s restart CA", "at 2s kill VA"}, placement, 9 * kSecond);

  EXPECT_TRUE(enough.has_value());
  ASSERT_FALSE(too_few.has_value());
  EXPECT_THAT(too_few.error().message, HasSubstr("'at 2s kill VA': no majority"));
}

TEST(PathsOfLives, AddLivesWhoseCountersBeginAtZero) {
  PathsOfLives lives(2);
  const auto before = lives.sum(ReplicaId(0), {.fast = 50, .slow = 10});

  lives.ended(ReplicaId(0), Paths{.fast = 80, .slow = 20});

  EXPECT_EQ(lives.sum(ReplicaId(0), {.fast = 5, .slow = 5}), (Paths{.fast = 85, .slow = 25}));
  EXPECT_EQ(slow_share(before, lives.sum(ReplicaId(0), {.fast = 5, .slow = 5})), 15.0 / 50);
  EXPECT_EQ(lives.sum(ReplicaId(1), {.fast = 5, .slow = 5}), (Paths{.fast = 5, .slow = 5}));
  lives.ended(ReplicaId(0), std::nullopt);
  EXPECT_EQ(slow_share(before, lives.sum(ReplicaId(0), {})), std::nullopt) << "nobody knows";
}

TEST(PathsOfLivesDeathTest, ADifferenceIsNeverNegative) {
  EXPECT_DEATH(slow_share(Paths{.fast = 5}, Paths{.fast = 4}), "not taken back");
}

TEST(Restart, ClientsOfTheSiteCompleteCommandsThereBeforeTheKillAndAfterTheRestartAlone) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = with_faults(placement, {"at 3s kill JP", "at 6s restart JP"});
  options.traced_commands_max = kTracedCommandsMax;
  options.clients = 1;
  for (const std::string& name : measured_protocols()) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(kLeader) : std::nullopt;
    Trace trace;
    options.trace = &trace;

    const MeasuredRun run = must(simulate(placement, protocol, leader, options));

    const auto events = nlohmann::json::parse(trace.json()).at("traceEvents");
    const std::int64_t begin = executed_at(kLeader, events).front();
    std::array<std::size_t, 9> at_home{};  // By second.
    for (const std::int64_t at : executed_at(kHome, events)) {
      const auto second = static_cast<std::size_t>((at - begin) / 1'000'000);
      if (second < at_home.size()) ++at_home[second];
    }
    // CA is asked a little after the beginning, so that a second here ends a little later.
    for (const std::size_t second : {0u, 1u}) EXPECT_GT(at_home[second], 0u) << name;
    for (const std::size_t second : {3u, 4u}) EXPECT_EQ(at_home[second], 0u) << name;
    for (const std::size_t second : {7u, 8u}) EXPECT_GT(at_home[second], 0u) << name;
    for (const Second& second : run.timeline->by_site[kHome.value()]) {
      EXPECT_GT(second.executed + second.failed, 0u) << name << ": elsewhere meanwhile";
    }
    EXPECT_LE(run.sites[kHome.value()].failed, 1u) << name << ": one command a client";
    EXPECT_GT(run.linearizable.value_or(0), 0u) << name;
    EXPECT_TRUE(run.digest.has_value()) << name << ": of all five";
  }
}

// Who leads is killed, too, and comes back to another leader.
TEST(Restart, TheSameSeedGivesTheSameRunWhoeverComesBack) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options =
      with_faults(placement, {"at 1s kill CA", "at 3s restart CA", "at 4s partition JP,EU|*",
                              "at 4.5s kill CA", "at 5s heal", "at 6s restart CA"});
  for (const std::string& name : measured_protocols()) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? std::optional(kLeader) : std::nullopt;

    const MeasuredRun one = must(simulate(placement, protocol, leader, options));
    const MeasuredRun other = must(simulate(placement, protocol, leader, options));

    EXPECT_EQ(one, other) << name;
    EXPECT_GT(one.timeline->by_site[kLeader.value()].back().executed, 0u) << name;
  }
}

TEST(Restart, SlowPathsAreThoseOfAllLives) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = with_faults(placement, {"at 6s kill JP", "at 8.5s restart JP"});
  options.conflict_percent = 0;
  const MeasuredRun none = must(simulate(placement, protocol_named("epaxos"), {}, options));
  options.conflict_percent = 100;
  const MeasuredRun some = must(simulate(placement, protocol_named("epaxos"), {}, options));

  EXPECT_LT(none.sites[kHome.value()].slow_share.value_or(1), 0.1)
      << "those alone that met what it had left undecided";
  const std::optional<double> share = some.sites[kHome.value()].slow_share;
  ASSERT_TRUE(share.has_value());
  EXPECT_GT(*share, 0.2) << "most of its commands before the kill met a conflict";
  EXPECT_LE(*share, 1.0);
}

// In virtual time two events of one moment have no order of their own.
TEST(Restart, FaultsOfOneMomentHappenInTheirOrder) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = with_faults(
      placement, {"at 1s kill EU", "at 1s restart EU", "at 2s partition EU|*", "at 2s heal"});
  options.measured_us = 3 * kSecond;
  for (options.seed = 1; options.seed <= 8; ++options.seed) {
    const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));

    EXPECT_LT(run.timeline->gaps[3][2].us, 500'000u) << "seed " << options.seed;
  }
}

// OR comes back when EU is gone, and has missed thousands of EU's instances. It knows what many of
// them propose, so that each of its questions is answered by one decision; the whole range only a
// peer that lives can tell.
TEST(Restart, WhoCameBackCatchesUpWithTheManyInstancesOfADeadReplica) {
  const Topology topology = shipped("nsdi21-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options =
      with_faults(placement, {"at 1s kill OR", "at 2s kill EU", "at 3s restart OR"});
  options.conflict_percent = 0;
  options.check_linearizability = false;
  options.open.rate = 2'000;
  options.warm_up_us = kSecond;
  options.measured_us = 4 * kSecond;

  const MeasuredRun run = must(simulate(placement, protocol_named("epaxos"), {}, options));

  EXPECT_TRUE(run.digest.has_value()) << "all that live came to one state within two minutes";
}

// CA is back and waits for a leader when VA is killed, and the same again with EU: a majority lives
// at any time, but there are moments when nobody has answered yet.
TEST(Restart, AMajorityOfThoseThatCameBackGoesOn) {
  const Topology topology = shipped("sosp13-3");
  const Placement placement = must(Placement::at(topology, {}));
  const RunOptions options =
      with_faults(placement, {"at 1s kill CA", "at 3s restart CA", "at 3.05s kill VA",
                              "at 5s restart VA", "at 5.01s kill EU", "at 7s restart EU"});
  for (const std::string& name : measured_protocols()) {
    const Protocol protocol = protocol_named(name);
    const auto leader = has_leader(protocol) ? must(placement.replica_at_site("CA")) : ReplicaId();

    const MeasuredRun run = must(simulate(
        placement, protocol, has_leader(protocol) ? std::optional(leader) : std::nullopt, options));

    EXPECT_TRUE(run.digest.has_value()) << name;
    for (const auto& seconds : run.timeline->by_site) {
      EXPECT_GT(seconds.back().executed, 0u) << name;
    }
  }
}

TEST(Restart, NeedsADiskThatKeepsWhatWasPromised) {
  const std::string killed = "wan --topology sosp13-5 --duration 20s --fault 'at 5s kill JP'";
  for (const char* mode : {" --mode simulated", " --mode emulated"}) {
    const Finished none = bench(killed + " --fault 'at 6s restart JP'" + mode);
    EXPECT_EQ(none.status, 2);
    EXPECT_THAT(none.out,
                AllOf(HasSubstr("--fault 'at 6s restart JP': at --durability none a replica that "
                                "is killed forgets what it promised"),
                      HasSubstr("Add --durability sync, or leave the restart out.")));
    const Finished some = bench(killed + " --fault 'at 6s restart JP' --durability async" + mode);
    EXPECT_EQ(some.status, 2);
    EXPECT_THAT(some.out, HasSubstr("at --durability async a replica that is killed may have "
                                    "forgotten what it promised"));
  }
}

TEST(WanProgram, RefusesRestartsThatCannotBe) {
  const Refused all[] = {
      {"--fault 'at 5s restart JP'", "'at 5s restart JP': the replica at JP is not dead by then"},
      {"--fault 'at 5s kill JP' --fault 'at 4s restart JP'", "JP is not dead by then; kill it"},
      {"--fault 'at 5s kill JP' --fault 'at 6s restart VA'", "the replica at VA is not dead"},
      {"--fault 'at 5s kill JP' --fault 'at 6s restart JP' --fault 'at 7s restart JP'",
       "'at 7s restart JP': the replica at JP was restarted before and is not dead by then"},
      {"--fault 'at 5s restart LON'", "There is no site \"LON\""},
      {"--fault 'at 5s restart'", "\"restart\" with 0 words behind it is none of the faults"},
      {"--data .", "--data needs --mode emulated"},
  };
  for (const Refused& each : all) {
    const Finished run = bench(
        std::string("wan --topology sosp13-5 --duration 20s --durability sync ") + each.arguments);
    EXPECT_NE(run.status, 0) << each.arguments;
    EXPECT_THAT(run.out, HasSubstr(each.sentence)) << each.arguments;
  }
  EXPECT_THAT(bench("wan --topology sosp13-5 --mode emulated --data .").out,
              HasSubstr("--data is of no use at --durability none"));
  EXPECT_THAT(bench("wan --topology sosp13-5 --durability buffered").out,
              HasSubstr("durability \"buffered\" is not known; use sync, async or none"));
}

TEST(WanProgram, TellsOfARestartWhereverItTellsOfFaults) {
  const Scratch scratch;
  const std::string json_path = scratch.path() / "out.json";
  const std::string csv = scratch.path() / "out.csv";
  const std::string series = scratch.path() / "series.csv";

  const Finished run = bench(
      "wan --topology sosp13-3 --protocols epaxos --clients 2 --warm-up 1s --duration 4s"
      " --durability sync --fault 'at 1s kill EU' --fault 'at 2s restart EU' --json " +
      json_path + " --csv " + csv + " --series " + series);

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, AllOf(HasSubstr("Durability sync"), HasSubstr("2 faults"),
                             HasSubstr("at 2s restart EU")));
  const auto json = nlohmann::json::parse(text_of(json_path));
  EXPECT_EQ(json["durability"], "sync");
  EXPECT_EQ(json["faults"], (std::vector<std::string>{"at 1s kill EU", "at 2s restart EU"}));
  EXPECT_FALSE(json["runs"][0]["sites"][2]["slow_share"].is_null());
  EXPECT_EQ(json["runs"][0]["digest"].size(), 1u);
  EXPECT_THAT(text_of(csv), HasSubstr(",\"at 1s kill EU; at 2s restart EU\",sync,0\n"));
  EXPECT_THAT(text_of(series), HasSubstr(",\"at 2s restart EU\"\n"));
}

}  // namespace
}  // namespace epaxos::bench
