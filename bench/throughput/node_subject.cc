// A node that is its own client: whenever a command has been executed the next one is proposed, on
// the node's own thread, as an embedder would.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "bench/report/clock.h"
#include "bench/throughput/subject.h"
#include "epaxos/node/node.h"
#include "executor/key_value_command.h"
#include "executor/key_value_machine.h"

namespace epaxos::bench {
namespace {

/// Puts on keys of one replica in turn, and on the key that all replicas share.
class Puts {
 public:
  Puts(const ThroughputOptions& options, ReplicaId self)
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
  std::uint64_t count_ = 0;
};

class NodeSubject final : public Subject {
 public:
  static Result<std::unique_ptr<Subject>> open(const ThroughputOptions& options,
                                               const Place& place) {
    NodeConfig config;
    config.cluster = place.cluster;
    config.self = place.self;
    if (!place.directory.empty()) {
      config.data_directory = place.directory + "/" + to_string(place.self);
    }
    auto subject = std::unique_ptr<NodeSubject>(new NodeSubject(options, place.self));
    auto node = Node::open(std::move(config), std::make_unique<KeyValueMachine>());
    if (!node) return fail(node.error());
    subject->node_ = *std::move(node);
    return std::unique_ptr<Subject>(std::move(subject));
  }

  bool connected() override {
    const NodeStatus status = node_->status();
    return std::ranges::all_of(status.peers, [](const PeerStatus& peer) { return peer.connected; });
  }

  void start_load() override {
    on_loop([this] {
      for (std::size_t i = 0; i < started_us_.size(); ++i) propose(i);
    });
  }
  void stop_load() override {
    on_loop([this] { stopping_ = true; });
  }
  void begin_window() override {
    on_loop([this] { latency_us_ = {}; });
  }

  void measure(Measurement& out) override {
    const NodeStatus status = node_->status();
    on_loop([&] {
      out.totals.completed = completed_;
      out.totals.failed = failed_;
      out.in_flight = in_flight_;
      out.latency_us = latency_us_;
    });
    out.totals.fast_path = status.counter("core", "fast_path");
    out.totals.slow_path =
        status.counter("core", "slow_path_mismatch") + status.counter("core", "slow_path_timer");
    out.totals.bundles_out = status.counter("host", "bundles_out");
    out.totals.bytes_out = status.counter("host", "bytes_out");
    out.executed = status.counter("host", "commands_executed");
    out.digest = node_->digest();
  }

  Result<void> close() override { return node_->stop(); }

 private:
  NodeSubject(const ThroughputOptions& options, ReplicaId self)
      : puts_(options, self), started_us_(options.in_flight) {}

  template <class Task>
  void on_loop(const Task& task) {
    node_->query([&](const StateMachine&) { task(); });
  }

  void propose(std::size_t place) {
    started_us_[place] = now_us();
    const Result<void> proposed = node_->propose(
        puts_.next(), kNever, [this, place](const Outcome& outcome) { ended(place, outcome); });
    if (proposed) {
      ++in_flight_;
    } else {
      ++failed_;
    }
  }

  void ended(std::size_t place, const Outcome& outcome) {
    --in_flight_;
    if (outcome.kind == OutcomeKind::kExecuted) {
      ++completed_;
      latency_us_.add(now_us() - started_us_[place]);
    } else {
      ++failed_;
    }
    if (!stopping_ && outcome.code != ErrorCode::kStopped) propose(place);
  }

  std::unique_ptr<Node> node_;

  // Of the node's thread.
  Puts puts_;
  std::vector<std::uint64_t> started_us_;  // A place a command in flight.
  std::uint64_t in_flight_ = 0;
  std::uint64_t completed_ = 0;
  std::uint64_t failed_ = 0;
  bool stopping_ = false;
  Histogram latency_us_;
};

}  // namespace

Result<std::unique_ptr<Subject>> open_node_subject(const ThroughputOptions& options,
                                                   const Place& place) {
  return NodeSubject::open(options, place);
}

}  // namespace epaxos::bench
