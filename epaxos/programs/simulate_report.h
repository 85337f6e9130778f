#pragma once

// What epaxos-sim tells: sums over runs as text, as JSON, and as a row of the ledger. Private to
// the programs.

#include <cstdint>
#include <string>
#include <vector>

#include "deps/types/result.h"
#include "epaxos/programs/simulate_options.h"
#include "epaxos/sim/swarm.h"

namespace epaxos {

struct SimulateReport {
  std::uint64_t seeds = 0;
  double seconds = 0;
  Tick simulated_us = 0;
  std::uint64_t events = 0;
  std::uint64_t trace_hash = 0;  ///< The sum of all, so that their order does not count.
  std::uint64_t executed = 0;
  std::uint64_t rejected = 0;
  std::uint64_t unknown = 0;
  sim::Totals marks;
  std::array<std::uint64_t, sim::kFaultClasses> faults{};
  std::vector<sim::SwarmResult> failed;
  std::vector<std::string> missing_marks;  ///< Required, and never reached.
  bool interrupted = false;

  void add(const sim::SwarmResult& result);
  [[nodiscard]] std::uint64_t violations() const;
  /// Which of these were never reached.
  void require(const std::vector<std::string>& marks);
  [[nodiscard]] int exit_status() const;
};

std::string to_text(const SimulateReport& report, const SimulateOptions& options);
std::string to_json(const SimulateReport& report, const SimulateOptions& options);
/// What went wrong in one run, and the line that shows it again.
std::string failure_text(const sim::SwarmResult& result, const SimulateOptions& options);

/// Whether a row can be appended. A new file is made. Errors: io.
Result<void> check_ledger(const std::string& path);

/// Appends one row to the table at the end of a file; begins the table in a new one.
/// Errors: io.
Result<void> append_to_ledger(const SimulateReport& report, const SimulateOptions& options,
                              const std::string& date);

}  // namespace epaxos
