#include "bench/wan/emulated_clients.h"

#include <algorithm>
#include <utility>

#include "bench/client/load.h"
#include "bench/report/clock.h"
#include "bench/throughput/first_command.h"
#include "bench/wan/client_keys.h"
#include "bench/wan/simulation.h"
#include "bench/wan/timer_thread.h"
#include "epaxos/node/node.h"
#include "executor/key_value_machine.h"

namespace epaxos::bench {
namespace {

/// Longer than any run takes to find its first leader.
constexpr Tick kFirstElectionUs = 60 * kSecond;

NodeConfig config_of(const EmulatedGroup& group, const Place& place) {
  NodeConfig config;
  config.cluster = place.cluster;
  config.cluster.core = core_of(group.placement, group.options);
  if (group.leader && *group.leader != place.self) {
    config.cluster.core.first_election_us = kFirstElectionUs;
  }
  config.self = place.self;
  config.protocol = group.protocol;
  config.links = &group.shared.links;
  return config;
}

class EmulatedClients final : public Subject {
 public:
  static Result<std::unique_ptr<Subject>> open(const EmulatedGroup& group, const Place& place) {
    auto subject = std::unique_ptr<EmulatedClients>(new EmulatedClients(group, place.self));
    auto node = Node::open(config_of(group, place), std::make_unique<KeyValueMachine>());
    if (!node) return fail(node.error());
    subject->node_ = *std::move(node);
    return std::unique_ptr<Subject>(std::move(subject));
  }

  /// A first command tells: it is executed when there is a leader, if there has to be one.
  bool ready() override {
    if (first_.is_executed()) return true;
    const NodeStatus status = node_->status();
    const bool connected = std::ranges::all_of(status.peers, &PeerStatus::connected);
    if (!connected || (group_.leader && status.leader != group_.leader)) return false;
    first_.propose(*node_, [] { return kv::put("first", "command"); });
    return false;
  }

  void start_load() override {
    loading_ = true;
    start_sites(group_.shared.begin_us, kSecond);
  }
  /// Clients whose replica has died come here.
  void tick() override {
    if (loading_ && !stopping_) start_sites(now_us(), kPauseUs);
  }
  void stop_load() override { stopping_ = true; }
  void begin_window() override {}

  void measure(Measurement& out) override {
    const NodeStatus status = node_->status();
    out.voting = status.voting;
    out.leads = status.leader == status.self;
    out.in_flight = status.queues.pending + status.queues.submitted;
    out.totals.fast_path = status.counter("core", "fast_path");
    out.totals.slow_path =
        status.counter("core", "slow_path_mismatch") + status.counter("core", "slow_path_timer");
    out.digest = node_->digest();
  }

  Result<void> close() override {
    stopping_ = true;
    return node_->stop();
  }
  /// The node's thread first: it sets timers.
  ~EmulatedClients() override {
    stopping_ = true;
    if (node_ != nullptr) [[maybe_unused]]
      const Result<void> ignored = node_->stop();
  }

 private:
  EmulatedClients(const EmulatedGroup& group, ReplicaId self)
      : group_(group), self_(self), shared_(group.shared.replicas[self.value()]) {
    for (std::size_t site = 0; site < group.placement.topology().site_count(); ++site) {
      writes_.push_back(std::make_unique<Writes>(keys_of(site, group.options)));
    }
    started_.resize(writes_.size());
  }

  template <class Task>
  void on_loop(const Task& task) {
    node_->query([&](const StateMachine&) { task(); });
  }

  /// All that ask this replica and are not here yet; they begin within `span` from then on.
  void start_sites(Tick begin, Tick span) {
    for (std::size_t site = 0; site < writes_.size(); ++site) {
      if (group_.shared.server_of[site] != self_.value() || started_[site]) continue;
      started_[site] = true;
      on_loop([&] {
        sim::Random begins = beginnings_of(site, group_.options);
        for (std::size_t client = 0; client < group_.options.clients; ++client) {
          send(site, begin + begins.below(span));
        }
      });
    }
  }

  /// From a client of the site to this replica, and back.
  [[nodiscard]] Tick there_us(std::size_t site) const {
    const Placement& placement = group_.placement;
    return placement.topology().one_way_us(site, placement.site_of(self_));
  }
  [[nodiscard]] Tick back_us(std::size_t site) const {
    const Placement& placement = group_.placement;
    return placement.topology().one_way_us(placement.site_of(self_), site);
  }

  /// A client sends its next command then. On the node's thread.
  void send(std::size_t site, Tick sent_at) {
    if (stopping_) return;
    if (is_measured(sent_at)) ++shared_.unfinished[site];
    const Bytes payload = writes_[site]->next().payload;
    const Tick arrives = sent_at + there_us(site);
    if (arrives <= now_us()) return propose(site, sent_at, payload);
    timer_.at(arrives, [this, site, sent_at, payload] { propose(site, sent_at, payload); });
  }

  /// On any thread.
  void propose(std::size_t site, Tick sent_at, Bytes payload) {
    if (stopping_) return;
    const Result<void> proposed = node_->propose(
        payload, kNever,
        [this, site, sent_at](const Outcome& outcome) { ended(site, sent_at, outcome); });
    if (proposed || proposed.error().code == ErrorCode::kStopped) return;
    timer_.at(now_us() + kPauseUs,
              [this, site, sent_at, payload] { propose(site, sent_at, payload); });
  }

  void ended(std::size_t site, Tick sent_at, const Outcome& outcome) {
    const Tick now = now_us();
    const Tick back = back_us(site);
    const bool executed = outcome.kind == OutcomeKind::kExecuted;
    const Tick latency = now - sent_at + back;
    shared_.samples.write({.sent_us = sent_at,
                           .execution_us = latency,
                           .commit_us = latency - std::min(latency, outcome.execution_wait_us),
                           .site = static_cast<std::uint32_t>(site),
                           .executed = executed});
    if (is_measured(sent_at)) --shared_.unfinished[site];
    send(site, now + back + group_.options.think_us + (executed ? 0 : kPauseUs));
  }

  [[nodiscard]] bool is_measured(Tick sent_at) const {
    return sent_at >= group_.shared.from_us && sent_at < group_.shared.to_us;
  }

  const EmulatedGroup& group_;
  const ReplicaId self_;
  SharedRun::Replica& shared_;
  std::unique_ptr<Node> node_;
  FirstCommand first_;
  std::atomic<bool> stopping_ = false;
  bool loading_ = false;
  std::vector<bool> started_;                    // By site: whether its clients are here.
  std::vector<std::unique_ptr<Writes>> writes_;  // By site. Of the node's thread.
  TimerThread timer_;                            // The last: it ends before what it uses.
};

}  // namespace

MakeSubject emulated_clients(const EmulatedGroup& group) {
  return [&group](const GroupOptions&, const Place& place) {
    return EmulatedClients::open(group, place);
  };
}

}  // namespace epaxos::bench
