// A node that is its own client: whenever a command has been executed the next one is proposed, on
// the node's own thread, as an embedder would.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "bench/report/clock.h"
#include "bench/throughput/first_command.h"
#include "bench/throughput/protocols.h"
#include "bench/throughput/subject.h"
#include "epaxos/node/node.h"
#include "executor/key_value_command.h"
#include "executor/key_value_machine.h"

namespace epaxos::bench {
namespace {

/// Puts on keys of one replica in turn, and on the key that all replicas share.
class Puts {
 public:
  Puts(const GroupOptions& options, ReplicaId self)
      : conflict_percent_(options.conflict_percent), value_bytes_(options.value_bytes) {
    const std::string value(options.value_bytes, static_cast<char>('a' + self.value()));
    for (std::size_t key = 0; key < options.keys; ++key) {
      own_.push_back(kv::put(to_string(self) + "/" + std::to_string(key), value));
    }
    shared_ = kv::put("shared", value);
  }

  /// Valid until the next call.
  Bytes next() {
    ++count_;
    // Spread evenly: each hundred commands hold exactly that many on the shared key.
    const bool shared = count_ * conflict_percent_ % 100 < conflict_percent_;
    kv::Payload& payload = shared ? shared_ : own_[count_ % own_.size()];
    // No two values are equal, so that replicas which disagree about the order differ in the end.
    const std::size_t number_bytes = std::min(sizeof count_, value_bytes_);
    std::memcpy(payload.data() + payload.size() - value_bytes_, &count_, number_bytes);
    return payload;
  }

 private:
  const std::uint64_t conflict_percent_;
  const std::size_t value_bytes_;
  std::vector<kv::Payload> own_;
  kv::Payload shared_;
  // A replica that comes back must not write the values of its earlier life again.
  std::uint64_t count_ = now_us() * 1000;
};

/// How often something may happen: evenly, but what was held up for a moment may follow at once.
class Pace {
 public:
  /// `rate`: times a second; 0: as often as it likes.
  explicit Pace(double rate) : interval_us_(rate > 0 ? 1e6 / rate : 0) {}

  /// Whether it may happen now; it counts as done then.
  bool take(double now_us) {
    if (interval_us_ == 0) return true;
    if (due_us_ > now_us) return false;
    due_us_ = std::max(due_us_, now_us - kHeldUpUs) + interval_us_;
    return true;
  }

 private:
  static constexpr double kHeldUpUs = 50'000;

  const double interval_us_;
  double due_us_ = 0;
};

/// Of the files in it and below, on disk; 0 when there is none.
std::uint64_t bytes_of_directory(const std::string& path) {
  namespace fs = std::filesystem;
  std::uint64_t sum = 0;
  std::error_code error;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    struct stat about {};  // A file may vanish meanwhile, and have holes.
    if (::lstat(entry->path().c_str(), &about) == 0 && S_ISREG(about.st_mode)) {
      sum += static_cast<std::uint64_t>(about.st_blocks) * 512;
    }
  }
  return sum;
}

class NodeSubject final : public Subject {
 public:
  static Result<std::unique_ptr<Subject>> open(const GroupOptions& options, const Place& place) {
    NodeConfig config;
    config.cluster = place.cluster;
    config.self = place.self;
    config.protocol = protocol_named(options.protocol);
    if (!place.directory.empty()) {
      config.data_directory = place.directory + "/" + to_string(place.self);
    }
    auto subject = std::unique_ptr<NodeSubject>(new NodeSubject(options, place.self));
    subject->directory_ = config.data_directory;
    auto node = Node::open(std::move(config), std::make_unique<KeyValueMachine>());
    if (!node) return fail(node.error());
    subject->node_ = *std::move(node);
    return std::unique_ptr<Subject>(std::move(subject));
  }

  /// A first command tells: who needs a leader has one when it is executed.
  bool ready() override {
    if (first_.is_executed()) return true;
    const NodeStatus status = node_->status();
    const bool connected =
        std::ranges::all_of(status.peers, [](const PeerStatus& peer) { return peer.connected; });
    if (connected) first_.propose(*node_, [this] { return puts_.next(); });
    return false;
  }

  void start_load() override {
    on_loop([this] {
      last_completed_us_ = now_us();
      for (std::size_t i = 0; i < started_us_.size(); ++i) next(i);
    });
  }
  void stop_load() override {
    on_loop([this] { stopping_ = true; });
  }
  void begin_window() override {
    on_loop([this] {
      latency_us_ = {};
      longest_gap_us_ = 0;
      last_completed_us_ = now_us();
    });
  }

  void tick() override {
    if (!someone_waits_.exchange(false)) return;
    on_loop([this] {
      tried_.swap(waiting_);
      for (const std::size_t place : tried_) next(place);
      tried_.clear();
    });
  }

  void measure(Measurement& out) override {
    // What has ended by then is in the status too.
    on_loop([&] {
      out.totals.completed = completed_;
      out.totals.failed = failed_;
      out.in_flight = in_flight_;
      out.latency_us = latency_us_;
      out.longest_gap_us = std::max(longest_gap_us_, now_us() - last_completed_us_);
    });
    const NodeStatus status = node_->status();
    out.voting = status.voting;
    out.leads = status.leader == status.self;
    for (std::size_t row = 0; row < status.rows.size(); ++row) {
      out.executed_up_to[row] = status.rows[row].executed_up_to.value();
    }
    out.totals.fast_path = status.counter("core", "fast_path");
    out.totals.slow_path =
        status.counter("core", "slow_path_mismatch") + status.counter("core", "slow_path_timer");
    out.totals.frames_out = status.counter("host", "frames_out");
    out.totals.bundles_out = status.counter("host", "bundles_out");
    out.totals.bytes_out = status.counter("host", "bytes_out");
    out.totals.transactions = status.store.transactions;
    out.bytes_in = status.counter("peer_plane", "bytes_in");
    out.instances_executed = status.counter("host", "instances_executed");
    out.images_installed = status.counter("images", "installed");
    out.record_bytes = status.store.used_bytes;
    out.store_bytes = bytes_of_directory(directory_);
    out.digest = node_->digest();
  }

  Result<void> close() override { return node_->stop(); }

 private:
  NodeSubject(const GroupOptions& options, ReplicaId self)
      : puts_(options, self), pace_(options.rate), started_us_(options.in_flight) {}

  template <class Task>
  void on_loop(const Task& task) {
    node_->query([&](const StateMachine&) { task(); });
  }

  void next(std::size_t place) {
    if (stopping_) return;
    const Tick now = now_us();
    if (!pace_.take(static_cast<double>(now))) return wait(place);
    started_us_[place] = now;
    const Result<void> proposed = node_->propose(
        puts_.next(), kNever, [this, place](const Outcome& outcome) { ended(place, outcome); });
    if (proposed) {
      ++in_flight_;
    } else {
      ++failed_;
      if (proposed.error().code != ErrorCode::kStopped) wait(place);
    }
  }

  /// Until the next tick.
  void wait(std::size_t place) {
    waiting_.push_back(place);
    someone_waits_ = true;
  }

  void ended(std::size_t place, const Outcome& outcome) {
    --in_flight_;
    if (outcome.kind == OutcomeKind::kExecuted) {
      const Tick now = now_us();
      ++completed_;
      latency_us_.add(now - started_us_[place]);
      longest_gap_us_ = std::max(longest_gap_us_, now - last_completed_us_);
      last_completed_us_ = now;
      return next(place);
    }
    ++failed_;
    // At once, a replica that refuses would be asked without end.
    if (outcome.code != ErrorCode::kStopped) wait(place);
  }

  std::unique_ptr<Node> node_;
  std::string directory_;
  std::atomic<bool> someone_waits_ = false;
  FirstCommand first_;

  // Of the node's thread.
  Puts puts_;
  Pace pace_;
  std::vector<std::uint64_t> started_us_;  // A place a command in flight.
  std::uint64_t in_flight_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t failed_ = 0;
  std::vector<std::size_t> waiting_;  // Places that are tried again.
  std::vector<std::size_t> tried_;
  bool stopping_ = false;
  Tick last_completed_us_ = now_us();
  Tick longest_gap_us_ = 0;
  Histogram latency_us_;
};

}  // namespace

Result<std::unique_ptr<Subject>> open_node_subject(const GroupOptions& options,
                                                   const Place& place) {
  return NodeSubject::open(options, place);
}

}  // namespace epaxos::bench
