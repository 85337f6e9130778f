// Proposing to nodes, over real sockets: every way in, and every outcome but those of stopping.

#include "epaxos/node/node.h"

#include <latch>
#include <stdexcept>

#include "executor/key_value_command.h"
#include "net/client.h"
#include "tests/epaxos/node/node_support.h"

namespace epaxos {
namespace {

using testing::bytes_of;
using testing::eventually;
using testing::LocalCluster;
using testing::Pause;
using testing::Tally;
using testing::value_of;

// ---- Every way in, at several sizes ----

class NodeClusters : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(OfSize, NodeClusters, ::testing::Values(1, 3, 5));

constexpr int kEach = 60;  // Proposals of one thread.

void propose_with_callbacks(Node& node, Tally& tally) {
  for (int i = 0; i < kEach; ++i) {
    ASSERT_TRUE(node.propose(kv::increment("sum", 1), kNever, tally.counter()));
  }
}

void propose_with_futures(Node& node, Tally& tally) {
  std::vector<std::future<OwnedOutcome>> futures;
  for (int i = 0; i < kEach; ++i) {
    futures.push_back(node.propose(Footprint::write("sum"), kv::increment("sum", 1)));
  }
  for (auto& future : futures) {
    const OwnedOutcome outcome = future.get();
    tally.count({outcome.kind, outcome.reply, outcome.code, outcome.reason});
  }
}

void propose_in_batches(Node& node, Tally& tally) {
  const kv::Payload one = kv::increment("sum", 1);
  const std::vector<BatchItem> items(kEach / 2, {one, std::nullopt, tally.counter()});
  ASSERT_TRUE(node.propose_batch(items));
  ASSERT_TRUE(node.propose_batch(items));
}

TEST_P(NodeClusters, EveryWayToProposeExecutesOnceAndEverywhere) {
  LocalCluster cluster(GetParam());
  cluster.open_all();
  Tally tally;
  std::vector<std::thread> threads;
  for (int i = 0; i < GetParam(); ++i) {
    for (const auto way : {propose_with_callbacks, propose_with_futures, propose_in_batches}) {
      threads.emplace_back([&, i, way] { way(cluster[i], tally); });
    }
  }
  for (std::thread& thread : threads) thread.join();

  const int all = 3 * kEach * GetParam();
  EXPECT_TRUE(eventually([&] { return tally.all() == all; }));
  EXPECT_EQ(tally.executed(), all);
  EXPECT_TRUE(cluster.converges("sum", std::to_string(all)));
}

TEST_P(NodeClusters, EveryReplicaAnswersWithTheStateAtItsCommand) {
  LocalCluster cluster(GetParam());
  cluster.open_all();
  for (int i = 0; i < GetParam(); ++i) {
    const OwnedOutcome outcome = cluster[i].propose(kv::append("word", "x")).get();
    ASSERT_EQ(outcome.kind, OutcomeKind::kExecuted) << outcome.reason;
    EXPECT_EQ(value_of(outcome.reply), std::to_string(i + 1)) << "the length after this append";
  }
}

// ---- What is refused ----

TEST(Node, ItTellsWhatHappenedToItsInstances) {
  LocalCluster cluster(3);
  cluster.open_all();
  ASSERT_EQ(cluster[1].propose(kv::put("a", "1")).get().kind, OutcomeKind::kExecuted);

  const Result<InstanceHistory> history = cluster[1].history({ReplicaId(1), Slot(1)});

  ASSERT_TRUE(history) << history.error().message;
  EXPECT_TRUE(history->kept);
  EXPECT_EQ(history->decided_by, DecidedBy::kFastPath);
  EXPECT_GE(history->committed_at, history->proposed_at);
  EXPECT_GE(history->now, history->executed_at);
  EXPECT_FALSE(cluster[1].history({ReplicaId(1), Slot(999)}));
}

TEST(Node, WhatTheMachineDoesNotAdmitIsRejectedWithItsSentence) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];

  const OwnedOutcome outcome = node.propose(bytes_of("rubbish")).get();

  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, KeyValueMachine().admit(bytes_of("rubbish")).error().code);
  EXPECT_EQ(outcome.reason, KeyValueMachine().admit(bytes_of("rubbish")).error().message);
  EXPECT_EQ(node.status().counter("node", "local_refused_not_a_command"), 1u);
}

// A proposer that stubbornly proposes again inside of its callback must not grow the stack.
TEST(Node, AProposerThatIsRefusedMayProposeAgainAtOnceAndForLong) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::promise<int> finished;
  int refusals = 0;
  int depth = 0;
  OutcomeCallback again = [&](const Outcome& outcome) {
    EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
    EXPECT_EQ(depth, 0) << "nobody is told anything inside propose()";
    if (++refusals == 20'000) return finished.set_value(refusals);
    ++depth;
    EXPECT_TRUE(node.propose(bytes_of("rubbish"), kNever, again));
    --depth;
  };
  ASSERT_TRUE(node.propose(bytes_of("rubbish"), kNever, again));
  EXPECT_EQ(finished.get_future().get(), 20'000);
}

TEST(Node, ACommandOverTheLimitIsRefusedAndTheLimitIsNamed) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  const std::vector<std::byte> large(kPayloadBytesMax + 1);
  Tally tally;

  const auto refused = node.propose(Footprint::write("k"), large, kNever, tally.counter());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(refused.error().message, "The command has 262145 bytes; the limit is 262144.");

  const OwnedOutcome outcome = node.propose(Footprint::write("k"), large).get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, ErrorCode::kTooLarge);

  const kv::Payload fine = kv::put("k", "v");
  const std::vector<BatchItem> batch = {{fine, std::nullopt, tally.counter()},
                                        {large, Footprint::write("k"), tally.counter()}};
  EXPECT_EQ(node.propose_batch(batch).error().code, ErrorCode::kTooLarge);

  EXPECT_EQ(node.propose(fine).get().kind, OutcomeKind::kExecuted);
  EXPECT_EQ(tally.all(), 0) << "whoever got an error is not told an outcome too";
}

TEST(Node, AValueOverTheMachinesLimitIsRejectedAsTooLarge) {
  LocalCluster cluster(1);
  const kv::Payload large = kv::put("k", std::string(kv::kValueBytesMax + 1, 'v'));
  const OwnedOutcome outcome = cluster.open_all()[0].propose(large).get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, ErrorCode::kTooLarge) << outcome.reason;
}

// ---- Overload ----

TEST(Node, MoreThanTheQueueHoldsIsRefusedAsOverloadedAndNothingIsLost) {
  LocalCluster cluster(1, Durability::kNone, [](NodeConfig& c) { c.submitted_max = 10; });
  Node& node = cluster.open_all()[0];
  const kv::Payload one = kv::increment("sum", 1);
  const auto items = [&](std::size_t count, Tally& tally) {
    return std::vector<BatchItem>(count, {one, std::nullopt, tally.counter()});
  };
  Tally tally;
  {
    const Pause pause(node);
    ASSERT_TRUE(node.propose_batch(items(8, tally)));
    const auto refused = node.propose_batch(items(3, tally));
    ASSERT_FALSE(refused) << "all of a batch or none";
    EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
    ASSERT_TRUE(node.propose_batch(items(2, tally)));
    EXPECT_EQ(node.propose(one, kNever, tally.counter()).error().code, ErrorCode::kOverloaded);
    EXPECT_EQ(node.propose(one).get().code, ErrorCode::kOverloaded);
  }
  EXPECT_TRUE(eventually([&] { return tally.executed() == 10; }));
  EXPECT_EQ(tally.all(), 10);
  EXPECT_TRUE(node.propose_batch(items(10, tally))) << "there is room again";
}

TEST(Node, ABatchThatCanNeverFitIsToldTheLimit) {
  LocalCluster cluster(1, Durability::kNone, [](NodeConfig& c) { c.submitted_max = 10; });
  const kv::Payload one = kv::increment("sum", 1);
  const std::vector<BatchItem> items(11, {one, std::nullopt, [](const Outcome&) {}});
  const auto refused = cluster.open_all()[0].propose_batch(items);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(refused.error().message,
            "The batch has 11 proposals; this node takes at most 10 at once. Split it.");
}

TEST(Node, MoreBytesThanTheQueueHoldsAreRefusedAsOverloaded) {
  LocalCluster cluster(1, Durability::kNone, [](NodeConfig& c) { c.submitted_bytes_max = 5000; });
  Node& node = cluster.open_all()[0];
  const kv::Payload put = kv::put("k", std::string(2000, 'v'));
  Tally tally;
  {
    const Pause pause(node);
    ASSERT_TRUE(node.propose(put, kNever, tally.counter()));
    ASSERT_TRUE(node.propose(put, kNever, tally.counter()));
    EXPECT_EQ(node.propose(put, kNever, tally.counter()).error().code, ErrorCode::kOverloaded);
  }
  EXPECT_TRUE(eventually([&] { return tally.executed() == 2; }));
}

// One replica of three decides nothing, so what it takes stays pending.
TEST(Node, MoreThanMayBePendingIsRejectedAsOverloaded) {
  LocalCluster cluster(3, Durability::kNone, [](NodeConfig& c) {
    c.cluster.pending_max = 4;
    c.drain_us = 0;
  });
  Node& node = cluster.open(0);
  Tally pending;
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(node.propose(kv::increment("sum", 1), kNever, pending.counter()));
  }
  const OwnedOutcome outcome = node.propose(kv::increment("sum", 1)).get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, ErrorCode::kOverloaded);

  node.query([&](const StateMachine&) {
    EXPECT_EQ(node.propose(kv::get("sum"), kNever, pending.counter()).error().code,
              ErrorCode::kOverloaded)
        << "on the node's own thread it is told at once";
  });
  EXPECT_EQ(node.status().queues.pending, 4u);
  EXPECT_EQ(pending.all(), 0);
}

// ---- Deadlines ----

TEST(Node, ADeadlineThatPassesBeforeTheProposalIsRejected) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::future<OwnedOutcome> late;
  {
    const Pause pause(node);  // The command waits in the queue until after its deadline.
    late = node.propose(kv::increment("sum", 1), 0);
  }
  const OwnedOutcome outcome = late.get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, ErrorCode::kDeadline);
  EXPECT_EQ(value_of(node.propose(kv::increment("sum", 1)).get().reply), "1")
      << "rejected means that it was not executed";
}

TEST(Node, ADeadlineThatPassesWithoutAQuorumIsUnknownAndTheCommandMayStillExecute) {
  LocalCluster cluster(3, Durability::kNone, [](NodeConfig& c) { c.drain_us = 0; });
  Node& node = cluster.open(0);
  const OwnedOutcome outcome = node.propose(kv::increment("sum", 1), 20'000).get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kUnknown);
  EXPECT_EQ(outcome.code, ErrorCode::kDeadline);
  EXPECT_EQ(node.status().queues.pending, 0u);

  cluster.open(1);
  cluster.open(2);
  EXPECT_TRUE(cluster.converges("sum", "1"));
}

// ---- Inside callbacks, and looking in ----

TEST(Node, ACallbackMayProposeAgain) {
  LocalCluster cluster(3);
  Node& node = cluster.open_all()[0];
  std::promise<void> finished;
  int left = 200;
  OutcomeCallback next = [&](const Outcome& outcome) {
    EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted);
    if (--left == 0) return finished.set_value();
    EXPECT_TRUE(node.propose(kv::increment("sum", 1), kNever, next));
  };
  ASSERT_TRUE(node.propose(kv::increment("sum", 1), kNever, next));
  finished.get_future().wait();
  EXPECT_TRUE(cluster.converges("sum", "200"));
}

TEST(Node, ACallbackMayQueryAndAskForTheStatus) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::promise<std::pair<std::string, std::uint64_t>> seen;
  ASSERT_TRUE(node.propose(kv::put("k", "v"), kNever, [&](const Outcome&) {
    const auto value = node.query<KeyValueMachine>([](const KeyValueMachine& machine) {
      return std::string(machine.find("k").value_or("nothing"));
    });
    seen.set_value({value, node.status().counter("host", "commands_executed")});
  }));
  EXPECT_EQ(seen.get_future().get(), std::pair(std::string("v"), std::uint64_t{1}));
}

// One message of a client holds many questions with large answers: they take many turns, so that
// others are heard between them.
TEST(Node, ManyLargeAnswersToOneClientTakeManyTurns) {
  constexpr int kKeys = 16, kQuestions = 24;
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) {
    keys.push_back("large" + std::to_string(i));
    const auto put = node.propose(kv::put(keys.back(), std::string(60'000, 'x'))).get();
    ASSERT_EQ(put.kind, OutcomeKind::kExecuted);
  }
  net::ClientOptions options;
  options.addresses = {cluster.config().replicas[0].client};
  options.cluster = cluster.config().id;
  options.request_timeout_us = 60'000'000;
  const auto client = testing::must(net::Client::open(options));
  ASSERT_EQ(client->call(net::RequestKind::kQuery, kv::get(keys[0])).kind, OutcomeKind::kExecuted);
  const std::uint64_t turns = node.status().counter("host", "turns");
  int answered = 0;

  const std::vector<std::string_view> all(keys.begin(), keys.end());
  const kv::Payload question = kv::multi_get(all);
  for (int i = 0; i < kQuestions; ++i) {
    const auto submitted = client->submit(net::RequestKind::kQuery, question, {},
                                          [&](const net::ClientOutcome& outcome) {
                                            if (outcome.kind == OutcomeKind::kExecuted) ++answered;
                                          });
    ASSERT_TRUE(submitted);
  }
  while (client->in_flight() > 0) client->poll(1'000'000);

  EXPECT_EQ(answered, kQuestions) << "less than what waits for a client at most";
  // Each turn ends with the answer that exceeds four MiB.
  EXPECT_GE(node.status().counter("host", "turns") - turns,
            static_cast<std::uint64_t>(answered / 5));
}

TEST(Node, QueriesFromSeveralThreadsSeeNoHalfBatch) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  std::atomic<bool> stop{false};
  std::latch looked(3);
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      for (int looks = 0; !stop; ++looks) {
        const bool same = node.query<KeyValueMachine>(
            [](const KeyValueMachine& m) { return m.find("a") == m.find("b"); });
        EXPECT_TRUE(same) << "one command writes both";
        if (looks == 20) looked.count_down();
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    const std::string value = std::to_string(i);
    const std::vector<kv::Entry> both = {{"a", value}, {"b", value}};
    ASSERT_EQ(node.propose(kv::multi_put(both)).get().kind, OutcomeKind::kExecuted);
  }
  looked.wait();
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(Node, WhatAQueryThrowsIsThrownAtTheAskerAndTheNodeGoesOn) {
  LocalCluster cluster(1);
  Node& node = cluster.open_all()[0];
  const auto fails = [](const StateMachine&) { throw std::runtime_error("no such table"); };
  EXPECT_THROW(node.query(fails), std::runtime_error);
  EXPECT_EQ(node.propose(kv::put("k", "v")).get().kind, OutcomeKind::kExecuted);
  ASSERT_TRUE(node.stop());
  EXPECT_THROW(node.query(fails), std::runtime_error);
  node.query([](const StateMachine&) {});
}

}  // namespace
}  // namespace epaxos
