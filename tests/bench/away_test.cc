// `epaxos-bench away` as a whole: short runs, what they print, and what they refuse.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/bench/bench_program.h"

namespace epaxos::bench {
namespace {

using testing::HasSubstr;

// So slow that a replica which catches up is faster than the others on any machine.
constexpr const char* kShort = "--missed 3000 --seconds 0.5 --rate 2000 ";

Finished away(const std::string& arguments, const std::string& redirect = " 2>&1") {
  return bench("away " + arguments, redirect);
}

TEST(Away, AReplicaThatMissedThousandsOfCommandsCatchesUpVotesAndAgrees) {
  const Scratch scratch;

  const Finished run = away(kShort + std::string("--json --data ") + scratch.path().string(), "");

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["durability"], "sync");
  ASSERT_EQ(json["phases"].size(), 4u);
  EXPECT_EQ(json["phases"][0]["share_of_before"], 1);
  for (const auto& phase : json["phases"]) {
    for (const char* figure :
         {"commands_per_second", "share_of_before", "p50_us", "longest_gap_us",
          "cpu_us_per_command_of_all", "memory_bytes", "store_bytes", "record_bytes"}) {
      EXPECT_GT(phase[figure], 0) << phase["phase"] << " " << figure;
    }
    EXPECT_EQ(phase["failed"], 0) << phase["phase"];
  }
  // It takes part again: the pace is the same for all three.
  const auto& after = json["phases"][3];
  EXPECT_GT(after["commands_per_second_of_all"].get<double>(),
            1.2 * after["commands_per_second"].get<double>());
  const auto& back = json["returned"];
  EXPECT_GE(back["commands_missed"], 3000);
  EXPECT_LE(back["open_seconds"], back["vote_seconds"]);
  EXPECT_LE(back["vote_seconds"], back["caught_up_seconds"]);
  EXPECT_GT(back["catching_up_commands_per_second"], 0);
  EXPECT_GT(back["bytes_received"], 3000 * 64);
  EXPECT_GE(back["instances_executed"], 3000);
  EXPECT_TRUE(json["digests_equal"]);
  EXPECT_EQ(json["digests"].size(), 3u);
  EXPECT_FALSE(json.contains("failure"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(NightlyAway, AReplicaThatMayNotVoteCatchesUpAndAgreesWithoutALoad) {
  const Finished run = away(kShort + std::string("--durability async --json"), "");

  ASSERT_EQ(run.status, 0) << run.out;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_TRUE(json["returned"]["vote_seconds"].is_null());
  EXPECT_GT(json["returned"]["caught_up_seconds"], 0);
  EXPECT_EQ(json["phases"][3]["failed"], 0);
  EXPECT_TRUE(json["digests_equal"]);
}

TEST(Away, TheTextNamesEveryFigure) {
  const Finished run = away(kShort);

  ASSERT_EQ(run.status, 0) << run.out;
  for (const char* word :
       {"before",      "away",      "coming back", "after",  "commands/s",
        "share",       "p50",       "p99",         "gap",    "CPU",
        "memory",      "disk",      "records",     "missed", "open after",
        "votes after", "caught up", "received",    "image",  "digests     equal"}) {
    EXPECT_THAT(run.out, HasSubstr(word));
  }
}

TEST(NightlyAway, TheCsvHasALineAPhaseAndTheSeriesNoneOfAReplicaThatIsAway) {
  const Scratch scratch;
  const std::string file = scratch.path() / "series.csv";

  const Finished run = away("--missed 8000 --seconds 0.5 --rate 2000 --csv --series " + file, "");

  ASSERT_EQ(run.status, 0) << run.out;
  std::istringstream csv(run.out);
  std::vector<std::ptrdiff_t> commas;
  for (std::string line; std::getline(csv, line);) commas.push_back(std::ranges::count(line, ','));
  EXPECT_EQ(commas, std::vector<std::ptrdiff_t>(5, commas.front()));
  EXPECT_THAT(run.out, HasSubstr("\ncoming back,"));
  std::ifstream series(file);
  std::vector<int> lines(3);
  std::string line;
  std::getline(series, line);
  while (std::getline(series, line)) ++lines.at(std::stoul(line.substr(line.find(',') + 1)));
  EXPECT_GT(lines[2], 0);
  EXPECT_LT(lines[2], lines[0]);
  EXPECT_EQ(lines[1], lines[0]);
}

TEST(Away, CtrlCGivesAPartialResult) {
  const Finished run = interrupted_bench({"away", "--seconds", "600", "--json"});

  EXPECT_EQ(run.status, 130);
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_TRUE(json["interrupted"]);
  EXPECT_EQ(json["phases"].size(), 1u);
  EXPECT_TRUE(json["returned"].is_null());
  EXPECT_FALSE(json["digests_equal"]);
  EXPECT_FALSE(json.contains("failure"));
}

class AwayRefuses : public testing::TestWithParam<Refused> {};

TEST_P(AwayRefuses, WithASentence) {
  const Finished run = away(GetParam().arguments);

  EXPECT_NE(run.status, 0);
  EXPECT_THAT(run.out, HasSubstr(GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    Arguments, AwayRefuses,
    testing::Values(Refused{"--replicas 2", "goes on without one has 3 to 9 replicas"},
                    Refused{"--replicas 10", "goes on without one has 3 to 9 replicas"},
                    Refused{"--missed 0", "1 to 1000000000 commands"},
                    Refused{"--missed 1e6", "\"1e6\" is not accepted"},
                    Refused{"--seconds 0", "0.1 to 3600 seconds"},
                    Refused{"--rate 0", "1 to 10000000 commands/s"},
                    Refused{"--rate nan", "1 to 10000000 commands/s"},
                    Refused{"--in-flight 0", "1 to 16384 commands"},
                    Refused{"--batch 200 --in-flight 100", "more than --in-flight 100"},
                    Refused{"--durability disk", "disk"},
                    Refused{"--data /nowhere/at/all", "no such directory"},
                    Refused{"--series /nowhere/at/all", "The series cannot be written"},
                    Refused{"--json --csv", "--json"}, Refused{"--mised 3", "mised"}));

}  // namespace
}  // namespace epaxos::bench
