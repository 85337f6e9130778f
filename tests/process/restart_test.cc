// Replicas that are stopped and killed: whatever was acknowledged is there afterwards, and the
// replicas agree. protocol.md 13.2.

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "tests/process/cluster_processes.h"

namespace epaxos::testing {
namespace {

/// Adds one to a counter again and again, and counts how that ended.
class Incrementer {
 public:
  explicit Incrementer(std::unique_ptr<net::Client> client) : client_(std::move(client)) {}

  /// So many outcomes, 16 requests under way.
  void run(int outcomes) {
    left_ = outcomes;
    while (left_ > 0 || client_->in_flight() > 0) {
      while (left_ > 0 && client_->in_flight() < 16) submit();
      client_->poll(50'000);
    }
  }

  std::atomic<int> executed = 0;
  int rejected = 0;
  int unknown = 0;

 private:
  void submit() {
    --left_;
    const auto submitted = client_->submit(net::RequestKind::kPropose, kv::increment("n", 1), {},
                                           [this](const net::ClientOutcome& outcome) {
                                             if (outcome.kind == OutcomeKind::kExecuted) ++executed;
                                             if (outcome.kind == OutcomeKind::kRejected) ++rejected;
                                             if (outcome.kind == OutcomeKind::kUnknown) ++unknown;
                                           });
    ASSERT_TRUE(submitted);
  }

  std::unique_ptr<net::Client> client_;
  int left_ = 0;
};

std::int64_t counter_of(net::Client& client) {
  net::SubmitOptions patiently;
  patiently.deadline_us = 20'000'000;
  const net::CallOutcome outcome = client.call(net::RequestKind::kPropose, kv::get("n"), patiently);
  EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted) << outcome.reason;
  const auto reply = kv::decode_reply(outcome.reply);
  return reply && reply->value ? std::stoll(*reply->value) : -1;
}

TEST(Restart, ACleanStopKeepsEverythingAndTheVote) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  Incrementer load(cluster.client_at(0));
  load.run(200);
  EXPECT_EQ(load.executed, 200);

  for (int r = 0; r < 3; ++r) EXPECT_EQ(cluster.stop(r), 0) << cluster.log(r);
  cluster.start_all();

  EXPECT_EQ(counter_of(*cluster.client_at(1)), 200);
  EXPECT_TRUE(cluster.agree({0, 1, 2}));
}

/// Runs a load at a replica while `meanwhile` happens; returns how it ended.
/// Replicas are started on this thread: they end when the thread that started them does.
template <class Meanwhile>
std::unique_ptr<Incrementer> load_while(ClusterProcesses& cluster, int replica, int outcomes,
                                        Meanwhile meanwhile) {
  auto load = std::make_unique<Incrementer>(cluster.client_at(replica));
  std::thread thread([&load, outcomes] { load->run(outcomes); });
  while (load->executed < outcomes / 4) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  meanwhile();
  thread.join();
  return load;
}

TEST(Restart, AllReplicasAreKilledAtOnceAndNothingAcknowledgedIsLost) {
  ClusterProcesses cluster(3);
  cluster.start_all();

  const auto load = load_while(cluster, 0, 600, [&cluster] {
    for (int r = 0; r < 3; ++r) cluster.kill(r);
    for (int r = 0; r < 3; ++r) cluster.start(r);
  });

  EXPECT_TRUE(cluster.agree({0, 1, 2}));
  const std::int64_t counter = counter_of(*cluster.client_at(2));
  EXPECT_GE(counter, load->executed);
  EXPECT_LE(counter, load->executed + load->unknown);
}

TEST(Restart, AKilledReplicaComesBackAndCatchesUpWhileTheOthersGoOn) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  Incrementer before(cluster.client_at(0));
  before.run(100);
  cluster.kill(2);
  Incrementer during(cluster.client_at(0));
  during.run(300);
  EXPECT_EQ(during.executed, 300);

  cluster.start(2);
  Incrementer after(cluster.client_at(1));
  after.run(300);

  EXPECT_EQ(after.executed, 300);
  EXPECT_TRUE(cluster.agree({0, 1, 2})) << cluster.log(2);
  EXPECT_EQ(counter_of(*cluster.client_at(2)), 700);
}

TEST(Restart, EachReplicaOfFiveIsKilledUnderLoadAndComesBack) {
  ClusterProcesses cluster(5);
  cluster.start_all();
  std::int64_t executed = 0;
  std::int64_t unknown = 0;
  for (int r = 0; r < 5; ++r) {
    const auto load = load_while(cluster, r, 200, [&cluster, r] {  // Its own replica dies.
      cluster.kill(r);
      cluster.start(r);
    });
    executed += load->executed;
    unknown += load->unknown;
    ASSERT_TRUE(cluster.wait_until_it_answers(r)) << cluster.log(r);
  }

  EXPECT_TRUE(cluster.agree({0, 1, 2, 3, 4}));
  const std::int64_t counter = counter_of(*cluster.client_at(3));
  EXPECT_GE(counter, executed);
  EXPECT_LE(counter, executed + unknown);
}

TEST(Restart, WithoutItsMemoryAReplicaDoesNotVoteAndSaysWhatToDo) {
  ClusterProcesses cluster(3, Durability::kNone);
  cluster.start_all();
  Incrementer load(cluster.client_at(0));
  load.run(50);
  cluster.kill(1);

  cluster.start(1);

  ASSERT_TRUE(cluster.wait_for(1, [](const std::string& json) {
    return json.find("\"voting\":false") != std::string::npos;
  })) << cluster.log(1);
  EXPECT_NE(cluster.log(1).find("--unsafe-rejoin"), std::string::npos) << cluster.log(1);
  const Ran refused = cluster.control({"--replica", "1", "put", "a", "b"});
  EXPECT_EQ(refused.status, 2) << refused.err;
  EXPECT_TRUE(cluster.agree({0, 1, 2})) << "it learns and serves all the same";

  cluster.kill(1);
  cluster.start(1, {"--unsafe-rejoin"});
  EXPECT_TRUE(cluster.wait_for(1, [](const std::string& json) {
    return json.find("\"voting\":true") != std::string::npos;
  })) << cluster.log(1);
}

}  // namespace
}  // namespace epaxos::testing
