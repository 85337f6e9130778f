#pragma once

// One replica among peers that say anything, over a disk that lags and a power that fails, and what
// must hold of it whatever they say. It may start on a disk of any content; what it makes of one is
// compared with a reading of its own.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/protocol/core.h"
#include "tests/fuzz/disk_facts.h"
#include "tests/fuzz/message_source.h"

namespace epaxos::protocol {

using fuzz::Input;
using fuzz::MessageSource;

inline constexpr std::size_t kHeldUndecidedMax = 256;  // A row.

/// What a replica of these tests keeps in memory; small, so that limits are met.
inline CoreConfig watched_config(int n) {
  CoreConfig config;
  config.self = ReplicaId(0);
  config.replica_count = n;
  config.batch_commands_max = 2;
  config.held_undecided_max = kHeldUndecidedMax;
  config.recoveries_max = 16;
  return config;
}

class Replica {
 public:
  explicit Replica(int n, Disk disk = {}) : n_(n), disk_(std::move(disk)) {}

  /// A life on what the disk holds; before anything else.
  /// Errors: what the core found wrong with it.
  Result<void> boot() {
    pending_.clear();
    held_.clear();
    executed_.clear();
    position_ = batches_ = durable_ = 0;
    full_ = false;
    core_ = std::make_unique<EpaxosCore>(watched_config(n_));
    for (const auto& [key, value] : disk_) {
      if (Result<void> restored = core_->restore(key, value); !restored) return restored;
    }
    compare_with_disk();
    turn(0, [this](Core& core, Effects& out) { core.start(now_, out); });
    return {};
  }
  [[nodiscard]] const Disk& disk() const { return disk_; }

  template <class Step>
  void turn(Tick pause, Step step) {
    now_ += pause;
    Effects out;
    out.batch = batches_ + 1;
    out.now = now_;
    core_->tick(now_, out);
    step(*core_, out);
    core_->end_of_turn(out);
    check(out.bytes() <= 4 * 1024 * 1024, "one message made a replica say more than 4 MiB");
    take(out);
    check_memory();
  }

  /// Up to `count` more batches reach the disk.
  void sync(unsigned count) {
    for (; count > 0 && !pending_.empty(); --count) write_first();
    turn(0, [this](Core& core, Effects& out) { core.durable(durable_, out); });
  }

  /// The power fails after some of the batches that were on their way.
  void crash(unsigned kept) {
    for (; kept > 0 && !pending_.empty(); --kept) write_first();
    const Result<void> started = boot();
    check(started.has_value(), started ? "" : started.error().message.c_str());
  }

  void set_full(bool full) {
    full_ = full;
    core_->storage_full(full);
  }
  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] Tick deadline() const { return core_->next_deadline(); }
  [[nodiscard]] Tick now() const { return now_; }
  /// The ballots at which it last asked for something.
  [[nodiscard]] const std::map<InstanceId, Ballot>& asked() const { return asked_; }
  [[nodiscard]] const InstanceId& asked_last() const { return latest_; }
  [[nodiscard]] Slot proposed_up_to() const {
    return core_->instances().row(ReplicaId(0)).highest_recorded;
  }

 private:
  struct Batch {
    std::vector<std::pair<RecordKey, std::vector<std::byte>>> records;
    std::map<InstanceId, Facts> facts;
  };
  struct Said {
    BatchNumber after = 0;
    MessageType type = MessageType::kStatus;
    std::vector<std::byte> body;
  };

  /// Neither less nor more came back than the records say.
  void compare_with_disk() {
    DiskReader& reader = at_start_.emplace(n_);
    check(reader.read(disk_), "records were accepted that contradict each other");
    for (const auto& [id, facts] : on_disk_) {
      check(reader.facts().contains(id), "the disk forgot an instance");
      check_only_grew(facts, reader.facts().at(id));
    }
    on_disk_ = live_ = reader.facts();
    for (const auto& [id, facts] : on_disk_) {
      const Instance* const instance = core_->instances().find(id);
      check(instance != nullptr, "a record was forgotten");
      check_only_grew(facts, facts_of(*instance));
      check_only_grew(facts_of(*instance), facts);
    }
  }

  void write_first() {
    for (auto& [key, value] : pending_.front().records) disk_[key] = std::move(value);
    for (auto& [id, facts] : pending_.front().facts) on_disk_[id] = std::move(facts);
    pending_.pop_front();
    ++durable_;
    release();
  }

  void take(const Effects& out) {
    check_instances();
    check(!at_start_->memory_lost() || !core_->voting(),
          "a replica votes that has forgotten its votes");
    if (!out.records.empty()) {
      ++batches_;
      Batch& batch = pending_.emplace_back();
      for (const RecordEffect& record : out.records) {
        check(!record.erase, "a record was erased");
        const Bytes value = out.view(record.value);
        const InstanceId id{record.key.row, record.key.slot};
        batch.records.emplace_back(record.key, std::vector(value.begin(), value.end()));
        if (static_cast<RecordKind>(record.key.kind) == RecordKind::kMemoryLost) continue;
        batch.facts[id] = live_[id] = facts_of(*core_->instances().find(id));
      }
    }
    for (const SendEffect& send : out.sends) {
      check((send.to & 1) == 0 && send.to < 1u << n_ && send.to != 0, "a send to nobody");
      const Exact body(out.view(send.body));
      check(decodes(static_cast<MessageType>(send.type), body.bytes()),
            "a message left that does not decode");
      check_said(static_cast<MessageType>(send.type), body.bytes());
      if (send.release == Release::kNow) continue;
      held_.push_back({batches_, static_cast<MessageType>(send.type),
                       std::vector(body.bytes().begin(), body.bytes().end())});
    }
    for (const ExecutionEffect& execution : out.executions) {
      check(execution.position == ++position_, "executions are not numbered one by one");
      check(executed_.insert(execution.instance).second, "an instance was executed twice");
      check(decode_block_footprint(execution.block).has_value(), "no block was executed");
    }
    release();
  }

  /// What leaves once everything it rests on is durable.
  void release() {
    for (; !held_.empty() && held_.front().after <= durable_; held_.pop_front()) {
      const Said& said = held_.front();
      as<PreAcceptOk>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
      as<AcceptOk>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
      as<Recover>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
      as<RecoverOk>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
      as<Validate>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
      as<ValidateOk>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
      as<Accept>(said.type, said.body, [&](const auto& m) { check_leaves(m); });
    }
  }

  template <class Message, class Then>
  void as(MessageType type, Bytes body, Then then) const {
    if (type != Message::kType) return;
    Message message;
    check(decode(body, n_, message), "a message does not decode");
    then(message);
  }

  void check_leaves(const PreAcceptOk& message) {
    const Facts& facts = on_disk_[message.instance];
    check(facts.pre_accepted, "an answer left before its vote was durable");
    const Dependencies& vote = message.initial ? facts.initial : message.dependencies;
    check(facts.pre_accept == vote, "an answer tells another vote than the durable one");
  }
  void check_leaves(const AcceptOk& message) {
    const Facts& facts = on_disk_[message.instance];
    check(facts.vote && facts.vote->accepted_ballot >= message.ballot,
          "a vote was told before it was durable");
  }
  void check_leaves(const Recover& message) {
    check(on_disk_[message.instance].ballot >= message.ballot,
          "a ballot was used before it was durable");
  }
  void check_leaves(const RecoverOk& message) {
    const Facts& facts = on_disk_[message.instance];
    check(facts.ballot >= message.ballot, "a promise was told before it was durable");
    if (message.recorded) check(facts.recorded && facts.initial == message.initial, "forgot it");
    if (message.pre_accepted) {
      check(facts.pre_accepted && facts.pre_accept == message.pre_accept_dependencies,
            "a promise tells another first vote than the durable one");
    }
    if (!message.voted) return;
    check(facts.vote && facts.vote->accepted_ballot >= message.accepted_ballot,
          "a promise tells a vote that is not durable");
  }
  void check_leaves(const Validate& message) {
    check(on_disk_[message.instance].recorded, "a proposal is validated that is not durable");
  }
  void check_leaves(const ValidateOk& message) {
    const Facts& facts = on_disk_[message.instance];
    check(facts.recorded, "a validation left before the proposal was durable");
    check(facts.ballot >= message.ballot, "a validation left before its promise was durable");
  }
  void check_leaves(const Accept& message) {
    const Facts& facts = on_disk_[message.instance];
    check(facts.vote && facts.vote->accepted_ballot >= message.ballot,
          "others are asked for a vote that is not durable here");
    const Vote value{message.ballot, message.nop, message.dependencies};
    const auto [first, is_new] = proposed_.try_emplace({message.instance, message.ballot}, value);
    check(is_new || same(first->second, value), "two values were proposed at one ballot");
  }

  /// What must hold at once, durable or not.
  void check_said(MessageType type, Bytes body) {
    as<PreAccept>(type, body, [&](const PreAccept& message) {
      check(at_start_->facts().contains(message.instance) ||
                message.instance.slot > at_start_->highest(message.instance.row),
            "a slot is used again");
    });
    as<RecoverOk>(type, body, [&](const RecoverOk& message) {
      const Facts now = facts_of(*core_->instances().find(message.instance));
      check(!now.decided, "a promise was made for a decided instance");
      check(now.ballot == message.ballot, "a promise is told that is not the last one");
      check(!now.vote || now.vote->accepted_ballot < message.ballot,
            "a promise is told after a vote at its ballot");
    });
    as<ValidateOk>(type, body, [&](const ValidateOk& message) {
      const Facts now = facts_of(*core_->instances().find(message.instance));
      check(now.ballot == message.ballot, "a validation at another ballot than the promised one");
      for (const ValidationBlocker& blocker : message.blockers) {
        check(blocker.instance != message.instance, "an instance blocks itself");
        check(!blocker.committed || !blocker.matched, "a blocker is both open and decided");
      }
    });
    const auto asks = [&](const auto& message) {
      asked_[message.instance] = message.ballot;
      latest_ = message.instance;
      if (message.ballot != kInitialBallot) {
        check(message.ballot.replica == ReplicaId(0), "the ballot of somebody else is used");
      }
    };
    as<Recover>(type, body, asks);
    as<Validate>(type, body, asks);
    as<Accept>(type, body, asks);
  }

  [[nodiscard]] bool decodes(MessageType type, Bytes body) const {
    bool good = false;
    const auto with = [&]<class Message>(Message message) {
      if (Message::kType == type) good = decode(body, n_, message);
    };
    const auto each = [&](auto... messages) { (with(messages), ...); };
    each(PreAccept(), PreAcceptOk(), Accept(), AcceptOk(), Commit(), Nack(), Recover(), RecoverOk(),
         Validate(), ValidateOk(), Waiting(), Status(), FetchRange(), RangeEnd(), Learn(),
         Frontier(), Truncated(), Fence(), Unfence());
    return good;
  }

  /// Nothing that a record ever told has changed.
  void check_instances() {
    for (const auto& [id, before] : live_) {
      const Instance* const instance = core_->instances().find(id);
      check(instance != nullptr, "an instance was forgotten");
      check_only_grew(before, facts_of(*instance));
    }
  }

  void check_memory() const {
    // A chunk and its pages for each undecided slot that may be held, and for each that is known.
    const std::size_t rows = static_cast<std::size_t>(n_);
    const std::size_t chunks = rows * (kHeldUndecidedMax / 64 + 1) + disk_.size() + live_.size();
    check(core_->instances().memory_bytes() <= chunks * 64 * 1024,
          "the memory of a replica grows without bounds");
  }

  const int n_;
  std::unique_ptr<EpaxosCore> core_;
  Tick now_ = 0;
  bool full_ = false;
  Disk disk_;
  std::optional<DiskReader> at_start_;  ///< What the disk said at the last one.
  std::map<InstanceId, Facts> on_disk_;
  std::map<InstanceId, Facts> live_;
  std::deque<Batch> pending_;
  std::deque<Said> held_;
  std::set<InstanceId> executed_;
  std::map<InstanceId, Ballot> asked_;
  InstanceId latest_;
  std::map<std::pair<InstanceId, Ballot>, Vote> proposed_;  ///< Over all lives.
  std::uint64_t position_ = 0;
  BatchNumber batches_ = 0;
  BatchNumber durable_ = 0;
};

struct Delivered {
  ReplicaId from;
  net::FrameType type = 0;
  std::vector<std::byte> body;
};

/// Peers, clients, the clock and the power do to a replica that has started what the input says.
class Run {
 public:
  Run(Input& input, int n, Replica& replica)
      : input_(input), n_(n), source_(input, n), replica_(replica) {}

  void run(unsigned steps) {
    for (; steps > 0 && !input_.at_end(); --steps) step();
    replica_.sync(~0u);
  }

 private:
  void step() {
    switch (input_.below(32)) {
      case 0:
      case 1:
        return propose();
      case 2:
        return replica_.sync(1);
      case 3:
      case 4:
        return replica_.sync(~0u);
      case 5:
        return replica_.crash(input_.below(4));
      case 6:
        return replica_.set_full(!replica_.full() && input_.below(4) == 0);
      case 7:
      case 8:
      case 9:
      case 10:
        return pass_time();
      case 11:
      case 12:
        return again();
      case 13:
        return deliver(peer(), input_.byte(), input_.bytes(input_.byte() / 8 * 8u));
      default:
        return message();
    }
  }

  ReplicaId peer() {
    return ReplicaId(static_cast<std::uint16_t>(1 + input_.below(static_cast<unsigned>(n_ - 1))));
  }

  void propose() {
    if (replica_.full()) return;  // The host does not.
    std::vector<Proposal> proposals;
    for (unsigned left = 1 + input_.below(3); left > 0; --left) {
      const Footprint footprint = source_.footprint();
      proposals.push_back({{{1, ++commands_}, 0, !footprint.writes(), {}}, footprint});
    }
    replica_.turn(1, [&](Core& core, Effects& out) { core.propose(proposals, out); });
  }

  /// In steps, so that peers can stay silent after a question.
  void pass_time() {
    constexpr std::array<Tick, 4> kPauses{1'000, 50'000, 400'000, 5'000'000};
    const unsigned choice = input_.below(5);
    for (unsigned left = 1 + input_.below(4); left > 0; --left) {
      const Tick due = replica_.deadline();
      Tick pause = choice < 4 ? kPauses[choice] : 0;
      if (choice == 4 && due != kNever && due > replica_.now()) pause = due - replica_.now();
      replica_.turn(pause, [](Core&, Effects&) {});
    }
  }

  void message() {
    constexpr std::array<MessageType, 4> kAnswers{MessageType::kRecoverOk, MessageType::kRecoverOk,
                                                  MessageType::kValidateOk, MessageType::kAcceptOk};
    unsigned type = 1 + input_.below(kMessageTypes - 1);
    if (input_.flag()) type = static_cast<unsigned>(kAnswers[input_.below(4)]);
    const ReplicaId from = peer();
    Effects encoded;
    source_.follow(replica_.asked(), replica_.asked_last());
    source_.limit_first_row(replica_.proposed_up_to().value());
    const Slice body = source_.body(static_cast<MessageType>(type), encoded, from);
    deliver(from, type, encoded.view(body));
  }

  /// Something old arrives a second time, perhaps changed a little.
  void again() {
    if (delivered_.empty()) return;
    Delivered old = delivered_[input_.byte() % delivered_.size()];
    const std::uint16_t at = input_.number<std::uint16_t>();
    if (input_.flag() && !old.body.empty())
      old.body[at % old.body.size()] ^= std::byte{input_.byte()};
    deliver(old.from, old.type, old.body);
  }

  void deliver(ReplicaId from, unsigned type, Bytes body) {
    const Exact exact(body);
    const net::Frame frame{GroupId(), Epoch(), static_cast<net::FrameType>(type), exact.bytes()};
    replica_.turn(1, [&](Core& core, Effects& out) { core.receive(from, frame, out); });
    if (delivered_.size() == 16) delivered_.pop_front();
    delivered_.push_back({from, frame.type, {body.begin(), body.end()}});
  }

  Input& input_;
  const int n_;
  MessageSource source_;
  Replica& replica_;
  std::deque<Delivered> delivered_;
  std::uint64_t commands_ = 0;
};

}  // namespace epaxos::protocol
