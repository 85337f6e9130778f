#include "compare/log/entry.h"

#include <gtest/gtest.h>

#include "tests/compare/log/support.h"

namespace epaxos::compare {
namespace {

TEST(Entry, ReadsWhatWasWrittenAndTakesItOffTheFront) {
  const std::vector<std::byte> block = block_of("x");
  std::vector<std::byte> bytes = encoded({7, {ReplicaId(2), 5, 9}, block});
  const std::vector<std::byte> nop = nop_of(8);
  bytes.insert(bytes.end(), nop.begin(), nop.end());
  Bytes rest = bytes;

  Entry first;
  Entry second;
  ASSERT_TRUE(take_entry(rest, 3, first));
  ASSERT_TRUE(take_entry(rest, 3, second));

  EXPECT_EQ(first.round, 7u);
  EXPECT_EQ(first.origin, (Origin{ReplicaId(2), 5, 9}));
  EXPECT_TRUE(std::ranges::equal(first.block, block));
  EXPECT_TRUE(second.origin.is_nobody());
  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(round_of(nop), 8u);
}

TEST(Entry, RefusesEveryTruncation) {
  const std::vector<std::byte> bytes = entry_of(1, ReplicaId(0), 1);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Bytes cut = Bytes(bytes).first(size);
    Entry entry;
    EXPECT_FALSE(take_entry(cut, 3, entry)) << size;
  }
}

TEST(Entry, RefusesAProposerOutsideOfTheGroupAndANopWithCommands) {
  const std::vector<std::byte> good = entry_of(1, ReplicaId(2), 1);
  const auto refused = [&](std::size_t at, std::byte value) {
    std::vector<std::byte> bad = good;
    bad[at] = value;
    Bytes rest = bad;
    Entry entry;
    return !take_entry(rest, 3, entry);
  };
  EXPECT_TRUE(refused(24, std::byte{3})) << "there is no fourth replica";
  EXPECT_TRUE(refused(26, std::byte{1})) << "this field is zero";
  EXPECT_TRUE(refused(16, std::byte{0})) << "the sequence number 0 is a Nop's";
  EXPECT_TRUE(refused(8, std::byte{0})) << "no life is 0";
  EXPECT_FALSE(refused(0, std::byte{9}));
}

}  // namespace
}  // namespace epaxos::compare
