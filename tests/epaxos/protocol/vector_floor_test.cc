// While a member is away, what the others have executed stands in their vectors in place of the
// conflict index, and nothing else changes. Source: protocol.md 14.2.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/image_support.h"

namespace epaxos::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kHeldMax = 4;
constexpr std::uint64_t kExecuted = 8;
const Dependencies kAllOfA{kExecuted, 0, 0};

std::string key_of(std::uint64_t slot) {
  return "key" + std::to_string(slot);
}
std::vector<std::byte> writes_key(std::uint64_t slot) {
  return block_of({write(key_of(slot), slot)});
}

CoreConfig holds_little(ReplicaId self, int n) {
  CoreConfig little = config(self, n);
  little.held_executed_max = kHeldMax;
  return little;
}

/// B of a group of three has executed A.1 to A.8, each on a key of its own, and A too. Nobody has
/// heard of C.
class VectorFloors : public ::testing::Test {
 protected:
  explicit VectorFloors(bool reads_back = false) : b(holds_little(kB, 3), reads_back) {
    for (std::uint64_t slot = 1; slot <= kExecuted; ++slot) executes_next_of_a();
    says(kA, kAllOfA);
  }

  /// The next instance of A, on a key of its own.
  void executes_next_of_a() {
    const std::uint64_t slot = ++executed_;
    tell_commit(b, kA, id(kA, slot), {slot - 1, 0, 0}, writes_key(slot));
    apply_all(b);
  }
  const Effects& says(ReplicaId from, const Dependencies& executed,
                      const Dependencies& floor = kZero) {
    return b.deliver(from, Frontier{executed, floor, executed});
  }
  /// Time passes until B has asked C whether it is there, and heard nothing.
  void gives_c_up() {
    gossips();
    ASSERT_EQ(sends<FetchRange>(b.effects, 3).size(), 1u);
    b.advance(CoreConfig{}.suspicion_us);
    gossips();
  }
  void gossips() {
    for (int i = 0; i < 100; ++i) {
      if (any<Frontier>(b.advance(CoreConfig{}.gossip_us / 4))) return;
    }
    ADD_FAILURE() << "nobody gossips";
  }
  /// A says that its proposals include as much: both steps are done.
  void adopts(const Dependencies& executed) {
    gives_c_up();
    b.deliver(kA, VectorFloor{executed});
  }
  void sweeps() {
    for (int i = 0; i < 64; ++i) b.end_turn();
  }
  /// B's first vote for the next instance of a row, which touches something else.
  Dependencies vote(const InstanceId& which, const Dependencies& initial = kZero) {
    const Effects& effects = b.deliver(which.row, PreAccept{which, initial, kWritesY});
    const auto answer = only<PreAcceptOk>(effects, 3);
    return answer.initial ? initial : answer.dependencies;
  }
  Dependencies proposes() {
    ++proposed_;
    b.propose({write("mine" + std::to_string(proposed_), proposed_)});
    return b.instance(id(kB, proposed_)).initial_dependencies();
  }
  /// Whom B names when A recovers an instance of C that writes the key of A.3.
  std::vector<ValidationBlocker> named(const Dependencies& initial) {
    b.deliver(kA, Recover{kC1, {1, kA}});
    const Effects& effects = b.deliver(kA, Validate{kC1, {1, kA}, initial, writes_key(3)});
    return only<ValidateOk>(effects, 3).blockers;
  }

  Subject b;
  std::uint64_t executed_ = 0;
  std::uint64_t proposed_ = 0;
};

// --- When ---------------------------------------------------------------------------------------

TEST_F(VectorFloors, NothingMovesWhileAllAreHeard) {
  for (int i = 0; i < 10; ++i) {
    b.advance(CoreConfig{}.suspicion_us);
    b.deliver(kC, RangeEnd{kC, Slot(2), false});
    gossips();
    b.deliver(kC, RangeEnd{kC, Slot(2), false});
  }

  EXPECT_FALSE(any<VectorFloor>(b.effects));
  EXPECT_EQ(proposes(), kZero);
  EXPECT_EQ(vote(id(kA, 9), kZero), kZero);
}

TEST_F(VectorFloors, NothingMovesWhileLittleIsHeldBack) {
  says(kC, {kExecuted - kHeldMax, 0, 0}, {kExecuted - kHeldMax, 0, 0});
  says(kA, kAllOfA, {kExecuted - kHeldMax, 0, 0});
  for (int i = 0; i < 10; ++i) gossips();

  EXPECT_FALSE(any<VectorFloor>(b.effects));
  EXPECT_FALSE(any<FetchRange>(b.effects)) << "nobody need be asked";
  EXPECT_EQ(proposes(), (Dependencies{kExecuted - kHeldMax, 0, 0})) << "the floor to come";
}

TEST_F(VectorFloors, WhoIsBehindAndSilentIsAskedOnceWhetherItIsThere) {
  gossips();

  const auto question = only<FetchRange>(b.effects, 3);
  EXPECT_EQ(question.row, kC);
  EXPECT_EQ(question.from, Slot(1)) << "nothing that its owner would have to explain";
  gossips();
  EXPECT_FALSE(any<FetchRange>(b.effects));
}

// --- Two steps ----------------------------------------------------------------------------------

TEST_F(VectorFloors, OwnersProposeAfterWhatAllThatAreThereHaveExecuted) {
  says(kA, {6, 0, 0});
  EXPECT_EQ(proposes(), kZero);
  gives_c_up();

  EXPECT_EQ(only<VectorFloor>(b.effects, 3).executed, kAllOfA) << "A has executed eight before";
  EXPECT_EQ(only<Frontier>(b.effects, 3).floor, kZero) << "C has executed none of it";
  EXPECT_EQ(proposes(), kAllOfA);
}

TEST_F(VectorFloors, AcceptorsVoteExactlyUntilAllOwnersThatAreThereHaveConfirmed) {
  gives_c_up();
  EXPECT_EQ(vote(kC1), kZero);
  gives_c_up();
  b.deliver(kA, VectorFloor{{5, 0, 0}});
  EXPECT_EQ(vote(id(kC, 2)), (Dependencies{5, 0, 0}));
  gives_c_up();
  b.deliver(kA, VectorFloor{kAllOfA});

  EXPECT_EQ(vote(id(kC, 3)), kAllOfA);
  EXPECT_EQ(b.count(Count::kVectorFloorsRaised), 2u);
}

TEST_F(VectorFloors, AVoteForAProposalWithTheVectorFloorIsForTheProposal) {
  adopts(kAllOfA);

  EXPECT_TRUE(only<PreAcceptOk>(b.deliver(kC, PreAccept{kC1, kAllOfA, kWritesY}), 3).initial);
  EXPECT_EQ(b.count(Count::kVotesAboveProposal), 0u);
}

TEST_F(VectorFloors, AVoteForOneWithoutItIsCounted) {
  adopts(kAllOfA);
  vote(kC1);

  EXPECT_EQ(b.count(Count::kVotesAboveProposal), 1u);
}

TEST_F(VectorFloors, OwnRowOfAVoteIsLeftToItsOwner) {
  adopts(kAllOfA);

  EXPECT_EQ(vote(id(kA, 9), {3, 0, 0}), (Dependencies{3, 0, 0}));
}

TEST_F(VectorFloors, NothingIsAdoptedThatIsNotExecutedHere) {
  adopts({20, 0, 0});

  EXPECT_EQ(vote(kC1), kAllOfA);
  EXPECT_EQ(proposes(), (Dependencies{20, 0, 0})) << "somebody has executed it";
}

TEST_F(VectorFloors, WhatDoesNotVoteIsNotWaitedFor) {
  b.deliver(kC, Frontier{kZero, kZero, kZero, true});
  gossips();
  b.deliver(kA, VectorFloor{kAllOfA});

  EXPECT_EQ(vote(id(kC, 1)), kAllOfA);
}

TEST_F(VectorFloors, OwnSlotsThatAreUnknownHereShowThatTheDiskHasForgotten) {
  b.deliver(kA, VectorFloor{{0, 7, 0}});

  EXPECT_FALSE(b.core.voting());
}

// --- What it is for -----------------------------------------------------------------------------

TEST_F(VectorFloors, TheIndexForgetsWhatTheVectorsName) {
  EXPECT_EQ(b.status("conflict_index_keys"), kExecuted);
  adopts(kAllOfA);
  sweeps();

  EXPECT_EQ(b.status("conflict_index_keys"), 0u);
}

TEST_F(VectorFloors, TheIndexDoesNotGrowWithTheAbsence) {
  adopts(kAllOfA);
  std::uint64_t most = 0;
  for (int i = 0; i < 50; ++i) {
    for (int j = 0; j < 100; ++j) executes_next_of_a();
    says(kA, {executed_, 0, 0});
    gossips();
    b.deliver(kA, VectorFloor{{executed_, 0, 0}});
    most = std::max(most, b.status("conflict_index_keys"));
  }

  EXPECT_LE(most, 300u) << "of 5,000";
  EXPECT_EQ(b.count(Count::kDroppedInstances), 0u) << "nothing is forgotten";
}

// --- What it must not do ------------------------------------------------------------------------

TEST_F(VectorFloors, NobodyIsToldThatAnythingIsTruncated) {
  adopts(kAllOfA);
  sweeps();

  EXPECT_EQ(only<Commit>(b.deliver(kC, Status{id(kA, 3)}), 3).block.size(), writes_key(3).size());
  EXPECT_EQ(b.count(Count::kTruncatedSent), 0u);
  b.end_turn();
  EXPECT_EQ(only<Frontier>(b.advance(16 * CoreConfig{}.gossip_us), 3).floor, kZero);
}

TEST_F(VectorFloors, AValidateFindsInMemoryWhatTheIndexHasForgotten) {
  adopts(kAllOfA);
  sweeps();

  const auto blockers = named(kZero);
  ASSERT_EQ(blockers.size(), 1u);
  EXPECT_EQ(blockers[0].instance, id(kA, 3));
  EXPECT_TRUE(blockers[0].committed);
}

TEST_F(VectorFloors, AndNamesNothingThatTheProposalComesAfter) {
  adopts(kAllOfA);
  sweeps();

  EXPECT_THAT(named({3, 0, 0}), IsEmpty());
}

class ArchivedVectorFloors : public VectorFloors {
 protected:
  ArchivedVectorFloors() : VectorFloors(true) {}
};

TEST_F(ArchivedVectorFloors, AValidateFindsOnDiskWhatTheIndexHasForgotten) {
  adopts(kAllOfA);
  sweeps();
  ASSERT_EQ(b.core.instances().find(id(kA, 3)), nullptr);

  const auto blockers = named(kZero);
  ASSERT_EQ(blockers.size(), 1u);
  EXPECT_EQ(blockers[0].instance, id(kA, 3));
  EXPECT_TRUE(blockers[0].committed);
}

TEST_F(ArchivedVectorFloors, AProposalWithTheVectorFloorCostsNoReading) {
  adopts(kAllOfA);
  sweeps();

  EXPECT_THAT(named(kAllOfA), IsEmpty());
  EXPECT_EQ(b.count(Count::kReadBack), 0u);
}

TEST_F(ArchivedVectorFloors, NothingIsPutAwayBeforeItCanBeReadBack) {
  bool is_written = false;
  Subject c(holds_little(kC, 3));
  std::destroy_at(&c.core);
  std::construct_at(&c.core, holds_little(kC, 3));
  c.core.read_from({[](const RecordKey&, std::vector<std::byte>&) { return false; },
                    [&] { return is_written ? c.effects.batch - 1 : 0; }});
  c.core.start(0, c.effects);
  for (std::uint64_t slot = 1; slot <= kExecuted; ++slot) {
    tell_commit(c, kA, id(kA, slot), {slot - 1, 0, 0}, writes_key(slot));
  }
  for (int i = 0; i < 5; ++i) apply_all(c);
  EXPECT_EQ(c.count(Count::kArchivedInstances), 0u);

  is_written = true;
  for (int i = 0; i < 5; ++i) apply_all(c);
  EXPECT_EQ(c.count(Count::kArchivedInstances), kExecuted - kHeldMax);
}

// --- The end ------------------------------------------------------------------------------------

TEST_F(VectorFloors, VectorsAreExactAgainWhenTheMemberIsBack) {
  adopts(kAllOfA);
  for (const ReplicaId each : {kA, kC}) says(each, kAllOfA, kAllOfA);
  gossips();
  EXPECT_FALSE(any<VectorFloor>(b.effects)) << "it is a floor now";
  ASSERT_EQ(only<Frontier>(b.effects, 3).floor, kAllOfA);

  executes_next_of_a();
  says(kA, {9, 0, 0}, kAllOfA);
  gossips();

  EXPECT_EQ(proposes(), kAllOfA);
  EXPECT_EQ(vote(kC1), kAllOfA);
}

// C comes back and knows nothing of it.
TEST(VectorFloorOfAMemberThatReturns, ItTakesTheSlowPathUntilItHearsOfIt) {
  Subject c(kC, 3);
  const auto decides = [&](std::uint64_t slot) {
    c.propose({write("mine", slot)});
    c.durable();
    const InstanceId mine = id(kC, slot);
    const Dependencies initial = c.instance(mine).initial_dependencies();
    Dependencies vote = initial;
    vote.merge(kAllOfA);
    for (const ReplicaId each : {kA, kB}) {
      c.deliver(each, PreAcceptOk{mine, vote == initial, vote == initial ? Dependencies() : vote});
      c.durable();
      if (any<Accept>(c.effects) || any<Commit>(c.effects)) break;
    }
    c.durable();
    for (const ReplicaId each : {kA, kB}) c.deliver(each, AcceptOk{mine, kInitialBallot});
    EXPECT_TRUE(c.instance(mine).decided());
  };

  decides(1);
  EXPECT_EQ(c.count(Count::kFastPath), 0u);
  c.deliver(kA, VectorFloor{kAllOfA});
  decides(2);

  EXPECT_EQ(c.count(Count::kFastPath), 1u);
  EXPECT_EQ(c.instance(id(kC, 2)).initial_dependencies()[kA], Slot(kExecuted));
}

// --- A restart ----------------------------------------------------------------------------------

TEST_F(VectorFloors, AStoredVoteIsRepeatedAsItWasAfterARestart) {
  adopts(kAllOfA);
  sweeps();
  ASSERT_EQ(vote(kC1), kAllOfA);
  b.durable();

  const auto after = restarted(b, holds_little(kB, 3));
  const auto again = only<PreAcceptOk>(after->deliver(kC, PreAccept{kC1, kZero, kWritesY}), 3);
  EXPECT_EQ(again.dependencies, kAllOfA);
  const auto next =
      only<PreAcceptOk>(after->deliver(kC, PreAccept{id(kC, 2), {0, 0, 1}, writes_key(3)}), 3);
  EXPECT_EQ(next.dependencies, (Dependencies{3, 0, 1})) << "the index is exact again";
}

TEST_F(ArchivedVectorFloors, WhatTheImageCoversStandsInEveryVectorAfterARestart) {
  b.keep_image();
  const auto after = restarted(b, holds_little(kB, 3));
  EXPECT_EQ(after->status("conflict_index_keys"), 0u);

  const auto vote = only<PreAcceptOk>(after->deliver(kC, PreAccept{kC1, kZero, writes_key(3)}), 3);
  EXPECT_EQ(vote.dependencies, kAllOfA);
  after->propose({write("mine")});
  EXPECT_EQ(after->instance(kB1).initial_dependencies(), kAllOfA);
}

}  // namespace
}  // namespace epaxos::protocol
