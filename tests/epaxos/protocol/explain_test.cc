// What a core can tell afterwards about one instance: who broke the fast path and with what, what
// its execution waited for, who recovered it. docs/operation.md, "Why was a command slow?".

#include <gmock/gmock.h>

#include "tests/epaxos/protocol/staged_group.h"

namespace epaxos::protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = InstanceHistory::Kind;

InstanceHistory told(const StagedGroup& group, ReplicaId by, const InstanceId& about) {
  const Result<InstanceHistory> history = group.core(by).history(about);
  EXPECT_TRUE(history) << (history ? "" : history.error().message);
  return history ? *history : InstanceHistory();
}

std::string refusal(const Core& core, const InstanceId& about) {
  const Result<InstanceHistory> history = core.history(about);
  EXPECT_FALSE(history);
  return history ? "" : history.error().message;
}

TEST(Explain, ACommandThatNobodyContendsForShowsOneRound) {
  StagedGroup group(5);
  group.advance(kA, 1'000);

  const InstanceId a1 = group.propose(kA, kFirst);
  group.advance(kA, 500);
  group.ask<PreAccept>(kA, {kB, kC}, a1);

  const InstanceHistory history = told(group, kA, a1);
  EXPECT_TRUE(history.kept);
  EXPECT_EQ(history.decided_by, DecidedBy::kFastPath);
  EXPECT_EQ(history.given_at, 1'000u);
  EXPECT_EQ(history.proposed_at, 1'000u);
  EXPECT_EQ(history.sent_at, 1'000u);
  EXPECT_EQ(history.committed_at, 1'500u);
  ASSERT_THAT(history.answers, SizeIs(2));
  EXPECT_EQ(history.answers[1].from, kC);
  EXPECT_EQ(history.answers[1].at, 1'500u);
  EXPECT_THAT(history.extras, IsEmpty());
  EXPECT_THAT(history.waits, IsEmpty());
  EXPECT_EQ(history.slow_at, 0u);
  EXPECT_TRUE(history.executed);
  EXPECT_EQ(history.component, 1u);
}

// C has heard of E1, which conflicts; A has not. C says so, which breaks A's fast path, and then
// A1 waits for E1, which is decided much later.
TEST(Explain, ItNamesWhoAddedWhatAndWhatTheExecutionWaitedFor) {
  StagedGroup group(5);
  const InstanceId e1 = group.propose(kE, kFirst);
  group.deliver<PreAccept>(kE, kC, e1);
  group.advance(kA, 1'000);
  const InstanceId a1 = group.propose(kA, kSecond);

  group.advance(kA, 100);
  group.ask<PreAccept>(kA, {kB, kC}, a1);
  group.advance(kA, 100);
  group.ask<Accept>(kA, {kB, kC}, a1);

  const InstanceHistory waiting = told(group, kA, a1);
  ASSERT_THAT(waiting.extras, SizeIs(1));
  EXPECT_EQ(waiting.extras[0].from, kC);
  EXPECT_EQ(waiting.extras[0].of, e1);
  EXPECT_EQ(waiting.slow_reason, SlowReason::kAnswersDiffer);
  EXPECT_EQ(waiting.slow_at, 1'100u);
  EXPECT_EQ(waiting.decided_by, DecidedBy::kSlowPath);
  EXPECT_EQ(waiting.committed_at, 1'200u);
  ASSERT_THAT(waiting.waits, SizeIs(1));
  EXPECT_EQ(waiting.waits[0].on, e1);
  EXPECT_FALSE(waiting.waits[0].was_committed);
  EXPECT_EQ(waiting.blocker, e1);
  EXPECT_EQ(waiting.ready_at, 0u);

  group.advance(kA, 5'000);
  group.settle();

  const InstanceHistory over = told(group, kA, a1);
  EXPECT_EQ(over.last, e1);
  EXPECT_GE(over.ready_at, 6'200u);
  EXPECT_EQ(over.waits[0].committed_at, over.ready_at);
  EXPECT_TRUE(over.executed);
}

// Two that name each other run together, and the one that is decided last lets both go.
TEST(Explain, ItTellsHowManyRanTogetherAndWhoClosedTheirCircle) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  const InstanceId b1 = group.propose(kB, kSecond);

  group.deliver<PreAccept>(kA, kB, a1);
  group.deliver<PreAccept>(kB, kA, b1);
  group.settle();

  const InstanceHistory at_a = told(group, kA, a1);
  const InstanceHistory at_b = told(group, kB, b1);
  EXPECT_EQ(at_a.component, 2u);
  EXPECT_EQ(at_b.component, 2u);
  EXPECT_EQ(at_a.blocker ? at_a.last : at_b.last, at_a.blocker ? b1 : a1);
}

TEST(Explain, OfARecoveredInstanceTheRecovererTellsWhyAndTheOwnerByWhom) {
  StagedGroup group(5);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.deliver<PreAccept>(kA, {kB, kC}, a1);

  group.recover(kB, a1);
  group.deliver<Recover>(kB, kA, a1);
  const InstanceHistory at_owner = told(group, kA, a1);
  group.settle();

  const InstanceHistory at_recoverer = told(group, kB, a1);
  EXPECT_TRUE(at_recoverer.kept);
  ASSERT_TRUE(at_recoverer.recovery);
  EXPECT_EQ(at_recoverer.recovery->by, kB);
  EXPECT_EQ(at_recoverer.recovery->reason, RecoveryReason::kOwnerSilent);
  EXPECT_GE(at_recoverer.recovery->silent_us, CoreConfig{}.suspicion_us);
  ASSERT_TRUE(at_owner.recovery);
  EXPECT_EQ(at_owner.recovery->by, kB);
  EXPECT_FALSE(at_owner.recovery->reason) << "it cannot know what others had in mind";
  const InstanceHistory over = told(group, kA, a1);
  EXPECT_NE(over.decided_by, DecidedBy::kNobody);
  if (over.nop) {
    EXPECT_EQ(told(group, kA, over.retried).retries, a1);
  }
}

TEST(Explain, ACommandThatWasPutAsideCountsFromWhenItWasGiven) {
  StagedGroup group(3);
  const InstanceId b1 = group.propose(kB, kFirst);
  group.deliver<PreAccept>(kB, kA, b1);
  group.advance(kA, 1'000);
  const InstanceId a1 = group.propose(kA, write("k", 3));
  group.propose(kA, write("k", 4));  // A and B both have something undecided on the key.

  group.settle();

  const InstanceHistory second = told(group, kA, id(kA, 2));
  EXPECT_EQ(second.given_at, 1'000u);
  EXPECT_GT(second.proposed_at, second.given_at);
  EXPECT_EQ(second.behind, a1.slot);
  EXPECT_FALSE(second.fenced);
}

TEST(Explain, WhoIsNotTheOwnerTellsWhatItAnsweredAndWhomToAsk) {
  StagedGroup group(5);
  const InstanceId e1 = group.propose(kE, kFirst);
  group.deliver<PreAccept>(kE, kC, e1);
  const InstanceId a1 = group.propose(kA, kSecond);
  group.deliver<PreAccept>(kA, kC, a1);

  const InstanceHistory history = told(group, kC, a1);

  EXPECT_FALSE(history.kept);
  EXPECT_TRUE(history.recorded);
  ASSERT_THAT(history.extras, SizeIs(1));
  EXPECT_EQ(history.extras[0].of, e1);
  EXPECT_THAT(history.why_not_kept, HasSubstr("--replica 0"));
}

TEST(Explain, WhatIsNotKnownIsRefusedWithAReason) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);

  EXPECT_THAT(refusal(group.core(kA), id(kA, 7)), HasSubstr("it knows of R0.1 at most"));
  EXPECT_THAT(refusal(group.core(kB), a1), HasSubstr("no instance of this row yet"));
  EXPECT_THAT(refusal(group.core(kA), id(kE, 1)), HasSubstr("rows of this group are R0 to R2"));
  EXPECT_THAT(refusal(group.core(kA), id(kA, 0)), HasSubstr("slots begin at 1"));
}

TEST(Explain, AfterARestartTheStepsOfTheEarlierLifeAreGone) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.restart(kA);

  const InstanceHistory history = told(group, kA, a1);

  EXPECT_FALSE(history.kept);
  EXPECT_THAT(history.why_not_kept, HasSubstr("before R0 started"));
}

TEST(Explain, OnlyTheLastInstancesAreKept) {
  CoreConfig few = config(kA, 3);
  few.history_instances = 2;
  Subject subject(few);
  for (std::uint64_t i = 1; i <= 3; ++i) subject.propose({write(std::to_string(i), i)});

  EXPECT_TRUE(subject.core.history(id(kA, 3))->kept);
  EXPECT_TRUE(subject.core.history(id(kA, 2))->kept);
  const InstanceHistory oldest = *subject.core.history(kA1);
  EXPECT_FALSE(oldest.kept);
  EXPECT_THAT(oldest.why_not_kept, HasSubstr("the steps of its last 2 instances"));
  const auto slowest = subject.core.slowest(10);
  ASSERT_TRUE(slowest);
  EXPECT_THAT(*slowest, SizeIs(2));
}

TEST(Explain, SwitchedOffItSaysHowToSwitchItOn) {
  CoreConfig off = config(kA, 3);
  off.history_instances = 0;
  Subject subject(off);
  subject.propose({write("x")});

  EXPECT_THAT(subject.core.history(kA1)->why_not_kept, HasSubstr("limits.history_instances"));
  EXPECT_THAT(subject.core.slowest(1).error().message, HasSubstr("limits.history_instances"));
}

TEST(Explain, SlowestBeginsWithWhatIsUnderWay) {
  StagedGroup group(3);
  const InstanceId a1 = group.propose(kA, kFirst);
  group.all_apply();
  group.ask<PreAccept>(kA, {kB}, a1);
  const InstanceId a2 = group.propose(kA, write("other", 5));

  const auto slowest = group.core(kA).slowest(1);

  ASSERT_TRUE(slowest);
  ASSERT_THAT(*slowest, SizeIs(1));
  EXPECT_EQ((*slowest)[0].id, a2);
}

}  // namespace
}  // namespace epaxos::protocol
