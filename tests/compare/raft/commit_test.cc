// What a leader counts. Source: Raft paper, Figure 2 (Leaders), 5.3, 5.4.2 and Figure 8.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

TEST(Commit, NeedsAMajorityOfDisksAndTheLeadersIsOneOfThem) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kB, 1);
  a.propose(1);
  ASSERT_EQ(a.core.log().last(), LogIndex(2));

  // R11: the own entry is not on disk yet, and one follower is not a majority.
  a.acknowledge(kB, 2);
  EXPECT_EQ(a.commit(), 1u);
  a.durable();
  EXPECT_EQ(a.commit(), 2u);
}

TEST(Commit, AMajorityOfFollowersDoesNotWaitForTheLeadersDisk) {
  Subject a(kA, 3);
  a.lead();
  a.propose(1);
  a.acknowledge(kB, 2);
  a.acknowledge(kC, 2);
  EXPECT_EQ(a.commit(), 2u);
}

TEST(Commit, AppendEntriesLeaveWhileTheOwnDiskWrites) {
  Subject a(kA, 3);
  a.lead();
  a.propose(1);
  const auto sent = sends<AppendEntries>(a.effects, 3);
  ASSERT_EQ(sent.size(), 1u) << "one frame for both, encoded once";
  EXPECT_EQ(sent[0].first.size(), 2);
  EXPECT_EQ(release_of<AppendEntries>(a), Release::kNow);
}

// Figure 8: (a) S1 leads and replicates 2 of term 2 in part; (b) S5 leads term 3 with another entry
// at 2; (c) S1 leads term 4 and gets 2 of term 2 on a majority. It is not committed: (d) S5 could
// still overwrite it. (e) With an entry of term 4 on a majority both are.
TEST(PaperFigure8, AnEntryOfAnEarlierTermIsNotCommittedByCounting) {
  Subject s1(config(kA, 5), disk_of({1, 2}, 3));
  s1.lead();
  ASSERT_EQ(s1.core.current_term(), Term(4));

  s1.acknowledge(kB, 2);
  s1.acknowledge(kC, 2);
  EXPECT_EQ(s1.commit(), 0u) << "(c), though three of five have it";

  s1.acknowledge(kB, 3);
  s1.acknowledge(kC, 3);
  EXPECT_EQ(s1.commit(), 3u) << "(e)";
}

// (d): S5 may be elected by those who have 2 of term 2, when its last term is later.
TEST(PaperFigure8, TheEntryCanStillBeOverwritten) {
  Subject s2(config(kB, 5), disk_of({1, 2}, 4));
  RequestVote asked{Term(5), LogIndex(2), Term(3), false, false};
  s2.deliver(kE, asked);
  EXPECT_TRUE(only<RequestVoteReply>(s2).granted);
  s2.deliver(kE, append(5, 1, 1, entries(2, {3})));
  EXPECT_EQ(s2.terms(), (Terms{1, 3}));
}

// R7.
TEST(Commit, ARefusalSaysNothingAboutWhatAFollowerHas) {
  Subject a(config(kA, 3), disk_of({1, 1, 1}, 1));
  a.lead();
  AppendEntriesReply refusal{Term(2), false, true, LogIndex(3), {}, Term(), LogIndex(2), 0};

  a.deliver(kB, refusal);

  EXPECT_EQ(a.core.peer(kB).match_index, LogIndex(0));
  EXPECT_EQ(a.core.peer(kB).next_index, LogIndex(2));
  EXPECT_EQ(a.commit(), 0u);
}

TEST(Commit, AnAnswerOfAnEarlierTermDoesNotCount) {
  Subject a(config(kA, 3), disk_of({1}, 1));
  a.lead();
  a.deliver(kB, AppendEntriesReply{Term(1), true, true, LogIndex(2), LogIndex(2), {}, {}, 0});
  EXPECT_EQ(a.commit(), 0u);
}

TEST(Commit, WhoSaysToHaveMoreThanThereIsIsNotBelieved) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kB, 50);
  EXPECT_EQ(a.commit(), 0u);
  EXPECT_EQ(a.core.peer(kB).match_index, LogIndex(0));
  EXPECT_EQ(a.count(Count::kNeverAsked), 1u);
}

TEST(Commit, IsToldAtOnceThoughThereIsNothingElseToSay) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kB, 1);
  const auto told = sends<AppendEntries>(a.effects, 3);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].second.leader_commit, LogIndex(1));
  EXPECT_FALSE(told[0].second.answer);
}

TEST(Replication, IsPipelinedAndGoesBackToWhatWasLost) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kB, 1);
  a.acknowledge(kC, 1);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    a.propose(i);
    EXPECT_EQ(only<AppendEntries>(a).prev_log_index, LogIndex(i)) << "without waiting for answers";
  }

  // 2 is lost: what came behind it is refused, once for each.
  const AppendEntriesReply refusal{Term(1), false, true, LogIndex(2), {}, Term(), LogIndex(2), 0};
  a.deliver(kB, refusal);

  const auto again = sends<AppendEntries>(a.effects, 3);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].first, ReplicaSet::only(kB));
  EXPECT_EQ(again[0].second.prev_log_index, LogIndex(1));
}

TEST(Replication, KeepsWithinItsWindow) {
  Subject a(kA, 3);
  a.lead();
  for (std::uint64_t i = 1; i <= PeerProgress::kInFlightMax + 10; ++i) a.propose(i);
  EXPECT_FALSE(Subject::has<AppendEntries>(a.effects));
  a.acknowledge(kB, 100);
  EXPECT_TRUE(Subject::has<AppendEntries>(a.effects));
}

TEST(Replication, SmallEntriesFillTheWindowToo) {
  PeerProgress peer;
  peer.begin(LogIndex(1), 0);
  const LogIndex half(PeerProgress::kInFlightEntriesMax / 2);
  const LogIndex full(PeerProgress::kInFlightEntriesMax);

  peer.sent(half, 8, 0);
  EXPECT_TRUE(peer.may_stream());
  peer.sent(full, 8, 0);
  EXPECT_FALSE(peer.may_stream());
  peer.matches(half);
  EXPECT_TRUE(peer.may_stream());
}

}  // namespace
}  // namespace epaxos::compare::raft
