// What an image of the state machine covers counts as executed, whatever is known of it:
// protocol.md 14.5. From then on exactly that runs which the rules let run, in the one final order.

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "executor/dependency_graph.h"
#include "tests/executor/random_history.h"

namespace epaxos::executor {
namespace {

constexpr std::uint64_t kFarSlot = std::uint64_t{1} << 40;

/// What one node takes.
std::size_t node_bytes() {
  DependencyGraph graph(1);
  graph.decide_nop(id(kA, 1));
  return graph.memory_bytes();
}

/// Every node that the graph ever made is free: so many new instances need no more.
void expect_no_leak(DependencyGraph& graph, ReplicaId row) {
  const std::size_t bytes = graph.memory_bytes();
  const std::uint64_t first = graph.executed_up_to(row).value() + 1;
  for (std::uint64_t i = 0; i < bytes / node_bytes(); ++i) graph.record(id(row, first + i), {});
  EXPECT_EQ(graph.memory_bytes(), bytes);
}

TEST(DependencyGraphCover, WhatNobodyKnewCountsAsExecuted) {
  DependencyGraph graph(2);

  graph.cover(kA, Slot(3));
  graph.cover(id(kA, 5));

  EXPECT_EQ(graph.executed_up_to(kA), Slot(3));
  EXPECT_EQ(graph.known_up_to(kA), Slot(3));
  EXPECT_TRUE(graph.executed(id(kA, 5)));
  EXPECT_FALSE(graph.executed(id(kA, 4)));
  graph.record(id(kA, 2), kX);
  graph.record(id(kA, 5), kX);
  graph.decide(id(kA, 5), {4, 0});
  graph.decide_nop(id(kA, 3));
  EXPECT_TRUE(take(graph).empty()) << "it is told of again";
  graph.cover(id(kA, 4));
  EXPECT_EQ(graph.executed_up_to(kA), Slot(5));
}

TEST(DependencyGraphCover, PrefixTakesInWhatIsDoneAboveIt) {
  DependencyGraph graph(1);
  graph.decide_nop(id(kA, 4));
  graph.record(id(kA, 5), kX);

  graph.cover(kA, Slot(3));

  EXPECT_EQ(graph.executed_up_to(kA), Slot(4));
  EXPECT_EQ(graph.known_up_to(kA), Slot(5));
  graph.cover(kA, Slot(2));
  EXPECT_EQ(graph.executed_up_to(kA), Slot(4)) << "it never goes back";
}

TEST(DependencyGraphCover, WhoeverWaitedForAPayloadOrADecisionRuns) {
  for (const bool as_prefix : {false, true}) {
    DependencyGraph graph(3);
    graph.record(id(kC, 1), kX);
    graph.record(id(kC, 2), kY);
    graph.record(id(kB, 1), kX);
    graph.decide(id(kC, 1), {0, 1, 0});
    graph.decide(id(kC, 2), {1, 0, 0});
    ASSERT_TRUE(take(graph).empty());
    ASSERT_EQ(blockers_of(graph), (std::vector{Blocker{id(kA, 1), WaitsFor::kPayload},
                                               Blocker{id(kB, 1), WaitsFor::kDecision}}));

    for (const ReplicaId row : {kA, kB}) {
      as_prefix ? graph.cover(row, Slot(1)) : graph.cover(id(row, 1));
    }

    EXPECT_EQ(graph.waiting(), 2u);
    std::vector<InstanceId> ran = take(graph);
    std::ranges::sort(ran);
    EXPECT_EQ(ran, (std::vector{id(kC, 1), id(kC, 2)}));
    EXPECT_EQ(graph.waiting(), 0u);
    EXPECT_TRUE(blockers_of(graph).empty());
    expect_no_leak(graph, kA);
  }
}

// C.2 waits for C.1, which waits for a payload that is never told. The image has executed C.1, as
// what was not known does not conflict with it: nothing is left for C.2 to wait for.
TEST(DependencyGraphCover, AWaitingInstanceIsCoveredAndTakesNobodyWithItsBlocker) {
  for (const bool as_prefix : {false, true}) {
    DependencyGraph graph(3);
    graph.record(id(kC, 1), kX);
    graph.record(id(kC, 2), kX);
    graph.decide(id(kC, 1), {1, 0, 0});
    ASSERT_TRUE(take(graph).empty());
    graph.decide(id(kC, 2), {0, 0, 1});
    ASSERT_TRUE(take(graph).empty());
    ASSERT_EQ(graph.waiting(), 2u);

    as_prefix ? graph.cover(kC, Slot(1)) : graph.cover(id(kC, 1));

    EXPECT_EQ(graph.waiting(), 1u);
    EXPECT_EQ(take(graph), std::vector{id(kC, 2)});
    EXPECT_TRUE(blockers_of(graph).empty()) << "nobody waits for A.1";
    graph.record(id(kA, 1), kY);
    EXPECT_TRUE(take(graph).empty());
    graph.decide_nop(id(kA, 1));
    expect_no_leak(graph, kC);
  }
}

TEST(DependencyGraphCover, ARootIsCoveredBeforeItIsTried) {
  DependencyGraph graph(2);
  graph.record(id(kA, 1), kX);
  graph.decide(id(kA, 1), {0, 0});

  graph.cover(kA, Slot(1));
  graph.record(id(kB, 1), kX);
  graph.decide(id(kB, 1), {1, 0});

  EXPECT_EQ(take(graph), std::vector{id(kB, 1)});
  EXPECT_EQ(graph.waiting(), 0u);
  expect_no_leak(graph, kB);
}

TEST(DependencyGraphCover, ACoveredBarrierOrWriteIsOnNoListAnyMore) {
  DependencyGraph graph(2);
  graph.record(id(kA, 1), Footprint::everything());
  graph.record(id(kA, 2), kX);
  graph.record(id(kA, 3), kReadX);
  graph.record(id(kB, 1), kX);
  graph.decide(id(kB, 1), {3, 0});
  ASSERT_TRUE(take(graph).empty());

  graph.cover(kA, Slot(2));
  ASSERT_TRUE(take(graph).empty());
  EXPECT_EQ(blockers_of(graph), (std::vector{Blocker{id(kA, 3), WaitsFor::kDecision}}));
  graph.decide(id(kA, 3), {2, 0});

  EXPECT_EQ(take(graph), (std::vector{id(kA, 3), id(kB, 1)}));
}

TEST(DependencyGraphCover, AFarPrefixCostsNoMoreThanWhatIsHeld) {
  DependencyGraph graph(2);
  graph.record(id(kA, 2), kX);
  graph.record(id(kA, kFarSlot - 1), kX);
  graph.record(id(kA, kFarSlot + 1), kY);
  graph.record(id(kB, 1), kX);
  graph.decide(id(kB, 1), {kFarSlot + 1, 0});
  ASSERT_TRUE(take(graph).empty());

  graph.cover(kA, Slot(kFarSlot));

  EXPECT_EQ(graph.known_up_to(kA), Slot(kFarSlot + 1));
  EXPECT_EQ(take(graph), std::vector{id(kB, 1)});
}

TEST(DependencyGraphCover, ALongRunOfCoversTakesNoMoreMemory) {
  DependencyGraph graph(2);
  std::size_t bytes = 0;
  for (std::uint64_t round = 0; round < 300; ++round) {
    const std::uint64_t first = 20 * round;
    // All of the round waits, in chains, for a payload that never comes.
    for (std::uint64_t i = 2; i <= 20; ++i) {
      const InstanceId next = id(kA, first + i);
      graph.record(next, kX);
      if (i % 4 == 0) continue;  // Some stay undecided.
      graph.decide(next, {first + i - 1, 0});
      ASSERT_TRUE(take(graph).empty());
    }
    if (round % 2 == 0) {
      for (std::uint64_t i = 20; i >= 1; --i) graph.cover(id(kA, first + i));
    } else {
      graph.cover(kA, Slot(first + 20));
    }
    ASSERT_TRUE(take(graph).empty());
    ASSERT_EQ(graph.waiting(), 0u);
    if (round == 0) bytes = graph.memory_bytes();
    ASSERT_EQ(graph.memory_bytes(), bytes);
  }
}

// Many that are covered one by one, while many wait for one blocker.
TEST(DependencyGraphCover, ManySingleCoversCostNoMoreThanOneWalkOfTheNodes) {
  constexpr std::uint64_t kMany = 200'000;
  DependencyGraph graph(2);
  for (std::uint64_t slot = 1; slot <= kMany; ++slot) {
    graph.record(id(kA, slot), kX);
    graph.decide(id(kA, slot), {slot - 1, 1});
  }
  ASSERT_TRUE(take(graph).empty());

  for (std::uint64_t slot = kMany - 1; slot >= 1; --slot) graph.cover(id(kA, slot));

  EXPECT_EQ(graph.waiting(), 1u);
  EXPECT_TRUE(take(graph).empty());
  EXPECT_EQ(blockers_of(graph), (std::vector{Blocker{id(kB, 1), WaitsFor::kPayload}}));
  graph.record(id(kB, 1), kY);
  EXPECT_EQ(take(graph), std::vector{id(kA, kMany)});
  EXPECT_EQ(graph.executed_up_to(kA), Slot(kMany));
}

// ---- Random histories, parts of which an image covers ----

/// How often the histories held what they are meant to show.
struct CoverSeen {
  int unknown = 0;    ///< Covered when nothing was known.
  int undecided = 0;  ///< When recorded only.
  int waiting = 0;    ///< When decided and waiting.
  int waits_after = 0;
  int ran_after = 0;
};

/// A random history is told to the graph and to the reference, step by step. At random moments an
/// image comes, of a replica that knows all of the history and has executed a part of it.
class CoveredComparison {
 public:
  CoveredComparison(std::uint64_t seed, CoverSeen& seen)
      : random_(seed), history_(random_.history), seen_(seen), final_(history_, random_.rows) {
    execute_elsewhere();
  }

  void run() {
    const std::vector<InstanceId> steps = shuffled_steps();
    for (const InstanceId& step : steps) {
      tell(step);
      const bool image = random_.pick(6) == 0;
      if (image) install();
      if (image || random_.pick(3) == 0) take_what_may_run();
      if (::testing::Test::HasFatalFailure()) return;
    }
    take_what_may_run();
    if (!::testing::Test::HasFatalFailure()) check_end();
  }

 private:
  /// Another replica, to which everything is known at once.
  void execute_elsewhere() {
    DependencyGraph other(random_.rows);
    for (const auto& [i, fact] : history_) {
      if (fact.nop) {
        other.decide_nop(i);
      } else {
        other.record(i, fact.footprint);
      }
    }
    for (const auto& [i, fact] : history_) {
      if (!fact.nop) other.decide(i, fact.dependencies);
    }
    other.take_ready(elsewhere_);
  }

  std::vector<InstanceId> shuffled_steps() {
    std::vector<InstanceId> steps;
    for (const auto& [i, unused] : history_) steps.insert(steps.end(), {i, i});
    std::shuffle(steps.begin(), steps.end(), random_.random());
    return steps;
  }

  void tell(const InstanceId& i) {
    const Fact& fact = history_.at(i);
    const bool first = begun_.insert(i).second;
    if (first && !fact.never_recorded) {
      graph_.record(i, fact.footprint);
      reference_.record(i, fact.footprint);
    } else if (!first && fact.nop) {
      graph_.decide_nop(i);
      reference_.decide_nop(i);
      done_.insert(i);
    } else if (!first) {
      graph_.decide(i, fact.dependencies);
      reference_.decide(i, fact.dependencies);
    }
  }

  /// A longer part of what was executed elsewhere, cut between components, and some Nops.
  void install() {
    std::size_t until = elsewhere_.empty() ? 0 : random_.pick(elsewhere_.size() + 1);
    while (until > 0 && until < elsewhere_.size() &&
           final_.component.at(elsewhere_[until]) == final_.component.at(elsewhere_[until - 1])) {
      ++until;
    }
    std::set<InstanceId> image(elsewhere_.begin(),
                               elsewhere_.begin() + static_cast<std::ptrdiff_t>(until));
    for (const auto& [i, fact] : history_) {
      if (fact.nop && random_.pick(2) == 0) image.insert(i);
    }
    count(image);
    for (std::size_t at = 0; at < until; ++at) {
      if (!reference_.ran(elsewhere_[at])) order_.push_back(elsewhere_[at]);
    }
    cover(image);
    for (const InstanceId& i : image) reference_.run(i);
    done_.insert(image.begin(), image.end());
  }

  void count(const std::set<InstanceId>& image) {
    for (const InstanceId& i : image) {
      if (done_.contains(i)) continue;
      if (!begun_.contains(i)) ++seen_.unknown;
      if (begun_.contains(i) && !reference_.decided(i)) ++seen_.undecided;
      if (reference_.decided(i)) ++seen_.waiting;
    }
  }

  /// The image as an installer gets it: a prefix of each row, and single instances above it.
  void cover(const std::set<InstanceId>& image) {
    std::vector<InstanceId> single(image.begin(), image.end());
    std::shuffle(single.begin(), single.end(), random_.random());
    const bool prefixes_first = random_.pick(2) == 0;
    if (!prefixes_first) cover_each(single);
    for (std::uint16_t row = 0; row < random_.rows; ++row) {
      Slot up_to = graph_.executed_up_to(ReplicaId(row));
      while (image.contains({ReplicaId(row), up_to.next()})) up_to = up_to.next();
      graph_.cover(ReplicaId(row), up_to);
    }
    if (prefixes_first) cover_each(single);
  }
  void cover_each(const std::vector<InstanceId>& single) {
    for (const InstanceId& i : single) graph_.cover(i);
  }

  [[nodiscard]] std::size_t waiting() const {
    return static_cast<std::size_t>(std::ranges::count_if(history_, [&](const auto& known) {
      return reference_.decided(known.first) && !reference_.ran(known.first);
    }));
  }

  /// Exactly those run that the reference lets run.
  void take_what_may_run() {
    ASSERT_EQ(graph_.waiting(), waiting());
    std::vector<InstanceId> ran;
    graph_.take_ready(ran);
    for (const InstanceId& i : ran) {
      ASSERT_TRUE(reference_.decided(i)) << to_string(i);
      ASSERT_TRUE(reference_.ready(i)) << to_string(i) << " ran too early";
      ASSERT_TRUE(done_.insert(i).second) << to_string(i) << " ran twice";
    }
    for (const InstanceId& i : ran) reference_.run(i);
    order_.insert(order_.end(), ran.begin(), ran.end());
    for (const auto& [i, unused] : history_) {
      ASSERT_EQ(graph_.executed(i), done_.contains(i)) << to_string(i);
      if (!reference_.decided(i) || reference_.ran(i)) continue;
      ASSERT_FALSE(reference_.ready(i)) << to_string(i) << " may run and does not";
    }
    ASSERT_EQ(graph_.waiting(), waiting());
    ASSERT_EQ(blockers_of(graph_).empty(), waiting() == 0);
    seen_.waits_after += waiting() > 0 ? 1 : 0;
    seen_.ran_after += ran.empty() ? 0 : 1;
  }

  /// Everything has run here or in an image, once, and conflicting pairs as they ran elsewhere.
  void check_end() {
    ASSERT_EQ(order_.size(), elsewhere_.size());
    std::map<InstanceId, std::size_t> place;
    for (std::size_t i = 0; i < elsewhere_.size(); ++i) place[elsewhere_[i]] = i;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      for (std::size_t j = i + 1; j < order_.size(); ++j) {
        const Fact& first = history_.at(order_[i]);
        const Fact& second = history_.at(order_[j]);
        if (!conflicts(first.footprint, second.footprint)) continue;
        if (!first.dependencies.covers(order_[j]) && !second.dependencies.covers(order_[i]))
          continue;
        ASSERT_LT(place.at(order_[i]), place.at(order_[j]));
      }
    }
    for (std::uint16_t row = 0; row < random_.rows; ++row) {
      ASSERT_EQ(graph_.executed_up_to(ReplicaId(row)), history_.rbegin()->first.slot);
      ASSERT_EQ(graph_.known_up_to(ReplicaId(row)), history_.rbegin()->first.slot);
    }
    expect_no_leak(graph_, kA);
  }

  RandomHistory random_;
  const History& history_;
  CoverSeen& seen_;
  FinalOrder final_;
  DependencyGraph graph_{random_.rows};
  Reference reference_{random_.rows};
  std::set<InstanceId> begun_;
  std::set<InstanceId> done_;
  std::vector<InstanceId> elsewhere_;  ///< As the other replica executed it.
  std::vector<InstanceId> order_;      ///< What the images covered, and what ran here.
};

void compare_covered(std::uint64_t first, std::uint64_t count) {
  CoverSeen seen;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CoveredComparison(seed, seen).run();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(seen.unknown, count / 2);
  EXPECT_GT(seen.undecided, count / 2);
  EXPECT_GT(seen.waiting, count / 3);
  EXPECT_GT(seen.waits_after, count / 2);
  EXPECT_GT(seen.ran_after, count / 2);
}

TEST(DependencyGraphCover, TheRestRunsAsIfTheImageHadRunHere) {
  compare_covered(1, 8'000);
}

TEST(NightlyDependencyGraphCover, TheRestRunsAsIfTheImageHadRunHere) {
  compare_covered(8'001, 30'000);
}

}  // namespace
}  // namespace epaxos::executor
