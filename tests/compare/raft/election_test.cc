// Who leads. Source: Raft paper, Figure 2 and 5.2, 5.4.1; thesis 3.10, 4.2.3, 6.2 and 9.6.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

RequestVote request(std::uint64_t term, std::uint64_t last, std::uint64_t last_term) {
  return {Term(term), LogIndex(last), Term(last_term), false, false};
}

TEST(Election, BeginsWithPreVotesThatChangeNothing) {
  Subject a(kA, 3);
  const Tick due = a.core.next_deadline();
  EXPECT_GE(due, CoreConfig{}.election_us);
  EXPECT_LT(due, 2 * CoreConfig{}.election_us);

  a.advance(due);

  const RequestVote asked = only<RequestVote>(a);
  EXPECT_TRUE(asked.pre_vote);
  EXPECT_EQ(asked.term, Term(1));
  EXPECT_EQ(a.core.current_term(), Term(0));
  EXPECT_FALSE(hard_state(a)) << "nothing is promised";
}

TEST(Election, TimeoutsDifferBetweenReplicas) {
  std::set<Tick> due;
  for (int i = 0; i < 5; ++i) due.insert(Subject(replica_at(i), 5).core.next_deadline());
  EXPECT_EQ(due.size(), 5u);
}

// "Increment currentTerm, vote for self" is one record, and the request waits for it.
TEST(Election, ACandidateAsksForVotesWhenItsOwnIsOnDisk) {
  Subject a(kA, 3);
  a.wait_for_election();

  a.deliver(kB, a.pre_vote());

  EXPECT_EQ(a.core.role(), Role::kCandidate);
  EXPECT_EQ(hard_state(a), (HardState{Term(1), kA}));
  EXPECT_FALSE(only<RequestVote>(a).pre_vote);
  EXPECT_EQ(release_of<RequestVote>(a), Release::kGated);
}

TEST(Election, TheOwnVoteCountsWhenItIsDurableAndNotBefore) {
  Subject a(kA, 3);
  a.wait_for_election();
  a.deliver(kB, a.pre_vote());

  a.deliver(kB, a.vote());
  EXPECT_EQ(a.core.role(), Role::kCandidate);
  a.durable();
  EXPECT_EQ(a.core.role(), Role::kLeader);
}

TEST(Election, AVoteThatIsRepeatedCountsOnce) {
  Subject a(kA, 5);
  a.wait_for_election();
  a.deliver(kB, a.pre_vote());
  a.deliver(kC, a.pre_vote());
  a.durable();

  a.deliver(kB, a.vote());
  a.deliver(kB, a.vote());
  EXPECT_EQ(a.core.role(), Role::kCandidate);
  a.deliver(kC, a.vote());
  EXPECT_EQ(a.core.role(), Role::kLeader);
}

TEST(Election, VotesOfAnotherTermAndRefusalsDoNotCount) {
  Subject a(kA, 3);
  a.wait_for_election();
  a.deliver(kB, a.pre_vote());
  a.durable();

  a.deliver(kB, RequestVoteReply{Term(0), true, false});
  a.deliver(kC, RequestVoteReply{Term(1), false, false});
  a.deliver(kC, RequestVoteReply{Term(1), true, true});

  EXPECT_EQ(a.core.role(), Role::kCandidate);
}

TEST(Election, ANewLeaderAddsANopOfItsTermAtOnce) {
  Subject a(config(kA, 3), disk_of({1, 1}, 1));

  a.lead();

  EXPECT_EQ(a.terms(), (Terms{1, 1, 2}));
  EXPECT_TRUE(a.core.log().entry(LogIndex(3)).origin.is_nobody());
}

TEST(Election, AGroupOfOneLeadsItself) {
  Subject a(kA, 1);
  a.advance(0);
  a.durable();
  EXPECT_EQ(a.core.role(), Role::kLeader);
  a.propose(1);
  a.durable();
  EXPECT_EQ(a.effects.executions.size(), 1u);
}

TEST(Vote, IsGivenOnceATermAndWrittenDownWithTheTermBeforeItIsTold) {
  Subject a(kA, 3);

  a.deliver(kB, request(4, 0, 0));
  EXPECT_TRUE(only<RequestVoteReply>(a).granted);
  EXPECT_EQ(hard_state(a), (HardState{Term(4), kB}));
  EXPECT_EQ(release_of<RequestVoteReply>(a), Release::kGated);

  a.deliver(kC, request(4, 0, 0));
  EXPECT_FALSE(only<RequestVoteReply>(a).granted);
  a.deliver(kB, request(4, 0, 0));
  EXPECT_TRUE(only<RequestVoteReply>(a).granted) << "the same answer to a repetition";
}

TEST(Vote, SurvivesARestart) {
  Subject before(kA, 3);
  before.deliver(kB, request(4, 0, 0));
  before.advance(0);

  Subject after(config(kA, 3), before.disk);

  EXPECT_EQ(after.core.current_term(), Term(4));
  after.deliver(kC, request(4, 0, 0));
  EXPECT_FALSE(only<RequestVoteReply>(after).granted);
}

// 5.4.1: the later last term wins, and in the same term the longer log.
TEST(Vote, IsRefusedToALogThatIsLessUpToDate) {
  const auto granted = [](std::uint64_t last, std::uint64_t last_term) {
    Subject a(config(kA, 3), disk_of({1, 1, 3, 3}, 3));
    a.deliver(kB, request(9, last, last_term));
    EXPECT_EQ(a.core.current_term(), Term(9)) << "the term is taken over all the same";
    return only<RequestVoteReply>(a).granted;
  };
  EXPECT_FALSE(granted(3, 3));
  EXPECT_FALSE(granted(100, 2));
  EXPECT_TRUE(granted(4, 3));
  EXPECT_TRUE(granted(1, 4));
}

TEST(Vote, AnEarlierTermIsToldTheCurrentOne) {
  Subject a(config(kA, 3), disk_of({}, 7));
  a.deliver(kB, request(5, 0, 0));
  EXPECT_EQ(only<RequestVoteReply>(a), (RequestVoteReply{Term(7), false, false, 1, Term(7)}));
}

TEST(PreVote, IsRefusedWhileALeaderIsHeardAndChangesNoTerm) {
  Subject a(kA, 3);
  a.deliver(kB, append(1, 0, 0));
  RequestVote asked = request(9, 5, 5);
  asked.pre_vote = true;

  a.deliver(kC, asked);

  EXPECT_EQ(only<RequestVoteReply>(a), (RequestVoteReply{Term(1), false, true, 1, Term(0)}));
  EXPECT_EQ(a.core.current_term(), Term(1));

  a.advance(CoreConfig{}.election_us);
  a.deliver(kC, asked);
  EXPECT_EQ(only<RequestVoteReply>(a), (RequestVoteReply{Term(9), true, true, 1, Term(0)}));
  EXPECT_EQ(a.core.current_term(), Term(1));
}

TEST(Vote, IsNotEvenConsideredWhileALeaderIsHeardUnlessTheLeaderWantsIt) {
  Subject a(kA, 3);
  a.deliver(kB, append(1, 0, 0));
  RequestVote asked = request(9, 5, 5);

  a.deliver(kC, asked);
  EXPECT_FALSE(Subject::has<RequestVoteReply>(a.effects));
  EXPECT_EQ(a.core.current_term(), Term(1));

  asked.transfer = true;
  a.deliver(kC, asked);
  EXPECT_TRUE(only<RequestVoteReply>(a).granted);
}

TEST(Leader, FollowsWhenItHearsOfALaterTerm) {
  Subject a(kA, 3);
  a.lead();

  a.deliver(kB, AppendEntriesReply{Term(5), false, true, {}, {}, {}, {}, 0});

  EXPECT_EQ(a.core.role(), Role::kFollower);
  EXPECT_EQ(hard_state(a), (HardState{Term(5), std::nullopt}));
}

TEST(Leader, StepsDownWhenNoMajorityAnswers) {
  Subject a(kA, 5);
  a.lead();
  const auto wait = [&](std::vector<ReplicaId> answering) {
    for (Tick passed = 0; passed < 3 * CoreConfig{}.election_us; passed += 10'000) {
      a.advance(10'000);
      for (const ReplicaId each : answering) a.acknowledge(each, 1);
    }
  };

  wait({kB, kC});
  EXPECT_EQ(a.core.role(), Role::kLeader);
  wait({kB});
  EXPECT_EQ(a.core.role(), Role::kFollower);
  EXPECT_EQ(a.core.current_term(), Term(1)) << "nobody is disturbed";
  EXPECT_EQ(a.count(Count::kQuorumLost), 1u);
}

TEST(NonVoting, NeitherVotesNorStandsAndStillLearns) {
  CoreConfig quiet = config(kA, 3);
  quiet.voting = false;
  Subject a(quiet);

  a.deliver(kB, request(4, 0, 0));
  EXPECT_TRUE(a.effects.sends.empty());
  a.deliver(kB, append(4, 0, 0, entries(1, {4}), 1));
  EXPECT_EQ(a.commit(), 1u);
  EXPECT_FALSE(only<AppendEntriesReply>(a).voting);
  EXPECT_EQ(a.effects.executions.size(), 1u);
  for (int i = 0; i < 20; ++i) a.advance(kSecond);
  EXPECT_EQ(a.count(Count::kPreVotes), 0u);
  a.propose(1);
  ASSERT_EQ(a.effects.rejections.size(), 1u);
  EXPECT_EQ(a.effects.rejections[0].code, ErrorCode::kNotVoting);
}

TEST(Forgetful, APeerThatForgotCountsForNothing) {
  Subject a(kA, 3);
  a.core.peer_forgot(kB);
  a.wait_for_election();
  a.deliver(kB, a.pre_vote());
  EXPECT_EQ(a.core.role(), Role::kPreCandidate);
  a.deliver(kC, a.pre_vote());
  a.durable();
  a.deliver(kB, a.vote());
  EXPECT_EQ(a.core.role(), Role::kCandidate);
  a.deliver(kC, a.vote());
  EXPECT_EQ(a.core.role(), Role::kLeader);
  a.durable();
  a.acknowledge(kB, 1);
  EXPECT_EQ(a.commit(), 0u);
  a.acknowledge(kC, 1);
  EXPECT_EQ(a.commit(), 1u);
}

TEST(Transfer, WaitsUntilTheOtherOneHasTheWholeLog) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kB, 1);
  a.propose(1);

  EXPECT_EQ(a.core.transfer_leadership(kA, a.effects).error().code, ErrorCode::kInvalidArgument)
      << "to itself";
  a.turn([&] { EXPECT_TRUE(a.core.transfer_leadership(kB, a.effects)); });
  EXPECT_FALSE(Subject::has<TimeoutNow>(a.effects));
  a.acknowledge(kB, 2);
  EXPECT_EQ(only<TimeoutNow>(a).term, Term(1));
  a.propose(2);
  EXPECT_EQ(a.core.log().last(), LogIndex(2)) << "nothing is added meanwhile";

  a.advance(CoreConfig{}.election_us);
  EXPECT_EQ(a.core.log().last(), LogIndex(3)) << "it did not work out";
}

TEST(Transfer, TheOtherOneStandsAtOnceAndIsHeardThoughTheLeaderIsWell) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));

  b.deliver(kA, TimeoutNow{Term(1)});

  const RequestVote asked = only<RequestVote>(b);
  EXPECT_TRUE(asked.transfer);
  EXPECT_FALSE(asked.pre_vote);
  EXPECT_EQ(asked.term, Term(2));
}

TEST(Transfer, NobodyElseMaySayWhenToStand) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1})));
  b.deliver(kC, TimeoutNow{Term(1)});
  b.deliver(kA, TimeoutNow{Term(7)});
  EXPECT_EQ(b.core.role(), Role::kFollower);
}

TEST(Transfer, ALeaderWhoseDiskIsFullGivesUpTheLead) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kC, 1);

  a.core.storage_full(true);
  a.advance(1);

  const auto asked = sends<TimeoutNow>(a.effects, 3);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].first, ReplicaSet::only(kC));
}

TEST(FullDisk, NoVoteIsGivenThatCannotBeWrittenDown) {
  Subject a(kA, 3);
  a.core.storage_full(true);
  a.deliver(kB, request(4, 0, 0));
  EXPECT_TRUE(a.effects.sends.empty());
  EXPECT_TRUE(a.effects.records.empty());
  EXPECT_EQ(a.core.current_term(), Term(0));
}

// A round trip of 200 ms does not fit timeouts of 300 ms.
TEST(Timeouts, FollowWhatIsMeasured) {
  Subject b(kB, 3);
  AppendEntries heartbeat = append(1, 0, 0);
  heartbeat.round_trip_us = 200'000;

  b.deliver(kA, heartbeat);

  EXPECT_EQ(b.core.patience_us(), 800'000u);
  EXPECT_GE(b.core.next_deadline(), 800'000u);
  EXPECT_EQ(b.count(Count::kTimeoutsRaised), 1u);
}

AppendEntriesReply answer_to(const Subject& leader, Tick sent_at) {
  AppendEntriesReply reply;
  reply.term = leader.core.current_term();
  reply.success = true;
  reply.sent_at = sent_at;
  return reply;
}

// What stands in line behind a bulk transfer says how much that is, and not how far away one is.
TEST(Timeouts, FollowNoAnswerToWhatStoodInLine) {
  Subject a(config(kA, 3), disk_of(Terms(5'000, 1), 1));
  a.lead();
  a.advance(100'000);
  a.deliver(kB, answer_to(a, a.now - 10'000));
  a.deliver(kC, answer_to(a, a.now - 10'000));
  a.deliver(kB, AppendEntriesReply{Term(2), false, true, LogIndex(5'000), {}, {}, LogIndex(1), 0});
  ASSERT_GT(a.effects.bytes(), PeerProgress::kBulkBytes);
  const Tick sent_at = a.now;
  a.advance(200'000);

  for (int i = 0; i < 30; ++i) a.deliver(kB, answer_to(a, sent_at));
  EXPECT_EQ(a.core.patience_us(), CoreConfig{}.election_us);

  a.acknowledge(kB, 5'001);
  const Tick alone = a.now;
  a.advance(200'000);
  for (int i = 0; i < 30; ++i) a.deliver(kB, answer_to(a, alone));
  EXPECT_EQ(a.core.patience_us(), CoreConfig{}.election_us) << "sent before the line was empty";
  a.advance(200'000);
  for (int i = 0; i < 30; ++i) a.deliver(kB, answer_to(a, a.now - 200'000 + 1));
  EXPECT_GT(a.core.patience_us(), 2 * CoreConfig{}.election_us);
}

TEST(Timeouts, ElectionsInVainComeEverMoreRarely) {
  Subject a(kA, 3);
  Tick last = 0;
  std::vector<Tick> gaps;
  for (int i = 0; i < 4; ++i) {
    a.advance(0);
    a.wait_for_election();
    gaps.push_back(a.now - last);
    last = a.now;
  }
  EXPECT_LT(gaps[0], 2 * CoreConfig{}.election_us);
  EXPECT_GE(gaps[3], 4 * CoreConfig{}.election_us);
}

}  // namespace
}  // namespace epaxos::compare::raft
