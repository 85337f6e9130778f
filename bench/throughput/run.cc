#include "bench/throughput/run.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "bench/report/progress.h"
#include "bench/throughput/children.h"
#include "bench/throughput/run_directory.h"
#include "bench/throughput/series.h"
#include "bench/throughput/watch_signals.h"

namespace epaxos::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSlice = std::chrono::milliseconds(50);

class Run {
 public:
  Run(const ThroughputOptions& options, const WatchSignals& signals, Progress& progress,
      const std::string& label)
      : options_(options), signals_(signals), progress_(progress), label_(label) {}

  Result<ThroughputResult> measure() {
    if (options_.durability != Durability::kNone) {
      if (const auto made = directory_.make(options_.data); !made) return fail(made.error());
    }
    if (const auto opened = series_.open(options_.series); !opened) return fail(opened.error());
    if (const auto node = measure_node(); !node) return fail(node.error());
    if (options_.floor && !signals_.wish_to_stop()) {
      if (const auto floor = measure_floor(); !floor) return fail(floor.error());
    }
    result_.interrupted = signals_.wish_to_stop();
    const Rest& rest = result_.rest;
    if (rest.at_rest && !rest.digests_equal) result_.kept_directory = directory_.keep();
    return std::move(result_);
  }

 private:
  Result<void> measure_node() {
    auto children = start(open_node_subject);
    if (!children) return fail(children.error());
    auto window = measure_window(**children, options_.seconds, "");
    if (!window) return fail(window.error());
    result_.node = *std::move(window);
    progress_.stage(label_ + "coming to rest");
    auto rest = come_to_rest(**children, progress_);
    if (!rest) return fail(rest.error());
    result_.rest = *std::move(rest);
    if (const auto written = series_.close(); !written) return written;
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

  Result<std::unique_ptr<Children>> start(const MakeSubject& make) {
    progress_.stage(label_ + "starting");
    return Children::start(make, options_, directory_.path());
  }

  Result<Window> measure_window(Children& children, double seconds, const std::string& what) {
    if (const auto loaded = children.order(Order::kLoad); !loaded) return fail(loaded.error());
    const double warm_up = warm_up_seconds(options_.seconds);
    if (const auto warm = wait(children, warm_up, what + "warming up"); !warm) {
      return fail(warm.error());
    }
    const auto begin = children.order(Order::kBegin);
    if (!begin) return fail(begin.error());
    if (const auto waited = wait(children, seconds, what + "measuring"); !waited) {
      return fail(waited.error());
    }
    const auto end = children.order(Order::kMeasure);
    if (!end) return fail(end.error());
    return window_between(*begin, *end);
  }

  Result<void> wait(Children& children, double seconds, const std::string& stage) {
    progress_.stage(label_ + stage);
    const auto begin = Clock::now();
    while (!signals_.wish_to_stop()) {
      const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
      if (passed >= seconds) return {};
      progress_.tick();
      if (series_.due()) {
        const auto now = children.order(Order::kMeasure);
        if (!now) return fail(now.error());
        series_.add(*now);
      }
      std::this_thread::sleep_for(
          std::min<Clock::duration>(kSlice, std::chrono::duration_cast<Clock::duration>(
                                                std::chrono::duration<double>(seconds - passed))));
    }
    return {};
  }

  const ThroughputOptions options_;
  const WatchSignals& signals_;
  Progress& progress_;
  const std::string label_;
  RunDirectory directory_;
  Series series_;
  ThroughputResult result_;
};

}  // namespace

double seconds_of(const ThroughputOptions& options) {
  const double warm_up = warm_up_seconds(options.seconds);
  return warm_up + options.seconds + (options.floor ? warm_up + options.floor_seconds() : 0);
}

Result<ThroughputResult> measure_throughput(const ThroughputOptions& options,
                                            const WatchSignals& signals, Progress& progress,
                                            const std::string& label) {
  return Run(options, signals, progress, label).measure();
}

Result<ThroughputResult> measure_throughput(const ThroughputOptions& options) {
  const WatchSignals signals;
  Progress progress(seconds_of(options), Progress::Elsewhere::kNothing);
  return measure_throughput(options, signals, progress);
}

}  // namespace epaxos::bench
