// What is known of a row's slots above its executed prefix, near and far.

#include "executor/row_window.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::executor {
namespace {

constexpr std::uint64_t kFar = std::uint64_t{1} << 50;

TEST(RowWindow, JumpLetsLeaveWhatIsBelowAndKeepsWhatIsAbove) {
  RowWindow window;
  for (const std::uint64_t slot : {1u, 7u, 8u, 9u, 900u}) {
    window.set(Slot(slot), static_cast<std::uint32_t>(slot));
  }
  std::vector<std::uint32_t> left;

  window.jump(Slot(8), [&](std::uint32_t value) { left.push_back(value); });

  EXPECT_EQ(left, (std::vector<std::uint32_t>{1, 7, 8}));
  EXPECT_EQ(window.base(), Slot(8));
  EXPECT_EQ(window[Slot(8)], RowWindow::kNothing);
  EXPECT_EQ(window[Slot(9)], 9u);
  EXPECT_EQ(window[Slot(900)], 900u);
  EXPECT_EQ(window[Slot(8 + 1024)], RowWindow::kNothing) << "its place was that of slot 8";
}

TEST(RowWindow, JumpOverAGapCostsNothingAndTakesInWhatWasFar) {
  RowWindow window;
  window.set(Slot(3), 3);
  window.set(Slot(kFar - 1), 4);
  window.set(Slot(kFar + 1), 5);
  window.set(Slot(2 * kFar), 6);
  std::vector<std::uint32_t> left;

  window.jump(Slot(kFar), [&](std::uint32_t value) { left.push_back(value); });

  EXPECT_EQ(left, (std::vector<std::uint32_t>{3, 4}));
  EXPECT_EQ(window[Slot(kFar + 1)], 5u);
  EXPECT_EQ(window[Slot(2 * kFar)], 6u);
  window.advance();
  EXPECT_EQ(window.base(), Slot(kFar + 1));
  EXPECT_EQ(window[Slot(kFar + 1)], RowWindow::kNothing);
}

TEST(RowWindow, JumpNeverGoesBack) {
  RowWindow window;
  window.jump(Slot(10));
  window.set(Slot(11), 1);

  window.jump(Slot(4));
  window.jump(Slot(10));

  EXPECT_EQ(window.base(), Slot(10));
  EXPECT_EQ(window[Slot(11)], 1u);
}

TEST(RowWindow, AgreesWithAMapOnRandomSteps) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    RowWindow window;
    std::map<std::uint64_t, std::uint32_t> model;
    std::uint64_t base = 0;
    for (std::uint32_t step = 0; step < 2'000; ++step) {
      // Mostly near, at times just where the ring ends, or far beyond.
      const std::uint64_t reach = std::uint64_t{1} << (random() % 16);
      const std::uint64_t ahead = 1 + random() % reach;
      const std::uint64_t kind = random() % 40;
      if (kind == 0) {
        std::vector<std::uint32_t> left;
        window.jump(Slot(base + ahead), [&](std::uint32_t value) { left.push_back(value); });
        base += ahead;
        std::vector<std::uint32_t> expected;
        while (!model.empty() && model.begin()->first <= base) {
          expected.push_back(model.begin()->second);
          model.erase(model.begin());
        }
        ASSERT_EQ(left, expected);
      } else if (kind < 10) {
        window.advance();
        model.erase(++base);
      } else {
        window.set(Slot(base + ahead), step);
        model[base + ahead] = step;
      }
      ASSERT_EQ(window.base(), Slot(base));
      const std::uint64_t asked = base + random() % (2 * reach);
      const auto found = model.find(asked);
      ASSERT_EQ(window[Slot(asked)], found == model.end() ? RowWindow::kNothing : found->second);
    }
    for (const auto& [slot, value] : model) ASSERT_EQ(window[Slot(slot)], value);
  }
}

}  // namespace
}  // namespace epaxos::executor
