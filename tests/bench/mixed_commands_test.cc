// What clients ask for: Zipf's law as it is computed, shares of reads, and the workloads of YCSB.

#include "bench/client/mixed_commands.h"

#include <cmath>
#include <gmock/gmock.h>
#include <map>
#include <set>
#include <string>

namespace epaxos::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kDraws = 200'000;

/// How often each of the first ranks was drawn; in the last place all others.
std::vector<double> drawn(const Zipf& zipf, std::size_t ranks, std::uint64_t items) {
  std::mt19937_64 random(7);
  std::vector<double> counts(ranks + 1);
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t rank = zipf.rank_of(static_cast<double>(random() >> 11) * 0x1p-53);
    EXPECT_LT(rank, items);
    ++counts[std::min<std::uint64_t>(rank, ranks)];
  }
  return counts;
}

kv::KeyValueCommand decoded(const kv::Payload& payload) {
  kv::KeyValueCommand command;
  EXPECT_TRUE(kv::decode_command(payload, command).has_value());
  return command;
}

CommandMix workload(std::string_view name) {
  const Result<CommandMix> mix = ycsb_mix(name);
  EXPECT_TRUE(mix.has_value()) << name;
  return mix ? *mix : CommandMix();
}

TEST(Zipf, ZetaIsTheSumOfItsTerms) {
  for (const double theta : {0.1, 0.5, 0.99}) {
    for (const std::uint64_t items : {1ull, 2ull, 9'999ull, 10'001ull, 300'000ull}) {
      double sum = 0;
      for (std::uint64_t i = items; i > 0; --i) sum += std::pow(static_cast<double>(i), -theta);
      EXPECT_NEAR(Zipf::zeta(items, theta) / sum, 1, 1e-12) << theta << " of " << items;
    }
  }
}

// Exact for the two most frequent ones; the curve for those behind them gives the next ten up to
// 6 % too much together.
TEST(Zipf, RanksComeAsOftenAsTheLawSays) {
  constexpr std::size_t kRanks = 100;
  for (const double theta : {0.5, 0.7, 0.99}) {
    for (const std::uint64_t items : {1'000ull, 1'000'000ull}) {
      const std::vector<double> counts = drawn(Zipf(items, theta), kRanks, items);

      const double zeta = Zipf::zeta(items, theta);
      double seen = 0;
      double wanted = 0;
      for (std::size_t rank = 0; rank < kRanks; ++rank) {
        seen += counts[rank];
        wanted += kDraws * std::pow(static_cast<double>(rank + 1), -theta) / zeta;
        const double deviation = 4 * std::sqrt(wanted);
        EXPECT_GE(seen, wanted - deviation) << theta << ", " << items << ", up to " << rank;
        EXPECT_LE(seen, wanted * (rank < 2 ? 1.0 : 1.06) + deviation)
            << theta << ", " << items << ", up to " << rank;
      }
    }
  }
}

// Against the distribution that the curve has by itself: chi-square with 100 degrees of freedom,
// which exceeds 149 once in a thousand seeds.
TEST(Zipf, DrawsFollowTheCurveOfTheGenerator) {
  constexpr std::size_t kRanks = 100;
  constexpr std::uint64_t kItems = 1'000'000;
  constexpr double kTheta = 0.99;
  const double zeta = Zipf::zeta(kItems, kTheta);
  const double eta = (1 - std::pow(2.0 / kItems, 1 - kTheta)) / (1 - Zipf::zeta(2, kTheta) / zeta);
  const auto below = [&](std::size_t rank) {
    if (rank < 3) return rank == 0 ? 0 : Zipf::zeta(rank, kTheta) / zeta;
    const double part = static_cast<double>(rank) / static_cast<double>(kItems);
    return (std::pow(part, 1 - kTheta) - 1 + eta) / eta;
  };

  const std::vector<double> counts = drawn(Zipf(kItems, kTheta), kRanks, kItems);

  double chi_square = 0;
  for (std::size_t rank = 0; rank <= kRanks; ++rank) {
    const double share = rank < kRanks ? below(rank + 1) - below(rank) : 1 - below(kRanks);
    const double wanted = share * kDraws;
    chi_square += (counts[rank] - wanted) * (counts[rank] - wanted) / wanted;
  }
  EXPECT_LT(chi_square, 149.4);
}

TEST(Zipf, FewItemsHaveRanksToo) {
  for (const std::uint64_t items : {1ull, 2ull, 3ull}) {
    const Zipf zipf(items, 0.99);
    std::set<std::uint64_t> ranks;
    for (int i = 0; i < 1000; ++i) ranks.insert(zipf.rank_of(i / 1000.0));
    ranks.insert(zipf.rank_of(std::nextafter(1.0, 0.0)));
    EXPECT_EQ(ranks.size(), items);
    EXPECT_EQ(*ranks.rbegin(), items - 1);
  }
}

TEST(MixedCommands, ReadsHaveTheirShareAndTheSameKeysAsWrites) {
  const CommandMix mix{.read_percent = 30};
  MixedCommands commands({.prefix = "own-", .hot_percent = 20, .own_keys = 3}, mix, nullptr,
                         nullptr);

  std::map<std::string, std::pair<int, int>> reads_and_writes;
  for (int i = 0; i < 10'000; ++i) {
    const MixedCommand next = commands.next();
    const kv::KeyValueCommand command = decoded(next.payload);
    EXPECT_EQ(next.reads, command.operation == kv::Operation::kGet);
    EXPECT_TRUE(next.then.empty());
    auto& [reads, writes] = reads_and_writes[std::string(command.key)];
    ++(next.reads ? reads : writes);
  }

  ASSERT_EQ(reads_and_writes.size(), 4u) << "the hot key, and three of its own";
  for (const auto& [key, counts] : reads_and_writes) {
    const int all = counts.first + counts.second;
    EXPECT_NEAR(counts.first, 0.3 * all, 4 * std::sqrt(0.21 * all)) << key;
  }
  const auto& [reads, writes] = reads_and_writes["hot"];
  EXPECT_NEAR(reads + writes, 2000, 160);
}

// What was measured before there were reads stays comparable.
TEST(MixedCommands, WritesAloneAreThoseOfTheClosedLoopFromOutside) {
  const KeyChoice choice{.prefix = "own-", .hot_percent = 20, .own_keys = 30, .seed = 5};
  MixedCommands commands(choice, {}, nullptr, nullptr);
  Writes writes(choice);

  for (int i = 0; i < 1000; ++i) {
    const Bytes expected = writes.next().payload;
    EXPECT_TRUE(std::ranges::equal(commands.next().payload, expected)) << i;
  }
}

TEST(MixedCommands, EveryWorkloadOfYcsbHasItsShares) {
  struct {
    const char* name;
    unsigned reads;
  } const all[] = {{"A", 50}, {"b", 95}, {"C", 100}, {"D", 95}, {"E", 95}, {"F", 50}};
  for (const auto& [name, reads] : all) {
    const CommandMix mix = workload(name);
    EXPECT_EQ(mix.read_percent, reads) << name;
    EXPECT_EQ(mix.zipf_theta, 0.99) << name;
    EXPECT_EQ(mix.keys, 1'000'000u) << name;
    EXPECT_TRUE(mix.has_reads()) << name;
    EXPECT_EQ(mix.has_writes(), reads < 100) << name;
  }
}

TEST(MixedCommands, WhatIsNoWorkloadIsRefusedByASentence) {
  EXPECT_THAT(ycsb_mix("G").error().message, HasSubstr("there is no workload \"G\""));
}

TEST(MixedCommands, ReadModifyWritesWriteTheKeyThatTheyHaveRead) {
  const CommandMix mix = workload("F");
  const Zipf zipf(mix.keys, *mix.zipf_theta);
  MixedCommands commands({.value_bytes = 16}, mix, &zipf, nullptr);

  int modifies = 0;
  for (int i = 0; i < 1000; ++i) {
    const MixedCommand next = commands.next();
    EXPECT_TRUE(next.reads);
    if (next.then.empty()) continue;
    ++modifies;
    const kv::KeyValueCommand write = decoded(next.then);
    EXPECT_EQ(write.operation, kv::Operation::kPut);
    EXPECT_EQ(write.key, decoded(next.payload).key);
    EXPECT_EQ(write.value.size(), 16u);
  }
  EXPECT_NEAR(modifies, 500, 64);
}

TEST(MixedCommands, ScansAreOfRecordsInARowThatAreThere) {
  CommandMix mix = workload("E");
  mix.keys = 200;
  const Zipf zipf(mix.keys, *mix.zipf_theta);
  InsertedRecords inserted;
  MixedCommands commands({}, mix, &zipf, &inserted);
  const auto number_of = [](std::string_view key) {
    EXPECT_THAT(std::string(key), StartsWith("record"));
    return std::stoull(std::string(key.substr(6)));
  };

  std::map<std::size_t, int> sizes;
  std::uint64_t there = mix.keys;
  bool read_an_inserted_one = false;
  for (int i = 0; i < 10'000; ++i) {
    const MixedCommand next = commands.next();
    const kv::KeyValueCommand command = decoded(next.payload);
    EXPECT_EQ(next.reads, !next.inserts.has_value());
    if (!next.reads) {
      EXPECT_EQ(command.operation, kv::Operation::kPut);
      EXPECT_EQ(number_of(command.key), there) << "behind the last one";
      inserted.inserted(*next.inserts);
      ++there;
      continue;
    }
    ASSERT_EQ(command.operation, kv::Operation::kMultiGet);
    const std::uint64_t first = number_of(command.entries.front().first);
    for (std::size_t at = 0; at < command.entries.size(); ++at) {
      EXPECT_EQ(number_of(command.entries[at].first), first + at);
    }
    const std::uint64_t last = first + command.entries.size() - 1;
    EXPECT_LT(last, there);
    read_an_inserted_one |= last >= mix.keys;
    ++sizes[command.entries.size()];
  }

  EXPECT_TRUE(read_an_inserted_one);
  EXPECT_EQ(sizes.size(), 100u);
  EXPECT_EQ(sizes.begin()->first, 1u);
  EXPECT_EQ(sizes.rbegin()->first, 100u);
  EXPECT_NEAR(static_cast<double>(there - mix.keys), 500, 100);
}

TEST(MixedCommands, TheLatestRecordsAreThoseThatAreThere) {
  CommandMix mix = workload("D");
  mix.keys = 1000;
  const Zipf zipf(mix.keys, *mix.zipf_theta);
  InsertedRecords inserted;
  MixedCommands one({.seed = 1}, mix, &zipf, &inserted);
  MixedCommands other({.seed = 2}, mix, &zipf, &inserted);
  const auto number_of = [](const MixedCommand& command) {
    const std::string_view key = decoded(command.payload).key;
    EXPECT_THAT(std::string(key), StartsWith("record"));
    return std::stoull(std::string(key.substr(6)));
  };

  std::set<std::uint64_t> inserts;
  std::uint64_t newest = mix.keys - 1;
  int newest_reads = 0;
  int reads = 0;
  for (int i = 0; i < 10'000; ++i) {
    const MixedCommand next = (i % 2 == 0 ? one : other).next();
    const std::uint64_t number = number_of(next);
    EXPECT_EQ(next.inserts.has_value(), !next.reads);
    if (next.reads) {
      ++reads;
      newest_reads += number == newest;
      EXPECT_LE(number, newest) << "what nobody has inserted yet";
      EXPECT_GT(number + mix.keys, newest) << "one of the last thousand";
    } else {
      EXPECT_TRUE(inserts.insert(number).second) << "inserted twice";
      if (number % 3 == 0) continue;  // It fails: not there, unless a later one is.
      inserted.inserted(*next.inserts);
      newest = number;
    }
  }

  EXPECT_EQ(*inserts.begin(), mix.keys);
  EXPECT_EQ(*inserts.rbegin() - mix.keys + 1, inserts.size()) << "one number after the other";
  const double share = 1 / Zipf::zeta(mix.keys, *mix.zipf_theta);
  EXPECT_NEAR(newest_reads, share * reads, 4 * std::sqrt(share * reads));
}

TEST(InsertedRecords, ALateOneDoesNotTakeTheCountBack) {
  InsertedRecords inserted;
  EXPECT_EQ(inserted.take(), 0u);
  EXPECT_EQ(inserted.take(), 1u);
  EXPECT_EQ(inserted.count(), 0u);
  inserted.inserted(1);
  inserted.inserted(0);
  EXPECT_EQ(inserted.count(), 2u);
}

}  // namespace
}  // namespace epaxos::bench
