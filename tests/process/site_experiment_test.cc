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
