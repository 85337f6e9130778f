// `epaxos-bench away`: the command line.

#include <cstdio>

#include <CLI/CLI.hpp>

#include "bench/away/report.h"
#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "bench/throughput/group_arguments.h"

namespace epaxos::bench {
namespace {

std::string report(const AwayOptions& options, const AwayResult& result) {
  if (options.json) return to_json(options, result);
  return options.csv ? to_csv(result) : to_text(options, result);
}

int run(const AwayOptions& options) {
  if (const std::string wrong = contradiction(options); !wrong.empty()) {
    complain("away", wrong);
    return 2;
  }
  const auto result = measure_away(options);
  if (!result) return complain("away", result.error().message);
  std::fputs(report(options, *result).c_str(), stdout);
  std::fflush(stdout);
  if (const std::string failure = failure_of(*result); !failure.empty()) {
    return complain("away", failure);
  }
  if (!result->interrupted) return 0;
  complain("away", "interrupted: the last phase was cut short, and the states were not compared.");
  return kInterrupted;
}

constexpr const char* kAwayFooter = R"(
All replicas are measured under load, the last one is killed with -9, the others go on, and it is
started again in its directory; it has caught up when it lags by no more than what the others did in
the last 200 ms. Then it takes part in the load again, unless it may not vote, as at async and none.
What is refused is proposed again after some milliseconds.

Exit status: 0 all went well and all replicas hold the same state, 1 they do not or something
failed, 2 arguments that contradict each other, 130 interrupted.)";

}  // namespace

void add_away(CLI::App& app, int& status) {
  static AwayOptions o;  // It outlives the parsing, and a command line is parsed once.
  CLI::App* const command = app.add_subcommand(
      "away", "What it costs that a replica was away under load and comes back.");
  command->add_option("--replicas", o.replicas, "Processes with one replica each (3)")
      ->check(number(3, kReplicasMax, "a group that goes on without one has 3 to 9 replicas."));
  command->add_option("--missed", o.missed, "Commands that one replica misses (1000000)")
      ->check(number(std::uint64_t{1}, std::uint64_t{1'000'000'000},
                     "a replica misses 1 to 1000000000 commands."));
  command->add_option("--seconds", o.seconds, "How long to measure before and after (5)")
      ->check(number(0.1, 3600.0, "before and after are measured for 0.1 to 3600 seconds."));
  command->add_option("--rate", o.rate, "Commands/s that a replica proposes at most (no limit)")
      ->check(number(1.0, 1e7, "a replica proposes 1 to 10000000 commands/s at most."));
  add_group_arguments(*command, o);
  command->add_flag("--csv", o.csv, "Print CSV, a line a phase")->excludes("--json");
  command->footer(kAwayFooter);
  command->callback([&status] { status = run(o); });
}

}  // namespace epaxos::bench
