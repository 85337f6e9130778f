#include "bench/wan/emulated_clients.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "bench/report/clock.h"
#include "bench/throughput/first_command.h"
#include "bench/throughput/protocols.h"
#include "bench/wan/client_keys.h"
#include "bench/wan/simulation.h"
#include "bench/wan/timer_thread.h"
#include "bench/wan/traced_core.h"
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
  config.cluster.reads = reads_of(group.protocol, group.options.reads_by);
  if (group.leader && *group.leader != place.self) {
    config.cluster.core.first_election_us = kFirstElectionUs;
  }
  config.self = place.self;
  if (!place.directory.empty()) {
    config.data_directory = place.directory + "/" + to_string(place.self);
  }
  config.protocol = traced_protocol(group, place.self);
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
    first_.propose(*node_, first_command);
    return false;
  }

  [[nodiscard]] std::string why_not_ready() const override {
    const std::optional<ReplicaId> leader = node_->status().leader;
    if (!group_.leader || !leader || leader == group_.leader) return Subject::why_not_ready();
    return "The replica at " + group_.placement.name_of(*leader) + " leads and not the one at " +
           group_.placement.name_of(*group_.leader) +
           ", as an election came first: this machine was too busy. Run it again on an idle one.";
  }

  void start_load() override {
    loading_ = true;
    shared_.answers = first_.is_executed();
    if (shared_.answers) start_sites(group_.shared.begin_us, kSecond);  // Else it was restarted.
  }
  /// Clients come here whose replica has died, or who ask this one again since it is back.
  void tick() override {
    if (!loading_ || stopping_) return;
    if (!shared_.answers) {
      shared_.answers = first_.is_executed();
      first_.propose(*node_, first_command);
    }
    start_sites(now_us(), kPauseUs);
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
  /// The clients of a site while they are here.
  struct Site {
    std::atomic<Tick> from_us = 0;     // Of an open loop: it is here since then.
    std::optional<Arrivals> arrivals;  // Of an open loop. Of the timer's thread.
    std::atomic<std::size_t> in_flight = 0;
  };
  /// A command on its way.
  struct Asked {
    std::size_t site = 0;
    Tick sent_at = 0;
    Tick late_us = 0;
    MixedCommand command;
  };

  EmulatedClients(const EmulatedGroup& group, ReplicaId self)
      : group_(group),
        self_(self),
        shared_(group.shared.replicas[self.value()]),
        commands_(group.placement.topology().site_count(), group.options, group.shared.inserted),
        sites_(commands_.sites()) {}

  template <class Task>
  void on_loop(const Task& task) {
    node_->query([&](const StateMachine&) { task(); });
  }

  [[nodiscard]] bool is_asked_by(std::size_t site) const {
    return group_.shared.server_of[site] == self_.value();
  }

  /// All that ask this replica and are not here yet; they begin within `span` from then on.
  void start_sites(Tick begin, Tick span) {
    for (std::size_t site = 0; site < sites_.size(); ++site) {
      if (!is_asked_by(site)) continue;
      const std::size_t count = group_.shared.waiting_clients[site].exchange(0);
      if (count == 0) continue;
      shared_.clients[site] += count;
      if (group_.options.open.is_on()) {
        start_open(site, begin);
        continue;
      }
      on_loop([&] {
        sim::Random begins = beginnings_of(site, group_.options);
        for (std::size_t client = 0; client < count; ++client) {
          send_next(site, begin + begins.below(span));
        }
      });
    }
  }

  /// A client whose turn it is asks another replica now.
  void leave(std::size_t site) {
    --shared_.clients[site];
    ++group_.shared.waiting_clients[site];
  }

  /// The open loop of a site goes on where another replica left it, or begins.
  void start_open(std::size_t site, Tick begin) {
    sites_[site].from_us = begin;
    Arrivals& arrivals =
        sites_[site].arrivals.emplace(arrivals_of(site, group_.options, group_.shared.begin_us));
    for (std::uint64_t i = group_.shared.arrived[site]; i > 0; --i) arrivals.next();
    schedule(site);
  }

  void schedule(std::size_t site) {
    const Tick due = sites_[site].arrivals->next();
    group_.shared.next_due[site] = due;
    timer_.at(due, [this, site, due] { send_open(site, due); });
  }

  /// The command of the open loop that is due then is sent, if it may be. On the timer's thread.
  void send_open(std::size_t site, Tick due) {
    if (stopping_) return;
    if (!is_asked_by(site)) return leave(site);
    ++group_.shared.arrived[site];
    if (sites_[site].in_flight < group_.options.open.in_flight_max) {
      send_next(site, due);
    } else if (is_measured(due)) {
      ++shared_.unsent[site];
    }
    schedule(site);
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

  /// A client sends its next command then. On the node's thread; in an open loop on the timer's.
  void send_next(std::size_t site, Tick sent_at) {
    if (!stopping_) send({site, sent_at, 0, commands_.next(site)});
  }

  /// A client sends this command at its time. On any thread.
  void send(Asked asked) {
    if (stopping_) return;
    ++sites_[asked.site].in_flight;
    if (is_measured(asked.sent_at)) ++shared_.unfinished[asked.site];
    const Tick arrives = asked.sent_at + there_us(asked.site);
    if (arrives <= now_us()) return arrive(std::move(asked));
    timer_.at(arrives, [this, asked = std::move(asked)] { arrive(asked); });
  }

  /// Who takes a site over sends what came due before as soon as it can: that is not late.
  void arrive(Asked asked) {
    const Tick could_be_sent = std::max(asked.sent_at, sites_[asked.site].from_us.load());
    const Tick due = could_be_sent + there_us(asked.site);
    const Tick now = now_us();
    asked.late_us = now - std::min(now, due);
    propose(asked);
  }

  /// On any thread.
  void propose(const Asked& asked) {
    if (stopping_) return;
    const Result<void> proposed =
        node_->propose(asked.command.payload, kNever,
                       [this, asked](const Outcome& outcome) { ended(asked, outcome); });
    if (proposed || proposed.error().code == ErrorCode::kStopped) return;
    timer_.at(now_us() + kPauseUs, [this, asked] { propose(asked); });
  }

  void ended(const Asked& asked, const Outcome& outcome) {
    const Tick now = now_us();
    const std::size_t site = asked.site;
    const Tick back = back_us(site);
    const bool executed = outcome.kind == OutcomeKind::kExecuted;
    const Tick latency = now - asked.sent_at + back;
    shared_.samples.write({.sent_us = asked.sent_at,
                           .execution_us = latency,
                           .commit_us = latency - std::min(latency, outcome.execution_wait_us),
                           .late_us = asked.late_us,
                           .site = static_cast<std::uint32_t>(site),
                           .executed = executed,
                           .reads = asked.command.reads});
    --sites_[site].in_flight;
    if (is_measured(asked.sent_at)) --shared_.unfinished[site];
    if (executed) commands_.executed(asked.command);
    if (executed && !asked.command.then.empty()) {
      return send({site, now + back, 0, {.payload = asked.command.then}});
    }
    if (group_.options.open.is_on()) return;
    if (!is_asked_by(site)) return leave(site);
    send_next(site, now + back + group_.options.think_us + (executed ? 0 : kPauseUs));
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
  SiteCommands commands_;  // Of the node's thread; in an open loop of the timer's.
  std::vector<Site> sites_;
  TimerThread timer_;  // The last: it ends before what it uses.
};

}  // namespace

MakeSubject emulated_clients(const EmulatedGroup& group) {
  return [&group](const GroupOptions&, const Place& place) {
    return EmulatedClients::open(group, place);
  };
}

}  // namespace epaxos::bench
