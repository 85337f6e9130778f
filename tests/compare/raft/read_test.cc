// Reads that take no place in the log: by the index of the leader, and by its lease.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

constexpr Tick kElection = CoreConfig{}.election_us;
constexpr Tick kHeartbeat = CoreConfig{}.heartbeat_us;

CoreConfig reading(ReplicaId self, int n, Reads reads = Reads::kIndex) {
  CoreConfig made = config(self, n);
  made.reads = reads;
  return made;
}

void read(Subject& subject, std::uint64_t number) {
  const Proposal proposal{{{7, number}, 0, true, epaxos::bytes_of("payload")},
                          Footprint::read("x")};
  subject.turn([&] { subject.core.propose({&proposal, 1}, subject.effects); });
}

/// The numbers of the reads that this turn answers.
std::vector<std::uint64_t> answered(const Subject& subject) {
  std::vector<std::uint64_t> numbers;
  for (const ReadEffect& each : subject.effects.reads) numbers.push_back(each.command.number);
  return numbers;
}
using Numbers = std::vector<std::uint64_t>;

/// A follower answers what the leader sent at this time.
AppendEntriesReply answer(const Subject& leader, Tick sent_at, std::uint32_t promised_us = 0,
                          std::uint64_t match = 1) {
  AppendEntriesReply reply{
      leader.core.current_term(), true, true, LogIndex(match), LogIndex(match), {}, {}, sent_at};
  reply.promised_us = promised_us;
  return reply;
}

/// Leads, and an entry of its term is committed and applied.
void lead_and_commit(Subject& a) {
  a.lead();
  a.acknowledge(kB, a.core.log().last().value());
  a.apply();
  a.advance(1'000);
}

/// When the last question of this turn left.
Tick asked_at(const Subject& a) {
  Tick at = 0;
  for (const auto& [to, message] : sends<AppendEntries>(a.effects, a.n)) {
    if (message.answer) at = message.sent_at;
  }
  return at;
}

// --- By the index ------------------------------------------------------------------------------

TEST(ReadIndex, TheLeaderAnswersWhenAMajorityHasAnsweredWhatItSentAfterTheReadCame) {
  Subject a(reading(kA, 3));
  lead_and_commit(a);
  const Tick before = a.now;
  a.advance(kHeartbeat);
  EXPECT_EQ(asked_at(a), a.now) << "a heartbeat";
  a.advance(1'000);

  read(a, 5);
  EXPECT_EQ(asked_at(a), a.now) << "a round begins at once";
  EXPECT_EQ(answered(a), Numbers{});
  a.deliver(kB, answer(a, before));
  EXPECT_EQ(answered(a), Numbers{}) << "this was sent before the read had come";
  a.deliver(kB, answer(a, a.now));

  EXPECT_EQ(answered(a), Numbers{5});
  EXPECT_EQ(a.effects.view(a.effects.reads[0].payload).size(), 7u);
  EXPECT_EQ(a.core.log().last(), LogIndex(1)) << "the log has grown by nothing";
  EXPECT_EQ(a.count(Count::kReadRounds), 1u);
}

TEST(ReadIndex, WhatLeftInTheSameMicrosecondBeforeTheReadCameConfirmsNothing) {
  Subject a(reading(kA, 3));
  lead_and_commit(a);
  a.advance(kHeartbeat);
  const Tick at = a.now;

  read(a, 5);
  EXPECT_EQ(a.core.next_deadline(), 0u) << "in the next turn";
  a.deliver(kB, answer(a, at));
  EXPECT_EQ(answered(a), Numbers{});
  a.advance(1);
  a.deliver(kB, answer(a, a.now));

  EXPECT_EQ(answered(a), Numbers{5});
}

TEST(ReadIndex, ANewLeaderWaitsUntilAnEntryOfItsTermIsCommitted) {
  Subject a(reading(kA, 3), disk_of({1, 1}, 2));
  a.lead();
  a.advance(1'000);
  read(a, 5);

  a.deliver(kB, answer(a, a.now, 0, 2));
  EXPECT_EQ(answered(a), Numbers{});
  a.acknowledge(kB, 3);
  EXPECT_EQ(a.commit(), 3u);
  const Tick asked = asked_at(a);
  a.apply();
  a.deliver(kB, answer(a, asked, 0, 3));

  EXPECT_EQ(answered(a), Numbers{5});
}

TEST(ReadIndex, ALeaderThatIsDeposedWhileItAsksAnswersNothing) {
  Subject a(reading(kA, 3));
  lead_and_commit(a);
  read(a, 5);
  const AppendEntriesReply late = answer(a, a.now);

  AppendEntriesReply later = late;
  later.term = Term(9);
  later.success = false;
  later.match_index = LogIndex();
  later.sent_at = 0;
  a.deliver(kC, later);
  a.deliver(kB, late);
  EXPECT_EQ(answered(a), Numbers{});
  a.deliver(kC, append(10, 0, 0));

  EXPECT_EQ(only<ReadIndex>(a), (ReadIndex{1, 1})) << "the next leader is asked";
}

TEST(ReadIndex, AnswersOfThoseWhoHaveForgottenConfirmNothing) {
  Subject a(reading(kA, 3));
  lead_and_commit(a);
  read(a, 5);
  a.core.peer_forgot(kC);
  AppendEntriesReply not_voting = answer(a, a.now);
  not_voting.voting = false;

  a.deliver(kC, answer(a, a.now));
  a.deliver(kB, not_voting);
  EXPECT_EQ(answered(a), Numbers{});
  a.deliver(kB, answer(a, a.now));

  EXPECT_EQ(answered(a), Numbers{5});
}

TEST(ReadIndex, AGroupOfOneAnswersAtOnce) {
  Subject a(reading(kA, 1));
  a.advance(0);
  a.durable();  // The vote, and then the entry of the new term.
  a.durable();
  a.turn([] {});
  a.apply();
  a.advance(1);

  read(a, 5);

  EXPECT_EQ(answered(a), Numbers{5});
}

TEST(ReadIndex, AFollowerAsksTheLeaderAndWaitsUntilItHasExecutedAsMuch) {
  Subject b(reading(kB, 3));
  b.deliver(kA, append(1, 0, 0));

  read(b, 5);
  EXPECT_EQ(only<ReadIndex>(b), (ReadIndex{1, 1}));
  EXPECT_EQ(release_of<ReadIndex>(b), Release::kNow);
  b.deliver(kA, ReadIndexReply{1, 1, LogIndex(2)});
  EXPECT_EQ(answered(b), Numbers{});
  b.deliver(kA, append(1, 0, 0, entries(1, {1, 1}), 2));
  EXPECT_EQ(answered(b), Numbers{}) << "handed over, not applied";
  b.turn([] {});
  b.apply();

  EXPECT_EQ(answered(b), Numbers{5});
}

TEST(ReadIndex, TheLeaderTellsAFollowerWhatIsCommittedWhenItsRoundIsOver) {
  Subject a(reading(kA, 3));
  lead_and_commit(a);

  a.deliver(kB, ReadIndex{4, 8});
  EXPECT_FALSE(Subject::has<ReadIndexReply>(a.effects));
  a.deliver(kC, answer(a, asked_at(a)));

  EXPECT_EQ(only<ReadIndexReply>(a), (ReadIndexReply{4, 8, LogIndex(1)}));
  EXPECT_EQ(sends<ReadIndexReply>(a.effects, 3)[0].first, ReplicaSet::only(kB));
}

TEST(ReadIndex, AllQuestionsOfATurnShareARound) {
  Subject a(reading(kA, 5));
  a.lead();
  a.acknowledge(kB, 1);
  a.acknowledge(kC, 1);
  a.advance(1'000);

  a.turn([&] {
    a.give(kB, ReadIndex{1, 1});
    a.give(kC, ReadIndex{1, 6});
    a.give(kB, ReadIndex{1, 2});
  });
  const Tick asked = asked_at(a);
  a.deliver(kD, answer(a, asked, 0, 0));
  EXPECT_FALSE(Subject::has<ReadIndexReply>(a.effects)) << "two of five";
  a.deliver(kE, answer(a, asked, 0, 0));

  EXPECT_EQ(sends<ReadIndexReply>(a.effects, 5).size(), 2u);
  EXPECT_EQ(a.count(Count::kReadRounds), 1u);
}

TEST(ReadIndex, AQuestionThatIsLostIsAskedAgainAndAHeartbeatStandsInForALostRound) {
  Subject b(reading(kB, 3));
  b.deliver(kA, append(1, 0, 0));
  read(b, 5);
  b.deliver(kA, append(1, 0, 0));
  EXPECT_FALSE(Subject::has<ReadIndex>(b.effects));
  b.now += CoreConfig{}.retransmit_us;
  b.deliver(kA, append(1, 0, 0));
  EXPECT_EQ(only<ReadIndex>(b), (ReadIndex{1, 1}));

  Subject a(reading(kA, 3));
  lead_and_commit(a);
  read(a, 5);
  a.advance(kHeartbeat);
  a.deliver(kB, answer(a, asked_at(a)));
  EXPECT_EQ(answered(a), Numbers{5});
}

TEST(ReadIndex, OnlyTheAnswerThatIsWaitedForCounts) {
  Subject b(reading(kB, 3));
  b.deliver(kA, append(1, 0, 0));
  read(b, 5);
  const std::uint64_t stale = b.count(Count::kStale);

  b.deliver(kA, ReadIndexReply{2, 1, {}});
  b.deliver(kA, ReadIndexReply{1, 2, {}});
  EXPECT_EQ(answered(b), Numbers{});
  EXPECT_EQ(b.count(Count::kNeverAsked), 2u);
  b.deliver(kA, ReadIndexReply{1, 1, {}});
  EXPECT_EQ(answered(b), Numbers{5});
  b.deliver(kA, ReadIndexReply{1, 1, {}});

  EXPECT_EQ(answered(b), Numbers{}) << "once";
  EXPECT_EQ(b.count(Count::kStale), stale + 1);
}

TEST(ReadIndex, WhoDoesNotLeadAnswersNobody) {
  Subject b(reading(kB, 3));
  b.deliver(kC, ReadIndex{1, 1});
  EXPECT_TRUE(b.effects.sends.empty());
  EXPECT_EQ(b.count(Count::kReadsNotLeader), 1u);
}

TEST(ReadIndex, WithoutALeaderReadsWaitAndSoManyAndNoMore) {
  CoreConfig small = reading(kB, 3);
  small.in_flight_max = 2;
  Subject b(small);
  read(b, 1);
  read(b, 2);
  EXPECT_TRUE(b.effects.rejections.empty());
  read(b, 3);
  ASSERT_EQ(b.effects.rejections.size(), 1u);
  EXPECT_EQ(b.effects.rejections[0].code, ErrorCode::kOverloaded);

  b.deliver(kA, append(1, 0, 0));

  EXPECT_EQ(only<ReadIndex>(b), (ReadIndex{1, 1})) << "one question for both";
}

TEST(ReadIndex, CommandsThatWriteTakeTheLog) {
  Subject a(reading(kA, 3));
  lead_and_commit(a);
  const std::vector<Proposal> both{
      {{{7, 1}, 0, true, epaxos::bytes_of("r")}, Footprint::read("x")},
      {{{7, 2}, 0, false, epaxos::bytes_of("w")}, Footprint::write("x")}};

  a.turn([&] { a.core.propose(both, a.effects); });

  EXPECT_EQ(a.core.log().last(), LogIndex(2));
  EXPECT_EQ(a.count(Count::kProposedCommands), 1u);
}

TEST(ReadIndex, UnlessAskedForReadsTakeTheLogToo) {
  Subject a(reading(kA, 3, Reads::kLog));
  lead_and_commit(a);
  read(a, 5);
  EXPECT_EQ(a.core.log().last(), LogIndex(2));
}

// --- By the lease ------------------------------------------------------------------------------

/// Leads, and has a lease from the last heartbeat on; returns when that left.
Tick lease(Subject& a) {
  lead_and_commit(a);
  a.advance(kHeartbeat);
  const Tick sent_at = asked_at(a);
  a.deliver(kB, answer(a, sent_at, static_cast<std::uint32_t>(kElection)));
  return sent_at;
}

TEST(Lease, AReadIsAnsweredInTheTurnAfterItCame) {
  Subject a(reading(kA, 3, Reads::kLease));
  lease(a);

  a.now += 1'000;
  read(a, 5);
  EXPECT_EQ(answered(a), Numbers{}) << "the time of this turn may be older than the read";
  EXPECT_EQ(a.core.next_deadline(), 0u);
  a.advance(1);

  EXPECT_EQ(answered(a), Numbers{5});
  EXPECT_EQ(a.count(Count::kReadRounds), 0u);
}

TEST(Lease, APauseBetweenTheClockAndTheReadIsNoticed) {
  Subject a(reading(kA, 3, Reads::kLease));
  lease(a);
  read(a, 5);  // In a turn that began before the pause.

  a.now += 20 * kElection;
  a.turn([&] { a.core.tick(a.now, a.effects); });

  EXPECT_EQ(answered(a), Numbers{});
}

TEST(Lease, EndsHalfAPromiseAfterTheHeartbeatWasSent) {
  for (const bool in_time : {true, false}) {
    Subject a(reading(kA, 3, Reads::kLease));
    const Tick sent_at = lease(a);

    a.now = sent_at + kElection / 2 - (in_time ? 2 : 1);
    read(a, 5);
    a.advance(1);

    EXPECT_EQ(answered(a), in_time ? Numbers{5} : Numbers{});
    EXPECT_EQ(a.count(Count::kReadRounds), in_time ? 0u : 1u);
  }
}

TEST(Lease, NeedsThePromisesOfAMajority) {
  Subject a(reading(kA, 5, Reads::kLease));
  a.lead();
  a.acknowledge(kB, 1);
  a.acknowledge(kC, 1);
  a.apply();
  a.advance(kHeartbeat);
  const Tick sent_at = asked_at(a);
  a.deliver(kB, answer(a, sent_at, static_cast<std::uint32_t>(kElection)));
  a.deliver(kC, answer(a, sent_at));
  a.advance(1);

  read(a, 5);

  EXPECT_EQ(a.count(Count::kReadRounds), 1u);
}

TEST(Lease, IsGivenUpWithTheLead) {
  Subject a(reading(kA, 3, Reads::kLease));
  lease(a);
  ASSERT_TRUE(a.turn([&] { ASSERT_TRUE(a.core.transfer_leadership(kB, a.effects)); }).sends.size() >
              0);
  ASSERT_TRUE(Subject::has<TimeoutNow>(a.effects));

  a.advance(1'000);
  read(a, 5);
  a.advance(1);
  EXPECT_EQ(answered(a), Numbers{});
  a.advance(2 * kHeartbeat);
  a.deliver(kB, answer(a, asked_at(a), static_cast<std::uint32_t>(kElection)));
  a.advance(1'000);
  read(a, 6);
  a.advance(1);

  EXPECT_EQ(a.count(Count::kReadsByLease), 0u) << "the word may still have its effect";
  EXPECT_EQ(a.count(Count::kReadRounds), 2u);
}

TEST(Lease, AFollowerPromisesWithItsAnswerAndVotesForNobodyMeanwhile) {
  Subject b(reading(kB, 3, Reads::kLease));
  b.advance(1);
  b.now += 10 * kElection;
  AppendEntries beat = append(1, 0, 0);
  beat.sent_at = 3;
  b.deliver(kA, beat);
  b.durable();
  b.deliver(kA, beat);
  ASSERT_EQ(only<AppendEntriesReply>(b).promised_us, kElection);
  b.advance(5'000);  // The promise begins with this turn.

  // Something tells it of a later term, in which nobody leads.
  b.deliver(kC, RequestVoteReply{Term(5), false, true});
  b.advance(kElection - 1);
  b.deliver(kC, RequestVote{Term(6), LogIndex(9), Term(1)});
  EXPECT_FALSE(Subject::has<RequestVoteReply>(b.effects));
  EXPECT_EQ(b.count(Count::kVotesPromised), 1u);
  b.advance(1);
  b.deliver(kC, RequestVote{Term(6), LogIndex(9), Term(1)});

  EXPECT_TRUE(only<RequestVoteReply>(b).granted);
}

TEST(Lease, WhomTheLeaderItselfAskedToStandGetsTheVoteAtOnce) {
  Subject b(reading(kB, 3, Reads::kLease));
  b.deliver(kA, append(1, 0, 0));
  b.durable();
  b.deliver(kA, append(1, 0, 0));

  b.deliver(kC, RequestVote{Term(2), LogIndex(9), Term(1), false, true});

  EXPECT_TRUE(only<RequestVoteReply>(b).granted);
}

TEST(Lease, AfterARestartNobodyIsVotedForUntilAnEarlierPromiseIsOver) {
  Subject b(reading(kB, 3, Reads::kLease), disk_of({1}, 1));
  b.advance(7);
  b.advance(kElection - 1);
  b.deliver(kC, RequestVote{Term(2), LogIndex(9), Term(1)});
  EXPECT_EQ(b.count(Count::kVotesPromised), 1u);

  b.advance(1);
  b.deliver(kC, RequestVote{Term(2), LogIndex(9), Term(1)});

  EXPECT_TRUE(only<RequestVoteReply>(b).granted);
}

TEST(Lease, WithoutLeasesNobodyPromises) {
  Subject b(reading(kB, 3));
  AppendEntries beat = append(1, 0, 0);
  beat.sent_at = 3;
  b.deliver(kA, beat);
  b.durable();
  b.deliver(kA, beat);
  EXPECT_EQ(only<AppendEntriesReply>(b).promised_us, 0u);
}

}  // namespace
}  // namespace epaxos::compare::raft
