// What no honest peer says, in whatever order letters come: it is refused, counted by its name, and
// changes nothing. docs/multipaxos.md has the table.

#include "tests/compare/log/support.h"
#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Ballot kLater{4, kC};
constexpr std::uint64_t kLife = CoreConfig{}.life + 1;  // The first one of a StagedCore.

/// A among peers that say what a test wants.
class Listener : public ::testing::Test {
 protected:
  template <class Message>
  std::deque<Letter> tell(ReplicaId from, const Message& message) {
    return answers(group, from, kA, message);
  }
  [[nodiscard]] std::uint64_t count(std::string_view counter) { return group[0].count(counter); }
  /// The patience of A ends.
  void miss_the_leader() {
    group[0].now += 20 * CoreConfig{}.election_us;
    group.letters.clear();
    group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
    group.collect();
  }
  /// What A opens when C misses the leader too; none: the initial one.
  Ballot next_ballot() {
    miss_the_leader();
    Prepare prepare;
    for (const Letter& each : tell(kC, PreVoteOk{group[0].now})) {
      if (!is(each, MessageType::kPrepare)) continue;
      EXPECT_TRUE(decode(each.body(), 3, prepare));
    }
    return prepare.ballot;
  }

  Group group{3};
};

/// B leads at kBallot, as far as A knows, and its first entry is decided.
class Follower : public Listener {
 protected:
  Follower() {
    const auto first = entry_of(kBallot.packed(), kB, 1);
    EXPECT_THAT(tell(kB, Accept{kBallot, {}, Slot(1), first}), SizeIs(1));
    tell(kB, Heartbeat{kBallot, Slot(1), Slot(1)});
    EXPECT_THAT(group[0].executed, SizeIs(1));
  }
};

TEST_F(Follower, IsToldAnotherEntryAtABallotThatItHasVotedAt) {
  const auto second = entry_of(kBallot.packed(), kB, 2);
  const auto other = entry_of(kBallot.packed(), kC, 1);
  EXPECT_THAT(tell(kB, Accept{kBallot, {}, Slot(2), second}), SizeIs(1));

  EXPECT_THAT(tell(kB, Accept{kBallot, {}, Slot(2), other}), IsEmpty()) << "it is no vote";
  EXPECT_EQ(count("refused_contradicts_vote"), 1u);
  for (const Letter& said : tell(kB, Accept{kBallot, {}, Slot(1), other})) {
    EXPECT_TRUE(is(said, MessageType::kLearn)) << "a slot that is decided";
  }
  EXPECT_EQ(count("refused_contradicts_vote"), 2u);
}

TEST_F(Follower, IsToldAnotherEntryAtAHigherBallotThanThatOfTheDecision) {
  const auto same = entry_of(kLater.packed(), kB, 1);
  const auto other = entry_of(kLater.packed(), kC, 1);

  const auto said = tell(kC, Accept{kLater, {}, Slot(1), other});
  ASSERT_THAT(said, SizeIs(1));
  EXPECT_TRUE(is(said[0], MessageType::kLearn));
  EXPECT_EQ(count("refused_contradicts_decision"), 1u);
  tell(kC, Accept{kLater, {}, Slot(1), same});
  EXPECT_EQ(count("refused_contradicts_decision"), 1u) << "whoever lags proposes it again";
}

TEST_F(Follower, IsToldOfAnotherDecision) {
  tell(kC, Learn{Slot(1), entry_of(kLater.packed(), kC, 1)});
  EXPECT_EQ(count("refused_contradicts_decision"), 1u);
  EXPECT_THAT(group[0].executed, SizeIs(1));
}

// Whoever claims a high ballot of somebody else must not drive this replica's ballots up.
TEST_F(Follower, HearsNobodySpeakAtTheBallotOfAnother) {
  const Ballot high{1'000'000, kB};
  const auto entry = nop_at(high);
  tell(kC, Prepare{high, Slot(1)});
  tell(kC, Accept{high, {}, Slot(2), entry});
  tell(kC, Heartbeat{high, {}, {}});
  EXPECT_EQ(count("refused_not_the_ballots_owner"), 3u);
  tell(kC, Promise{kBallot, Slot(2), Promise::kThroughAll, {}, {}, {}});
  tell(kC, Accepted{kBallot, Slot(1), Slot(1)});
  tell(kC, Nack{kBallot, high});
  tell(kC, HeartbeatOk{kBallot, 7, 9});

  EXPECT_EQ(count("refused_not_the_ballots_owner"), 7u) << "answers to a ballot of B";
  EXPECT_EQ(next_ballot(), (Ballot{kBallot.round + 1, kA}));
}

TEST_F(Follower, OpensNoBallotWhenNoneIsLeft) {
  tell(kC, Prepare{{kBallotRoundMax, kC}, Slot(1)});

  EXPECT_EQ(next_ballot(), kInitialBallot) << "none";
  EXPECT_EQ(count("refused_last_ballot"), 1u);
  EXPECT_EQ(count("pre_votes"), 0u) << "what cannot follow is not asked for";
  group[0].lose_power();
  group[0].boot();
  EXPECT_EQ(group[0].status().role, "follower") << "its disk makes sense";
}

// The last one is claimed while the answers are on their way.
TEST_F(Follower, OpensNoBallotWhenTheLastOneIsTakenAfterItsQuestion) {
  miss_the_leader();
  ASSERT_EQ(count("pre_votes"), 1u);
  tell(kB, Nack{{1, kA}, {kBallotRoundMax, kB}});

  tell(kC, PreVoteOk{group[0].now});
  EXPECT_EQ(count("ballots_started"), 0u);
  EXPECT_EQ(count("refused_last_ballot"), 1u);
}

TEST_F(Follower, BelievesNobodyThatItsLeaderIsMissedBeforeItHasAsked) {
  const auto says_all = [&] {
    for (const Tick time : {group[0].now + 1, kNever - 1, kNever}) {
      for (const ReplicaId from : {kB, kC}) tell(from, PreVoteOk{time});
    }
  };
  group[0].now += 1;

  says_all();
  EXPECT_EQ(count("refused_never_asked"), 6u);
  for (const ReplicaId from : {kB, kC}) tell(from, PreVoteOk{group[0].now});
  EXPECT_EQ(count("ignored_stale"), 2u) << "it may be from an earlier life";
  miss_the_leader();
  says_all();
  EXPECT_EQ(count("refused_never_asked"), 12u);
  tell(kB, Heartbeat{kBallot, Slot(1), Slot(1)});
  says_all();
  EXPECT_EQ(count("refused_never_asked"), 18u) << "the question is over";
  EXPECT_EQ(count("ballots_started"), 0u);
}

// A question names no ballot: whatever it says, nothing is promised and nobody's ballot goes up.
TEST_F(Follower, IsAskedAtAnyTimeWhetherItMissesItsLeader) {
  EXPECT_THAT(tell(kC, PreVote{kNever}), IsEmpty()) << "it hears one";
  EXPECT_EQ(count("pre_votes_with_leader"), 1u);
  miss_the_leader();
  const auto disk = group[0].disk;

  for (const Tick time : {Tick{1}, group[0].now + 1, kNever}) {
    const auto said = tell(kC, PreVote{time});
    ASSERT_THAT(said, SizeIs(1));
    PreVoteOk answer;
    ASSERT_TRUE(is(said[0], MessageType::kPreVoteOk));
    ASSERT_TRUE(decode(said[0].body(), 3, answer));
    EXPECT_EQ(answer.sent_at, time);
  }
  EXPECT_EQ(group[0].disk, disk);
  EXPECT_EQ(next_ballot(), (Ballot{kBallot.round + 1, kA}));
}

// Otherwise both of two that ask at once would open a ballot, the second in spite of its promise.
TEST_F(Follower, LeavesTheTurnToWhomItHasPromised) {
  miss_the_leader();
  const auto said = tell(kC, Prepare{kLater, Slot(2)});
  ASSERT_THAT(said, SizeIs(1));
  ASSERT_TRUE(is(said[0], MessageType::kPromise));

  tell(kB, PreVoteOk{group[0].now});
  EXPECT_EQ(count("ballots_started"), 0u);
  EXPECT_EQ(count("ignored_stale"), 1u);
}

TEST_F(Follower, GoesBackInItsBlocksForItsLeaderAlone) {
  group.propose(0, 1);
  const std::uint64_t forwarded = count("forwarded");
  ASSERT_EQ(forwarded, 1u);

  tell(kC, Wanted{kLife, 1});
  EXPECT_EQ(count("forwarded"), forwarded);
  tell(kB, Wanted{kLife, 1});
  EXPECT_EQ(count("forwarded"), forwarded + 1);
}

TEST_F(Follower, WasNeverAskedAboutARead) {
  tell(kB, ReadIndexReply{kLife, 1, {}});
  EXPECT_EQ(count("refused_never_asked"), 1u);
  tell(kB, ReadIndexReply{kLife + 1, 1, {}});
  EXPECT_EQ(count("refused_never_asked"), 2u) << "of a life that has not begun";
}

TEST_F(Follower, TakesNoMoreThanATurnHasRoomFor) {
  const auto words = words_of(Accept{kBallot, {}, Slot(2), nop_at(kBallot)});
  group[0].turn([&](Effects& out) {
    Slice unused;
    out.allocate(std::size_t{65} * 1024 * 1024, unused);
    const auto type = static_cast<net::FrameType>(MessageType::kAccept);
    group[0].core->receive(kB, {{}, {}, type, std::as_bytes(std::span(words))}, out);
  });
  EXPECT_EQ(count("refused_turn_full"), 1u);
  EXPECT_TRUE(group[0].sent.empty());
}

TEST_F(Follower, VotesForNothingWhileItsDiskIsFull) {
  group[0].core->storage_full(true);
  const auto entry = nop_at(kBallot);

  EXPECT_THAT(tell(kB, Accept{kBallot, {}, Slot(2), entry}), IsEmpty());
  EXPECT_THAT(tell(kC, Prepare{kLater, Slot(2)}), IsEmpty());
  tell(kC, Learn{Slot(2), entry});
  EXPECT_THAT(tell(kC, PreVote{7}), IsEmpty());

  EXPECT_EQ(count("refused_storage_full"), 4u);
}

TEST_F(Follower, CountsFramesThatAreNotForIt) {
  group[0].turn([&](Effects& out) {
    group[0].core->receive(kB, {GroupId(4), {}, 1, {}}, out);
    group[0].core->receive(kB, {{}, Epoch(4), 1, {}}, out);
    group[0].core->receive(kB, {{}, {}, 99, {}}, out);
  });
  EXPECT_EQ(count("refused_wrong_group"), 1u);
  EXPECT_EQ(count("refused_wrong_epoch"), 1u);
  EXPECT_EQ(count("refused_unknown_type"), 1u);
}

/// A leads, and its first entry is decided.
class Leader : public Listener {
 protected:
  Leader() {
    group.make_leader(0);
    group.propose(0, 1);
    group.deliver_all();
    EXPECT_EQ(group[0].executed, commands(1, 1));
  }
  const Ballot ballot{1, kA};
};

TEST_F(Leader, BelievesNoVoteForWhatItHasNotProposed) {
  group[2].lose_power();
  tell(kB, Accepted{ballot, Slot(2), Slot(2)});
  EXPECT_EQ(count("refused_never_asked"), 1u);
  group.propose(0, 2);
  tell(kB, Accepted{ballot, Slot(2), Slot(3)});
  EXPECT_EQ(count("refused_never_asked"), 2u);
  EXPECT_EQ(group[0].executed, commands(1, 1));

  tell(kB, Accepted{ballot, Slot(2), Slot(2)});
  EXPECT_EQ(group[0].executed, commands(1, 2));
  tell(kB, Accepted{ballot, Slot(2), Slot(2)});
  EXPECT_EQ(count("refused_never_asked"), 2u) << "what comes twice is over";
}

TEST_F(Leader, BelievesNoAnswerToWhatItWillSendLater) {
  tell(kB, HeartbeatOk{ballot, group[0].now + 1, 9});
  EXPECT_EQ(count("refused_never_asked"), 1u);
}

// Otherwise a peer that says what nobody asked for keeps a leader in place that reaches nobody.
TEST_F(Leader, TakesNoSuchAnswerForOneOfWhoFollowsIt) {
  for (int i = 0; i < 20; ++i) {
    group[0].now += CoreConfig{}.election_us / 2;
    group.letters.clear();
    group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
    tell(kB, HeartbeatOk{ballot, group[0].now + 1, 9});
    tell(kC, Accepted{ballot, Slot(2), Slot(2)});
  }

  EXPECT_GE(count("refused_never_asked"), 10u);
  EXPECT_EQ(count("quorum_lost"), 1u);
}

TEST_F(Leader, TakesNoBlockThatMakesNoSense) {
  std::vector<std::byte> block = block_of("k");
  block[0] = std::byte{200};  // So many commands there are not.
  tell(kB, Forward{1, 1, block});
  EXPECT_EQ(count("refused_malformed_block"), 1u);
}

TEST(SmallPipeline, TakesNoMoreThanItHolds) {
  Group group(3, {.pipeline_max = 1});
  group.make_leader(0);
  const std::vector<std::byte> block = block_of("k");
  answers(group, kB, kA, Forward{1, 1, block});
  answers(group, kB, kA, Forward{1, 2, block});

  EXPECT_EQ(group[0].count("refused_pipeline_full"), 1u);
  EXPECT_EQ(answers(group, kC, kB, Forward{1, 1, block}).size(), 0u);
  EXPECT_EQ(group[1].count("ignored_not_leading"), 1u);
}

// A vote that is left out may be for what was chosen, so the promise is none.
TEST(Candidate, CountsNoPromiseWithAVoteThatIsTooFarAway) {
  CoreConfig config;
  config.held_undecided_max = 10;
  for (const std::uint64_t decided : {std::uint64_t{0}, 2 * LogWindow::kSpanMax}) {
    Group group(3, {}, config);
    group[0].now = 20 * config.election_us;
    group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
    answers(group, kC, kA, PreVoteOk{group[0].now});
    const Ballot ballot{1, kA};
    const auto entry = nop_at({1, kA});
    Promise promise{ballot, Slot(1), Promise::kThroughAll, Slot(decided), {}, {}};
    promise.votes.push_back({Slot(decided + 11), {}, entry});

    answers(group, kB, kA, promise);
    EXPECT_EQ(group[0].count("refused_too_far_ahead"), 1u);
    EXPECT_EQ(group[0].status().role, "candidate");

    promise.votes[0].slot = Slot(decided + 10);
    answers(group, kB, kA, promise);
    EXPECT_EQ(group[0].status().role, decided == 0 ? "leader" : "candidate");
  }
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
