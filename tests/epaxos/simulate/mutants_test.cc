// Every known bug is still noticed: each row of the table in docs/testing.md 1 names a bug, the
// seed that shows it and the checker that says so. The same seed holds without the bug.

#include <fstream>
#include <gmock/gmock.h>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "deps/types/mutant.h"
#include "epaxos/programs/simulate.h"

namespace epaxos::testing {
namespace {

struct Kill {
  std::string mutant;
  std::string checker;
  std::uint64_t seed = 0;
};

std::vector<Kill> table() {
  std::ifstream page(EPAXOS_SOURCE_DIR + std::string("/") + "docs/testing.md");
  const std::regex row(R"(\| `([a-z-]+)` \| [^|]+ \| `([a-z]+)` \| ([0-9]+) \|.*)");
  std::vector<Kill> kills;
  std::smatch match;
  for (std::string line; std::getline(page, line);) {
    if (!std::regex_match(line, match, row)) continue;
    kills.push_back({match[1], match[2], std::stoull(match[3])});
  }
  return kills;
}

/// What is wrong with one run under a known bug.
std::vector<sim::Violation> run(Mutant mutant, std::uint64_t seed) {
  active_mutant = mutant;
  const sim::SwarmResult result = sim::run_swarm(simulated_epaxos().swarm, seed);
  active_mutant = Mutant::kNone;
  return result.violations;
}

TEST(Mutants, EachIsInTheTable) {
  std::set<std::string> named;
  for (const Kill& kill : table()) named.insert(kill.mutant);
  for (const MutantInfo& each : mutants()) {
    EXPECT_TRUE(named.contains(std::string(each.name))) << each.name << " has no row";
  }
}

TEST(Mutants, EachIsStillNoticedByItsCheckerAndTheSeedHoldsWithoutIt) {
  for (const Kill& kill : table()) {
    SCOPED_TRACE(kill.mutant + ", seed " + std::to_string(kill.seed));
    const auto known = std::ranges::find(mutants(), kill.mutant, &MutantInfo::name);
    ASSERT_NE(known, mutants().end()) << "there is no such bug";
    const std::vector<sim::Violation> violations = run(known->mutant, kill.seed);
    EXPECT_TRUE(std::ranges::any_of(violations, [&](const sim::Violation& violation) {
      return violation.checker == kill.checker;
    })) << (violations.empty() ? "nothing was noticed" : violations.front().checker);
    EXPECT_TRUE(run(Mutant::kNone, kill.seed).empty());
  }
}

}  // namespace
}  // namespace epaxos::testing
