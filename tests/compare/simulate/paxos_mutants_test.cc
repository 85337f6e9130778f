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

struct Shown {
  Mutant mutant = Mutant::kNone;
  std::uint64_t seed = 0;
  std::string checker;
};

std::vector<sim::Violation> run(const sim::SwarmOptions& swarm, Mutant mutant, std::uint64_t seed) {
  const Active active(mutant);
  return sim::run_swarm(swarm, seed).violations;
}

void expect_noticed(const sim::SwarmOptions& swarm, const Shown& shown) {
  SCOPED_TRACE(swarm.protocol.name + ", seed " + std::to_string(shown.seed));
  const std::vector<sim::Violation> violations = run(swarm, shown.mutant, shown.seed);
  EXPECT_TRUE(std::ranges::any_of(violations, [&](const sim::Violation& violation) {
    return violation.checker == shown.checker;
  })) << (violations.empty() ? "nothing was noticed" : violations.front().checker);
  EXPECT_TRUE(run(swarm, Mutant::kNone, shown.seed).empty());
}

TEST(PaxosMutants, EachOfTheTableIsStillNoticedAndTheSeedHoldsWithoutIt) {
  const sim::SwarmOptions swarm = multipaxos::simulated_multipaxos({.learn_from_all = true}).swarm;
  int rows = 0;
  for (const Row& row : testing::table(EPAXOS_SOURCE_DIR)) {
    if (!testing::is_of_paxos(row)) continue;
    ++rows;
    const auto known = std::ranges::find(mutants(), row.mutant, &MutantInfo::name);
    ASSERT_NE(known, mutants().end()) << "there is no such bug";
    ASSERT_TRUE(row.seed) << row.mutant;
    expect_noticed(swarm, {known->mutant, *row.seed, row.checker});
  }
  EXPECT_EQ(rows, 4);
}

TEST(PaxosMutants, MultiPaxosWithABugOfEPaxosIsFoundOut) {
  const Shown shown[] = {
      {Mutant::kPromiseNotDurable, 2, "ballots"},        // P4
      {Mutant::kAnswersCountedTwice, 304, "execution"},  // P6
      {Mutant::kAcceptOkBeforeDurable, 2, "ballots"},
      {Mutant::kAcceptIgnoresPromise, 2, "ballots"},
      {Mutant::kGateOpensOnSubmit, 2, "ballots"},
      {Mutant::kImageWithoutSessions, 7, "execution"},
  };
  const sim::SwarmOptions swarm = multipaxos::simulated_multipaxos().swarm;
  for (const Shown& each : shown) expect_noticed(swarm, each);
}

TEST(PaxosMutants, PaxosWithABugOfTheOthersIsFoundOut) {
  const Shown shown[] = {
      {Mutant::kOneBallotVariable, 32, "ballots"},
      {Mutant::kPromiseNotDurable, 2, "ballots"},
      {Mutant::kAcceptOkBeforeDurable, 2, "ballots"},
      {Mutant::kAcceptIgnoresPromise, 2, "ballots"},
      {Mutant::kAdoptsFirstVote, 145, "ballots"},
      {Mutant::kBallotsWithoutReplica, 5, "ballots"},
  };
  const sim::SwarmOptions swarm = paxos::simulated_paxos().swarm;
  for (const Shown& each : shown) expect_noticed(swarm, each);
}

}  // namespace
}  // namespace epaxos::compare
