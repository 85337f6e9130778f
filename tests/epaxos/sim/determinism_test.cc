// A run is a function of its configuration and its seed: not of who watches, where memory lies, or
// what ran before; and the world keeps what it promises.

#include <gmock/gmock.h>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cluster.h"
#include "tests/support/conversation.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Lt;
using ::testing::Pair;

/// A run with every kind of fault.
template <class Prepare>
std::uint64_t trace_of(std::uint64_t seed, Prepare prepare, const CoreConfig& core = {}) {
  sim::ClusterConfig config;
  config.core = core;
  config.replica_count = 5;
  config.seed = seed;
  config.links = bad_links();
  config.core.batch_commands_max = 4;
  KeyValueCluster cluster(config);
  [[maybe_unused]] const auto watching = prepare(cluster);
  Load load(cluster, {.commands = 80, .clients = 6, .conflict_ppm = 300'000, .seed = seed});
  load.start();
  cluster.run_for(300'000);
  cluster.kill(kA);
  cluster.partition({{kB, kC}, {kD, kE}});
  cluster.run_for(kSecond);
  cluster.heal();
  cluster.fail_disk(kB);
  cluster.run_for(2 * kSecond);
  return mix64(cluster.trace_hash() ^ cluster.events());
}

const auto kNothing = [](sim::Cluster&) { return 0; };

TEST(Determinism, WhoeverWatchesChangesNothing) {
  const auto watched = [](sim::Cluster& cluster) {
    return std::pair(std::make_unique<Conversation>(cluster),
                     std::make_unique<SpeechChecker>(cluster));
  };

  EXPECT_EQ(trace_of(5, watched), trace_of(5, kNothing));
}

TEST(Determinism, WhatIsWrittenDownForPeopleChangesNothing) {
  CoreConfig off;
  off.history_instances = 0;
  CoreConfig little;
  little.history_instances = 2;

  EXPECT_EQ(trace_of(7, kNothing, off), trace_of(7, kNothing));
  EXPECT_EQ(trace_of(7, kNothing, little), trace_of(7, kNothing));
}

TEST(Determinism, WhereMemoryLiesChangesNothing) {
  const std::uint64_t first = trace_of(6, kNothing);
  // Pieces of many sizes, half of them given back, so that the next run's objects lie elsewhere.
  std::vector<std::unique_ptr<std::byte[]>> pieces;
  for (std::size_t i = 0; i < 5'000; ++i) {
    pieces.push_back(std::make_unique<std::byte[]>(1 + mix64(i) % 3'000));
  }
  for (std::size_t i = 0; i < pieces.size(); i += 1 + mix64(i) % 3) pieces[i].reset();

  EXPECT_EQ(trace_of(6, kNothing), first);
}

TEST(Determinism, WhatRanBeforeChangesNothing) {
  const std::uint64_t alone = trace_of(7, kNothing);

  trace_of(8, kNothing);

  EXPECT_EQ(trace_of(7, kNothing), alone);
}

TEST(EventQueue, TakesEventsByTimeAndTiesByChanceOfItsSeed) {
  const auto order = [](std::uint64_t seed) {
    sim::EventQueue queue(seed);
    for (std::uint64_t subject = 0; subject < 8; ++subject) {
      queue.push(subject < 4 ? 20 : 10, sim::EventKind::kAction, kA, subject);
    }
    std::vector<std::uint64_t> subjects;
    while (!queue.empty()) subjects.push_back(queue.pop().subject);
    return subjects;
  };

  EXPECT_EQ(order(1), order(1));
  bool differs = false;
  for (std::uint64_t seed = 2; seed < 12; ++seed) {
    const std::vector<std::uint64_t> taken = order(seed);
    differs = differs || taken != order(1);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_GE(taken[i], 4u) << "the earlier ones first";
  }
  EXPECT_TRUE(differs) << "what happens at one moment happens in any order";
}

// What is popped is the first, in the order of time, tie and number, of all that was there.
TEST(EventQueue, TakesTheFirstOfAllThatAreThere) {
  sim::EventQueue queue(1);
  sim::Random random(2);
  struct Taken {
    sim::Event event;
    std::uint64_t pushed = 0;
  };
  std::vector<Taken> taken;
  std::vector<int> times_taken;
  const auto pop = [&] {
    taken.push_back({queue.pop(), times_taken.size()});
    EXPECT_EQ(queue.now(), taken.back().event.time);
    ++times_taken.at(taken.back().event.subject);
  };
  for (int step = 0; step < 2'000; ++step) {
    if (queue.empty() || random.below(5) < 3) {
      queue.push(queue.now() + random.below(30), sim::EventKind::kAction, kA, times_taken.size());
      times_taken.push_back(0);
    } else {
      pop();
    }
  }
  while (!queue.empty()) pop();

  EXPECT_THAT(times_taken, Each(1));
  const auto key = [](const sim::Event& event) {
    return std::tuple(event.time, event.tie, event.number);
  };
  for (std::size_t i = 0; i < taken.size(); ++i) {
    for (std::size_t later = i + 1; later < taken.size(); ++later) {
      if (taken[later].event.subject >= taken[i].pushed) continue;  // Was not there yet.
      ASSERT_LT(key(taken[i].event), key(taken[later].event));
    }
  }
}

TEST(EventQueue, AReplicaHasOneTurnThatMoves) {
  sim::EventQueue queue(1);
  queue.push(20, sim::EventKind::kAction, kA, 0);
  queue.set_turn(kA, 10);
  queue.set_turn(kB, 5);
  queue.set_turn(kA, 30);
  queue.set_turn(kC, 15);
  queue.set_turn(kB, kNever);
  queue.set_turn(kC, 12);

  std::vector<std::pair<Tick, ReplicaId>> turns;
  while (!queue.empty()) {
    const sim::Event event = queue.pop();
    if (event.kind == sim::EventKind::kTurn) turns.emplace_back(event.time, event.replica);
  }

  EXPECT_THAT(turns, ElementsAre(Pair(12, kC), Pair(30, kA)));
  EXPECT_EQ(queue.taken(), 3u);
}

// A crash keeps the first batches that were on their way, never a later one without an earlier.
TEST(VirtualDisk, ACrashKeepsAPrefixOfWhatWasOnItsWay) {
  std::vector<int> kept_by_seed(6, 0);
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    sim::EventQueue events(seed);
    sim::VirtualDisk disk(kA, seed, events);
    disk.open();
    const auto key = [](std::uint64_t slot) {
      return RecordKey{1, GroupId(), Epoch(), kA, Slot(slot)};
    };
    for (std::uint64_t slot = 1; slot <= 5; ++slot) {
      Effects batch;
      batch.batch = slot;
      batch.put(key(slot), {});
      disk.submit(batch);
    }

    disk.crash();

    std::size_t kept = 0;
    while (kept < 5 && disk.find(key(kept + 1)) != nullptr) ++kept;
    ASSERT_EQ(disk.image().size(), kept) << "a batch without the one before it";
    ++kept_by_seed[kept];
  }
  EXPECT_THAT(kept_by_seed, Each(Lt(200))) << "chance has a say";
}

TEST(VirtualNetwork, InOrderIsInOrderAndOtherwiseBundlesOvertakeEachOther) {
  const auto arrivals = [](bool in_order) {
    sim::EventQueue events(3);
    sim::VirtualNetwork network(2, 3, events);
    network.set_all({.jitter_us = 5'000, .in_order = in_order});
    for (std::size_t bytes = 1; bytes <= 50; ++bytes) {
      network.send(kA, kB, std::vector<std::byte>(bytes));
    }
    std::vector<std::size_t> sizes;
    while (!events.empty()) {
      const std::uint64_t flight = events.pop().subject;
      sizes.push_back(network.arrival(flight).bundle.size());
      network.release(flight, true);
    }
    return sizes;
  };

  EXPECT_EQ(arrivals(false).size(), 50u);
  EXPECT_FALSE(std::ranges::is_sorted(arrivals(false)));
  EXPECT_TRUE(std::ranges::is_sorted(arrivals(true)));
}

}  // namespace
}  // namespace epaxos::testing
