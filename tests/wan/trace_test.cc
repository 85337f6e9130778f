// The trace of a simulated run: what ui.perfetto.dev must find in it.

#include <gmock/gmock.h>
#include <set>

#include <nlohmann/json.hpp>

#include "bench/throughput/protocols.h"
#include "bench/wan/simulation.h"
#include "tests/wan/trace_support.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::Contains;
using testing::expect_sound;
using ::testing::HasSubstr;
using testing::must;
using testing::names;
using ::testing::Not;
using testing::shipped;
using testing::short_run;
using Json = nlohmann::json;

struct Traced {
  MeasuredRun run;
  Json events;
};

Traced traced(const std::string& protocol, std::optional<ReplicaId> leader, unsigned conflicts,
              std::size_t commands) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.conflict_percent = conflicts;
  Trace trace;
  options.trace = &trace;
  options.traced_commands_max = commands;
  MeasuredRun run = must(simulate(placement, protocol_named(protocol), leader, options));
  return {std::move(run), Json::parse(trace.json()).at("traceEvents")};
}

TEST(Trace, OfEpaxosEveryMessageOfACommandIsAnArrow) {
  const Traced trace = traced("epaxos", std::nullopt, 50, 60);

  expect_sound(trace.events);
  std::set<std::string> arrows;
  for (const std::string& name : names(trace.events, "s")) {
    arrows.insert(name.substr(0, name.find(' ')));
  }
  for (const char* message :
       {"PreAccept", "PreAcceptOk", "Accept", "AcceptOk", "Commit", "executes"}) {
    EXPECT_THAT(arrows, Contains(message));
  }
  const auto slices = names(trace.events, "X");
  EXPECT_EQ(slices.count("first round"), 60u);
  EXPECT_GT(slices.count("second round"), 0u);
  EXPECT_EQ(slices.count("execution"), 60u);
}

TEST(Trace, EveryReplicaHasItsNameAndItsSite) {
  const Traced trace = traced("epaxos", std::nullopt, 0, 20);

  std::vector<std::string> processes;
  for (const Json& event : trace.events) {
    if (event.at("name") == "process_name") processes.push_back(event.at("args").at("name"));
  }
  ASSERT_EQ(processes.size(), 5u);
  EXPECT_THAT(processes[0], HasSubstr("epaxos, seed 1: R0 "));
}

TEST(Trace, OfALeadersProtocolAnArrowLeadsToEachExecution) {
  const Traced trace = traced("raft", ReplicaId(0), 0, 30);

  expect_sound(trace.events);
  EXPECT_EQ(names(trace.events, "s").size(), 30u * 4) << "at every replica but the first";
}

// A read that asks the leader has no place in the log, so that only its own replica runs it.
TEST(Trace, AReadEndsWithItsAnswer) {
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.mix = must(ycsb_mix("B"));
  Trace trace;
  options.trace = &trace;
  options.traced_commands_max = 30;

  const MeasuredRun run = must(simulate(placement, protocol_named("raft"), ReplicaId(0), options));

  ASSERT_GT(run.sites[0].reads.execution_us.count(), 0u);
  const Json events = Json::parse(trace.json()).at("traceEvents");
  EXPECT_GT(names(events, "X").size(), 30u);
  for (const std::string& name : names(events, "X")) EXPECT_THAT(name, Not(HasSubstr("not exec")));
}

TEST(Trace, WatchingChangesNothing) {
  const Traced trace = traced("epaxos", std::nullopt, 50, 60);
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.conflict_percent = 50;

  EXPECT_EQ(trace.run, must(simulate(placement, protocol_named("epaxos"), {}, options)));
}

TEST(Trace, AnEmptyOneIsStillJson) {
  EXPECT_TRUE(Json::parse(Trace().json()).at("traceEvents").empty());
}

}  // namespace
}  // namespace epaxos::bench
