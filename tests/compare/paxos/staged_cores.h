#pragma once

// A few cores of any protocol whose network, disks and clocks stand still until a test moves them:
// letters are delivered, lost or repeated, a disk lags, a replica loses its power and comes back
// with what was durable. Each has a host in miniature: numbered batches and the prefix gate.

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/contract/core.h"

namespace epaxos::compare {

inline constexpr ReplicaId kA{0};
inline constexpr ReplicaId kB{1};
inline constexpr ReplicaId kC{2};

/// A message on its way.
struct Letter {
  ReplicaId from;
  ReplicaId to;
  net::FrameType type = 0;
  std::vector<std::uint64_t> words;  ///< Keeps the body aligned.
  std::size_t bytes = 0;

  [[nodiscard]] Bytes body() const {
    return {reinterpret_cast<const std::byte*>(words.data()), bytes};
  }
};

class StagedCore {
 public:
  StagedCore(Protocol protocol, const CoreConfig& config)
      : protocol_(std::move(protocol)), config_(config) {
    boot();
  }

  /// With what is on the disk.
  void boot() {
    ++config_.life;
    core = protocol_.make_core(config_);
    core->read_from({[this](const RecordKey& key, std::vector<std::byte>& value) {
                       const auto found = disk.find(key);
                       if (found == disk.end()) return false;
                       value = found->second;
                       return true;
                     },
                     [this] { return durable_; }});
    if (!image_.empty()) {
      EXPECT_TRUE(core->restore_coverage(image_));
      executed = image_executed_;
    } else {
      executed.clear();
    }
    for (const auto& [key, value] : disk) EXPECT_TRUE(core->restore(key, value));
    turn([this](Effects& out) { core->start(now, out); });
  }
  /// What was not durable is gone, and what waited for it was never said.
  void lose_power() {
    pending_.clear();
    held_.clear();
    batch_ = durable_ = applied_ = 0;
    core.reset();
  }
  [[nodiscard]] bool is_up() const { return core != nullptr; }

  void turn(const std::function<void(Effects&)>& input) {
    run(input);
    while (!lags && !pending_.empty()) catch_up();
    release();
  }
  /// All that waits for the disk reaches it.
  void catch_up() {
    for (; !pending_.empty(); pending_.pop_front()) {
      for (const Change& each : pending_.front()) change_disk(each);
      ++durable_;
    }
    run([this](Effects& out) { core->durable(durable_, out); });
    release();
  }

  /// The next start begins with an image of this moment.
  void make_image() {
    image_.clear();
    core->coverage(image_);
    image_executed_ = executed;
    turn([this](Effects& out) { core->image_durable(image_, out); });
  }
  [[nodiscard]] const std::vector<std::byte>& image() const { return image_; }
  /// The image of a peer takes the place of the state.
  void install(const StagedCore& peer, Bytes coverage) {
    ASSERT_TRUE(core->may_install(coverage));
    image_.assign(coverage.begin(), coverage.end());
    executed = image_executed_ = peer.image_executed_;
    turn([this](Effects& out) { core->install(image_, out); });
  }

  [[nodiscard]] std::uint64_t count(std::string_view counter) const {
    CoreStatus status;
    core->status(status);
    const auto found = std::ranges::find(status.counters, counter, &Counter::name);
    EXPECT_NE(found, status.counters.end()) << counter;
    return found == status.counters.end() ? 0 : found->value;
  }
  [[nodiscard]] CoreStatus status() const {
    CoreStatus status;
    core->status(status);
    return status;
  }

  std::unique_ptr<Core> core;
  std::map<RecordKey, std::vector<std::byte>> disk;
  std::vector<CommandId> executed;  ///< What its state machine holds.
  std::vector<CommandId> read;      ///< Answered, and in no log.
  std::vector<CommandId> rejected;
  std::vector<CommandId> superseded;
  std::optional<ImageWish> wish;  ///< The last one.
  std::deque<Letter> sent;
  Tick now = 0;
  bool lags = false;  ///< The disk, until catch_up().

 private:
  struct Change {
    RecordKey key;
    RecordChange change = RecordChange::kPut;
    std::vector<std::byte> value;
  };
  struct Execution {
    std::uint64_t position = 0;
    std::vector<CommandId> commands;
  };
  struct Held {
    BatchNumber batch = 0;
    std::vector<Letter> letters;
    std::vector<Execution> executions;
  };

  void run(const std::function<void(Effects&)>& input) {
    Effects out;
    out.batch = batch_ + 1;
    out.now = now;
    input(out);
    core->end_of_turn(out);
    std::vector<Change> changes;
    for (const RecordEffect& record : out.records) {
      const Bytes value = out.view(record.value);
      changes.push_back({record.key, record.change, {value.begin(), value.end()}});
    }
    if (!changes.empty()) {
      ++batch_;
      pending_.push_back(std::move(changes));
    }
    take_reads(out);
    for (const RejectionEffect& each : out.rejections) rejected.push_back(each.command);
    superseded.insert(superseded.end(), out.superseded.begin(), out.superseded.end());
    if (out.image_wish) wish = out.image_wish;
    Held held{batch_, {}, {}};
    for (const SendEffect& send : out.sends) {
      auto& letters = held.letters;
      const std::size_t first = letters.size();
      add_letters(send, out.view(send.body), letters);
      if (send.release == Release::kGated) continue;
      std::move(letters.begin() + static_cast<std::ptrdiff_t>(first), letters.end(),
                std::back_inserter(sent));
      letters.resize(first);
    }
    for (const ExecutionEffect& each : out.executions) {
      Execution execution{each.position, {}};
      std::vector<Command> commands;
      EXPECT_TRUE(decode_block_footprint(each.block));
      decode_block_commands(each.block, commands);
      for (const Command& command : commands) execution.commands.push_back(command.id);
      held.executions.push_back(std::move(execution));
    }
    held_.push_back(std::move(held));
  }

  void take_reads(const Effects& out) {
    for (const ReadEffect& each : out.reads) read.push_back(each.command);
  }

  void add_letters(const SendEffect& send, Bytes body, std::vector<Letter>& letters) const {
    for (std::uint16_t to = 0; to < kReplicasMax; ++to) {
      if ((send.to >> to & 1) == 0) continue;
      Letter letter{config_.self, ReplicaId(to), send.type, {}, body.size()};
      letter.words.resize((body.size() + 7) / 8);
      copy_bytes(body, letter.words.data());
      letters.push_back(std::move(letter));
    }
  }

  void release() {
    for (; !held_.empty() && held_.front().batch <= durable_; held_.pop_front()) {
      std::ranges::move(held_.front().letters, std::back_inserter(sent));
      for (const Execution& each : held_.front().executions) {
        EXPECT_EQ(each.position, applied_ + 1);
        applied_ = each.position;
        executed.insert(executed.end(), each.commands.begin(), each.commands.end());
      }
    }
    Effects out;
    core->applied(applied_, out);
    take_reads(out);
  }

  void change_disk(const Change& each) {
    if (each.change == RecordChange::kPut) {
      disk[each.key] = each.value;
    } else if (each.change == RecordChange::kErase) {
      disk.erase(each.key);
    } else {
      RecordKey first = each.key;
      first.slot = Slot();
      disk.erase(disk.lower_bound(first), disk.upper_bound(each.key));
    }
  }

  const Protocol protocol_;
  CoreConfig config_;
  std::deque<std::vector<Change>> pending_;  // Batches on their way to the disk.
  std::deque<Held> held_;
  BatchNumber batch_ = 0;
  BatchNumber durable_ = 0;
  std::uint64_t applied_ = 0;
  std::vector<std::byte> image_;
  std::vector<CommandId> image_executed_;
};

/// A group of them, and the letters between them.
class StagedCores {
 public:
  StagedCores(const Protocol& protocol, int n, CoreConfig config = {}) {
    for (int i = 0; i < n; ++i) {
      config.self = replica_at(i);
      config.replica_count = n;
      config.seed = static_cast<std::uint64_t>(i);
      replicas_.push_back(std::make_unique<StagedCore>(protocol, config));
    }
    collect();
  }

  StagedCore& operator[](int replica) { return *replicas_[static_cast<std::size_t>(replica)]; }
  [[nodiscard]] int size() const { return static_cast<int>(replicas_.size()); }

  /// A command that this number alone has, with a payload of at least eight bytes.
  void propose(int replica, std::uint64_t number, std::size_t bytes = 8) {
    const std::uint64_t session = 7;
    std::vector<std::byte> payload(std::max(bytes, sizeof number));
    copy_bytes(bytes_of(number), payload.data());
    std::vector<Proposal> proposals;
    proposals.push_back({{{session, number}, 0, false, payload}, Footprint::write("x")});
    (*this)[replica].turn([&](Effects& out) { (*this)[replica].core->propose(proposals, out); });
    collect();
  }

  /// The same with a command that only reads.
  void propose_read(int replica, std::uint64_t number) {
    const Proposal proposal{{{7, number}, 0, true, bytes_of(number)}, Footprint::read("x")};
    (*this)[replica].turn([&](Effects& out) {
      (*this)[replica].core->propose({&proposal, 1}, out);
    });
    collect();
  }

  /// Time passes for all that are up, in steps after which letters are collected.
  void pass(Tick us) {
    for (auto& replica : replicas_) {
      replica->now += us;
      if (!replica->is_up() || replica->core->next_deadline() > replica->now) continue;
      replica->turn([&](Effects& out) { replica->core->tick(replica->now, out); });
    }
    collect();
  }

  /// Delivers the letter at this place, and takes it out unless it is to come again.
  void deliver(std::size_t place, bool again = false) {
    const Letter letter = letters[place];
    if (!again) letters.erase(letters.begin() + static_cast<std::ptrdiff_t>(place));
    StagedCore& to = (*this)[letter.to.value()];
    if (!to.is_up()) return;
    to.turn([&](Effects& out) {
      to.core->receive(letter.from, {GroupId(), Epoch(), letter.type, letter.body()}, out);
    });
    collect();
  }
  /// Everything that is on its way, and what it leads to, in order.
  void deliver_all() {
    for (int i = 0; i < 100'000 && !letters.empty(); ++i) deliver(0);
    EXPECT_TRUE(letters.empty()) << "they never stop to talk";
  }
  /// Until nothing happens but what time brings, over and over again.
  void settle(Tick us) {
    for (Tick passed = 0; passed < us; passed += 50'000) {
      pass(50'000);
      deliver_all();
    }
  }
  void drop_if(const std::function<bool(const Letter&)>& is_lost) {
    std::erase_if(letters, is_lost);
  }
  /// Takes what replicas have said.
  void collect() {
    for (auto& replica : replicas_) {
      std::ranges::move(replica->sent, std::back_inserter(letters));
      replica->sent.clear();
    }
  }

  std::deque<Letter> letters;

 private:
  std::vector<std::unique_ptr<StagedCore>> replicas_;
};

}  // namespace epaxos::compare
