#include "epaxos/programs/simulate.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <unistd.h>

#include "deps/types/mutant.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/simulate_chronicle.h"
#include "epaxos/programs/simulate_options.h"
#include "epaxos/programs/simulate_report.h"
#include "epaxos/programs/simulate_trace.h"
#include "epaxos/programs/simulate_workers.h"
#include "epaxos/programs/text_table.h"
#include "epaxos/sim/shrink.h"

#ifndef EPAXOS_MUTANTS
#error "epaxos-sim is compiled with the bugs that can be switched on"
#endif

namespace epaxos {
namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t interrupted = 0;

/// Ctrl-C asks for what there is until now; a second one ends the process at once.
void listen_for_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  interrupted = 0;
  ::sigaction(SIGINT, &action, nullptr);
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void list_mutants() {
  TextTable table({"mutant", "source", "the bug"});
  for (const MutantInfo& info : mutants()) {
    table.add({std::string(info.name), std::string(info.source), std::string(info.what)});
  }
  std::fputs(table.text().c_str(), stdout);
}

void switch_mutant_on(const std::string& name) {
  active_mutant = Mutant::kNone;
  for (const MutantInfo& info : mutants()) {
    if (info.name == name) active_mutant = info.mutant;
  }
}

/// One line that is written again and again, on a terminal only.
class Progress {
 public:
  explicit Progress(std::uint64_t seeds) : seeds_(seeds), shown_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t done) {
    const double now = seconds_since(begin_);
    if (!shown_ || now < next_) return;
    next_ = now + 0.5;
    const double left =
        done == 0 ? 0 : now / static_cast<double>(done) * static_cast<double>(seeds_ - done);
    std::fprintf(stderr, "\r\033[K%s of %s seeds, %.0f s, about %.0f s left", grouped(done).c_str(),
                 grouped(seeds_).c_str(), now, left);
    std::fflush(stderr);
  }

 private:
  const std::uint64_t seeds_;
  const bool shown_;
  const Clock::time_point begin_ = Clock::now();
  double next_ = 0.5;
};

class Simulation {
 public:
  Simulation(const SimulatedProtocol& protocol, const SimulateOptions& options)
      : protocol_(protocol), options_(options), swarm_(protocol.swarm) {
    const bool reads = swarm_.limits.reads;
    swarm_.limits = options.limits();
    swarm_.limits.reads = reads;
    runs_.count = options.seeds();
    runs_.plan = [this](std::uint64_t number) {
      if (options_.plan) return *sim::plan_from(*options_.plan);
      return swarm_.plan(options_.first_seed + number);
    };
    runs_.run = [this](const sim::SwarmPlan& plan) { return run_swarm(swarm_, plan); };
  }

  int run() {
    if (!options_.trace.empty()) {
      if (const Result<void> begun = begin_trace(options_.trace); !begun) {
        std::fprintf(stderr, "epaxos-sim: %s\n", begun.error().message.c_str());
        return kSimulateBadUsage;
      }
    }
    listen_for_interrupt();
    run_seeds();
    if (options_.replay && !options_.json) std::printf("%s\n", to_text(runs_.plan(0)).c_str());
    if (options_.profile == "nightly" && !options_.replay && !report_.interrupted) {
      report_.require(protocol_.required_marks);
    }
    const std::string text =
        options_.json ? to_json(report_, options_) : to_text(report_, options_);
    std::fputs(text.c_str(), stdout);
    bool files_written = true;
    if (options_.shrink && !report_.failed.empty()) {
      const sim::SwarmPlan smallest = shrink_first();
      const std::string seed = std::to_string(smallest.seed);
      files_written = chronicle(smallest, options_.chronicle.empty() ? "out/shrunk-" + seed + ".txt"
                                                                     : options_.chronicle);
    } else if (!options_.chronicle.empty()) {
      files_written = chronicle(runs_.plan(0), options_.chronicle);
    }
    if (!options_.trace.empty() && !trace(runs_.plan(0))) files_written = false;
    if (!options_.ledger.empty() && !write_ledger()) return kSimulateBadUsage;
    const int exit_status = report_.exit_status();
    return files_written || exit_status != kSimulateAllHold ? exit_status : kSimulateBadUsage;
  }

 private:
  void run_seeds() {
    const Clock::time_point begin = Clock::now();
    Progress progress(runs_.count);
    SimulateWorkers workers(runs_, options_.jobs);
    while (!workers.done() && interrupted == 0) {
      if (options_.seconds > 0 && seconds_since(begin) >= options_.seconds) break;
      progress.show(report_.seeds);
      const std::optional<sim::SwarmResult> result = workers.next(200);
      if (!result) continue;
      report_.add(*result);
      if (result->violations.empty()) continue;
      if (!options_.json) std::fputs(failure_text(*result, options_).c_str(), stdout);
      if (!options_.keep_going) break;
    }
    report_.interrupted = interrupted != 0;
    report_.seconds = seconds_since(begin);
  }

  /// The smallest plan that the same checker complains about.
  sim::SwarmPlan shrink_first() {
    const sim::SwarmResult& failed = report_.failed.front();
    const std::string& checker = failed.violations.front().checker;
    std::uint64_t tries = 0;
    const sim::StillFails still_fails = [&](const sim::SwarmPlan& plan) {
      if (interrupted != 0) return false;
      ++tries;
      const sim::SwarmResult result = run_apart(runs_, plan);
      return std::ranges::any_of(result.violations, [&](const sim::Violation& violation) {
        return violation.checker == checker;
      });
    };
    const sim::SwarmPlan smallest = shrink(failed.plan, still_fails);
    std::fprintf(options_.json ? stderr : stdout, "After %s smaller runs:\n  %s\n",
                 grouped(tries).c_str(), options_.replay_line(smallest).c_str());
    return smallest;
  }

  /// Runs it once more, and writes down all that happens.
  [[nodiscard]] bool chronicle(const sim::SwarmPlan& plan, const std::string& path) const {
    const Result<void> written =
        write_chronicle(runs_, swarm_, protocol_.words, plan, options_.replay_line(plan), path);
    std::FILE* const to = options_.json || !written ? stderr : stdout;
    std::fprintf(to, "%s\n",
                 written ? ("All that happens in it: " + path).c_str()
                         : ("epaxos-sim: " + written.error().message).c_str());
    return written.has_value();
  }

  /// Runs it once more, and draws the lives of its commands.
  [[nodiscard]] bool trace(const sim::SwarmPlan& plan) const {
    const Result<void> written = write_trace(runs_, swarm_, plan, options_.trace);
    std::FILE* const to = options_.json || !written ? stderr : stdout;
    std::fprintf(to, "%s\n",
                 written ? ("For ui.perfetto.dev: " + options_.trace).c_str()
                         : ("epaxos-sim: " + written.error().message).c_str());
    return written.has_value();
  }

  [[nodiscard]] bool write_ledger() const {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char date[16];
    std::strftime(date, sizeof date, "%Y-%m-%d", &parts);
    const Result<void> written = append_to_ledger(report_, options_, date);
    if (!written) std::fprintf(stderr, "epaxos-sim: %s\n", written.error().message.c_str());
    return written.has_value();
  }

  const SimulatedProtocol& protocol_;
  const SimulateOptions& options_;
  sim::SwarmOptions swarm_;
  SimulatedRuns runs_;
  SimulateReport report_;
};

int run_simulations(std::span<const SimulatedProtocol> protocols, int argc, char** argv) {
  int exit_status = kSimulateAllHold;
  const std::optional<SimulateOptions> options =
      read_simulate_options(protocols, argc, argv, exit_status);
  if (!options) return exit_status;
  if (options->list_mutants) {
    list_mutants();
    return kSimulateAllHold;
  }
  if (!options->ledger.empty()) {
    if (const Result<void> checked = check_ledger(options->ledger); !checked) {
      std::fprintf(stderr, "epaxos-sim: %s\n", checked.error().message.c_str());
      return kSimulateBadUsage;
    }
  }
  switch_mutant_on(options->mutant);
  const auto chosen = std::ranges::find_if(protocols, [&](const SimulatedProtocol& each) {
    return each.swarm.protocol.name == options->protocol;
  });
  return Simulation(*chosen, *options).run();
}

}  // namespace

int simulate(std::span<const SimulatedProtocol> protocols, int argc, char** argv) {
  const int exit_status = run_simulations(protocols, argc, argv);
  return output_written("epaxos-sim") || exit_status != kSimulateAllHold ? exit_status
                                                                         : kSimulateNotWritten;
}

}  // namespace epaxos
