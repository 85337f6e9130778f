// `epaxos-bench wan --out`: the files of a report, and the page that needs nothing else.

#include <algorithm>
#include <cstdlib>
#include <gmock/gmock.h>
#include <sstream>

#include <nlohmann/json.hpp>

#include "bench/report/percentile_text.h"
#include "bench/wan/report_directory.h"
#include "bench/wan/report_figures.h"
#include "tests/bench/bench_program.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using testing::text_of;

constexpr const char* kShort =
    "wan --topology sosp13-3 --clients 2 --conflicts 20 --warm-up 1s --duration 2s ";

std::size_t times(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

/// A result as small as can be, and its options.
struct Small {
  Small() {
    options.places.topology = "sosp13-3";
    options.protocols = {"epaxos"};
    options.run.clients = 1;
    options.run.warm_up_us = kSecond;
    options.run.measured_us = kSecond;
  }
  WanResult run() {
    planned = std::make_unique<WanPlan>(must(plan(options)));
    return must(run_wan(options, *planned, [] { return false; }));
  }

  WanOptions options;
  std::unique_ptr<WanPlan> planned;
};

TEST(WanReport, HasTheTableTheFiguresAndAllHistograms) {
  const Scratch scratch;
  const auto out = scratch.path() / "new" / "report";

  const Finished run =
      bench(kShort + ("--protocols epaxos,raft --leaders VA --out " + out.string()));

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(run.out, HasSubstr(text_of(out / "summary.txt")));
  EXPECT_EQ(std::ranges::count(text_of(out / "results.csv"), '\n'), 1 + 2 * 3);
  const auto json = nlohmann::json::parse(text_of(out / "results.json"));
  EXPECT_EQ(json["one_way_us"][0][1], 42500);
  EXPECT_EQ(json["leaders"][0], "VA");
  const std::string log = text_of(out / "histograms" / "raft-led-from-VA.CA.execution.hgrm");
  const auto commands = json["runs"][1]["sites"][0]["execution"]["count"].get<std::uint64_t>();
  EXPECT_GT(commands, 0u);
  EXPECT_THAT(log,
              HasSubstr("1.000000000000 " + std::string(10 - std::to_string(commands).size(), ' ') +
                        std::to_string(commands) + "\n"));
  EXPECT_TRUE(std::filesystem::exists(out / "histograms" / "epaxos.EU.commit.hgrm"));
  EXPECT_TRUE(std::filesystem::exists(out / "figures" / "cdf-EU.gp"));
}

TEST(WanReport, ThePageNeedsNothingElse) {
  const Scratch scratch;
  const auto out = scratch.path() / "report";

  const Finished run = bench(kShort + ("--assert 'p99<1ms' --out " + out.string()));

  EXPECT_EQ(run.status, 3) << "the gate cannot hold";
  const std::string page = text_of(out / "report.html");
  EXPECT_EQ(times(page, "role=\"img\""), 2u + 3 + 3 + 3 + 2)
      << "bars, runs over bounds, two figures a site, and two over time";
  EXPECT_EQ(times(page, "<svg"), times(page, "</svg>"));
  EXPECT_THAT(page, AllOf(HasSubstr("prefers-color-scheme: dark"), HasSubstr("@media print"),
                          HasSubstr(">multipaxos VA<"), HasSubstr("p99&lt;1ms does not hold")));
  for (const char* foreign : {"<script", "http:", "https:", "src=", "href=\"", "url(", "@import"}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign)));
  }
  for (const char* fixed_colour : {"rgb(", "\"black\"", "'black'", "\"white\""}) {
    EXPECT_THAT(page, Not(HasSubstr(fixed_colour))) << "it cannot be read on any page";
  }
}

// What gnuplot has to say about ranges is nothing that who runs an experiment can change.
TEST(WanReport, ARunThatMeasuredAlmostNothingIsDrawnWithoutAWord) {
  for (const char* const run_of :
       {"--rate 0.3 --duration 2s",
        "--rate 0.3 --duration 3s --fault 'at 0.001s partition CA|VA|EU'",
        "--clients 1 --duration 0.1s"}) {
    const Scratch scratch;
    const auto out = scratch.path() / "report";

    const Finished run =
        bench(std::string("wan --topology sosp13-3 --protocols epaxos --warm-up 1s ") + run_of +
              " --out " + out.string());

    EXPECT_EQ(run.status, 0) << run.out;
    EXPECT_THAT(run.out, Not(HasSubstr("arning")));
    EXPECT_THAT(run.out, Not(HasSubstr("gnuplot")));
    EXPECT_TRUE(std::filesystem::exists(out / "report.html")) << run_of << ": " << run.out;
  }
}

TEST(WanReport, FaultsAreMarkedOverTime) {
  const Scratch scratch;
  const auto out = scratch.path() / "report";

  const Finished run = bench(
      "wan --topology sosp13-3 --clients 2 --protocols epaxos --warm-up 1s --duration 4s"
      " --durability sync --fault 'at 2s kill EU' --fault 'at 3s restart EU' --out " +
      out.string());

  ASSERT_EQ(run.status, 0) << run.out;
  EXPECT_THAT(text_of(out / "report.html"),
              AllOf(HasSubstr("<h2>Over time</h2>"), HasSubstr(">at 2s kill EU<"),
                    HasSubstr(">at 3s restart EU<"), HasSubstr("<h2>When something fails</h2>")));
  EXPECT_THAT(text_of(out / "summary.txt"), HasSubstr("longest time without a commit"));
  EXPECT_THAT(text_of(out / "series.csv"), HasSubstr("at 2s kill EU"));
}

TEST(WanReport, TellsTheOpenLoopAndTheVerdictOnTheHistory) {
  const Scratch scratch;
  const auto out = scratch.path() / "report";

  const Finished run = bench(
      "wan --topology sosp13-3 --rate 50 --in-flight-max 3 --protocols epaxos --warm-up 1s"
      " --duration 2s --check linearizability --out " +
      out.string());

  ASSERT_EQ(run.status, 0) << run.out;
  for (const char* file : {"summary.txt", "report.html"}) {
    EXPECT_THAT(text_of(out / file), AllOf(HasSubstr("50.0 commands/s a site, open loop, Poisson"),
                                           HasSubstr("Linearizable: the history of every run"),
                                           HasSubstr("commands were not sent: 3 of their site")))
        << file;
  }
  const auto json = nlohmann::json::parse(text_of(out / "results.json"));
  EXPECT_EQ(json["clients"], 0);
  EXPECT_EQ(json["rate"], 50.0);
  EXPECT_GT(json["runs"][0]["linearizable_commands"], 0);
}

TEST(WanReport, AnEarlierOneIsReplacedAsAWhole) {
  const Scratch scratch;
  const auto out = scratch.path() / "report";
  ASSERT_EQ(bench(kShort + ("--protocols raft --leaders CA --out " + out.string())).status, 0);

  const Finished again =
      bench(kShort + ("--protocols epaxos --sites CA,VA,EU --out " + out.string()));

  EXPECT_EQ(again.status, 0) << again.out;
  EXPECT_FALSE(std::filesystem::exists(out / "histograms" / "raft-led-from-CA.CA.commit.hgrm"));
  EXPECT_TRUE(std::filesystem::exists(out / "histograms" / "epaxos.CA.commit.hgrm"));
  EXPECT_THAT(text_of(out / "report.html"), Not(HasSubstr("raft")));
}

TEST(WanReport, OtherFilesAreNotTouched) {
  const Scratch scratch;
  std::ofstream(scratch.path() / "results.json") << "{\"benchmark\": \"mine\"}";

  const Finished run = bench(kShort + ("--out " + scratch.path().string()));

  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, AllOf(HasSubstr("has files that are no report. Name an empty directory"),
                             Not(HasSubstr("of CPU"))));
  EXPECT_EQ(text_of(scratch.path() / "results.json"), "{\"benchmark\": \"mine\"}");
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "figures"));
}

TEST(WanReport, ADirectoryThatCannotBeIsRefusedBeforeAnythingRuns) {
  const Finished run = bench(kShort + std::string("--out /dev/null/report"));

  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out,
              AllOf(HasSubstr("/dev/null/report cannot be written: "),
                    HasSubstr("Name another directory with --out."), Not(HasSubstr("of CPU"))));
}

TEST(WanReport, WithoutGnuplotAllButThePageIsThereAndASentenceSaysWhy) {
  const Scratch scratch;
  Small small;
  const WanResult result = small.run();
  ReportDirectory report;
  ASSERT_TRUE(report.open(scratch.path() / "report"));
  const char* const before = std::getenv("PATH");
  const std::string path = before == nullptr ? "" : before;
  ::setenv("PATH", scratch.path().c_str(), 1);

  const std::string missing = must(report.write(small.options, *small.planned, result));

  ::setenv("PATH", path.c_str(), 1);
  EXPECT_THAT(missing, HasSubstr("Install it with: apt-get install gnuplot-nox."));
  EXPECT_TRUE(std::filesystem::exists(scratch.path() / "report" / "results.json"));
  EXPECT_TRUE(std::filesystem::exists(scratch.path() / "report" / "figures" / "tail-CA.gp"));
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "report" / "report.html"));
}

// What an interrupt leaves: a site without one command must not break a figure.
TEST(WanReport, FiguresAreDrawnOfNothingMeasured) {
  const Scratch scratch;
  Small small;
  WanResult result = small.run();
  for (SiteLatency& site : result.runs[0].measured.sites) site = {};
  ReportDirectory report;
  ASSERT_TRUE(report.open(scratch.path()));

  EXPECT_EQ(must(report.write(small.options, *small.planned, result)), "");
}

// After the leader has died its successor may be nearer than the bound's leader was.
TEST(WanReport, AMedianBelowTheBoundIsInTheFigureToo) {
  const Scratch scratch;
  Small small;
  WanResult result = small.run();
  for (Tick& bound : result.runs[0].bound.by_site_us) bound *= 2;
  ReportDirectory report;
  ASSERT_TRUE(report.open(scratch.path()));

  ASSERT_TRUE(report.write(small.options, *small.planned, result));

  const std::string script = text_of(scratch.path() / "figures" / "over-bound-1.gp");
  const std::string range = "set xrange [";
  const std::size_t at = script.find(range);
  ASSERT_NE(at, std::string::npos);
  EXPECT_LT(std::stod(script.substr(at + range.size())), 0.5) << script;
}

TEST(PercentileText, GetsCloserTogetherTowardsTheEnd) {
  FineHistogram seen;
  for (std::uint64_t i = 1; i <= 1000; ++i) seen.add(i);

  const std::string text = percentile_text(seen);

  EXPECT_THAT(text,
              ::testing::StartsWith("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
                                    "       0.001 0.000000000000          1           1.00\n"
                                    "       0.100 0.100000000000        100           1.11\n"));
  EXPECT_THAT(text, AllOf(HasSubstr("\n       0.500 0.500000000000        500           2.00\n"),
                          HasSubstr("\n       0.750 0.750000000000        750           4.00\n"),
                          HasSubstr("\n       1.000 1.000000000000       1000\n#[Mean    =        "
                                    "0.500, StdDeviation   =        0.289]\n"),
                          EndsWith("SubBuckets     =         1024]\n")));
}

TEST(PercentileText, NothingMeasuredHasNoLine) {
  EXPECT_THAT(percentile_text({}), HasSubstr("Percentile)\n\n#[Mean    =        0.000"));
}

}  // namespace
}  // namespace epaxos::bench
