// A change of the members begins, and a learner becomes a voter, only when majorities of both sides
// answer what is sent to them then.

#include "tests/compare/raft/membership_support.h"

namespace epaxos::compare::raft {
namespace {

// B has just died, and counts as one that answers for an election timeout. A and B could decide
// nothing any more, not even that C is to come back.
TEST(ChangeMembers, NothingIsBegunWhenAMajorityHasAnsweredLatelyButDoesNotNow) {
  Led a(config(kA, 3));
  const LogIndex last = a.core.log().last();

  ASSERT_TRUE(ask(a, MemberChange::kRemove, kC)) << "both have answered a moment ago";
  EXPECT_FALSE(sends<AppendEntries>(a.effects, 3).empty()) << "it asks at once";
  EXPECT_EQ(told_by(a).change, "R2 is to leave, when enough members have answered");
  a.advance(CoreConfig{}.election_us / 2);
  answer_now(a, set_of(kC));
  EXPECT_EQ(told_by(a).given_up, "");
  a.advance(CoreConfig{}.election_us / 2);

  EXPECT_EQ(members_of(a), (Members{set_of(kA, kB, kC), {}, {}}));
  EXPECT_EQ(a.core.log().last(), last) << "nothing is to be taken back";
  EXPECT_EQ(told_by(a).change, "");
  EXPECT_EQ(told_by(a).given_up,
            "R2 was not removed: that would lose the quorum, as R1 does not answer, and 2 of the 2 "
            "replicas that would be members must. Start those that are down first, or remove one "
            "of them instead.");
  EXPECT_TRUE(told_by(a).may_pass);
  EXPECT_EQ(a.count(Count::kMemberChangesRefused), 1u);
  EXPECT_EQ(a.count(Count::kChangesWithoutQuorum), 1u);
  a.advance(1);
  EXPECT_FALSE(ask(a, MemberChange::kRemove, kC)) << "by now its silence shows";
  EXPECT_TRUE(change(a, MemberChange::kRemove, kB)) << "the advice is good";
  EXPECT_EQ(told_by(a).change, "R1 leaves");
}

TEST(ChangeMembers, AMajorityOfThoseWhoAreMembersMustAnswerToo) {
  Led a(with_spare(kA));
  ASSERT_TRUE(ask(a, MemberChange::kAdd, kSpare));
  answer_now(a, set_of(kD));
  a.advance(CoreConfig{}.election_us);

  EXPECT_EQ(members_of(a).learners, ReplicaSet());
  EXPECT_EQ(told_by(a).given_up,
            "R3 was not added: no change can be decided, as R1 and R2 do not answer, and 2 of the "
            "3 members must. Start those that are down first.");
}

TEST(ChangeMembers, WhatLeftBeforeTheRequestProvesNothing) {
  Led a(config(kA, 3));
  const Tick before = a.now;
  a.advance(1);
  ASSERT_TRUE(ask(a, MemberChange::kRemove, kC));
  AppendEntriesReply late;
  late.term = a.core.current_term();
  late.success = true;
  for (const Tick sent_at : {Tick{0}, before}) {
    late.sent_at = sent_at;
    a.deliver(kB, late);
    EXPECT_FALSE(members_of(a).is_joint()) << sent_at;
  }

  late.sent_at = a.now;
  a.deliver(kB, late);

  EXPECT_TRUE(members_of(a).is_joint());
}

TEST(ChangeMembers, WhoHasForgottenItsPromisesDoesNotCountAsAnswering) {
  Led a(config(kA, 3));
  ASSERT_TRUE(ask(a, MemberChange::kRemove, kC));
  a.core.peer_forgot(kB);
  answer_now(a, set_of(kB, kC));
  EXPECT_FALSE(members_of(a).is_joint());
}

TEST(ChangeMembers, OneThatWaitsForAnswersIsTheOnlyOne) {
  Led a(config(kA, 4));
  ASSERT_TRUE(ask(a, MemberChange::kRemove, kD));
  EXPECT_NE(ask(a, MemberChange::kRemove, kC).error().message.find("under way"), std::string::npos);
  answer_now(a, set_of(kB, kC));
  EXPECT_EQ(told_by(a).change, "R3 leaves");
}

TEST(ChangeMembers, OneThatWaitsForAnswersGoesWithTheLead) {
  Led a(config(kA, 3));
  ASSERT_TRUE(ask(a, MemberChange::kRemove, kC));

  a.deliver(kB, append(9, 0, 0));

  ASSERT_EQ(a.core.role(), Role::kFollower);
  EXPECT_EQ(told_by(a).change, "");
  EXPECT_EQ(told_by(a).given_up, "R2 was not removed: R0 does not lead any more; ask the leader.");
  EXPECT_TRUE(told_by(a).may_pass);
  EXPECT_EQ(a.count(Count::kMemberChangesRefused), 1u);
  a.lead();
  answer_now(a, set_of(kB, kC));
  EXPECT_FALSE(members_of(a).is_joint()) << "nobody goes on with it";
}

TEST(ChangeMembers, ALeaderThatMayAddNothingToItsLogRefusesInTheEnd) {
  Led a(config(kA, 3));
  ASSERT_TRUE(ask(a, MemberChange::kRemove, kC));
  ASSERT_TRUE(a.core.transfer_leadership(kB, a.effects));
  answer_now(a, set_of(kB, kC));
  EXPECT_FALSE(members_of(a).is_joint());
  a.core.storage_full(true);
  a.advance(CoreConfig{}.election_us);
  EXPECT_NE(told_by(a).given_up.find("R0 gives up the lead"), std::string::npos);
}

// The learner and C were heard a moment ago: with them dead, A and B are no majority of four.
TEST(AddMember, GoesOverToTheNewVotersOnlyWhenAMajorityOfThemAnswersNow) {
  Led a;
  ASSERT_TRUE(change(a, MemberChange::kAdd, kSpare));
  a.durable();
  const std::uint64_t last = a.core.log().last().value();
  for (const ReplicaId each : {kB, kC, kD}) a.acknowledge(each, last);
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(members_of(a).learners, set_of(kD)) << round;
    a.advance(CoreConfig{}.election_us);
    has_all(a, set_of(kB));
  }

  EXPECT_EQ(members_of(a), (Members{set_of(kA, kB, kC), {}, {}}));
  EXPECT_EQ(told_by(a).given_up,
            "R3 was not added: that would lose the quorum, as R2 and R3 do not answer, and 3 of "
            "the 4 replicas that would be members must. Start those that are down first.");
  EXPECT_FALSE(told_by(a).may_pass) << "it has been tried long enough";
}

}  // namespace
}  // namespace epaxos::compare::raft
