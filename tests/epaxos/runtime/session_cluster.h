#pragma once

// Three real hosts with real cores in one thread, whose network and disks do what a test says:
// links lose or hold what is sent, replicas lose their power and come back with their disks.

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/protocol/core.h"
#include "epaxos/runtime/host.h"
#include "epaxos/storage/record_map.h"
#include "executor/key_value_machine.h"

namespace epaxos::runtime::testing {

class SessionCluster {
 public:
  static constexpr int kReplicas = 3;
  enum class Link { kOpen, kHolds, kLoses };

  explicit SessionCluster(Tick session_ttl_us = 3'600'000'000) : ttl_(session_ttl_us) {
    for (std::uint16_t r = 0; r < kReplicas; ++r) boot(r);
  }

  // --- Faults.

  void boot(int replica) { lives_[at(replica)] = std::make_unique<Life>(*this, replica); }
  void crash(int replica) {
    lives_[at(replica)].reset();
    inbox_[at(replica)].clear();
  }
  [[nodiscard]] bool alive(int replica) const { return lives_[at(replica)] != nullptr; }
  void set(int from, int to, Link link) {
    links_[at(from)][at(to)] = link;
    if (link == Link::kOpen) deliver_held(from, to);
  }
  /// Nothing comes in or out; what is sent is held or lost.
  void cut_off(int replica, Link link) {
    for (int other = 0; other < kReplicas; ++other) {
      if (other == replica) continue;
      set(replica, other, link);
      set(other, replica, link);
    }
  }
  void heal() {
    for (int from = 0; from < kReplicas; ++from) {
      for (int to = 0; to < kReplicas; ++to) set(from, to, Link::kOpen);
    }
  }

  // --- Time.

  void run_for(Tick us) {
    const Tick until = now_ + us;
    while (now_ < until) {
      bool busy = false;
      for (int r = 0; r < kReplicas; ++r) busy |= turn(r);
      if (!busy) now_ = std::min(until, std::max(now_ + 1, next_deadline()));
    }
  }
  template <class Holds>
  [[nodiscard]] bool run_until(Holds holds) {
    for (int i = 0; i < 60'000 && !holds(); ++i) run_for(1'000);
    return holds();
  }

  // --- Clients.

  /// How a proposal ended, once it has.
  struct Answer {
    std::optional<OutcomeKind> kind;
    ErrorCode code{};
    std::string value;  ///< Of the key-value machine's reply.

    [[nodiscard]] bool executed() const { return kind == OutcomeKind::kExecuted; }
  };
  /// The answer appears when it is there; an answer lives as long as the cluster.
  const Answer& propose(int replica, const kv::Payload& payload,
                        const SessionRequest& request = {}) {
    Answer& answer = answers_.emplace_back();
    Host& to = host(replica);
    to.propose(payload, *machine(replica).admit(payload), kNever, teller(answer), request);
    return answer;
  }
  const Answer& control(int replica, SessionOperation operation, std::uint64_t session,
                        Tick deadline = kNever) {
    Answer& answer = answers_.emplace_back();
    host(replica).control_session(operation, session, deadline, teller(answer));
    return answer;
  }
  void open(std::uint64_t session) {
    const Answer& opened = control(0, SessionOperation::kOpen, session);
    EXPECT_TRUE(run_until([&] { return opened.executed() && everybody_is_even(); }));
  }

  Host& host(int replica) { return lives_[at(replica)]->host; }
  [[nodiscard]] const KeyValueMachine& machine(int replica) { return lives_[at(replica)]->machine; }
  [[nodiscard]] std::string value(int replica, std::string_view key) {
    return std::string(machine(replica).find(key).value_or("(none)"));
  }
  [[nodiscard]] std::uint64_t counter(int replica, std::string_view name) {
    HostStatus status;
    host(replica).status(status);
    for (const Counter& counter : status.core.counters) {
      if (counter.name == name) return counter.value;
    }
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }
  /// Everybody has executed what anybody knows of.
  [[nodiscard]] bool everybody_is_even() {
    std::map<int, Slot> highest;
    for (const bool look : {true, false}) {
      for (int r = 0; r < kReplicas; ++r) {
        HostStatus status;
        host(r).status(status);
        for (int row = 0; row < kReplicas; ++row) {
          const RowStatus& s = status.core.rows[at(row)];
          if (look) highest[row] = std::max(highest[row], s.highest_known);
          if (!look && s.executed_up_to != highest[row]) return false;
        }
      }
    }
    return true;
  }
  void expect_agreement() {
    EXPECT_TRUE(run_until([&] { return everybody_is_even(); }));
    for (int r = 1; r < kReplicas; ++r) {
      EXPECT_EQ(host(r).digest(), host(0).digest()) << "replica " << r;
      EXPECT_EQ(host(r).sessions().digest(), host(0).sessions().digest()) << "replica " << r;
    }
  }

 private:
  using Bundle = std::vector<std::byte>;

  /// What is submitted is durable with the next turn, and outlives its replica.
  class Disk final : public storage::Store {
   public:
    explicit Disk(std::map<RecordKey, Bundle>& records) : records_(records) {}
    Result<void> load(const RecordVisitor& visit) override {
      for (const auto& [key, value] : records_) {
        if (const auto seen = visit(key, value); !seen) return seen;
      }
      return {};
    }
    Result<bool> read(const RecordKey& key, Bundle& value) const override {
      return storage::read_record(records_, key, value);
    }
    void submit(const Effects& effects) override {
      for (const RecordEffect& record : effects.records) {
        const Bytes value = effects.view(record.value);
        storage::make_change(records_, record.key, record.change, {value.begin(), value.end()});
      }
      durable_ = effects.batch;
    }
    [[nodiscard]] BatchNumber durable() const override { return durable_; }
    [[nodiscard]] storage::StoreState state() const override { return storage::StoreState::kReady; }
    [[nodiscard]] std::string error() const override { return {}; }
    [[nodiscard]] std::uint64_t pending_bytes() const override { return 0; }

   private:
    std::map<RecordKey, Bundle>& records_;
    BatchNumber durable_ = 0;
  };

  class Wires final : public PeerSink {
   public:
    Wires(SessionCluster& cluster, int from) : cluster_(cluster), from_(from) {}
    bool send(ReplicaId to, Bytes bundle) override {
      cluster_.carry(from_, to.value(), {bundle.begin(), bundle.end()});
      return true;
    }

   private:
    SessionCluster& cluster_;
    int from_;
  };

  struct Life {
    Life(SessionCluster& cluster, int replica)
        : core(protocol::epaxos().make_core(core_config(replica))),
          disk(cluster.disks_[at(replica)]),
          wires(cluster, replica),
          host(host_config(cluster, replica), *core, disk, machine, wires) {
      EXPECT_TRUE(host.start(cluster.now_));
    }

    static CoreConfig core_config(int replica) {
      CoreConfig config;
      config.self = ReplicaId(static_cast<std::uint16_t>(replica));
      config.replica_count = kReplicas;
      config.seed = static_cast<std::uint64_t>(replica);
      return config;
    }
    static HostConfig host_config(SessionCluster& cluster, int replica) {
      HostConfig config;
      config.identity.cluster.fill(std::byte{7});
      config.identity.self = ReplicaId(static_cast<std::uint16_t>(replica));
      config.identity.incarnation = ++cluster.incarnations_;
      config.replica_count = kReplicas;
      config.session_ttl_us = cluster.ttl_;
      return config;
    }

    std::unique_ptr<Core> core;
    KeyValueMachine machine;
    Disk disk;
    Wires wires;
    Host host;
  };

  static std::size_t at(int replica) { return static_cast<std::size_t>(replica); }

  static Completion teller(Answer& answer) {
    return [&answer](const Outcome& outcome) {
      EXPECT_FALSE(answer.kind) << "two outcomes";
      answer.kind = outcome.kind;
      answer.code = outcome.code;
      if (outcome.kind != OutcomeKind::kExecuted || outcome.reply.empty()) return;
      const auto reply = kv::decode_reply(outcome.reply);
      answer.value = reply ? reply->value.value_or("") : "(malformed)";
    };
  }

  void carry(int from, int to, Bundle bundle) {
    const Link link = links_[at(from)][at(to)];
    if (link == Link::kOpen) inbox_[at(to)].push_back(std::move(bundle));
    if (link == Link::kHolds) held_[{from, to}].push_back(std::move(bundle));
  }
  void deliver_held(int from, int to) {
    for (Bundle& bundle : held_[{from, to}]) inbox_[at(to)].push_back(std::move(bundle));
    held_[{from, to}].clear();
  }

  bool turn(int replica) {
    if (!alive(replica)) {
      inbox_[at(replica)].clear();
      return false;
    }
    Host& its_host = host(replica);
    std::deque<Bundle> arrived = std::exchange(inbox_[at(replica)], {});
    if (arrived.empty() && its_host.next_deadline() > now_ && !its_host.held_turns()) return false;
    its_host.begin_turn(now_);
    for (const Bundle& bundle : arrived) its_host.receive_bundle(bundle);
    its_host.end_turn();
    ++now_;
    return true;
  }
  [[nodiscard]] Tick next_deadline() {
    Tick next = kNever;
    for (int r = 0; r < kReplicas; ++r) {
      if (alive(r)) next = std::min(next, host(r).next_deadline());
    }
    return next;
  }

  const Tick ttl_;
  Tick now_ = 1'000'000;
  std::uint64_t incarnations_ = 0;
  std::array<std::map<RecordKey, Bundle>, kReplicas> disks_;
  std::array<std::array<Link, kReplicas>, kReplicas> links_{};
  std::array<std::deque<Bundle>, kReplicas> inbox_;
  std::map<std::pair<int, int>, std::vector<Bundle>> held_;
  std::deque<Answer> answers_;
  std::array<std::unique_ptr<Life>, kReplicas> lives_;
};

}  // namespace epaxos::runtime::testing
