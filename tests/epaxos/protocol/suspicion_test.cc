// Who recovers and when: protocol.md 7.1.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

const Dependencies kNobody3{0, 0, 0};

const Tick kStep = CoreConfig{}.question_us / 2;

/// How long it takes until a replica recovers the row, while `each` happens every step.
template <class Each>
std::optional<Tick> time_to_recover(Subject& subject, Tick limit, Each each) {
  subject.end_turn();
  const Tick begin = subject.now;
  while (subject.now - begin < limit) {
    if (any<Recover>(subject.advance(kStep))) return subject.now - begin;
    each();
    subject.end_turn();
  }
  return std::nullopt;
}
std::optional<Tick> time_to_recover(Subject& subject, Tick limit = 20'000'000) {
  return time_to_recover(subject, limit, [] {});
}

TEST(Suspicion, NothingIsRecoveredWhileTheOwnerAnswers) {
  Subject b(kB, 3);
  b.deliver(kA, PreAccept{kA1, kNobody3, kBlock});

  const auto recovered = time_to_recover(b, 30'000'000, [&] {
    b.deliver(kA, RangeEnd{kA, Slot(1), false});
  });

  EXPECT_FALSE(recovered.has_value());
}

TEST(Suspicion, ASilentOwnerIsRecoveredAfterItWasAsked) {
  Subject b(kB, 3);
  b.deliver(kA, PreAccept{kA1, kNobody3, kBlock});

  const auto recovered = time_to_recover(b);

  ASSERT_TRUE(recovered.has_value());
  EXPECT_GE(*recovered, CoreConfig{}.question_us + CoreConfig{}.suspicion_us);
  EXPECT_GE(b.count(Count::kStatusAsked), 1u);
  EXPECT_EQ(only<Recover>(b.effects, 3).ballot, (Ballot{1, kB}));
  EXPECT_EQ(record_kinds(b.effects, kA1), std::vector{RecordKind::kVote});
  EXPECT_EQ(release_of<Recover>(b.effects), Release::kGated) << "a ballot is never used twice";
}

const RecoverOk kPromise = [] {
  RecoverOk answer;
  answer.instance = kA1;
  answer.ballot = {1, kB};
  return answer;
}();

/// How long B waits for A, which it has recovered before; `answer`: what A said to that.
template <class Answer>
Tick patience_after(Tick rest, Answer answer) {
  Subject b(kB, 3);
  b.deliver(kA, PreAccept{kA1, kNobody3, kBlock});
  EXPECT_TRUE(time_to_recover(b).has_value());
  answer(b);
  b.deliver(kA, Commit{kA1, CommitKind::kNop, {}, {}});
  b.end_turn();
  for (Tick begin = b.now; b.now - begin < rest; b.end_turn()) b.advance(kStep);
  b.deliver(kA, PreAccept{id(kA, 2), kNobody3, kBlock});
  return time_to_recover(b, 60'000'000).value();
}

TEST(Suspicion, AnOwnerThatAnswersItsRecovererIsGivenMoreTime) {
  const Tick suspicion = CoreConfig{}.suspicion_us;
  const Tick silent = patience_after(0, [](Subject&) {});

  // However late the answer comes, and if it is no promise.
  const Tick promised = patience_after(0, [](Subject& b) { b.deliver(kA, kPromise); });
  const Tick refused = patience_after(0, [](Subject& b) {
    b.deliver(kA, Nack{kA1, {1, kB}, {1, kC}});
  });

  EXPECT_GE(promised, silent + suspicion);
  EXPECT_GE(refused, silent + suspicion);
}

TEST(Suspicion, ManyAnswersAtOnceCountOnce) {
  const Tick once = patience_after(0, [](Subject& b) { b.deliver(kA, kPromise); });

  const Tick often = patience_after(0, [](Subject& b) {
    for (int i = 0; i < 100; ++i) b.deliver(kA, kPromise);
  });

  EXPECT_EQ(often, once);
}

TEST(Suspicion, AWrongOneIsForgottenAfterAWhile) {
  const Tick rest = 70'000'000;
  const Tick silent = patience_after(rest, [](Subject&) {});

  EXPECT_EQ(patience_after(rest, [](Subject& b) { b.deliver(kA, kPromise); }), silent);
}

TEST(Suspicion, ReplicasTakeTurnsInTheRotationOfRows) {
  Tick before = 0;
  for (const ReplicaId self : {kD, kE, kA, kB}) {
    Subject subject(self, 5);
    subject.deliver(self == kA ? kB : kA, Status{id(kC, 1)});
    const auto recovered = time_to_recover(subject);
    ASSERT_TRUE(recovered.has_value());
    EXPECT_GE(*recovered + kStep, before + CoreConfig{}.recovery_stagger_us);
    before = *recovered;
  }
}

TEST(Suspicion, WhoHearsOfARecoveryLeavesTheRowAlone) {
  Subject c(kC, 5);
  c.deliver(kB, Status{kA1});
  c.deliver(kB, Status{id(kA, 2)});
  const Tick patience = 2 * CoreConfig{}.recovery_timeout_us;

  c.deliver(kB, Recover{kA1, {1, kB}});
  const auto recovered = time_to_recover(c);

  ASSERT_TRUE(recovered.has_value()) << "only for a while";
  EXPECT_GE(*recovered, patience);
}

TEST(Suspicion, AnOwnerThatMayNotVoteIsRecoveredThoughItAnswers) {
  Subject b(kB, 3);
  b.deliver(kA, PreAccept{kA1, kNobody3, kBlock});

  const auto recovered = time_to_recover(b, 30'000'000, [&] {
    b.deliver(kA, Frontier{kNobody3, kNobody3, {1, 0, 0}, true});
  });

  EXPECT_TRUE(recovered.has_value());
}

TEST(Suspicion, OnceItVotesAgainItIsLeftToGoOn) {
  Subject b(kB, 3);
  b.deliver(kA, PreAccept{kA1, kNobody3, kBlock});
  b.deliver(kA, Frontier{kNobody3, kNobody3, {1, 0, 0}, true});

  const auto recovered = time_to_recover(b, 30'000'000, [&] {
    b.deliver(kA, Frontier{kNobody3, kNobody3, {1, 0, 0}, false});
  });

  EXPECT_FALSE(recovered.has_value());
}

TEST(Suspicion, EverythingUndecidedOfTheRowIsRecoveredAFewAtOnce) {
  CoreConfig few = config(kB, 3);
  few.recoveries_max = 3;
  Subject b(few);
  b.deliver(kC, Commit{id(kA, 2), CommitKind::kNop, {}, {}});
  b.deliver(kC, Status{id(kA, 9)});

  ASSERT_TRUE(time_to_recover(b).has_value());
  std::vector<std::uint64_t> slots;
  for (const auto& [to, recover] : sends<Recover>(b.effects, 3)) {
    EXPECT_EQ(to, ReplicaSet::all(3).without(kB));
    slots.push_back(recover.instance.slot.value());
  }
  EXPECT_EQ(slots, (std::vector<std::uint64_t>{1, 3, 4}));
}

TEST(Suspicion, AReplicaWithoutAVoteOrDiskRecoversNothing) {
  CoreConfig mute = config(kB, 3);
  mute.voting = false;
  Subject without_vote(mute);
  without_vote.deliver(kC, Status{kA1});
  EXPECT_FALSE(time_to_recover(without_vote).has_value());

  Subject full(kB, 3);
  full.deliver(kC, Status{kA1});
  full.core.storage_full(true);
  EXPECT_FALSE(time_to_recover(full).has_value());
}

// G8: somebody closed the round of a live owner, and did not finish.
TEST(Suspicion, AnOwnerRecoversWhatOthersLeftUnfinishedAndProposesItAgain) {
  Subject a(kA, 3);
  const auto block = block_of({write("x", 77)});
  a.propose({write("x", 77)});
  a.durable();
  a.deliver(kC, Recover{kA1, {1, kC}});

  const Ballot ballot = recovers(a, kA1);
  EXPECT_GT(ballot, (Ballot{1, kC}));
  a.deliver(kB, has_matched(kA1, ballot, kNobody3, block));
  EXPECT_EQ(a.count(Count::kRecoveryC3), 1u) << "its own answer makes it a Nop";
  a.deliver(kB, AcceptOk{kA1, ballot});

  EXPECT_TRUE(a.instance(kA1).decided_nop());
  EXPECT_EQ(only<PreAccept>(a.end_turn(), 3).instance, id(kA, 2));
}

TEST(Suspicion, AnOwnerDoesNotRecoverARoundThatRuns) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();

  EXPECT_FALSE(time_to_recover(a).has_value());
}

TEST(Suspicion, AStatusGetsASignOfLifeWhateverTheOwnerKnows) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kC, Recover{kA1, {1, kC}});

  const Effects& effects = a.deliver(kB, Status{kA1});

  EXPECT_EQ(only<RangeEnd>(effects, 3).row, kA);
  EXPECT_FALSE(any<PreAccept>(effects)) << "its round is closed";
  EXPECT_FALSE(any<RangeEnd>(a.deliver(kB, Status{id(kC, 1)}))) << "for its own row only";
}
}  // namespace
}  // namespace epaxos::protocol
