#include "bench/client/site_load.h"

#include <algorithm>
#include <optional>
#include <queue>
#include <utility>

#include "bench/client/start_time.h"
#include "bench/report/clock.h"
#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

constexpr Tick kSiteSpreadUs = kSecond;  // Within so much all clients begin, one after the other.
constexpr Tick kSitePauseUs = 10'000;    // After a failure, so that nobody is flooded.
constexpr Tick kSitePollUs = 20'000;
constexpr Tick kSiteLastWordUs =
    500'000;  // What an interrupted load waits for the replica's counters.

class SiteLoad {
 public:
  SiteLoad(net::Client& client, const SiteLoadOptions& options, const SiteWatch& watch,
           SiteResult& out)
      : client_(client),
        options_(options),
        watch_(watch),
        out_(out),
        writes_(options.keys),
        clients_(options.clients) {
    how_.replica = options.replica;
    how_to_ask_.replica = options.replica;
    how_to_ask_.reads_only = true;
  }

  void run() {
    const Tick begin = now_us();
    from_ = begin + options_.warm_up_us;
    to_ = from_ + options_.measured_us;
    end_ = to_ + options_.ramp_down_us;
    out_.measured_from_unix_us = unix_now_us() + options_.warm_up_us;
    out_.seconds.resize((options_.measured_us + kSecond - 1) / kSecond);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      due_.emplace(begin + kSiteSpreadUs * i / clients_.size(), i);
    }
    Tick now = begin;
    while (now < end_ && go_on(now)) {
      send_those_due(now);
      client_.poll(time_to_next(now));
      now = now_us();
    }
    stopped_ = true;
    out_.measured_for_us = std::clamp(now, from_, to_) - from_;
    if (out_.interrupted) {
      wait_for_last_word(now);
    } else {
      // What was sent while it was measured is waited for, unless we are told to stop.
      while (go_on(end_) && client_.in_flight() > 0) client_.poll(kSitePollUs);
    }
    finish();
  }

 private:
  struct Loop {
    Tick sent_us = 0;
    bool under_way = false;
  };

  [[nodiscard]] bool is_measured(Tick time) const { return time >= from_ && time < to_; }

  /// Also asks the replica at both ends of the measured time.
  bool go_on(Tick now) {
    if (now >= from_ && !asked_before_) ask(asked_before_, before_);
    if (now >= to_ && !asked_after_) ask(asked_after_, after_);
    const std::string_view phase = now < from_  ? "warming up"
                                   : now < to_  ? "measuring"
                                   : now < end_ ? "ramping down"
                                                : "waiting for the last answers";
    if (!watch_ || watch_(phase, end_ - now)) return true;
    out_.interrupted = true;
    return false;
  }

  /// When the next client is to send, or the next part begins.
  [[nodiscard]] Tick time_to_next(Tick now) const {
    Tick next = now + kSitePollUs;
    if (!due_.empty()) next = std::min(next, due_.top().first);
    for (const Tick edge : {from_, to_, end_}) {
      if (edge > now) next = std::min(next, edge);
    }
    return next > now ? next - now : 0;
  }

  void send_those_due(Tick now) {
    while (!due_.empty() && due_.top().first <= now) {
      const std::size_t index = due_.top().second;
      due_.pop();
      send(index);
    }
  }

  void send(std::size_t index) {
    Loop& loop = clients_[index];
    loop = {now_us(), true};
    if (is_measured(loop.sent_us)) ++out_.sent;
    const auto submitted = client_.submit(
        net::RequestKind::kPropose, writes_.next().payload, how_,
        [this, index](const net::ClientOutcome& outcome) { on_outcome(index, outcome); });
    check(submitted.has_value(), "the client library refused what is within its limits");
  }

  void on_outcome(std::size_t index, const net::ClientOutcome& outcome) {
    Loop& loop = clients_[index];
    loop.under_way = false;
    const Tick now = now_us();
    const bool executed = outcome.kind == OutcomeKind::kExecuted;
    if (!executed) out_.last_failure = outcome.reason;
    if (is_measured(now)) count_in_second(out_.seconds[(now - from_) / kSecond], outcome);
    if (is_measured(loop.sent_us)) count(outcome);
    if (stopped_) return;
    if (executed) return send(index);
    due_.emplace(now + kSitePauseUs, index);
  }

  static void count_in_second(SiteSecond& second, const net::ClientOutcome& outcome) {
    if (outcome.kind == OutcomeKind::kExecuted) {
      second.execution_us.add(outcome.latency_us);
    } else {
      ++second.failed;
    }
  }

  void count(const net::ClientOutcome& outcome) {
    switch (outcome.kind) {
      case OutcomeKind::kExecuted:
        out_.execution_us.add(outcome.latency_us);
        out_.commit_us.add(outcome.latency_us -
                           std::min(outcome.latency_us, outcome.execution_wait_us));
        return;
      case OutcomeKind::kRejected:
        ++out_.rejected;
        return;
      case OutcomeKind::kUnknown:
        ++out_.unknown;
        return;
    }
  }

  void ask(bool& asked, std::optional<SiteStatus>& answer) {
    asked = true;
    const auto submitted = client_.submit(
        net::RequestKind::kStatus, {}, how_to_ask_, [&answer](const net::ClientOutcome& outcome) {
          if (outcome.kind != OutcomeKind::kExecuted) return;
          answer = read_site_status(
              {reinterpret_cast<const char*>(outcome.reply.data()), outcome.reply.size()});
        });
    check(submitted.has_value(), "the client library refused what is within its limits");
  }

  void wait_for_last_word(Tick now) {
    if (!before_ || asked_after_) return;
    ask(asked_after_, after_);
    const Tick deadline = now + kSiteLastWordUs;
    while (!after_ && now_us() < deadline) client_.poll(kSitePollUs);
  }

  void finish() {
    for (const Loop& loop : clients_) {
      if (loop.under_way && is_measured(loop.sent_us)) ++out_.unfinished;
    }
    out_.seconds.resize((out_.measured_for_us + kSecond - 1) / kSecond);
    if (!before_) return;
    out_.leader = before_->leader;
    if (!after_) return;
    out_.leader_changed = before_->leader != after_->leader;
    if (!before_->paths || !after_->paths || before_->incarnation != after_->incarnation) return;
    out_.paths = {after_->paths->fast - before_->paths->fast,
                  after_->paths->slow - before_->paths->slow};
  }

  net::Client& client_;
  const SiteLoadOptions& options_;
  const SiteWatch& watch_;
  SiteResult& out_;
  net::SubmitOptions how_;
  net::SubmitOptions how_to_ask_;
  Writes writes_;
  std::vector<Loop> clients_;
  using Due = std::pair<Tick, std::size_t>;  // When this client is to send.
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::optional<SiteStatus> before_;
  std::optional<SiteStatus> after_;
  bool asked_before_ = false;
  bool asked_after_ = false;
  bool stopped_ = false;
  Tick from_ = 0;
  Tick to_ = 0;
  Tick end_ = 0;
};

}  // namespace

void run_site_load(net::Client& client, const SiteLoadOptions& options, const SiteWatch& watch,
                   SiteResult& out) {
  SiteLoad(client, options, watch, out).run();
}

}  // namespace epaxos::bench
