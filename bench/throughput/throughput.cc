// `epaxos-bench throughput`: the command line.

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <functional>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "bench/throughput/report.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
namespace {

CLI::Validator durability() {
  return CLI::Validator(
      [](std::string& text) {
        const auto known = durability_from(text);
        return known ? std::string() : known.error().message;
      },
      "");
}

CLI::Validator directory() {
  return CLI::Validator(
      [](std::string& text) {
        std::error_code ignored;
        if (std::filesystem::is_directory(text, ignored)) return std::string();
        return "\"" + text + "\" is not accepted: there is no such directory. Make it first.";
      },
      "");
}

/// What each argument alone cannot know. Empty: all is well.
std::string contradiction(const ThroughputOptions& options) {
  if (options.batch > options.in_flight) {
    return "--batch " + std::to_string(options.batch) + " is more than --in-flight " +
           std::to_string(options.in_flight) +
           ": an instance cannot hold more commands than are in flight.";
  }
  if (!options.data.empty() && options.durability == Durability::kNone) {
    return "--data is of no use at --durability none, which writes nothing. Choose sync or async.";
  }
  return {};
}

int run(const ThroughputOptions& options) {
  if (const std::string wrong = contradiction(options); !wrong.empty()) {
    std::fprintf(stderr, "epaxos-bench throughput: %s\n", wrong.c_str());
    return 2;
  }
  const auto result = measure_throughput(options);
  if (!result) {
    std::fprintf(stderr, "epaxos-bench throughput: %s\n", result.error().message.c_str());
    return 1;
  }
  std::fputs((options.json ? to_json : to_text)(options, *result).c_str(), stdout);
  const std::string failure = failure_of(*result);
  if (!failure.empty()) {
    std::fprintf(stderr, "epaxos-bench throughput: %s\n", failure.c_str());
    return 1;
  }
  return result->interrupted ? kInterrupted : 0;
}

}  // namespace

void add_throughput(CLI::App& app, int& status) {
  static ThroughputOptions o;  // It outlives the parsing, and a command line is parsed once.
  CLI::App* const command = app.add_subcommand(
      "throughput", "Commands/s, latency, CPU and memory of replicas with a load inside.");
  command->add_option("--replicas", o.replicas, "Processes with one replica each (3)")
      ->check(number(1, kReplicasMax, "a group has 1 to 9 replicas."));
  command->add_option("--seconds", o.seconds, "How long to measure, after warming up (20)")
      ->check(number(0.1, 3600.0, "a run is measured for 0.1 to 3600 seconds."));
  command->add_option("--in-flight", o.in_flight, "Commands without an answer, a replica (100)")
      ->check(number(1, 16'384, "1 to 16384 commands can be in flight a replica."));
  command->add_option("--batch", o.batch, "Commands that may share an instance (1)")
      ->check(number(1, 1024, "an instance holds 1 to 1024 commands."));
  command->add_option("--value-bytes", o.value_bytes, "Size of each value (64)")
      ->check(number(0, int(kv::kValueBytesMax), "a value has 0 to 65536 bytes."));
  command->add_option("--conflicts", o.conflict_percent, "Percent of commands on one key (0)")
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."));
  command->add_option("--keys", o.keys, "Other keys, a replica (10000)")
      ->check(number(1, 1'000'000, "a replica writes 1 to 1000000 keys of its own."));
  command
      ->add_option_function<std::string>(
          "--durability", [](const std::string& name) { o.durability = *durability_from(name); },
          "none, async or sync (none)")
      ->check(durability());
  command->add_option("--data", o.data, "Where to keep the data during the run (a temporary place)")
      ->check(directory());
  command->add_flag("--floor,!--no-floor", o.floor, "Measure the bare floor too (yes)");
  command->add_flag("--json", o.json, "Print JSON");
  command->callback([&status] { status = run(o); });
}

}  // namespace epaxos::bench
