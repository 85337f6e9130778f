#include "bench/compare/etcd_run.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <poll.h>
#include <thread>
#include <vector>

#include "bench/compare/etcd_members.h"
#include "bench/compare/etcd_puts.h"
#include "bench/report/clock.h"
#include "bench/throughput/run_directory.h"

namespace epaxos::bench {
namespace {

constexpr double kReachSeconds = 20;
constexpr int kPollMs = 20;

class EtcdRun {
 public:
  EtcdRun(const ThroughputOptions& options, const WatchSignals& signals, Progress& progress,
          std::string label)
      : options_(options), signals_(signals), progress_(progress), label_(std::move(label)) {}

  Result<std::optional<Window>> measure() {
    if (const auto started = start(); !started) return fail(started.error());
    keep_in_flight(options_.in_flight);
    if (const auto warm = drive("warming up", warm_up_seconds(options_.seconds)); !warm) {
      return fail(warm.error());
    }
    const auto before = members_->totals();
    if (!before) return fail(before.error());
    const Window begin = sums();
    for (auto& puts : puts_) puts->forget_latencies();
    const Tick from = now_us();
    if (const auto ran = drive("measuring", options_.seconds); !ran) return fail(ran.error());
    const Tick to = now_us();
    Window window = sums();
    const auto after = members_->totals();
    if (!after) return fail(after.error());
    window.seconds = static_cast<double>(to - from) / 1e6;
    window.commands -= begin.commands;
    window.failed -= begin.failed;
    window.cpu_us = after->cpu_us - before->cpu_us;
    window.bytes = after->bytes - before->bytes;
    window.transactions = after->fsyncs - before->fsyncs;
    return signals_.wish_to_stop() ? std::optional<Window>() : std::optional(window);
  }

 private:
  Result<void> start() {
    progress_.stage(label_ + "starting");
    const auto program = etcd_program();
    if (!program) return fail(program.error());
    if (const auto made = directory_.make(options_.data); !made) return made;
    auto members = EtcdMembers::start(*program, options_.replicas, directory_.path());
    if (!members) return fail(members.error());
    members_ = std::make_unique<EtcdMembers>(*std::move(members));
    for (const int port : members_->client_ports()) {
      const std::string name = "R" + std::to_string(puts_.size());
      puts_.push_back(std::make_unique<EtcdPuts>(name, options_.value_bytes, options_.keys));
      if (const auto reached = reach(*puts_.back(), port); !reached) return reached;
    }
    return {};
  }

  /// Until a first put is executed there.
  Result<void> reach(EtcdPuts& puts, int port) {
    const Tick end = now_us() + static_cast<Tick>(kReachSeconds * 1e6);
    while (!signals_.wish_to_stop() && now_us() < end) {
      progress_.tick();
      if (const auto running = members_->all_run(); !running) return running;
      if (!puts.connect(port)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
        continue;
      }
      puts.keep_in_flight(1);
      const std::uint64_t failed = puts.failed();
      while (puts.completed() == 0 && puts.failed() == failed && now_us() < end) {
        if (signals_.wish_to_stop()) return {};
        if (!turn({&puts})) break;
      }
      puts.keep_in_flight(0);
      if (puts.completed() > 0) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
    }
    if (signals_.wish_to_stop()) return {};
    return fail(ErrorCode::kUnavailable, "etcd executed nothing within 20 seconds of its start.");
  }

  void keep_in_flight(std::size_t count) {
    for (auto& puts : puts_) puts->keep_in_flight(count);
  }

  Result<void> drive(const std::string& stage, double seconds) {
    progress_.stage(label_ + stage);
    std::vector<EtcdPuts*> all;
    for (auto& puts : puts_) all.push_back(puts.get());
    const Tick end = now_us() + static_cast<Tick>(seconds * 1e6);
    while (!signals_.wish_to_stop() && now_us() < end) {
      progress_.tick();
      if (const auto turned = turn(all); !turned) return turned;
    }
    return {};
  }

  /// Sends, waits for answers, and takes what has come.
  static Result<void> turn(const std::vector<EtcdPuts*>& all) {
    std::vector<pollfd> waits;
    for (EtcdPuts* puts : all) {
      puts->send();
      const int events = puts->has_to_send() ? POLLIN | POLLOUT : POLLIN;
      waits.push_back({puts->socket(), static_cast<short>(events), 0});
    }
    if (::poll(waits.data(), waits.size(), kPollMs) <= 0) return {};
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((waits[i].revents & ~POLLOUT) == 0) continue;
      if (const auto received = all[i]->receive(); !received) return received;
    }
    return {};
  }

  [[nodiscard]] Window sums() const {
    Window sum;
    for (const auto& puts : puts_) {
      sum.commands += puts->completed();
      sum.failed += puts->failed();
      sum.latency_us.merge(puts->latency_us());
    }
    return sum;
  }

  const ThroughputOptions options_;
  const WatchSignals& signals_;
  Progress& progress_;
  const std::string label_;
  RunDirectory directory_;
  std::unique_ptr<EtcdMembers> members_;
  std::vector<std::unique_ptr<EtcdPuts>> puts_;
};

}  // namespace

Result<std::optional<Window>> measure_etcd(const ThroughputOptions& options,
                                           const WatchSignals& signals, Progress& progress,
                                           const std::string& label) {
  return EtcdRun(options, signals, progress, label).measure();
}

}  // namespace epaxos::bench
