// The trace of a simulated run: what ui.perfetto.dev must find in it.

#include <gmock/gmock.h>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "bench/throughput/protocols.h"
#include "bench/wan/simulation.h"
#include "bench/wan/wan.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::must;
using testing::shipped;
using testing::short_run;
using Json = nlohmann::json;
using Row = std::pair<int, int>;

Row row_of(const Json& event) {
  return {event.at("pid").get<int>(), event.at("tid").get<int>()};
}

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

/// Every arrow has both ends and points forward; each row is in the order of time, and of its
/// slices two are apart or one lies in the other.
void expect_sound(const Json& events) {
  std::map<Row, std::int64_t> last;
  std::map<Row, std::vector<std::int64_t>> open;
  std::map<std::uint64_t, std::int64_t> starts;
  std::map<std::uint64_t, std::int64_t> ends;
  for (const Json& event : events) {
    const std::string kind = event.at("ph");
    if (kind == "M") continue;
    const Row row = row_of(event);
    const auto at = event.at("ts").get<std::int64_t>();
    EXPECT_GE(at, last[row]);
    last[row] = at;
    if (kind == "X") {
      const std::int64_t end = at + event.at("dur").get<std::int64_t>();
      std::vector<std::int64_t>& around = open[row];
      while (!around.empty() && around.back() <= at) around.pop_back();
      EXPECT_TRUE(around.empty() || end <= around.back()) << event.dump();
      around.push_back(end);
    } else {
      const bool is_new =
          (kind == "s" ? starts : ends).emplace(event.at("id").get<std::uint64_t>(), at).second;
      EXPECT_TRUE(is_new) << event.dump();
    }
  }
  ASSERT_EQ(starts.size(), ends.size());
  for (const auto& [arrow, at] : starts) {
    ASSERT_TRUE(ends.contains(arrow));
    EXPECT_LE(at, ends.at(arrow));
  }
}

std::multiset<std::string> names(const Json& events, const std::string& kind) {
  std::multiset<std::string> out;
  for (const Json& event : events) {
    if (event.at("ph") == kind) out.insert(event.at("name").get<std::string>());
  }
  return out;
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

TEST(Trace, WatchingChangesNothing) {
  const Traced trace = traced("epaxos", std::nullopt, 50, 60);
  const Topology topology = shipped("sosp13-5");
  const Placement placement = must(Placement::at(topology, {}));
  RunOptions options = short_run();
  options.conflict_percent = 50;

  EXPECT_EQ(trace.run, must(simulate(placement, protocol_named("epaxos"), {}, options)));
}

TEST(Trace, EmulatedRunsAreRefusedBeforeAnythingStarts) {
  WanOptions options;
  options.mode = WanMode::kEmulated;
  options.trace = "trace.json";

  const auto planned = plan(options);

  ASSERT_FALSE(planned);
  EXPECT_THAT(planned.error().message, HasSubstr("--trace needs --mode simulated"));
}

TEST(Trace, AnEmptyOneIsStillJson) {
  EXPECT_TRUE(Json::parse(Trace().json()).at("traceEvents").empty());
}

}  // namespace
}  // namespace epaxos::bench
