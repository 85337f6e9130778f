// `epaxos-bench throughput`: the command line.

#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "bench/throughput/group_arguments.h"
#include "bench/throughput/report.h"

namespace epaxos::bench {
namespace {

std::string contradiction_of(const ThroughputOptions& options) {
  if (!options.data.empty() && options.durability == Durability::kNone) {
    return kDataOfNoUse;
  }
  if (options.floor && options.protocol != GroupOptions().protocol) {
    return "--floor sends the messages of epaxos, so it says nothing about " + options.protocol +
           ". Leave it out.";
  }
  return contradiction(options);
}

int run(const ThroughputOptions& options) {
  if (const std::string wrong = contradiction_of(options); !wrong.empty()) {
    std::fprintf(stderr, "epaxos-bench throughput: %s\n", wrong.c_str());
    return 2;
  }
  const auto result = measure_throughput(options);
  if (!result) {
    std::fprintf(stderr, "epaxos-bench throughput: %s\n", result.error().message.c_str());
    return 1;
  }
  const std::string text = options.json ? to_json(options, *result) : to_text(options, *result);
  std::fputs(text.c_str(), stdout);
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
  add_group_arguments(*command, o);
  const CLI::Option* const floor =
      command->add_flag("--floor,!--no-floor", o.floor, "Measure epaxos' bare floor too (yes)");
  command->callback([&status, floor] {
    if (floor->count() == 0) o.floor = o.protocol == GroupOptions().protocol;
    status = run(o);
  });
}

}  // namespace epaxos::bench
