// Instances are forgotten at and below a floor, with their memory: protocol.md 14.2. An installed
// image decides instances whose decision is not known here: 14.5.

#include "epaxos/protocol/instance_table.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

constexpr std::uint64_t kChunk = 64;  ///< Slots that are freed together.
constexpr std::uint64_t kFarSlot = std::uint64_t{1} << 40;

/// What an empty chunk takes.
std::size_t chunk_bytes() {
  InstanceTable table(1);
  table.find_or_add(id(kA, 1));
  return table.memory_bytes();
}

void decide(InstanceTable& table, const InstanceId& instance) {
  table.find_or_add(instance)->decide_nop();
  table.note_decided(instance);
}

void hold(InstanceTable& table, std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t slot = first; slot <= last; ++slot) {
    ASSERT_NE(table.find_or_add(id(kA, slot)), nullptr);
  }
}

TEST(InstanceTable, DropFreesTheChunksThatLieWhollyAtOrBelowTheFloor) {
  InstanceTable table(2);
  hold(table, 1, 3 * kChunk);  // Slots 0..63, 64..127, 128..191, and one of 192.
  ASSERT_EQ(table.memory_bytes(), 4 * chunk_bytes());

  table.drop_through(kA, Slot(kChunk - 2));
  EXPECT_EQ(table.memory_bytes(), 4 * chunk_bytes()) << "slot 63 is kept";
  table.drop_through(kA, Slot(kChunk - 1));
  EXPECT_EQ(table.memory_bytes(), 3 * chunk_bytes());
  table.drop_through(kA, Slot(kChunk));
  EXPECT_EQ(table.memory_bytes(), 3 * chunk_bytes());
  table.drop_through(kA, Slot(3 * kChunk));
  EXPECT_EQ(table.memory_bytes(), chunk_bytes());

  EXPECT_EQ(table.dropped_through(kA), Slot(3 * kChunk));
  EXPECT_EQ(table.dropped_through(kB), Slot());
}

TEST(InstanceTable, NothingIsFoundAtOrBelowAFloorInTheMiddleOfAChunk) {
  InstanceTable table(1);
  hold(table, 1, 100);
  Instance* const kept = table.find(id(kA, 81));

  table.drop_through(kA, Slot(80));
  table.drop_through(kA, Slot(40));

  EXPECT_EQ(table.dropped_through(kA), Slot(80)) << "a floor never goes back";
  EXPECT_EQ(table.find(id(kA, 80)), nullptr);
  EXPECT_EQ(table.find(id(kA, 1)), nullptr);
  EXPECT_EQ(table.find(id(kA, 81)), kept);
  EXPECT_EQ(table.next_held(kA, Slot(1)), Slot(81));
  EXPECT_EQ(table.next_held(kA, Slot(81)), Slot(81));
  EXPECT_EQ(table.next_held(kA, Slot(128)), kNoSlot);
}

TEST(InstanceTable, SlotZeroIsNobodys) {
  InstanceTable table(1);
  EXPECT_EQ(table.held_undecided(kA), 0u);
  hold(table, 1, 1);

  EXPECT_EQ(table.held_undecided(kA), kChunk - 1);
  EXPECT_EQ(table.find(id(kA, 0)), nullptr);
  EXPECT_EQ(table.next_held(kA, Slot()), Slot(1));
  EXPECT_DEATH(table.find_or_add(id(kA, 0)), "forgotten");
}

TEST(InstanceTable, WhatIsForgottenIsNotMadeDecidedOrKeptAgain) {
  InstanceTable table(1);
  hold(table, 1, 10);
  table.drop_through(kA, Slot(5));

  EXPECT_DEATH(table.find_or_add(id(kA, 5)), "forgotten");
  EXPECT_DEATH(table.note_decided(id(kA, 5)), "forgotten");
  EXPECT_DEATH((void)table.keep(id(kA, 5), kBlock), "not held");
}

TEST(InstanceTable, ForgottenInstancesAreNeitherDecidedNorUndecided) {
  InstanceTable table(1);
  for (std::uint64_t slot = 1; slot <= 100; ++slot) {
    if (slot % 2 == 0) decide(table, id(kA, slot));
  }
  EXPECT_EQ(table.held_undecided(kA), 127u - 50u);

  table.drop_through(kA, Slot(9));
  EXPECT_EQ(table.held_undecided(kA), 118u - 46u);
  table.drop_through(kA, Slot(63));
  EXPECT_EQ(table.held_undecided(kA), 64u - 19u);
  table.drop_through(kA, Slot(127));
  EXPECT_EQ(table.held_undecided(kA), 0u);
}

TEST(InstanceTable, PrefixGoesOnFromTheFloorOverWhatIsDecidedAlready) {
  InstanceTable table(1);
  decide(table, id(kA, 1));
  for (const std::uint64_t slot : {51u, 52u, 64u, 65u}) decide(table, id(kA, slot));
  EXPECT_EQ(table.row(kA).committed_up_to, Slot(1));

  table.drop_through(kA, Slot(50));

  EXPECT_EQ(table.row(kA).committed_up_to, Slot(52));
  EXPECT_EQ(table.row(kA).highest_known, Slot(65));
  EXPECT_EQ(table.row(kA).highest_recorded, Slot(50));
  table.drop_through(kA, Slot(63));
  EXPECT_EQ(table.row(kA).committed_up_to, Slot(65));
}

TEST(InstanceTable, FloorMayLieAboveAllThatIsHeld) {
  InstanceTable table(1);
  hold(table, 1, 1'000);
  hold(table, kFarSlot, kFarSlot);

  table.drop_through(kA, Slot(2 * kFarSlot));

  EXPECT_EQ(table.memory_bytes(), 0u);
  EXPECT_EQ(table.held_undecided(kA), 0u);
  EXPECT_EQ(table.row(kA).committed_up_to, Slot(2 * kFarSlot));
  EXPECT_EQ(table.row(kA).highest_known, Slot(2 * kFarSlot));
  EXPECT_EQ(table.row(kA).highest_recorded, Slot(2 * kFarSlot));
  EXPECT_EQ(table.next_held(kA, Slot(1)), kNoSlot);
  decide(table, id(kA, 2 * kFarSlot + 1));
  EXPECT_EQ(table.row(kA).committed_up_to, Slot(2 * kFarSlot + 1));
  EXPECT_EQ(table.next_held(kA, Slot(1)), Slot(2 * kFarSlot + 1));
  EXPECT_EQ(table.dense_places(kA), 1u);
}

TEST(InstanceTable, ChunksThatWereFarComeNearButDoNotMove) {
  InstanceTable table(1);
  hold(table, 1, 10);
  std::vector<Instance*> kept;
  for (std::uint64_t i = 1; i <= 5'000; ++i) {
    kept.push_back(table.find_or_add(id(kA, kFarSlot + i * kChunk)));
  }
  Instance* const beyond = table.find_or_add(id(kA, 2 * kFarSlot));

  table.drop_through(kA, Slot(kFarSlot + kChunk / 2));

  EXPECT_EQ(table.memory_bytes(), 5'001 * chunk_bytes());
  EXPECT_EQ(table.dense_places(kA), 5'001u) << "they are near the floor now";
  for (std::uint64_t i = 1; i <= 5'000; ++i) {
    ASSERT_EQ(table.find(id(kA, kFarSlot + i * kChunk)), kept[i - 1]);
  }
  EXPECT_EQ(table.find(id(kA, 2 * kFarSlot)), beyond);
  EXPECT_EQ(table.next_held(kA, Slot(1)), Slot(kFarSlot + kChunk));
  table.drop_through(kA, Slot(2 * kFarSlot - 1));
  EXPECT_EQ(table.memory_bytes(), chunk_bytes());
  EXPECT_EQ(table.find(id(kA, 2 * kFarSlot)), beyond);
}

TEST(InstanceTable, PayloadsAreFreedWithTheirChunk) {
  InstanceTable table(1);
  const std::vector<std::byte> large(40 * 1024);
  for (const std::uint64_t slot : {1u, 2u, 70u}) {
    table.find_or_add(id(kA, slot))->set_payload(table.keep(id(kA, slot), large), 1);
  }
  const std::size_t one = (table.memory_bytes() - 2 * chunk_bytes()) / 3;
  EXPECT_GE(one, large.size());

  table.drop_through(kA, Slot(63));

  EXPECT_EQ(table.memory_bytes(), chunk_bytes() + one);
  EXPECT_TRUE(std::ranges::equal(table.find(id(kA, 70))->block(), large));
}

TEST(InstanceTable, MemoryStaysFlatHoweverLongItRuns) {
  InstanceTable table(1);
  table.limit_held_undecided(1'000);
  std::size_t most = 0;
  for (std::uint64_t slot = 1; slot <= 500'000; ++slot) {
    const InstanceId instance = id(kA, slot);
    Instance* const made = table.find_or_add(instance);
    ASSERT_NE(made, nullptr);
    made->set_payload(table.keep(instance, kBlock), 1);
    table.note_recorded(instance);
    if (slot % 10 != 0) {  // Some are never decided here; a floor passes them all the same.
      made->decide_nop();
      table.note_decided(instance);
    }
    if (slot % 37 == 0 && slot > 300) table.drop_through(kA, Slot(slot - 300));
    if (slot == 1'000) most = table.memory_bytes() + 2 * chunk_bytes() + 8 * 4'096;
    if (slot > 1'000) {
      ASSERT_LE(table.memory_bytes(), most);
      ASSERT_LE(table.dense_places(kA), 2 * (300 + 37 + kChunk) / kChunk);
    }
  }
  EXPECT_GE(table.row(kA).committed_up_to, Slot(499'000));
}

/// The table, slowly: a set of chunks and a set of what is decided.
class TableModel {
 public:
  void add(std::uint64_t slot) { chunks_.insert(slot / kChunk); }
  void decide(std::uint64_t slot) {
    decided_.insert(slot);
    advance();
  }
  void drop(std::uint64_t floor) {
    floor_ = std::max(floor, floor_);
    std::erase_if(chunks_, [&](std::uint64_t chunk) { return chunk < (floor_ + 1) / kChunk; });
    std::erase_if(decided_, [&](std::uint64_t slot) { return slot <= floor_; });
    committed_ = std::max(committed_, floor_);
    advance();
  }

  [[nodiscard]] bool held(std::uint64_t slot) const {
    return slot > floor_ && chunks_.contains(slot / kChunk);
  }
  [[nodiscard]] bool decided(std::uint64_t slot) const { return decided_.contains(slot); }
  [[nodiscard]] Slot next_held(std::uint64_t from) const {
    from = std::max(from, floor_ + 1);
    const auto found = chunks_.lower_bound(from / kChunk);
    return found == chunks_.end() ? kNoSlot : Slot(std::max(from, *found * kChunk));
  }
  [[nodiscard]] std::size_t chunks() const { return chunks_.size(); }
  [[nodiscard]] std::size_t held_undecided() const {
    std::size_t undecided = 0;
    for (const std::uint64_t chunk : chunks_) {
      for (std::uint64_t slot = chunk * kChunk; slot < (chunk + 1) * kChunk; ++slot) {
        undecided += slot > floor_ && !decided_.contains(slot) ? 1 : 0;
      }
    }
    return undecided;
  }
  [[nodiscard]] std::uint64_t floor() const { return floor_; }
  [[nodiscard]] std::uint64_t committed() const { return committed_; }

 private:
  void advance() {
    while (decided_.contains(committed_ + 1)) ++committed_;
  }

  std::uint64_t floor_ = 0;
  std::uint64_t committed_ = 0;
  std::set<std::uint64_t> chunks_;
  std::set<std::uint64_t> decided_;
};

void expect_same(const InstanceTable& table, const TableModel& model, std::uint64_t asked) {
  const Instance* const found = table.find(id(kA, asked));
  ASSERT_EQ(found != nullptr, model.held(asked)) << asked;
  if (found != nullptr) {
    ASSERT_EQ(found->decided(), model.decided(asked)) << asked;
  }
  ASSERT_EQ(table.next_held(kA, Slot(asked)), model.next_held(asked)) << asked;
  ASSERT_EQ(table.memory_bytes(), model.chunks() * chunk_bytes());
  ASSERT_EQ(table.row(kA).committed_up_to, Slot(model.committed()));
  ASSERT_EQ(table.dropped_through(kA), Slot(model.floor()));
}

TEST(InstanceTable, AgreesWithASlowOneOnRandomSteps) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    // From a few chunks to far beyond the gap that the dense part bridges.
    const std::uint64_t reach_max = seed % 3 == 0 ? 20 : 10;
    InstanceTable table(1);
    TableModel model;
    for (int step = 0; step < 1'500; ++step) {
      const std::uint64_t reach = std::uint64_t{1} << (random() % reach_max);
      const std::uint64_t slot = model.committed() + 1 + random() % reach;
      const std::uint64_t kind = random() % 30;
      if (kind == 0) {
        table.drop_through(kA, Slot(slot));
        model.drop(slot);
      } else if (kind < 4) {  // Within what is decided, as a rule.
        const std::uint64_t lag = random() % 200;
        const std::uint64_t floor = model.committed() - std::min(lag, model.committed());
        table.drop_through(kA, Slot(floor));
        model.drop(floor);
      } else if (!model.decided(slot) && slot > model.floor()) {
        model.add(slot);
        ASSERT_NE(table.find_or_add(id(kA, slot)), nullptr);
        if (kind < 20) {
          decide(table, id(kA, slot));
          model.decide(slot);
        }
      }
      const std::uint64_t low = model.floor() - std::min(random() % 200, model.floor());
      expect_same(table, model, low + random() % (2 * reach));
      if (::testing::Test::HasFatalFailure()) return;
      if (step % 100 == 0) {
        ASSERT_EQ(table.held_undecided(kA), model.held_undecided());
      }
    }
    ASSERT_EQ(table.held_undecided(kA), model.held_undecided());
  }
}

// ---- Instances that only an installed image knows ----

TEST(CoveredInstance, IsDecidedAndDependsOnNothingThatIsUndecidedHere) {
  Instance instance;
  EXPECT_FALSE(instance.covered());

  instance.cover(false);

  EXPECT_TRUE(instance.covered());
  EXPECT_TRUE(instance.decided());
  EXPECT_FALSE(instance.decided_nop());
  EXPECT_FALSE(instance.decided_initial());
  EXPECT_EQ(instance.phase(), InstancePhase::kCommitted);
  EXPECT_FALSE(instance.depends_on(id(kB, 1)));
  EXPECT_DEATH((void)instance.decided_dependencies(), "only an image knows");
}

TEST(CoveredInstance, AsNopDependsOnAnything) {
  Instance instance;

  instance.cover(true);

  EXPECT_TRUE(instance.covered());
  EXPECT_TRUE(instance.decided_nop());
  EXPECT_TRUE(instance.depends_on(id(kB, 1)));
  EXPECT_FALSE(instance.decided_initial());
  EXPECT_DEATH((void)instance.decided_dependencies(), "Nop");
}

TEST(CoveredInstance, KeepsWhatWasRecordedAndVotedAndNeverTakesItForTheDecision) {
  InstanceTable table(2);
  Instance& instance = *table.find_or_add(id(kA, 3));
  instance.set_payload(table.keep(id(kA, 3), kBlock), 2);
  instance.record({2, 7});
  instance.pre_accept({2, 9});
  ASSERT_TRUE(instance.depends_on(id(kB, 7)));

  instance.cover(false);

  EXPECT_TRUE(instance.recorded());
  EXPECT_EQ(instance.initial_dependencies(), (Dependencies{2, 7}));
  EXPECT_EQ(instance.pre_accept_dependencies(), (Dependencies{2, 9}));
  EXPECT_FALSE(instance.depends_on(id(kB, 7)));
  EXPECT_FALSE(instance.decided_initial());
  EXPECT_TRUE(std::ranges::equal(instance.block(), kBlock));
}

TEST(CoveredInstance, IsNeverDecidedTwice) {
  Instance decided;
  decided.decide_nop();
  EXPECT_DEATH(decided.cover(false), "final");
  Instance covered;
  covered.cover(false);
  EXPECT_DEATH(covered.decide_nop(), "final");
}

}  // namespace
}  // namespace epaxos::protocol
