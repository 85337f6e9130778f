// The same experiment several times: merged and never averaged, and what changed between two
// results beyond what differs from run to run.

#include "bench/wan/repeats.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "bench/wan/report_diff.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::must;
using ::testing::Not;
using testing::text_of;

MeasuredRun run_of(std::vector<std::uint64_t> us, std::optional<double> slow_share) {
  MeasuredRun run;
  run.sites.resize(1);
  for (const std::uint64_t value : us) run.sites[0].execution_us.add(value);
  run.sites[0].slow_share = slow_share;
  return run;
}

TEST(Repeats, PercentilesAreThoseOfAllCommandsAndNoMean) {
  const std::vector<MeasuredRun> runs{run_of({10, 10, 10}, 0.1), run_of({1000}, 0.5)};

  const MeasuredRun all = merged(runs);

  EXPECT_EQ(all.sites[0].execution_us.count(), 4u);
  EXPECT_EQ(all.sites[0].execution_us.percentile(0.5), 10u);
  EXPECT_EQ(all.sites[0].slow_share, 0.3) << "the median of the two";
}

TEST(Repeats, TheSpreadLeavesOutARunThatMeasuredNothing) {
  const std::vector<MeasuredRun> runs{run_of({30}, {}), run_of({}, {}), run_of({10}, {}),
                                      run_of({20}, {})};

  const Spread spread = spread_of(runs, 0, &SiteLatency::execution_us, 0.5);

  EXPECT_THAT(spread.values_us, ElementsAre(30, 10, 20));
  EXPECT_EQ(spread.median_us(), 20);
  EXPECT_EQ(spread.least_us(), 10);
  EXPECT_EQ(spread.most_us(), 30);
  EXPECT_FALSE(merged(runs).sites[0].slow_share);
}

TEST(Repeats, EachHasTheNextSeed) {
  const Scratch scratch;
  const std::string options =
      "wan --topology sosp13-3 --protocols epaxos --conflicts 50 --clients 3 --warm-up 1s"
      " --duration 2s --json ";
  const std::string path = scratch.path() / "out.json";
  const auto results = [&](const std::string& more) {
    const Finished run = bench(options + path + more);
    EXPECT_EQ(run.status, 0) << run.out;
    return nlohmann::json::parse(text_of(path))["runs"][0];
  };

  const auto three = results(" --seed 7 --repeat 3");

  const auto& together = three["sites"][0]["execution"];
  EXPECT_EQ(together["of_each_run"]["p99_ms"].size(), 3u);
  std::uint64_t commands = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto one = results(" --seed " + std::to_string(7 + i));
    EXPECT_EQ(one["trace_hash"][0], three["trace_hash"][i]);
    const auto& alone = one["sites"][0]["execution"];
    EXPECT_EQ(alone["p99_ms"], together["of_each_run"]["p99_ms"][i]);
    commands += alone["count"].get<std::uint64_t>();
  }
  EXPECT_EQ(commands, together["count"]);
}

TEST(Repeats, EachIsJudgedAndWhatWasNotSentAddsUp) {
  const Scratch scratch;
  const std::string path = scratch.path() / "out.json";
  const auto counts = [&](const std::string& more) {
    const Finished run = bench(
        "wan --topology sosp13-3 --protocols epaxos --conflicts 50 --rate 50 --in-flight-max 3"
        " --warm-up 1s --duration 2s --check linearizability --json " +
        path + more);
    EXPECT_EQ(run.status, 0) << run.out;
    const auto one = nlohmann::json::parse(text_of(path))["runs"][0];
    return std::pair(one["linearizable_commands"].get<std::uint64_t>(),
                     one["sites"][0]["unsent"].get<std::uint64_t>());
  };

  const auto first = counts(" --seed 7");
  const auto second = counts(" --seed 8");

  EXPECT_GT(second.first, 0u);
  EXPECT_GT(second.second, 0u);
  EXPECT_EQ(counts(" --seed 7 --repeat 2"),
            std::pair(first.first + second.first, first.second + second.second));
}

TEST(Repeats, TheTableShowsTheRange) {
  const Finished run = bench(
      "wan --topology sosp13-3 --protocols epaxos,raft --leaders CA --clients 3 --conflicts 50"
      " --warm-up 1s --duration 1s --repeat 2");

  EXPECT_THAT(run.out,
              AllOf(HasSubstr("seed 1 and the next, 2 runs"), HasSubstr("exec p99 a run"),
                    ContainsRegex("[0-9]\\.[0-9] \\([0-9]+\\.[0-9]\\.\\.[0-9]+\\.[0-9]\\)"),
                    ContainsRegex("raft led from CA +CA .* 85\\.0 +85\\.0\n")));
}

WanFigures figures(std::vector<double> ms) {
  const std::size_t repeat = ms.size();
  return {
      {{"clients", "10"}}, repeat, false, {{"raft led from CA at VA, commit p50", std::move(ms)}}};
}

TEST(WanDiff, AChangeIsWhereAllRunsLieApart) {
  EXPECT_THAT(diff(figures({10, 11, 12}), figures({12, 13, 14})).changes, IsEmpty());
  EXPECT_THAT(diff(figures({10, 11, 12}), figures({12.01, 13, 14})).changes, IsEmpty())
      << "histograms are not as exact as that";
  const WanDiff slower = diff(figures({10, 11, 12}), figures({13, 14, 15}));
  ASSERT_EQ(slower.changes.size(), 1u);
  EXPECT_THAT(to_text(slower), AllOf(HasSubstr("11.0 (10.0..12.0)  14.0 (13.0..15.0)  +27.3 %"),
                                     HasSubstr("With 3 runs that happens by chance to 10 %")));
  EXPECT_THAT(to_text(diff(figures({13, 14, 15}), figures({10, 11, 12}))), HasSubstr("-21.4 %"));
}

TEST(WanDiff, OneRunTellsNothingOfTheSpread) {
  EXPECT_THAT(to_text(diff(figures({10}), figures({13, 14}))),
              AllOf(HasSubstr("One result has one run only"), HasSubstr("+35.0 %")));
}

TEST(WanDiff, ConditionsAndRunsThatOnlyOneHasAreNamed) {
  WanFigures other = figures({10, 11, 12});
  other.conditions[0].second = "50";
  other.figures[0].what = "epaxos at VA, commit p50";

  EXPECT_THAT(
      to_text(diff(figures({10, 11, 12}), other)),
      AllOf(HasSubstr("Conditions differ: clients: 10, then 50."),
            HasSubstr("Only before: raft led from CA at VA."),
            HasSubstr("Only after: epaxos at VA."), HasSubstr("There is nothing that both have")));
}

TEST(WanDiff, OfPercentOfTheFiguresRunsLieApartByChance) {
  EXPECT_NEAR(chance_to_lie_apart(1, 1), 1, 1e-9);
  EXPECT_NEAR(chance_to_lie_apart(3, 3), 0.1, 1e-9);
  EXPECT_NEAR(chance_to_lie_apart(5, 5), 2.0 / 252, 1e-9);
  EXPECT_NEAR(chance_to_lie_apart(3, 5), 2.0 / 56, 1e-9);
  EXPECT_NEAR(chance_to_lie_apart(5, 3), 2.0 / 56, 1e-9);
  WanFigures five = figures({13, 14, 15, 16, 17});
  five.repeat = 5;
  EXPECT_THAT(to_text(diff(figures({10, 11, 12}), five)),
              HasSubstr("With 3 and 5 runs that happens by chance to 3.6 %"));
}

TEST(WanDiff, ReadsWhatWanWrites) {
  const Scratch scratch;
  const std::string before = scratch.path() / "before.json";
  const std::string after = scratch.path() / "after.json";
  const std::string options =
      "wan --topology sosp13-3 --protocols raft --clients 1 --warm-up 1s --duration 1s --repeat 2 ";
  ASSERT_EQ(bench(options + "--leaders CA --json " + before).status, 0);
  ASSERT_EQ(bench(options + "--leaders CA --think 50ms --json " + after).status, 0);

  const Finished same = bench("wan-diff " + before + " " + before);
  const Finished other = bench("wan-diff " + before + " " + after);

  EXPECT_EQ(same.status, 0);
  EXPECT_THAT(same.out, AllOf(HasSubstr("Nothing changed."), HasSubstr("12 figures"),
                              Not(HasSubstr("differ:"))));
  EXPECT_THAT(other.out, HasSubstr("Conditions differ: think_us: 0, then 50000."));
  const Finished compared = bench("compare " + before + " " + after);
  EXPECT_EQ(compared.status, other.status);
  EXPECT_EQ(compared.out, other.out);
  EXPECT_EQ(bench("compare " + before + " " + after + " --kill").status, 1);
  EXPECT_THAT(bench("compare " + before).out, HasSubstr("RESULTS: name 2, not 1."));
  EXPECT_THAT(bench("compare " + before + " /nowhere").out, HasSubstr("compare: /nowhere cannot"));
}

TEST(WanDiff, AnInterruptedResultHasTheRunsThatAreThere) {
  const std::string json =
      R"({"benchmark": "wan", "repeat": 3, "interrupted": true, "runs": [{"protocol": "raft",)"
      R"("leader": "CA", "sites": [{"site": "VA", "commit": {"of_each_run": {"p50_ms": [64],)"
      R"("p99_ms": [64]}}, "execution": {"of_each_run": {"p50_ms": [64], "p99_ms": [64]}}}]}]})";
  const WanFigures cut = must(read_figures(json, "cut.json"));

  const std::string text = to_text(diff(cut, figures({10, 11, 12})));

  EXPECT_THAT(text, AllOf(HasSubstr("The measurement before was interrupted"),
                          Not(HasSubstr("after was interrupted")),
                          HasSubstr("One result has one run only")));
}

TEST(WanDiff, ChangesEndWithThreeAndOtherFilesAreRefused) {
  const Scratch scratch;
  const std::string before = scratch.path() / "before.json";
  const std::string after = scratch.path() / "after.json";
  const auto write = [](const std::string& path, const char* ms) {
    std::ofstream(path) << R"({"benchmark": "wan", "repeat": 1, "runs": [{"protocol": "raft",)"
                        << R"("leader": "CA", "sites": [{"site": "VA", "commit": {"of_each_run":)"
                        << R"({"p50_ms": [)" << ms << R"(], "p99_ms": []}}, "execution":)"
                        << R"({"of_each_run": {"p50_ms": [], "p99_ms": []}}}]}]})";
  };
  write(before, "10");
  write(after, "20");

  const Finished changed = bench("wan-diff " + before + " " + after);

  EXPECT_EQ(changed.status, 3);
  const std::string other = scratch.path() / "other.json";
  std::ofstream(other) << R"({"benchmark": "wan", "repeat": 1, "runs": []})";
  const Finished apart = bench("wan-diff " + before + " " + other);
  EXPECT_EQ(apart.status, 1);
  EXPECT_THAT(apart.out, HasSubstr("nothing was compared"));
  EXPECT_THAT(changed.out, HasSubstr("raft led from CA at VA, commit p50"));
  write(after, "\"20\"");
  const Refused all[] = {
      {"/nowhere/x.json", "/nowhere/x.json cannot be read."},
      {"/", "/ cannot be read."},
      {"/dev/null", "/dev/null is no result of wan."},
  };
  for (const Refused& each : all) {
    const Finished run = bench("wan-diff " + before + " " + each.arguments);
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.out, HasSubstr(each.sentence));
  }
  EXPECT_THAT(bench("wan-diff " + before + " " + after).out, HasSubstr("is no result of wan."));
}

}  // namespace
}  // namespace epaxos::bench
