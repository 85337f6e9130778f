// `epaxos-bench compare`: the command line.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/compare/etcd_members.h"
#include "bench/compare/etcd_puts.h"
#include "bench/compare/report.h"
#include "bench/report/arguments.h"
#include "bench/report/result_file.h"
#include "bench/subcommands.h"
#include "bench/throughput/group_arguments.h"
#include "bench/throughput/protocols.h"
#include "epaxos/programs/every_program.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
namespace {

template <class Value>
bool names_one_twice(const std::vector<Value>& values) {
  return std::set<Value>(values.begin(), values.end()).size() < values.size();
}

std::string contradiction(const CompareOptions& o) {
  if (names_one_twice(o.protocols) || names_one_twice(o.conflicts) ||
      names_one_twice(o.in_flight) || names_one_twice(o.value_bytes) ||
      names_one_twice(o.durability)) {
    return "a list names something twice. Name each once; --repeat measures it more than once.";
  }
  if (o.batch > *std::ranges::max_element(o.in_flight)) {
    return "--batch " + std::to_string(o.batch) +
           " is more than is ever in flight: nothing could hold so many commands.";
  }
  if (!o.data.empty() && o.durability == std::vector{Durability::kNone} && !o.kill) {
    return kDataOfNoUse;
  }
  return {};
}

/// Why etcd cannot be measured so; empty: it can, or nobody asks for it.
std::string contradiction_with_etcd(const CompareOptions& o) {
  if (!o.etcd) return {};
  if (o.kill) return "--kill kills no member of etcd. Leave out --etcd.";
  if (std::ranges::count(o.durability, Durability::kSync) == 0) {
    return "etcd always writes to its disk. Name sync with --durability, or leave out --etcd.";
  }
  if (*std::ranges::max_element(o.value_bytes) > EtcdPuts::kValueBytesMax) {
    return "with --etcd a value has at most " + std::to_string(EtcdPuts::kValueBytesMax) +
           " bytes.";
  }
  return {};
}

/// Prints and writes what was measured. Returns the exit status.
template <class Measured>
int tell(const CompareOptions& options, const Measured& measured, ResultFile& csv,
         ResultFile& json) {
  std::fputs(to_text(options, measured).c_str(), stdout);
  std::fflush(stdout);
  for (const auto& written :
       {csv.write(to_csv(measured)), json.write(to_json(options, measured))}) {
    if (!written) return complain("compare", written.error().message);
  }
  if (!measured.trouble.empty()) return complain("compare", measured.trouble);
  if (!measured.interrupted) return 0;
  complain("compare", "interrupted: the table holds what was measured until then.");
  return kInterrupted;
}

int run(const CompareOptions& options) {
  if (const std::string wrong = contradiction(options); !wrong.empty()) {
    complain("compare", wrong);
    return 2;
  }
  if (const std::string wrong = contradiction_with_etcd(options); !wrong.empty()) {
    complain("compare", wrong);
    return 2;
  }
  if (options.etcd) {
    if (const auto found = etcd_program(); !found)
      return complain("compare", found.error().message);
  }
  ResultFile csv("--csv");
  ResultFile json("--json");
  const auto opened = ResultFile::open_all({{csv, options.csv}, {json, options.json}});
  if (!opened) return complain("compare", opened.error().message);
  if (options.kill) return tell(options, measure_losses(options), csv, json);
  return tell(options, measure_matrix(options), csv, json);
}

/// What was not chosen, for --quick and --kill.
template <class Value>
void unless_chosen(const CLI::Option* option, Value& value, Value other) {
  if (option->count() == 0) value = std::move(other);
}

constexpr const char* kCompareFooter = R"(
Lists are separated by commas, as in --in-flight 1,128. Every combination has processes of its own:
they find each other and a leader, warm up, are measured, come to rest, and must hold the same
state. All combinations are measured in turn, --repeat times. docs/comparison.md says how to read
the table.

Exit status: 0 all went well, 1 something failed or replicas disagree, 2 arguments that contradict
each other, 130 interrupted; what was measured until then is printed and written.)";

/// The options that --quick and --kill look at.
struct Chosen {
  const CLI::Option* in_flight;
  const CLI::Option* values;
  const CLI::Option* seconds;
  const CLI::Option* repeat;
};

Chosen add_loads(CLI::App& command, CompareOptions& o, std::vector<std::string>& durability) {
  command.add_option("--protocols", o.protocols, "Of " + measured_protocols_list())
      ->delimiter(',')
      ->check(measured_protocol())
      ->capture_default_str();
  command.add_option("--conflicts", o.conflicts, "Of epaxos: percent of commands on one key")
      ->delimiter(',')
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."))
      ->capture_default_str();
  Chosen chosen{};
  chosen.in_flight =
      command.add_option("--in-flight", o.in_flight, "Commands without an answer, a replica")
          ->delimiter(',')
          ->check(number(1, 16'384, "1 to 16384 commands can be in flight a replica."))
          ->capture_default_str();
  chosen.values = command.add_option("--values", o.value_bytes, "Bytes of each value")
                      ->delimiter(',')
                      ->check(number(0, int(kv::kValueBytesMax), "a value has 0 to 65536 bytes."))
                      ->capture_default_str();
  command.add_option("--durability", durability, "Of none, async, sync")
      ->delimiter(',')
      ->check(durability_level())
      ->capture_default_str();
  command
      .add_option("--batch", o.batch, "Commands that may share an instance or an entry of a log")
      ->check(number(1, 1024, "an instance holds 1 to 1024 commands."))
      ->capture_default_str();
  command.add_option("--replicas", o.replicas, "Processes with one replica each")
      ->check(number(3, kReplicasMax, "a group that is compared has 3 to 9 replicas."))
      ->capture_default_str();
  chosen.seconds = command.add_option("--seconds", o.seconds, "Of each run, after warming up")
                       ->check(number(0.1, 3600.0, "a run is measured for 0.1 to 3600 seconds."))
                       ->capture_default_str();
  chosen.repeat = command.add_option("--repeat", o.repeat, "Runs of each; the table has medians")
                      ->check(number(1, 1000, "each is measured 1 to 1000 times."))
                      ->capture_default_str();
  return chosen;
}

/// Complains about the first one.
bool has_other_options(const CLI::App& command, const CLI::Option* files) {
  for (const CLI::Option* option : command.get_options()) {
    if (option == files || option->count() == 0) continue;
    complain("compare", option->get_name() +
                            " is of a measurement, and two results of wan are "
                            "compared without one. Leave it out.");
    return true;
  }
  return false;
}

}  // namespace

void add_compare(CLI::App& app, int& status,
                 int (*show_diff)(const char* name, const std::string& before,
                                  const std::string& after)) {
  auto options = std::make_shared<CompareOptions>();
  auto durability = std::make_shared<std::vector<std::string>>();
  auto quick = std::make_shared<bool>(false);
  for (const Durability level : options->durability) durability->emplace_back(to_string(level));
  auto* const sub = app.add_subcommand("compare", "EPaxos, Raft and Multi-Paxos under one load");
  const Chosen chosen = add_loads(*sub, *options, *durability);
  sub->add_flag("--quick", *quick, "About a minute: 1,128 in flight, 64 bytes, one short run");
  sub->add_flag("--kill", options->kill,
                "The longest gap after a kill -9 instead, of the leader and of another replica");
  sub->add_flag("--etcd", options->etcd, "Three members of etcd too, if it is installed");
  sub->add_option("--data", options->data,
                  "Where to keep the data during a run (a temporary place)")
      ->check(existing_directory());
  sub->add_option("--csv", options->csv, "A file for the figures as CSV");
  sub->add_option("--json", options->json, "A file for the figures as JSON");
  auto results = std::make_shared<std::vector<std::string>>();
  auto* const files =
      sub->add_option("RESULTS", *results,
                      "Two results of wan --json instead: what changed, as wan-diff says it")
          ->expected(2)
          ->check(refuse_empty);
  sub->footer(kCompareFooter);
  sub->callback([options, durability, quick, chosen, results, sub, files, show_diff, &status] {
    if (!results->empty()) {
      status =
          has_other_options(*sub, files) ? 1 : show_diff("compare", (*results)[0], (*results)[1]);
      return;
    }
    using Sizes = std::vector<std::size_t>;
    options->durability.clear();
    for (const std::string& name : *durability) {
      options->durability.push_back(*durability_from(name));
    }
    if (*quick || options->kill) {
      unless_chosen(chosen.in_flight, options->in_flight,
                    options->kill ? Sizes{16} : Sizes{1, 128});
      unless_chosen(chosen.values, options->value_bytes, Sizes{64});
    }
    if (*quick) {
      unless_chosen(chosen.repeat, options->repeat, 1);
      unless_chosen(chosen.seconds, options->seconds, 1.5);
    }
    status = run(*options);
  });
}

}  // namespace epaxos::bench
