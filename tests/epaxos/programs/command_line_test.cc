// The command lines: what they mean, and the sentences about what they cannot mean.

#include "epaxos/programs/command_line.h"

#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "epaxos/programs/duration.h"
#include "epaxos/programs/programs.h"
#include "epaxos/programs/serve_options.h"
#include "epaxos/protocol/core.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

/// `program` with these arguments, in this process.
template <class Program>
Ran run(Program program, const char* name, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), name);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  CaptureStdout();
  CaptureStderr();
  Ran ran;
  ran.status = program(static_cast<int>(arguments.size()), argv.data());
  std::fflush(stdout);
  ran.out = GetCapturedStdout();
  ran.err = GetCapturedStderr();
  return ran;
}

Ran run_server(const std::vector<std::string>& arguments) {
  Protocol leading = protocol::epaxos();
  leading.name = "leading";
  leading.reads = Reads::kIndex;
  leading.changes_members = true;
  const Protocol protocols[] = {
      protocol::epaxos(), {"other", protocol::epaxos().make_core}, leading};
  return run([&](int argc, char** argv) { return serve(protocols, argc, argv); }, "epaxosd",
             arguments);
}

Ran run_control(const std::vector<std::string>& arguments) {
  return run([](int argc, char** argv) { return control(argc, argv); }, "epaxosctl", arguments);
}

/// A cluster file for the time of a test.
class File {
 public:
  explicit File(const std::string& text)
      : path_(::testing::TempDir() + "epaxos-command-line-" + std::to_string(::getpid()) +
              ".toml") {
    std::ofstream(path_) << text;
  }
  ~File() { std::remove(path_.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string cluster_of(int replicas) {
  std::string text = "name = \"shop\"\ndurability = \"sync\"\n";
  for (int r = 0; r < replicas; ++r) {
    text += "[[replicas]]\npeer = \"tcp://127.0.0.1:" + std::to_string(7000 + 2 * r) +
            "\"\nclient = \"tcp://127.0.0.1:" + std::to_string(7001 + 2 * r) + "\"\n";
  }
  return text;
}

Result<NodeConfig> config_of(const std::string& path, std::vector<std::string> more) {
  more.insert(more.begin(), {"epaxosd", "--config", path});
  std::vector<const char*> argv;
  for (const std::string& argument : more) argv.push_back(argument.c_str());
  const Protocol protocols[] = {protocol::epaxos(), {"other", protocol::epaxos().make_core}};
  int status = -1;
  const auto options =
      read_serve_options(protocols, static_cast<int>(argv.size()), argv.data(), status);
  if (!options) return fail(ErrorCode::kInvalidArgument, "exit status " + std::to_string(status));
  return node_config(protocols, *options);
}

TEST(ServerCommandLine, EveryOptionReachesTheNode) {
  const File file(cluster_of(3));
  const auto config =
      config_of(file.path(), {"--replica", "2", "--data", "/data", "--durability", "async",
                              "--protocol", "other", "--unsafe-rejoin", "--bind-peer",
                              "tcp://0.0.0.0:1", "--bind-client", "tcp://0.0.0.0:2"});

  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->self, ReplicaId(2));
  EXPECT_EQ(config->data_directory, "/data");
  EXPECT_EQ(config->cluster.durability, Durability::kAsync);
  EXPECT_EQ(config->protocol->name, "other");
  EXPECT_TRUE(config->unsafe_rejoin);
  EXPECT_EQ(config->peer_bind_address, "tcp://0.0.0.0:1");
  EXPECT_EQ(config->client_bind_address, "tcp://0.0.0.0:2");
}

TEST(ServerCommandLine, WhatIsLeftOutIsAsInTheFile) {
  const File file(cluster_of(3));
  const auto config = config_of(file.path(), {"--replica", "0", "--data", "/data"});

  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->cluster.durability, Durability::kSync);
  EXPECT_EQ(config->protocol->name, "epaxos") << "the first of the list";
  EXPECT_FALSE(config->unsafe_rejoin);
}

TEST(ServerCommandLine, AReplicaThatTheFileDoesNotListIsNamed) {
  const File file(cluster_of(3));
  for (const auto* const id : {"3", "-1", "-2", "65536"}) {
    const auto config = config_of(file.path(), {"--replica", id});
    ASSERT_FALSE(config) << id;
    EXPECT_THAT(config.error().message, HasSubstr("--replica 0 to --replica 2"));
    EXPECT_THAT(config.error().message, HasSubstr("no replica " + std::string(id)));
  }
}

TEST(ServerCommandLine, MistakesAreExplained) {
  const File file(cluster_of(3));
  const std::string& path = file.path();
  const auto explains = [](const Ran& ran, const std::string& sentence) {
    EXPECT_EQ(ran.status, kServeBadUsage);
    EXPECT_THAT(ran.err, HasSubstr(sentence));
    EXPECT_EQ(ran.out, "");
  };
  explains(run_server({}), "--config is required");
  explains(run_server({"--check-config"}), "--config is required");
  explains(run_server({"--config", path}), "Say which replica this is");
  explains(run_server({"--config", path, "--replica", "x"}), "--replica");
  explains(run_server({"--config", path, "--replica", "0", "--durability", "maybe"}), "maybe");
  explains(run_server({"--config", path, "--replica", "0", "--protocol", "rumour"}), "rumour");
  explains(run_server({"--config", path, "--replica", "0", "--log-level", "loud"}), "loud");
  explains(run_server({"--config", path, "--replicas", "0"}),
           "\"--replicas\" is no option. Did you mean \"--replica\"?");
  explains(run_server({"--config", path, "--replica", "0", "start"}), "one argument too many");
  explains(run_server({"--config", path, "--replica", "0"}), "with --data DIRECTORY");
  for (const std::string option : {"--replica", "--data"}) {
    explains(run_server({"--config", path, "--check-config", option, ""}), option + ": is empty");
  }
  for (const std::string option : {"--bind-peer", "--bind-client"}) {
    for (const std::string address : {"", "here", "tcp://*:99999"}) {
      explains(run_server({"--config", path, "--check-config", option, address}),
               option + ": \"" + address + "\" is no usable address");
    }
  }
  explains(run_server({"--config", "/nowhere/cluster.toml", "--replica", "0"}),
           "/nowhere/cluster.toml");
}

TEST(ServerCommandLine, TheHelpNamesEveryExitStatus) {
  const Ran help = run_server({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const auto* const part :
       {"0  stopped", "1  the command line", "2  the data", "3  the disk", "4  what was asked",
        "--unsafe-rejoin", "--check-config", "--print-config"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
}

TEST(CheckConfig, SaysThatAFileIsFineAndWhatMaySurprise) {
  const File three(cluster_of(3));
  const Ran fine = run_server({"--config", three.path(), "--check-config"});
  EXPECT_EQ(fine.status, 0);
  EXPECT_EQ(fine.out, three.path() + ": fine, 3 replicas\n");

  const File four(cluster_of(4));
  const Ran even = run_server({"--config", four.path(), "--check-config"});
  EXPECT_EQ(even.status, 0);
  EXPECT_THAT(even.out, HasSubstr("note: 4 replicas tolerate 1 failure"));
}

TEST(CheckConfig, NamesTheLineTheKeyAndWhatToDo) {
  const auto explains = [](const std::string& text, const std::string& where,
                           const std::string& sentence) {
    const File file(text);
    const Ran ran = run_server({"--config", file.path(), "--check-config"});
    EXPECT_EQ(ran.status, kServeBadUsage) << text;
    EXPECT_THAT(ran.err, HasSubstr(file.path() + ":" + where)) << text;
    EXPECT_THAT(ran.err, HasSubstr(sentence)) << text;
  };
  explains("nmae = \"x\"\n", "1: nmae", "Did you mean \"name\"?");
  explains("name = \"x\"\n[limits]\npending_max = \"many\"\n", "3: limits.pending_max",
           "must be a whole number");
  explains(cluster_of(3) + "site = 7\n", "12: replicas[2].site", "must be a string");
  explains(cluster_of(2) +
               "[[replicas]]\npeer = \"tcp://127.0.0.1:7000\"\n"
               "client = \"tcp://127.0.0.1:7005\"\n",
           "10: replicas[2].peer", "is the address of replicas[0].peer too");
  explains(cluster_of(10), "3: replicas", "A cluster has 1 to 9");
  explains("name = x\n", "1: This is not TOML", "");
}

TEST(CheckConfig, ChecksWhatTheProtocolCanDo) {
  const auto check = [](const std::string& text, const std::string& protocol) {
    const File file(text);
    return run_server({"--config", file.path(), "--check-config", "--protocol", protocol});
  };
  const std::string lease = "reads = \"lease\"\n" + cluster_of(3);
  const std::string spare = cluster_of(3) + "member = false\n";
  EXPECT_EQ(check(lease, "leading").status, 0);
  EXPECT_EQ(check(spare, "leading").status, 0);
  const Ran reads = check(lease, "epaxos");
  EXPECT_EQ(reads.status, kServeBadUsage);
  EXPECT_THAT(reads.err, HasSubstr("wishes for reads = \"lease\""));
  const Ran members = check(spare, "other");
  EXPECT_EQ(members.status, kServeBadUsage);
  EXPECT_THAT(members.err, HasSubstr("choose a protocol in which they can: raft or raft-all"));
}

TEST(CheckConfig, ChecksTheReplicaToo) {
  const File file(cluster_of(3));
  EXPECT_EQ(run_server({"--config", file.path(), "--check-config", "--replica", "2"}).status, 0);
  for (const auto* const none : {"3", "-1"}) {
    const Ran ran = run_server({"--config", file.path(), "--check-config", "--replica", none});
    EXPECT_EQ(ran.status, kServeBadUsage) << none;
    EXPECT_THAT(ran.err, HasSubstr("There is no replica " + std::string(none)));
  }
}

TEST(PrintConfig, WithoutAFilePrintsOneToBeginWith) {
  const Ran printed = run_server({"--print-config"});
  EXPECT_EQ(printed.status, 0);
  EXPECT_THAT(printed.out, HasSubstr("suspicion_us"));

  const File file(printed.out);
  EXPECT_EQ(run_server({"--config", file.path(), "--check-config"}).out,
            file.path() + ": fine, 3 replicas\n");
}

TEST(PrintConfig, PrintsAFileThatMeansTheSameWithWhatTheCommandLineChanged) {
  const File file(cluster_of(3));
  const Ran printed =
      run_server({"--config", file.path(), "--print-config", "--durability", "none"});
  EXPECT_EQ(printed.status, 0);
  EXPECT_THAT(printed.out, HasSubstr("durability = \"none\""));

  const File again(printed.out);
  const Ran twice = run_server({"--config", again.path(), "--print-config"});
  EXPECT_EQ(twice.out, printed.out);
}

TEST(ControlCommandLine, MistakesAreExplained) {
  const File file(cluster_of(3));
  const auto explains = [&file](std::vector<std::string> arguments, const std::string& sentence) {
    arguments.insert(arguments.begin(), {"--config", file.path()});
    const Ran ran = run_control(arguments);
    EXPECT_EQ(ran.status, kControlBadUsage) << sentence;
    EXPECT_THAT(ran.err, HasSubstr(sentence));
    EXPECT_EQ(ran.out, "");
  };
  explains({}, "subcommand");
  explains({"put", "a"}, "VALUE is required");
  explains({"cas", "a", "b"}, "cas KEY NEW --expected OLD, or --absent");
  explains({"cas", "a", "b", "c"}, "comes after its option: --expected, --absent.");
  explains({"cas", "a", "b", "--absent", "--expected", "c"},
           "exclude each other; give one of them.");
  explains({"mput", "a"}, "write KEY=VALUE");
  explains({"mput", "a=1", "b=1", "a=2"}, "the key \"a\" is named twice");
  explains({"mput", "a=1", "=2"}, "the key is empty");
  explains({"mput", std::string(100'000, 'k') + "=1"}, "the key has 100000 bytes");
  for (const auto* const command : {"get", "mget", "delete", "incr", "put", "append"}) {
    const bool with_value = std::string_view(command) == "put" || command[0] == 'a';
    std::vector<std::string> words{command, std::string(100'000, 'k')};
    if (with_value) words.emplace_back("v");
    explains(words, "the key has 100000 bytes; the limit is 1024");
    words[1] = "";
    explains(words, "the key is empty");
  }
  explains({"incr", "a", "much"}, "\"much\" is no whole number");
  explains({"incr", "a", "9223372036854775808"}, "does not fit into 64 bits");
  explains({}, "epaxosctl: a subcommand is required. Known here: get, put,");
  explains({"gte", "a"}, "\"gte\" is no subcommand. Did you mean \"get\"?");
  explains({"--outptu", "json", "get", "a"},
           "\"--outptu\" is no option. Did you mean \"--output\"");
  explains({"get", "--stael", "a"}, "Did you mean \"--stale\"?\nRun \"epaxosctl get --help\"");
  explains(
      {"leader", "trasnfer"},
      "\"trasnfer\" is no subcommand. Did you mean \"transfer\"?\nRun \"epaxosctl leader --help");
  explains({"leader"}, "a subcommand is required. Known here: show, transfer.");
  explains({"leader", "transfer", "--to", "1", "--to", "2"},
           "--to is given 2 times; give it once.");
  explains({"leader", "transfer", "--to"}, "--to needs a value after it.");
  explains({"get", "a", "b"}, "\"b\" is one argument too many");
  explains({"put", "a", "-x"}, "\"-x\" is no option. What begins with \"-\"");
  explains({"--timeout", "soon", "get", "a"}, "Write 5s, 500ms, 2m or 1h.");
  explains({"--output", "xml", "get", "a"}, "xml");
  explains({"--replica", "3", "get", "a"}, "Choose one of these: 0, 1, 2.");
  explains({"--replica", "-1", "get", "a"}, "lists no replica -1");
  explains({"--replica", "x", "get", "a"}, "--replica = x is not accepted");
  explains({"--replica", "", "get", "a"}, "--replica: is empty");
  explains({"--replica", "3", "status"}, "lists no replica 3");
  EXPECT_THAT(run_control({"get", "a"}).err, HasSubstr("--config is required"));
  EXPECT_THAT(run_control({"--config", "/nowhere.toml", "get", "a"}).err,
              HasSubstr("/nowhere.toml"));
}

TEST(ControlCommandLine, NobodyThereIsRejectedOrSaidSo) {
  // Ports below 1024 that nobody listens at.
  const File file(
      "name = \"shop\"\n[[replicas]]\npeer = \"tcp://127.0.0.1:1\"\n"
      "client = \"tcp://127.0.0.1:2\"\n");
  const Ran put = run_control({"--config", file.path(), "--timeout", "50ms", "put", "a", "b"});
  EXPECT_EQ(put.status, kControlRejected);
  EXPECT_THAT(put.err, HasSubstr("it was not executed"));

  const Ran status = run_control({"--config", file.path(), "--timeout", "50ms", "status"});
  EXPECT_EQ(status.status, kControlUnreachable);
  EXPECT_THAT(status.out, HasSubstr("no answer"));

  const Ran digest =
      run_control({"--config", file.path(), "--timeout", "50ms", "--output", "json", "digest"});
  EXPECT_EQ(digest.status, kControlUnreachable);
  EXPECT_EQ(digest.out, "[{\"replica\":0,\"digest\":null,\"executed\":null}]\n");
}

// Nothing is asked of a replica, and nobody waits for the end of an input that has none.
TEST(ControlCommandLine, AnInputThatIsNoValueIsRefused) {
  const File file(cluster_of(1));
  const auto refused = [&file](const char* input, const std::vector<std::string>& words) {
    std::vector<std::string> arguments{"--config", file.path()};
    arguments.insert(arguments.end(), words.begin(), words.end());
    EXPECT_NE(std::freopen(input, "r", stdin), nullptr);
    const Ran ran = run_control(arguments);
    EXPECT_NE(std::freopen("/dev/null", "r", stdin), nullptr);
    EXPECT_EQ(ran.status, kControlBadUsage);
    return ran.err;
  };

  for (const std::vector<std::string>& words : {std::vector<std::string>{"put", "k", "-"},
                                                {"append", "k", "-"},
                                                {"cas", "k", "-", "--absent"}}) {
    EXPECT_THAT(refused("/dev/zero", words), HasSubstr("has more than 65536 bytes")) << words[0];
    EXPECT_THAT(refused("/", words), HasSubstr("cannot be read: Is a directory")) << words[0];
  }
}

TEST(EveryProgram, SaysWhenItsOutputCannotBeWritten) {
  const File file(cluster_of(3));
  const auto into_a_full_device = [](const auto& run) {
    const int full = ::open("/dev/full", O_WRONLY);
    ::dup2(full, STDOUT_FILENO);
    ::_exit(run());
  };
  const auto server = [&file](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"epaxosd", "--config", file.path()});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    const Protocol protocols[] = {protocol::epaxos()};
    return serve(protocols, static_cast<int>(argv.size()), argv.data());
  };
  const std::string sentence = "epaxosd: the answer could not be written: No space left on device";
  for (const auto* const option : {"--print-config", "--check-config", "--help", "--version"}) {
    EXPECT_EXIT(into_a_full_device([&] { return server({option}); }),
                ::testing::ExitedWithCode(kServeNotWritten), sentence);
  }
  const auto control_help = [] {
    std::string words[] = {"epaxosctl", "--help"};
    char* argv[] = {words[0].data(), words[1].data()};
    return control(2, argv);
  };
  EXPECT_EXIT(into_a_full_device(control_help), ::testing::ExitedWithCode(kControlNotWritten),
              "epaxosctl: the answer could not be written");
}

TEST(EveryProgram, TellsItsVersion) {
  EXPECT_THAT(run_server({"--version"}).out, ::testing::MatchesRegex("epaxosd [0-9.]+\n"));
  EXPECT_THAT(run_control({"--version"}).out, ::testing::MatchesRegex("epaxosctl [0-9.]+\n"));
}

TEST(ControlCommandLine, TheHelpNamesEveryExitStatus) {
  const Ran help = run_control({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const auto* const part : {"0  executed", "1  the command line", "2  rejected", "3  unknown",
                                 "4  executed", "5  executed", "6  a replica", "7  the answer"}) {
    EXPECT_THAT(help.out, HasSubstr(part));
  }
}

TEST(ControlCommandLine, EveryHelpNamesTheOneWithTheCommonOptions) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"get"}, {"digest"}, {"member"}, {"member", "add"}, {"leader", "transfer"}}) {
    std::vector<std::string> arguments = words;
    arguments.emplace_back("--help");
    EXPECT_THAT(run_control(arguments).out, HasSubstr("--config and what else every"))
        << words.back();
  }
}

TEST(WholeNumber, IsReadInDecimalDigitsAndNeverCutOff) {
  EXPECT_EQ(*whole_number_from("-3"), -3);
  EXPECT_EQ(*whole_number_from("+5"), 5);
  EXPECT_EQ(*whole_number_from("010"), 10);
  EXPECT_EQ(*whole_number_from("9223372036854775807"), INT64_MAX);
  for (const auto* const text :
       {"", "x", "1.5", "5x", "0x10", " 1", "+", "+-5", "++5", "-+5", "99999999999999999999"}) {
    EXPECT_FALSE(whole_number_from(text)) << text;
  }
}

TEST(Duration, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(*duration_from("5s"), 5'000'000u);
  EXPECT_EQ(*duration_from("5"), 5'000'000u);
  EXPECT_EQ(*duration_from("1.5s"), 1'500'000u);
  EXPECT_EQ(*duration_from("500ms"), 500'000u);
  EXPECT_EQ(*duration_from("2000us"), 2'000u);
  EXPECT_EQ(*duration_from("2m"), 120'000'000u);
  EXPECT_EQ(*duration_from("1h"), 3'600'000'000u);
}

TEST(Duration, WhatIsNoneIsRefused) {
  for (const auto* const text :
       {"", "s", "soon", "5h", "5 s", "-1s", "0", "1us", "61m", "1e300s", "nan", "inf"}) {
    const auto duration = duration_from(text);
    ASSERT_FALSE(duration) << text;
    EXPECT_THAT(duration.error().message, HasSubstr("\"" + std::string(text) + "\""));
  }
}

}  // namespace
}  // namespace epaxos::testing
