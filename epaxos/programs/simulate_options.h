#pragma once

// The command line of epaxos-sim. Private to the programs.

#include <cstdint>
#include <optional>
#include <string>

#include "deps/types/mutant.h"
#include "epaxos/programs/simulate.h"

namespace epaxos {

struct SimulateOptions {
  std::string protocol;
  std::string replicas = "swarm";
  std::string profile = "smoke";
  std::uint64_t first_seed = 1;
  std::uint64_t last_seed = 300;
  std::optional<std::string> plan;  ///< Instead of seeds: one plan as text.
  bool replay = false;              ///< One seed or plan, with everything that is known of it.
  std::string mutant = "none";
  bool list_mutants = false;
  int jobs = 1;
  int seconds = 0;  ///< After them no more is run; 0: all seeds are.
  bool json = false;
  bool keep_going = false;
  bool shrink = false;
  std::string chronicle;  ///< A file for every event of the smallest run, or of the one replayed.
  std::string trace;      ///< A file for the lives of the commands of the run that is replayed.
  bool permanent_faults = true;
  bool always_images = false;
  std::string ledger;

  [[nodiscard]] std::uint64_t seeds() const { return last_seed - first_seed + 1; }
  [[nodiscard]] sim::SwarmLimits limits() const;
  /// The command line that shows one seed again.
  [[nodiscard]] std::string replay_line(std::uint64_t seed) const;
  /// The same for a plan.
  [[nodiscard]] std::string replay_line(const sim::SwarmPlan& plan) const;

 private:
  [[nodiscard]] std::string common() const;
};

/// Reads a command line. Without a value the program ends with `exit_status`, and what there is to
/// say has been printed. Precondition: at least one protocol.
std::optional<SimulateOptions> read_simulate_options(std::span<const SimulatedProtocol> protocols,
                                                     int argc, const char* const* argv,
                                                     int& exit_status);

}  // namespace epaxos
