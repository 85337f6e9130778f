#include "bench/away/run.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <numeric>
#include <span>
#include <thread>
#include <utility>

#include "bench/report/clock.h"
#include "bench/report/progress.h"
#include "bench/throughput/children.h"
#include "bench/throughput/run_directory.h"
#include "bench/throughput/series.h"
#include "bench/throughput/watch_signals.h"

namespace epaxos::bench {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds kSlice{100};
/// Who lags by no more than what the others did in that time has caught up.
constexpr Tick kLagUs = 200'000;
/// So long the others may complete nothing.
constexpr double kStandstillSeconds = 30;

double seconds_since(Tick begin) {
  return static_cast<double>(now_us() - begin) / 1e6;
}

/// How far a replica is, in instances of all rows.
std::uint64_t frontier(const Measurement& replica) {
  const auto& rows = replica.executed_up_to;
  return std::accumulate(rows.begin(), rows.end(), std::uint64_t{0});
}

std::uint64_t furthest(std::span<const Measurement> replicas) {
  std::uint64_t most = 0;
  for (const Measurement& replica : replicas) most = std::max(most, frontier(replica));
  return most;
}

std::uint64_t completed(std::span<const Measurement> replicas) {
  std::uint64_t sum = 0;
  for (const Measurement& replica : replicas) sum += replica.totals.completed;
  return sum;
}

/// What the others have done lately.
class Lately {
 public:
  void add(std::uint64_t far) {
    const Tick now = now_us();
    seen_.push_back({now, far});
    while (seen_.size() > 2 && seen_[1].at + kLagUs <= now) seen_.pop_front();
  }
  /// Whether somebody at `far` is as good as there. Not before there is enough to compare with.
  [[nodiscard]] bool caught_up(std::uint64_t far) const {
    if (seen_.empty() || seen_.back().at - seen_.front().at < kLagUs) return false;
    const std::uint64_t there = seen_.back().far;
    return far + (there - seen_.front().far) >= there;
  }

 private:
  struct Seen {
    Tick at;
    std::uint64_t far;
  };
  std::deque<Seen> seen_;
};

class Run {
 public:
  explicit Run(const AwayOptions& options)
      : options_(options),
        last_(static_cast<std::size_t>(options.replicas - 1)),
        progress_(2 * options.seconds + warm_up_seconds(options.seconds),
                  Progress::Elsewhere::kNothing) {}

  Result<AwayResult> measure() {
    // At every durability: a replica that comes back must know that it was there.
    if (const auto made = directory_.make(options_.data); !made) return fail(made.error());
    if (const auto opened = series_.open(options_.series); !opened) return fail(opened.error());
    progress_.stage("starting");
    auto children = Children::start(open_node_subject, options_, directory_.path());
    if (!children) return fail(children.error());
    children_ = *std::move(children);
    const auto ran = steps();
    progress_.clear();
    if (!ran) {
      if (result_.phases.empty()) return fail(ran.error());
      result_.trouble = ran.error().message;
    }
    if (const auto written = series_.close(); !written) return fail(written.error());
    result_.interrupted = signals_.wish_to_stop();
    const std::optional<Rest>& rest = result_.rest;
    if (rest && rest->at_rest && !rest->digests_equal) result_.kept_directory = directory_.keep();
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool stopped() const { return signals_.wish_to_stop(); }

  Result<void> steps() {
    if (const auto ran = before(); !ran || stopped()) return ran;
    if (const auto ran = away(); !ran || stopped()) return ran;
    if (const auto ran = come_back(); !ran || stopped()) return ran;
    if (!result_.returned->caught_up_s) return {};
    if (const auto ran = after(); !ran || stopped()) return ran;
    progress_.stage("coming to rest");
    auto rest = come_to_rest(*children_, progress_);
    if (!rest) return fail(rest.error());
    result_.rest = *std::move(rest);
    const auto ended = children_->order(Order::kQuit);
    return ended ? Result<void>() : fail(ended.error());
  }

  Result<void> before() {
    if (const auto loaded = children_->order(Order::kLoad); !loaded) return fail(loaded.error());
    progress_.stage("warming up");
    if (const auto warm = wait(warm_up_seconds(options_.seconds)); !warm) return warm;
    progress_.stage("measuring with all replicas");
    if (const auto begun = begin_phase(last_ + 1); !begun) return begun;
    if (const auto waited = wait(options_.seconds); !waited) return waited;
    return end_phase("before", last_ + 1);
  }

  Result<void> away() {
    progress_.stage("measuring without one");
    children_->kill(last_);
    latest_[last_] = {};
    if (const auto begun = begin_phase(last_); !begun) return begun;
    const std::uint64_t first = completed(begun_by_others());
    const Tick begin = now_us();
    Tick moved_us = begin;
    std::uint64_t done = 0;
    while (done < options_.missed && !stopped()) {
      std::this_thread::sleep_for(kSlice);
      if (const auto seen = observe(last_); !seen) return seen;
      const std::uint64_t before = std::exchange(done, completed(others()) - first);
      if (done > before) moved_us = now_us();
      if (seconds_since(moved_us) > kStandstillSeconds) return stands_still();
      const auto missing = static_cast<double>(options_.missed - std::min(done, options_.missed));
      const double rate = per(static_cast<double>(done), seconds_since(begin));
      progress_.expect(per(missing, rate) + options_.seconds);
      progress_.tick();
    }
    return end_phase("away", last_);
  }

  static Failure stands_still() {
    return fail(ErrorCode::kUnavailable,
                "The others have completed nothing for 30 seconds while one replica was away. Is "
                "their disk full? Name another directory with --data, or miss less with --missed.");
  }

  Result<void> come_back() {
    progress_.stage("starting the replica that was away");
    Return& back = result_.returned.emplace();
    back.missed = result_.phases.back().others.commands;
    if (const auto begun = begin_phase(last_); !begun) return begun;
    // Where its own sums begin.
    latest_[last_] = {};
    begin_[last_] = {};
    begin_[last_].totals.wall_us = begin_.front().totals.wall_us;
    start_us_ = now_us();
    if (const auto forked = children_->restart(last_); !forked) return forked;
    children_->give(last_, Order::kOpen);
    const double patience = 60 + 10 * result_.phases.back().others.seconds;
    Lately lately;
    while (!back.caught_up_s && !stopped() && seconds_since(start_us_) < patience) {
      if (const auto looked = look(back, lately); !looked) return looked;
      progress_.expect(options_.seconds);
      progress_.tick();
    }
    back.seconds = back.caught_up_s.value_or(seconds_since(start_us_));
    const Measurement& returned = latest_[last_];
    back.behind = completed(others()) - completed(begun_by_others());
    back.lag = furthest(others()) - std::min(furthest(others()), frontier(returned));
    back.bytes_in = returned.bytes_in;
    back.images_installed = returned.images_installed;
    if (is_there()) back.instances_executed = returned.instances_executed - replayed_;
    add_phase("coming back");
    return {};
  }

  /// One slice of the way back. The returned replica answers when it has time, so that one which
  /// does not for a while does not keep us from looking at the others.
  Result<void> look(Return& back, Lately& lately) {
    const Tick end = now_us() + static_cast<Tick>(1000 * kSlice.count());
    auto answer = children_->answer(last_, kSlice);
    if (!answer) return fail(answer.error());
    const bool told = answer->has_value() && back.open_s.has_value();
    if (told) latest_[last_] = **answer;
    if (told && latest_[last_].voting && !back.vote_s) back.vote_s = seconds_since(start_us_);
    if (answer->has_value() && !back.open_s) {
      back.open_s = seconds_since(start_us_);
      replayed_ = (*answer)->instances_executed;
      progress_.stage("catching up");
      children_->give(last_, Order::kMeasure);
      return {};
    }
    if (const Tick now = now_us(); now < end) {
      std::this_thread::sleep_for(std::chrono::microseconds(end - now));
    }
    if (const auto seen = observe(last_); !seen) return seen;
    lately.add(furthest(others()));
    if (!told) return {};
    // The others were asked after it, so that it is not called further than it is.
    if (lately.caught_up(frontier(latest_[last_]))) {
      back.caught_up_s = seconds_since(start_us_);
    } else {
      children_->give(last_, Order::kMeasure);
    }
    return {};
  }

  Result<void> after() {
    progress_.stage("measuring with all replicas again");
    // One that may not vote would only refuse.
    if (latest_[last_].voting) {
      children_->give(last_, Order::kLoad);
      const auto loaded = children_->answer(last_, kReplyTime);
      if (!loaded) return fail(loaded.error());
      if (!loaded->has_value()) return no_answer();
    }
    if (const auto begun = begin_phase(last_ + 1); !begun) return begun;
    if (const auto waited = wait(options_.seconds); !waited) return waited;
    return end_phase("after", last_ + 1);
  }

  static Failure no_answer() {
    return fail(ErrorCode::kUnavailable, "The returned replica does not answer any more.");
  }

  Result<void> begin_phase(std::size_t count) {
    auto begin = children_->order_first(count, Order::kBegin);
    if (!begin) return fail(begin.error());
    begin_ = *std::move(begin);
    begin_.resize(last_ + 1);
    return {};
  }

  Result<void> end_phase(const char* name, std::size_t count) {
    if (const auto seen = observe(count); !seen) return seen;
    add_phase(name);
    return {};
  }

  void add_phase(const char* name) {
    AwayPhase& phase = result_.phases.emplace_back();
    phase.name = name;
    phase.others = window_between(begun_by_others(), others());
    phase.everybody = is_there() ? window_between(begin_, latest_) : phase.others;
    for (const Measurement& other : others()) {
      phase.resident_bytes += other.totals.resident_bytes;
      phase.store_bytes += other.store_bytes;
      phase.record_bytes += other.record_bytes;
    }
  }

  Result<void> wait(double seconds) {
    const Tick begin = now_us();
    while (!stopped()) {
      const double left = seconds - seconds_since(begin);
      if (left <= 0) return {};
      progress_.tick();
      if (series_.due()) {
        if (const auto seen = observe(last_ + 1); !seen) return seen;
      }
      std::this_thread::sleep_for(
          std::min(std::chrono::duration<double>(left), std::chrono::duration<double>(kSlice)));
    }
    return {};
  }

  /// Asks the first `count` replicas.
  Result<void> observe(std::size_t count) {
    auto seen = children_->order_first(count, Order::kMeasure);
    if (!seen) return fail(seen.error());
    std::ranges::move(*seen, latest_.begin());
    if (series_.due()) series_.add(latest_);
    return {};
  }

  [[nodiscard]] bool is_there() const { return latest_[last_].totals.wall_us != 0; }
  [[nodiscard]] std::span<const Measurement> others() const {
    return std::span(latest_).first(last_);
  }
  [[nodiscard]] std::span<const Measurement> begun_by_others() const {
    return std::span(begin_).first(last_);
  }

  const AwayOptions options_;
  const std::size_t last_;  // The replica that is away.
  const WatchSignals signals_;
  Progress progress_;
  RunDirectory directory_;
  Series series_;
  std::unique_ptr<Children> children_;
  std::vector<Measurement> begin_;                                         // Of the phase.
  std::vector<Measurement> latest_ = std::vector<Measurement>(last_ + 1);  // Zeros: it is away.
  std::uint64_t replayed_ = 0;  // Instances that the returned replica had on its own disk.
  Tick start_us_ = 0;           // Of the returned replica.
  AwayResult result_;
};

}  // namespace

std::optional<double> Return::commands_per_second() const {
  if (!caught_up_s) return std::nullopt;
  return per(static_cast<double>(missed + behind), *caught_up_s);
}

Result<AwayResult> measure_away(const AwayOptions& options) {
  return Run(options).measure();
}

}  // namespace epaxos::bench
