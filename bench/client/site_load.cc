#include "bench/client/site_load.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <queue>
#include <sys/prctl.h>
#include <thread>
#include <utility>

#include "bench/client/arrivals.h"
#include "bench/client/mixed_commands.h"
#include "bench/client/start_time.h"
#include "bench/report/clock.h"
#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

constexpr Tick kSiteSpreadUs = kSecond;  // Within so much all clients begin, one after the other.
constexpr Tick kSitePauseUs = 10'000;    // After a failure, so that nobody is flooded.
constexpr Tick kSitePollUs = 20'000;
constexpr Tick kSiteNapUs = 50;  // Between two looks for answers when a command is due soon.
constexpr Tick kSiteLastWordUs =
    500'000;  // What an interrupted load waits for the replica's counters.

std::optional<Zipf> zipf_of(const CommandMix& mix) {
  if (!mix.zipf_theta) return std::nullopt;
  return Zipf(mix.keys, *mix.zipf_theta);
}

class SiteLoad {
 public:
  SiteLoad(net::Client& client, const SiteLoadOptions& options, const SiteWatch& watch,
           SiteResult& out)
      : client_(client),
        options_(options),
        watch_(watch),
        out_(out),
        zipf_(zipf_of(options.load.mix)),
        inserted_(options.replica.value(), options.replica_count),
        commands_(options.keys, options.load.mix, zipf_ ? &*zipf_ : nullptr, &inserted_) {
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
    begin_loops(begin);
    ::prctl(PR_SET_TIMERSLACK, 1);  // Nanoseconds, in place of 50 us.
    Tick now = begin;
    while (now < end_ && go_on(now)) {
      send_those_due(now);
      wait(time_to_next(now));
      now = now_us();
    }
    if (!out_.interrupted) send_those_due(end_ - 1);
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
  /// A command on its way.
  struct Asked {
    Tick due_us = 0;
    Tick late_us = 0;
    MixedCommand command;
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

  void begin_loops(Tick begin) {
    const OfferedLoad& load = options_.load;
    if (load.open.is_on()) {
      arrivals_.emplace(load.open, sim::Random(options_.keys.seed), begin);
      due_.push(arrivals_->next());
      return;
    }
    for (std::size_t i = 0; i < load.clients; ++i) {
      due_.push(begin + kSiteSpreadUs * i / load.clients);
    }
  }

  /// When the next command is to be sent, or the next part begins.
  [[nodiscard]] Tick time_to_next(Tick now) const {
    Tick next = now + kSitePollUs;
    if (!due_.empty()) next = std::min(next, due_.top());
    for (const Tick edge : {from_, to_, end_}) {
      if (edge > now) next = std::min(next, edge);
    }
    return next > now ? next - now : 0;
  }

  /// A poll waits for whole milliseconds, and a command is not to be late by one.
  void wait(Tick us) {
    constexpr Tick kMillisecond = 1000;
    client_.poll(us / kMillisecond * kMillisecond);
    if (us == 0 || us >= kMillisecond) return;
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(us, kSiteNapUs)));
  }

  void send_those_due(Tick now) {
    while (!due_.empty() && due_.top() <= now) {
      const Tick due = due_.top();
      due_.pop();
      if (arrivals_) due_.push(arrivals_->next());
      if (in_flight_ < options_.load.in_flight_max()) {
        send(due, commands_.next());
      } else if (is_measured(due)) {
        ++out_.unsent;
      }
    }
  }

  void send(Tick due, MixedCommand command) {
    ++in_flight_;
    const Tick now = now_us();
    Asked asked{due, now - std::min(now, due), std::move(command)};
    if (is_measured(due)) {
      ++out_.sent;
      ++out_.unfinished;
      out_.late_us.add(asked.late_us);
    }
    const kv::Payload payload = std::exchange(asked.command.payload, {});
    how_.reads_only = asked.command.reads;
    const auto submitted =
        client_.submit(net::RequestKind::kPropose, payload, how_,
                       [this, asked = std::move(asked)](const net::ClientOutcome& outcome) {
                         on_outcome(asked, outcome);
                       });
    check(submitted.has_value(), "the client library refused what is within its limits");
  }

  void on_outcome(const Asked& asked, const net::ClientOutcome& outcome) {
    --in_flight_;
    const Tick now = now_us();
    const bool executed = outcome.kind == OutcomeKind::kExecuted;
    const Tick latency = outcome.latency_us + asked.late_us;
    if (!executed) out_.last_failure = outcome.reason;
    if (is_measured(now)) {
      count_in_second(out_.seconds[(now - from_) / kSecond], outcome, latency);
    }
    if (is_measured(asked.due_us)) count(asked, outcome, latency);
    if (executed && asked.command.inserts) inserted_.inserted(*asked.command.inserts);
    if (stopped_) return;
    if (executed && !asked.command.then.empty()) {
      return send(now, {.payload = asked.command.then});
    }
    if (arrivals_) return;
    const Tick pause_us = options_.load.think_us + (executed ? 0 : kSitePauseUs);
    if (pause_us == 0) return send(now, commands_.next());
    due_.push(now + pause_us);
  }

  static void count_in_second(SiteSecond& second, const net::ClientOutcome& outcome, Tick latency) {
    if (outcome.kind == OutcomeKind::kExecuted) {
      second.execution_us.add(latency);
    } else {
      ++second.failed;
    }
  }

  void count(const Asked& asked, const net::ClientOutcome& outcome, Tick latency) {
    --out_.unfinished;
    switch (outcome.kind) {
      case OutcomeKind::kExecuted:
        (asked.command.reads ? out_.reads : out_.writes)
            .add(latency - std::min(latency, outcome.execution_wait_us), latency);
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
  const std::optional<Zipf> zipf_;
  InsertedRecords inserted_;
  MixedCommands commands_;
  std::optional<Arrivals> arrivals_;  // Of an open loop.
  // When clients are to send, or the next command of the open loop.
  std::priority_queue<Tick, std::vector<Tick>, std::greater<>> due_;
  std::size_t in_flight_ = 0;
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
