#include "compare/log/entry.h"

#include <cstring>

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

constexpr Members kSome{ReplicaSet::all(3), ReplicaSet::all(2), ReplicaSet::only(ReplicaId(3))};

TEST(Entry, WhoBelongsToTheGroupIsReadBackAndIsNoCommand) {
  const std::vector<std::byte> bytes = members_entry(7, kSome);
  Bytes rest = bytes;
  Entry entry;
  Members heard;

  ASSERT_TRUE(take_entry(rest, 4, entry));

  EXPECT_TRUE(rest.empty());
  EXPECT_EQ(entry.kind, EntryKind::kMembers);
  EXPECT_EQ(entry.round, 7u);
  EXPECT_TRUE(entry.origin.is_nobody()) << "so it is never executed";
  ASSERT_TRUE(members_of(bytes, heard));
  EXPECT_EQ(heard, kSome);
  EXPECT_FALSE(members_of(nop_of(7), heard));
  EXPECT_FALSE(members_of(entry_of(7, ReplicaId(0), 1), heard));
}

TEST(Entry, RefusesMembersThatCannotBe) {
  const auto refused = [](std::uint64_t number, int replicas = 4) {
    std::vector<std::byte> bytes = members_entry(1, kSome);
    std::memcpy(bytes.data() + kEntryHeaderBytes, &number, sizeof number);
    Bytes rest = bytes;
    Entry entry;
    return !take_entry(rest, replicas, entry);
  };
  EXPECT_FALSE(refused(packed(kSome)));
  EXPECT_TRUE(refused(packed(kSome), 3)) << "there is no fourth replica";
  EXPECT_TRUE(refused(0)) << "nobody votes";
  EXPECT_TRUE(refused(packed({{}, ReplicaSet::all(2), {}}))) << "nobody would vote";
  EXPECT_TRUE(refused(packed({ReplicaSet::all(2), {}, ReplicaSet::all(1)}))) << "a voter learns";
  EXPECT_TRUE(refused(packed(kSome) | std::uint64_t{1} << 27)) << "bits that mean nothing";
}

TEST(Entry, RefusesEveryOtherKindAndEveryOtherSizeOfMembers) {
  const std::vector<std::byte> good = members_entry(1, kSome);
  const auto refused = [&](std::size_t at, std::byte value) {
    std::vector<std::byte> bad = good;
    bad[at] = value;
    Bytes rest = bad;
    Entry entry;
    return !take_entry(rest, 4, entry);
  };
  EXPECT_TRUE(refused(26, std::byte{2})) << "a kind of the future";
  EXPECT_TRUE(refused(26, std::byte{0})) << "a Nop with a block";
  EXPECT_TRUE(refused(28, std::byte{0})) << "nothing is said";
  EXPECT_TRUE(refused(24, std::byte{1})) << "nobody's";
  EXPECT_TRUE(refused(16, std::byte{1})) << "a command of somebody";
  for (std::size_t size = 0; size < good.size(); ++size) {
    Bytes cut = Bytes(good).first(size);
    Entry entry;
    EXPECT_FALSE(take_entry(cut, 4, entry)) << size;
  }
}

}  // namespace
}  // namespace epaxos::compare
