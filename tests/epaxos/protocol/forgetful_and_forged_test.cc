// A replica whose disk has forgotten promises nothing once anything shows it; and no answer,
// however forged, ends the process. Source: protocol.md 13.5 and 7.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

/// The ballot at which D begins to recover A.1, which E has told it of.
Ballot begin_recovery(Subject& d) {
  d.deliver(kE, Frontier{Dependencies(5), Dependencies(5), {1, 0, 0, 0, 0}, false, 0});
  d.end_turn();
  for (int i = 0; i < 100; ++i) {
    const Effects& effects = d.advance(100'000);
    if (any<Recover>(effects)) return only<Recover>(effects, 5).ballot;
  }
  ADD_FAILURE() << "nothing is recovered";
  return {};
}

TEST(Forgetful, AnOwnerOfALostInstanceAnswersNoRecoverer) {
  Subject a(kA, 3);
  EXPECT_FALSE(any<RecoverOk>(a.deliver(kC, Recover{id(kA, 1), Ballot{1, kC}})));
  EXPECT_FALSE(a.core.voting());
}

TEST(Forgetful, ItDoesNotVoteForALostInstance) {
  Subject a(kA, 3);
  EXPECT_FALSE(any<AcceptOk>(a.deliver(kC, Accept{id(kA, 1), Ballot{1, kC}, true, {}, {}})));
  EXPECT_FALSE(a.core.voting());
}

TEST(Forgetful, DependenciesOnALostInstanceShowItToo) {
  Subject a(kA, 3);
  const auto block = block_of({write("x")});
  const Effects& effects = a.deliver(kC, Accept{id(kB, 1), Ballot{1, kC}, false, {3, 0, 0}, block});
  EXPECT_FALSE(any<AcceptOk>(effects));
  EXPECT_FALSE(a.core.voting());
}

TEST(Forgetful, WhatAPeerSaysThatForgotIsWorthNothingButItsQuestions) {
  Subject a(kA, 3);
  const auto block = block_of({write("x")});
  a.core.peer_forgot(kB);
  EXPECT_TRUE(a.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block}).empty());
  EXPECT_TRUE(a.deliver(kB, Accept{id(kC, 1), Ballot{1, kB}, true, {}, {}}).empty());
  EXPECT_EQ(a.count(Count::kPeerForgot), 2u);
  EXPECT_TRUE(any<RangeEnd>(a.deliver(kB, FetchRange{kA, Slot(1), Slot(1)})));
  EXPECT_EQ(only<Frontier>(a.advance(1), 3).forgetful, ReplicaSet::only(kB).bits());
}

TEST(Forgetful, ItStopsVotingWhenAPeerSaysSo) {
  Subject a(kA, 3);
  Frontier news{Dependencies(3), Dependencies(3), Dependencies(3), false, 0};
  news.forgetful = ReplicaSet::only(kC).bits();
  a.deliver(kB, news);
  EXPECT_TRUE(a.core.voting()) << "it speaks of somebody else";
  news.forgetful = ReplicaSet::only(kA).bits();
  a.deliver(kB, news);
  EXPECT_FALSE(a.core.voting());
}

TEST(Forged, AVoteThatLosesWhatTheOwnerProposedIsNotProposed) {
  Subject d(kD, 5);
  const auto block = block_of({write("x")});
  const Ballot ballot = begin_recovery(d);
  RecoverOk vote;
  vote.instance = id(kA, 1);
  vote.ballot = ballot;
  vote.voted = true;
  vote.vote_dependencies = Dependencies(5);
  vote.block = block;
  d.deliver(kB, vote);
  RecoverOk record;
  record.instance = id(kA, 1);
  record.ballot = ballot;
  record.recorded = true;
  record.initial = {0, 5, 0, 0, 0};
  record.block = block;
  d.deliver(kC, record);
  EXPECT_FALSE(d.instance(id(kA, 1)).vote());
}

TEST(Forged, TheLastBallotOfAllStopsNobody) {
  Subject d(kD, 5);
  d.deliver(kE, Recover{id(kA, 1), Ballot{kBallotRoundMax, kE}});
  d.end_turn();
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(any<Recover>(d.advance(100'000)));
}

TEST(Forged, ANackWithTheLastBallotStopsNobody) {
  Subject d(kD, 5);
  const Ballot ballot = begin_recovery(d);
  d.deliver(kE, Nack{id(kA, 1), ballot, Ballot{kBallotRoundMax, kE}});
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(any<Recover>(d.advance(100'000)));
}

}  // namespace
}  // namespace epaxos::protocol
