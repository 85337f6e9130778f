// Whole clusters under faults, in the process of the test.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "compare/paxos/simulate_paxos.h"

namespace epaxos::compare {
namespace {

TEST(PaxosSeeds, ThreeHundredRunsHold) {
  const sim::SwarmOptions options = paxos::simulated_paxos().swarm;
  std::uint64_t decided = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const sim::SwarmResult result = run_swarm(options, seed);
    EXPECT_THAT(sentences(result), ::testing::IsEmpty()) << "seed " << seed;
    if (result.outcomes.executed > 0) ++decided;
  }
  EXPECT_GT(decided, 200u);
}

}  // namespace
}  // namespace epaxos::compare
