// Several real cores under a network that loses, duplicates and reorders, with disks that lag
// behind: what they decide and the order in which they execute must agree, and every hole must
// close.

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

struct Conditions {
  int n = 3;
  std::uint64_t seed = 1;
  unsigned loss_percent = 0;
  unsigned duplicate_percent = 0;
  bool reorder = false;
  unsigned hot_percent = 0;  ///< Commands on one key.
  unsigned read_percent = 20;
  unsigned barrier_percent = 0;
  unsigned crash_percent = 0;  ///< Per step, of some replica; it comes back with what was durable.
  int commands = 60;
  Tick fast_wait_us = CoreConfig{}.fast_wait_us;
};

/// A replica's host in miniature: numbered batches, the prefix gate, a disk that may lag.
class Member {
 public:
  Member(ReplicaId self, const Conditions& conditions) : config_(config(self, conditions.n)) {
    config_.fast_wait_us = conditions.fast_wait_us;
    boot(0);
  }

  void boot(Tick now) {
    core = std::make_unique<EpaxosCore>(config_);
    for (const auto& [key, value] : disk_) EXPECT_TRUE(core->restore(key, value));
    pending_.clear();
    held_.clear();
    executed.clear();
    batch_ = durable_ = 0;
    turn(now, [&](Effects& out) { core->start(now, out); });
  }

  template <class Input>
  void turn(Tick now, Input input) {
    Effects out;
    out.batch = batch_ + 1;
    out.now = now;
    core->tick(now, out);
    input(out);
    core->end_of_turn(out);
    if (!out.records.empty()) {
      ++batch_;
      auto& batch = pending_.emplace_back();
      for (const RecordEffect& record : out.records) {
        const Bytes value = out.view(record.value);
        batch.emplace_back(record.key, std::vector<std::byte>(value.begin(), value.end()));
      }
    }
    held_.emplace_back(batch_, std::move(out));
  }

  /// One more batch reaches the disk.
  void sync(Tick now) {
    if (pending_.empty()) return;
    for (const auto& [key, value] : pending_.front()) disk_[key] = value;
    pending_.pop_front();
    ++durable_;
    turn(now, [&](Effects& out) { core->durable(durable_, out); });
  }

  template <class Deliver>
  void release(Deliver deliver) {
    while (!held_.empty() && held_.front().first <= durable_) {
      Effects& out = held_.front().second;
      for (const SendEffect& send : out.sends) deliver(send, out.view(send.body));
      for (const ExecutionEffect& e : out.executions) {
        executed.emplace_back(e.instance, decode_block_footprint(e.block).value());
        std::vector<Command> commands;
        decode_block_commands(e.block, commands);
        for (const Command& command : commands) numbers.insert(command.id.number);
      }
      held_.pop_front();
    }
  }

  [[nodiscard]] bool delays_proposals() const {
    CoreStatus status;
    core->status(status);
    return std::ranges::any_of(status.counters, [](const Counter& counter) {
      return counter.name == "delayed_proposals" && counter.value > 0;
    });
  }
  [[nodiscard]] bool quiet() const { return pending_.empty() && held_.empty(); }

  std::unique_ptr<EpaxosCore> core;
  std::vector<std::pair<InstanceId, Footprint>> executed;
  std::set<std::uint64_t> numbers;  ///< Every command that was ever executed here.

 private:
  CoreConfig config_;
  std::map<RecordKey, std::vector<std::byte>> disk_;
  std::deque<std::vector<std::pair<RecordKey, std::vector<std::byte>>>> pending_;
  std::deque<std::pair<BatchNumber, Effects>> held_;
  BatchNumber batch_ = 0;
  BatchNumber durable_ = 0;
};

class Group {
 public:
  explicit Group(const Conditions& conditions) : conditions_(conditions), random_(conditions.seed) {
    for (int r = 0; r < conditions.n; ++r) {
      const ReplicaId self(static_cast<std::uint16_t>(r));
      members_.push_back(std::make_unique<Member>(self, conditions));
    }
  }

  void run() {
    int proposed = 0;
    for (int step = 0; proposed < conditions_.commands; ++step) {
      now_ += random_() % 20'000;
      if (chance(30)) propose(static_cast<std::uint64_t>(++proposed));
      if (chance(conditions_.crash_percent)) any_member().boot(now_);
      move();
    }
    // Healing: nothing is lost any more, and everybody is asked until nobody learns anything new.
    conditions_.loss_percent = conditions_.duplicate_percent = conditions_.crash_percent = 0;
    for (int round = 0; round < 20'000 && !converged(); ++round) {
      now_ += 10'000;
      move();
    }
  }

  [[nodiscard]] bool converged() const {
    if (!network_.empty()) return false;
    for (const auto& member : members_) {
      if (!member->quiet() || member->delays_proposals()) return false;
      for (std::uint16_t row = 0; row < conditions_.n; ++row) {
        const RowState& state = member->core->instances().row(ReplicaId(row));
        const RowState& first = members_[0]->core->instances().row(ReplicaId(row));
        if (state.committed_up_to != first.committed_up_to) return false;
        if (state.committed_up_to != state.highest_known) return false;
      }
      if (member->executed.size() != members_[0]->executed.size()) return false;
    }
    return true;
  }

  [[nodiscard]] const std::vector<std::unique_ptr<Member>>& members() const { return members_; }
  [[nodiscard]] std::uint64_t total(Count what) const {
    std::uint64_t sum = 0;
    for (const auto& member : members_) sum += member->core->counters()[what];
    return sum;
  }

 private:
  struct Flight {
    ReplicaId from;
    ReplicaId to;
    net::FrameType type;
    std::vector<std::uint64_t> body;
    std::size_t bytes;
  };

  bool chance(unsigned percent) { return random_() % 100 < percent; }
  Member& any_member() { return *members_[random_() % members_.size()]; }

  void propose(std::uint64_t number) {
    const std::string key =
        chance(conditions_.hot_percent) ? "hot" : "k" + std::to_string(random_() % 1000);
    Footprint footprint =
        chance(conditions_.read_percent) ? Footprint::read(key) : Footprint::write(key);
    if (chance(conditions_.barrier_percent)) footprint = Footprint::everything();
    const std::vector<Proposal> proposals{command(footprint, number)};
    Member& member = any_member();
    member.turn(now_, [&](Effects& out) { member.core->propose(proposals, out); });
  }

  void move() {
    for (std::uint16_t r = 0; r < conditions_.n; ++r) {
      Member& member = *members_[r];
      if (chance(60)) member.sync(now_);
      member.turn(now_, [](Effects&) {});
      member.release([&](const SendEffect& send, Bytes body) { post(ReplicaId(r), send, body); });
    }
    for (std::size_t i = 0; i < 12 && !network_.empty(); ++i) deliver_one();
  }

  void post(ReplicaId from, const SendEffect& send, Bytes body) {
    for (std::uint16_t to = 0; to < conditions_.n; ++to) {
      if ((send.to >> to & 1) == 0 || chance(conditions_.loss_percent)) continue;
      Flight flight{from, ReplicaId(to), send.type, {}, body.size()};
      flight.body.resize(body.size() / 8);
      std::memcpy(flight.body.data(), body.data(), body.size());
      if (chance(conditions_.duplicate_percent)) network_.push_back(flight);
      network_.push_back(std::move(flight));
    }
  }

  void deliver_one() {
    const std::size_t which = conditions_.reorder ? random_() % network_.size() : 0;
    const Flight flight = network_[which];
    network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(which));
    Member& member = *members_[flight.to.value()];
    member.turn(now_, [&](Effects& out) {
      const net::Frame frame{
          GroupId(),
          Epoch(),
          flight.type,
          {reinterpret_cast<const std::byte*>(flight.body.data()), flight.bytes}};
      member.core->receive(flight.from, frame, out);
    });
  }

  Conditions conditions_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Member>> members_;
  std::deque<Flight> network_;
  Tick now_ = 1;
};

/// For each conflicting pair the same order everywhere, nothing twice, the same set everywhere.
void expect_agreement(const Group& group) {
  std::map<InstanceId, std::size_t> first;
  const auto& reference = group.members()[0]->executed;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    EXPECT_TRUE(first.emplace(reference[i].first, i).second) << "executed twice";
  }
  for (const auto& member : group.members()) {
    ASSERT_EQ(member->executed.size(), reference.size());
    for (std::size_t i = 0; i < member->executed.size(); ++i) {
      const auto& [id_i, footprint_i] = member->executed[i];
      ASSERT_TRUE(first.contains(id_i));
      for (std::size_t j = i + 1; j < member->executed.size(); ++j) {
        const auto& [id_j, footprint_j] = member->executed[j];
        if (!conflicts(footprint_i, footprint_j)) continue;
        ASSERT_LT(first.at(id_i), first.at(id_j))
            << to_string(id_i) << " and " << to_string(id_j) << " ran in another order elsewhere";
      }
    }
  }
  EXPECT_EQ(group.total(Count::kContradictsDecision), 0u);
  EXPECT_EQ(group.total(Count::kContradictsRecord), 0u);
  EXPECT_EQ(group.total(Count::kContradictsVote), 0u);
}

void expect_all_run(const Conditions& conditions) {
  Group group(conditions);
  group.run();
  SCOPED_TRACE("n " + std::to_string(conditions.n) + ", seed " + std::to_string(conditions.seed));
  ASSERT_TRUE(group.converged()) << "a hole stayed open";
  expect_agreement(group);
  for (const auto& member : group.members()) {
    EXPECT_EQ(member->numbers.size(), static_cast<std::size_t>(conditions.commands))
        << "a command of a live owner was lost";
  }
}

TEST(Group, CommandsWithoutConflictsAllTakeTheFastPath) {
  for (const int n : {1, 2, 3, 4, 5, 7, 9}) {
    Conditions conditions;
    conditions.n = n;
    conditions.read_percent = 100;
    conditions.fast_wait_us = 10'000'000;  // Longer than any message takes here.
    Group group(conditions);
    group.run();

    ASSERT_TRUE(group.converged());
    expect_agreement(group);
    EXPECT_EQ(group.total(Count::kFastPath), 60u) << n;
    EXPECT_EQ(group.total(Count::kSlowPathMismatch) + group.total(Count::kSlowPathTimer), 0u);
  }
}

TEST(Group, ConflictingCommandsExecuteInOneOrderEverywhere) {
  for (const int n : {1, 2, 3, 5, 7}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      Conditions conditions;
      conditions.n = n;
      conditions.seed = seed;
      conditions.hot_percent = seed % 2 == 0 ? 100 : 50;
      conditions.reorder = true;
      expect_all_run(conditions);
    }
  }
}

TEST(Group, HolesCloseUnderLossDuplicationAndReordering) {
  for (const int n : {2, 3, 5}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Conditions conditions;
      conditions.n = n;
      conditions.seed = seed;
      conditions.loss_percent = 30;
      conditions.duplicate_percent = 30;
      conditions.reorder = true;
      conditions.hot_percent = 50;
      conditions.barrier_percent = seed % 4 == 0 ? 5 : 0;
      expect_all_run(conditions);
    }
  }
}

// A replica loses whatever its disk had not got; nothing that it told anybody may be contradicted.
// Commands whose record was lost with it are gone, and were acknowledged to nobody.
TEST(Group, ReplicasMayStopAndComeBackAtAnyMoment) {
  for (const int n : {3, 5}) {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
      Conditions conditions;
      conditions.n = n;
      conditions.seed = seed;
      conditions.loss_percent = 10;
      conditions.duplicate_percent = 10;
      conditions.reorder = true;
      conditions.hot_percent = 60;
      conditions.crash_percent = 3;
      Group group(conditions);
      group.run();
      SCOPED_TRACE("n " + std::to_string(n) + ", seed " + std::to_string(seed));
      ASSERT_TRUE(group.converged()) << "a hole stayed open";
      expect_agreement(group);
      for (const auto& member : group.members()) EXPECT_TRUE(member->core->voting());
    }
  }
}

}  // namespace
}  // namespace epaxos::protocol
