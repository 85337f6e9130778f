// Messages, options, and what peers may say that makes no sense.

#include <random>

#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

Bytes view(const std::vector<std::uint64_t>& words) {
  return std::as_bytes(std::span(words));
}

TEST(MultiPaxosMessages, APromiseComesBackAsItWas) {
  const auto first = nop_at({1, kA});
  const auto second = nop_at({2, kB});
  Promise promise{kBallot, Slot(5), Slot(9), Slot(4), Slot(3), {}};
  promise.votes.push_back({Slot(6), {}, first});
  promise.votes.push_back({Slot(9), {}, second});

  const auto words = words_of(promise);
  Promise read;

  ASSERT_TRUE(decode(view(words), 3, read));
  EXPECT_EQ(read.ballot, kBallot);
  EXPECT_EQ(read.through, Slot(9));
  EXPECT_EQ(read.decided_up_to, Slot(4));
  EXPECT_EQ(read.floor, Slot(3));
  ASSERT_EQ(read.votes.size(), 2u);
  EXPECT_EQ(read.votes[1].slot, Slot(9));
  EXPECT_TRUE(std::ranges::equal(read.votes[1].encoded, second));
}

TEST(MultiPaxosMessages, WhatIsOutOfRangeIsRefused) {
  const auto entry = nop_at(kBallot);
  Promise promise;
  Accept accept;
  Heartbeat heartbeat;
  Fetch fetch;
  Nack nack;
  const auto promise_with = [&](Slot slot, Slot through, Slot decided, Slot floor) {
    Promise made{kBallot, Slot(5), through, decided, floor, {}};
    made.votes.push_back({slot, {}, entry});
    return words_of(made);
  };

  EXPECT_TRUE(decode(view(promise_with(Slot(6), Slot(6), Slot(5), Slot(5))), 3, promise));
  EXPECT_FALSE(decode(view(promise_with(Slot(6), Slot(6), Slot(6), Slot(5))), 3, promise));
  EXPECT_FALSE(decode(view(promise_with(Slot(6), Slot(5), Slot(5), Slot(5))), 3, promise));
  EXPECT_FALSE(decode(view(promise_with(Slot(6), Slot(6), Slot(4), Slot(5))), 3, promise));
  EXPECT_FALSE(decode(view(words_of(Accept{{4, kA}, {}, Slot(1), entry})), 3, accept))
      << "the entry is one of another ballot";
  EXPECT_FALSE(decode(view(words_of(Accept{kBallot, {}, Slot(1), {}})), 3, accept));
  EXPECT_TRUE(decode(view(words_of(Accept{kBallot, Slot(1), Slot(2), entry})), 3, accept));
  EXPECT_FALSE(decode(view(words_of(Accept{kBallot, Slot(2), Slot(2), entry})), 3, accept))
      << "what is decided is not proposed";
  Promise earlier{{2, kB}, Slot(1), Slot(9), {}, {}, {}};
  earlier.votes.push_back({Slot(2), {}, entry});
  EXPECT_FALSE(decode(view(words_of(earlier)), 3, promise)) << "a vote above the promise";
  EXPECT_FALSE(decode(view(words_of(Accept{kBallot, {}, Slot(1), entry})), 1, accept))
      << "there is no such replica";
  std::vector<std::byte> members(kEntryHeaderBytes + kMembersBytes);
  encode_members(kBallot.packed(), {ReplicaSet::all(3)}, members);
  EXPECT_FALSE(decode(view(words_of(Accept{kBallot, {}, Slot(1), members})), 3, accept))
      << "the members cannot change here";
  EXPECT_FALSE(decode(view(words_of(Heartbeat{kBallot, Slot(5), Slot(4)})), 3, heartbeat));
  EXPECT_FALSE(decode(view(words_of(Heartbeat{kInitialBallot, {}, {}})), 3, heartbeat));
  HeartbeatOk ok;
  EXPECT_TRUE(decode(view(words_of(HeartbeatOk{kBallot, 7, 9})), 3, ok));
  EXPECT_EQ(ok.promised_us, 9u);
  EXPECT_FALSE(decode(view(words_of(HeartbeatOk{kBallot, 0, 9})), 3, ok)) << "to no heartbeat";
  EXPECT_FALSE(decode(view(words_of(HeartbeatOk{kInitialBallot, 7, 9})), 3, ok));
  PreVote pre_vote;
  PreVoteOk pre_vote_ok;
  EXPECT_TRUE(decode(view(words_of(PreVote{7})), 3, pre_vote));
  EXPECT_FALSE(decode(view(words_of(PreVote{0})), 3, pre_vote));
  EXPECT_TRUE(decode(view(words_of(PreVoteOk{7})), 3, pre_vote_ok));
  EXPECT_FALSE(decode(view(words_of(PreVoteOk{0})), 3, pre_vote_ok)) << "to no question";
  EXPECT_FALSE(decode(view(words_of(HeartbeatOk{kBallot, 7, 9})), 3, pre_vote_ok)) << "too long";
  EXPECT_FALSE(decode(view(words_of(Fetch{Slot(5), Slot(4)})), 3, fetch));
  EXPECT_FALSE(decode(view(words_of(Nack{kBallot, kBallot})), 3, nack));
}

// What lies beyond is closer to 2^64 than any log or ballot comes.
TEST(MultiPaxosMessages, BallotsAndSlotsAreBounded) {
  const auto entry = nop_at(kBallot);
  const auto refused = [](auto message) {
    const auto words = words_of(message);
    return !decode(view(words), 3, message);
  };
  EXPECT_TRUE(refused(Prepare{{kBallotRoundMax + 1, kB}, Slot(1)}));
  EXPECT_TRUE(refused(Nack{kBallot, {kBallotRoundMax + 1, kB}}));
  EXPECT_FALSE(refused(Nack{kBallot, {kBallotRoundMax, kB}}));
  for (const std::uint64_t beyond : {kLogSlotMax + 1, ~std::uint64_t{0}}) {
    const Slot far(beyond);
    EXPECT_TRUE(refused(Prepare{kBallot, far}));
    EXPECT_TRUE(refused(Promise{kBallot, Slot(1), far, {}, {}, {}}));
    EXPECT_TRUE(refused(Promise{kBallot, Slot(1), Slot(1), far, {}, {}}));
    EXPECT_TRUE(refused(Accept{kBallot, {}, far, entry}));
    EXPECT_TRUE(refused(Accepted{kBallot, Slot(1), far}));
    EXPECT_TRUE(refused(Heartbeat{kBallot, {}, far}));
    EXPECT_TRUE(refused(Fetch{Slot(1), far}));
    EXPECT_TRUE(refused(Learn{far, entry}));
    EXPECT_TRUE(refused(Truncated{far}));
  }
  for (const bool slot_zero :
       {refused(Prepare{kBallot, {}}), refused(Accept{kBallot, {}, {}, entry}),
        refused(Accepted{kBallot, {}, Slot(1)}), refused(Fetch{{}, Slot(1)}),
        refused(Learn{{}, entry}), refused(Truncated{{}})}) {
    EXPECT_TRUE(slot_zero);
  }
}

// Every message with any of its bytes changed decodes to something in range, or not at all; and a
// core that gets it goes on.
TEST(MultiPaxosMessages, NoByteThatIsAnotherOneBreaksACore) {
  std::mt19937 random(1);
  const auto entry = nop_at(kBallot);
  Promise promise{kBallot, Slot(1), Promise::kThroughAll, {}, {}, {}};
  promise.votes.push_back({Slot(2), {}, entry});
  const std::vector<std::pair<MessageType, std::vector<std::uint64_t>>> all{
      {MessageType::kPrepare, words_of(Prepare{kBallot, Slot(1)})},
      {MessageType::kPromise, words_of(promise)},
      {MessageType::kAccept, words_of(Accept{kBallot, {}, Slot(1), entry})},
      {MessageType::kAccepted, words_of(Accepted{kBallot, Slot(1), Slot(3)})},
      {MessageType::kNack, words_of(Nack{{1, kA}, kBallot})},
      {MessageType::kHeartbeat, words_of(Heartbeat{kBallot, Slot(1), Slot(2), 7})},
      {MessageType::kHeartbeatOk, words_of(HeartbeatOk{kBallot, 7, 9})},
      {MessageType::kPreVote, words_of(PreVote{7})},
      {MessageType::kPreVoteOk, words_of(PreVoteOk{7})},
      {MessageType::kFetch, words_of(Fetch{Slot(1), Slot(9)})},
      {MessageType::kLearn, words_of(Learn{Slot(1), entry})},
      {MessageType::kTruncated, words_of(Truncated{Slot(3)})}};
  Group group(3, {.learn_from_all = true});
  group.make_leader(0);
  for (int round = 0; round < 5'000; ++round) {
    auto [type, words] = all[random() % all.size()];
    auto* const bytes = reinterpret_cast<unsigned char*>(words.data());
    for (unsigned i = 0; i <= random() % 3; ++i) {
      bytes[random() % (words.size() * 8)] = static_cast<unsigned char>(random());
    }
    const ReplicaId to = replica_at(random() % 2);
    group.letters.clear();
    group.letters.push_back(
        {ReplicaId(2), to, static_cast<net::FrameType>(type), words, words.size() * 8});
    group.deliver(0);
  }

  EXPECT_GT(group[0].count("refused_malformed_frame"), 100u);
}

TEST(MultiPaxosMessages, ASlotThatIsFarAwayIsRefusedAndCounted) {
  CoreConfig config;
  config.held_undecided_max = 10;
  Group group(3, {}, config);
  const auto entry = nop_at(kBallot);

  EXPECT_EQ(answers(group, kB, kA, Accept{kBallot, {}, Slot(10), entry}).size(), 1u);
  EXPECT_EQ(answers(group, kB, kA, Accept{kBallot, {}, Slot(11), entry}).size(), 0u);

  EXPECT_EQ(group[0].count("refused_too_far_ahead"), 1u);
}

TEST(MultiPaxosMessages, WhoSpeaksAtTheBallotOfAnotherIsNotHeard) {
  Group group(3);
  const auto entry = nop_at(kBallot);

  EXPECT_EQ(answers(group, ReplicaId(2), kA, Prepare{kBallot, Slot(1)}).size(), 0u);
  EXPECT_EQ(answers(group, ReplicaId(2), kA, Accept{kBallot, {}, Slot(1), entry}).size(), 0u);

  EXPECT_EQ(group[0].count("refused_not_the_ballots_owner"), 2u);
}

TEST(MultiPaxosMessages, AVoteBelowAPromiseIsRefused) {
  Group group(3);
  const auto entry = nop_at(kBallot);
  answers(group, ReplicaId(2), kA, Prepare{{4, ReplicaId(2)}, Slot(1)});

  const auto said = answers(group, kB, kA, Accept{kBallot, {}, Slot(1), entry});

  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(is(said[0], MessageType::kNack));
}

TEST(MultiPaxosOptions, QuorumsThatNeedNotMeetAreRefusedWithASentence) {
  const Result<Quorums> refused = quorums_of({.phase1 = 3, .phase2 = 2}, 5);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("need not meet"), std::string::npos);
  EXPECT_TRUE(quorums_of({.phase1 = 4, .phase2 = 2}, 5));
  EXPECT_TRUE(quorums_of({.phase1 = 3, .phase2 = 2, .unsafe_quorums = true}, 5));
  EXPECT_FALSE(quorums_of({.grid_rows = 2}, 5));
  EXPECT_TRUE(quorums_of({.grid_rows = 2}, 4));
}

TEST(MultiPaxosOptions, TheOtherPhaseGetsAsFewAsAreSafe) {
  for (int n = 1; n <= 9; ++n) {
    for (int phase2 = 1; phase2 <= n; ++phase2) {
      const Quorums quorums = quorums_of({.phase2 = phase2}, n).value();
      EXPECT_TRUE(quorums.opens(ReplicaSet::all(n + 1 - phase2))) << n << " " << phase2;
      EXPECT_FALSE(quorums.opens(ReplicaSet::all(n - phase2))) << n << " " << phase2;
    }
  }
}

TEST(MultiPaxosOptions, TwoOfFiveChooseWhereFourOpen) {
  Group group(5, {.phase2 = 2});
  group.make_leader(0);
  for (int i = 2; i < 5; ++i) group[i].lose_power();

  group.propose(0, 1);
  group.deliver_all();

  EXPECT_EQ(group[0].executed, commands(1, 1));
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
