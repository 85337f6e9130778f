#pragma once

// epaxos-sim as a function: whoever brings more protocols gives it more entries. It is compiled
// against the libraries NAME_mutable only, so that known bugs can be switched on in it.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "deps/types/mutant.h"
#include "epaxos/sim/swarm.h"

namespace epaxos {

/// Exit statuses of epaxos-sim.
enum SimulateStatus : int {
  kSimulateAllHold = 0,
  kSimulateViolation = 1,  ///< A run went wrong, or a required mark was never reached.
  kSimulateBadUsage = 2,
  kSimulateInterrupted = 3,  ///< What was run until then holds.
  kSimulateNotWritten = 4,   ///< All hold, but the result got lost on the way to standard output.
};

/// A frame or a record in words: what it is, and about which instance. One line.
struct SimulatedWords {
  std::function<std::string(const net::Frame& frame, int replicas)> frame;
  std::function<std::string(const RecordKey& key, Bytes value, int replicas)> record;
};

struct SimulatedProtocol {
  /// All but the limits, which the command line gives.
  sim::SwarmOptions swarm;
  /// Counters that a run over many seeds must have moved, else it did not test what it should.
  std::vector<std::string> required_marks;
  /// Known bugs that its core can have. Those of what carries every core go without saying.
  std::vector<Mutant> mutants;
  SimulatedWords words;  ///< Empty: numbers must do.
};

SimulatedProtocol simulated_epaxos();

/// Precondition: at least one protocol; the first is the default.
int simulate(std::span<const SimulatedProtocol> protocols, int argc, char** argv);

}  // namespace epaxos
