// Every known bug of Raft is still noticed, as its row in docs/testing.md says: by the simulator
// with that seed, or by a test here, which shows what no seed has shown yet.

#include <algorithm>

#include <gtest/gtest.h>

#include "compare/raft/simulate_raft.h"
#include "epaxos/sim/swarm.h"
#include "tests/compare/raft/support.h"
#include "tests/support/mutant_table.h"

namespace epaxos::compare::raft {
namespace {

using testing::Active;
using testing::Row;

/// The variant of Raft that a bug is looked for in.
SimulatedProtocol home_of(Mutant mutant) {
  return simulated_raft({.learn_from_all = mutant == Mutant::kRaftLearnsAcrossTerms});
}

std::vector<sim::Violation> run(Mutant mutant, const sim::SwarmOptions& swarm, std::uint64_t seed) {
  const Active active(mutant);
  return sim::run_swarm(swarm, seed).violations;
}

TEST(RaftMutants, EachIsStillNoticedByItsCheckerAndTheSeedHoldsWithoutIt) {
  int rows = 0;
  for (const Row& row : testing::table(EPAXOS_SOURCE_DIR)) {
    if (!testing::is_of_raft(row)) continue;
    ++rows;
    EXPECT_TRUE(row.seed || testing::is_test(row.checker)) << "there is no test " << row.checker;
    if (!row.seed) continue;
    SCOPED_TRACE(row.mutant + ", seed " + std::to_string(*row.seed));
    const auto known = std::ranges::find(mutants(), row.mutant, &MutantInfo::name);
    ASSERT_NE(known, mutants().end()) << "there is no such bug";
    const SimulatedProtocol home = home_of(known->mutant);
    EXPECT_EQ(std::ranges::count(home.mutants, known->mutant), 1);
    const std::vector<sim::Violation> violations = run(known->mutant, home.swarm, *row.seed);
    EXPECT_TRUE(std::ranges::any_of(violations, [&](const sim::Violation& violation) {
      return violation.checker == row.checker;
    })) << (violations.empty() ? "nothing was noticed" : violations.front().checker);
    EXPECT_TRUE(run(Mutant::kNone, home.swarm, *row.seed).empty());
  }
  EXPECT_GE(rows, 16);
}

// Figure 8 (c): three of five have an entry of an earlier term.
std::uint64_t committed_in_figure_8(Mutant mutant) {
  const Active active(mutant);
  Subject s1(config(kA, 5), disk_of({1, 2}, 3));
  s1.lead();
  s1.acknowledge(kB, 2);
  s1.acknowledge(kC, 2);
  return s1.commit();
}

TEST(RaftMutants, AnEarlierTermIsCommittedByCountingOnlyWithTheBug) {
  EXPECT_EQ(committed_in_figure_8(Mutant::kNone), 0u);
  EXPECT_EQ(committed_in_figure_8(Mutant::kRaftCommitsEarlierTerms), 2u);
}

/// Where a log ends that an image contradicts.
LogIndex last_behind_an_image(Mutant mutant) {
  const Active active(mutant);
  Subject b(config(kB, 3), disk_of({1, 1, 2, 2}, 2));
  std::vector<std::byte> image;
  encode(LogCoverage{Slot(3), 5, {Epoch(), 3}, {}, {ReplicaSet::all(3)}}, image);
  EXPECT_TRUE(b.core.may_install(image));
  b.turn([&] { b.core.install(image, b.effects); });
  return b.core.log().last();
}

TEST(RaftMutants, ALogThatAnImageContradictsStaysOnlyWithTheBug) {
  EXPECT_EQ(last_behind_an_image(Mutant::kNone), LogIndex(3));
  EXPECT_EQ(last_behind_an_image(Mutant::kRaftKeepsSuffix), LogIndex(4));
}

/// How far B knows of commits. Entry 4 of term 4 is on the disks of B and C; D has told of another
/// entry 4, of term 3.
std::uint64_t committed_by_two_terms(Mutant mutant) {
  const Active active(mutant);
  Subject b(config(kB, 5), disk_of({1, 1}, 2), {}, {.learn_from_all = true});
  const auto hear_from_leader = [&b](ReplicaId leader, std::uint64_t term, std::uint64_t before,
                                     std::uint64_t term_before, Bytes entries) {
    AppendEntries append;
    append.term = Term(term);
    append.prev_log_index = LogIndex(before);
    append.prev_log_term = Term(term_before);
    append.entries = entries;
    b.deliver(leader, append);
    b.durable();
  };
  const auto tells = [&b](ReplicaId from, std::uint64_t term) {
    b.deliver(from,
              AppendEntriesReply{Term(term), true, true, LogIndex(4), LogIndex(4), {}, {}, 0});
  };
  hear_from_leader(kA, 3, 2, 1, entries(3, {3}));
  tells(kD, 3);
  hear_from_leader(kE, 4, 3, 3, entries(4, {4}));
  tells(kC, 4);
  return b.commit();
}

TEST(RaftMutants, WhatWasToldInAnEarlierTermCountsOnlyWithTheBug) {
  EXPECT_EQ(committed_by_two_terms(Mutant::kNone), 0u);
  EXPECT_EQ(committed_by_two_terms(Mutant::kRaftLearnsAcrossTerms), 4u);
}

}  // namespace
}  // namespace epaxos::compare::raft
