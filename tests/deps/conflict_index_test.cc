// Which earlier instances a command must wait for: protocol.md 3, 6.1 and 6.2.

#include "deps/conflict_index.h"

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

}  // namespace
}  // namespace epaxos::deps
