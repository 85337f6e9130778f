#include "epaxos/programs/simulate_report.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "epaxos/programs/text_table.h"

namespace epaxos {
namespace {

constexpr double kHourUs = 3'600'000'000.0;

std::string hours(Tick us) {
  return fixed(static_cast<double>(us) / kHourUs, 1);
}

std::string rate(const SimulateReport& report) {
  return fixed(static_cast<double>(report.seeds) / std::max(report.seconds, 0.001), 1);
}

/// 16 digits. Numbers of 64 bits are not safe in JSON.
std::string hexadecimal(std::uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

std::string seeds_text(const SimulateOptions& options) {
  if (options.first_seed == options.last_seed) return std::to_string(options.first_seed);
  return std::to_string(options.first_seed) + ".." + std::to_string(options.last_seed);
}

std::string faults_text(const SimulateReport& report) {
  TextTable table({"fault", ">times"});
  for (std::size_t i = 0; i < report.faults.size(); ++i) {
    if (report.faults[i] == 0) continue;
    const std::string_view name = sim::to_string(static_cast<sim::FaultClass>(i));
    table.add({std::string(name), grouped(report.faults[i])});
  }
  return table.rows() == 0 ? "" : "\n" + table.text();
}

std::string marks_text(const SimulateReport& report) {
  TextTable table({"mark", ">times"});
  for (const auto& [name, value] : report.marks) {
    if (value > 0 && !name.ends_with("_bytes")) table.add({name, grouped(value)});
  }
  std::string text = table.rows() == 0 ? "" : "\n" + table.text();
  if (!report.missing_marks.empty()) {
    text += "\nNever reached, and required:";
    for (const std::string& name : report.missing_marks) text += " " + name;
    text += "\n";
  }
  return text;
}

Failure ledger_not_written(const std::string& path) {
  return fail(ErrorCode::kIo, "The ledger " + path + " cannot be written.");
}

}  // namespace

void SimulateReport::add(const sim::SwarmResult& result) {
  ++seeds;
  simulated_us += result.simulated_us;
  events += result.events;
  trace_hash += result.trace_hash;
  executed += static_cast<std::uint64_t>(result.outcomes.executed);
  rejected += static_cast<std::uint64_t>(result.outcomes.rejected);
  unknown += static_cast<std::uint64_t>(result.outcomes.unknown);
  for (const auto& [name, value] : result.marks) marks[name] += value;
  for (std::size_t i = 0; i < faults.size(); ++i) faults[i] += result.faults[i];
  if (!result.violations.empty()) failed.push_back(result);
}

std::uint64_t SimulateReport::violations() const {
  std::uint64_t sum = 0;
  for (const sim::SwarmResult& result : failed) sum += result.violations.size();
  return sum;
}

void SimulateReport::require(const std::vector<std::string>& required) {
  for (const std::string& name : required) {
    const auto found = marks.find(name);
    if (found == marks.end() || found->second == 0) missing_marks.push_back(name);
  }
}

int SimulateReport::exit_status() const {
  if (!failed.empty() || !missing_marks.empty()) return kSimulateViolation;
  return interrupted ? kSimulateInterrupted : kSimulateAllHold;
}

std::string failure_text(const sim::SwarmResult& result, const SimulateOptions& options) {
  std::string text = "Seed " + std::to_string(result.plan.seed) + " does not hold:\n";
  for (const sim::Violation& violation : result.violations) {
    text += "  " + violation.checker + ": " + violation.what + "\n";
  }
  return text + "To see it again:\n  " +
         (options.plan ? options.replay_line(result.plan) : options.replay_line(result.plan.seed)) +
         "\n";
}

std::string to_text(const SimulateReport& report, const SimulateOptions& options) {
  std::string text = report.interrupted ? "Interrupted. " : "";
  text += grouped(report.seeds) + " of seeds " + seeds_text(options) + " in " +
          fixed(report.seconds, 1) + " s (" + rate(report) + " seeds/s), " +
          hours(report.simulated_us) + " simulated hours, " + grouped(report.events) +
          " events, trace hash " + hexadecimal(report.trace_hash) + ".\n" +
          grouped(report.executed) + " commands executed, " + grouped(report.rejected) +
          " rejected, " + grouped(report.unknown) + " unknown.\n";
  text += faults_text(report) + marks_text(report);
  if (report.failed.empty()) return text + "\nNo violations.\n";
  const std::uint64_t violations = report.violations();
  return text + "\n" + grouped(violations) +
         (violations == 1 ? " violation in " : " violations in ") + grouped(report.failed.size()) +
         (report.failed.size() == 1 ? " seed.\n" : " seeds.\n");
}

std::string to_json(const SimulateReport& report, const SimulateOptions& options) {
  nlohmann::ordered_json out{{"protocol", options.protocol},
                             {"replicas", options.replicas},
                             {"profile", options.profile},
                             {"mutant", options.mutant},
                             {"first_seed", options.first_seed},
                             {"seeds", report.seeds},
                             {"seconds", report.seconds},
                             {"simulated_us", report.simulated_us},
                             {"events", report.events},
                             {"trace_hash", hexadecimal(report.trace_hash)},
                             {"executed", report.executed},
                             {"rejected", report.rejected},
                             {"unknown", report.unknown},
                             {"interrupted", report.interrupted},
                             {"marks", report.marks},
                             {"missing_marks", report.missing_marks}};
  for (std::size_t i = 0; i < report.faults.size(); ++i) {
    const std::string_view name = sim::to_string(static_cast<sim::FaultClass>(i));
    out["faults"][std::string(name)] = report.faults[i];
  }
  out["failed"] = nlohmann::ordered_json::array();
  for (const sim::SwarmResult& result : report.failed) {
    nlohmann::ordered_json violations = nlohmann::ordered_json::array();
    for (const sim::Violation& each : result.violations) {
      violations.push_back({{"checker", each.checker}, {"what", each.what}});
    }
    out["failed"].push_back(
        {{"seed", result.plan.seed}, {"plan", to_text(result.plan)}, {"violations", violations}});
  }
  return out.dump(2) + "\n";
}

Result<void> check_ledger(const std::string& path) {
  if (std::ofstream(path, std::ios::app).good()) return {};
  return ledger_not_written(path);
}

Result<void> append_to_ledger(const SimulateReport& report, const SimulateOptions& options,
                              const std::string& date) {
  std::ofstream file(options.ledger, std::ios::app);
  file.seekp(0, std::ios::end);
  if (file.tellp() == 0) {
    file << "| date | version | protocol, replicas, profile | seeds | simulated hours | "
            "violations |\n|---|---|---|---|---|---|\n";
  }
  file << "| " << date << " | " << EPAXOS_VERSION << " | " << options.protocol << ", "
       << options.replicas << ", " << options.profile
       << (options.permanent_faults ? "" : ", no permanent faults")
       << (options.always_images ? ", always images" : "")
       << (options.mutant == "none" ? "" : ", mutant " + options.mutant) << " | "
       << grouped(report.seeds) << " (" << seeds_text(options) << ") | "
       << hours(report.simulated_us) << " | " << grouped(report.violations()) << " |\n";
  file.flush();
  if (file.good()) return {};
  return ledger_not_written(options.ledger);
}

}  // namespace epaxos
