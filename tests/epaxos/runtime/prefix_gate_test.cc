#include "epaxos/runtime/prefix_gate.h"

#include <gtest/gtest.h>

namespace epaxos::runtime {
namespace {

std::unique_ptr<Effects> turn_at(Tick now) {
  auto turn = std::make_unique<Effects>();
  turn->now = now;
  return turn;
}

TEST(PrefixGate, ATurnLeavesWhenItsBatchIsDurable) {
  PrefixGate gate;
  gate.hold(1, turn_at(10));

  EXPECT_EQ(gate.take_open(0), nullptr);

  const auto turn = gate.take_open(1);
  ASSERT_NE(turn, nullptr);
  EXPECT_EQ(turn->now, 10u);
  EXPECT_EQ(gate.take_open(1), nullptr);
}

TEST(PrefixGate, ATurnWithoutRecordsWaitsForTheBatchBeforeIt) {
  PrefixGate gate;
  gate.hold(1, turn_at(10));  // Had records.
  gate.hold(1, turn_at(11));  // Had none, and inherits.

  EXPECT_EQ(gate.take_open(0), nullptr);
  EXPECT_EQ(gate.take_open(1)->now, 10u);
  EXPECT_EQ(gate.take_open(1)->now, 11u);
}

TEST(PrefixGate, TurnsLeaveInTheirOrder) {
  PrefixGate gate;
  for (BatchNumber batch = 1; batch <= 5; ++batch) gate.hold(batch, turn_at(batch));

  for (BatchNumber batch = 1; batch <= 3; ++batch) EXPECT_EQ(gate.take_open(3)->now, batch);
  EXPECT_EQ(gate.take_open(3), nullptr);
  EXPECT_EQ(gate.held(), 2u);
}

TEST(PrefixGate, WhatIsDroppedNeverLeaves) {
  PrefixGate gate;
  gate.hold(1, turn_at(10));
  gate.drop_all();

  EXPECT_EQ(gate.take_open(1), nullptr);
  EXPECT_EQ(gate.held(), 0u);
}

TEST(PrefixGate, RecycledEffectsComeBackEmptyAndKeepTheirMemory) {
  PrefixGate gate;
  auto turn = gate.fresh();
  Slice slice;
  turn->allocate(1000, slice);
  const Effects* const address = turn.get();
  gate.recycle(std::move(turn));

  const auto again = gate.fresh();

  EXPECT_EQ(again.get(), address);
  EXPECT_TRUE(again->empty());
  EXPECT_GE(again->capacity_bytes(), 1000u);
}

TEST(PrefixGateDeathTest, BatchesThatGoBackAreABug) {
  PrefixGate gate;
  gate.hold(2, turn_at(10));
  EXPECT_DEATH(gate.hold(1, turn_at(11)), "batches are submitted in order");
}

}  // namespace
}  // namespace epaxos::runtime
