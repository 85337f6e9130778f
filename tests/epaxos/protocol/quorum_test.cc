#include "epaxos/protocol/quorum.h"

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

PreAcceptTally tally(std::initializer_list<ReplicaId> answered,
                     std::initializer_list<ReplicaId> matched) {
  PreAcceptTally tally;
  for (const ReplicaId r : answered) tally.answered.add(r);
  for (const ReplicaId r : matched) tally.matched.add(r);
  return tally;
}

TEST(Quorum, SizesAreThoseOfTheTableOfTheSpecification) {
  EXPECT_EQ(fast_quorum_size(3), 2);
  EXPECT_EQ(slow_quorum_size(3), 2);
  EXPECT_EQ(fast_quorum_size(5), 3);
  EXPECT_EQ(fast_quorum_size(7), 5) << "four of seven lose agreement (R32)";
  EXPECT_EQ(slow_quorum_size(7), 4);
}

TEST(PreAcceptTally, AnOwnerAloneDecidesAlone) {
  EXPECT_EQ(tally({kA}, {kA}).path(1, false, false), Path::kFast);
}

TEST(PreAcceptTally, MatchingFastQuorumTakesTheFastPath) {
  EXPECT_EQ(tally({kA, kB}, {kA, kB}).path(5, false, false), Path::kPending);
  EXPECT_EQ(tally({kA, kB, kC}, {kA, kB, kC}).path(5, false, false), Path::kFast);
}

TEST(PreAcceptTally, MismatchAmongTheNearestTakesTheSlowPathAtOnce) {
  EXPECT_EQ(tally({kA, kB, kC}, {kA, kB}).path(5, false, false), Path::kSlow);
}

TEST(PreAcceptTally, APatientOwnerWaitsWhileTheFastPathIsPossible) {
  EXPECT_EQ(tally({kA, kB, kC}, {kA, kB}).path(5, false, true), Path::kPending);
  EXPECT_EQ(tally({kA, kB, kC, kD}, {kA, kB, kD}).path(5, false, true), Path::kFast);
  EXPECT_EQ(tally({kA, kB, kC}, {kA, kB}).path(5, true, true), Path::kSlow);
  EXPECT_EQ(tally({kA, kB, kC, kD, kE}, {kA, kB}).path(5, false, true), Path::kSlow);
}

TEST(PreAcceptTally, SlowQuorumBelowTheFastOneWaitsForTheTimer) {
  // n = 7: four answers let the slow path run, five would be needed for the fast one.
  const auto four = tally({kA, kB, kC, kD}, {kA, kB, kC, kD});
  EXPECT_EQ(four.path(7, false, false), Path::kPending);
  EXPECT_EQ(four.path(7, true, false), Path::kSlow);
}

TEST(PreAcceptTally, SlowPathNeverRunsWithoutASlowQuorum) {
  EXPECT_EQ(tally({kA, kB}, {kA}).path(5, true, false), Path::kPending);
}

TEST(PreAcceptTally, AnAnswerTwiceCountsOnce) {
  EXPECT_EQ(tally({kA, kB, kB}, {kA, kB, kB}).path(5, false, false), Path::kPending);
}

}  // namespace
}  // namespace epaxos::protocol
