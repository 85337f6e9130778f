// Requests that take effect once, with real replicas that are killed, stopped and started again.
// protocol.md 16.

#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "deps/types/session.h"
#include "tests/process/cluster_processes.h"

namespace epaxos::testing {
namespace {

/// How the increments of a test ended.
struct Count {
  int executed = 0;
  int rejected = 0;
  int unknown = 0;
};

/// So many increments, `in_flight` under way; `at` is called when that many have ended.
Count increment(net::Client& client, int times, std::size_t in_flight, int at,
                const std::function<void()>& then) {
  Count count;
  net::SubmitOptions patiently;
  patiently.deadline_us = 60'000'000;
  int left = times;
  bool done = false;
  const auto submit = [&] {
    for (; left > 0 && client.in_flight() < in_flight; --left) {
      const auto submitted = client.submit(net::RequestKind::kPropose, kv::increment("n", 1),
                                           patiently, [&](const net::ClientOutcome& outcome) {
                                             if (outcome.kind == OutcomeKind::kExecuted)
                                               ++count.executed;
                                             if (outcome.kind == OutcomeKind::kRejected)
                                               ++count.rejected;
                                             if (outcome.kind == OutcomeKind::kUnknown)
                                               ++count.unknown;
                                             if (outcome.kind != OutcomeKind::kExecuted)
                                               ADD_FAILURE() << outcome.reason;
                                           });
      EXPECT_TRUE(submitted);
    }
  };
  while (left > 0 || client.in_flight() > 0) {
    submit();
    client.poll(50'000);
    if (done || count.executed < at) continue;
    done = true;
    submit();
    client.poll(0);  // These leave, and nobody hears of their end.
    then();
  }
  return count;
}

std::int64_t counter_at(ClusterProcesses& cluster, int replica) {
  net::SubmitOptions how;
  how.deadline_us = 30'000'000;
  how.reads_only = true;
  const net::CallOutcome outcome =
      cluster.client_at(replica)->call(net::RequestKind::kPropose, kv::get("n"), how);
  EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted) << outcome.reason;
  const auto reply = kv::decode_reply(outcome.reply);
  return reply && reply->value ? std::stoll(*reply->value) : -1;
}

TEST(Sessions, TheReplicaOfAClientIsKilledAndEveryIncrementCountsOnce) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  const auto client = cluster.client_at(0, /*exactly_once=*/true);

  const Count count = increment(*client, 200, 16, 60, [&] { cluster.kill(0); });

  EXPECT_EQ(count.executed, 200);
  EXPECT_EQ(count.rejected, 0);
  EXPECT_EQ(count.unknown, 0);
  EXPECT_EQ(counter_at(cluster, 1), 200);
  EXPECT_GE(client->counters().retried_elsewhere + client->counters().repeated, 1u);

  cluster.start(0);
  EXPECT_TRUE(cluster.agree({0, 1, 2})) << "sessions and all: " << cluster.log(0);
  EXPECT_EQ(counter_at(cluster, 0), 200);
}

// It is not dead, and it has begun what others finish; then it wakes up and goes on.
TEST(Sessions, TheReplicaOfAClientSleepsForAWhileAndEveryIncrementCountsOnce) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  const auto client = cluster.client_at(0, /*exactly_once=*/true);

  const Count count = increment(*client, 200, 16, 60, [&] { cluster.signal(0, SIGSTOP); });
  EXPECT_EQ(count.executed, 200);
  cluster.signal(0, SIGCONT);

  EXPECT_TRUE(cluster.agree({0, 1, 2}));
  EXPECT_EQ(counter_at(cluster, 2), 200);
}

TEST(Sessions, AllReplicasAreKilledAndEveryIncrementCountsOnce) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  const auto client = cluster.client_at(1, /*exactly_once=*/true);

  const Count count = increment(*client, 200, 16, 60, [&] {
    for (int r = 0; r < 3; ++r) cluster.kill(r);
    for (int r = 0; r < 3; ++r) cluster.start(r);
  });

  EXPECT_EQ(count.executed, 200);
  EXPECT_EQ(counter_at(cluster, 2), 200);
  EXPECT_TRUE(cluster.agree({0, 1, 2}));
}

TEST(Sessions, AfterARestartAReplicaStillKnowsWhatItAnswered) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  net::SubmitOptions how;
  how.deadline_us = 30'000'000;
  how.id = {4711, 0};
  const auto open = static_cast<std::byte>(SessionOperation::kOpen);
  const auto client = cluster.client_at(0);
  ASSERT_EQ(client->call(net::RequestKind::kPropose, std::span(&open, 1), how).kind,
            OutcomeKind::kExecuted);
  how.id.number = 1;
  const net::CallOutcome first =
      client->call(net::RequestKind::kPropose, kv::increment("n", 5), how);
  ASSERT_EQ(first.kind, OutcomeKind::kExecuted) << first.reason;

  for (int r = 0; r < 3; ++r) cluster.kill(r);
  cluster.start_all();

  for (int r = 0; r < 3; ++r) {
    const net::CallOutcome again =
        cluster.client_at(r)->call(net::RequestKind::kPropose, kv::increment("n", 5), how);
    EXPECT_EQ(again.kind, OutcomeKind::kExecuted) << again.reason;
    EXPECT_EQ(again.reply, first.reply) << "replica " << r;
  }
  EXPECT_EQ(counter_at(cluster, 0), 5);
}

}  // namespace
}  // namespace epaxos::testing
