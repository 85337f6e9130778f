// Where all learn from all: who counts what, and what does not count. Source:
// compare/raft/learn.cc, Raft paper, 5.3 and 5.4.2.

#include <gmock/gmock.h>

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

using ::testing::SizeIs;

/// B of a group of five, which follows A in term 3 and has the log 1, 1, 3 of A on its disk.
class LearnFromAll : public ::testing::Test {
 protected:
  LearnFromAll() : b(config(kB, 5), disk_of({1, 1}, 2), {}, {.learn_from_all = true}) {
    const std::vector<std::byte> entry = entries(3, {3});
    AppendEntries append;
    append.term = Term(3);
    append.prev_log_index = LogIndex(2);
    append.prev_log_term = Term(1);
    append.entries = entry;
    b.deliver(kA, append);
  }
  void tells(ReplicaId from, std::uint64_t term, std::uint64_t match, bool voting = true) {
    b.deliver(from, AppendEntriesReply{
                        Term(term), true, voting, LogIndex(match), LogIndex(match), {}, {}, 0});
  }
  Subject b;
};

TEST_F(LearnFromAll, AMajorityOfDisksIsEnoughWithoutAWordOfTheLeader) {
  b.durable();
  tells(kC, 3, 3);
  EXPECT_EQ(b.commit(), 0u) << "two of five";
  tells(kD, 3, 3);
  EXPECT_EQ(b.commit(), 3u);
  EXPECT_EQ(b.count(Count::kCommitsLearned), 3u);
}

TEST_F(LearnFromAll, TheOwnLogCountsWhenItIsOnDisk) {
  tells(kC, 3, 3);
  tells(kD, 3, 3);
  EXPECT_EQ(b.commit(), 0u);
  b.durable();
  EXPECT_EQ(b.commit(), 3u);
}

TEST_F(LearnFromAll, TheLeadersDiskCountsToo) {
  b.durable();
  tells(kA, 3, 3);
  tells(kE, 3, 3);
  EXPECT_EQ(b.commit(), 3u);
}

TEST_F(LearnFromAll, NothingBeyondTheOwnLogIsCommitted) {
  b.durable();
  tells(kC, 3, 9);
  tells(kD, 3, 9);
  EXPECT_EQ(b.commit(), 3u);
}

// Figure 8: the same entry on a majority, but of an earlier term.
TEST_F(LearnFromAll, AnEntryOfAnEarlierTermIsNotCommittedByCounting) {
  b.durable();
  tells(kC, 3, 2);
  tells(kD, 3, 2);
  EXPECT_EQ(b.commit(), 0u);
}

TEST_F(LearnFromAll, WhatWasToldInAnEarlierTermDoesNotCount) {
  b.durable();
  tells(kC, 2, 3);
  tells(kD, 3, 3);
  EXPECT_EQ(b.commit(), 0u);

  // The next leader's log may differ from what was told in term 3.
  AppendEntries heartbeat;
  heartbeat.term = Term(4);
  heartbeat.prev_log_index = LogIndex(3);
  heartbeat.prev_log_term = Term(3);
  b.deliver(kE, heartbeat);
  b.durable();
  tells(kC, 4, 3);
  EXPECT_EQ(b.commit(), 0u);
}

TEST_F(LearnFromAll, WhoHasNoVoteOrHasForgottenDoesNotCount) {
  b.durable();
  tells(kC, 3, 3, /*voting=*/false);
  b.core.peer_forgot(kD);
  tells(kD, 3, 3);
  EXPECT_EQ(b.commit(), 0u);
}

TEST_F(LearnFromAll, AnswersGoToEverybodyWhenTheEntriesAreOnDisk) {
  // The turn that took the entry in.
  const auto answers = sends<AppendEntriesReply>(b.effects, 5);
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].first.size(), 4);
  EXPECT_EQ(answers[0].second.match_index, LogIndex(3));
  EXPECT_EQ(release_of<AppendEntriesReply>(b), Release::kGated);
}

TEST(LearnFromAllLeader, SaysOnceHowFarItsOwnDiskIs) {
  Subject a(config(kA, 3), {}, {}, {.learn_from_all = true});
  a.lead();
  a.propose(1);
  EXPECT_FALSE(Subject::has<AppendEntriesReply>(a.effects)) << "it is not on disk";
  const auto told = sends<AppendEntriesReply>(a.durable(), 3);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].second.match_index, LogIndex(2));
  EXPECT_FALSE(Subject::has<AppendEntriesReply>(a.durable())) << "nothing new";
}

TEST(LearnFromAllOff, AnswersOfOthersCountForNothing) {
  Subject b(config(kB, 3), disk_of({2}, 2));
  b.deliver(kC, AppendEntriesReply{Term(2), true, true, LogIndex(1), LogIndex(1), {}, {}, 0});
  EXPECT_EQ(b.commit(), 0u);
}

}  // namespace
}  // namespace epaxos::compare::raft
