// When nobody disturbs a leader, and when a leader makes room.

#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

using Lost = std::function<bool(const Letter&)>;

bool is_between(const Letter& letter, ReplicaId one, ReplicaId other) {
  return (letter.from == one && letter.to == other) || (letter.from == other && letter.to == one);
}
bool is_with(const Letter& letter, ReplicaId one) {
  return letter.from == one || letter.to == one;
}

/// Time passes, and these letters do not arrive.
void pass_without(Group& group, Tick us, const Lost& is_lost) {
  for (Tick passed = 0; passed < us; passed += 50'000) {
    group.pass(50'000);
    group.lose(is_lost);
  }
}

TEST(MultiPaxosPreVote, WhoWasCutOffDisturbsNobodyAndWritesNothing) {
  Group group(3);
  group.make_leader(0);
  group.settle(kSecond);
  const auto disk = group[2].disk;

  pass_without(group, 10 * kSecond, [](const Letter& l) { return is_with(l, ReplicaId(2)); });
  EXPECT_GT(group[2].count("pre_votes"), 1u);
  EXPECT_EQ(group[2].disk, disk);
  group.settle(5 * kSecond);

  EXPECT_EQ(group.leader(), 0);
  EXPECT_EQ(group[0].count("stepped_down"), 0u);
  EXPECT_EQ(group[2].count("ballots_started"), 0u);
  group.propose(0, 1);
  group.settle(kSecond);
  EXPECT_EQ(group[2].executed, commands(1, 1));
}

TEST(MultiPaxosPreVote, WhoHearsTheLeaderDoesNotHelpWhoDoesNot) {
  Group group(3);
  group.make_leader(0);

  pass_without(group, 10 * kSecond,
               [](const Letter& letter) { return is_between(letter, ReplicaId(0), ReplicaId(2)); });

  EXPECT_GT(group[1].count("pre_votes_with_leader"), 1u);
  EXPECT_EQ(group[2].count("ballots_started"), 0u);
  EXPECT_EQ(group.leader(), 0);
}

TEST(MultiPaxosPreVote, ALeaderThatFellIsReplaced) {
  Group group(3);
  group.make_leader(0);
  group[0].lose_power();

  group.settle(3 * kSecond);

  EXPECT_GT(group.leader(), 0);
}

TEST(MultiPaxosPreVote, AnAnswerCountsForTheQuestionThatItAnswers) {
  Group group(3);
  group[2].lose_power();
  group[0].now = 20 * CoreConfig{}.election_us;
  group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
  group.collect();
  ASSERT_EQ(group.on_their_way(MessageType::kPreVote), 2u);
  group.letters.clear();
  const auto answer = [&](Tick sent_at) {
    const auto words = words_of(PreVoteOk{sent_at});
    const auto type = static_cast<net::FrameType>(MessageType::kPreVoteOk);
    group.letters.push_back({ReplicaId(1), ReplicaId(0), type, words, words.size() * 8});
    group.deliver(group.letters.size() - 1);
  };

  answer(group[0].now - 1);
  EXPECT_EQ(group[0].count("ballots_started"), 0u);
  answer(group[0].now);
  EXPECT_EQ(group[0].count("ballots_started"), 1u);
  answer(group[0].now);
  EXPECT_EQ(group[0].count("ballots_started"), 1u);
}

// Else two of them could open ballots in turn, each of which ends the other's.
TEST(MultiPaxosPreVote, WhoHasPromisedAnswersNobodyElseForAnElectionTimeout) {
  const auto answers_of = [](Group& group, ReplicaId to) {
    const auto said = answers(group, ReplicaId(2), to, PreVote{7});
    return std::ranges::count_if(
        said, [](const Letter& letter) { return is(letter, MessageType::kPreVoteOk); });
  };
  Group group(3);
  for (int i = 0; i < 3; ++i) group[i].now = 20 * CoreConfig{}.election_us;
  ASSERT_EQ(answers_of(group, ReplicaId(1)), 1);
  group.letters.clear();
  // R0 asks R1, and opens a ballot.
  group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
  group.collect();
  group.lose(
      [](const Letter& l) { return is_with(l, ReplicaId(2)) || is(l, MessageType::kPromise); });
  ASSERT_EQ(group[0].status().role, "candidate");
  ASSERT_EQ(group[1].count("pre_votes_with_leader"), 0u);

  EXPECT_EQ(answers_of(group, ReplicaId(0)), 0) << "its own promise counts too";
  EXPECT_EQ(answers_of(group, ReplicaId(1)), 0);
  EXPECT_EQ(group[1].count("pre_votes_with_leader"), 1u);
  group[1].now += CoreConfig{}.election_us;

  EXPECT_EQ(answers_of(group, ReplicaId(1)), 1) << "whoever prepared may be gone";
}

TEST(MultiPaxosPreVote, WhoMayNotVoteDoesNotAnswer) {
  Group group(3);
  const auto forgot = words_of(Forgot{});
  group.letters.push_back(
      {ReplicaId(2), ReplicaId(1), static_cast<net::FrameType>(MessageType::kForgot), forgot, 0});
  group.deliver_all();
  const auto words = words_of(PreVote{7});
  group.letters.push_back({ReplicaId(0), ReplicaId(1),
                           static_cast<net::FrameType>(MessageType::kPreVote), words,
                           words.size() * 8});
  group.deliver(0);

  EXPECT_EQ(group.on_their_way(MessageType::kPreVoteOk), 0u);
  EXPECT_EQ(group[1].count("refused_not_voting"), 1u);
}

// Its followers hear it, so none of them would ever take its place.
TEST(MultiPaxosQuorumCheck, ALeaderThatHearsNobodyGivesUp) {
  Group group(3);
  group.make_leader(0);
  group.settle(kSecond);

  pass_without(group, 5 * kSecond, [](const Letter& l) { return l.to == ReplicaId(0); });

  EXPECT_EQ(group[0].count("quorum_lost"), 1u);
  EXPECT_GT(group[1].count("ballots_opened") + group[2].count("ballots_opened"), 0u);
}

TEST(MultiPaxosQuorumCheck, ALeaderGivesUpAfterFourElectionTimeoutsAndBeforeTheFifthEnds) {
  Group group(3);
  group.make_leader(0);
  group.settle(kSecond);
  const Tick timeout = CoreConfig{}.election_us;
  // Its last answers may be as old as a heartbeat.
  const Lost to_leader = [](const Letter& l) { return l.to == ReplicaId(0); };

  pass_without(group, 4 * timeout - 2 * CoreConfig{}.heartbeat_us, to_leader);
  EXPECT_EQ(group[0].count("quorum_lost"), 0u);
  pass_without(group, timeout + 2 * CoreConfig{}.heartbeat_us, to_leader);

  EXPECT_EQ(group[0].count("quorum_lost"), 1u);
}

TEST(MultiPaxosQuorumCheck, AnswersToEntriesAndToHeartbeatsBothCount) {
  Group group(3);
  group.make_leader(0);

  group.settle(5 * kSecond);
  for (std::uint64_t number = 1; number <= 200; ++number) {
    group.propose(0, number);
    group.settle(50'000);
  }

  EXPECT_EQ(group.leader(), 0);
  EXPECT_EQ(group[0].count("quorum_lost"), 0u);
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
