// `epaxos-bench throughput` as a whole: short runs, what they print, and what they refuse; and what
// the program and its other subcommands refuse.

#include <fstream>
#include <gmock/gmock.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_program.h"

namespace epaxos::bench {
namespace {

using testing::HasSubstr;

Finished throughput(const std::string& arguments, const std::string& redirect = " 2>&1") {
  return bench("throughput " + arguments, redirect);
}

TEST(Throughput, AShortRunMeasuresThreeReplicasAndTheBareFloor) {
  const Finished run = throughput("--replicas 3 --seconds 1 --json", "");

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["replicas"], 3);
  EXPECT_FALSE(json["interrupted"]);
  EXPECT_GT(json["commands"], 0);
  EXPECT_EQ(json["failed"], 0);
  for (const char* figure : {"commands_per_second", "p50_us", "p99_us", "cpu_us_per_command",
                             "peak_memory_bytes", "share_of_floor", "cpu_of_floor"}) {
    EXPECT_GT(json[figure], 0) << figure;
  }
  EXPECT_TRUE(json["memory_bytes_per_command"].is_number());
  EXPECT_GE(json["p99_us"], json["p50_us"]);
  EXPECT_GT(json["floor"]["commands"], 0);
  EXPECT_GT(json["floor"]["cpu_us_per_command"], 0);
  EXPECT_TRUE(json["digests_equal"]);
  ASSERT_EQ(json["digests"].size(), 3u);
  EXPECT_EQ(json["digests"][0], json["digests"][1]);
  EXPECT_EQ(json["digests"][0], json["digests"][2]);
}

TEST(Throughput, ReplicasThatWriteOneKeyOnDiskAgreeAndLeaveNoFiles) {
  const Scratch scratch;

  const Finished run = throughput(
      "--seconds 0.5 --conflicts 100 --batch 10 --durability sync --no-floor --json --data " +
          scratch.path().string(),
      "");

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_GT(json["commands"], 0);
  EXPECT_TRUE(json["digests_equal"]);
  EXPECT_FALSE(json.contains("floor"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(Throughput, ProtocolsWithALeaderAreMeasuredWithoutTheFloor) {
  for (const std::string protocol : {"raft", "multipaxos"}) {
    const Finished run = throughput("--protocol " + protocol + " --seconds 0.3 --json", "");

    ASSERT_EQ(run.status, 0) << run.out;
    const auto json = nlohmann::json::parse(run.out);
    EXPECT_EQ(json["protocol"], protocol);
    EXPECT_GT(json["commands"], 0);
    EXPECT_EQ(json["failed"], 0);
    EXPECT_GT(json["frames"], 0);
    EXPECT_TRUE(json["digests_equal"]);
    EXPECT_FALSE(json.contains("floor"));
  }
}

TEST(Throughput, TheTextNamesEveryFigure) {
  const Finished run = throughput("--replicas 1 --seconds 0.2");

  ASSERT_EQ(run.status, 0) << run.out;
  for (const char* word : {"commands/s", "p50", "p99", "CPU", "memory", "bytes per command",
                           "bare floor", "of the floor", "digests      equal"}) {
    EXPECT_THAT(run.out, HasSubstr(word));
  }
}

TEST(Throughput, CtrlCGivesAPartialResult) {
  const Finished run = interrupted_bench({"throughput", "--seconds", "600", "--json"});

  EXPECT_EQ(run.status, 130);
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_TRUE(json["interrupted"]);
  EXPECT_TRUE(json["digests_equal"]);
  EXPECT_LT(json["seconds"], 600);
}

TEST(Throughput, TheSeriesHasALineASecondAndReplica) {
  const Scratch scratch;
  const std::string file = scratch.path() / "series.csv";

  const Finished run = throughput("--seconds 1.5 --no-floor --series " + file);

  ASSERT_EQ(run.status, 0) << run.out;
  std::ifstream series(file);
  std::string line;
  ASSERT_TRUE(std::getline(series, line));
  EXPECT_EQ(line, "seconds,replica,completed,resident_bytes,store_bytes");
  std::vector<std::string> lines;
  while (std::getline(series, line)) lines.push_back(line);
  ASSERT_GE(lines.size(), 3u);
  EXPECT_EQ(lines.size() % 3, 0u);
  EXPECT_THAT(lines[2], testing::MatchesRegex("[0-9.]+,2,[0-9]+,[1-9][0-9]+,0"));
}

class ThroughputRefuses : public testing::TestWithParam<Refused> {};

TEST_P(ThroughputRefuses, WithASentence) {
  const Finished run = throughput(GetParam().arguments);

  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr(GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Arguments, ThroughputRefuses,
    testing::Values(Refused{"--replicas 0", "a group has 1 to 9 replicas"},
                    Refused{"--replicas 10", "a group has 1 to 9 replicas"},
                    Refused{"--replicas three", "\"three\" is not accepted"},
                    Refused{"--seconds 0", "0.1 to 3600 seconds"},
                    Refused{"--seconds nan", "0.1 to 3600 seconds"},
                    Refused{"--seconds 5x", "\"5x\" is not accepted"},
                    Refused{"--in-flight 0", "1 to 16384 commands"},
                    Refused{"--in-flight 99999999999999999999", "1 to 16384 commands"},
                    Refused{"--batch 0", "1 to 1024 commands"},
                    Refused{"--batch 200 --in-flight 100", "more than --in-flight 100"},
                    Refused{"--value-bytes 65537", "0 to 65536 bytes"},
                    Refused{"--conflicts 101", "from 0 to 100"},
                    Refused{"--keys 0", "keys of its own"}, Refused{"--durability disk", "disk"},
                    Refused{"--durability sync --data /nowhere/at/all", "no such directory"},
                    Refused{"--series /nowhere/at/all", "The series cannot be written"},
                    Refused{"--protocol paxos", "one of epaxos, raft, raft-all, multipaxos"},
                    Refused{"--protocol raft --floor", "--floor sends the messages of epaxos"},
                    Refused{"--data /tmp", "--durability none"}, Refused{"--sekonds 3", "sekonds"},
                    Refused{"--seconds", "--seconds"}));

TEST(Bench, TellsItsVersionAndWhenItsOutputCannotBeWritten) {
  const Finished version = bench("--version");
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.out, testing::MatchesRegex("epaxos-bench [0-9.]+\n"));

  const Finished full = bench("--version", " 2>&1 >/dev/full");
  EXPECT_EQ(full.status, 1);
  EXPECT_THAT(full.out, HasSubstr("epaxos-bench: the answer could not be written"));
}

// Every command would be rejected. Nobody is asked for that.
TEST(Client, KeysThatNoReplicaTakesAreRefused) {
  const std::string too_long(1021, 'k');
  const auto refused = [](const std::string& arguments) {
    const Finished run = bench("client --config /nowhere.toml " + arguments);
    EXPECT_EQ(run.status, 1);
    return run.out;
  };

  EXPECT_THAT(refused("--prefix " + too_long), HasSubstr("the key has 1025 bytes"));
  EXPECT_THAT(refused("--own-keys 1000 --prefix " + too_long), HasSubstr("/nowhere.toml"));
  EXPECT_THAT(refused("--prefix ''"), HasSubstr("--prefix: is empty"));
  EXPECT_THAT(refused("--hot-key ''"), HasSubstr("--hot-key: the key is empty"));
  EXPECT_THAT(refused("--hot-key " + too_long + "1234"), HasSubstr("the key has 1025 bytes"));
}

}  // namespace
}  // namespace epaxos::bench
