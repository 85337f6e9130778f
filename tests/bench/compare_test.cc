// `epaxos-bench compare` as a whole: short runs, what they print and write, and what they refuse;
// and the medians that it prints.

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "bench/compare/figures.h"
#include "bench/compare/report.h"
#include "tests/bench/bench_program.h"

namespace epaxos::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Finished compare(const std::string& arguments, const std::string& redirect = " 2>&1") {
  return bench("compare " + arguments, redirect);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(Compare, EveryProtocolIsMeasuredAndTheFilesHoldWhatTheTableShows) {
  const Scratch scratch;
  const std::string csv = scratch.path() / "out.csv";
  const std::string json_path = scratch.path() / "out.json";
  std::filesystem::create_directory(scratch.path() / "data");

  // Long enough for an fsync of a disk that others keep busy.
  const Finished run = compare(
      "--seconds 0.8 --repeat 1 --in-flight 8 --values 64 --durability sync --protocols "
      "epaxos,raft,multipaxos,multipaxos-all --conflicts 0,100 --csv " +
      csv + " --json " + json_path + " --data " + (scratch.path() / "data").string());

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(text_of(json_path));
  EXPECT_FALSE(json["interrupted"]);
  EXPECT_EQ(json["trouble"], "");
  ASSERT_EQ(json["combinations"].size(), 5u);
  for (const auto& one : json["combinations"]) {
    EXPECT_EQ(one["in_flight"], 8);
    EXPECT_EQ(one["failed"]["most"], 0) << one["protocol"];
    for (const char* figure : {"commands_per_second", "p50_us", "p99_us", "cpu_us_per_command",
                               "frames_per_command", "bundles_per_command", "bytes_per_command",
                               "batches_per_command", "batches_per_second"}) {
      EXPECT_GT(one[figure]["median"], 0) << one["protocol"] << " " << figure;
      EXPECT_EQ(one[figure]["least"], one[figure]["most"]) << figure;
    }
  }
  const auto lines = lines_of(csv);
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_THAT(lines[0], testing::StartsWith(
                            "protocol,conflicts_percent,durability,value_bytes,in_flight,runs,"
                            "commands_per_second,commands_per_second_least,"));
  EXPECT_THAT(lines[2], testing::StartsWith("epaxos,100,sync,64,8,1,"));
  EXPECT_THAT(lines[5], testing::StartsWith("multipaxos-all,0,sync,64,8,1,"));
  for (const char* words : {"epaxos 0 %", "epaxos 100 %", "raft", "p99 ms", "CPU us", "batches/s",
                            "no leader, nothing is forwarded", "multipaxos-all: as multipaxos"}) {
    EXPECT_THAT(run.out, HasSubstr(words));
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path() / "data"));
}

TEST(Compare, EachRoundMeasuresEverythingAndWhatIsNotWrittenHasNoBatches) {
  const Scratch scratch;
  const std::string json_path = scratch.path() / "out.json";

  const Finished run = compare(
      "--seconds 0.2 --repeat 2 --in-flight 8 --values 64,1024 --durability none --protocols raft "
      "--json " +
      json_path);

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(text_of(json_path));
  ASSERT_EQ(json["combinations"].size(), 2u);
  for (const auto& one : json["combinations"]) {
    EXPECT_EQ(one["runs"], 2);
    EXPECT_EQ(one["batches_per_second"]["most"], 0);
    EXPECT_LE(one["p50_us"]["least"], one["p50_us"]["most"]);
  }
  EXPECT_GT(json["combinations"][1]["bytes_per_command"]["least"],
            json["combinations"][0]["bytes_per_command"]["most"]);
  EXPECT_THAT(run.out, Not(HasSubstr("no leader")));
}

TEST(Compare, KillTellsTheGapForTheLeaderAndForAnother) {
  const Scratch scratch;
  const std::string json_path = scratch.path() / "out.json";
  const std::string csv = scratch.path() / "out.csv";

  const Finished run = compare(
      "--kill --seconds 2 --repeat 1 --durability none --protocols epaxos,raft --conflicts 0 "
      "--csv " +
      csv + " --json " + json_path);

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(text_of(json_path));
  ASSERT_EQ(json["losses"].size(), 3u);
  EXPECT_EQ(json["losses"][0]["killed"], "any");
  EXPECT_EQ(json["losses"][1]["killed"], "leader");
  EXPECT_EQ(json["losses"][2]["killed"], "another");
  for (const auto& loss : json["losses"]) {
    EXPECT_GT(loss["commands_per_second_before"]["median"], 0);
    EXPECT_GT(loss["longest_gap_us_after"]["median"], 0);
  }
  // Without a leader nothing is executed for one election timeout at least.
  EXPECT_GT(json["losses"][1]["longest_gap_us_after"]["least"], 100'000);
  EXPECT_EQ(lines_of(csv).size(), 4u);
  EXPECT_THAT(run.out, HasSubstr("gap ms after"));
}

TEST(Compare, CtrlCLeavesTheTableOfWhatWasMeasured) {
  const Finished run = interrupted_bench({"compare", "--seconds", "600", "--protocols", "raft"});

  EXPECT_EQ(run.status, 130);
  EXPECT_THAT(run.out, HasSubstr("commands/s"));
  EXPECT_THAT(run.out, HasSubstr("Not measured: 16 of 16 combinations."));
}

TEST(Compare, OfAnEvenNumberOfRunsTheMedianLiesInTheMiddle) {
  const Spread even = spread_of({4, 1, 3, 10});
  EXPECT_EQ(even.median, 3.5);
  EXPECT_EQ(even.least, 1);
  EXPECT_EQ(even.most, 10);
  EXPECT_EQ(spread_of({5, 1, 2}).median, 2);
  EXPECT_EQ(spread_of({}).median, 0);
}

TEST(Compare, ALogIsOneContenderHoweverManyCommandsConflict) {
  CompareOptions options;
  options.protocols = {"raft", "epaxos"};
  options.conflicts = {2, 100};

  std::vector<std::string> names;
  for (const Contender& contender : contenders(options)) names.push_back(to_string(contender));

  EXPECT_THAT(names, ElementsAre("raft", "epaxos 2 %", "epaxos 100 %"));
}

TEST(Compare, EtcdIsMeasuredBesideTheProtocolsWhereItIsInstalled) {
  const Scratch scratch;
  const std::string json_path = scratch.path() / "out.json";

  const Finished run = compare(
      "--etcd --seconds 0.5 --repeat 1 --in-flight 8 --values 64 --durability none,sync "
      "--protocols raft --json " +
      json_path);

  if (run.out.find("apt-get install etcd-server") != std::string::npos) {
    EXPECT_EQ(run.status, 1);
    GTEST_SKIP() << run.out;
  }
  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(text_of(json_path));
  ASSERT_EQ(json["combinations"].size(), 3u);
  const auto& etcd = json["combinations"][2];
  EXPECT_EQ(etcd["protocol"], "etcd");
  EXPECT_EQ(etcd["durability"], "sync");
  EXPECT_EQ(etcd["failed"]["most"], 0);
  EXPECT_TRUE(etcd["frames_per_command"].is_null());
  for (const char* figure : {"commands_per_second", "p50_us", "p99_us", "cpu_us_per_command",
                             "bytes_per_command", "batches_per_command"}) {
    EXPECT_GT(etcd[figure]["median"], 0) << figure;
  }
}

class CompareRefuses : public testing::TestWithParam<Refused> {};

TEST_P(CompareRefuses, WithASentence) {
  const Finished run = compare(GetParam().arguments);

  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr(GetParam().sentence));
  EXPECT_THAT(run.out, Not(HasSubstr("commands/s")));
}

INSTANTIATE_TEST_SUITE_P(
    Arguments, CompareRefuses,
    testing::Values(
        Refused{"--protocols paxos", "one of epaxos, raft, raft-all, multipaxos"},
        Refused{"--protocols raft,viewstamped", "\"viewstamped\" is not accepted"},
        Refused{"--protocols raft,raft", "names something twice"},
        Refused{"--protocols ''", "\"\" is not accepted"},
        Refused{"--in-flight 0", "1 to 16384 commands"},
        Refused{"--in-flight 1,many", "\"many\" is not accepted"},
        Refused{"--in-flight 1,1", "names something twice"},
        Refused{"--values 65537", "0 to 65536 bytes"}, Refused{"--durability disk", "disk"},
        Refused{"--conflicts 101", "from 0 to 100"}, Refused{"--seconds 0", "0.1 to 3600 seconds"},
        Refused{"--repeat 0", "1 to 1000 times"}, Refused{"--replicas 2", "3 to 9 replicas"},
        Refused{"--batch 100 --in-flight 1,16", "more than is ever in flight"},
        Refused{"--data /tmp --durability none", "--durability none"},
        Refused{"--data /nowhere/at/all", "no such directory"},
        Refused{"--csv /nowhere/at/all", "Name another file with --csv"},
        Refused{"--json /nowhere/at/all", "Name another file with --json"},
        Refused{"--etcd --kill", "Leave out --etcd"},
        Refused{"--etcd --durability none", "etcd always writes"},
        Refused{"--etcd --values 16001", "at most 16000 bytes"}, Refused{"--quik", "quik"}));

}  // namespace
}  // namespace epaxos::bench
