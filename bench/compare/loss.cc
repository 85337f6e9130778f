#include "bench/compare/loss.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "bench/report/clock.h"
#include "bench/report/progress.h"
#include "bench/throughput/children.h"
#include "bench/throughput/run_directory.h"
#include "bench/throughput/watch_signals.h"

namespace epaxos::bench {
namespace {

constexpr std::chrono::milliseconds kGlance(50);
constexpr double kStartSeconds = 1.5;

std::vector<Loss> losses(const CompareOptions& options) {
  std::vector<Loss> all;
  for (const Combination& load : combinations(options)) {
    Loss loss{load.contender, load.durability, load.value_bytes, load.in_flight, false, {}};
    all.push_back(loss);
    if (!has_leader(load.contender.protocol)) continue;
    all.back().leader = true;
    all.push_back(std::move(loss));
  }
  return all;
}

/// One round of one loss.
class OneLoss {
 public:
  OneLoss(const CompareOptions& options, const Loss& loss, const WatchSignals& signals,
          Progress& progress)
      : options_(throughput_options(
            options, {loss.contender, loss.durability, loss.value_bytes, loss.in_flight, {}})),
        leader_(loss.leader),
        signals_(signals),
        progress_(progress) {}

  /// Empty: it was interrupted.
  Result<std::optional<LossRun>> measure() {
    // At every durability, as a replica that may be killed keeps its marks.
    if (const auto made = directory_.make(options_.data); !made) return fail(made.error());
    auto children = Children::start(open_node_subject, options_, directory_.path());
    if (!children) return fail(children.error());
    children_ = *std::move(children);
    LossRun run;
    if (const auto loaded = children_->order(Order::kLoad); !loaded) return fail(loaded.error());
    wait(warm_up_seconds(options_.seconds));
    auto begin = children_->order(Order::kBegin);
    if (!begin) return fail(begin.error());
    wait(options_.seconds);
    const auto middle = children_->order(Order::kMeasure);
    if (!middle) return fail(middle.error());
    run.before = window_between(*begin, *middle);

    const auto victim = victim_among(*middle);
    if (!victim) return fail(victim.error());
    begin = children_->order(Order::kBegin);
    if (!begin) return fail(begin.error());
    children_->kill(*victim);
    begin->erase(begin->begin() + static_cast<std::ptrdiff_t>(*victim));
    wait(options_.seconds);
    const auto end = measure_all_but(*victim, begin->size() + 1);
    if (!end) return fail(end.error());
    run.after = window_between(*begin, *end);
    return signals_.wish_to_stop() ? std::optional<LossRun>() : std::optional(run);
  }

 private:
  /// The last one of those that are asked for.
  [[nodiscard]] Result<std::size_t> victim_among(const std::vector<Measurement>& replicas) const {
    for (std::size_t i = replicas.size(); i-- > 0;) {
      if (replicas[i].leads == leader_) return i;
    }
    return fail(ErrorCode::kUnavailable,
                "nobody led when the leader was to be killed. Measure longer, with --seconds.");
  }

  Result<std::vector<Measurement>> measure_all_but(std::size_t victim, std::size_t count) {
    std::vector<Measurement> all;
    for (std::size_t i = 0; i < count; ++i) {
      if (i == victim) continue;
      children_->give(i, Order::kMeasure);
      const auto answer = children_->answer(i, kReplyTime);
      if (!answer) return fail(answer.error());
      if (!answer->has_value()) return fail(ErrorCode::kUnavailable, "a replica does not answer.");
      all.push_back(**answer);
    }
    return all;
  }

  void wait(double seconds) {
    const Tick end = now_us() + static_cast<Tick>(seconds * 1e6);
    while (!signals_.wish_to_stop() && now_us() < end) {
      progress_.tick();
      std::this_thread::sleep_for(
          std::min(std::chrono::duration_cast<std::chrono::microseconds>(kGlance),
                   std::chrono::microseconds(end - now_us())));
    }
  }

  const ThroughputOptions options_;
  const bool leader_;
  const WatchSignals& signals_;
  Progress& progress_;
  RunDirectory directory_;
  std::unique_ptr<Children> children_;
};

}  // namespace

Losses measure_losses(const CompareOptions& options) {
  Losses result{losses(options), false, {}};
  const WatchSignals signals;
  const double each = 2 * options.seconds + warm_up_seconds(options.seconds) + kStartSeconds;
  auto left = static_cast<double>(result.losses.size()) * options.repeat;
  Progress progress(each * left, Progress::Elsewhere::kNothing);
  for (int round = 0; round < options.repeat && !result.interrupted; ++round) {
    for (Loss& loss : result.losses) {
      const std::string name = to_string(loss.contender) + ", " +
                               std::string(to_string(loss.durability)) + ", " +
                               (loss.leader ? "the leader" : "another replica") + " is killed";
      progress.expect(each * left--);
      progress.stage(name);
      auto run = OneLoss(options, loss, signals, progress).measure();
      if (!run) {
        result.trouble = "When " + name + ": " + run.error().message;
        return result;
      }
      result.interrupted = !run->has_value();
      if (result.interrupted) break;
      loss.runs.push_back(**std::move(run));
    }
  }
  return result;
}

}  // namespace epaxos::bench
