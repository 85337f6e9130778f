// The general rules G1 to G8 of protocol.md 6, and the rows of 13.1, one by one, as far as other
// suites do not show them. Rules that need truncation (G2) or recovery (most of G4) are not here.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

// ---- 13.1: what must be durable before what leaves ----
//
// A gated message leaves when the batch of its own turn is durable, and with it the record that
// stands in the same effects.

TEST(LogThenSpeak, PreAcceptWaitsForTheProposalAndTheOwnVote) {
  Subject a(kA, 3);
  const Effects& effects = a.propose({write("x")});
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kPreAccepted});
  EXPECT_EQ(release_of<PreAccept>(effects), Release::kGated);
}

TEST(LogThenSpeak, PreAcceptOkWaitsForTheProposalAndTheVote) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  const Effects& equal = c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});
  EXPECT_EQ(record_kinds(equal, id(kA, 1)), std::vector{RecordKind::kPreAccepted});
  EXPECT_EQ(release_of<PreAcceptOk>(equal), Release::kGated);

  const Effects& differs = c.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block});
  EXPECT_EQ(record_kinds(differs, id(kB, 1)),
            (std::vector{RecordKind::kRecorded, RecordKind::kVote}));
  EXPECT_EQ(release_of<PreAcceptOk>(differs), Release::kGated);

  const Effects& again = c.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, block});
  EXPECT_TRUE(again.records.empty());
  EXPECT_EQ(release_of<PreAcceptOk>(again), Release::kGated) << "the first one may be in flight";
}

TEST(LogThenSpeak, AcceptWaitsForTheOwnVote) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  const Effects& effects = a.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 4, 0}});
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kVote});
  EXPECT_EQ(release_of<Accept>(effects), Release::kGated);

  EXPECT_EQ(release_of<Accept>(a.advance(config(kA, 3).retransmit_us)), Release::kGated);
}

TEST(LogThenSpeak, AcceptOkWaitsForThePromiseAndTheVote) {
  Subject c(kC, 3);
  const Accept nop{id(kA, 1), Ballot{2, kB}, true, {}, {}};
  const Effects& effects = c.deliver(kB, nop);
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kVote});
  EXPECT_EQ(release_of<AcceptOk>(effects), Release::kGated);

  EXPECT_EQ(release_of<AcceptOk>(c.deliver(kB, nop)), Release::kGated);
}

TEST(LogThenSpeak, WhatIsToldOfOthersWaitsForItsRecords) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block});
  EXPECT_EQ(release_of<Learn>(c.deliver(kB, FetchRange{kA, Slot(1), Slot(1)})), Release::kGated);

  c.deliver(kA, Commit{id(kA, 1), CommitKind::kInitial, {}, {}});
  EXPECT_EQ(release_of<Commit>(c.deliver(kB, Status{id(kA, 1)})), Release::kGated);
  EXPECT_EQ(release_of<Commit>(c.deliver(kB, FetchRange{kA, Slot(1), Slot(1)})), Release::kGated);
  EXPECT_EQ(release_of<Commit>(c.deliver(kA, PreAccept{id(kA, 1), {0, 0, 0}, block})),
            Release::kGated);
}

TEST(LogThenSpeak, GossipWaitsForWhatItTells) {
  Subject a(kA, 3);
  a.propose({write("x")});
  EXPECT_EQ(release_of<Frontier>(a.advance(config(kA, 3).gossip_us * 8)), Release::kGated);
}

// The one decision that leaves at once rests on votes that are durable already, the own included.
TEST(LogThenSpeak, ASlowDecisionLeavesAtOnceAndIsLoggedLazily) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 4, 0}});
  a.durable();
  const Effects& effects = a.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});
  EXPECT_EQ(release_of<Commit>(effects), Release::kNow);
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kDecision});
}

// ---- G3: a decision is final, and answers whoever asks for a vote ----

TEST(GeneralRules, G3AcceptOfADecidedInstanceIsAnsweredWithTheDecision) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 2, 0}, block});

  const Effects& effects = c.deliver(kB, Accept{id(kA, 1), Ballot{9, kB}, true, {}, {}});

  EXPECT_EQ(only<Commit>(effects, 3).dependencies, (Dependencies{0, 2, 0})) << "R22";
  EXPECT_FALSE(any<AcceptOk>(effects));
  EXPECT_TRUE(effects.records.empty()) << "never voted on again";
}

// ---- G5: the own entry may complete a quorum ----

TEST(GeneralRules, G5AGroupOfTwoDecidesWhenTheOwnVoteIsTheLast) {
  Subject a(kA, 2);
  a.propose({write("x")});
  const BatchNumber batch = a.effects.batch;
  a.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 1}});
  EXPECT_FALSE(any<Accept>(a.effects));

  Effects out;
  out.batch = 99;
  a.core.durable(batch, out);
  EXPECT_TRUE(any<Accept>(out));
  a.deliver(kB, AcceptOk{id(kA, 1), kInitialBallot});
  EXPECT_FALSE(a.instance(id(kA, 1)).decided());
  a.core.durable(99, out);
  EXPECT_TRUE(a.instance(id(kA, 1)).decided());
}

// ---- G6: a fast decision that is on its way to the disk is no decision yet ----

TEST(GeneralRules, G6AFastDecisionOnItsWayToTheDiskIsToldToNobody) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  const BatchNumber batch = a.effects.batch;

  const Effects& answer = a.deliver(kC, Status{id(kA, 1)});
  EXPECT_EQ(answer.sends.size(), 1u);
  EXPECT_TRUE(any<RangeEnd>(answer)) << "a sign of life, and no more";
  EXPECT_FALSE(any<Commit>(a.deliver(kC, FetchRange{kA, Slot(1), Slot(1)})));
  EXPECT_TRUE(a.end_turn().executions.empty());
  EXPECT_TRUE(a.deliver(kC, PreAcceptOk{id(kA, 1), true, {}}).empty());
  a.deliver(kC, Nack{id(kA, 1), kInitialBallot, Ballot{1, kC}});

  Effects out;
  out.batch = 99;
  a.core.durable(batch, out);
  EXPECT_TRUE(any<Commit>(out)) << "neither an answer nor a Nack takes it back";
}

// ---- G7: whatever is recorded, by whatever message, counts from then on ----

TEST(GeneralRules, G7EveryWayToLearnAPayloadMakesItAConflict) {
  const auto block = block_of({write("x")});
  const Dependencies none{0, 0, 0};
  const auto answer_after = [&](auto teach) {
    Subject c(kC, 3);
    teach(c);
    return only<PreAcceptOk>(c.deliver(kB, PreAccept{id(kB, 1), none, block}), 3).dependencies;
  };
  const Dependencies seen{1, 0, 0};

  EXPECT_EQ(answer_after([&](Subject& c) {
              c.deliver(kA, PreAccept{id(kA, 1), none, block});
            }),
            seen);
  EXPECT_EQ(answer_after([&](Subject& c) { c.deliver(kB, Learn{id(kA, 1), none, block}); }), seen);
  EXPECT_EQ(answer_after([&](Subject& c) {
              c.deliver(kA, Accept{id(kA, 1), kInitialBallot, false, none, block});
            }),
            seen);
  EXPECT_EQ(answer_after([&](Subject& c) {
              c.deliver(kB, Commit{id(kA, 1), CommitKind::kFull, none, block});
            }),
            seen);
}

TEST(GeneralRules, G7AnOwnProposalDependsOnWhateverIsRecorded) {
  Subject a(kA, 3);
  const auto block = block_of({write("x")});
  a.deliver(kB, Learn{id(kC, 3), {0, 0, 0}, block});
  a.deliver(kB, Commit{id(kB, 2), CommitKind::kFull, {0, 0, 0}, block});

  EXPECT_EQ(only<PreAccept>(a.propose({write("x")}), 3).initial, (Dependencies{0, 2, 3}));
}

// ---- G8: an owner that is told of a higher ballot stops, and finds out by asking ----

TEST(GeneralRules, G8AfterANackTheOwnerAsksWhatBecameOfIt) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kC, Nack{id(kA, 1), kInitialBallot, Ballot{1, kC}});
  a.end_turn();

  bool asked = false;
  for (int i = 0; i < 10; ++i) {
    const Effects& effects = a.advance(CoreConfig{}.question_us);
    EXPECT_FALSE(any<PreAccept>(effects));
    asked |= any<Status>(effects);
  }

  EXPECT_TRUE(asked);
}

TEST(GeneralRules, G8ANackForAnotherRoundOrFromTheOwnRoundIsIgnored) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();
  a.deliver(kC, Nack{id(kA, 1), kInitialBallot, kInitialBallot});
  a.deliver(kC, Nack{id(kA, 1), Ballot{1, kA}, Ballot{2, kC}});
  a.deliver(kC, Nack{id(kB, 1), kInitialBallot, Ballot{1, kC}});
  a.deliver(kC, Nack{id(kA, 7), kInitialBallot, Ballot{1, kC}});

  EXPECT_TRUE(any<PreAccept>(a.advance(config(kA, 3).retransmit_us)));
}

}  // namespace
}  // namespace epaxos::protocol
