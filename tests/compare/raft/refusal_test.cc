// What no honest peer says, in whatever order letters come: it is refused, counted by its name, and
// changes nothing. docs/raft.md has the table.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

CoreConfig with_leases(ReplicaId self) {
  CoreConfig leases = config(self, 3);
  leases.reads = Reads::kLease;
  return leases;
}

TEST(Refusal, AnotherEntryOfTheSameTermInTheSamePlace) {
  Subject b(config(kB, 3), disk_of({1, 1}, 1));
  b.deliver(kA, append(1, 1, 1, {}, 1));
  ASSERT_EQ(b.commit(), 1u);
  const auto other = entry_of(1, kC, 7);

  for (const std::uint64_t place : {1U, 2U}) {
    b.deliver(kA, append(1, place - 1, place - 1, other, 2));

    EXPECT_FALSE(Subject::has<AppendEntriesReply>(b.effects)) << "it is not acknowledged";
    EXPECT_TRUE(std::ranges::equal(b.core.log().encoded(LogIndex(place)), entry_at(place, 1)));
    EXPECT_EQ(b.count(Count::kContradictsLog), place);
  }
  EXPECT_EQ(b.commit(), 1u);
}

TEST(Refusal, AnAnswerThatKnowsMoreThanTheLeaderHas) {
  Subject a(kA, 3);
  a.lead();

  a.acknowledge(kB, 2);
  EXPECT_EQ(a.count(Count::kNeverAsked), 1u);
  EXPECT_EQ(a.commit(), 0u);

  a.acknowledge(kB, 1);
  EXPECT_EQ(a.count(Count::kNeverAsked), 1u);
  EXPECT_EQ(a.commit(), 1u);
}

TEST(Refusal, AnAnswerToWhatWillBeSentLater) {
  Subject a(with_leases(kA));
  a.lead();
  AppendEntriesReply reply{a.core.current_term(), true, true, LogIndex(1),
                           LogIndex(1),           {},   {},   a.now + 1};
  reply.promised_us = 300'000;

  a.deliver(kB, reply);

  EXPECT_EQ(a.count(Count::kNeverAsked), 1u);
  EXPECT_EQ(a.core.peer(kB).round_trip_us, 0u);
}

TEST(Refusal, AnAnswerToAReadThatNobodyHasAskedAbout) {
  Subject b(with_leases(kB));
  b.deliver(kA, append(1, 0, 0));

  b.deliver(kA, ReadIndexReply{1, 1, {}});
  EXPECT_EQ(b.count(Count::kNeverAsked), 1u);
  b.deliver(kA, ReadIndexReply{2, 1, {}});
  EXPECT_EQ(b.count(Count::kNeverAsked), 2u) << "of a life that has not begun";
}

const Members kAll{ReplicaSet::all(3), {}, {}};

TEST(Refusal, MembersThatAreNotReachedByWayOfBothSets) {
  const ReplicaSet two = ReplicaSet::all(3).without(kC);
  const Members joint{two, ReplicaSet::all(3), {}};
  const struct {
    Members before;
    Members next;
    bool fits;
  } changes[] = {
      {kAll, {two, {}, {}}, false},                                 // At once.
      {kAll, {two, two, {}}, false},                                // From other voters.
      {kAll, joint, true},                                          //
      {joint, {two, {}, {}}, true},                                 //
      {joint, kAll, false},                                         // Back again.
      {joint, {two, two, {}}, false},                               // Before it is over.
      {{two, {}, {}}, {two, {}, ReplicaSet::only(kC)}, true},       // A learner,
      {{two, {}, ReplicaSet::only(kC)}, {two, {}, {}}, true},       // that is given up,
      {{two, {}, ReplicaSet::only(kC)}, {kAll.voters, two}, true},  // or joins.
      {{two, {}, ReplicaSet::only(kC)}, kAll, false},
  };
  for (const auto& each : changes) {
    SCOPED_TRACE(packed(each.before) * 1'000'000'000 + packed(each.next));
    Subject b(kB, 3);
    b.deliver(kA, append(1, 0, 0, members_entry(1, each.before)));
    ASSERT_EQ(b.terms(), Terms{1}) << "the first one says who they were all along";

    b.deliver(kA, append(1, 1, 1, members_entry(1, each.next)));

    EXPECT_EQ(b.count(Count::kImpossibleMembers), each.fits ? 0u : 1u);
    EXPECT_EQ(b.core.configurations().latest(), each.fits ? each.next : each.before);
  }
}

// The suffix that held the first step is overwritten: the second one does not follow any more.
TEST(Refusal, MembersThatFollowedWhatIsOverwritten) {
  const ReplicaSet two = ReplicaSet::all(3).without(kC);
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, members_entry(1, kAll)));
  b.deliver(kA, append(1, 1, 1, members_entry(1, {two, kAll.voters, {}})));
  ASSERT_TRUE(b.core.configurations().latest().is_joint());

  b.deliver(kC, append(2, 1, 1, members_entry(2, {two, {}, {}})));

  EXPECT_EQ(b.count(Count::kImpossibleMembers), 1u);
  EXPECT_EQ(b.terms(), (Terms{1, 1})) << "and nothing is taken away for it";
}

// The number after it is one that no codec takes, that of the own disk included.
TEST(Refusal, AnElectionWhenThereIsNoTermLeft) {
  Subject b(kB, 3);
  b.deliver(kA, append(kTermMax, 0, 0));
  ASSERT_EQ(b.core.current_term(), Term(kTermMax));

  b.deliver(kA, TimeoutNow{Term(kTermMax)});
  EXPECT_EQ(b.count(Count::kLastTerm), 1u);
  b.advance(100 * kSecond);
  b.advance(100 * kSecond);

  EXPECT_GE(b.count(Count::kLastTerm), 2u);
  EXPECT_EQ(b.core.role(), Role::kFollower);
  EXPECT_EQ(b.core.current_term(), Term(kTermMax));
  Subject again(config(kB, 3), b.disk);
  EXPECT_EQ(again.core.current_term(), Term(kTermMax));
}

TEST(Refusal, WhatATurnHasNoRoomFor) {
  Subject b(kB, 3);
  b.turn([&] {
    Slice unused;
    b.effects.allocate(std::size_t{65} * 1024 * 1024, unused);
    b.give(kA, append(1, 0, 0, entries(1, {1})));
  });
  EXPECT_EQ(b.count(Count::kTurnFull), 1u);
  EXPECT_EQ(b.terms(), Terms{});

  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  EXPECT_EQ(b.terms(), Terms{1}) << "it comes again";
}

TEST(Refusal, AVoteThatIsAskedOfWhoMustNotVote) {
  CoreConfig silent = config(kB, 3);
  silent.voting = false;
  Subject b(silent);

  b.deliver(kA, RequestVote{Term(2), {}, {}, false, false});
  b.deliver(kA, TimeoutNow{Term(2)});

  EXPECT_FALSE(Subject::has<RequestVoteReply>(b.effects));
  EXPECT_EQ(b.count(Count::kNotVoting), 2u);
}

TEST(Refusal, AVoteOfWhoHasForgotten) {
  Subject a(kA, 3);
  a.wait_for_election();
  a.core.peer_forgot(kB);

  a.deliver(kB, a.pre_vote());

  EXPECT_EQ(a.count(Count::kPeerForgot), 1u);
  EXPECT_EQ(a.core.role(), Role::kPreCandidate);
}

// Letters may come late and twice: this is ignored, and no refusal.
TEST(Ignored, WhatIsOver) {
  Subject a(config(kA, 3), disk_of({1}, 3));
  a.lead();
  const Term led = a.core.current_term();
  a.acknowledge(kB, 2);
  ASSERT_EQ(a.commit(), 2u);

  a.acknowledge(kB, 2);
  a.deliver(kB, a.vote());
  a.deliver(
      kB, AppendEntriesReply{Term(led.value() - 1), false, true, LogIndex(9), {}, {}, LogIndex(1)});
  a.deliver(kB, append(led.value() - 1, 0, 0));

  EXPECT_EQ(a.core.role(), Role::kLeader);
  for (std::size_t i = 0; i < kCountNames.size(); ++i) {
    if (!std::string_view(kCountNames[i]).starts_with("refused_")) continue;
    EXPECT_EQ(a.count(static_cast<Count>(i)), 0u) << kCountNames[i];
  }
}

}  // namespace
}  // namespace epaxos::compare::raft
