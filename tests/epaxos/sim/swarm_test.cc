// Many seeds, each a cluster, a load and a selection of faults of its own.

#include "tests/support/swarm.h"

#include <cstdio>
#include <cstdlib>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

namespace epaxos::testing {
namespace {

using sim::FaultClass;
using sim::SwarmOptions;
using sim::SwarmPlan;
using sim::SwarmResult;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Sums {
  std::array<std::uint64_t, sim::kFaultClasses> faults{};
  std::uint64_t executed = 0;
  std::uint64_t events = 0;
};

Sums expect_all_well(const SwarmOptions& options, std::uint64_t first, std::uint64_t last) {
  Sums sums;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const SwarmResult result = run_swarm(options, seed);
    EXPECT_THAT(sentences(result), IsEmpty());
    if (::testing::Test::HasFailure()) return sums;
    sums.executed += static_cast<std::uint64_t>(result.outcomes.executed);
    sums.events += result.events;
    for (std::size_t i = 0; i < sums.faults.size(); ++i) sums.faults[i] += result.faults[i];
  }
  return sums;
}

TEST(Swarm, EverySeedEndsWell) {
  const Sums sums = expect_all_well(epaxos_swarm(), 1, 200);

  std::printf("%llu commands, %llu events\n", static_cast<unsigned long long>(sums.executed),
              static_cast<unsigned long long>(sums.events));
  for (std::size_t i = 0; i < sums.faults.size(); ++i) {
    const auto fault = static_cast<FaultClass>(i);
    std::printf("  %llu %s\n", static_cast<unsigned long long>(sums.faults[i]),
                std::string(to_string(fault)).c_str());
    EXPECT_GT(sums.faults[i], 0u) << to_string(fault);
  }
}

TEST(NightlySwarm, EverySeedEndsWell) {
  SwarmOptions options = epaxos_swarm();
  expect_all_well(options, 201, 10'000);
  options.limits.profile = sim::Profile::kNightly;
  expect_all_well(options, 10'001, 12'000);
}

TEST(Swarm, ASeedRunsTheSameWayTwice) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SwarmResult first = run_swarm(epaxos_swarm(), seed);
    const SwarmResult second = run_swarm(epaxos_swarm(), seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.marks, second.marks) << "seed " << seed;
  }
}

/// One client, which rests eight times until its session has expired.
SwarmPlan resting_plan() {
  SwarmPlan plan;
  plan.classes = std::uint64_t{1} << static_cast<unsigned>(FaultClass::kLoss);
  plan.loss_ppm = 1'000;
  plan.commands = 600;
  plan.clients = 1;
  plan.session_clients = 1;
  plan.session_ttl_us = 30 * kSecond;
  return plan;
}

TEST(Swarm, AClientThatRestsForLongWaitsForNobody) {
  const SwarmResult result = sim::run_swarm(epaxos_swarm(), resting_plan());

  EXPECT_THAT(sentences(result), IsEmpty());
  EXPECT_GT(result.outcomes.executed, 500);
}

}  // namespace
}  // namespace epaxos::testing
