// What is dropped while recoveries wait for it, and what the next start makes of an image and of
// the records that are left. Source: protocol.md 7.6, 13.2 and 14.2.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/image_support.h"

namespace epaxos::protocol {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// --- Recoveries that wait for what is dropped (7.6) --------------------------------------------

/// C of a group of three recovers A.1, which B and C have voted for. B.1 conflicts, and C has heard
/// of it after its vote.
class DroppedBlocker : public ::testing::Test {
 protected:
  DroppedBlocker() : c(kC, 3) {
    c.deliver(kA, PreAccept{kA1, kZero, kWritesX});
    c.deliver(kB, PreAccept{kB1, kZero, kWritesX});
    ballot = recovers(c, kA1);
    c.durable();
    c.deliver(kB, has_matched(kA1, ballot, kZero, kWritesX));
    EXPECT_TRUE(any<Validate>(c.effects));
  }
  void drops_b1() {
    apply_all(c);
    c.deliver(kA, Frontier{{0, 1, 0}, {0, 1, 0}, {1, 1, 0}});
    c.deliver(kB, Frontier{{0, 1, 0}, {0, 1, 0}, {1, 1, 0}});
    apply_all(c);
    ASSERT_EQ(c.core.instances().find(kB1), nullptr);
  }
  const Effects& validated(std::vector<ValidationBlocker> blockers) {
    return c.deliver(kB, ValidateOk{kA1, ballot, std::move(blockers)});
  }

  Subject c;
  Ballot ballot;
};

TEST_F(DroppedBlocker, ThatWasANopDoesNotKeepTheRecoveryWaiting) {
  c.deliver(kB, Commit{kB1, CommitKind::kNop, {}, {}});
  drops_b1();

  const auto accept = only<Accept>(validated({}), 3);
  EXPECT_FALSE(accept.nop);
  EXPECT_EQ(accept.dependencies, kZero);
  EXPECT_EQ(c.count(Count::kRecoveryV2), 1u);
}

TEST_F(DroppedBlocker, ThatWasExecutedWithoutTheInstanceMakesItANop) {
  tell_commit(c, kB, kB1);
  drops_b1();

  EXPECT_TRUE(only<Accept>(validated({}), 3).nop);
  EXPECT_EQ(c.count(Count::kRecoveryV1), 1u);
}

TEST_F(DroppedBlocker, NamedAsUndecidedIsOutdatedAndTheRecoveryBeginsAnew) {
  c.deliver(kB, Commit{kB1, CommitKind::kNop, {}, {}});
  drops_b1();

  EXPECT_FALSE(any<Accept>(validated({{kB1, false, false}})));
  EXPECT_GT(recovers(c, kA1), ballot);
}

TEST_F(DroppedBlocker, NamedAsCommittedMakesItANop) {
  c.deliver(kB, Commit{kB1, CommitKind::kNop, {}, {}});
  drops_b1();

  EXPECT_TRUE(only<Accept>(validated({{kB1, true, false}}), 3).nop);
}

TEST_F(DroppedBlocker, IsNotNamedByWhoHasDroppedIt) {
  c.deliver(kB, Commit{kB1, CommitKind::kNop, {}, {}});
  drops_b1();
  c.deliver(kB, Recover{kA1, {99, kB}});

  const auto answer = only<ValidateOk>(c.deliver(kB, Validate{kA1, {99, kB}, kZero, kWritesX}), 3);
  EXPECT_THAT(answer.blockers, IsEmpty());
}

// --- The next start ----------------------------------------------------------------------------

/// What an acceptor must still know, whatever is left of the records.
void expect_same_replica(Subject& after, const Dependencies& executed) {
  EXPECT_TRUE(after.core.voting());
  EXPECT_EQ(only<Frontier>(after.effects, 3).executed, executed);
  EXPECT_TRUE(any<Truncated>(after.deliver(kC, Recover{id(kA, 3), {1, kC}})));
  EXPECT_TRUE(any<Truncated>(after.deliver(kA, PreAccept{id(kA, 1), kZero, kWritesX})));
  const auto vote = only<PreAcceptOk>(after.deliver(kC, PreAccept{kC1, kZero, kWritesX}), 3);
  EXPECT_EQ(vote.dependencies[kA], Slot(6)) << "A.6 is not executed, and conflicts";
  EXPECT_TRUE(any<Commit>(after.deliver(kC, Recover{id(kA, 4), {1, kC}})));
  after.propose({write("z")});
  EXPECT_EQ(after.core.instances().row(kB).highest_known, Slot(2)) << "no slot is used again";
}

// A.1 to A.5 are executed, A.1 to A.3 dropped; an image covers A.1 to A.4, and it was made when the
// floor was 1. However much of the records is erased by then, the replica is the same.
TEST(RestartFromAnImage, AnySplitOfErasedRecordsGivesTheSameReplica) {
  Subject before(kB, 3);
  before.propose({write("z")});
  before.durable();
  for (std::uint64_t slot = 1; slot <= 4; ++slot)
    tell_commit(before, kC, id(kA, slot), {slot - 1, 0, 0});
  apply_all(before);
  for (const ReplicaId peer : {kA, kC}) {
    before.deliver(peer, Frontier{{1, 0, 0}, {1, 0, 0}, {4, 0, 0}});
  }
  before.image_on_disk = Subject::coded(before.image());
  ASSERT_EQ(before.image().floor, (Dependencies{1, 0, 0}));
  tell_commit(before, kC, id(kA, 5), {4, 0, 0});
  before.deliver(kA, PreAccept{id(kA, 6), {5, 0, 0}, kWritesX});
  apply_all(before);
  for (const ReplicaId peer : {kA, kC}) {
    before.deliver(peer, Frontier{{3, 0, 0}, {3, 0, 0}, {6, 0, 0}});
  }
  before.advance(0);
  const auto disk = before.disk;

  for (std::uint64_t erased = 0; erased <= 3; ++erased) {
    SCOPED_TRACE(erased);
    before.disk = disk;
    std::erase_if(before.disk, [&](const auto& record) {
      const RecordKey& key = record.first;
      return key.kind <= static_cast<std::uint8_t>(RecordKind::kDecision) && key.row == kA &&
             key.slot <= Slot(erased);
    });
    const auto after = restarted(before, config(kB, 3));
    expect_same_replica(*after, {5, 0, 0});
    apply_all(*after);
    EXPECT_THAT(after->executed, ElementsAre(id(kA, 5))) << "only what the image lacks";
    EXPECT_EQ(after->core.instances().find(id(kA, 3)), nullptr);
  }
}

// The power fails after the image, and before the floor is durable.
TEST(RestartFromAnImage, TheFloorOfTheImageHolds) {
  Subject before(kB, 3);
  tell_commit(before, kC, id(kA, 1));
  apply_all(before);
  before.image_on_disk = Subject::coded({{1, 0, 0}, {1, 0, 0}, {}});
  std::erase_if(before.disk, [](const auto& record) {
    return record.first.kind == static_cast<std::uint8_t>(RecordKind::kFloor);
  });

  const auto after = restarted(before, config(kB, 3));

  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Status{kA1})));
  const auto vote = only<PreAcceptOk>(after->deliver(kC, PreAccept{kC1, kZero, kWritesY}), 3);
  EXPECT_EQ(vote.dependencies, (Dependencies{1, 0, 0}));
}

Result<void> restore_floor(EpaxosCore& core, const Dependencies& floor) {
  Effects out;
  const Slice value = encode(FloorRecord{floor}, out);
  return core.restore({static_cast<std::uint8_t>(RecordKind::kFloor), {}, {}, kB, Slot(1)},
                      out.view(value));
}

TEST(RestartFromAnImage, AFloorAboveWhatIsDecidedIsRefused) {
  EpaxosCore empty(config(kB, 3));
  const Result<void> restored = restore_floor(empty, {1, 0, 0});
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kCorrupted);

  EpaxosCore covered(config(kB, 3));
  ASSERT_TRUE(covered.restore_coverage(Subject::coded({kZero, {2, 0, 0}, {}})));
  EXPECT_FALSE(restore_floor(covered, {3, 0, 0}));

  EpaxosCore fits(config(kB, 3));
  ASSERT_TRUE(fits.restore_coverage(Subject::coded({kZero, {2, 0, 0}, {}})));
  EXPECT_TRUE(restore_floor(fits, {2, 0, 0}));
}

TEST(RestartFromAnImage, ACoverageThatMakesNoSenseIsRefused) {
  EpaxosCore core(config(kB, 3));
  const Result<void> restored = core.restore_coverage(Subject::coded({{2, 0, 0}, {1, 0, 0}, {}}));
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kCorrupted);
}

// The image of a peer covers A.2 alone, so no record says that it is decided. A.1 comes later, and
// then the floor passes both.
TEST(RestartFromAnImage, AFloorMayPassWhatOnlyTheImageKnows) {
  Subject before(kB, 3);
  tell_commit(before, kC, id(kC, 1), kZero, kWritesY);
  before.install(
      {kZero,
       {0, 0, 1},
       {{id(kA, 2), false, Footprint::write("y")}, {id(kC, 1), false, Footprint::write("y")}}});
  tell_commit(before, kC, kA1, kZero, kWritesX);
  apply_all(before);
  for (const ReplicaId peer : {kA, kC}) {
    before.deliver(peer, Frontier{{2, 0, 1}, {2, 0, 1}, {2, 0, 1}});
  }
  ASSERT_EQ(before.count(Count::kFloorsRaised), 1u);

  const auto after = restarted(before, config(kB, 3));

  EXPECT_EQ(only<Frontier>(after->effects, 3).executed, (Dependencies{2, 0, 1}));
  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Status{id(kA, 2)})));
}

}  // namespace
}  // namespace epaxos::protocol
