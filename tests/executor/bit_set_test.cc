// The set of used places against a plain set.

#include "executor/bit_set.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace epaxos::executor {
namespace {

TEST(BitSet, AgreesWithASetUnderRandomChanges) {
  BitSet bits;
  std::set<std::size_t> reference;
  std::mt19937_64 random(9);
  for (int step = 0; step < 100'000; ++step) {
    const std::size_t number = random() % 1000;
    ASSERT_EQ(bits.contains(number), reference.contains(number));
    const auto next = reference.lower_bound(number);
    ASSERT_EQ(bits.next(number), next == reference.end() ? BitSet::kNone : *next);
    if (random() % 8 == 0) {
      bits.insert(number);
      reference.insert(number);
    } else {
      ASSERT_EQ(bits.erase(number), reference.erase(number) == 1);
    }
  }
  EXPECT_GT(reference.size(), 50u);
}

TEST(BitSet, AnEmptyOneHasNothing) {
  BitSet bits;
  EXPECT_EQ(bits.next(0), BitSet::kNone);
  EXPECT_FALSE(bits.contains(70));
  EXPECT_FALSE(bits.erase(70));
  bits.insert(64);
  EXPECT_EQ(bits.next(0), 64u);
  EXPECT_EQ(bits.next(65), BitSet::kNone);
  EXPECT_EQ(bits.next(1'000'000), BitSet::kNone);
}

}  // namespace
}  // namespace epaxos::executor
