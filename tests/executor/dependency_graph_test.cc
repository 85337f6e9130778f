// What may run, and in which order: protocol.md 10. The reference follows the rules word by word
// and slowly; the graph must agree with it on random histories, fed in random orders.

#include "executor/dependency_graph.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/executor/random_history.h"

namespace epaxos::executor {
namespace {

TEST(DependencyGraph, RunsWhatDependsOnNothingAtOnce) {
  DependencyGraph graph(3);
  graph.record(id(kA, 1), kX);
  EXPECT_TRUE(take(graph).empty()) << "recorded is not decided";

  graph.decide(id(kA, 1), {0, 0, 0});

  EXPECT_EQ(take(graph), std::vector{id(kA, 1)});
  EXPECT_TRUE(graph.executed(id(kA, 1)));
  EXPECT_EQ(graph.executed_up_to(kA), Slot(1));
  EXPECT_TRUE(take(graph).empty()) << "nothing runs twice";
}

TEST(DependencyGraph, WaitsForTheDecisionOfAConflictingDependency) {
  DependencyGraph graph(3);
  graph.record(id(kA, 1), kX);
  graph.record(id(kB, 1), kX);
  graph.decide(id(kA, 1), {0, 1, 0});
  EXPECT_TRUE(take(graph).empty());
  EXPECT_EQ(blockers_of(graph), (std::vector{Blocker{id(kB, 1), WaitsFor::kDecision}}));
  EXPECT_EQ(graph.waiting(), 1u);

  graph.decide(id(kB, 1), {0, 0, 0});

  EXPECT_EQ(take(graph), (std::vector{id(kB, 1), id(kA, 1)}));
  EXPECT_EQ(graph.waiting(), 0u);
}

// R12: a payload that nobody has told may conflict.
TEST(DependencyGraph, NeverSkipsAnUnknownPayload) {
  DependencyGraph graph(3);
  graph.record(id(kC, 1), kX);
  graph.record(id(kA, 1), kY);
  graph.record(id(kA, 3), kY);
  graph.decide(id(kC, 1), {3, 0, 0});
  EXPECT_TRUE(take(graph).empty());
  EXPECT_EQ(blockers_of(graph), (std::vector{Blocker{id(kA, 2), WaitsFor::kPayload}}));

  graph.record(id(kA, 2), kY);

  EXPECT_EQ(take(graph), std::vector{id(kC, 1)}) << "what does not conflict need not be decided";
}

// R31 and R39: a slot that was never announced is decided Nop, and nobody waits for its payload.
TEST(DependencyGraph, NopUnblocksWhetherItsPayloadIsKnownOrNot) {
  DependencyGraph graph(3);
  graph.record(id(kC, 1), kX);
  graph.record(id(kA, 2), kX);
  graph.decide(id(kC, 1), {2, 0, 0});
  EXPECT_TRUE(take(graph).empty());

  graph.decide_nop(id(kA, 1));
  EXPECT_TRUE(take(graph).empty());
  graph.decide_nop(id(kA, 2));

  EXPECT_EQ(take(graph), std::vector{id(kC, 1)});
  EXPECT_EQ(graph.executed_up_to(kA), Slot(2));
}

TEST(DependencyGraph, NopHidesNothingBelowIt) {
  DependencyGraph graph(2);
  graph.record(id(kA, 1), kX);
  graph.record(id(kA, 2), kX);
  graph.record(id(kB, 1), kX);
  graph.decide(id(kB, 1), {2, 0});
  graph.decide_nop(id(kA, 2));
  EXPECT_TRUE(take(graph).empty()) << "A.1 is still undecided";

  graph.decide(id(kA, 1), {0, 0});

  EXPECT_EQ(take(graph), (std::vector{id(kA, 1), id(kB, 1)}));
}

TEST(DependencyGraph, CycleRunsInTheOrderOfSlotsThenRows) {
  DependencyGraph graph(3);
  for (const ReplicaId row : {kC, kB, kA}) graph.record(id(row, 1), kX);
  graph.record(id(kA, 2), kX);
  graph.decide(id(kA, 2), {1, 1, 1});
  graph.decide(id(kC, 1), {1, 1, 0});
  graph.decide(id(kB, 1), {0, 0, 1});
  graph.decide(id(kA, 1), {0, 1, 1});

  EXPECT_EQ(take(graph), (std::vector{id(kA, 1), id(kB, 1), id(kC, 1), id(kA, 2)}));
}

TEST(DependencyGraph, ReadsOfOneKeyDoNotWaitForEachOther) {
  DependencyGraph graph(2);
  graph.record(id(kA, 1), kReadX);
  graph.record(id(kB, 1), kReadX);
  graph.decide(id(kB, 1), {1, 0});

  EXPECT_EQ(take(graph), std::vector{id(kB, 1)});
}

// R16: the latest instance of a row does not stand for the earlier ones where reads are involved.
TEST(DependencyGraph, WriteWaitsForEveryReadBelowItNotOnlyTheLatest) {
  DependencyGraph graph(2);
  Footprint read_x_write_j = kReadX;
  read_x_write_j.add(Access::write(hash_key("j")));
  graph.record(id(kA, 1), kX);
  graph.record(id(kA, 2), read_x_write_j);
  graph.record(id(kA, 3), kReadX);
  graph.record(id(kB, 1), kX);
  graph.decide(id(kB, 1), {3, 0});
  graph.decide(id(kA, 1), {0, 0});
  graph.decide(id(kA, 3), {1, 0});
  EXPECT_EQ(take(graph), (std::vector{id(kA, 1), id(kA, 3)}));

  graph.decide(id(kA, 2), {1, 0});

  EXPECT_EQ(take(graph), (std::vector{id(kA, 2), id(kB, 1)}));
}

TEST(DependencyGraph, BarrierRunsAfterEverythingBelowItAndBeforeEverythingAbove) {
  DependencyGraph graph(2);
  graph.record(id(kA, 1), kX);
  graph.record(id(kA, 2), kReadX);
  graph.record(id(kB, 1), Footprint::everything());
  graph.record(id(kA, 3), kY);
  graph.decide(id(kB, 1), {2, 0});
  graph.decide(id(kA, 3), {0, 1});
  graph.decide(id(kA, 1), {0, 0});
  EXPECT_EQ(take(graph), std::vector{id(kA, 1)});

  graph.decide(id(kA, 2), {1, 0});

  EXPECT_EQ(take(graph), (std::vector{id(kA, 2), id(kB, 1), id(kA, 3)}));
}

TEST(DependencyGraph, FarSlotCostsNothingForTheGapBeforeIt) {
  DependencyGraph graph(2);
  graph.record(id(kA, std::uint64_t{1} << 40), kX);
  graph.record(id(kB, 1), kY);
  graph.decide(id(kB, 1), {std::uint64_t{1} << 41, 0});
  graph.decide(id(kA, std::uint64_t{1} << 40), {0, 0});

  EXPECT_EQ(take(graph), std::vector{id(kA, std::uint64_t{1} << 40)});
  EXPECT_EQ(blockers_of(graph),
            (std::vector{Blocker{id(kA, std::uint64_t{1} << 41), WaitsFor::kPayload}}));
  EXPECT_LT(graph.memory_bytes(), 1u << 16);
}

TEST(DependencyGraph, OfManyUnknownSlotsTheLastIsWaitedFor) {
  DependencyGraph graph(2);
  graph.record(id(kB, 1), kY);
  graph.decide(id(kB, 1), {4, 0});
  EXPECT_TRUE(take(graph).empty());
  for (std::uint64_t slot = 1; slot <= 3; ++slot) graph.record(id(kA, slot), kX);
  EXPECT_TRUE(take(graph).empty());
  EXPECT_EQ(blockers_of(graph), (std::vector{Blocker{id(kA, 4), WaitsFor::kPayload}}));

  graph.record(id(kA, 4), kX);
  EXPECT_EQ(take(graph), std::vector{id(kB, 1)});
}

TEST(DependencyGraph, WhereTheLastIsKnownTheFirstUnknownSlotIsWaitedFor) {
  DependencyGraph graph(2);
  graph.record(id(kB, 1), kY);
  graph.decide(id(kB, 1), {4, 0});
  EXPECT_TRUE(take(graph).empty());
  graph.record(id(kA, 4), kX);
  graph.record(id(kA, 1), kX);
  EXPECT_TRUE(take(graph).empty());
  EXPECT_EQ(blockers_of(graph), (std::vector{Blocker{id(kA, 2), WaitsFor::kPayload}}));
}

TEST(DependencyGraph, FootprintsOfWhatHasRunTakeNoMemory) {
  DependencyGraph graph(1);
  std::vector<Access> accesses;
  for (std::uint64_t key = 0; key < 10'000; ++key) accesses.push_back(Access::write(key << 1));
  const Footprint large = Footprint::of(std::move(accesses));
  for (std::uint64_t slot = 1; slot <= 100; ++slot) graph.record({kA, Slot(slot)}, large);
  EXPECT_GT(graph.memory_bytes(), 100u * 10'000 * 8);
  for (std::uint64_t slot = 1; slot <= 99; ++slot) {
    graph.decide({kA, Slot(slot)}, Dependencies{slot - 1});
  }
  graph.decide_nop({kA, Slot(100)});

  std::vector<InstanceId> order;
  graph.take_ready(order);

  EXPECT_EQ(order.size(), 99u);
  EXPECT_LT(graph.memory_bytes(), 1'000'000u);
}

TEST(DependencyGraph, FactsMayBeToldAgain) {
  DependencyGraph graph(2);
  for (int again = 0; again < 2; ++again) {
    graph.record(id(kA, 1), kX);
    graph.decide(id(kA, 1), {0, 0});
  }
  EXPECT_EQ(take(graph).size(), 1u);
  graph.record(id(kA, 1), kX);
  graph.decide(id(kA, 1), {0, 0});
  graph.decide_nop(id(kA, 2));
  graph.decide_nop(id(kA, 2));

  EXPECT_TRUE(take(graph).empty());
  EXPECT_EQ(graph.executed_up_to(kA), Slot(2));
}

// No recursion, and no work that grows with the square of the chain, whichever end comes first.
void run_chain(std::uint64_t length) {
  for (const bool backwards : {false, true}) {
    DependencyGraph graph(2);
    const auto at = [](std::uint64_t i) {
      return i % 2 == 0 ? id(kA, i / 2 + 1) : id(kB, i / 2 + 1);
    };
    for (std::uint64_t i = 0; i < length; ++i) graph.record(at(i), kX);
    std::vector<InstanceId> order;
    for (std::uint64_t step = 0; step < length; ++step) {
      const std::uint64_t i = backwards ? length - 1 - step : step;
      graph.decide(at(i), i % 2 == 0 ? Dependencies{i / 2, i / 2} : Dependencies{i / 2 + 1, i / 2});
      if (step % 1000 == 0) graph.take_ready(order);
    }
    graph.take_ready(order);

    ASSERT_EQ(order.size(), length);
    for (std::uint64_t i = 0; i < length; ++i) ASSERT_EQ(order[i], at(i));
  }
}

TEST(DependencyGraph, ChainOfTwoHundredThousandRunsFromEitherEnd) {
  run_chain(200'000);
}

TEST(NightlyDependencyGraph, ChainOfAMillionRunsFromEitherEnd) {
  run_chain(1'000'000);
}

// ---- Random histories against the reference ----

/// How often the histories held what they are meant to show.
struct Seen {
  int cycles = 0;  ///< Components of several commands.
  int nops = 0;
  int nops_without_payload = 0;
  int barriers = 0;
  int waits = 0;  ///< Times when something decided had to wait.
};

/// A random history told to the graph and to the reference, step by step.
class Comparison {
 public:
  Comparison(std::uint64_t seed, Seen& seen)
      : random_(seed), history_(random_.history), seen_(seen) {}

  void run() {
    const std::vector<InstanceId> steps = shuffled_steps();
    for (std::size_t step = 0; step < steps.size(); ++step) {
      tell(steps[step]);
      if (random_.pick(3) != 0 && step + 1 < steps.size()) continue;
      take_what_may_run();
      if (::testing::Test::HasFatalFailure()) return;
    }
    check_final_order();
  }

 private:
  /// Each instance is told in two steps, in any order but the payload before the decision.
  std::vector<InstanceId> shuffled_steps() {
    std::vector<InstanceId> steps;
    for (const auto& [instance, fact] : history_) {
      steps.push_back(instance);
      steps.push_back(instance);
    }
    std::shuffle(steps.begin(), steps.end(), random_.random());
    return steps;
  }

  void tell(const InstanceId& instance) {
    const Fact& fact = history_.at(instance);
    const bool first = begun_.insert(instance).second;
    if (first && !fact.never_recorded) {
      graph_.record(instance, fact.footprint);
      reference_.record(instance, fact.footprint);
    } else if (!first && fact.nop) {
      graph_.decide_nop(instance);
      reference_.decide_nop(instance);
    } else if (!first) {
      graph_.decide(instance, fact.dependencies);
      reference_.decide(instance, fact.dependencies);
    }
  }

  /// Exactly those run that the reference lets run.
  void take_what_may_run() {
    std::vector<InstanceId> ran;
    graph_.take_ready(ran);
    for (const InstanceId& i : ran) {
      ASSERT_TRUE(reference_.decided(i)) << to_string(i);
      ASSERT_TRUE(reference_.ready(i)) << to_string(i) << " ran too early";
      ASSERT_FALSE(reference_.ran(i)) << to_string(i) << " ran twice";
    }
    for (const InstanceId& i : ran) reference_.run(i);
    std::size_t waiting = 0;
    for (const auto& [i, unused] : history_) {
      if (!reference_.decided(i) || reference_.ran(i)) continue;
      ++waiting;
      ASSERT_FALSE(reference_.ready(i)) << to_string(i) << " may run and does not";
    }
    seen_.waits += waiting > 0 ? 1 : 0;
    ASSERT_EQ(graph_.waiting(), waiting);
    ASSERT_EQ(blockers_of(graph_).empty(), waiting == 0);
    order_.insert(order_.end(), ran.begin(), ran.end());
  }

  /// All of it is decided: everything has run, conflicting pairs in the order of the full graph.
  void check_final_order() {
    std::size_t commands = 0;
    for (const auto& [i, fact] : history_) commands += fact.nop ? 0 : 1;
    ASSERT_EQ(order_.size(), commands);
    const FinalOrder final(history_, random_.rows);
    count(final);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      for (std::size_t j = i + 1; j < order_.size(); ++j) check_pair(final, order_[i], order_[j]);
    }
    for (std::uint16_t row = 0; row < random_.rows; ++row) {
      ASSERT_EQ(graph_.executed_up_to(ReplicaId(row)), graph_.known_up_to(ReplicaId(row)));
    }
  }

  void count(const FinalOrder& final) {
    std::map<std::size_t, int> sizes;
    for (const auto& [unused, component] : final.component) {
      if (++sizes[component] == 2) ++seen_.cycles;
    }
    for (const auto& [unused, fact] : history_) {
      seen_.nops += fact.nop ? 1 : 0;
      seen_.nops_without_payload += fact.never_recorded ? 1 : 0;
      seen_.barriers += fact.footprint.is_everything() ? 1 : 0;
    }
  }

  void check_pair(const FinalOrder& final, const InstanceId& first, const InstanceId& second) {
    if (!conflicts(history_.at(first).footprint, history_.at(second).footprint)) return;
    const std::size_t earlier = final.component.at(first);
    const std::size_t later = final.component.at(second);
    if (earlier == later) {
      ASSERT_LT(std::pair(first.slot, first.row), std::pair(second.slot, second.row));
    } else if (history_.at(first).dependencies.covers(second) ||
               history_.at(second).dependencies.covers(first)) {
      ASSERT_LT(earlier, later) << to_string(first) << " ran before " << to_string(second);
    }
  }

  RandomHistory random_;
  const History& history_;
  Seen& seen_;
  DependencyGraph graph_{random_.rows};
  Reference reference_{random_.rows};
  std::set<InstanceId> begun_;
  std::vector<InstanceId> order_;
};

/// Every kind of trouble turns up in every second history or more.
void compare_histories(std::uint64_t first, std::uint64_t count) {
  Seen seen;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Comparison(seed, seen).run();
    if (::testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(seen.cycles, count / 2);
  EXPECT_GT(seen.nops, count / 2);
  EXPECT_GT(seen.nops_without_payload, count / 2);
  EXPECT_GT(seen.barriers, count / 2);
  EXPECT_GT(seen.waits, count / 2);
}

TEST(DependencyGraph, AgreesWithTheReferenceOnTwentyThousandRandomHistories) {
  compare_histories(1, 20'000);
}

TEST(NightlyDependencyGraph, AgreesWithTheReferenceOnAHundredThousandRandomHistories) {
  compare_histories(20'001, 100'000);
}

}  // namespace
}  // namespace epaxos::executor
