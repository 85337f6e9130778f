// Whole clusters under faults in the process of the test, where a sanitizer looks at every access:
// the host, the core, the executor and the codecs with what faults make of their inputs.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "epaxos/programs/simulate.h"

namespace epaxos::testing {
namespace {

TEST(Seeds, AHundredRunsHold) {
  const sim::SwarmOptions options = simulated_epaxos().swarm;
  std::uint64_t executed = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const sim::SwarmResult result = run_swarm(options, seed);
    EXPECT_THAT(sentences(result), ::testing::IsEmpty()) << "seed " << seed;
    executed += static_cast<std::uint64_t>(result.outcomes.executed);
  }
  EXPECT_GT(executed, 1'000u);
}

}  // namespace
}  // namespace epaxos::testing
