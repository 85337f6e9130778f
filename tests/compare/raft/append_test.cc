// The follower's log. Source: Raft paper, Figure 2 (AppendEntries RPC), 5.3 and Figure 7.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

TEST(AppendEntries, AreAnsweredWhenTheyAreOnDisk) {
  Subject b(kB, 3);

  b.deliver(kA, append(1, 0, 0, entries(1, {1, 1})));

  const auto reply = only<AppendEntriesReply>(b);
  EXPECT_TRUE(reply.success);
  EXPECT_EQ(reply.match_index, LogIndex(2));
  EXPECT_EQ(release_of<AppendEntriesReply>(b), Release::kGated);
  EXPECT_EQ(b.core.durable_index(), LogIndex(0));
  b.durable();
  EXPECT_EQ(b.core.durable_index(), LogIndex(2));
  EXPECT_EQ(Subject(config(kB, 3), b.disk).terms(), (Terms{1, 1}));
}

TEST(AppendEntries, ManyInOneTurnGetOneAnswer) {
  Subject b(kB, 3);

  b.turn([&] {
    b.give(kA, append(1, 0, 0, entries(1, {1})));
    b.give(kA, append(1, 1, 1, entries(2, {1})));
    b.give(kA, append(1, 2, 1, entries(3, {1})));
  });

  EXPECT_EQ(only<AppendEntriesReply>(b).match_index, LogIndex(3));
}

TEST(AppendEntries, OfAnEarlierTermAreRefusedWithTheCurrentOne) {
  Subject b(config(kB, 3), disk_of({1}, 5));
  b.deliver(kA, append(4, 1, 1, entries(2, {4})));
  const auto reply = only<AppendEntriesReply>(b);
  EXPECT_FALSE(reply.success);
  EXPECT_EQ(reply.term, Term(5));
  EXPECT_EQ(b.terms(), Terms{1});
}

TEST(AppendEntries, BeyondTheEndAreRefusedWithWhereItEnds) {
  Subject b(config(kB, 3), disk_of({1, 1}, 1));
  b.deliver(kA, append(2, 5, 2, entries(6, {2})));
  const auto reply = only<AppendEntriesReply>(b);
  EXPECT_FALSE(reply.success);
  EXPECT_EQ(reply.conflict_index, LogIndex(3));
  EXPECT_EQ(reply.conflict_term, Term(0));
}

TEST(AppendEntries, BehindAnotherTermAreRefusedWithItsFirstIndex) {
  Subject b(config(kB, 3), disk_of({1, 2, 2, 2}, 2));
  b.deliver(kA, append(3, 4, 3, entries(5, {3})));
  const auto reply = only<AppendEntriesReply>(b);
  EXPECT_EQ(reply.conflict_term, Term(2));
  EXPECT_EQ(reply.conflict_index, LogIndex(2));
  EXPECT_EQ(b.terms(), (Terms{1, 2, 2, 2})) << "nothing goes before it is known what comes";
}

TEST(AppendEntries, OverwriteWhatConflictsInOneBatch) {
  Subject b(config(kB, 3), disk_of({1, 2, 2, 2}, 2));

  b.deliver(kA, append(3, 1, 1, entries(2, {3, 3})));
  EXPECT_EQ(b.terms(), (Terms{1, 3, 3}));
  b.advance(0);

  EXPECT_EQ(Subject(config(kB, 3), b.disk).terms(), (Terms{1, 3, 3}))
      << "no entry of the old suffix is left on disk";
}

// R4: a message that was under way for long says nothing about what came after it.
TEST(AppendEntries, ThatAreOldTakeNothingAway) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1, 1, 1})));
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  EXPECT_EQ(b.terms(), (Terms{1, 1, 1}));
  EXPECT_TRUE(only<AppendEntriesReply>(b).success);
}

// R6: what lies behind the last new entry may differ from the leader's log.
TEST(AppendEntries, CommitNoFurtherThanTheyReach) {
  Subject b(config(kB, 3), disk_of({1, 1, 1, 1}, 1));
  b.deliver(kA, append(2, 2, 1, {}, 4));
  EXPECT_EQ(b.commit(), 2u);
  b.deliver(kA, append(2, 2, 1, entries(3, {2}), 9));
  EXPECT_EQ(b.commit(), 3u);
}

TEST(AppendEntries, NeverOverwriteWhatIsCommitted) {
  Subject b(config(kB, 3), disk_of({1, 1}, 1));
  b.deliver(kA, append(2, 2, 1, {}, 2));
  ASSERT_EQ(b.commit(), 2u);

  b.deliver(kA, append(2, 1, 1, entries(2, {2})));
  b.deliver(kA, append(2, 2, 2));

  EXPECT_EQ(b.terms(), (Terms{1, 1}));
  EXPECT_EQ(b.count(Count::kContradictsCommit), 2u);
}

// The batch that holds 2 and 3 of term 1 is under way when both are overwritten: that it arrives
// says nothing about what stands in their place.
TEST(DurableIndex, GoesBackWithASuffixThatIsOverwritten) {
  Subject b(kB, 5);
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  b.durable();
  ASSERT_EQ(b.core.durable_index(), LogIndex(1));
  b.deliver(kA, append(1, 1, 1, entries(2, {1, 1})));
  const BatchNumber first = b.effects.batch;
  b.deliver(kC, append(2, 1, 1, entries(2, {2})));
  const BatchNumber second = b.effects.batch;

  b.durable_up_to(first);
  EXPECT_EQ(b.core.durable_index(), LogIndex(1));
  b.durable_up_to(second);
  EXPECT_EQ(b.core.durable_index(), LogIndex(2));
}

TEST(DurableIndex, IsLoweredWhenDurableEntriesAreOverwritten) {
  Subject b(config(kB, 5), disk_of({1, 1, 1}, 1));
  ASSERT_EQ(b.core.durable_index(), LogIndex(3));
  b.deliver(kC, append(2, 1, 1, entries(2, {2})));
  EXPECT_EQ(b.core.durable_index(), LogIndex(1));
}

// A disk that is slow is no dead replica.
TEST(Heartbeat, IsAnsweredAtOnceWithWhatIsOnDisk) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  b.durable();
  b.deliver(kA, append(1, 1, 1, entries(2, {1})));

  b.deliver(kA, append(1, 2, 1));

  const auto reply = only<AppendEntriesReply>(b);
  EXPECT_TRUE(reply.success);
  EXPECT_EQ(reply.prev_log_index, LogIndex(2));
  EXPECT_EQ(reply.match_index, LogIndex(1));
  EXPECT_EQ(release_of<AppendEntriesReply>(b), Release::kNow);
}

TEST(Heartbeat, OfATermThatIsNotOnDiskYetIsAnsweredWhenItIs) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));
  EXPECT_EQ(release_of<AppendEntriesReply>(b), Release::kGated);
  b.durable();
  b.deliver(kA, append(1, 0, 0));
  EXPECT_EQ(release_of<AppendEntriesReply>(b), Release::kNow);
}

TEST(Hostile, ASecondLeaderOfATermIsNotHeard) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  b.deliver(kC, append(1, 0, 0, entries(1, {1, 1})));
  EXPECT_EQ(b.terms(), Terms{1});
  EXPECT_EQ(b.count(Count::kSecondLeader), 1u);
}

TEST(Hostile, ABlockThatDoesNotDecodeIsNotTaken) {
  Subject b(kB, 3);
  std::vector<std::byte> bad = entries(1, {1});
  bad[kEntryHeaderBytes] = std::byte{200};  // So many commands there are not.
  b.deliver(kA, append(1, 0, 0, bad));
  EXPECT_EQ(b.terms(), Terms{});
  EXPECT_EQ(b.count(Count::kMalformedBlock), 1u);
}

TEST(FullDisk, EntriesAreNotTakenAndTheLeaderIsHeard) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));
  b.core.storage_full(true);
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  EXPECT_EQ(b.terms(), Terms{});
  EXPECT_TRUE(b.effects.records.empty());
  EXPECT_EQ(b.core.leader(), kA);
}

// --- Figure 7: "When the leader at the top comes to power, it is possible that any of scenarios
// (a-f) could occur in follower logs." Each ends with the log of the leader, whatever it held.

const Terms kLeaderLog{1, 1, 1, 4, 4, 5, 5, 6, 6, 6};

struct Scenario {
  const char* name;
  Terms log;
  std::uint64_t term;
};

class PaperFigure7 : public ::testing::TestWithParam<Scenario> {};

TEST_P(PaperFigure7, TheFollowerEndsWithTheLogOfTheLeader) {
  Subject leader(config(kA, 7), disk_of(kLeaderLog, 7));
  Subject follower(config(kB, 7), disk_of(GetParam().log, GetParam().term));
  leader.lead();
  ASSERT_EQ(leader.core.current_term(), Term(8));

  leader.advance(CoreConfig{}.heartbeat_us);
  converse(leader, follower);

  Terms expected = kLeaderLog;
  expected.push_back(8);  // The Nop of the new leader.
  EXPECT_EQ(follower.terms(), expected);
  follower.advance(0);
  EXPECT_EQ(Subject(config(kB, 7), follower.disk).terms(), expected) << "on disk too";
  EXPECT_LE(leader.count(Count::kConflictsFound), 4u) << "whole terms are skipped at once";
}

INSTANTIATE_TEST_SUITE_P(Followers, PaperFigure7,
                         ::testing::Values(Scenario{"a", {1, 1, 1, 4, 4, 5, 5, 6, 6}, 6},
                                           Scenario{"b", {1, 1, 1, 4}, 4},
                                           Scenario{"c", {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}, 6},
                                           Scenario{"d", {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, 7},
                                           Scenario{"e", {1, 1, 1, 4, 4, 4, 4}, 4},
                                           Scenario{"f", {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}, 3}),
                         [](const auto& scenario) { return std::string(scenario.param.name); });

}  // namespace
}  // namespace epaxos::compare::raft
