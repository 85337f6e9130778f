#include "deps/types/huge_pages.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace epaxos {
namespace {

TEST(HugePages, ATableThatGrowsBeyondOneKeepsWhatItHolds) {
  HugeVector<std::uint64_t> table;
  for (std::uint64_t i = 0; i < 1'000'000; ++i) table.push_back(i);

  for (std::uint64_t i = 0; i < table.size(); ++i) ASSERT_EQ(table[i], i);
}

TEST(HugePages, ALargeTableBeginsAtOneAndASmallOneWhereItsTypeMay) {
  struct alignas(64) Line {
    std::uint64_t words[8] = {};
  };
  const HugeVector<Line> large(100'000), small(10);

  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.data()) % (std::uintptr_t{2} << 20), 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small.data()) % alignof(Line), 0U);
}

}  // namespace
}  // namespace epaxos
