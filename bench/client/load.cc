#include "bench/client/load.h"

#include <algorithm>
#include <chrono>

#include "bench/report/clock.h"
#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

constexpr Tick kPauseUs = 10'000;  // After a refusal, so that a cluster in trouble is not flooded.
constexpr Tick kPollUs = 20'000;
constexpr std::size_t kReadyBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kSlicesMax = 36'000;

class ClosedLoop {
 public:
  ClosedLoop(net::Client& client, const LoadOptions& options)
      : client_(client), options_(options), writes_(options.keys) {
    how_.replica = options.replica;
  }

  LoadResult run(const std::function<bool()>& stop) {
    const Tick begin = now_us();
    measure_from_ = begin + static_cast<Tick>(options_.warm_up_s * 1e6);
    measure_to_ = measure_from_ + static_cast<Tick>(options_.seconds * 1e6);
    last_executed_ = measure_from_;
    result_.measured_from_us = measure_from_;
    idle_ = options_.in_flight;
    Tick now = begin;
    std::optional<net::ClientCounters> before;
    while (now < measure_to_ && !done_ && !stop()) {
      if (!before && now >= measure_from_) before = client_.counters();
      if (now >= pause_until_) submit_idle();
      client_.poll(kPollUs);
      now = now_us();
    }
    done_ = true;
    result_.seconds =
        static_cast<double>(std::min(now, measure_to_) - std::min(now, measure_from_)) / 1e6;
    if (before) result_.traffic = since(*before);
    if (now > last_executed_) add_gap(std::min(now, measure_to_));
    // Outcomes that are still to come belong to no window, but their callbacks are ours. Who is
    // told to stop does not wait for them: they stay unknown.
    while (client_.in_flight() > 0 && !stop()) client_.poll(kPollUs);
    return std::move(result_);
  }

 private:
  void submit_idle() {
    while (idle_ > 0 && !done_) {
      --idle_;
      const auto [payload, hot] = writes_.next();
      Tally& tally = hot ? result_.hot : result_.own;
      ++tally.submitted;
      const auto submitted = client_.submit(net::RequestKind::kPropose, payload, how_,
                                            [this, &tally](const net::ClientOutcome& outcome) {
                                              count(outcome, tally);
                                              on_outcome(outcome);
                                            });
      check(submitted.has_value(), "the client library refused what is within its limits");
    }
  }

  static void count(const net::ClientOutcome& outcome, Tally& tally) {
    if (outcome.kind == OutcomeKind::kUnknown) return;
    const auto reply = kv::decode_reply(outcome.reply);
    const bool changed =
        outcome.kind == OutcomeKind::kExecuted && reply && reply->status == kv::ReplyStatus::kOk;
    ++(changed ? tally.acknowledged : tally.rejected);
  }

  /// Of the time since the last executed answer.
  void add_gap(Tick now) {
    const Tick gap = now - last_executed_;
    result_.longest_gap_us = std::max(result_.longest_gap_us, gap);
    const std::size_t at = (now - measure_from_) / TimeSlice::kLengthUs;
    if (at >= kSlicesMax) return;
    if (at >= result_.slices.size()) result_.slices.resize(at + 1);
    TimeSlice& slice = result_.slices[at];
    slice.longest_gap_us = std::max(slice.longest_gap_us, gap);
  }

  void add_executed(Tick now, Tick latency) {
    ++result_.executed;
    add_gap(now);
    last_executed_ = now;
    if (result_.slices.empty() || result_.slices.size() >= kSlicesMax) return;
    TimeSlice& slice = result_.slices.back();
    ++slice.executed;
    slice.slowest_us = std::max(slice.slowest_us, latency);
  }

  void on_outcome(const net::ClientOutcome& outcome) {
    ++idle_;
    const Tick now = now_us();
    const bool measured = now >= measure_from_ && now < measure_to_ && !done_;
    if (outcome.kind != OutcomeKind::kExecuted) {
      result_.last_failure = outcome.reason;
      pause_until_ = now + kPauseUs;
      if (measured) ++(outcome.kind == OutcomeKind::kRejected ? result_.rejected : result_.unknown);
      return;
    }
    if (measured) {
      add_executed(now, outcome.latency_us);
      result_.execution_us.add(outcome.latency_us);
      result_.commit_us.add(outcome.latency_us -
                            std::min(outcome.latency_us, outcome.execution_wait_us));
      if (options_.commands_max > 0 && result_.executed >= options_.commands_max) {
        measure_to_ = now;
        done_ = true;
      }
    }
    if (now >= pause_until_) submit_idle();
  }

  [[nodiscard]] Traffic since(const net::ClientCounters& before) const {
    const net::ClientCounters& now = client_.counters();
    return {now.messages_out - before.messages_out, now.bytes_out - before.bytes_out,
            now.messages_in - before.messages_in, now.bytes_in - before.bytes_in};
  }

  net::Client& client_;
  const LoadOptions options_;
  net::SubmitOptions how_;
  Writes writes_;
  LoadResult result_;
  std::size_t idle_ = 0;  // Requests that may be submitted.
  Tick measure_from_ = 0;
  Tick measure_to_ = 0;
  Tick last_executed_ = 0;
  Tick pause_until_ = 0;
  bool done_ = false;
};

}  // namespace

KeyTurns::KeyTurns(const KeyChoice& choice)
    : hot_percent_(choice.hot_percent),
      own_keys_(std::min(choice.own_keys, kReadyBytesMax / (choice.value_bytes + 1))),
      random_(choice.seed) {
}

std::optional<std::size_t> KeyTurns::next() {
  if (hot_percent_ > 0 && random_() % 100 < hot_percent_) return std::nullopt;
  turn_ = turn_ + 1 < own_keys_ ? turn_ + 1 : 0;
  return turn_;
}

Writes::Writes(const KeyChoice& choice) : turns_(choice) {
  const std::string value(choice.value_bytes, 'v');
  const auto write = [&](const std::string& key) {
    return choice.increments ? kv::increment(key, 1) : kv::put(key, value);
  };
  for (std::size_t i = 0; i < turns_.own_keys(); ++i) {
    own_.push_back(write(choice.prefix + std::to_string(i)));
  }
  hot_ = write(choice.hot_key);
}

Writes::Next Writes::next() {
  const std::optional<std::size_t> own = turns_.next();
  if (!own) return {hot_, true};
  return {own_[*own], false};
}

Tally& Tally::operator+=(const Tally& other) {
  submitted += other.submitted;
  acknowledged += other.acknowledged;
  rejected += other.rejected;
  return *this;
}

void LoadResult::merge(const LoadResult& other) {
  seconds = std::max(seconds, other.seconds);
  executed += other.executed;
  rejected += other.rejected;
  unknown += other.unknown;
  if (last_failure.empty()) last_failure = other.last_failure;
  commit_us.merge(other.commit_us);
  execution_us.merge(other.execution_us);
  traffic.messages_out += other.traffic.messages_out;
  traffic.bytes_out += other.traffic.bytes_out;
  traffic.messages_in += other.traffic.messages_in;
  traffic.bytes_in += other.traffic.bytes_in;
  longest_gap_us = std::max(longest_gap_us, other.longest_gap_us);
  own += other.own;
  hot += other.hot;
}

LoadResult run_load(net::Client& client, const LoadOptions& options,
                    const std::function<bool()>& stop) {
  return ClosedLoop(client, options).run(stop);
}

}  // namespace epaxos::bench
