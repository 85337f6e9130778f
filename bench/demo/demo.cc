#include "bench/demo/demo.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "bench/client/load_report.h"
#include "bench/report/clock.h"
#include "bench/report/progress.h"

namespace epaxos::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double kWarmUpSeconds = 0.5;
constexpr std::size_t kCountersMin = 1000;  // Of a client's own.
constexpr std::chrono::milliseconds kBetweenGlances{20};
constexpr double kLateSeconds = 30;  // After which a client that should have ended is given up.

/// A directory that lives as long as this object.
class WorkDirectory {
 public:
  explicit WorkDirectory(const std::string& parent) {
    std::string name = parent + "/data-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~WorkDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Demo {
 public:
  explicit Demo(const DemoOptions& options)
      : options_(options),
        directory_(options.out),
        progress_(2 +
                  static_cast<double>(options.conflicts.size()) *
                      (options.seconds + kWarmUpSeconds + 0.5) +
                  static_cast<double>(options.kills.size()) *
                      (options.kill_seconds + kWarmUpSeconds + 1)),
        replicas_({options.replicas, options.durability, directory_.path(), options.out},
                  [this] { progress_.tick(); }) {
    result_.options = options;
  }

  DemoResult run() {
    const Result<void> ran = steps();
    progress_.clear();
    result_.interrupted = !ran && interrupted();
    if (!ran && !result_.interrupted) result_.trouble = ran.error().message;
    return std::move(result_);
  }

 private:
  Result<void> steps() {
    if (directory_.path().empty()) {
      return fail(ErrorCode::kIo,
                  "Cannot make a directory in " + options_.out + ": " + std::strerror(errno) + ".");
    }
    progress_.stage("start " + std::to_string(options_.replicas) + " replicas");
    if (const auto started = replicas_.start(); !started) return started;
    for (const int conflicts : options_.conflicts) {
      progress_.stage(std::to_string(conflicts) + " % of the commands on one key");
      if (const auto ran = run_workload(conflicts); !ran) return ran;
    }
    for (std::size_t i = 0; i < options_.kills.size(); ++i) {
      progress_.stage(std::to_string(options_.kills[i]) +
                      " % of the commands on one key, and a replica is killed");
      if (const auto ran = run_kill(i); !ran) return ran;
    }
    progress_.stage("compare the states");
    if (const auto right = count(); !right) return right;
    auto digests = replicas_.digests();
    if (!digests) return fail(digests.error());
    result_.digests = *std::move(digests);
    return same_state(result_.digests);
  }

  /// One client a replica. What was measured before an interrupt is kept.
  Result<void> run_workload(int conflicts) {
    const auto before = replicas_.statuses();
    if (!before) return fail(before.error());
    auto rows = run_clients(conflicts);
    if (!rows) return fail(rows.error());
    Result<void> whole;
    if (interrupted()) {
      whole = fail(ErrorCode::kDeadline, "interrupted");
    } else {
      whole = replicas_.settle();
    }
    const auto after = replicas_.statuses();
    if (!after) return fail(whole ? after.error() : whole.error());
    const auto executed = [](const DemoRow& row) { return row.load.executed > 0; };
    if (std::ranges::none_of(*rows, executed)) return whole;
    DemoRow all;
    all.conflicts = conflicts;
    all.replica = DemoRow::kAll;
    for (std::size_t r = 0; r < rows->size(); ++r) {
      DemoRow& row = (*rows)[r];
      row.counts = (*after)[r].counts.since((*before)[r].counts);
      all.load.merge(row.load);
      all.counts += row.counts;
      result_.rows.push_back(std::move(row));
    }
    result_.rows.push_back(std::move(all));
    return whole;
  }

  Result<std::vector<DemoRow>> run_clients(int conflicts) {
    std::vector<ChildProcess> clients;
    for (int r = 0; r < options_.replicas; ++r) {
      auto client = start_client(conflicts, r, options_.seconds, {});
      if (!client) return fail(client.error());
      clients.push_back(*std::move(client));
    }
    auto loads = results_of(clients, options_.seconds);
    if (!loads) return fail(loads.error());
    std::vector<DemoRow> rows;
    for (int r = 0; r < options_.replicas; ++r) {
      LoadResult& load = (*loads)[static_cast<std::size_t>(r)];
      if (load.executed == 0 && !interrupted()) return executed_nothing(r, load);
      DemoRow& row = rows.emplace_back();
      row.conflicts = conflicts;
      row.replica = r;
      row.load = std::move(load);
    }
    return rows;
  }

  static Result<std::vector<DemoRow>> executed_nothing(int replica, const LoadResult& load) {
    return fail(ErrorCode::kUnavailable,
                "Replica " + std::to_string(replica) + " executed nothing. " + load.last_failure);
  }

  Result<ChildProcess> start_client(int conflicts, int replica, double seconds,
                                    const std::vector<std::string>& more) {
    std::vector<std::string> command{sibling_program("epaxos-bench"),
                                     "client",
                                     "--config",
                                     replicas_.config_path(),
                                     "--replica",
                                     std::to_string(replica),
                                     "--seconds",
                                     std::to_string(seconds),
                                     "--warm-up",
                                     std::to_string(kWarmUpSeconds),
                                     "--in-flight",
                                     std::to_string(options_.in_flight),
                                     "--value-bytes",
                                     std::to_string(options_.value_bytes),
                                     "--conflicts",
                                     std::to_string(conflicts),
                                     "--json"};
    command.insert(command.end(), more.begin(), more.end());
    return ChildProcess::start(command);
  }

  /// The clients count, and one replica is gone from a third of the time to two thirds. What was
  /// measured before an interrupt is kept.
  Result<void> run_kill(std::size_t index) {
    KillRun run;
    run.conflicts = options_.kills[index];
    run.victim = options_.replicas / 2;
    std::vector<ChildProcess> clients;
    for (int r = 0; r < options_.replicas; ++r) {
      auto client = start_client(run.conflicts, r, options_.kill_seconds,
                                 {"--increments", "--prefix", counters_of(index, r), "--own-keys",
                                  std::to_string(counters()), "--hot-key", hot_counter(index)});
      if (!client) return fail(client.error());
      clients.push_back(*std::move(client));
    }
    run.moments.begun = now_us() + static_cast<Tick>(kWarmUpSeconds * kSecond);
    Result<void> whole = kill_and_start_again(run);
    if (!whole && !interrupted()) return whole;
    auto loads = results_of(clients, options_.kill_seconds);
    if (!loads) return fail(loads.error());
    run.loads = *std::move(loads);
    for (std::size_t r = 0; r < run.loads.size() && !interrupted(); ++r) {
      if (run.loads[r].executed == 0) {
        return fail(executed_nothing(static_cast<int>(r), run.loads[r]).error());
      }
    }
    const auto executed = [](const LoadResult& load) { return load.executed > 0; };
    if (std::ranges::any_of(run.loads, executed)) result_.kills.push_back(std::move(run));
    return interrupted() ? fail(ErrorCode::kDeadline, "interrupted") : replicas_.settle();
  }

  Result<void> kill_and_start_again(KillRun& run) {
    KillMoments& moments = run.moments;
    const auto third = static_cast<Tick>(options_.kill_seconds * kSecond / 3);
    if (const auto ran = wait_until(moments.begun + third); !ran) return ran;
    moments.killed = now_us();
    replicas_.kill(run.victim);
    if (const auto ran = wait_until(moments.begun + 2 * third); !ran) return ran;
    moments.started = now_us();
    if (const auto started = replicas_.start_again(run.victim); !started) return started;
    while (!moments.connected && now_us() < moments.begun + 3 * third) {
      if (const auto ran = wait_until(now_us()); !ran) return ran;
      const auto status = replicas_.look(run.victim);
      if (!status) continue;
      if (!moments.answered) moments.answered = now_us();
      if (status->voting && !moments.votes) moments.votes = now_us();
      if (status->connected && replicas_.all_connected()) moments.connected = now_us();
    }
    return {};
  }

  /// At least one look whether all is well.
  Result<void> wait_until(Tick moment) {
    do {
      if (const auto run = replicas_.all_run(); !run) return run;
      progress_.tick();
      std::this_thread::sleep_for(kBetweenGlances);
    } while (now_us() < moment);
    return {};
  }

  [[nodiscard]] std::size_t counters() const {
    return std::max(kCountersMin, 2 * options_.in_flight);
  }
  static std::string hot_counter(std::size_t index) { return "count-" + std::to_string(index); }
  static std::string counters_of(std::size_t index, int replica) {
    return hot_counter(index) + "-R" + std::to_string(replica) + "-";
  }

  /// Reads all counters and compares them with what the clients were told.
  Result<void> count() {
    for (std::size_t i = 0; i < result_.kills.size(); ++i) {
      KillCount held;
      for (int r = 0; r < options_.replicas; ++r) {
        std::vector<std::string> keys;
        for (std::size_t k = 0; k < counters(); ++k) {
          keys.push_back(counters_of(i, r) + std::to_string(k));
        }
        const auto sum = replicas_.sum_of(keys);
        if (!sum) return fail(sum.error());
        held.own.push_back(*sum);
      }
      const auto hot = replicas_.sum_of({hot_counter(i)});
      if (!hot) return fail(hot.error());
      held.hot = *hot;
      if (const auto right = nothing_lost(result_.kills[i], held); !right) return right;
    }
    result_.counted = true;
    return {};
  }

  Result<std::vector<LoadResult>> results_of(std::vector<ChildProcess>& clients, double seconds) {
    std::vector<LoadResult> loads;
    for (int r = 0; r < options_.replicas; ++r) {
      auto load = result_of(clients, r, seconds);
      if (!load) return fail(load.error());
      loads.push_back(*std::move(load));
    }
    return loads;
  }

  /// Waits for the end of one client. The first interrupt ends them all, and they say what they
  /// have measured so far.
  Result<LoadResult> result_of(std::vector<ChildProcess>& clients, int replica, double seconds) {
    ChildProcess& client = clients[static_cast<std::size_t>(replica)];
    const auto end = Clock::now() + std::chrono::duration<double>(seconds + kLateSeconds);
    std::optional<std::string> line;
    while (!line && Clock::now() < end) {
      if (interrupted() && !told_) {  // Once: a second signal ends a program without a result.
        for (ChildProcess& each : clients) {
          if (!each.ended()) ::kill(each.pid(), SIGTERM);
        }
        told_ = true;
      }
      if (!interrupted()) {
        if (const auto run = replicas_.all_run(); !run) return fail(run.error());
      }
      const bool ended = client.ended();
      line = client.read_line(kSecond / 10);
      progress_.tick();
      if (ended) break;
    }
    if (!line) {
      return fail(ErrorCode::kUnavailable,
                  "The client of replica " + std::to_string(replica) + " gave no result.");
    }
    return read_load(*line);
  }

  const DemoOptions options_;
  WorkDirectory directory_;
  Progress progress_;
  bool told_ = false;  // The clients were told to end.
  DemoResult result_;
  Replicas replicas_;
};

}  // namespace

DemoResult run_demo(const DemoOptions& options) {
  return Demo(options).run();
}

}  // namespace epaxos::bench
