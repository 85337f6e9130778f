// An experiment on machines as docs/wan.md 9 describes it, with all of them on loopback: replicas,
// a client a site at the same time, and their files as one report.

#include <csignal>
#include <filesystem>
#include <gmock/gmock.h>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/process/cluster_processes.h"

namespace epaxos::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr Tick kLongUs = 120'000'000;

/// Three replicas at the sites A, B and C, some milliseconds apart.
ClusterConfig three_sites() {
  ClusterConfig config = *ClusterConfig::loopback("sites", 3, Durability::kNone);
  const char* const names[] = {"A", "B", "C"};
  for (std::size_t r = 0; r < 3; ++r) config.replicas[r].site = names[r];
  config.emulation.emplace();
  config.emulation->one_way_us = {{0, 2'000, 4'000}, {2'000, 0, 3'000}, {4'000, 3'000, 0}};
  return config;
}

class SiteExperiment : public ::testing::Test {
 protected:
  SiteExperiment() : cluster_(three_sites()) {}

  void SetUp() override {
    cluster_.start_all();
    ASSERT_EQ(cluster_.control({"put", "first", "command"}).status, 0);
  }

  [[nodiscard]] std::string file_of(const std::string& site) const {
    return cluster_.scratch() / (site + ".json");
  }
  [[nodiscard]] std::string log_of(const std::string& site) const {
    return cluster_.scratch() / (site + ".log");
  }

  ChildProcess client_at(const std::string& site, const std::vector<std::string>& more) {
    std::vector<std::string> command{EPAXOS_PROGRAMS_DIR "/epaxos-bench",
                                     "client",
                                     "--config",
                                     cluster_.config_path(),
                                     "--site",
                                     site,
                                     "--out",
                                     file_of(site)};
    command.insert(command.end(), more.begin(), more.end());
    auto started = ChildProcess::start(command, log_of(site));
    EXPECT_TRUE(started);
    return *std::move(started);
  }

  static void expect_all_counted(const nlohmann::json& result) {
    const auto count = [&](const char* name) { return result.at(name).get<std::uint64_t>(); };
    EXPECT_EQ(count("sent"),
              count("executed") + count("rejected") + count("unknown") + count("unfinished"));
    EXPECT_GT(count("executed"), 0u);
  }

  ClusterProcesses cluster_;
};

TEST_F(SiteExperiment, AClientASiteAndOneReportOfAll) {
  std::vector<ChildProcess> clients;
  for (const char* site : {"A", "B", "C"}) {
    clients.push_back(client_at(site, {"--in-flight", "3", "--conflicts", "20", "--warm-up", "0.5",
                                       "--seconds", "1", "--ramp-down", "0.5"}));
  }
  for (std::size_t i = 0; i < clients.size(); ++i) {
    EXPECT_EQ(clients[i].wait(kLongUs), 0) << file_text(log_of(std::string(1, "ABC"[i])));
  }

  const std::string out = cluster_.scratch() / "report";
  const Ran merged = run_program(
      "epaxos-bench", {"wan-merge", file_of("A"), file_of("B"), file_of("C"), "--out", out});

  EXPECT_EQ(merged.status, 0) << merged.err;
  EXPECT_THAT(merged.out, AllOf(HasSubstr("On machines: replicas at A, B, C; 3 clients a site"),
                                HasSubstr("delays of the emulated network")));
  const auto report = nlohmann::json::parse(file_text(out + "/results.json"));
  ASSERT_EQ(report.at("runs").size(), 1u);
  const auto& sites = report.at("runs")[0].at("sites");
  ASSERT_EQ(sites.size(), 3u);
  const double bounds_ms[] = {4, 4, 6};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto result = nlohmann::json::parse(file_text(file_of(std::string(1, "ABC"[i]))));
    expect_all_counted(result);
    EXPECT_EQ(result.at("replica"), i);
    EXPECT_EQ(result.at("interrupted"), false);
    EXPECT_EQ(sites[i].at("bound_ms"), bounds_ms[i]);
    EXPECT_EQ(sites[i].at("execution").at("count"), result.at("executed"));
    EXPECT_EQ(sites[i].at("commit").at("count"), result.at("executed"));
    EXPECT_TRUE(sites[i].at("slow_share").is_number());
  }
  for (const char* name : {"summary.txt", "results.csv", "series.csv", "histograms"}) {
    EXPECT_TRUE(std::filesystem::exists(out + "/" + name)) << name;
  }
  EXPECT_EQ(run_program("epaxos-bench", {"wan-diff", out + "/results.json", out + "/results.json"})
                .status,
            0);
}

/// So many of one kind, of a file.
std::uint64_t executed(const nlohmann::json& result, const char* kind) {
  std::uint64_t sum = 0;
  for (const auto& bucket : result.at(kind).at("execution_us")) {
    sum += bucket.at(1).get<std::uint64_t>();
  }
  return sum;
}

// However busy the machine is: a fixed rate of 50 has 25 commands from 0.2 s on for half a second.
TEST_F(SiteExperiment, RunsOfAnOpenLoopWithReadsBecomeRepeats) {
  std::vector<std::string> merge{"wan-merge", "--json", cluster_.scratch() / "all.json"};
  for (const std::string run : {"1", "2"}) {
    std::vector<ChildProcess> clients;
    for (const char* site : {"A", "B", "C"}) {
      clients.push_back(client_at(
          site, {"--rate", "50", "--arrival", "fixed", "--ycsb", "a", "--keys", "100", "--reads-by",
                 "log", "--warm-up", "0.2", "--seconds", "0.5", "--ramp-down", "0", "--run", run}));
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const std::string site(1, "ABC"[i]);
      EXPECT_EQ(clients[i].wait(kLongUs), 0) << file_text(log_of(site));
      const auto result = nlohmann::json::parse(file_text(file_of(site)));
      expect_all_counted(result);
      EXPECT_EQ(result.at("sent"), 25);
      EXPECT_EQ(result.at("unsent"), 0);
      const std::string kept = cluster_.scratch() / (site + run + ".json");
      std::filesystem::rename(file_of(site), kept);
      merge.push_back(kept);
    }
  }

  const Ran merged = run_program("epaxos-bench", merge);

  EXPECT_EQ(merged.status, 0) << merged.err;
  EXPECT_THAT(merged.out,
              AllOf(HasSubstr("50.0 commands/s a site, open loop, evenly"),
                    HasSubstr("workload A of YCSB, 50 % reads and 50 % writes of 64 bytes"),
                    HasSubstr("of 100 keys that all share, by Zipf's law with theta 0.99"),
                    HasSubstr("2 runs"), HasSubstr("exec p50 a run")));
  const auto report = nlohmann::json::parse(file_text(cluster_.scratch() / "all.json"));
  EXPECT_EQ(report.at("repeat"), 2);
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  for (const auto& site : report.at("runs")[0].at("sites")) {
    reads += site.at("reads").at("execution").at("count").get<std::uint64_t>();
    writes += site.at("writes").at("execution").at("count").get<std::uint64_t>();
    EXPECT_EQ(site.at("late").at("count"), 50);
  }
  EXPECT_GT(reads, 0u);
  EXPECT_GT(writes, 0u);
}

// One command is under way at most, so that what is due meanwhile is not sent.
TEST_F(SiteExperiment, AnOpenLoopCountsWhatItCouldNotSend) {
  ChildProcess client =
      client_at("C", {"--rate", "2000", "--arrival", "fixed", "--in-flight-max", "1", "--warm-up",
                      "0.2", "--seconds", "0.5", "--ramp-down", "0"});

  EXPECT_EQ(client.wait(kLongUs), 0) << file_text(log_of("C"));

  const auto result = nlohmann::json::parse(file_text(file_of("C")));
  expect_all_counted(result);
  const auto unsent = result.at("unsent").get<std::uint64_t>();
  EXPECT_GT(unsent, 0u);
  EXPECT_EQ(result.at("sent").get<std::uint64_t>() + unsent, 1000u);
}

TEST_F(SiteExperiment, AReadModifyWriteReadsFirst) {
  ChildProcess client =
      client_at("A", {"--clients", "2", "--think", "1ms", "--ycsb", "F", "--keys", "10",
                      "--warm-up", "0.2", "--seconds", "1", "--ramp-down", "0.1"});

  EXPECT_EQ(client.wait(kLongUs), 0) << file_text(log_of("A"));

  const auto result = nlohmann::json::parse(file_text(file_of("A")));
  expect_all_counted(result);
  const std::uint64_t reads = executed(result, "reads");
  const std::uint64_t writes = executed(result, "writes");
  EXPECT_GT(writes, 0u);
  // Each of the two may have read before the measured time what it writes in it.
  EXPECT_LE(writes, reads + 2);
}

TEST_F(SiteExperiment, ReadsThatAreServedOtherwiseThanExpectedAreRefused) {
  ChildProcess client = client_at("A", {"--reads", "50", "--reads-by", "lease", "--seconds", "1"});

  EXPECT_EQ(client.wait(kLongUs), 1);

  EXPECT_THAT(file_text(log_of("A")),
              HasSubstr("reads of epaxos are served by log, and there is no other way."));
}

TEST_F(SiteExperiment, AnInterruptedClientWritesWhatItHas) {
  ChildProcess client = client_at("B", {"--warm-up", "0.1", "--seconds", "100"});
  while (file_text(log_of("B")).find("measuring\n") == std::string::npos && !client.ended()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  // With 16 under way at most, some of these were sent after that and are answered.
  const std::uint64_t before = cluster_.counted({1}, "proposed_commands");
  while (cluster_.counted({1}, "proposed_commands") < before + 3 * 16 && !client.ended()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::kill(client.pid(), SIGINT);

  EXPECT_EQ(client.wait(kLongUs), 130);

  EXPECT_THAT(file_text(log_of("B")), HasSubstr("has what was measured until then"));
  const auto result = nlohmann::json::parse(file_text(file_of("B")));
  expect_all_counted(result);
  EXPECT_EQ(result.at("interrupted"), true);
  EXPECT_LT(result.at("measured_for_us").get<Tick>(), Tick{100'000'000});
}

}  // namespace
}  // namespace epaxos::testing
