// A thrifty owner asks only whom it needs. Source: protocol.md 18.2.

#include <gtest/gtest.h>

#include "epaxos/protocol/nearness.h"
#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

CoreConfig thrifty(int n) {
  CoreConfig config = protocol::config(kA, n);
  config.thrifty = true;
  return config;
}

const ReplicaSet kOthers = ReplicaSet::all(5).without(kA);

ReplicaSet these(std::initializer_list<ReplicaId> replicas) {
  ReplicaSet set;
  for (const ReplicaId replica : replicas) set.add(replica);
  return set;
}

/// Has asked everybody about a first instance and knows that d is near, then c, e and b.
class Thrifty : public ::testing::Test {
 protected:
  Thrifty() : a(thrifty(5)) {
    a.propose({write("first")});
    a.durable();
    for (const ReplicaId peer : {kD, kC, kE, kB}) {
      a.advance(10'000);
      a.deliver(peer, PreAcceptOk{kA1, true, {}});
    }
    a.durable();
    a.end_turn();
  }

  /// Whom it asks about a command of its own; the instance becomes durable.
  ReplicaSet asked(std::string_view key) {
    const auto sent = sends<PreAccept>(a.propose({write(key)}), 5);
    EXPECT_EQ(sent.size(), 1u);
    const ReplicaSet to = sent.empty() ? ReplicaSet() : sent.front().first;
    a.durable();
    return to;
  }

  Subject a;
};

TEST_F(Thrifty, AsksTheNearestWhoCanDecide) {
  EXPECT_EQ(asked("x"), these({kC, kD}));
  EXPECT_EQ(a.core.history(id(kA, 2))->not_asked, these({kB, kE})) << "and nobody waits for them";
}

TEST_F(Thrifty, TellsTheOthersTheProposalWithTheDecision) {
  asked("x");
  a.deliver(kC, PreAcceptOk{id(kA, 2), true, {}});
  a.deliver(kD, PreAcceptOk{id(kA, 2), true, {}});

  const auto commits = sends<Commit>(a.durable(), 5);

  ASSERT_EQ(commits.size(), 2u);
  EXPECT_EQ(commits[0].first, these({kC, kD}));
  EXPECT_EQ(commits[0].second.kind, CommitKind::kInitial);
  EXPECT_EQ(commits[1].first, these({kB, kE}));
  EXPECT_EQ(commits[1].second.kind, CommitKind::kFull);
  EXPECT_FALSE(commits[1].second.block.empty());
}

// Nobody is left who could answer what is proposed, so that waiting would be in vain.
TEST_F(Thrifty, AnAnswerThatDiffersTakesTheSlowPathAmongTheNearestAtOnce) {
  asked("x");
  a.deliver(kC, PreAcceptOk{id(kA, 2), true, {}});
  const Dependencies more{0, 0, 0, 4, 0};

  const auto accepts = sends<Accept>(a.deliver(kD, PreAcceptOk{id(kA, 2), false, more}), 5);

  ASSERT_EQ(accepts.size(), 1u);
  EXPECT_EQ(accepts[0].first, these({kC, kD}));
  EXPECT_EQ(accepts[0].second.dependencies, more);
}

TEST_F(Thrifty, AsksTheOthersWhenTheNearestAreSilent) {
  asked("x");
  a.deliver(kC, PreAcceptOk{id(kA, 2), true, {}});

  const auto again = sends<PreAccept>(a.advance(thrifty(5).retransmit_us), 5);

  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].first, these({kB, kD, kE}));
  EXPECT_EQ(asked("y"), these({kC, kE})) << "as d did not answer";
  a.deliver(kD, PreAcceptOk{id(kA, 2), true, {}});
  EXPECT_EQ(asked("z"), these({kC, kD})) << "as d is heard";
}

TEST_F(Thrifty, EverySecondEverybodyIsAskedSoThatWhoGotNearerIsFound) {
  a.advance(1'000'000);
  const InstanceId probe = id(kA, 2);
  EXPECT_EQ(asked("x"), kOthers);
  for (const ReplicaId peer : {kB, kE}) a.deliver(peer, PreAcceptOk{probe, true, {}});
  a.advance(600'000);
  for (const ReplicaId peer : {kC, kD}) a.deliver(peer, PreAcceptOk{probe, true, {}});

  EXPECT_EQ(asked("y"), these({kB, kE}));
}

TEST(ThriftyOwner, AsksEverybodyUntilEnoughHaveAnswered) {
  Subject a(thrifty(5));
  EXPECT_EQ(sends<PreAccept>(a.propose({write("x")}), 5).at(0).first, kOthers);
  a.durable();
  EXPECT_EQ(sends<PreAccept>(a.propose({write("y")}), 5).at(0).first, kOthers);
  a.durable();
  a.deliver(kE, PreAcceptOk{kA1, true, {}});
  EXPECT_EQ(sends<PreAccept>(a.propose({write("z")}), 5).at(0).first, kOthers);
}

TEST(ThriftyOwner, TellsNobodyWhatOthersKnowWhoWereAskedAgain) {
  Subject a(thrifty(3));
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{kA1, true, {}});
  a.durable();
  ASSERT_EQ(sends<PreAccept>(a.propose({write("y")}), 3).at(0).first, these({kB}));
  a.durable();
  a.advance(thrifty(3).retransmit_us);

  a.deliver(kC, PreAcceptOk{id(kA, 2), true, {}});

  const auto commits = sends<Commit>(a.durable(), 3);
  ASSERT_EQ(commits.size(), 1u);
  EXPECT_EQ(commits[0].first, these({kB, kC}));
  EXPECT_EQ(commits[0].second.kind, CommitKind::kInitial);
}

}  // namespace
}  // namespace epaxos::protocol
