// Whole runs of the swarm in one process, so that the sanitizers see them.

#include <gtest/gtest.h>

#include "compare/raft/core.h"
#include "epaxos/sim/swarm.h"

namespace epaxos::compare::raft {
namespace {

sim::SwarmOptions swarm(const Options& options_of_raft = {}) {
  sim::SwarmOptions options = sim::key_value_swarm(raft(options_of_raft));
  options.never_silent = true;
  return options;
}

TEST(RaftSeeds, FiftyHold) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const sim::SwarmResult result = sim::run_swarm(swarm(), seed);
    EXPECT_TRUE(result.violations.empty()) << sim::sentences(result).front();
  }
}

TEST(RaftSeeds, FiftyHoldInWhichAllLearnFromAll) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const sim::SwarmResult result = sim::run_swarm(swarm({.learn_from_all = true}), seed);
    EXPECT_TRUE(result.violations.empty()) << sim::sentences(result).front();
  }
}

TEST(RaftSeeds, TheSameSeedGivesTheSameRun) {
  EXPECT_EQ(sim::run_swarm(swarm(), 7).trace_hash, sim::run_swarm(swarm(), 7).trace_hash);
  EXPECT_NE(sim::run_swarm(swarm(), 7).trace_hash, sim::run_swarm(swarm(), 8).trace_hash);
}

}  // namespace
}  // namespace epaxos::compare::raft
