// Known bugs of Paxos and Multi-Paxos are noticed: those of the table in docs/testing.md, and those
// of EPaxos that they could have as well.

#include <algorithm>

#include <gtest/gtest.h>

#include "compare/multipaxos/simulate_multipaxos.h"
#include "compare/paxos/simulate_paxos.h"
#include "epaxos/sim/swarm.h"
#include "tests/support/mutant_table.h"

namespace epaxos::compare {
namespace {

using testing::Active;
using testing::Row;

std::vector<sim::Violation> run(const sim::SwarmOptions& swarm, Mutant mutant, std::uint64_t seed) {
  const Active active(mutant);
  return sim::run_swarm(swarm, seed).violations;
}

bool is_noticed(const sim::SwarmOptions& swarm, Mutant mutant, std::uint64_t seed,
                const std::string& checker) {
  return std::ranges::any_of(run(swarm, mutant, seed), [&](const sim::Violation& violation) {
    return violation.checker == checker;
  });
}

/// A bug that one of so many seeds must show, which holds without it.
struct Bug {
  Mutant mutant = Mutant::kNone;
  std::string checker;
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;  ///< Where one has shown it lately: a search takes seconds.
};

void expect_found(const sim::SwarmOptions& swarm, const Bug& bug) {
  const std::uint64_t end = bug.first + bug.seeds;
  std::uint64_t seed = bug.first;
  while (seed < end && !is_noticed(swarm, bug.mutant, seed, bug.checker)) ++seed;
  EXPECT_LT(seed, end) << static_cast<int>(bug.mutant) << " is not noticed";
  EXPECT_TRUE(run(swarm, Mutant::kNone, seed).empty()) << seed;
}

TEST(PaxosMutants, EachOfTheTableIsStillNoticedAndTheSeedHoldsWithoutIt) {
  const SimulatedProtocol simulated = multipaxos::simulated_multipaxos({.learn_from_all = true});
  const sim::SwarmOptions one_learner = multipaxos::simulated_multipaxos().swarm;
  int rows = 0;
  for (const Row& row : testing::table(EPAXOS_SOURCE_DIR)) {
    if (!testing::is_of_paxos(row)) continue;
    ++rows;
    const auto known = std::ranges::find(mutants(), row.mutant, &MutantInfo::name);
    ASSERT_NE(known, mutants().end()) << "there is no such bug";
    ASSERT_TRUE(row.seed) << row.mutant;
    const bool is_lease = known->mutant == Mutant::kPaxosLeaseWallClock;
    const sim::SwarmOptions& swarm = is_lease ? one_learner : simulated.swarm;
    EXPECT_EQ(std::ranges::count(simulated.mutants, known->mutant), 1) << row.mutant;
    EXPECT_TRUE(is_noticed(swarm, known->mutant, *row.seed, row.checker)) << row.mutant;
    EXPECT_TRUE(run(swarm, Mutant::kNone, *row.seed).empty()) << row.mutant;
  }
  EXPECT_EQ(rows, 5);
}

TEST(PaxosMutants, MultiPaxosWithABugOfEPaxosIsFoundOut) {
  const Bug bugs[] = {
      {Mutant::kPromiseNotDurable, "ballots"},  // P4
      {Mutant::kAcceptOkBeforeDurable, "ballots"}, {Mutant::kAcceptIgnoresPromise, "ballots"},
      {Mutant::kGateOpensOnSubmit, "ballots"},     {Mutant::kImageWithoutSessions, "execution"},
  };
  const sim::SwarmOptions swarm = multipaxos::simulated_multipaxos().swarm;
  for (const Bug& each : bugs) expect_found(swarm, each);
  // P6: two must lead at once, which is rare where each asks before it opens a ballot.
  expect_found(multipaxos::simulated_multipaxos({.learn_from_all = true}).swarm,
               {Mutant::kAnswersCountedTwice, "execution", 5'000, 960});
}

TEST(PaxosMutants, PaxosWithABugOfTheOthersIsFoundOut) {
  const Bug bugs[] = {
      {Mutant::kOneBallotVariable, "ballots", 1'000}, {Mutant::kPromiseNotDurable, "ballots"},
      {Mutant::kAcceptOkBeforeDurable, "ballots"},    {Mutant::kAcceptIgnoresPromise, "ballots"},
      {Mutant::kAdoptsFirstVote, "ballots", 5'000},   {Mutant::kBallotsWithoutReplica, "ballots"},
  };
  const sim::SwarmOptions swarm = paxos::simulated_paxos().swarm;
  for (const Bug& each : bugs) expect_found(swarm, each);
}

}  // namespace
}  // namespace epaxos::compare
