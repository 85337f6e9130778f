#include "bench/throughput/group_arguments.h"

#include <filesystem>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/throughput/protocols.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
CLI::Validator durability_level() {
  return CLI::Validator(
      [](std::string& text) {
        const auto known = durability_from(text);
        return known ? std::string() : known.error().message;
      },
      "");
}

CLI::Validator existing_directory() {
  return CLI::Validator(
      [](std::string& text) {
        std::error_code ignored;
        if (std::filesystem::is_directory(text, ignored)) return std::string();
        return "\"" + text + "\" is not accepted: there is no such directory. Make it first.";
      },
      "");
}

CLI::Validator measured_protocol() {
  return CLI::Validator([](std::string& name) { return no_measured_protocol(name); }, "");
}

void add_durability(CLI::App& command, Durability& level) {
  command
      .add_option_function<std::string>(
          "--durability", [&level](const std::string& name) { level = *durability_from(name); },
          "none, async or sync (" + std::string(to_string(level)) + ")")
      ->check(durability_level());
}

void add_group_arguments(CLI::App& command, GroupOptions& o) {
  command
      .add_option("--protocol", o.protocol,
                  "Who decides, of " + measured_protocols_list() + " (epaxos)")
      ->check(measured_protocol());
  command.add_option("--in-flight", o.in_flight, "Commands without an answer, a replica (100)")
      ->check(number(1, 16'384, "1 to 16384 commands can be in flight a replica."));
  command.add_option("--batch", o.batch, "Commands that may share an instance (1)")
      ->check(number(1, 1024, "an instance holds 1 to 1024 commands."));
  command.add_option("--value-bytes", o.value_bytes, "Size of each value (64)")
      ->check(number(0, int(kv::kValueBytesMax), "a value has 0 to 65536 bytes."));
  command.add_option("--conflicts", o.conflict_percent, "Percent of commands on one key (0)")
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."));
  command.add_option("--keys", o.keys, "Other keys, a replica (10000)")
      ->check(number(1, 1'000'000, "a replica writes 1 to 1000000 keys of its own."));
  add_durability(command, o.durability);
  command.add_option("--data", o.data, "Where to keep the data during the run (a temporary place)")
      ->check(existing_directory());
  command.add_option("--series", o.series,
                     "A CSV file for plots: commands, memory and disk, each second a replica");
  command.add_flag("--json", o.json, "Print JSON");
}

std::string contradiction(const GroupOptions& options) {
  if (options.batch <= options.in_flight) return {};
  return "--batch " + std::to_string(options.batch) + " is more than --in-flight " +
         std::to_string(options.in_flight) +
         ": an instance cannot hold more commands than are in flight.";
}

}  // namespace epaxos::bench
