// Which earlier instances a command must wait for: protocol.md 3, 6.1 and 6.2.

#include "deps/conflict_index.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::deps {
namespace {

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};

InstanceId id(ReplicaId row, std::uint64_t slot) {
  return {row, Slot(slot)};
}

Dependencies conflicts_of(const ConflictIndex& index, const Footprint& footprint, int rows = 3) {
  Dependencies into(rows);
  index.merge_conflicts(footprint, into);
  return into;
}

TEST(ConflictIndex, WriteConflictsWithReadsAndWritesReadOnlyWithWrites) {
  ConflictIndex index(3);
  index.insert(id(kA, 4), Footprint::write("x"));
  index.insert(id(kA, 7), Footprint::read("x"));
  index.insert(id(kB, 2), Footprint::read("x"));

  EXPECT_EQ(conflicts_of(index, Footprint::write("x")), (Dependencies{7, 2, 0}));
  EXPECT_EQ(conflicts_of(index, Footprint::read("x")), (Dependencies{4, 0, 0}));
  EXPECT_EQ(conflicts_of(index, Footprint::write("y")), (Dependencies{0, 0, 0}));
}

TEST(ConflictIndex, BarrierConflictsWithAllThatTouchesAnythingAndAllWithIt) {
  ConflictIndex index(3);
  index.insert(id(kA, 4), Footprint::write("x"));
  index.insert(id(kB, 9), Footprint::read("y"));
  EXPECT_EQ(conflicts_of(index, Footprint::everything()), (Dependencies{4, 9, 0}));

  index.insert(id(kA, 6), Footprint::everything());
  EXPECT_EQ(conflicts_of(index, Footprint::read("z")), (Dependencies{6, 0, 0}));
  EXPECT_EQ(conflicts_of(index, Footprint{}), (Dependencies{0, 0, 0})) << "touches nothing";
}

TEST(ConflictIndex, SlotsMayComeInAnyOrderAndMoreThanOnce) {
  ConflictIndex index(3);
  for (const std::uint64_t slot : {9u, 3u, 9u, 5u}) {
    index.insert(id(kA, slot), Footprint::write("x"));
  }

  EXPECT_EQ(conflicts_of(index, Footprint::write("x")), (Dependencies{9, 0, 0}));
  EXPECT_EQ(index.keys(), 1u);
}

TEST(ConflictIndex, ResultOnlyRaisesWhatTheCallerHasAlready) {
  ConflictIndex index(3);
  index.insert(id(kA, 4), Footprint::write("x"));
  Dependencies into{9, 1, 0};

  index.merge_conflicts(Footprint::write("x"), into);

  EXPECT_EQ(into, (Dependencies{9, 1, 0}));
}

// R17: every key counts, not only the first one that raises a row.
TEST(ConflictIndex, EveryKeyOfAFootprintCounts) {
  ConflictIndex index(3);
  index.insert(id(kA, 2), Footprint::write("a"));
  index.insert(id(kA, 9), Footprint::write("b"));
  Footprint both = Footprint::write("a");
  both.add(Access::write(hash_key("b")));

  EXPECT_EQ(conflicts_of(index, both), (Dependencies{9, 0, 0}));
}

TEST(ConflictIndex, MemoryFollowsLiveKeysNotInstances) {
  ConflictIndex index(5);
  const std::size_t before = index.memory_bytes();
  for (std::uint64_t slot = 1; slot <= 100'000; ++slot) {
    index.insert(id(kA, slot), Footprint::write("hot"));
  }
  EXPECT_EQ(index.memory_bytes(), before);

  for (std::uint64_t key = 0; key < 100'000; ++key) {
    index.insert(id(kA, key + 1), {Access::write(key << 1)});
  }
  EXPECT_EQ(index.keys(), 100'001u);
  EXPECT_LT(index.memory_bytes() / index.keys(), 512u);
}

/// The definition: the highest slot of each row whose footprint conflicts.
class Naive {
 public:
  void insert(InstanceId instance, const Footprint& footprint) {
    all_.emplace_back(instance, footprint);
  }
  [[nodiscard]] Dependencies conflicts_with(const Footprint& footprint, int rows) const {
    Dependencies into(rows);
    for (const auto& [instance, other] : all_) {
      if (conflicts(footprint, other)) into.raise(instance.row, instance.slot);
    }
    return into;
  }

 private:
  std::vector<std::pair<InstanceId, Footprint>> all_;
};

Footprint random_footprint(std::mt19937_64& random) {
  if (random() % 20 == 0) return Footprint::everything();
  Footprint footprint;
  for (std::uint64_t i = random() % 7; i > 0; --i) {
    const std::uint64_t key = (random() % 40) << 1;
    footprint.add(random() % 2 == 0 ? Access::read(key) : Access::write(key));
  }
  return footprint;
}

TEST(ConflictIndex, AgreesWithTheDefinitionOnRandomCommands) {
  std::mt19937_64 random(1);
  for (int rows = 1; rows <= kReplicasMax; ++rows) {
    ConflictIndex index(rows);
    Naive naive;
    for (int i = 0; i < 300; ++i) {
      const InstanceId instance{
          ReplicaId(static_cast<std::uint16_t>(random() % static_cast<unsigned>(rows))),
          Slot(1 + random() % 1000)};
      const Footprint footprint = random_footprint(random);
      index.insert(instance, footprint);
      naive.insert(instance, footprint);
      const Footprint asked = random_footprint(random);
      ASSERT_EQ(conflicts_of(index, asked, rows), naive.conflicts_with(asked, rows));
    }
  }
}

TEST(ConflictIndex, KeysSurviveTheGrowthOfTheTable) {
  ConflictIndex index(3);
  for (std::uint64_t key = 0; key < 50'000; ++key) {
    index.insert(id(kB, key + 1), {Access::write(mix64(key))});
  }
  for (std::uint64_t key = 0; key < 50'000; ++key) {
    ASSERT_EQ(conflicts_of(index, {Access::read(mix64(key))}), (Dependencies{0, key + 1, 0}));
  }
}

// ---- What a floor covers is forgotten ----

TEST(ConflictIndex, SweepRemovesTheKeysOfWhichAllSlotsLieAtOrBelowTheFloor) {
  ConflictIndex index(3);
  index.insert(id(kA, 5), Footprint::write("at the floor"));
  index.insert(id(kB, 2), Footprint::read("at the floor"));
  index.insert(id(kA, 5), Footprint::write("read above"));
  index.insert(id(kB, 3), Footprint::read("read above"));
  index.insert(id(kA, 6), Footprint::write("written above"));

  EXPECT_EQ(index.sweep({5, 2, 9}, 4'000), 1u);

  EXPECT_EQ(index.keys(), 2u);
  EXPECT_EQ(conflicts_of(index, Footprint::write("at the floor")), (Dependencies{0, 0, 0}));
  EXPECT_EQ(conflicts_of(index, Footprint::write("read above")), (Dependencies{5, 3, 0}));
  EXPECT_EQ(conflicts_of(index, Footprint::write("written above")), (Dependencies{6, 0, 0}));
}

TEST(ConflictIndex, SweepLeavesBarriersAndTheHighestSlots) {
  ConflictIndex index(3);
  index.insert(id(kA, 5), Footprint::everything());
  index.insert(id(kB, 2), Footprint::read("x"));

  EXPECT_EQ(index.sweep({9, 9, 9}, 4'000), 1u);

  EXPECT_EQ(conflicts_of(index, Footprint::everything()), (Dependencies{5, 2, 0}));
  EXPECT_EQ(conflicts_of(index, Footprint::read("x")), (Dependencies{5, 0, 0}));
}

TEST(ConflictIndex, SweepLooksAtNoMorePlacesThanItMayAndComesRound) {
  ConflictIndex index(1);
  for (std::uint64_t key = 0; key < 500; ++key) index.insert(id(kA, 1), {Access::write(key << 1)});
  std::size_t removed = 0;
  std::size_t steps = 0;
  for (; index.keys() > 0 && steps < 10'000; ++steps) {
    const std::size_t now = index.sweep({1}, 1);
    ASSERT_LE(now, 1u);
    removed += now;
  }

  EXPECT_EQ(removed, 500u);
  EXPECT_LE(steps, 1024u + 500u) << "one round, and once more where something moved up";
}

TEST(ConflictIndex, MemoryFollowsTheLiveKeysDownAgain) {
  ConflictIndex index(3);
  const std::size_t before = index.memory_bytes();
  for (int again = 0; again < 2; ++again) {
    for (std::uint64_t key = 0; key < 100'000; ++key) {
      index.insert(id(kA, key + 1), {Access::write(key << 1)});
    }
    EXPECT_GT(index.memory_bytes(), 100 * before);

    index.sweep({99'900, 0, 0}, 1'000'000);

    EXPECT_EQ(index.keys(), 100u);
    EXPECT_EQ(index.memory_bytes(), before);
    for (std::uint64_t key = 99'900; key < 100'000; ++key) {
      ASSERT_EQ(conflicts_of(index, {Access::read(key << 1)}), (Dependencies{key + 1, 0, 0}));
    }
  }
}

TEST(ConflictIndex, ATableWithTooManyKeysToMoveAtOnceStaysAsItIs) {
  constexpr std::uint64_t kKeys = 800'000;  // More than kMovedMax of them are under an eighth.
  ConflictIndex index(1);
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    index.insert(id(kA, key + 1), {Access::write(key << 1)});
  }
  const std::size_t before = index.memory_bytes();

  index.sweep({kKeys - ConflictIndex::kMovedMax - 1}, 4 * kKeys);
  EXPECT_EQ(index.keys(), ConflictIndex::kMovedMax + 1);
  EXPECT_EQ(index.memory_bytes(), before);

  index.sweep({kKeys - ConflictIndex::kMovedMax}, 4 * kKeys);
  EXPECT_EQ(index.keys(), ConflictIndex::kMovedMax);
  EXPECT_LT(index.memory_bytes(), before / 4);
  for (std::uint64_t key = kKeys - ConflictIndex::kMovedMax; key < kKeys; ++key) {
    ASSERT_EQ(conflicts_of(index, {Access::read(key << 1)}, 1), Dependencies{key + 1});
  }
}

/// The index without any forgetting.
class EverRemembering {
 public:
  explicit EverRemembering(int rows) : rows_(rows), highest_(rows), barriers_(rows) {}

  void insert(InstanceId instance, const Footprint& footprint) {
    if (footprint.empty()) return;
    highest_.raise(instance.row, instance.slot);
    if (footprint.is_everything()) barriers_.raise(instance.row, instance.slot);
    for (const Access access : footprint.accesses()) {
      auto& key = keys_.try_emplace(access.key(), Key{Dependencies(rows_), Dependencies(rows_)})
                      .first->second;
      key[access.writes() ? 1 : 0].raise(instance.row, instance.slot);
    }
  }

  [[nodiscard]] Dependencies conflicts_with(const Footprint& footprint) const {
    if (footprint.empty()) return Dependencies(rows_);
    Dependencies into = footprint.is_everything() ? highest_ : barriers_;
    for (const Access access : footprint.accesses()) {
      const auto found = keys_.find(access.key());
      if (found == keys_.end()) continue;
      into.merge(found->second[1]);
      if (access.writes()) into.merge(found->second[0]);
    }
    return into;
  }

  [[nodiscard]] std::size_t keys_above(const Dependencies& floor) const {
    std::size_t keys = 0;
    for (const auto& [unused, key] : keys_) {
      keys += floor.includes(key[0]) && floor.includes(key[1]) ? 0 : 1;
    }
    return keys;
  }

 private:
  using Key = std::array<Dependencies, 2>;  ///< Reads, writes.

  int rows_;
  Dependencies highest_;
  Dependencies barriers_;
  std::map<std::uint64_t, Key> keys_;
};

/// Commands, floors and sweeps in a random order; after each the index says the same, once every
/// row is raised to the floor, as one that forgets nothing.
class RandomSweeps {
 public:
  RandomSweeps(std::uint64_t seed, std::uint64_t keys)
      : random_(seed),
        rows_(1 + static_cast<int>(seed % kReplicasMax)),
        keys_(keys),
        index_(rows_),
        all_(rows_),
        floor_(rows_) {}

  std::size_t run() {
    std::size_t removed = 0;
    for (std::uint64_t step = 1; step <= 2 * keys_ + 500; ++step) {
      const InstanceId instance{row(), Slot(1 + pick(step))};
      const Footprint footprint = some_footprint();
      index_.insert(instance, footprint);
      all_.insert(instance, footprint);
      if (pick(50) == 0) raise_floor(step);
      if (pick(10) == 0) removed += index_.sweep(floor_, pick(8) == 0 ? pick(4 * keys_) : pick(80));
      check_same(some_footprint());
      if (::testing::Test::HasFatalFailure()) return removed;
    }
    // A whole round at least, however large the table is: nothing is passed over for ever.
    removed += index_.sweep(floor_, 64 * keys_ + 4'000);
    EXPECT_EQ(index_.keys(), all_.keys_above(floor_));
    for (std::uint64_t key = 0; key < keys_; ++key) check_same({Access::write(key << 1)});
    return removed;
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  ReplicaId row() {
    return ReplicaId(static_cast<std::uint16_t>(pick(static_cast<std::uint64_t>(rows_))));
  }
  void raise_floor(std::uint64_t step) {
    if (pick(4) != 0) return floor_.raise(row(), Slot(pick(step)));
    for (Slot& slot : floor_.slots()) slot = std::max(slot, Slot(step - pick(step) / 8));
  }
  Footprint some_footprint() {
    if (pick(200) == 0) return Footprint::everything();
    Footprint footprint;
    for (std::uint64_t i = pick(4); i > 0; --i) {
      const std::uint64_t key = pick(keys_) << 1;
      footprint.add(pick(2) == 0 ? Access::read(key) : Access::write(key));
    }
    return footprint;
  }
  void check_same(const Footprint& asked) {
    Dependencies mine = conflicts_of(index_, asked, rows_);
    Dependencies expected = all_.conflicts_with(asked);
    mine.merge(floor_);
    expected.merge(floor_);
    ASSERT_EQ(mine, expected);
  }

  std::mt19937_64 random_;
  int rows_;
  std::uint64_t keys_;
  ConflictIndex index_;
  EverRemembering all_;
  Dependencies floor_;
};

// With 760 keys the first table is as full as it may be, so that runs of entries are long and go
// round its end; with 5'000 it grows, and shrinks again.
TEST(ConflictIndex, SweepsChangeNoAnswerAboveTheFloor) {
  for (const std::uint64_t keys : {40u, 760u, 5'000u}) {
    std::size_t removed = 0;
    for (std::uint64_t seed = 1; seed <= 36; ++seed) {
      SCOPED_TRACE(std::to_string(keys) + " keys, seed " + std::to_string(seed));
      removed += RandomSweeps(seed, keys).run();
      if (::testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GT(removed, 10 * keys);
  }
}

}  // namespace
}  // namespace epaxos::deps
