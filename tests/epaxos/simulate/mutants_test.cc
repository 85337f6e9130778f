// Every known bug is still noticed: each row of the table in docs/testing.md 1 names a bug, the
// seed that shows it and the checker that says so. The same seed holds without the bug. What no
// seed can show has a test here, which the row names instead.

#include <map>

#include <gtest/gtest.h>

#include "deps/types/mutant.h"
#include "epaxos/programs/simulate.h"
#include "executor/key_value_command.h"
#include "executor/session_table.h"
#include "tests/epaxos/protocol/image_support.h"
#include "tests/support/mutant_table.h"

namespace epaxos::testing {
namespace {

using executor::SessionTable;

constexpr Tick kSecond = 1'000'000;

/// What is wrong with one run under a known bug.
std::vector<sim::Violation> run(Mutant mutant, std::uint64_t seed) {
  const Active active(mutant);
  return sim::run_swarm(simulated_epaxos().swarm, seed).violations;
}

TEST(Mutants, TheTableSaysOfEachWhatTheProgramSays) {
  std::map<std::string, Row> rows;
  for (const Row& row : table(EPAXOS_SOURCE_DIR)) {
    EXPECT_TRUE(rows.emplace(row.mutant, row).second) << row.mutant << " has two rows";
    EXPECT_TRUE(row.seed || is_of_raft(row) || is_of_paxos(row) || is_test(row.checker))
        << "there is no test " << row.checker;
  }
  for (const MutantInfo& each : mutants()) {
    const auto row = rows.find(std::string(each.name));
    ASSERT_NE(row, rows.end()) << each.name << " has no row";
    EXPECT_EQ(row->second.source, each.source) << each.name;
    EXPECT_EQ(row->second.what, each.what) << each.name;
  }
}

TEST(Mutants, EachIsStillNoticedByItsCheckerAndTheSeedHoldsWithoutIt) {
  for (const Row& row : table(EPAXOS_SOURCE_DIR)) {
    if (!row.seed || is_of_raft(row) || is_of_paxos(row)) continue;
    SCOPED_TRACE(row.mutant + ", seed " + std::to_string(*row.seed));
    const auto known = std::ranges::find(mutants(), row.mutant, &MutantInfo::name);
    ASSERT_NE(known, mutants().end()) << "there is no such bug";
    const std::vector<sim::Violation> violations = run(known->mutant, *row.seed);
    EXPECT_TRUE(std::ranges::any_of(violations, [&](const sim::Violation& violation) {
      return violation.checker == row.checker;
    })) << (violations.empty() ? "nothing was noticed" : violations.front().checker);
    for (const sim::Violation& violation : run(Mutant::kNone, *row.seed)) {
      ADD_FAILURE() << "without the bug: " << violation.checker << ": " << violation.what;
    }
  }
}

/// How long a command of a storm on one key waits between its decision and its execution, at most.
/// An open loop: new ones come whether or not earlier ones have ended.
Tick longest_wait_in_a_storm(Mutant mutant, Tick duration_us) {
  const Active active(mutant);
  const sim::SwarmOptions swarm = simulated_epaxos().swarm;
  sim::ClusterConfig config;
  config.links.delay_us = 20'000;
  config.links.jitter_us = 10'000;
  sim::Cluster cluster(config, swarm.protocol, swarm.make_machine);
  Tick longest = 0;
  for (Tick at = 0; at < duration_us; at += 5'000) {
    for (const ReplicaId replica : cluster.replicas()) {
      cluster.at(at, [&cluster, &longest, replica] {
        cluster.propose(replica, kv::increment("hot", 1), [&longest](const Outcome& outcome) {
          EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted);
          longest = std::max(longest, outcome.execution_wait_us);
        });
      });
    }
  }
  cluster.run_for(duration_us);
  EXPECT_TRUE(cluster.run_until_converged(60 * kSecond));
  return longest;
}

// Whatever waits for quiet runs as soon as the clients of a run have all asked and wait: only a
// load that goes on shows it.
TEST(Mutants, WhatWaitsForQuietWaitsLongInAStorm) {
  EXPECT_LT(longest_wait_in_a_storm(Mutant::kNone, 3 * kSecond), kSecond / 2);
  EXPECT_GT(longest_wait_in_a_storm(Mutant::kWaitsForQuiet, 3 * kSecond), kSecond);
}

/// B of three has executed eight instances of A and forgotten their keys, as C is away. How many of
/// them does it name when an instance of C that conflicts with one is validated?
std::size_t blockers_below_the_vector_floor(Mutant mutant) {
  const Active active(mutant);
  const ReplicaId a = protocol::kA;
  CoreConfig little = protocol::config(protocol::kB, 3);
  little.held_executed_max = 4;
  protocol::Subject b(little);
  const auto key = [](std::uint64_t slot) {
    return protocol::write("key" + std::to_string(slot), slot);
  };
  for (std::uint64_t slot = 1; slot <= 8; ++slot) {
    protocol::tell_commit(b, a, protocol::id(a, slot), {slot - 1, 0, 0},
                          protocol::block_of({key(slot)}));
    protocol::apply_all(b);
  }
  b.deliver(a, protocol::Frontier{{8, 0, 0}, protocol::kZero, {8, 0, 0}});
  for (int i = 0; i < 100; ++i) b.advance(little.gossip_us);  // C does not answer.
  b.deliver(a, protocol::VectorFloor{{8, 0, 0}});
  for (int i = 0; i < 64; ++i) b.end_turn();
  b.deliver(a, protocol::Recover{protocol::kC1, {1, a}});
  const Effects& effects = b.deliver(
      a, protocol::Validate{protocol::kC1, {1, a}, protocol::kZero, protocol::block_of({key(3)})});
  return protocol::only<protocol::ValidateOk>(effects, 3).blockers.size();
}

TEST(Mutants, AValidateLooksBelowTheVectorFloorUnlessItIsForgotten) {
  EXPECT_EQ(blockers_below_the_vector_floor(Mutant::kNone), 1u);
  EXPECT_EQ(blockers_below_the_vector_floor(Mutant::kForgetsBelowVectorFloor), 0u);
}

/// How often a request runs that two replicas have proposed.
int runs_of_a_repeated_request(Mutant mutant) {
  const Active active(mutant);
  constexpr std::uint64_t kSession = 7;
  const std::vector<std::byte> payload = kv::increment("sum", 1);
  const Command request{{kSession, 1}, 0, false, payload};
  SessionTable table;
  table.control({SessionOperation::kOpen, kSession, 1, 0});
  int runs = 0;
  for (int instance = 0; instance < 2; ++instance) {
    if (table.admit(request).verdict != SessionTable::Verdict::kRun) continue;
    ++runs;
    table.store(request.id, bytes_of("1"));
  }
  return runs;
}

TEST(Mutants, ARepeatedRequestRunsOnceUnlessRetriesRunAgain) {
  EXPECT_EQ(runs_of_a_repeated_request(Mutant::kNone), 1);
  EXPECT_EQ(runs_of_a_repeated_request(Mutant::kRetryRunsAgain), 2);
}

}  // namespace
}  // namespace epaxos::testing
