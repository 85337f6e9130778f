// Commands of any replica reach the log of the leader, and each is executed once.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

Forward forward(std::uint64_t sequence, Bytes block, std::uint64_t life = 9) {
  return {life, sequence, block};
}

TEST(Forward, AFollowersCommandsGoToTheLeaderAtOnce) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));

  b.propose(1);

  const auto sent = sends<Forward>(b.effects, 3);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].first, ReplicaSet::only(kA));
  EXPECT_EQ(sent[0].second.sequence, 1u);
  EXPECT_EQ(release_of<Forward>(b), Release::kNow);
  EXPECT_TRUE(b.effects.records.empty()) << "only the leader writes it down";
}

TEST(Forward, WithoutALeaderCommandsWait) {
  Subject b(kB, 3);
  b.propose(1);
  b.propose(2);
  EXPECT_FALSE(Subject::has<Forward>(b.effects));

  b.deliver(kA, append(1, 0, 0));

  EXPECT_EQ(sends<Forward>(b.effects, 3).size(), 2u);
}

TEST(Forward, SoManyWaitAndNoMore) {
  CoreConfig small = config(kB, 3);
  small.in_flight_max = 2;
  Subject b(small);
  b.propose(1);
  b.propose(2);
  EXPECT_TRUE(b.effects.rejections.empty());
  b.propose(3);
  ASSERT_EQ(b.effects.rejections.size(), 1u);
  EXPECT_EQ(b.effects.rejections[0].code, ErrorCode::kOverloaded);
}

TEST(Forward, ANewLeaderGetsEverythingThatIsNotExecuted) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));
  b.propose(1);
  b.propose(2);

  b.deliver(kC, append(2, 0, 0));

  const auto sent = sends<Forward>(b.effects, 3);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].first, ReplicaSet::only(kC));
  EXPECT_EQ(sent[0].second.sequence, 1u);
}

TEST(Forward, IsRepeatedWhenNothingMoves) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));
  b.propose(1);
  b.deliver(kA, append(1, 0, 0));
  EXPECT_FALSE(Subject::has<Forward>(b.effects));
  b.advance(CoreConfig{}.retransmit_us);
  if (!b.core.leader()) b.deliver(kA, append(1, 0, 0));
  EXPECT_TRUE(Subject::has<Forward>(b.effects));
}

TEST(Forward, TheLeaderTakesEachBlockOnce) {
  Subject a(kA, 3);
  a.lead();
  const std::vector<std::byte> block = block_of("x");

  a.deliver(kB, forward(1, block));
  a.deliver(kB, forward(1, block));

  EXPECT_EQ(a.core.log().last(), LogIndex(2));
  EXPECT_EQ(a.core.log().entry(LogIndex(2)).origin, (Origin{kB, 9, 1}));
  EXPECT_EQ(a.count(Count::kForwardsRepeated), 1u);
}

TEST(Forward, TheLeaderSaysWhatIsMissingAndTakesNothingOutOfOrder) {
  Subject a(kA, 3);
  a.lead();
  const std::vector<std::byte> block = block_of("x");

  a.turn([&] {
    a.give(kB, forward(3, block));
    a.give(kB, forward(2, block));
  });

  EXPECT_EQ(a.core.log().last(), LogIndex(1));
  const auto wanted = sends<Wanted>(a.effects, 3);
  ASSERT_EQ(wanted.size(), 1u) << "once a turn";
  EXPECT_EQ(wanted[0].second.sequence, 1u);
}

TEST(Forward, TheProposerGoesBackToWhatIsWanted) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));
  for (std::uint64_t i = 1; i <= 3; ++i) b.propose(i);

  b.deliver(kA, Wanted{1, 2});

  const auto sent = sends<Forward>(b.effects, 3);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].second.sequence, 2u);
}

// What an earlier leader has put into the log counts, committed or not.
TEST(Forward, ANewLeaderKnowsWhatItsLogHolds) {
  Subject before(kA, 3);
  const std::vector<std::byte> block = block_of("x");
  const std::vector<std::byte> entry = encoded({1, {kB, 9, 1}, block});
  before.deliver(kC, append(1, 0, 0, entry));
  before.durable();
  before.lead();
  ASSERT_EQ(before.core.log().last(), LogIndex(2));

  before.deliver(kB, forward(1, block));
  EXPECT_EQ(before.core.log().last(), LogIndex(2));
  before.deliver(kB, forward(2, block));
  EXPECT_EQ(before.core.log().last(), LogIndex(3));
}

TEST(Forward, ALogMayHoldABlockTwiceAndItIsExecutedOnce) {
  Subject b(kB, 3);
  const std::vector<std::byte> block = block_of("x");
  std::vector<std::byte> twice = encoded({1, {kC, 9, 1}, block});
  const std::vector<std::byte> again = encoded({2, {kC, 9, 1}, block});
  twice.insert(twice.end(), again.begin(), again.end());

  b.deliver(kA, append(2, 0, 0, twice, 2));

  EXPECT_EQ(b.effects.executions.size(), 1u);
  EXPECT_EQ(b.core.executor().executed_up_to(), LogIndex(2));
  EXPECT_EQ(b.count(Count::kEntriesSkipped), 1u);
}

TEST(Forward, TheOwnBlockIsDoneWhenItIsExecuted) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));
  b.propose(1);
  const std::vector<std::byte> block(only<Forward>(b).block.begin(), only<Forward>(b).block.end());

  b.deliver(kA, append(1, 0, 0, encoded({1, {kB, 1, 1}, block}), 1));

  ASSERT_EQ(b.effects.executions.size(), 1u);
  EXPECT_EQ(b.effects.executions[0].instance, (InstanceId{kB, Slot(1)}));
  b.deliver(kC, append(2, 1, 1));
  EXPECT_FALSE(Subject::has<Forward>(b.effects)) << "nothing is left for a new leader";
}

TEST(Forward, ALeaderTakesOnlySoMuchThatIsUndecided) {
  CoreConfig small = config(kA, 3);
  small.held_undecided_max = 3;
  Subject a(small);
  a.lead();
  const std::vector<std::byte> block = block_of("x");
  for (std::uint64_t i = 1; i <= 5; ++i) a.deliver(kB, forward(i, block));
  EXPECT_EQ(a.core.log().last(), LogIndex(3));
  a.durable();
  a.acknowledge(kB, 3);
  a.deliver(kB, forward(3, block));
  EXPECT_EQ(a.core.log().last(), LogIndex(4));
}

TEST(Forward, ABlockThatDoesNotDecodeReachesNoLog) {
  Subject a(kA, 3);
  a.lead();
  std::vector<std::byte> block = block_of("x");
  block[0] = std::byte{200};
  a.deliver(kB, forward(1, block));
  EXPECT_EQ(a.core.log().last(), LogIndex(1));
  EXPECT_EQ(a.count(Count::kMalformedBlock), 1u);
}

}  // namespace
}  // namespace epaxos::compare::raft
