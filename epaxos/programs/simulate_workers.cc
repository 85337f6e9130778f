#include "epaxos/programs/simulate_workers.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "deps/types/check.h"

namespace epaxos {
namespace {

using nlohmann::json;

json encode(const sim::SwarmResult& result) {
  json violations = json::array();
  for (const sim::Violation& each : result.violations) {
    violations.push_back({each.checker, each.what});
  }
  const sim::Outcomes& outcomes = result.outcomes;
  return {{"violations", violations},
          {"outcomes", {outcomes.executed, outcomes.rejected, outcomes.unknown}},
          {"events", result.events},
          {"trace_hash", result.trace_hash},
          {"simulated_us", result.simulated_us},
          {"marks", result.marks},
          {"faults", result.faults}};
}

sim::SwarmResult decode(const json& from) {
  sim::SwarmResult result;
  for (const json& each : from.at("violations")) {
    result.violations.push_back({each.at(0).get<std::string>(), each.at(1).get<std::string>()});
  }
  const json& outcomes = from.at("outcomes");
  result.outcomes = {outcomes.at(0).get<int>(), outcomes.at(1).get<int>(),
                     outcomes.at(2).get<int>()};
  result.events = from.at("events").get<std::uint64_t>();
  result.trace_hash = from.at("trace_hash").get<std::uint64_t>();
  result.simulated_us = from.at("simulated_us").get<std::uint64_t>();
  for (const auto& [name, value] : from.at("marks").items()) {
    result.marks[name] = value.get<std::uint64_t>();
  }
  for (std::size_t i = 0; i < result.faults.size(); ++i) {
    result.faults[i] = from.at("faults").at(i).get<std::uint64_t>();
  }
  return result;
}

bool write_all(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(to, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// The last line of what a process complained about, or why it ended.
std::string last_words(int file, int status) {
  std::string text(4096, '\0');
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::size_t line = text.rfind('\n');
  if (line != std::string::npos) text.erase(0, line + 1);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF) return "the run has no end";
  if (!text.empty()) return text;
  return WIFSIGNALED(status) ? "the process got signal " + std::to_string(WTERMSIG(status))
                             : "the process ended too early";
}

void limit_processor_time(int seconds) {
  const itimerval limit{{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

}  // namespace

SimulateWorkers::SimulateWorkers(const SimulatedRuns& runs, int jobs)
    : runs_(runs),
      jobs_(std::min(static_cast<std::uint64_t>(jobs), std::max<std::uint64_t>(runs.count, 1))) {
  for (std::uint64_t job = 0; job < jobs_; ++job) {
    workers_.emplace_back().next = job;
    if (job < runs_.count) start(workers_.back());
  }
}

SimulateWorkers::~SimulateWorkers() {
  for (const Worker& worker : workers_) {
    if (worker.process <= 0) continue;
    ::kill(worker.process, SIGKILL);
    ::waitpid(worker.process, nullptr, 0);
    ::close(worker.pipe);
    ::close(worker.errors);
  }
}

void SimulateWorkers::start(Worker& worker) {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC) == 0, "there is no room for a pipe");
  worker.errors = ::memfd_create("epaxos-sim", MFD_CLOEXEC);
  check(worker.errors >= 0, "there is no room for what a process complains about");
  worker.received.clear();
  std::fflush(nullptr);  // Or the child would print it too.
  const pid_t parent = ::getpid();
  worker.process = ::fork();
  check(worker.process >= 0, "there is no room for a process");
  if (worker.process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::signal(SIGINT, SIG_IGN);  // The parent hears it, and ends this one.
    ::signal(SIGPIPE, SIG_IGN);
    ::dup2(worker.errors, STDERR_FILENO);
    work(ends[1], worker.next);
  }
  ::close(ends[1]);
  worker.pipe = ends[0];
}

void SimulateWorkers::work(int pipe, std::uint64_t first) {
  for (std::uint64_t number = first; number < runs_.count; number += jobs_) {
    limit_processor_time(runs_.processor_seconds_max);
    const sim::SwarmResult result = runs_.run(runs_.plan(number));
    // A sentence may quote bytes that are no text.
    const std::string line =
        encode(result).dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
    if (!write_all(pipe, line)) ::_exit(1);
  }
  ::_exit(0);
}

/// A whole line of what a process told.
std::optional<sim::SwarmResult> SimulateWorkers::take(Worker& worker) {
  const std::size_t end = worker.received.find('\n');
  if (end == std::string::npos) return std::nullopt;
  sim::SwarmResult result = decode(json::parse(worker.received.substr(0, end)));
  worker.received.erase(0, end + 1);
  result.plan = runs_.plan(worker.next);
  worker.next += jobs_;
  ++told_;
  return result;
}

/// A process ended in the midst of a run: that is the result of the run. Another one goes on.
sim::SwarmResult SimulateWorkers::bury(Worker& worker) {
  int status = 0;
  ::waitpid(worker.process, &status, 0);
  sim::SwarmResult result;
  result.plan = runs_.plan(worker.next);
  result.violations.push_back({"check", last_words(worker.errors, status)});
  ::close(worker.pipe);
  ::close(worker.errors);
  worker.process = -1;
  worker.next += jobs_;
  ++told_;
  if (worker.next < runs_.count) start(worker);
  return result;
}

std::optional<sim::SwarmResult> SimulateWorkers::next(int timeout_ms) {
  if (done()) return std::nullopt;
  std::vector<pollfd> waited;
  for (Worker& worker : workers_) {
    if (auto result = take(worker)) return result;
    const bool busy = worker.process > 0 && worker.next < runs_.count;
    waited.push_back({busy ? worker.pipe : -1, POLLIN, 0});
  }
  if (::poll(waited.data(), waited.size(), timeout_ms) <= 0) return std::nullopt;
  for (std::size_t i = 0; i < waited.size(); ++i) {
    if (waited[i].revents == 0) continue;
    Worker& worker = workers_[i];
    char buffer[65536];
    const ssize_t size = ::read(worker.pipe, buffer, sizeof buffer);
    if (size < 0) continue;
    if (size == 0) return bury(worker);
    worker.received.append(buffer, static_cast<std::size_t>(size));
    if (auto result = take(worker)) return result;
  }
  return std::nullopt;
}

sim::SwarmResult run_apart(const SimulatedRuns& runs, const sim::SwarmPlan& plan) {
  SimulatedRuns one = runs;
  one.count = 1;
  one.plan = [plan](std::uint64_t) { return plan; };
  SimulateWorkers workers(one, 1);
  while (true) {
    if (auto result = workers.next(-1)) return *std::move(result);
  }
}

}  // namespace epaxos
