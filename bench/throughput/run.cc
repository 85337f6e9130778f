#include "bench/throughput/run.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <unistd.h>

#include "bench/throughput/children.h"

namespace epaxos::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStartTries = 5;
constexpr auto kSlice = std::chrono::milliseconds(50);
constexpr auto kRestTime = std::chrono::seconds(60);

/// The wish to stop: Ctrl-C, or SIGTERM. The second one ends the process at once, and its children
/// with it.
volatile std::sig_atomic_t wish_to_stop = 0;

class WatchSignals {
 public:
  WatchSignals() {
    wish_to_stop = 0;
    struct sigaction action {};
    action.sa_handler = [](int) { wish_to_stop = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &interrupt_);
    ::sigaction(SIGTERM, &action, &terminate_);
  }
  ~WatchSignals() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
  }
  WatchSignals(const WatchSignals&) = delete;
  WatchSignals& operator=(const WatchSignals&) = delete;

 private:
  struct sigaction interrupt_ {};
  struct sigaction terminate_ {};
};

/// One line that is written over and over, on a terminal only.
class Progress {
 public:
  ~Progress() { line(""); }
  void line(const std::string& text) {
    if (terminal_) std::fprintf(stderr, "\r\033[K%s", text.c_str());
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
};

/// A directory of the run's own, removed when it is over.
class RunDirectory {
 public:
  RunDirectory() = default;
  ~RunDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  Result<void> make(const std::string& where) {
    std::error_code error;
    const std::filesystem::path parent =
        where.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(where);
    std::string path = (parent / "epaxos-bench-XXXXXX").string();
    if (error || ::mkdtemp(path.data()) == nullptr) {
      return fail(ErrorCode::kIo, "No directory for the data can be made in " + parent.string() +
                                      ". Name another one with --data.");
    }
    path_ = path;
    return {};
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  std::string keep() { return std::exchange(path_, {}); }

 private:
  std::string path_;
};

double seconds_between(const Totals& begin, const Totals& end) {
  return static_cast<double>(end.wall_us - begin.wall_us) / 1e6;
}

Window window_between(const std::vector<Measurement>& begin, const std::vector<Measurement>& end) {
  Window window;
  for (std::size_t i = 0; i < end.size(); ++i) {
    const Totals& a = begin[i].totals;
    const Totals& b = end[i].totals;
    window.seconds += seconds_between(a, b) / static_cast<double>(end.size());
    window.commands += b.completed - a.completed;
    window.failed += b.failed - a.failed;
    window.cpu_us += b.cpu_us - a.cpu_us;
    window.fast_path += b.fast_path - a.fast_path;
    window.slow_path += b.slow_path - a.slow_path;
    window.bundles += b.bundles_out - a.bundles_out;
    window.bytes += b.bytes_out - a.bytes_out;
    window.peak_bytes += end[i].peak_bytes;
    window.grown_bytes +=
        static_cast<std::int64_t>(b.resident_bytes) - static_cast<std::int64_t>(a.resident_bytes);
    window.latency_us.merge(end[i].latency_us);
  }
  return window;
}

class Run {
 public:
  explicit Run(const ThroughputOptions& options) : options_(options) {}

  Result<ThroughputResult> measure() {
    if (options_.durability != Durability::kNone) {
      if (const auto made = directory_.make(options_.data); !made) return fail(made.error());
    }
    if (const auto node = measure_node(); !node) return fail(node.error());
    if (options_.floor && wish_to_stop == 0) {
      if (const auto floor = measure_floor(); !floor) return fail(floor.error());
    }
    result_.interrupted = wish_to_stop != 0;
    if (result_.at_rest && !result_.digests_equal) result_.kept_directory = directory_.keep();
    return std::move(result_);
  }

 private:
  Result<void> measure_node() {
    auto children = start(open_node_subject);
    if (!children) return fail(children.error());
    auto window = measure_window(**children, options_.seconds, "");
    if (!window) return fail(window.error());
    result_.node = *std::move(window);
    if (const auto rest = come_to_rest(**children); !rest) return rest;
    const auto ended = (*children)->order(Order::kQuit);
    return ended ? Result<void>() : fail(ended.error());
  }

  Result<void> measure_floor() {
    auto children = start(open_floor_subject);
    if (!children) return fail(children.error());
    auto window = measure_window(**children, options_.floor_seconds(), "bare floor: ");
    if (!window) return fail(window.error());
    result_.floor = *std::move(window);
    if (const auto stopped = (*children)->order(Order::kStopLoad); !stopped) {
      return fail(stopped.error());
    }
    const auto ended = (*children)->order(Order::kQuit);
    return ended ? Result<void>() : fail(ended.error());
  }

  /// Ports that were free a moment ago may be taken by now, so a few tries.
  Result<std::unique_ptr<Children>> start(const MakeSubject& make) {
    progress_.line("starting");
    Error last;
    for (int tries = 0; tries < kStartTries; ++tries) {
      auto cluster = ClusterConfig::loopback("throughput", options_.replicas, options_.durability);
      if (!cluster) return fail(cluster.error());
      cluster->core.batch_commands_max = options_.batch;
      for (ReplicaSettings& replica : cluster->replicas) replica.client.clear();
      auto children = Children::start(make, options_, *cluster, directory_.path());
      if (children || children.error().code != ErrorCode::kBusy) return children;
      last = children.error();
    }
    return fail(last);
  }

  Result<Window> measure_window(Children& children, double seconds, const std::string& what) {
    if (const auto loaded = children.order(Order::kLoad); !loaded) return fail(loaded.error());
    wait(options_.warm_up_seconds(), what + "warming up");
    const auto begin = children.order(Order::kBegin);
    if (!begin) return fail(begin.error());
    wait(seconds, what + "measuring");
    const auto end = children.order(Order::kMeasure);
    if (!end) return fail(end.error());
    progress_.line("");
    return window_between(*begin, *end);
  }

  void wait(double seconds, const std::string& what) {
    const auto begin = Clock::now();
    while (wish_to_stop == 0) {
      const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
      if (passed >= seconds) return;
      char text[96];
      std::snprintf(text, sizeof text, "%s, %.0f of %.0f s", what.c_str(), passed, seconds);
      progress_.line(text);
      std::this_thread::sleep_for(
          std::min<Clock::duration>(kSlice, std::chrono::duration_cast<Clock::duration>(
                                                std::chrono::duration<double>(seconds - passed))));
    }
  }

  /// Stops the load and waits until every replica has executed what any of them has.
  Result<void> come_to_rest(Children& children) {
    progress_.line("coming to rest");
    if (const auto stopped = children.order(Order::kStopLoad); !stopped) {
      return fail(stopped.error());
    }
    const auto deadline = Clock::now() + kRestTime;
    while (Clock::now() < deadline) {
      const auto states = children.order(Order::kMeasure);
      if (!states) return fail(states.error());
      if (is_at_rest(*states)) break;
      std::this_thread::sleep_for(kSlice);
    }
    progress_.line("");
    return {};
  }

  /// Equal numbers alone could be chance: what each lacks may be as many commands of another one.
  bool is_at_rest(const std::vector<Measurement>& states) {
    std::uint64_t completed = 0;
    for (const Measurement& state : states) completed += state.totals.completed;
    result_.digests.clear();
    result_.at_rest = true;
    result_.digests_equal = true;
    for (const Measurement& state : states) {
      result_.digests.push_back(state.digest);
      result_.at_rest &= state.in_flight == 0 && state.executed >= completed &&
                         state.executed == states.front().executed;
      result_.digests_equal &= state.digest == states.front().digest;
    }
    return result_.at_rest;
  }

  const ThroughputOptions options_;
  const WatchSignals signals_;
  Progress progress_;
  RunDirectory directory_;
  ThroughputResult result_;
};

double per(double sum, double count) {
  return count > 0 ? sum / count : 0;
}

}  // namespace

double Window::commands_per_second() const {
  return per(static_cast<double>(commands), seconds);
}
double Window::cpu_us_per_command() const {
  return per(static_cast<double>(cpu_us), static_cast<double>(commands));
}
double Window::memory_bytes_per_command() const {
  return per(static_cast<double>(grown_bytes), static_cast<double>(commands));
}

Result<ThroughputResult> measure_throughput(const ThroughputOptions& options) {
  return Run(options).measure();
}

}  // namespace epaxos::bench
