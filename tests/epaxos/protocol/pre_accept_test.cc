// The first round, handler by handler: protocol.md 6.1 to 6.3.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

PreAccept pre_accept(const InstanceId& instance, const std::vector<std::byte>& block,
                     const Dependencies& initial) {
  return {instance, initial, block};
}

TEST(Submit, OwnerRecordsVotesAndTellsEverybody) {
  Subject a(kA, 3);

  const Effects& effects = a.propose({write("x")});

  const auto sent = sends<PreAccept>(effects, 3);
  ASSERT_EQ(sent.size(), 1u) << "a broadcast is encoded once";
  EXPECT_EQ(sent[0].first, ReplicaSet::all(3).without(kA));
  EXPECT_EQ(sent[0].second.instance, id(kA, 1));
  EXPECT_EQ(sent[0].second.initial, (Dependencies{0, 0, 0}));
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kPreAccepted});
  EXPECT_EQ(effects.sends[0].release, Release::kGated) << "the record first (R4)";
}

TEST(Submit, LaterOwnCommandDependsOnTheEarlierConflictingOne) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.propose({write("y")});

  const auto m = only<PreAccept>(a.propose({write("x")}), 3);

  EXPECT_EQ(m.instance, id(kA, 3));
  EXPECT_EQ(m.initial, (Dependencies{1, 0, 0}));
}

TEST(Submit, OneInstanceACommandUnlessBatchingIsOn) {
  Subject single(kA, 3);
  single.propose({write("x", 1), write("y", 2), write("z", 3)});
  EXPECT_EQ(single.count(Count::kProposedInstances), 3u);

  CoreConfig batching = config(kA, 3);
  batching.batch_commands_max = 2;
  Subject batched(batching);
  const Effects& effects = batched.propose({write("x", 1), write("y", 2), write("z", 3)});
  EXPECT_EQ(batched.count(Count::kProposedInstances), 2u);
  EXPECT_EQ(batched.count(Count::kProposedCommands), 3u);
  EXPECT_EQ(block_command_count(sends<PreAccept>(effects, 3)[0].second.block), 2u);
}

TEST(Submit, BatchStopsAtItsBytes) {
  CoreConfig batching = config(kA, 3);
  batching.batch_commands_max = 100;
  batching.batch_bytes_max = 20;
  Subject a(batching);

  a.propose({command(Footprint::write("x"), 1, "0123456789"),
             command(Footprint::write("y"), 2, "0123456789"),
             command(Footprint::write("z"), 3, "0123456789")});

  EXPECT_EQ(a.count(Count::kProposedInstances), 2u);
}

// R17: every command of a batch counts for the dependencies, not only the first that raises a row.
TEST(Submit, EveryCommandOfABatchCountsForTheDependencies) {
  CoreConfig batching = config(kB, 3);
  batching.batch_commands_max = 2;
  Subject b(batching);
  const auto wa = block_of({write("a")});
  const auto wb = block_of({write("b")});
  b.deliver(kA, pre_accept(id(kA, 2), wa, {0, 0, 0}));
  b.deliver(kA, pre_accept(id(kA, 9), wb, {0, 0, 0}));

  const auto m = only<PreAccept>(b.propose({write("a", 1), write("b", 2)}), 3);

  EXPECT_EQ(m.initial, (Dependencies{9, 0, 0}));
}

TEST(Submit, TooManyInFlightIsARejectionThatSaysSo) {
  CoreConfig tiny = config(kA, 3);
  tiny.in_flight_max = 1;
  Subject a(tiny);

  const Effects& effects = a.propose({write("x", 1), write("x", 2)});

  ASSERT_EQ(effects.rejections.size(), 1u);
  EXPECT_EQ(effects.rejections[0].command.number, 2u);
  EXPECT_EQ(effects.rejections[0].code, ErrorCode::kOverloaded);
  EXPECT_EQ(sends<PreAccept>(effects, 3).size(), 1u);
}

TEST(Submit, CommandThatFitsNoInstanceIsRejected) {
  Subject a(kA, 3);
  const std::string huge(kBlockBytesMax, 'x');

  const Effects& effects = a.propose({command(Footprint::write("x"), 1, huge)});

  ASSERT_EQ(effects.rejections.size(), 1u);
  EXPECT_EQ(effects.rejections[0].code, ErrorCode::kTooLarge);
}

// C has recorded B.1 on the same key before A.1 arrives. A did not know of it, so C must tell: this
// is the answer that sends A.1 down the slow path.
TEST(PreAccept, AnswerAddsTheConflictThatTheOwnerHasNotSeen) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kB, pre_accept(id(kB, 1), block, {0, 0, 0}));

  const Effects& effects = c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0}));

  const auto answer = only<PreAcceptOk>(effects, 3);
  EXPECT_FALSE(answer.initial);
  EXPECT_EQ(answer.dependencies, (Dependencies{0, 1, 0}));
  EXPECT_EQ(effects.sends[0].release, Release::kGated) << "the vote first (R3)";
  EXPECT_EQ(record_kinds(effects, id(kA, 1)),
            (std::vector{RecordKind::kRecorded, RecordKind::kVote}));
}

TEST(PreAccept, AgreeingAnswerIsOneRecord) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});

  const Effects& effects = c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0}));

  EXPECT_TRUE(only<PreAcceptOk>(effects, 3).initial);
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kPreAccepted});
}

TEST(PreAccept, ReadsDoNotConflictWithReads) {
  Subject c(kC, 3);
  const auto r = block_of({read("x")});
  const auto w = block_of({write("x")});
  c.deliver(kB, pre_accept(id(kB, 1), r, {0, 0, 0}));

  EXPECT_TRUE(only<PreAcceptOk>(c.deliver(kA, pre_accept(id(kA, 1), r, {0, 0, 0})), 3).initial);
  EXPECT_EQ(only<PreAcceptOk>(c.deliver(kA, pre_accept(id(kA, 2), w, {1, 0, 0})), 3).dependencies,
            (Dependencies{1, 1, 0}));
}

// A later own command may overtake an earlier one on the way; the owner's own row is its business.
TEST(PreAccept, AcceptorNeverTouchesTheOwnersRow) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kA, pre_accept(id(kA, 2), block, {1, 0, 0}));

  EXPECT_TRUE(only<PreAcceptOk>(c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0})), 3).initial);
}

TEST(PreAccept, DuplicateGetsTheStoredAnswerNeverAFreshOne) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  const auto message = pre_accept(id(kA, 1), block, {0, 0, 0});
  c.deliver(kA, message);
  c.deliver(kB, pre_accept(id(kB, 1), block, {0, 0, 0}));

  const Effects& effects = c.deliver(kA, message);

  EXPECT_TRUE(only<PreAcceptOk>(effects, 3).initial);
  EXPECT_TRUE(effects.records.empty());
}

TEST(PreAccept, OnlyTheOwnerOfTheRowMayPropose) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});

  const Effects& effects = c.deliver(kB, pre_accept(id(kA, 1), block, {0, 0, 0}));

  EXPECT_TRUE(effects.empty());
  EXPECT_EQ(c.count(Count::kNotTheOwner), 1u);
}

TEST(PreAccept, SecondProposalForOneInstanceIsRefused) {
  Subject c(kC, 3);
  const auto first = block_of({write("x", 1)});
  const auto second = block_of({write("x", 2)});
  c.deliver(kA, pre_accept(id(kA, 2), first, {0, 0, 0}));

  c.deliver(kA, pre_accept(id(kA, 2), second, {0, 0, 0}));
  c.deliver(kA, pre_accept(id(kA, 2), first, {1, 0, 0}));

  EXPECT_EQ(c.count(Count::kContradictsRecord), 2u);
  EXPECT_EQ(c.instance(id(kA, 2)).initial_dependencies(), (Dependencies{0, 0, 0}));
}

TEST(PreAccept, BlockThatDoesNotDecodeIsRefused) {
  Subject c(kC, 3);
  auto block = block_of({write("x")});
  block[0] = std::byte{0};

  const Effects& effects = c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0}));

  EXPECT_TRUE(effects.empty());
  EXPECT_EQ(c.count(Count::kMalformedBlock), 1u);
}

TEST(PreAccept, AfterAVoteTheAnswerIsANack) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kB, Accept{id(kA, 1), Ballot{1, kB}, true, {}, {}});

  const Effects& effects = c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0}));

  EXPECT_EQ(only<Nack>(effects, 3).current, (Ballot{1, kB}));
  EXPECT_FALSE(any<PreAcceptOk>(effects));
  EXPECT_TRUE(c.instance(id(kA, 1)).recorded()) << "learning is allowed at any ballot";
}

TEST(PreAccept, DecidedInstanceIsAnsweredWithItsDecision) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.deliver(kB, Commit{id(kA, 1), CommitKind::kFull, {0, 2, 0}, block});

  const auto m = only<Commit>(c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0})), 3);

  EXPECT_EQ(m.kind, CommitKind::kFull);
  EXPECT_EQ(m.dependencies, (Dependencies{0, 2, 0}));
}

TEST(PreAccept, ReplicaThatMustNotVoteOnlyLearns) {
  CoreConfig mute = config(kC, 3);
  mute.voting = false;
  Subject c(mute);
  const auto block = block_of({write("x")});

  const Effects& effects = c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0}));

  EXPECT_TRUE(effects.sends.empty());
  EXPECT_TRUE(c.instance(id(kA, 1)).recorded());
  EXPECT_FALSE(c.instance(id(kA, 1)).pre_accepted());
  EXPECT_EQ(c.propose({write("y")}).rejections.at(0).code, ErrorCode::kNotVoting);
}

TEST(PreAccept, FullDiskMeansSilence) {
  Subject c(kC, 3);
  const auto block = block_of({write("x")});
  c.core.storage_full(true);
  EXPECT_TRUE(c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0})).empty());
  EXPECT_EQ(c.count(Count::kStorageFull), 1u);

  c.core.storage_full(false);
  EXPECT_TRUE(any<PreAcceptOk>(c.deliver(kA, pre_accept(id(kA, 1), block, {0, 0, 0}))));
}

TEST(PreAccept, TooManyHeldInstancesOfARowAreRefusedWhateverTheirDistance) {
  CoreConfig tiny = config(kC, 3);
  tiny.held_undecided_max = 256;
  Subject c(tiny);
  const auto block = block_of({write("x")});
  for (std::uint64_t i = 1; i <= 64; ++i) {
    c.deliver(kA, pre_accept(id(kA, i << 32), block, {0, 0, 0}));
  }
  EXPECT_GT(c.count(Count::kHeldUndecidedFull), 0u);
  EXPECT_LT(c.core.instances().memory_bytes(), 1u << 20);

  // One far slot alone is welcome: a replica that slept must be able to come back.
  Subject d(tiny);
  EXPECT_TRUE(any<PreAcceptOk>(d.deliver(kA, pre_accept(id(kA, 1ull << 40), block, {0, 0, 0}))));
}

TEST(PreAcceptOk, EqualAnswersTakeTheFastPathAfterTheDecisionIsDurable) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();

  const Effects& counted = a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  EXPECT_EQ(record_kinds(counted, id(kA, 1)), std::vector{RecordKind::kDecision});
  EXPECT_FALSE(any<Commit>(counted)) << "not told before it is durable (R2)";
  EXPECT_FALSE(a.instance(id(kA, 1)).decided());

  const auto commit = only<Commit>(a.durable(), 3);
  EXPECT_EQ(commit.kind, CommitKind::kInitial);
  EXPECT_EQ(a.count(Count::kFastPath), 1u);
  EXPECT_EQ(a.end_turn().executions.size(), 1u);
}

TEST(PreAcceptOk, OwnVoteCountsOnlyWhenItIsDurable) {
  Subject a(kA, 3);
  a.propose({write("x")});
  const BatchNumber batch = a.effects.batch;

  // Impossible behind a prefix gate; the core does not rely on it.
  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  EXPECT_TRUE(a.effects.records.empty());

  Effects out;
  out.batch = 99;
  a.core.durable(batch, out);
  EXPECT_EQ(record_kinds(out, id(kA, 1)), std::vector{RecordKind::kDecision});
}

TEST(PreAcceptOk, AnotherAnswerTakesTheSlowPathWithTheUnion) {
  Subject a(kA, 3);
  a.propose({write("x")});
  a.durable();

  const Effects& effects = a.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 4, 2}});

  const auto accept = only<Accept>(effects, 3);
  EXPECT_EQ(accept.ballot, kInitialBallot);
  EXPECT_EQ(accept.dependencies, (Dependencies{0, 4, 2}));
  EXPECT_EQ(record_kinds(effects, id(kA, 1)), std::vector{RecordKind::kVote});
  EXPECT_EQ(a.count(Count::kSlowPathMismatch), 1u);
}

TEST(PreAcceptOk, DuplicatedAnswerIsCountedOnce) {
  Subject a(kA, 5);
  a.propose({write("x")});
  a.durable();

  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  const Effects& effects = a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});

  EXPECT_TRUE(effects.records.empty());
  EXPECT_EQ(a.count(Count::kStale), 1u);
}

TEST(PreAcceptOk, AnswerWithLessThanTheOwnerProposedIsRefused) {
  Subject a(kA, 3);
  const auto block = block_of({write("x")});
  a.deliver(kB, pre_accept(id(kB, 1), block, {0, 0, 0}));
  a.propose({write("x")});
  a.durable();

  const Effects& effects = a.deliver(kB, PreAcceptOk{id(kA, 1), false, {0, 0, 1}});

  EXPECT_TRUE(effects.empty());
  EXPECT_EQ(a.count(Count::kShrinksDependencies), 1u);
}

TEST(PreAcceptOk, WithoutAFastQuorumTheTimerStartsTheSlowPath) {
  // n = 7: a slow quorum is four, a fast one five.
  Subject a(kA, 7);
  a.propose({write("x")});
  a.durable();
  for (std::uint16_t r = 1; r <= 3; ++r) a.deliver(ReplicaId(r), PreAcceptOk{id(kA, 1), true, {}});
  EXPECT_LE(a.core.next_deadline(), a.now + config(kA, 7).fast_wait_us);

  const Effects& effects = a.advance(config(kA, 7).fast_wait_us);

  EXPECT_TRUE(any<Accept>(effects));
  EXPECT_EQ(a.count(Count::kSlowPathTimer), 1u);
}

TEST(PreAcceptOk, UnansweredRequestsAreSentAgainToThoseWhoAreSilentMoreAndMoreRarely) {
  Subject a(kA, 5);
  a.propose({write("x")});
  a.durable();
  a.deliver(kB, PreAcceptOk{id(kA, 1), true, {}});
  const Tick first = config(kA, 5).retransmit_us;

  const auto again = sends<PreAccept>(a.advance(first), 5);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].first, ReplicaSet::all(5).without(kA).without(kB));

  EXPECT_FALSE(any<PreAccept>(a.advance(first)));
  EXPECT_TRUE(any<PreAccept>(a.advance(first))) << "twice as long";
}

TEST(PreAcceptOk, WhoIsHeardAfterASilenceGetsAtOnceWhatWasSentInVain) {
  const Tick first = config(kA, 5).retransmit_us;
  const Frontier word{Dependencies(5), Dependencies(5), Dependencies(5)};
  for (const bool was_silent : {false, true}) {
    SCOPED_TRACE(was_silent ? "silent" : "heard all the time");
    Subject a(kA, 5);
    a.propose({write("x")});
    a.durable();
    for (int part = 1; part <= 32; ++part) {  // Sent again after 1, 3, 7 and 15 times `first`.
      a.advance(first / 2);
      if (!was_silent) a.deliver(kB, word);
    }

    a.deliver(kB, word);

    EXPECT_EQ(any<PreAccept>(a.advance(1)), was_silent);
    EXPECT_FALSE(any<PreAccept>(a.advance(first))) << "no more often than before";
  }
}

TEST(GroupOfOne, CommitsWhenItsOwnVoteIsDurable) {
  Subject a(kA, 1);
  EXPECT_TRUE(a.propose({write("x")}).sends.empty());

  a.durable();
  EXPECT_FALSE(a.instance(id(kA, 1)).decided());
  a.durable();

  EXPECT_TRUE(a.instance(id(kA, 1)).decided());
  EXPECT_EQ(a.end_turn().executions.size(), 1u);
}

}  // namespace
}  // namespace epaxos::protocol
