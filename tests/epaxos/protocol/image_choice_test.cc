// Which image will do for whom, and who asks for one. Source: protocol.md 14.4-14.6.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/image_support.h"

namespace epaxos::protocol {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// --- Which image will do -----------------------------------------------------------------------

TEST_F(Install, AnImageThatLacksWhatIsExecutedHereIsRefused) {
  tell_commit(b, kA, kA1);
  tell_commit(b, kC, kC1, kZero, kWritesY);
  b.end_turn();

  const Result<void> lacks = may_install(b, covers_a(5));
  ASSERT_FALSE(lacks);
  EXPECT_EQ(lacks.error().code, ErrorCode::kInvalidArgument);
  Coverage enough = covers_a(5);
  enough.executed[kC] = Slot(1);
  enough.instances.push_back({kC1, false, kTouchesY});
  EXPECT_TRUE(may_install(b, enough));
}

// R40, where the replica was stopped in between.
TEST_F(Install, ARestartedReplicaStillKnowsWhatItExecuted) {
  tell_commit(b, kA, kA1);
  apply_all(b);
  const auto after = restarted(b, config(kB, 3));
  after->end_turn();

  EXPECT_FALSE(may_install(*after, {kZero, {0, 0, 5}, {}}));
}

// It would never be executed: nobody tells the decision of an instance that counts as decided.
TEST_F(Install, AnImageThatLacksWhatOnlyAnImageHasExecutedHereIsRefused) {
  const CoveredInstance alone{id(kC, 2), false, kTouchesY};
  b.install({{1, 0, 0}, {1, 0, 0}, {alone}});

  EXPECT_FALSE(may_install(b, {{2, 0, 0}, {2, 0, 0}, {}}));
  EXPECT_TRUE(may_install(b, {{2, 0, 0}, {2, 0, 0}, {alone}}));
  EXPECT_TRUE(may_install(b, {{2, 0, 2}, {2, 0, 2}, {}}));
}

TEST_F(Install, AnImageBelowAFloorThatWasHeardIsRefused) {
  b.deliver(kC, Frontier{{3, 0, 0}, {3, 0, 0}, {3, 0, 0}});

  EXPECT_FALSE(may_install(b, covers_a(2)));
  EXPECT_TRUE(may_install(b, covers_a(3)));
}

TEST_F(Install, AnImageWithNothingNewIsRefused) {
  EXPECT_FALSE(may_install(b, {kZero, kZero, {}}));
  tell_commit(b, kA, kA1);
  apply_all(b);
  EXPECT_FALSE(may_install(b, covers_a(1)));
}

TEST_F(Install, AnImageThatIsSilentAboutACoveredInstanceIsRefused) {
  Coverage hole = covers_a(3);
  hole.instances.erase(hole.instances.begin() + 1);
  EXPECT_FALSE(may_install(b, hole)) << "A.2 would be taken for one that nobody knows";

  Coverage beyond = covers_a(3);
  beyond.instances.erase(beyond.instances.begin());
  beyond.instances.push_back({id(kA, 7), false, kTouchesX});
  EXPECT_FALSE(may_install(b, beyond)) << "as many, but not the right ones";
  EXPECT_TRUE(may_install(b, covers_a(3)));
}

// The power may fail between the image and the record that says that this disk has lost something.
TEST_F(Install, AnImageWithForgottenOwnInstancesHasToWaitUntilTheLossIsWrittenDown) {
  const Coverage image{kZero, {0, 2, 0}, {{kB1, false, kTouchesX}, {id(kB, 2), false, kTouchesX}}};
  EXPECT_FALSE(may_install(b, image));

  b.deliver(kC, Frontier{{0, 2, 0}, kZero, {0, 2, 0}});
  b.end_turn();
  b.install(image);
  const auto after = restarted(b, config(kB, 3));
  EXPECT_FALSE(after->core.voting());
}

// The same of one that peers have executed out of turn: its slot would be proposed for again.
TEST_F(Install, AnImageThatListsForgottenOwnInstancesHasToWaitToo) {
  EXPECT_FALSE(
      may_install(b, {kZero, {1, 0, 0}, {{kA1, false, kTouchesX}, {kB1, false, kTouchesX}}}));

  b.propose({write("x")});
  EXPECT_TRUE(
      may_install(b, {kZero, {1, 0, 0}, {{kA1, false, kTouchesX}, {kB1, false, kTouchesX}}}));
}

TEST(UnsafeInstall, SlotsThatTheImageListsAreNotUsedAgain) {
  CoreConfig unsafe = config(kB, 3);
  unsafe.unsafe_rejoin = true;
  Subject reckless(unsafe);
  reckless.install({kZero, {1, 0, 0}, {{kA1, false, kTouchesX}, {id(kB, 2), false, kTouchesX}}});
  EXPECT_EQ(only<PreAccept>(reckless.propose({write("x")}), 3).instance, id(kB, 3));
}

TEST_F(Install, AMalformedCoverageIsRefused) {
  Coverage twice = covers_a(2);
  twice.instances.push_back(twice.instances.back());
  const Result<void> result = may_install(b, twice);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
  EXPECT_FALSE(b.core.may_install({}));
}

// A state machine that keeps itself may outlive the record of the decision (simulator seed 354721).
TEST_F(Install, ANopIsCoveredWhenItsDecisionIsOnDisk) {
  tell_commit(b, kA, kA1);
  apply_all(b);
  b.durable();
  b.deliver(kA, Commit{kA2, CommitKind::kNop, {}, {}});
  tell_commit(b, kA, id(kA, 3), {1, 0, 0});
  apply_all(b);

  const Coverage before = b.image();
  b.durable();

  EXPECT_EQ(before.executed, (Dependencies{1, 0, 0}));
  EXPECT_THAT(before.instances, ElementsAre(CoveredInstance{id(kA, 3), false, kTouchesX}));
  EXPECT_EQ(b.image().executed, (Dependencies{3, 0, 0}));
}

// --- For a peer --------------------------------------------------------------------------------

TEST_F(Install, APeerIsToldOfWhatNotAllHaveExecuted) {
  tell_commit(b, kA, kA1);
  tell_commit(b, kA, kA2, {1, 0, 0});
  b.deliver(kA, Commit{id(kA, 3), CommitKind::kNop, {}, {}});
  tell_commit(b, kA, id(kA, 5), {0, 0, 0}, kWritesY);
  apply_all(b);
  b.deliver(kC, Frontier{{1, 0, 0}, kZero, {1, 0, 0}});
  b.durable();

  const Result<Coverage> told = coverage_for(b, kA, b.image());

  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->floor, (Dependencies{1, 0, 0})) << "C has executed it, and A will have";
  EXPECT_EQ(told->executed, (Dependencies{3, 0, 0}));
  EXPECT_THAT(told->instances, ElementsAre(CoveredInstance{kA2, false, kTouchesX},
                                           CoveredInstance{id(kA, 3), true, std::nullopt},
                                           CoveredInstance{id(kA, 5), false, kTouchesY}));
}

// However much was executed since C went away: nobody asks A what it knows of an instance.
TEST_F(Install, APeerWithoutAVoteNeedsNoList) {
  tell_commit(b, kA, kA1);
  tell_commit(b, kA, kA2, {1, 0, 0});
  tell_commit(b, kA, id(kA, 4), {0, 0, 0}, kWritesY);
  apply_all(b);
  b.durable();
  b.deliver(kA, Frontier{kZero, kZero, {3, 0, 0}, /*non_voting=*/true});

  const Result<Coverage> told = coverage_for(b, kA, b.image());

  ASSERT_TRUE(told) << told.error().message;
  EXPECT_TRUE(told->for_non_voting);
  EXPECT_EQ(told->floor, (Dependencies{2, 0, 0}));
  EXPECT_EQ(told->executed, (Dependencies{2, 0, 0}));
  EXPECT_THAT(told->instances, ElementsAre(CoveredInstance{id(kA, 4), false, kTouchesY}));
  EXPECT_FALSE(coverage_for(b, kC, b.image())->for_non_voting);
}

TEST_F(Install, AVoterTakesNoImageForOneWithoutAVote) {
  Coverage image = covers_a(3, /*floor=*/3);
  EXPECT_TRUE(may_install(b, image));
  image.for_non_voting = true;
  const Result<void> refused = may_install(b, image);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

/// So many instances of A are executed by B, and C has executed none of them.
void execute_many(Subject& b, std::uint64_t count) {
  for (std::uint64_t slot = 1; slot <= count; ++slot) {
    tell_commit(b, kA, id(kA, slot), {slot - 1, 0, 0});
  }
  apply_all(b);
}

TEST_F(Install, MuchIsListedPartByPart) {
  execute_many(b, 5000);
  const std::vector<std::byte> image = Subject::coded(b.image());
  std::vector<std::byte> told;
  int calls = 0;
  Result<bool> complete = false;
  for (; complete && !*complete; ++calls) complete = b.core.coverage_for(kA, image, told);

  ASSERT_TRUE(complete);
  EXPECT_EQ(calls, 3);
  const Result<Coverage> coverage = decode_coverage(told, 3);
  ASSERT_TRUE(coverage);
  EXPECT_EQ(*coverage, covers_a(5000));
}

// What was forgotten meanwhile can no longer be listed, and need not be.
TEST_F(Install, AFloorThatMovesWhileMuchIsListedCounts) {
  execute_many(b, 5000);
  const std::vector<std::byte> image = Subject::coded(b.image());
  std::vector<std::byte> told;
  ASSERT_FALSE(b.core.coverage_for(kA, image, told).value());
  for (const std::uint64_t slot : {1000U, 4500U}) {
    for (const ReplicaId peer : {kA, kC}) {
      b.deliver(peer, Frontier{{slot, 0, 0}, {slot, 0, 0}, {slot, 0, 0}});
    }
    apply_all(b);
  }
  Result<bool> complete = false;
  while (complete && !*complete) complete = b.core.coverage_for(kA, image, told);

  ASSERT_TRUE(complete);
  EXPECT_EQ(decode_coverage(told, 3).value(), covers_a(5000, 4500));
}

TEST_F(Install, AFloorBeyondTheImageWhileMuchIsListedEndsIt) {
  execute_many(b, 5000);
  const std::vector<std::byte> image = Subject::coded(b.image());
  std::vector<std::byte> told;
  ASSERT_FALSE(b.core.coverage_for(kA, image, told).value());
  b.deliver(kC, Frontier{{5001, 0, 0}, {5001, 0, 0}, {5001, 0, 0}});
  Result<bool> complete = false;
  while (complete && !*complete) complete = b.core.coverage_for(kA, image, told);
  EXPECT_FALSE(complete);
}

TEST_F(Install, AnotherPeerBeginsAnotherList) {
  execute_many(b, 5000);
  const std::vector<std::byte> image = Subject::coded(b.image());
  std::vector<std::byte> told;
  ASSERT_FALSE(b.core.coverage_for(kA, image, told).value());
  EXPECT_EQ(coverage_for(b, kC, b.image()).value(), covers_a(5000));
  EXPECT_FALSE(b.core.coverage_for(kA, image, told).value()) << "from the beginning";
}

TEST_F(Install, AnImageThatThePeerIsAheadOfIsRefused) {
  tell_commit(b, kA, kA1);
  apply_all(b);
  const Coverage image = b.image();
  b.deliver(kA, Frontier{{2, 0, 0}, kZero, {2, 0, 0}});

  const Result<Coverage> told = coverage_for(b, kA, image);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(coverage_for(b, kC, image));

  // What it once told counts, though it has forgotten it.
  b.deliver(kA, Frontier{kZero, kZero, {2, 0, 0}, /*non_voting=*/true});
  EXPECT_FALSE(coverage_for(b, kA, image));
}

TEST_F(Install, AnImageBelowTheFloorIsRefused) {
  const Coverage image = b.image();
  tell_commit(b, kA, kA1);
  apply_all(b);
  for (const ReplicaId peer : {kA, kC}) {
    b.deliver(peer, Frontier{{1, 0, 0}, {1, 0, 0}, {1, 0, 0}});
  }

  EXPECT_FALSE(coverage_for(b, kC, image));
  EXPECT_TRUE(coverage_for(b, kC, b.image()));
}

// Others may have dropped what all were known to have executed, and the floor here is only lower
// because this replica was not there.
TEST_F(Install, AnImageBelowAFloorOfOthersIsRefused) {
  tell_commit(b, kA, kA1);
  apply_all(b);
  const Coverage image = b.image();
  tell_commit(b, kA, kA2, {1, 0, 0});
  apply_all(b);
  b.deliver(kC, Frontier{{2, 0, 0}, {2, 0, 0}, {2, 0, 0}});

  EXPECT_FALSE(coverage_for(b, kA, image));
  EXPECT_TRUE(coverage_for(b, kA, b.image()));
}

TEST_F(Install, AnImageThatCameFromAPeerIsPassedOn) {
  b.install({kZero,
             {2, 0, 0},
             {{kA1, false, kTouchesX}, {kA2, false, kTouchesY}, {id(kA, 4), false, kTouchesX}}});
  const Coverage image = decode_coverage(b.image_on_disk, 3).value();
  b.deliver(kC, Frontier{{1, 0, 0}, kZero, {1, 0, 0}});

  const Result<Coverage> told = coverage_for(b, kA, image);

  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->floor, (Dependencies{1, 0, 0}));
  EXPECT_THAT(told->instances, ElementsAre(CoveredInstance{kA2, false, kTouchesY},
                                           CoveredInstance{id(kA, 4), false, kTouchesX}));
}

TEST_F(Install, WhatIsNotAppliedIsInNoImage) {
  tell_commit(b, kA, kA1);
  b.end_turn();
  EXPECT_EQ(b.image().executed, kZero);
  EXPECT_THAT(b.image().instances, IsEmpty());

  b.apply();
  EXPECT_EQ(b.image().executed, (Dependencies{1, 0, 0}));
}

// No record says anything of what only an image of a peer covers; so the images that follow it have
// to, until the floor has passed it (R8, R9).
TEST_F(Install, TheOwnImageThatFollowsKnowsWhatIsCovered) {
  b.deliver(kA, PreAccept{kA2, {1, 0, 0}, kWritesX});
  b.install({kZero, {2, 0, 0}, {{kA1, false, kTouchesY}, {kA2, false, kTouchesX}}});
  tell_commit(b, kA, id(kA, 3), {2, 0, 0});
  apply_all(b);
  b.keep_image();
  const auto after = restarted(b, config(kB, 3));

  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Recover{kA1, {1, kC}}))) << "it is executed";
  EXPECT_TRUE(any<Truncated>(after->deliver(kC, Recover{kA2, {1, kC}})));
  const auto answer = only<PreAcceptOk>(after->deliver(kC, PreAccept{kC1, kZero, kWritesY}), 3);
  EXPECT_EQ(answer.dependencies, (Dependencies{1, 0, 0})) << "C has not executed it";
  EXPECT_TRUE(coverage_for(*after, kC, after->image()));
}

TEST_F(Install, TheOwnImageSaysNothingOfWhatRecordsSay) {
  for (std::uint64_t slot = 1; slot <= 5; ++slot)
    tell_commit(b, kA, id(kA, slot), {slot - 1, 0, 0});
  apply_all(b);

  EXPECT_EQ(b.image(), (Coverage{kZero, {5, 0, 0}, {}}));
}

// --- Who needs one -----------------------------------------------------------------------------

class Frozen : public Install {
 protected:
  Frozen() {
    tell_commit(b, kA, kA1);
    apply_all(b);
    b.deliver(kC, Frontier{{3, 0, 0}, {3, 0, 0}, {3, 0, 0}});
    EXPECT_FALSE(b.core.voting());
  }
};

TEST_F(Frozen, ExecutesNothingNew) {
  tell_commit(b, kC, kA2, {1, 0, 0});
  apply_all(b);
  EXPECT_THAT(b.executed, ElementsAre(kA1));
}

TEST_F(Frozen, AsksOnePeerAfterTheOtherForAnImageOfAnySize) {
  const std::vector<ReplicaId> asked = wishes(b, 60);
  ASSERT_GE(asked.size(), 4u);
  EXPECT_NE(asked[0], asked[1]);
  EXPECT_EQ(asked[0], asked[2]);
  EXPECT_LT(asked.size(), 30u) << "more and more rarely";
}

TEST_F(Frozen, DoesNotAskWhoHasForgotten) {
  b.deliver(kA, Frontier{kZero, kZero, {3, 0, 0}, /*non_voting=*/true});
  for (const ReplicaId asked : wishes(b, 30)) EXPECT_EQ(asked, kC);
}

TEST_F(Frozen, GivesNoImage) {
  EXPECT_FALSE(coverage_for(b, kC, b.image()));
}

// C is away, and has executed none of it: told of such a floor it would believe that it has lost
// its memory, and so would whoever installs an image from here.
TEST_F(Frozen, KeepsTheFloorOfAnImageForOneWithoutAVoteToItself) {
  b.end_turn();
  Coverage image = covers_a(5, /*floor=*/5);
  image.for_non_voting = true;
  b.install(image);

  const auto restarted_later = restarted(b, config(kB, 3));
  for (Subject* const subject : {&b, restarted_later.get()}) {
    const Truncated answer = only<Truncated>(subject->deliver(kC, Status{kA2}), 3);
    EXPECT_EQ(answer.floor, kZero);
    const Truncated range =
        only<Truncated>(subject->deliver(kC, FetchRange{kA, Slot(4), Slot(9)}), 3);
    EXPECT_EQ(range.floor, kZero);
    EXPECT_FALSE(coverage_for(*subject, kC, subject->image()));
  }
  tell_commit(b, kA, id(kA, 6), {5, 0, 0});
  apply_all(b);
  EXPECT_THAT(b.executed, Contains(id(kA, 6)));
}

TEST_F(Frozen, GoesOnWithAnImageButDoesNotVoteAgain) {
  b.install(covers_a(3));
  tell_commit(b, kC, id(kA, 4), {3, 0, 0});
  apply_all(b);

  EXPECT_THAT(b.executed, ElementsAre(kA1, id(kA, 4)));
  EXPECT_FALSE(b.core.voting());
  EXPECT_FALSE(any<PreAcceptOk>(b.deliver(kC, PreAccept{kC1, kZero, kWritesX})));
}

// Its peers go on to say that it has forgotten something, and speak of its slots.
TEST_F(Frozen, IsNotFrozenAgainByTheSameNews) {
  b.install(covers_a(3));
  b.deliver(kC, Frontier{{3, 0, 0}, {3, 0, 0}, {3, 9, 0}, false, ReplicaSet::only(kB).bits()});
  tell_commit(b, kC, id(kA, 4), {3, 7, 0}, kWritesY);
  tell_commit(b, kC, id(kA, 5), {3, 0, 0}, kWritesX);
  apply_all(b);

  EXPECT_THAT(b.executed, Contains(id(kA, 5)));
  EXPECT_THAT(wishes(b, 10), IsEmpty());
}

TEST_F(Frozen, IsFrozenAgainByAFloorThatTheImageLacks) {
  b.install(covers_a(3));
  b.deliver(kC, Frontier{{5, 0, 0}, {5, 0, 0}, {5, 0, 0}});
  tell_commit(b, kC, id(kA, 4), {3, 0, 0});
  apply_all(b);

  EXPECT_THAT(b.executed, ElementsAre(kA1));
  EXPECT_FALSE(may_install(b, covers_a(4)));
  EXPECT_TRUE(may_install(b, covers_a(5)));
}

// The others installed an image too, and remember no more than that A.1 is executed.
TEST_F(Install, ABodyThatNobodyHasIsAskedForInVainAndThenAnImage) {
  b.deliver(kC, Frontier{{1, 0, 0}, kZero, {1, 0, 0}});
  EXPECT_THAT(wishes(b, 4), IsEmpty()) << "somebody may still tell it";
  b.deliver(kC, Truncated{kA1, kZero});
  EXPECT_THAT(wishes(b, 60), Contains(kC));

  b.install(covers_a(1));
  EXPECT_THAT(wishes(b, 20), IsEmpty());
}

TEST_F(Install, ABodyThatSomebodyTellsAfterAllNeedsNoImage) {
  b.deliver(kC, Frontier{{1, 0, 0}, kZero, {1, 0, 0}});
  b.deliver(kC, Truncated{kA1, kZero});
  tell_commit(b, kA, kA1);
  apply_all(b);

  EXPECT_THAT(wishes(b, 30), IsEmpty());
}

TEST(Lag, WhoIsFarBehindAsksForASmallImage) {
  CoreConfig small = config(kB, 3);
  small.image_lag_instances = 10;
  Subject b(small);
  b.deliver(kC, Frontier{{9, 0, 0}, kZero, {9, 0, 0}});
  EXPECT_FALSE(b.end_turn().image_wish);

  b.deliver(kC, Frontier{{100, 0, 0}, kZero, {100, 0, 0}});
  const auto& wish = b.end_turn().image_wish;
  ASSERT_TRUE(wish);
  EXPECT_GT(wish->bytes_max, 100u);
  EXPECT_LT(wish->bytes_max, 100u * 1024);
}

}  // namespace
}  // namespace epaxos::protocol
