// epaxos-bench demo: replicas and clients on this machine, and a table.

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <CLI/CLI.hpp>

#include "bench/demo/demo.h"
#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "epaxos/programs/child_process.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
namespace {

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return !file.fail();
}

int run(const DemoOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) return complain("demo", "cannot make " + options.out + ": " + error.message() + ".");
  for (int r = 0; r < kReplicasMax; ++r) {
    std::filesystem::remove(options.out + "/replica-" + std::to_string(r) + ".log", error);
  }
  catch_interrupts();
  const DemoResult result = run_demo(options);
  std::fputs(demo_table(result).c_str(), stdout);
  const std::string csv = options.out + "/demo.csv";
  const std::string kills = options.out + "/kills.csv";
  const std::string json = options.out + "/demo.json";
  if (!write_file(csv, demo_csv(result)) || !write_file(kills, kills_csv(result.kills)) ||
      !write_file(json, demo_json(result))) {
    return complain("demo", "cannot write " + csv + ", " + kills + " and " + json + ".");
  }
  std::printf("\nWritten: %s, %s, %s\n", csv.c_str(), kills.c_str(), json.c_str());
  std::fflush(stdout);
  if (!result.trouble.empty()) return complain("demo", result.trouble);
  if (!result.interrupted) return 0;
  complain("demo",
           result.rows.empty() && result.kills.empty()
               ? "interrupted before anything was measured."
               : "interrupted: the last workload was cut short, and the states were not compared.");
  return kInterrupted;
}

constexpr const char* kDemoFooter = R"(
Then one replica is killed with -9 at a third of the time and started again at two thirds, while the
clients increment counters. The counters are read in the end: nothing that was acknowledged may be
missing, and nothing may have happened twice.

Writes demo.csv, kills.csv, demo.json and the logs of the replicas to the directory of the results.
Replicas and clients have ended when it ends.

Exit status: 0 all went well, all replicas hold the same state and the counters what they should,
1 they do not or something failed, 130 interrupted.)";

}  // namespace

void add_demo(CLI::App& app, int& status) {
  auto options = std::make_shared<DemoOptions>();
  auto durability = std::make_shared<std::string>(to_string(options->durability));
  auto* const sub = app.add_subcommand("demo", "Replicas and clients on this machine, and a table");
  sub->add_option("--replicas", options->replicas, "How many")
      ->check(number(1, kReplicasMax, "a group has 1 to 9 replicas."))
      ->capture_default_str();
  sub->add_option("--seconds", options->seconds, "Of each workload")
      ->check(number(0.2, 3600.0, "a workload takes 0.2 to 3600 seconds."))
      ->capture_default_str();
  sub->add_option("--in-flight", options->in_flight, "Requests under way at each replica")
      ->check(number(1, 65536, "1 to 65536 requests can be under way."))
      ->capture_default_str();
  sub->add_option("--value-bytes", options->value_bytes, "Size of a value")
      ->check(number(std::size_t{0}, kv::kValueBytesMax, "a value has 0 to 65536 bytes."))
      ->capture_default_str();
  sub->add_option("--conflicts", options->conflicts, "Percent on one hot key, one a workload")
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."))
      ->capture_default_str();
  auto* const kill =
      sub->add_option("--kill", options->kills,
                      "The same for workloads in which a replica is killed, as in 0,2")
          ->delimiter(',')
          ->check(number(0, 100, "it is a share in percent, from 0 to 100."))
          ->capture_default_str();
  sub->add_flag_callback(
         "--no-kill", [options] { options->kills.clear(); }, "Kill nobody")
      ->excludes(kill);
  sub->add_option("--kill-seconds", options->kill_seconds, "Of each of these")
      ->check(number(0.6, 3600.0, "such a workload takes 0.6 to 3600 seconds."))
      ->capture_default_str();
  sub->add_option("--durability", *durability, "sync, async or none")
      ->check(CLI::IsMember({"sync", "async", "none"}))
      ->capture_default_str();
  sub->add_option("--out", options->out, "Directory of the results")->capture_default_str();
  sub->footer(kDemoFooter);
  sub->callback([options, durability, &status] {
    options->durability = *durability_from(*durability);
    if (options->replicas < 3 && !options->kills.empty()) {
      complain("demo", "with less than 3 replicas all clients wait when one is killed: nobody is.");
      options->kills.clear();
    }
    status = run(*options);
  });
}

}  // namespace epaxos::bench
