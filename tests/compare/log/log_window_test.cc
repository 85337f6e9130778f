#include "compare/log/log_window.h"

#include <gtest/gtest.h>

#include "tests/compare/log/support.h"

namespace epaxos::compare {
namespace {

void fill(LogWindow& log, std::uint64_t from, std::uint64_t to, std::uint64_t round) {
  for (std::uint64_t i = from; i <= to; ++i) log.set(Slot(i), entry_of(round, ReplicaId(0), i));
}

TEST(LogWindow, GivesBackWhatWasSet) {
  LogWindow log;
  fill(log, 1, 300, 4);

  EXPECT_EQ(log.last(), Slot(300));
  EXPECT_EQ(log.round(Slot(200)), 4u);
  EXPECT_EQ(log.entry(Slot(200)).origin.sequence, 200u);
  EXPECT_FALSE(log.holds(Slot(301)));
  EXPECT_FALSE(log.holds(Slot(0)));
}

TEST(LogWindow, WhatLeavesInFrontLeavesItsRoundAtTheBase) {
  LogWindow log;
  fill(log, 1, 100, 4);
  fill(log, 101, 200, 5);
  const std::size_t before = log.memory_bytes();

  log.drop_through(Slot(150));

  EXPECT_EQ(log.base(), Slot(150));
  EXPECT_EQ(log.base_round(), 5u);
  EXPECT_EQ(log.round(Slot(150)), 5u);
  EXPECT_FALSE(log.holds(Slot(150)));
  EXPECT_TRUE(log.holds(Slot(151)));
  EXPECT_LT(log.memory_bytes(), before);
}

TEST(LogWindow, ASuffixLeavesAndAnotherOneTakesItsPlace) {
  LogWindow log;
  fill(log, 1, 200, 4);

  log.drop_from(Slot(120));
  EXPECT_EQ(log.last(), Slot(119));
  EXPECT_FALSE(log.holds(Slot(120)));
  fill(log, 120, 130, 6);

  EXPECT_EQ(log.round(Slot(119)), 4u);
  EXPECT_EQ(log.round(Slot(120)), 6u);
  EXPECT_EQ(log.last(), Slot(130));
}

TEST(LogWindow, AnEntryMayTakeThePlaceOfAnotherOneOrComeBeforeItsNeighbours) {
  LogWindow log;
  log.set(Slot(500), entry_of(2, ReplicaId(0), 1));
  log.set(Slot(3), entry_of(1, ReplicaId(1), 1));
  log.set(Slot(3), entry_of(9, ReplicaId(2), 1));

  EXPECT_EQ(log.round(Slot(3)), 9u);
  EXPECT_FALSE(log.holds(Slot(4)));
  EXPECT_EQ(log.last(), Slot(500));

  log.drop_from(Slot(400));
  EXPECT_EQ(log.last(), Slot(3)) << "the highest that is held";
}

TEST(LogWindow, ABaseBeyondTheEndEmptiesIt) {
  LogWindow log;
  fill(log, 1, 10, 1);

  log.drop_through(Slot(50));
  EXPECT_EQ(log.last(), Slot(50));
  fill(log, 51, 60, 3);
  EXPECT_EQ(log.round(Slot(51)), 3u);

  log.reset(Slot(1000), 7);
  EXPECT_EQ(log.last(), Slot(1000));
  EXPECT_EQ(log.base_round(), 7u);
  EXPECT_EQ(log.memory_bytes(), 0u);
}

TEST(LogWindow, KeepsEntriesThatAreLargerThanAPage) {
  LogWindow log;
  const std::string large(200'000, 'x');
  const std::vector<std::byte> block = block_of("k", 1, large);
  const std::vector<std::byte> bytes = encoded({3, {ReplicaId(0), 1, 1}, block});

  log.set(Slot(1), entry_of(1, ReplicaId(0), 1));
  log.set(Slot(2), bytes);
  log.set(Slot(3), entry_of(1, ReplicaId(0), 2));

  EXPECT_TRUE(std::ranges::equal(log.encoded(Slot(2)), bytes));
  EXPECT_EQ(log.entry(Slot(1)).origin.sequence, 1u);
  EXPECT_EQ(log.entry(Slot(3)).origin.sequence, 2u);
}

TEST(LogWindow, WhatIsAppliedIsSurplusBeyondSoManyEntries) {
  LogWindow log;
  fill(log, 1, 100, 1);

  EXPECT_EQ(log.surplus(Slot(60), 60), Slot(0));
  EXPECT_EQ(log.surplus(Slot(60), 50), Slot(10));
  log.drop_through(Slot(10));
  EXPECT_EQ(log.surplus(Slot(60), 50), Slot(10)) << "it has left already";
  EXPECT_EQ(log.surplus(Slot(5), 0), Slot(10)) << "an image lies above what was applied";
}

TEST(LogWindow, WhatIsAppliedIsSurplusBeyondSoManyBytesHowFewItIs) {
  LogWindow log;
  const std::vector<std::byte> block = block_of("k", 1, std::string(500'000, 'x'));
  std::uint64_t last = 0;
  while (log.memory_bytes() <= LogWindow::kHeldBytesMax) {
    EXPECT_EQ(log.surplus(Slot(last), 1'000), Slot(0));
    ++last;
    log.set(Slot(last), encoded({1, {ReplicaId(0), 1, last}, block}));
  }
  ASSERT_LT(last, 200u);

  EXPECT_EQ(log.surplus(Slot(last), 1'000), Slot((last + 1) / 2));
  EXPECT_EQ(log.surplus(Slot(2), 1'000), Slot(1)) << "what is not applied never is";
}

}  // namespace
}  // namespace epaxos::compare
