// `epaxos-bench throughput` as a whole: short runs, what they print, and what they refuse; and what
// the program and its other subcommands refuse.

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using testing::HasSubstr;

struct Finished {
  int status = -1;
  std::string out;  ///< Both streams.
};

/// Runs `epaxos-bench ARGUMENTS` in a shell.
Finished bench(const std::string& arguments, const std::string& redirect = " 2>&1") {
  const std::string command =
      std::string("'" EPAXOS_PROGRAMS_DIR "'/epaxos-bench ") + arguments + redirect;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  Finished run;
  char part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, pipe)) run.out.append(part, got);
  const int status = ::pclose(pipe);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

Finished throughput(const std::string& arguments, const std::string& redirect = " 2>&1") {
  return bench("throughput " + arguments, redirect);
}

/// An own empty directory for temporary files, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string path = std::filesystem::temp_directory_path() / "throughput-test-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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

TEST(Throughput, TheTextNamesEveryFigure) {
  const Finished run = throughput("--replicas 1 --seconds 0.2");

  ASSERT_EQ(run.status, 0) << run.out;
  for (const char* word : {"commands/s", "p50", "p99", "CPU", "memory", "bytes per command",
                           "bare floor", "of the floor", "digests      equal"}) {
    EXPECT_THAT(run.out, HasSubstr(word));
  }
}

/// The processes whose parent is `parent`.
std::size_t children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
  std::size_t count = 0;
  for (pid_t child = 0; file >> child;) ++count;
  return count;
}

TEST(Throughput, CtrlCGivesAPartialResult) {
  const Scratch scratch;
  const std::string out = scratch.path() / "out";
  const std::string program = std::string(EPAXOS_PROGRAMS_DIR) + "/epaxos-bench";
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    if (std::freopen(out.c_str(), "w", stdout) == nullptr) ::_exit(3);
    ::execl(program.c_str(), "epaxos-bench", "throughput", "--seconds", "600", "--json", nullptr);
    ::_exit(3);
  }
  while (children_of(pid) < 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));

  ::kill(pid, SIGINT);

  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 130);
  std::ifstream file(out);
  const auto json = nlohmann::json::parse(file);
  EXPECT_TRUE(json["interrupted"]);
  EXPECT_TRUE(json["digests_equal"]);
  EXPECT_LT(json["seconds"], 600);
}

struct Refused {
  const char* arguments;
  const char* sentence;
};

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
