// Proposals of a session, at nodes of one process.

#include <set>

#include "epaxos/node/session.h"
#include "tests/epaxos/node/node_support.h"

namespace epaxos::testing {
namespace {

constexpr Tick kPatience = 60'000'000;

/// The outcome of one proposal, waited for. Callbacks are copied, promises cannot be; the callback
/// runs once and ends the promise's life.
class Waited {
 public:
  OutcomeCallback callback() {
    auto* const promise = new std::promise<OwnedOutcome>();
    future_ = promise->get_future();
    return [promise](const Outcome& outcome) {
      const std::unique_ptr<std::promise<OwnedOutcome>> owner(promise);
      owner->set_value({outcome.kind,
                        {outcome.reply.begin(), outcome.reply.end()},
                        outcome.code,
                        std::string(outcome.reason),
                        0});
    };
  }
  OwnedOutcome get() { return future_.get(); }

 private:
  std::future<OwnedOutcome> future_;
};

TEST(NodeSession, NumbersItsProposalsAndEachTakesEffectOnce) {
  LocalCluster cluster(3);
  cluster.open_all();
  const auto session = cluster[0].session();
  EXPECT_TRUE(is_client_session(session->id()));
  for (std::uint64_t n = 1; n <= 20; ++n) {
    Waited waited;
    const CommandId id =
        must(session->propose(kv::increment("n", 1), kPatience, waited.callback()));
    EXPECT_EQ(id, (CommandId{session->id(), n}));
    EXPECT_EQ(value_of(waited.get().reply), std::to_string(n));
    const auto again = session->propose_again(cluster[1], id, kv::increment("n", 1), kPatience,
                                              [](const Outcome&) { FAIL(); });
    EXPECT_EQ(again.error().code, ErrorCode::kInvalidArgument) << "its outcome is certain";
  }
  EXPECT_TRUE(cluster.converges("n", "20"));
  EXPECT_LE(cluster[0].status().counter("host", "session_replies"), 1u) << "all is acknowledged";
}

TEST(NodeSession, WhatIsUnknownIsProposedAgainAtAnotherNodeAndTakesEffectOnce) {
  LocalCluster cluster(3);
  cluster.open_all();
  const auto session = cluster[0].session();
  Waited first;
  CommandId id;
  {
    const Pause pause_1(cluster[1]);
    const Pause pause_2(cluster[2]);
    id = must(session->propose(kv::increment("n", 1), 100'000, first.callback()));
    EXPECT_EQ(first.get().kind, OutcomeKind::kUnknown);
  }
  Waited again;
  ASSERT_TRUE(
      session->propose_again(cluster[1], id, kv::increment("n", 1), kPatience, again.callback()));
  const OwnedOutcome outcome = again.get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted) << outcome.reason;
  EXPECT_EQ(value_of(outcome.reply), "1");
  EXPECT_TRUE(cluster.converges("n", "1"));
}

TEST(NodeSession, TheNodeIsGoneAndItsCommandIsProposedAgainElsewhere) {
  LocalCluster cluster(3);
  cluster.open_all();
  auto session = cluster[0].session();
  Waited opened;
  must(session->propose(kv::increment("n", 1), kPatience, opened.callback()));
  ASSERT_EQ(opened.get().kind, OutcomeKind::kExecuted);
  Waited first;
  CommandId id;
  {
    const Pause pause_1(cluster[1]);
    const Pause pause_2(cluster[2]);
    id = must(session->propose(kv::increment("n", 1), kPatience, first.callback()));
    ASSERT_TRUE(cluster[0].stop());
    EXPECT_EQ(first.get().kind, OutcomeKind::kUnknown);
  }
  Waited again;
  ASSERT_TRUE(
      session->propose_again(cluster[2], id, kv::increment("n", 1), kPatience, again.callback()));
  EXPECT_EQ(value_of(again.get().reply), "2");
}

TEST(NodeSession, UnknownNumbersFillTheWindowUntilTheyAreGivenUp) {
  LocalCluster cluster(3);
  cluster.open_all();
  const auto session = cluster[0].session();
  std::set<std::uint64_t> numbers;
  {
    const Pause pause_1(cluster[1]);
    const Pause pause_2(cluster[2]);
    Tally tally;
    for (int i = 0; i < 1'024; ++i) {
      numbers.insert(must(session->propose(kv::increment("n", 1), 1'000, tally.counter())).number);
    }
    EXPECT_TRUE(eventually([&] { return tally.all() == 1'024; }));
  }
  const auto full = session->propose(kv::increment("n", 1), kPatience, [](const Outcome&) {});
  // Some may have been rejected, which is certain; then there is room.
  if (!full) {
    EXPECT_EQ(full.error().code, ErrorCode::kOverloaded);
  }
  for (const std::uint64_t number : numbers) session->give_up({session->id(), number});
  Waited waited;
  must(session->propose(kv::put("k", "v"), kPatience, waited.callback()));
  EXPECT_EQ(waited.get().kind, OutcomeKind::kExecuted);
}

TEST(NodeSession, ASessionThatWasForgottenSaysSo) {
  LocalCluster cluster(1, Durability::kNone,
                       [](NodeConfig& config) { config.cluster.session_ttl_us = 100'000; });
  cluster.open_all();
  const auto session = cluster[0].session();
  Waited first;
  must(session->propose(kv::put("k", "v"), kPatience, first.callback()));
  ASSERT_EQ(first.get().kind, OutcomeKind::kExecuted);
  ASSERT_TRUE(eventually([&] { return cluster[0].status().counter("host", "session_open") == 0; }));

  Waited late;
  must(session->propose(kv::put("k", "w"), kPatience, late.callback()));

  const OwnedOutcome outcome = late.get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, ErrorCode::kUnknownSession);
  EXPECT_EQ(cluster[0].status().counter("host", "session_expired"), 1u);
}

TEST(NodeSession, IsClosedAtItsEnd) {
  LocalCluster cluster(1);
  cluster.open_all();
  auto session = cluster[0].session();
  Waited first;
  must(session->propose(kv::put("k", "v"), kPatience, first.callback()));
  first.get();
  EXPECT_EQ(cluster[0].status().counter("host", "session_open"), 1u);
  session.reset();
  EXPECT_TRUE(eventually([&] { return cluster[0].status().counter("host", "session_open") == 0; }));
}

}  // namespace
}  // namespace epaxos::testing
