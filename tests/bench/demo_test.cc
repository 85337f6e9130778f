// `epaxos-bench demo`: short runs with and without an interrupt, and what the check of the counters
// finds.

#include "bench/demo/demo.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "epaxos/programs/child_process.h"

namespace epaxos::bench {
namespace {

using ::testing::HasSubstr;

constexpr Tick kLong = 120'000'000;

/// A run of the demo with an own directory for its results.
class RunOfTheDemo {
 public:
  explicit RunOfTheDemo(const std::vector<std::string>& arguments) {
    std::string path = std::filesystem::temp_directory_path() / "demo-test-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
    std::vector<std::string> command{EPAXOS_PROGRAMS_DIR "/epaxos-bench", "demo", "--out",
                                     directory_ + "/out"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto started = ChildProcess::start(command, directory_ + "/errors");
    EXPECT_TRUE(started) << started.error().message;
    process_.emplace(*std::move(started));
  }
  ~RunOfTheDemo() {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }
  RunOfTheDemo(const RunOfTheDemo&) = delete;
  RunOfTheDemo& operator=(const RunOfTheDemo&) = delete;

  int end() {
    while (const auto line = process_->read_line(kLong)) text_ += *line + "\n";
    return process_->wait(kLong);
  }
  [[nodiscard]] bool ended() { return process_->ended(); }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string errors() const { return file("/errors"); }
  [[nodiscard]] std::string file(const std::string& name) const {
    std::ifstream file(directory_ + name);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  [[nodiscard]] nlohmann::json json() const {
    return nlohmann::json::parse(file("/out/demo.json"));
  }
  /// What it has left behind beside its results.
  [[nodiscard]] std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/out")) {
      const std::string name = entry.path().filename();
      if (name.starts_with("data-")) names.push_back(name);
    }
    return names;
  }

 private:
  std::string directory_;
  std::optional<ChildProcess> process_;
  std::string text_;
};

/// The processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

TEST(Demo, AReplicaIsKilledComesBackAndNothingAcknowledgedIsMissing) {
  RunOfTheDemo demo({"--conflicts", "10", "--seconds", "3", "--kill", "100", "--kill-seconds", "9",
                     "--in-flight", "4"});

  ASSERT_EQ(demo.end(), 0) << demo.text() << demo.errors();

  EXPECT_THAT(demo.text(), HasSubstr("R2 killed at "));
  EXPECT_THAT(demo.text(), HasSubstr("All 5 replicas hold the same state"));
  const auto json = demo.json();
  EXPECT_TRUE(json.at("digests_equal"));
  EXPECT_TRUE(json.at("counters_right"));
  ASSERT_EQ(json.at("kills").size(), 1U);
  for (const auto& kill : json.at("kills")) {
    EXPECT_EQ(kill.at("victim"), "R2");
    EXPECT_EQ(kill.at("clients").size(), 5U);
    ASSERT_EQ(kill.at("phases").size(), 3U);
    EXPECT_FALSE(kill.at("started_s").is_null());
    EXPECT_GT(kill.at("others_longest_gap_us"), 0) << kill;
  }
  EXPECT_THAT(demo.file("/out/kills.csv"), HasSubstr("\n100,R2,gone,"));
  EXPECT_THAT(demo.left_behind(), ::testing::IsEmpty());
}

TEST(Demo, CtrlCWhileTheReplicaIsGoneGivesThePartialTableAndLeavesNothingRunning) {
  RunOfTheDemo demo({"--conflicts", "0", "--seconds", "3", "--kill", "0", "--kill-seconds", "15",
                     "--in-flight", "4", "--replicas", "3"});
  const auto wait_until = [&](const auto& holds) {
    while (!holds() && !demo.ended()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  std::vector<pid_t> children;
  wait_until([&] {
    children = children_of(demo.pid());
    return children.size() == 6 && demo.errors().find("is killed") != std::string::npos;
  });
  wait_until([&] { return children_of(demo.pid()).size() < 6; });
  ASSERT_FALSE(demo.ended()) << demo.errors();

  ::kill(demo.pid(), SIGINT);

  EXPECT_EQ(demo.end(), 130) << demo.text() << demo.errors();
  EXPECT_TRUE(demo.json().at("interrupted"));
  EXPECT_EQ(demo.json().at("rows").size(), 4U);
  ASSERT_EQ(demo.json().at("kills").size(), 1U);
  EXPECT_FALSE(demo.json().at("kills").at(0).at("killed_s").is_null());
  EXPECT_THAT(demo.text(), HasSubstr("gone"));
  for (const pid_t child : children) EXPECT_NE(::kill(child, 0), 0) << child << " still runs";
  EXPECT_THAT(demo.left_behind(), ::testing::IsEmpty());
}

TEST(NightlyDemo, NobodyIsKilledWhenThatIsNotWantedOrWouldStopAll) {
  RunOfTheDemo without(
      {"--conflicts", "0", "--seconds", "3", "--no-kill", "--replicas", "3", "--in-flight", "4"});
  EXPECT_EQ(without.end(), 0) << without.errors();
  EXPECT_TRUE(without.json().at("kills").empty());

  RunOfTheDemo alone({"--conflicts", "0", "--seconds", "3", "--replicas", "1"});
  EXPECT_EQ(alone.end(), 0) << alone.errors();
  EXPECT_THAT(alone.errors(), HasSubstr("less than 3 replicas"));

  RunOfTheDemo wrong({"--kill", "0,101"});
  EXPECT_NE(wrong.end(), 0);
  EXPECT_THAT(wrong.errors(), HasSubstr("from 0 to 100"));
}

/// A run in which two clients measured one second each, and the second replica was killed.
KillRun small_run() {
  KillRun run;
  run.victim = 1;
  run.moments.begun = 1'000'000;
  run.moments.killed = 1'300'000;
  run.moments.started = 1'700'000;
  for (int r = 0; r < 2; ++r) {
    LoadResult& load = run.loads.emplace_back();
    load.seconds = 1;
    load.measured_from_us = 1'000'000;
    for (std::uint64_t i = 0; i < 10; ++i) load.slices.push_back({10, 1000 * i, 2000 * i});
    load.longest_gap_us = 9000;
    load.own = {.submitted = 110, .acknowledged = 100, .rejected = 7};
    load.hot = {.submitted = 12, .acknowledged = 10, .rejected = 0};
  }
  run.loads[1].longest_gap_us = 400'000;
  return run;
}

TEST(DemoKill, ThePartsOfARunAreMeasuredAtTheOtherClients) {
  const std::vector<KillPhase> parts = phases_of(small_run());

  ASSERT_EQ(parts.size(), 3U);
  EXPECT_DOUBLE_EQ(parts[1].from_s, 0.3);
  EXPECT_DOUBLE_EQ(parts[1].to_s, 0.7);
  EXPECT_NEAR(parts[1].others_per_second, 100, 1e-6);
  EXPECT_EQ(parts[0].longest_gap_us, 2000U);
  EXPECT_EQ(parts[1].longest_gap_us, 6000U);
  EXPECT_EQ(parts[2].slowest_us, 18'000U);
  EXPECT_EQ(longest_gap_of_others(small_run()), 9000U);
}

TEST(DemoKill, ARunThatWasCutShortHasFewerParts) {
  KillRun run = small_run();
  run.moments.started.reset();
  EXPECT_EQ(phases_of(run).size(), 2U);
  run.moments.killed.reset();
  EXPECT_EQ(phases_of(run).size(), 1U);
  EXPECT_THAT(kills_csv({run}), HasSubstr("before"));
}

TEST(DemoKill, CountersHoldWhatWasAcknowledgedAndAtMostTheUnknownOnTop) {
  EXPECT_TRUE(nothing_lost(small_run(), {.own = {100, 103}, .hot = 20}));
  EXPECT_TRUE(nothing_lost(small_run(), {.own = {100, 103}, .hot = 24}));
}

TEST(DemoKill, WhatIsMissingOrDoubledIsSaidInASentence) {
  const auto lost = nothing_lost(small_run(), {.own = {100, 99}, .hot = 20});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(lost.error().message, HasSubstr("LOST"));
  EXPECT_THAT(lost.error().message, HasSubstr("R1 hold 99"));

  const auto doubled = nothing_lost(small_run(), {.own = {104, 100}, .hot = 20});
  ASSERT_FALSE(doubled);
  EXPECT_THAT(doubled.error().message, HasSubstr("TWO EFFECTS"));
  EXPECT_FALSE(nothing_lost(small_run(), {.own = {100, 100}, .hot = 19}));
  EXPECT_FALSE(nothing_lost(small_run(), {.own = {100, 100}, .hot = 25}));
}

}  // namespace
}  // namespace epaxos::bench
