// The examples are what a newcomer copies: they run, and say what is so.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Ended {
  int status = -1;
  std::string output;
};

/// Runs an example to its end. Its errors are part of the output.
Ended run(const std::string& command_line) {
  const std::string command = "'" EPAXOS_PROGRAMS_DIR "'/" + command_line + " 2>&1 </dev/null";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Ended ended;
  std::array<char, 4096> buffer;
  while (const std::size_t bytes = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    ended.output.append(buffer.data(), bytes);
  }
  ended.status = ::pclose(pipe);
  return ended;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// An empty directory that goes away with the test.
class Directory {
 public:
  Directory() : path_(::testing::TempDir() + "epaxos-example-XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Examples, NoTwoReplicasSeeTheSameSumOfTheCounter) {
  const Ended counter = run("counter");

  EXPECT_EQ(counter.status, 0);
  std::vector<std::string> lines = lines_of(counter.output);
  std::ranges::sort(lines);
  EXPECT_THAT(lines, ElementsAre("added 5; the counter is 10", "added 5; the counter is 15",
                                 "added 5; the counter is 5"));
}

TEST(Examples, TheCounterTakesLessThanFortyLines) {
  std::ifstream source(EPAXOS_SOURCE_DIR "/examples/counter.cc");
  int code = 0;
  for (std::string line; std::getline(source, line);) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != line.npos && line.compare(first, 2, "//") != 0) ++code;
  }

  EXPECT_GT(code, 20) << "examples/counter.cc was not read";
  EXPECT_LT(code, 40);
}

TEST(Examples, TheKeyValueStoreTellsOutcomesApartAndGoesOnWhereItStopped) {
  const Directory directory;
  // Not there yet, and with a space.
  const std::string command = "key_value '" + directory.path() + "/the data'";

  const Ended first = run(command);
  const Ended second = run(command);

  EXPECT_EQ(first.status, 0);
  EXPECT_THAT(lines_of(first.output),
              ElementsAre("the first replica sets the city: ok",
                          "the second changes it if it is Basel: ok",  //
                          "the third reads it: ok Bern",
                          AllOf(HasSubstr("no command of this machine: certainly not executed"),
                                HasSubstr("it is empty")),
                          "runs so far: ok 1",  //
                          "keys at the third replica: 2",
                          "R2 of 3 replicas, epaxos, voting, durability sync"));
  EXPECT_EQ(second.status, 0);
  EXPECT_THAT(second.output, HasSubstr("runs so far: ok 2\n"));
}

TEST(Examples, TheSecondOfTwoProposersLearnsWhatTheFirstOneHasChosen) {
  const Ended paxos = run("paxos_five_acceptors");

  EXPECT_EQ(paxos.status, 0);
  EXPECT_THAT(lines_of(paxos.output),
              ElementsAre("The first proposer wants tea, and reaches acceptors 1, 2 and 3.",
                          "  acceptor 1 promises; its last vote: none",
                          "  acceptor 2 promises; its last vote: none",
                          "  acceptor 3 promises; its last vote: none",  //
                          "  it proposes: tea", "It stops before it hears the answers.",
                          "The second proposer wants coffee, and reaches acceptors 3, 4 and 5.",
                          "  acceptor 3 promises; its last vote: tea",
                          "  acceptor 4 promises; its last vote: none",
                          "  acceptor 5 promises; its last vote: none",  //
                          "  it proposes: tea",                          //
                          "tea is chosen.",                              //
                          "The first ballot is over."));
}

TEST(Examples, TheKeyValueStoreSaysWhatItNeeds) {
  const Ended unasked = run("key_value");
  const Ended impossible = run("key_value /dev/null/here");

  EXPECT_NE(unasked.status, 0);
  EXPECT_THAT(unasked.output, HasSubstr("usage: key_value DIRECTORY"));
  EXPECT_NE(impossible.status, 0);
  EXPECT_THAT(impossible.output, HasSubstr("/dev/null/here"));
}

TEST(Examples, TheLedgerBeginsWithWhatItsMachinesKept) {
  const Directory directory;
  const std::string command = "ledger '" + directory.path() + "'";

  const Ended first = run(command);
  const Ended second = run(command);

  EXPECT_EQ(first.status, 0);
  EXPECT_THAT(lines_of(first.output),
              ElementsAre("began with state 0; alice has 5", "began with state 0; alice has 10",
                          "began with state 0; alice has 15", "every replica has kept its state"));
  EXPECT_EQ(second.status, 0);
  EXPECT_THAT(lines_of(second.output),
              ElementsAre("began with state 1; alice has 20", "began with state 1; alice has 25",
                          "began with state 1; alice has 30", "every replica has kept its state"));
}

TEST(Examples, TheLedgerRefusesAFileThatWasSetBack) {
  const Directory directory;
  const std::string command = "ledger '" + directory.path() + "'";
  const std::filesystem::path file = directory.path() + "/R1/ledger";
  run(command);
  std::filesystem::copy_file(file, file.string() + ".old");
  run(command);
  std::filesystem::rename(file.string() + ".old", file);

  const Ended refused = run(command);

  EXPECT_NE(refused.status, 0);
  EXPECT_EQ(refused.output,
            "the state machine's own storage holds an older state (number 1) than this replica had "
            "made durable (number 2): restore its newest state, or replace this replica\n");
}

TEST(Examples, TheLedgerRefusesAFileThatIsNotWhole) {
  const Directory directory;
  const std::string command = "ledger '" + directory.path() + "'";
  const std::filesystem::path file = directory.path() + "/R1/ledger";
  run(command);
  const std::uintmax_t size = std::filesystem::file_size(file);
  for (const std::uintmax_t left : {size - 1, size / 2, std::uintmax_t{3}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(file, left);

    const Ended refused = run(command);

    EXPECT_NE(refused.status, 0);
    EXPECT_EQ(refused.output, file.string() +
                                  " is damaged: restore its newest copy, or replace this "
                                  "replica\n")
        << left;
  }
}

}  // namespace
}  // namespace epaxos
