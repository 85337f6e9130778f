// The trace of an emulated run: what real processes tell of their commands, put together. On a busy
// machine everything may take longer, but nothing is faster than its link or before its cause.

#include "bench/wan/emulated_trace.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <limits>
#include <map>
#include <set>

#include "bench/throughput/protocols.h"
#include "bench/wan/emulation.h"
#include "bench/wan/shared_memory.h"
#include "tests/wan/trace_support.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using testing::Arrow;
using testing::arrows_of;
using testing::expect_sound;
using ::testing::IsSupersetOf;

/// All links differ, and so do their two directions.
Topology three_sites() {
  return {"three", "", {"A", "B", "C"}, {0, 4'000, 9'000, 6'000, 0, 7'000, 11'000, 8'000, 0}};
}

struct TracedEmulation {
  MeasuredRun run;
  nlohmann::json events;
};

TracedEmulation traced_emulation(const Placement& placement, const std::string& protocol,
                                 std::optional<ReplicaId> leader, RunOptions options) {
  Trace trace;
  options.trace = &trace;
  MeasuredRun run = testing::must(emulate(placement, protocol_named(protocol), leader, options));
  return {std::move(run), nlohmann::json::parse(trace.json()).at("traceEvents")};
}

TEST(EmulatedTrace, EveryMessageIsAnArrowThatIsNotFasterThanItsLink) {
  const Topology topology = three_sites();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = testing::short_run();
  options.conflict_percent = 100;
  options.traced_commands_max = 30;

  const TracedEmulation traced = traced_emulation(placement, "epaxos", {}, options);

  expect_sound(traced.events);
  EXPECT_EQ(traced.run.untraced, 0u);
  std::vector<std::string> processes;
  for (const nlohmann::json& event : traced.events) {
    if (event.at("name") == "process_name") processes.push_back(event.at("args").at("name"));
  }
  EXPECT_THAT(processes, ::testing::ElementsAre("epaxos, seed 1: R0 A", "epaxos, seed 1: R1 B",
                                                "epaxos, seed 1: R2 C"));
  std::set<std::string> messages;
  std::set<std::pair<int, int>> links;
  for (const Arrow& arrow : arrows_of(traced.events)) {
    messages.insert(arrow.message);
    if (arrow.from == arrow.to) continue;
    links.emplace(arrow.from, arrow.to);
    const Tick link = topology.one_way_us(static_cast<std::size_t>(arrow.from),
                                          static_cast<std::size_t>(arrow.to));
    EXPECT_GE(arrow.end - arrow.begin, static_cast<std::int64_t>(link))
        << arrow.message << " " << arrow.instance << " from " << arrow.from << " to " << arrow.to;
  }
  EXPECT_THAT(messages, IsSupersetOf({"PreAccept", "PreAcceptOk", "Accept", "AcceptOk", "Commit",
                                      "executes"}));
  EXPECT_EQ(links.size(), 6u) << "everybody proposes to everybody";
}

TEST(EmulatedTrace, AnOwnerCommitsWhenItHasAnAnswerAndEverybodyExecutesAfterThat) {
  const Topology topology = three_sites();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = testing::short_run();
  options.traced_commands_max = 30;

  const TracedEmulation traced = traced_emulation(placement, "epaxos", {}, options);

  struct Times {
    std::int64_t proposed = std::numeric_limits<std::int64_t>::max();
    std::int64_t answered = std::numeric_limits<std::int64_t>::max();
    std::int64_t committed = std::numeric_limits<std::int64_t>::max();
    std::set<int> executed_at;
  };
  const auto note = [](std::int64_t& first, std::int64_t at) { first = std::min(first, at); };
  std::map<std::string, Times> instances;
  for (const Arrow& arrow : arrows_of(traced.events)) {
    Times& times = instances[arrow.instance];
    const int owner = arrow.instance.at(1) - '0';
    if (arrow.message == "PreAccept") note(times.proposed, arrow.begin);
    if (arrow.message == "PreAcceptOk") note(times.answered, arrow.end);
    if (arrow.message == "Commit" && arrow.from == owner) note(times.committed, arrow.begin);
    if (arrow.message == "executes") times.executed_at.insert(arrow.to);
  }
  // A process that stands still for long may be taken for dead: its instances end as Nop, and their
  // commands get others.
  EXPECT_GE(instances.size(), 30u) << "a command an instance";
  std::size_t executed_at_both = 0;
  for (const auto& [name, times] : instances) {
    EXPECT_LT(times.proposed, times.answered) << name;
    EXPECT_LE(times.answered, times.committed) << name;
    if (times.executed_at.size() == 2) ++executed_at_both;
    EXPECT_LE(times.executed_at.size(), 2u) << name << ": at the others";
  }
  EXPECT_GE(executed_at_both, 15u);
  const auto slices = testing::names(traced.events, "X");
  EXPECT_EQ(slices.count("first round"), 30u);
  EXPECT_EQ(slices.count("execution"), 30u);
}

TEST(EmulatedTrace, OfALeadersProtocolAnArrowLeadsToEachExecution) {
  const Topology topology = three_sites();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = testing::short_run();
  options.traced_commands_max = 20;

  const TracedEmulation traced = traced_emulation(placement, "raft", ReplicaId(1), options);

  expect_sound(traced.events);
  const std::vector<Arrow> arrows = arrows_of(traced.events);
  EXPECT_EQ(arrows.size(), 20u * 2) << "to every replica but the one that was asked";
  for (const Arrow& arrow : arrows) {
    EXPECT_EQ(arrow.message, "executes");
    EXPECT_NE(arrow.from, arrow.to);
  }
}

TEST(EmulatedTrace, AReadEndsWithItsAnswer) {
  const Topology topology = three_sites();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = testing::short_run();
  options.mix = testing::must(ycsb_mix("C"));
  options.traced_commands_max = 20;

  const TracedEmulation traced = traced_emulation(placement, "raft", ReplicaId(1), options);

  const auto slices = testing::names(traced.events, "X");
  EXPECT_GE(slices.size(), 20u);
  for (const std::string& name : slices) {
    EXPECT_THAT(name, ::testing::Not(::testing::HasSubstr("not executed")));
  }
}

// What it told is in memory that does not die with it.
TEST(EmulatedTrace, OfAReplicaThatIsKilledEverythingUntilThenIsThere) {
  const Topology topology = three_sites();
  const Placement placement(topology, {0, 1, 2});
  RunOptions options = testing::short_run();
  options.measured_us = 2 * kSecond;
  options.faults = testing::must(faults_from({"at 0.5s kill C"}, placement, options.measured_us));

  const TracedEmulation traced = traced_emulation(placement, "epaxos", {}, options);

  expect_sound(traced.events);
  std::int64_t last_of_c = 0;
  std::int64_t last = 0;
  for (const Arrow& arrow : arrows_of(traced.events)) {
    if (arrow.from == 2 && arrow.to != 2) last_of_c = std::max(last_of_c, arrow.begin);
    if (arrow.from != arrow.to) last = std::max(last, arrow.begin);
  }
  EXPECT_GT(last_of_c, 0) << "it told something";
  EXPECT_GT(last, last_of_c) << "the others go on";
}

TEST(EmulatedTrace, WhatThereIsNoRoomForIsCounted) {
  const auto shared = make_shared_value<SharedTrace>();
  ASSERT_NE(shared, nullptr);
  EmulatedTrace trace(*shared, 1);
  const auto write = [&](std::size_t events) {
    for (std::size_t i = 0; i < events; ++i) shared->replicas[0].events.write({});
  };

  write((std::size_t{1} << 15) + 3);
  EXPECT_EQ(trace.lost(), 3u) << "nobody has looked";
  for (std::size_t left = EmulatedTrace::kEventsMax + 4; left > 0;) {
    trace.look();
    const std::size_t now = std::min(left, std::size_t{1} << 15);
    write(now);
    left -= now;
  }
  trace.look();

  EXPECT_EQ(trace.lost(), 3u + (std::size_t{1} << 15) + 4);
}

}  // namespace
}  // namespace epaxos::bench
