// What commands touch, and when their order matters: protocol.md 2.

#include "deps/types/footprint.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos {
namespace {

/// The accesses as a map from key to "written".
std::map<std::uint64_t, bool> model_of(const std::vector<Access>& accesses) {
  std::map<std::uint64_t, bool> model;
  for (const Access access : accesses) model[access.key()] |= access.writes();
  return model;
}

std::map<std::uint64_t, bool> model_of(const Footprint& footprint) {
  const auto accesses = footprint.accesses();
  return model_of(std::vector<Access>(accesses.begin(), accesses.end()));
}

/// Few keys, so that they meet.
std::vector<Access> random_accesses(std::mt19937_64& random, std::size_t most) {
  std::vector<Access> accesses(random() % (most + 1));
  for (Access& access : accesses) {
    const std::uint64_t key = random() % 12 * 2;
    access = random() % 2 == 0 ? Access::read(key) : Access::write(key);
  }
  return accesses;
}

// A cluster whose members hash differently executes in different orders, so these never change.
TEST(HashKey, IsThatOfTheWireVersion) {
  EXPECT_EQ(hash_key(""), 0x0275a1a590a4ac42u);
  EXPECT_EQ(hash_key("key"), 0x17712a52eb02824au);
  EXPECT_NE(hash_key("a"), hash_key(std::string_view("a\0", 2)));
}

TEST(Access, KeepsItsKeyAndWhetherItWrites) {
  const std::uint64_t key = hash_key("key") & ~std::uint64_t{1};
  EXPECT_EQ(Access::read(key).key(), key);
  EXPECT_EQ(Access::write(key).key(), key);
  EXPECT_FALSE(Access::read(key).writes());
  EXPECT_TRUE(Access::write(key).writes());
  EXPECT_EQ(Access::read(key | 1), Access::read(key)) << "the lowest bit is not the key's";
  EXPECT_EQ(Access::from_packed(Access::write(key).packed()), Access::write(key));
}

TEST(Footprint, AWriteSwallowsAReadOfTheSameKey) {
  Footprint footprint{Access::read(2), Access::write(2), Access::read(2)};

  EXPECT_EQ(footprint, Footprint{Access::write(2)});
  EXPECT_TRUE(footprint.writes());
  footprint.clear();
  EXPECT_TRUE(footprint.empty());
}

TEST(Footprint, EverythingSwallowsAll) {
  Footprint footprint{Access::read(2)};
  footprint.merge(Footprint::everything());

  EXPECT_TRUE(footprint.is_everything());
  EXPECT_TRUE(footprint.writes());
  EXPECT_FALSE(footprint.empty());
  EXPECT_TRUE(footprint.accesses().empty());
  footprint.add(Access::write(4));
  EXPECT_EQ(footprint, Footprint::everything());
  EXPECT_NE(Footprint(), Footprint::everything());
}

// Up to four keys lie inline and more do not; every way of making one must agree across that edge.
TEST(Footprint, IsTheSameSetHoweverItWasMade) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 5'000; ++round) {
    const std::vector<Access> first = random_accesses(random, 8);
    const std::vector<Access> second = random_accesses(random, 8);
    std::vector<Access> both = first;
    both.insert(both.end(), second.begin(), second.end());

    Footprint added;
    for (const Access access : both) added.add(access);
    Footprint merged = Footprint::of(first);
    merged.merge(Footprint::of(second));

    ASSERT_EQ(model_of(added), model_of(both));
    ASSERT_EQ(added, Footprint::of(both));
    ASSERT_EQ(added, merged);
    ASSERT_EQ(added, Footprint::of_sorted(added.accesses()));
    ASSERT_EQ(added.accesses().size(), model_of(both).size());
    ASSERT_EQ(added.empty(), both.empty());
  }
}

TEST(Footprint, ConflictsWhereAKeyIsSharedThatOneWrites) {
  std::mt19937_64 random(5);
  int conflicting = 0;
  for (int round = 0; round < 5'000; ++round) {
    const Footprint a = Footprint::of(random_accesses(random, 6));
    const Footprint b = Footprint::of(random_accesses(random, 6));
    bool expected = false;
    const auto theirs = model_of(b);
    for (const auto& [key, written] : model_of(a)) {
      const auto found = theirs.find(key);
      if (found != theirs.end() && (written || found->second)) expected = true;
    }
    ASSERT_EQ(conflicts(a, b), expected);
    ASSERT_EQ(conflicts(b, a), expected);
    conflicting += expected ? 1 : 0;
  }
  EXPECT_GT(conflicting, 500);
  EXPECT_LT(conflicting, 4'500);
}

TEST(Footprint, EverythingConflictsWithWhateverTouchesAnything) {
  const Footprint everything = Footprint::everything();
  EXPECT_TRUE(conflicts(everything, everything));
  EXPECT_TRUE(conflicts(everything, Footprint::read("k")));
  EXPECT_TRUE(conflicts(Footprint::read("k"), everything));
  EXPECT_FALSE(conflicts(everything, Footprint()));
  EXPECT_FALSE(conflicts(Footprint(), Footprint()));
}

}  // namespace
}  // namespace epaxos
