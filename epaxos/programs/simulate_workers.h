#pragma once

// Runs of the simulator in processes of their own, so that several cores help, and a run that ends
// its process (a check that does not hold) is a result like any other. Private to the programs.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "epaxos/sim/swarm.h"

namespace epaxos {

/// What is to be run: `count` runs, named by their numbers from 0 on.
struct SimulatedRuns {
  std::uint64_t count = 0;
  std::function<sim::SwarmPlan(std::uint64_t number)> plan;
  std::function<sim::SwarmResult(const sim::SwarmPlan&)> run;
  /// A run that takes longer is a violation.
  int processor_seconds_max = 120;
};

class SimulateWorkers {
 public:
  /// Process j of `jobs` takes the runs j, j + jobs, j + 2 jobs, ...
  SimulateWorkers(const SimulatedRuns& runs, int jobs);
  SimulateWorkers(const SimulateWorkers&) = delete;
  SimulateWorkers& operator=(const SimulateWorkers&) = delete;
  /// Ends the processes.
  ~SimulateWorkers();

  /// A result that has come. Nothing after `timeout_ms`, after a signal, or when done().
  std::optional<sim::SwarmResult> next(int timeout_ms);
  [[nodiscard]] bool done() const { return told_ == runs_.count; }

 private:
  struct Worker {
    pid_t process = -1;
    int pipe = -1;
    int errors = -1;         // A file in memory: what it wrote to its standard error.
    std::uint64_t next = 0;  // The run that it is at.
    std::string received;
  };

  void start(Worker& worker);
  [[noreturn]] void work(int pipe, std::uint64_t first);
  std::optional<sim::SwarmResult> take(Worker& worker);
  sim::SwarmResult bury(Worker& worker);

  const SimulatedRuns& runs_;
  const std::uint64_t jobs_;
  std::vector<Worker> workers_;
  std::uint64_t told_ = 0;
};

/// One run in a process of its own.
sim::SwarmResult run_apart(const SimulatedRuns& runs, const sim::SwarmPlan& plan);

}  // namespace epaxos
