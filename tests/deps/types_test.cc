// The vocabulary: names of things, bytes, results, outcomes, checks, histograms.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "deps/types/bytes.h"
#include "deps/types/check.h"
#include "deps/types/dependencies.h"
#include "deps/types/histogram.h"
#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/result.h"

namespace epaxos {
namespace {

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};
constexpr ReplicaId kC{2};

template <class From, class To>
constexpr bool kConverts = std::is_convertible_v<From, To>;
static_assert(!kConverts<Slot, ReplicaId> && !kConverts<ReplicaId, Slot>);
static_assert(!kConverts<std::uint64_t, Slot> && !kConverts<Slot, std::uint64_t>);
static_assert(!std::is_constructible_v<Slot, ReplicaId>);

TEST(Ids, AreWrittenAsPeopleSayThem) {
  EXPECT_EQ(to_string(ReplicaId(2)), "R2");
  EXPECT_EQ(to_string(InstanceId{ReplicaId(2), Slot(17)}), "R2.17");
  EXPECT_EQ(instance_from("R2.17"), (InstanceId{ReplicaId(2), Slot(17)}));
  for (const char* odd : {"", "R", "R2", "2.17", "R2.", "R.17", "R2.0", "R2.-1", "R2.17 ", "R2.1.7",
                          "R65536.1", "R2.18446744073709551616"}) {
    EXPECT_EQ(instance_from(odd), std::nullopt) << odd;
  }
  EXPECT_EQ(to_string(Ballot{3, ReplicaId(1)}), "3@R1");
}

TEST(Ids, InstancesAreOrderedByRowAndThenSlot) {
  EXPECT_LT((InstanceId{kA, Slot(9)}), (InstanceId{kB, Slot(1)}));
  EXPECT_LT((InstanceId{kA, Slot(1)}), (InstanceId{kA, Slot(2)}));
  EXPECT_EQ(Slot(7).next(), Slot(8));
}

TEST(Ids, InstancesThatLieCloseHaveHashesOfTheirOwn) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint16_t row = 0; row < kReplicasMax; ++row) {
    for (std::uint64_t slot = 0; slot < 1000; ++slot) {
      hashes.insert(std::hash<InstanceId>{}({ReplicaId(row), Slot(slot)}));
    }
  }
  EXPECT_EQ(hashes.size(), 9000u);
}

TEST(Ballot, AHigherRoundWinsAndThenTheReplica) {
  EXPECT_LT((Ballot{1, kC}), (Ballot{2, kA}));
  EXPECT_LT((Ballot{1, kA}), (Ballot{1, kB}));
  EXPECT_LT(kInitialBallot, (Ballot{1, kA}));
}

TEST(Ballot, IsPackedWithoutLossAndInOrder) {
  const std::vector<Ballot> ascending = {kInitialBallot, {1, kA}, {1, ReplicaId(8)},
                                         {2, kA},        {2, kB}, {kBallotRoundMax, ReplicaId(8)}};
  EXPECT_EQ(kInitialBallot.packed(), 0u);
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    EXPECT_EQ(Ballot::from_packed(ascending[i].packed()), ascending[i]) << i;
    if (i == 0) continue;
    EXPECT_LT(ascending[i - 1].packed(), ascending[i].packed()) << i;
  }
}

TEST(BytesOf, TextAndNumbersComeBack) {
  EXPECT_EQ(text_of(bytes_of("text")), "text");
  EXPECT_EQ(text_of({}), "");
  const std::int64_t number = -5;
  EXPECT_EQ(number_from<std::int64_t>(bytes_of(number)), -5);
  const std::uint32_t ordered = 0x01020304;
  EXPECT_EQ(bytes_of(ordered)[0], std::byte{4}) << "numbers are little-endian";
}

TEST(BytesOf, ANumberNeedsExactlyItsBytes) {
  EXPECT_EQ(number_from<std::uint32_t>(bytes_of("abc")), std::nullopt);
  EXPECT_EQ(number_from<std::uint32_t>(bytes_of("abcde")), std::nullopt);
  EXPECT_EQ(number_from<std::uint32_t>({}), std::nullopt);
  EXPECT_EQ(number_from<std::uint32_t>(bytes_of("abcd")), 0x64636261u);
}

Result<int> half(int number) {
  if (number % 2 != 0) return fail(ErrorCode::kInvalidArgument, "it is odd");
  return number / 2;
}

TEST(Result, HoldsAValueOrAnError) {
  ASSERT_TRUE(half(4));
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(4).value_or(9), 2);
  ASSERT_FALSE(half(3));
  EXPECT_EQ(half(3).error(), (Error{ErrorCode::kInvalidArgument, "it is odd"}));
  EXPECT_EQ(half(3).value_or(9), 9);
}

TEST(Result, PassesAnErrorOnAndMovesItsValue) {
  const Result<std::string> other = fail(half(3).error());
  EXPECT_EQ(other.error().message, "it is odd");
  const Result<void> nothing = fail(ErrorCode::kIo, "no");
  EXPECT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::kIo);
  EXPECT_TRUE(Result<void>());

  Result<std::unique_ptr<int>> owner(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(owner).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, ReadingWhatIsNotThereIsABug) {
  EXPECT_DEATH((void)half(3).value(), "value of a failed result");
  EXPECT_DEATH((void)half(4).error(), "error of a result that holds a value");
  EXPECT_DEATH((void)Result<void>().error(), "error of a successful result");
}

TEST(ErrorCode, EveryCodeHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kUnknownSession); ++code) {
    words.insert(to_string(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(words.size(), static_cast<std::size_t>(ErrorCode::kUnknownSession) + 1);
  EXPECT_FALSE(words.contains("unknown"));
}

TEST(Outcome, TheThreeKindsHaveThreeWords) {
  EXPECT_EQ(to_string(OutcomeKind::kExecuted), "executed");
  EXPECT_EQ(to_string(OutcomeKind::kRejected), "rejected");
  EXPECT_EQ(to_string(OutcomeKind::kUnknown), "unknown");
}

TEST(CheckDeathTest, ABrokenCheckSaysWhatAndWhere) {
  check(true, "this holds");
  EXPECT_DEATH(check(false, "this does not hold"),
               "types_test.cc:[0-9]+: check failed: this does not hold");
}

TEST(CheckDeathTest, AHandlerThatReturnsDoesNotLetItGoOn) {
  EXPECT_DEATH(
      {
        set_check_handler(
            [](const char* why, const char*, int) { std::fprintf(stderr, "handled: %s\n", why); });
        check(false, "broken");
        std::fprintf(stderr, "went on\n");
        std::_Exit(0);
      },
      "handled: broken");
}

TEST(Check, TheHandlerBeforeIsGivenBack) {
  const CheckHandler mine = [](const char*, const char*, int) {};
  const CheckHandler standard = set_check_handler(mine);

  EXPECT_NE(standard, nullptr);
  EXPECT_EQ(set_check_handler(nullptr), mine);
  EXPECT_EQ(set_check_handler(standard), standard) << "nullptr did not bring the default back";
}

TEST(Dependencies, RaiseAndMergeKeepTheLargerSlotOfEachRow) {
  Dependencies a{3, 0, 7};
  a.raise(kA, Slot(2));
  a.raise(kB, Slot(4));
  EXPECT_EQ(a, (Dependencies{3, 4, 7}));

  a.merge({5, 1, 7});
  EXPECT_EQ(a, (Dependencies{5, 4, 7}));
  EXPECT_EQ(to_string(a), "[5,4,7]");
}

TEST(Dependencies, CountWhatOthersDoNotHave) {
  const Dependencies a{3, 0, 7};
  EXPECT_EQ(a.count_above({1, 5, 6}), 3);
  EXPECT_EQ(a.count_above(a), 0);
}

TEST(Dependencies, CoverAPrefixOfEachRow) {
  const Dependencies some{3, 0, 7};
  EXPECT_TRUE(some.covers({kA, Slot(3)}));
  EXPECT_TRUE(some.covers({kA, Slot(1)}));
  EXPECT_FALSE(some.covers({kA, Slot(4)}));
  EXPECT_FALSE(some.covers({kB, Slot(1)}));
}

TEST(Dependencies, OneIncludesAnotherRowByRow) {
  const Dependencies some{3, 0, 7};
  EXPECT_TRUE(some.includes(some));
  EXPECT_TRUE(some.includes({2, 0, 7}));
  EXPECT_FALSE(some.includes({2, 1, 7}));
  EXPECT_FALSE((Dependencies{2, 1, 7}).includes(some));
}

TEST(DependenciesDeathTest, GroupsOfDifferentSizesDoNotMix) {
  Dependencies three(3);
  const Dependencies five(5);
  EXPECT_DEATH(three.merge(five), "different sizes");
  EXPECT_DEATH((void)three.includes(five), "different sizes");
  EXPECT_DEATH((void)three[ReplicaId(3)], "outside of the group");
  EXPECT_DEATH((void)Dependencies(10), "at most nine");
}

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram none;
  EXPECT_EQ(none.count(), 0u);
  EXPECT_EQ(none.percentile(0.5), 0u);
  EXPECT_EQ(none.mean(), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 0; value < 32; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0), 0u);
  EXPECT_EQ(histogram.percentile(0.5), 15u);
  EXPECT_EQ(histogram.percentile(1), 31u);
  EXPECT_DOUBLE_EQ(histogram.mean(), 15.5);
}

TEST(Histogram, PercentilesAreOffByThreePercentAtMost) {
  std::mt19937_64 random(11);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random() >> (random() % 50 + 14));
    histogram.add(values.back());
  }
  std::ranges::sort(values);
  for (const double share : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    const std::size_t index = std::max(rank, std::size_t{1}) - 1;  // All these ranks are whole.
    const auto exact = static_cast<double>(values[index]);
    const auto told = static_cast<double>(histogram.percentile(share));
    EXPECT_GE(told, exact) << share;
    EXPECT_LE(told, exact * 1.032 + 1) << share;
  }
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_EQ(histogram.percentile(1), values.back());
}

// With few values a percentile that is a rank too low leaves out the one that matters.
TEST(Histogram, NoMoreThanTheRestExceedsAPercentile) {
  Histogram histogram;
  histogram.add(10, 193);
  histogram.add(20, 2);
  EXPECT_EQ(histogram.percentile(0.98), 10u);
  EXPECT_EQ(histogram.percentile(0.99), 20u) << "98.97 % are 10";
  for (int count = 1; count <= 100; ++count) {
    for (int percent = 0; percent <= 100; ++percent) {
      FineHistogram each;
      for (int value = 1; value <= count; ++value) each.add(static_cast<std::uint64_t>(value));
      const int rank = std::max(1, (percent * count + 99) / 100);
      ASSERT_EQ(each.percentile(percent / 100.0), static_cast<std::uint64_t>(rank))
          << percent << " % of " << count;
    }
  }
}

TEST(Histogram, AFineOneIsOffByOneInAThousandAtMost) {
  std::mt19937_64 random(12);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t exact = random() >> (random() % 50 + 14);
    FineHistogram histogram;
    histogram.add(exact);
    histogram.add(std::uint64_t{1} << 60);
    const std::uint64_t told = histogram.percentile(0);
    ASSERT_GE(told, exact);
    ASSERT_LE(told - exact, exact / 1024);
  }
}

TEST(Histogram, TheLargestNumberHasABucket) {
  Histogram histogram;
  FineHistogram fine;
  histogram.add(std::numeric_limits<std::uint64_t>::max());
  fine.add(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(histogram.percentile(1), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(fine.percentile(1), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(histogram.bucket(Histogram::kBuckets - 1), 1u);
  EXPECT_EQ(fine.bucket(FineHistogram::kBuckets - 1), 1u);
}

TEST(Histogram, MergedIsAsIfOneHadSeenEverything) {
  Histogram all;
  Histogram odd;
  Histogram even;
  for (std::uint64_t value = 1; value < 5'000; ++value) {
    all.add(value, 2);
    (value % 2 == 0 ? even : odd).add(value, 2);
  }
  even.merge(odd);
  EXPECT_EQ(even.count(), all.count());
  EXPECT_EQ(even.max(), all.max());
  EXPECT_DOUBLE_EQ(even.mean(), all.mean());
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) ASSERT_EQ(even.bucket(i), all.bucket(i));
}

// Buckets that nobody needs have no memory there, and that must not show.
TEST(Histogram, FineOnesOfTheSameValuesAreEqual) {
  FineHistogram all;
  FineHistogram high;
  FineHistogram low;
  for (std::uint64_t value = 1; value < 400'000; value += 37) {
    all.add(value);
    (value > 300'000 ? high : low).add(value);
  }
  EXPECT_NE(low, all);
  const FineHistogram low_alone = low;

  low.merge(high);
  high.merge(low_alone);
  high.add(5, 0);

  EXPECT_EQ(low, all);
  EXPECT_EQ(high, all);
  EXPECT_NE(low_alone, all) << "a copy is one of its own";
  for (std::size_t i = 0; i < FineHistogram::kBuckets; ++i)
    ASSERT_EQ(high.bucket(i), all.bucket(i));
}

}  // namespace
}  // namespace epaxos
