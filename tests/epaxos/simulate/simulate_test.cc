// epaxos-sim as people use it: what it prints, how it ends, and that it notices what is wrong with
// a protocol or a machine that is known to be bad.

#include "epaxos/programs/simulate.h"

#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <sstream>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "deps/types/mutant.h"
#include "epaxos/programs/simulate_workers.h"
#include "executor/key_value_machine.h"

namespace epaxos::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

/// A machine that is wrong in the same way at all replicas.
class BadMachine final : public StateMachine {
 public:
  using Before = std::function<void(Command& command, std::uint64_t count)>;
  explicit BadMachine(Before before) : before_(std::move(before)) {}

  [[nodiscard]] Result<Footprint> admit(Bytes payload) const override {
    return machine_.admit(payload);
  }
  void apply(std::span<const Command> batch, Replies& replies) override {
    for (Command command : batch) {
      before_(command, ++count_);
      machine_.apply(std::span(&command, 1), replies);
    }
  }
  [[nodiscard]] Result<void> save(const Sink& sink) const override { return machine_.save(sink); }
  Result<void> load(const Source& source) override { return machine_.load(source); }
  [[nodiscard]] std::uint64_t digest() const override { return machine_.digest(); }

 private:
  const Before before_;
  std::uint64_t count_ = 0;
  KeyValueMachine machine_;
};

SimulatedProtocol with_machine(std::string name, BadMachine::Before before) {
  SimulatedProtocol simulated = simulated_epaxos();
  simulated.swarm.protocol.name = std::move(name);
  simulated.swarm.make_machine = [before] { return std::make_unique<BadMachine>(before); };
  return simulated;
}

/// Deletes have no effect, though they say so.
void forget_deletes(Command& command, std::uint64_t) {
  static const kv::Payload harmless = kv::put("elsewhere", "1");
  kv::KeyValueCommand decoded;
  if (!decode_command(command.payload, decoded)) return;
  if (decoded.operation == kv::Operation::kDelete) command.payload = harmless;
}

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

Ran run(std::vector<std::string> arguments) {
  const SimulatedProtocol protocols[] = {
      simulated_epaxos(), with_machine("forgetful", forget_deletes),
      with_machine("aborting", [](Command&, std::uint64_t count) {
        check(count < 20, "the twentieth command is one too many");
      })};
  arguments.insert(arguments.begin(), "epaxos-sim");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  CaptureStdout();
  CaptureStderr();
  Ran ran;
  ran.status = simulate(protocols, static_cast<int>(arguments.size()), argv.data());
  std::fflush(stdout);
  ran.out = GetCapturedStdout();
  ran.err = GetCapturedStderr();
  return ran;
}

/// A file of a test's own. It vanishes with this.
class File {
 public:
  explicit File(const std::string& name)
      : path(::testing::TempDir() + "epaxos-" + std::to_string(::getpid()) + "-" + name) {}
  ~File() { std::remove(path.c_str()); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] std::string text() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const std::string path;
};

/// What stands between two texts.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string::npos) return {};
  const std::size_t from = begin + before.size();
  return text.substr(from, text.find(after, from) - from);
}

TEST(Simulate, SeedsThatHoldEndWellAndTellWhatTheyReached) {
  EXPECT_EQ(run({"--seeds", "0..18446744073709551615"}).status, 2)
      << "one more than can be counted";

  const Ran ran = run({"--seeds", "1..20"});

  EXPECT_EQ(ran.status, kSimulateAllHold) << ran.out << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("20 of seeds 1..20"), HasSubstr("simulated hours"),
                    HasSubstr("fast_path"), HasSubstr("partition"), HasSubstr("No violations.")));
}

TEST(Simulate, HowManyProcessesRunChangesNothing) {
  const auto result = [](const char* jobs) {
    json out = json::parse(run({"--seeds", "1..30", "--jobs", jobs, "--json"}).out);
    out.erase("seconds");
    return out;
  };

  const json alone = result("1");
  EXPECT_EQ(alone.at("seeds"), 30);
  EXPECT_THAT(alone.at("failed"), IsEmpty());
  EXPECT_GT(alone.at("marks").at("fast_path"), 0);
  EXPECT_EQ(result("4"), alone);
}

TEST(Simulate, AMachineThatForgetsIsNoticedAndItsSeedShowsItAgain) {
  const Ran ran = run({"--protocol", "forgetful", "--seeds", "1..100"});

  EXPECT_EQ(ran.status, kSimulateViolation);
  EXPECT_THAT(ran.out, HasSubstr("linearizability: no order explains all replies"));
  const std::string seed = between(ran.out, "--replay ", "\n");
  ASSERT_NE(seed, "");
  const Ran again = run({"--protocol", "forgetful", "--replay", seed});
  EXPECT_EQ(again.status, kSimulateViolation);
  EXPECT_THAT(again.out, HasSubstr("seed=" + seed));
}

TEST(Simulate, APlanThatFailsIsMadeSmaller) {
  const File file("shrunk.txt");
  const Ran ran =
      run({"--protocol", "forgetful", "--seeds", "1..100", "--shrink", "--chronicle", file.path});

  EXPECT_EQ(ran.status, kSimulateViolation);
  const std::string text = between(ran.out, "--plan '", "'");
  ASSERT_NE(text, "") << ran.out;
  const Result<sim::SwarmPlan> plan = sim::plan_from(text);
  ASSERT_TRUE(plan);
  EXPECT_LE(plan->replicas, 3u);
  EXPECT_LE(plan->commands, 60u) << "a write, a delete and a look suffice";
  EXPECT_EQ(plan->classes, 0u) << "no fault is needed";
  const Ran again = run({"--protocol", "forgetful", "--plan", text});
  EXPECT_EQ(again.status, kSimulateViolation);
  EXPECT_THAT(again.out, HasSubstr("linearizability"));
  EXPECT_THAT(ran.out, HasSubstr("All that happens in it: " + file.path));
  EXPECT_THAT(file.text(),
              AllOf(HasSubstr("--plan '" + text + "'"), HasSubstr(" is given "),
                    HasSubstr(" tells its client "), HasSubstr("# linearizability: ")));
}

TEST(Simulate, AChronicleTellsAllThatHappensAndChangesNothing) {
  const File file("chronicle.txt");
  const std::string plan = "seed=7 replicas=3 commands=2 clients=1 classes=loss loss_ppm=300000";
  const Ran alone = run({"--plan", plan});
  const Ran told = run({"--plan", plan, "--chronicle", file.path});

  EXPECT_EQ(told.status, kSimulateAllHold) << told.out << told.err;
  EXPECT_EQ(between(told.out, "trace hash ", "."), between(alone.out, "trace hash ", "."));
  const std::string text = file.text();
  EXPECT_THAT(
      text, AllOf(HasSubstr("         0 R0 starts\n"), HasSubstr(" > R1 PreAccept R"),
                  HasSubstr(" < R0 PreAccept"), HasSubstr(" durable: R"),
                  HasSubstr("pre-accepted [0,0,0] "), HasSubstr(" executes "), HasSubstr(" x R")));
  EXPECT_THAT(text, HasSubstr(" tells its client the reply to "));
}

// A check that does not hold ends the process of the run.
TEST(Simulate, AChronicleTellsHowFarARunCame) {
  const File file("aborting.txt");
  run({"--protocol", "aborting", "--replay", "1", "--chronicle", file.path});

  EXPECT_THAT(file.text(),
              AllOf(HasSubstr(" executes "), HasSubstr("# check: "), HasSubstr("one too many")));
}

TEST(Simulate, ARunPrintsTheTraceHashThatTheTableHolds) {
  std::ifstream table(EPAXOS_SOURCE_DIR "/tests/epaxos/seeds/trace_hashes.txt");
  std::string profile, seed, hash;
  while (std::getline(table, profile) && !profile.empty() && profile[0] == '#') {
  }
  std::istringstream(profile) >> profile >> seed >> hash;
  ASSERT_EQ(hash.size(), 16u);

  const Ran ran = run({"--profile", profile, "--replay", seed});

  EXPECT_EQ(between(ran.out, "trace hash ", "."), hash);
}

TEST(Simulate, ARunThatEndsItsProcessIsAViolationAndTheOthersGoOn) {
  const Ran ran = run({"--protocol", "aborting", "--seeds", "1..20", "--keep-going", "--json"});

  EXPECT_EQ(ran.status, kSimulateViolation);
  const json out = json::parse(ran.out);
  EXPECT_EQ(out.at("seeds"), 20);
  ASSERT_GT(out.at("failed").size(), 10u);
  const json& first = out.at("failed").at(0).at("violations").at(0);
  EXPECT_EQ(first.at("checker"), "check");
  EXPECT_THAT(first.at("what").get<std::string>(), HasSubstr("one too many"));
}

TEST(Simulate, WithoutKeepGoingTheFirstViolationIsTheLast) {
  const Ran ran = run({"--protocol", "aborting", "--seeds", "1..20", "--json"});

  EXPECT_EQ(ran.status, kSimulateViolation);
  EXPECT_EQ(json::parse(ran.out).at("failed").size(), 1u);
}

TEST(Simulate, ALongRunMustReachWhatItShallTest) {
  const Ran ran = run({"--seeds", "1..2", "--replicas", "1", "--profile", "nightly"});

  EXPECT_EQ(ran.status, kSimulateViolation) << "one replica has no slow path";
  EXPECT_THAT(ran.out, HasSubstr("Never reached, and required: "));
  EXPECT_THAT(ran.out, HasSubstr(" slow_path_mismatch"));
}

TEST(Simulate, AFixedNumberOfReplicasIsKept) {
  const Ran ran = run({"--replicas", "5", "--replay", "7"});

  EXPECT_EQ(ran.status, kSimulateAllHold);
  EXPECT_THAT(ran.out, HasSubstr("replicas=5"));
}

TEST(Simulate, BadUsageSaysWhatIsWrong) {
  const auto wrong = [](std::vector<std::string> arguments) {
    const Ran ran = run(std::move(arguments));
    EXPECT_EQ(ran.status, kSimulateBadUsage);
    return ran.err;
  };

  EXPECT_THAT(wrong({"--protocol", "nobody"}), HasSubstr("nobody"));
  EXPECT_THAT(wrong({"--seeds", "5..1"}), HasSubstr("1..300"));
  EXPECT_THAT(wrong({"--seeds", "many"}), HasSubstr("1..300"));
  EXPECT_THAT(wrong({"--replicas", "10"}), HasSubstr("1 to 9"));
  EXPECT_THAT(wrong({"--mutant", "nobody"}),
              AllOf(HasSubstr("\"nobody\" is no known bug"), HasSubstr("--list-mutants")));
  EXPECT_THAT(wrong({"--mutant", "slot-resue"}), HasSubstr("Did you mean \"slot-reuse\"?"));
  EXPECT_THAT(wrong({"--mutant", "raft-no-nop"}), HasSubstr("would do nothing"));
  EXPECT_THAT(wrong({"--plan", "speed=1"}), HasSubstr("speed=1"));
  EXPECT_THAT(wrong({"--jobs", "0"}), StartsWith("epaxos-sim: --jobs"));
  EXPECT_THAT(wrong({"--chronicle", "x"}),
              HasSubstr("epaxos-sim: --chronicle tells of one run: it needs --replay"));
  EXPECT_THAT(wrong({"--trace", "x"}), HasSubstr("--replay"));
  for (const auto* const seed : {"", "-1", "+1", "7x", " 7", "18446744073709551616"}) {
    EXPECT_THAT(wrong({"--replay", seed}), HasSubstr("not \"" + std::string(seed) + "\""));
  }
  for (const auto* const option : {"--plan", "--chronicle", "--ledger"}) {
    EXPECT_THAT(wrong({option, ""}), HasSubstr(std::string(option) + ": is empty"));
    EXPECT_THAT(wrong({option, "  "}), HasSubstr(std::string(option) + ": is empty"));
  }
  EXPECT_THAT(wrong({"--seeds", "1..2", "--replay", "7"}), HasSubstr("exclude each other"));
  EXPECT_THAT(wrong({"--plan", "seed=1", "--replay", "7"}), HasSubstr("exclude each other"));
}

TEST(Simulate, ALedgerThatCannotBeWrittenIsSaidBeforeTheRun) {
  const Ran ran = run({"--seeds", "1..3", "--ledger", "/nowhere/ledger"});

  EXPECT_EQ(ran.status, kSimulateBadUsage);
  EXPECT_THAT(ran.err, HasSubstr("The ledger /nowhere/ledger cannot be written."));
  EXPECT_EQ(ran.out, "");
}

TEST(Simulate, AChronicleThatCannotBeWrittenIsNoSuccess) {
  const Ran ran = run({"--plan", "seed=1 commands=1 clients=1", "--chronicle", "/dev/full"});

  EXPECT_EQ(ran.status, kSimulateBadUsage) << ran.out;
  EXPECT_THAT(ran.err, HasSubstr("The chronicle /dev/full cannot be written."));
}

TEST(Simulate, ATraceDrawsTheCommandsOfTheRunAndChangesNothing) {
  const File file("trace.json");
  const std::string plan = "seed=1 replicas=3 commands=5 clients=1";
  const Ran plain = run({"--plan", plan});

  const Ran traced = run({"--plan", plan, "--trace", file.path});

  EXPECT_EQ(traced.status, plain.status);
  EXPECT_THAT(traced.out, HasSubstr("For ui.perfetto.dev: " + file.path));
  const auto events = nlohmann::json::parse(file.text()).at("traceEvents");
  std::set<std::string> names;
  for (const auto& event : events) names.insert(event.at("name").get<std::string>());
  EXPECT_TRUE(names.contains("first round"));
}

TEST(Simulate, ATraceThatCannotBeWrittenIsSaidBeforeTheRun) {
  const Ran ran = run({"--plan", "seed=1 commands=1 clients=1", "--trace", "/nowhere/trace.json"});

  EXPECT_EQ(ran.status, kSimulateBadUsage);
  EXPECT_THAT(ran.err, HasSubstr("The trace /nowhere/trace.json cannot be written."));
  EXPECT_EQ(ran.out, "");
}

TEST(Simulate, AResultThatCannotBeWrittenIsNoSuccess) {
  const auto into_a_full_device = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "epaxos-sim");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    const SimulatedProtocol protocols[] = {simulated_epaxos()};
    ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO);
    ::_exit(simulate(protocols, static_cast<int>(argv.size()), argv.data()));
  };
  const std::string sentence = "epaxos-sim: the answer could not be written";
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--list-mutants"},
                                                    {"--help"},
                                                    {"--version"},
                                                    {"--replay", "1"},
                                                    {"--seeds", "1..2"},
                                                    {"--seeds", "1..2", "--json"}}) {
    EXPECT_EXIT(into_a_full_device(arguments), ::testing::ExitedWithCode(kSimulateNotWritten),
                sentence);
  }
}

TEST(Simulate, ABudgetOfTimeEndsARunWell) {
  const Ran ran = run({"--seeds", "1..1000000000", "--seconds", "1", "--json"});

  EXPECT_EQ(ran.status, kSimulateAllHold);
  EXPECT_GT(json::parse(ran.out).at("seeds"), 1);
}

TEST(Simulate, EveryMutantIsListed) {
  const Ran ran = run({"--list-mutants"});

  EXPECT_EQ(ran.status, kSimulateAllHold);
  for (const MutantInfo& info : mutants()) {
    EXPECT_THAT(ran.out, HasSubstr(std::string(info.name)));
  }
}

TEST(Simulate, TheHelpSaysWhereTheMutantsAreListed) {
  const Ran ran = run({"--help"});

  EXPECT_THAT(ran.out, HasSubstr("--list-mutants names them"));
  EXPECT_THAT(ran.out, Not(HasSubstr("slot-reuse")));
}

TEST(Simulate, TheLedgerGrowsByOneRowARun) {
  const std::string path =
      ::testing::TempDir() + "epaxos-ledger-" + std::to_string(::getpid()) + ".md";
  for (int i = 0; i < 2; ++i) run({"--seeds", "1..3", "--ledger", path});

  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  std::remove(path.c_str());
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[0], HasSubstr("| date | version |"));
  EXPECT_THAT(lines[3], HasSubstr("epaxos, swarm, smoke | 3 (1..3) | "));
}

TEST(SimulateWorkers, ARunWithoutAnEndIsEnded) {
  SimulatedRuns runs;
  runs.count = 2;
  runs.processor_seconds_max = 1;
  runs.plan = [](std::uint64_t number) {
    sim::SwarmPlan plan;
    plan.seed = number;
    return plan;
  };
  runs.run = [](const sim::SwarmPlan& plan) {
    while (plan.seed == 0) static_cast<void>(::getpid());
    return sim::SwarmResult();
  };
  SimulateWorkers workers(runs, 1);

  std::vector<sim::SwarmResult> results;
  while (!workers.done()) {
    if (auto result = workers.next(-1)) results.push_back(*std::move(result));
  }

  ASSERT_EQ(results.size(), 2u);
  ASSERT_EQ(results[0].violations.size(), 1u);
  EXPECT_THAT(results[0].violations[0].what, HasSubstr("no end"));
  EXPECT_THAT(results[1].violations, IsEmpty());
}

}  // namespace
}  // namespace epaxos::testing
