// How nodes end: every outcome is told exactly once, whatever is under way, whoever stops.

#include <latch>
#include <set>

#include "tests/epaxos/node/node_support.h"

namespace epaxos {
namespace {

using testing::eventually;
using testing::LocalCluster;
using testing::Tally;
using testing::value_of;

/// Threads that propose until the node refuses. Every proposal has a number, and how often it was
/// told an outcome is counted.
class Load {
 public:
  static constexpr std::size_t kMax = 200'000;
  static constexpr std::size_t kInFlight = 200;

  Load(Node& node, int threads) : node_(node) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Load() { join(); }

  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  /// Precondition of these: join().
  [[nodiscard]] std::size_t accepted() const { return accepted_; }
  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] std::set<ErrorCode> refusals() const { return refusals_; }
  [[nodiscard]] bool each_told_once() const {
    for (std::size_t i = 0; i < next_; ++i) {
      if (told_[i] != (refused_[i] ? 0 : 1)) return false;
    }
    return static_cast<std::size_t>(tally_.all()) == accepted_;
  }

 private:
  void run() {
    const kv::Payload one = kv::increment("sum", 1);
    while (true) {
      while (accepted_ >= told_in_all_ + kInFlight) std::this_thread::yield();
      const std::size_t number = next_++;
      if (number >= kMax) return;
      const auto taken = node_.propose(one, kNever, [this, number](const Outcome& outcome) {
        ++told_[number];
        tally_.count(outcome);
        ++told_in_all_;
      });
      if (taken) {
        ++accepted_;
        continue;
      }
      refused_[number] = true;
      const std::scoped_lock lock(mutex_);
      refusals_.insert(taken.error().code);
      return;
    }
  }

  Node& node_;
  Tally tally_;
  std::vector<std::atomic<int>> told_ = std::vector<std::atomic<int>>(kMax);
  std::vector<std::atomic<bool>> refused_ = std::vector<std::atomic<bool>>(kMax);
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> accepted_{0};
  std::atomic<std::size_t> told_in_all_{0};
  std::mutex mutex_;
  std::set<ErrorCode> refusals_;
  std::vector<std::thread> threads_;
};

const std::set<ErrorCode> kOnlyStopped = {ErrorCode::kStopped};

TEST(NodeStop, UnderLoadEveryOutcomeIsToldExactlyOnce) {
  LocalCluster cluster(3);
  cluster.open_all();
  Load load(cluster[0], 4);
  ASSERT_TRUE(eventually([&] { return load.tally().executed() > 500; }));

  ASSERT_TRUE(cluster[0].stop());
  load.join();

  EXPECT_TRUE(load.each_told_once());
  EXPECT_EQ(load.refusals(), kOnlyStopped);
  EXPECT_EQ(load.tally().executed(), load.tally().all()) << "with a quorum a stop loses nothing";
  EXPECT_EQ(cluster[0].status().queues.pending, 0u);
  EXPECT_TRUE(cluster.converges("sum", std::to_string(load.tally().executed())));
}

TEST(NodeStop, WithoutTimeToDrainWhatIsUnderWayIsUnknown) {
  LocalCluster cluster(3, Durability::kNone, [](NodeConfig& c) { c.drain_us = 0; });
  cluster.open_all();
  Load load(cluster[0], 4);
  ASSERT_TRUE(eventually([&] { return load.tally().executed() > 500; }));

  ASSERT_TRUE(cluster[0].stop());
  load.join();

  EXPECT_TRUE(load.each_told_once());
  EXPECT_EQ(load.refusals(), kOnlyStopped);
  EXPECT_EQ(load.tally().rejected(), 0) << "what was given to the core may execute";
}

TEST(NodeStop, ANodeIsDestroyedUnderLoad) {
  LocalCluster cluster(3, Durability::kNone, [](NodeConfig& c) { c.drain_us = 0; });
  cluster.open_all();
  Tally tally;
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(cluster[0].propose(kv::increment("sum", 1), kNever, tally.counter()));
  }
  cluster.close(0);
  EXPECT_EQ(tally.all(), 2'000);
  EXPECT_EQ(tally.rejected(), 0);
}

TEST(NodeStop, InsideACallbackItBeginsAndTheRestIsStillExecuted) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::promise<void> stopping;
  Tally rest;
  ASSERT_TRUE(node.propose(kv::increment("sum", 1), kNever, [&](const Outcome&) {
    Tally refused;
    EXPECT_TRUE(node.propose(kv::increment("sum", 1), kNever, rest.counter()));
    EXPECT_TRUE(node.stop());
    EXPECT_TRUE(node.stop()) << "idempotent";
    const auto taken = node.propose(kv::increment("sum", 1), kNever, refused.counter());
    EXPECT_EQ(taken.error().code, ErrorCode::kStopped);
    EXPECT_EQ(node.status().state, NodeState::kStopping);
    EXPECT_EQ(refused.all(), 0);
    stopping.set_value();
  }));
  stopping.get_future().wait();
  EXPECT_TRUE(node.stop());
  EXPECT_EQ(rest.executed(), 1);
  EXPECT_EQ(node.propose(kv::get("sum")).get().code, ErrorCode::kStopped);
  EXPECT_EQ(node.status().state, NodeState::kStopped);
}

// A chain of proposals, each made by the callback of the one before it, ends with an error.
TEST(NodeStop, ACallbackThatProposesForEverIsToldToStop) {
  LocalCluster cluster(3);
  Node& node = cluster.open_all()[0];
  std::atomic<int> executed{0};
  std::atomic<int> refused{0};
  OutcomeCallback next = [&](const Outcome& outcome) {
    if (outcome.kind == OutcomeKind::kExecuted) ++executed;
    const auto taken = node.propose(kv::increment("sum", 1), kNever, next);
    if (taken) return;
    EXPECT_EQ(taken.error().code, ErrorCode::kStopped);
    ++refused;
  };
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(node.propose(kv::increment("sum", 1), kNever, next));
  }
  ASSERT_TRUE(eventually([&] { return executed > 100; }));
  ASSERT_TRUE(node.stop());
  EXPECT_EQ(refused, 10);
}

TEST(NodeStop, SeveralThreadsMayStopAtOnce) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  Load load(node, 2);
  ASSERT_TRUE(eventually([&] { return load.tally().executed() > 100; }));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      EXPECT_TRUE(node.stop());
      EXPECT_EQ(node.status().state, NodeState::kStopped) << "it returns when it is done";
    });
  }
  for (std::thread& thread : threads) thread.join();
  load.join();
  EXPECT_TRUE(load.each_told_once());
}

TEST(NodeStop, QueriesAndStatusGoOnThroughIt) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::latch looked(3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      NodeState state = NodeState::kRunning;
      for (int looks = 1; state != NodeState::kStopped; ++looks) {
        node.query([](const StateMachine& machine) { EXPECT_EQ(machine.digest(), 0u); });
        state = node.status().state;
        if (looks == 50) looked.count_down();
      }
    });
  }
  looked.wait();
  ASSERT_TRUE(node.stop());
  for (std::thread& thread : threads) thread.join();
}

TEST(NodeStop, AStoppedNodeAnswersQueriesInsideOfQueries) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  ASSERT_EQ(node.propose(kv::put("k", "v")).get().kind, OutcomeKind::kExecuted);
  const std::uint64_t digest = node.digest();
  const auto nested = [&] {
    std::uint64_t seen = 0;
    node.query([&](const StateMachine&) { seen = node.digest(); });
    return seen;
  };
  EXPECT_EQ(nested(), digest);
  ASSERT_TRUE(node.stop());
  EXPECT_EQ(nested(), digest);
}

TEST(NodeStop, WithoutAQuorumItEndsAndSaysUnknown) {
  LocalCluster cluster(3, Durability::kNone, [](NodeConfig& c) { c.drain_us = 1'000; });
  Node& node = cluster.open(0);
  std::future<OwnedOutcome> waiting = node.propose(kv::increment("sum", 1));
  ASSERT_TRUE(eventually([&] { return node.status().queues.pending == 1; }));
  ASSERT_TRUE(node.stop());
  const OwnedOutcome outcome = waiting.get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kUnknown);
  EXPECT_EQ(outcome.code, ErrorCode::kStopped);
  EXPECT_EQ(outcome.reason, "The replica was stopped before the command was executed.");
}

TEST(NodeStop, MayWaitForEverUntilEverythingHasItsOutcome) {
  LocalCluster cluster(3, Durability::kNone, [](NodeConfig& c) { c.drain_us = kNever; });
  Node& node = cluster.open(0);
  std::future<OwnedOutcome> waiting = node.propose(kv::increment("sum", 1));
  ASSERT_TRUE(eventually([&] { return node.status().queues.pending == 1; }));
  std::thread stopper([&] { EXPECT_TRUE(node.stop()); });
  ASSERT_TRUE(eventually([&] { return node.status().state == NodeState::kStopping; }));
  cluster.open(1);
  stopper.join();
  EXPECT_EQ(value_of(waiting.get().reply), "1");
}

}  // namespace
}  // namespace epaxos
