// What an image says that it covers, as bytes: nothing is lost, and nothing that makes no sense
// gets in. Source: protocol.md 14.4.

#include <gtest/gtest.h>

#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/message_codec.h"
#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

Footprint two_keys() {
  Footprint footprint = Footprint::write("w");
  footprint.merge(Footprint::read("r"));
  return footprint;
}

/// Every field another value.
Coverage full() {
  Coverage coverage;
  coverage.floor = {1, 2, 3};
  coverage.executed = {4, 2, 9};
  coverage.instances = {{id(kA, 2), false, Footprint::write("x")},
                        {id(kA, 6), false, Footprint::everything()},
                        {id(kB, 7), true, std::nullopt},
                        {id(kC, 4), true, Footprint::read("y")},
                        {id(kC, 11), false, two_keys()}};
  return coverage;
}

bool refused(const Coverage& coverage, int rows = 3) {
  const Result<Coverage> decoded = decode_coverage(Subject::coded(coverage), rows);
  return !decoded && decoded.error().code == ErrorCode::kMalformed;
}

TEST(CoverageCodec, KeepsEveryField) {
  const Result<Coverage> decoded = decode_coverage(Subject::coded(full()), 3);

  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, full());
}

TEST(CoverageCodec, KeepsAnEmptyOneOfEverySize) {
  for (int rows = 1; rows <= kReplicasMax; ++rows) {
    const Coverage empty{Dependencies(rows), Dependencies(rows), {}};
    const Result<Coverage> decoded = decode_coverage(Subject::coded(empty), rows);
    ASSERT_TRUE(decoded) << rows;
    EXPECT_EQ(*decoded, empty);
  }
}

TEST(CoverageCodec, KeepsTheLargestSlots) {
  Coverage large;
  large.floor = {0, kSlotMax};
  large.executed = {0, kSlotMax};
  large.instances = {{id(kA, kSlotMax), true, std::nullopt}};

  const Result<Coverage> decoded = decode_coverage(Subject::coded(large), 2);

  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, large);
}

TEST(CoverageCodec, AppendsToWhatIsThere) {
  std::vector<std::byte> out(3, std::byte{7});
  encode(full(), out);

  const std::vector<std::byte> alone = Subject::coded(full());
  ASSERT_EQ(out.size(), alone.size() + 3);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), out.begin() + 3));
}

TEST(CoverageCodec, ReadsBytesOfAnyAlignment) {
  const std::vector<std::byte> bytes = Subject::coded(full());
  for (std::size_t offset = 0; offset < 8; ++offset) {
    std::vector<std::byte> shifted(offset);
    shifted.insert(shifted.end(), bytes.begin(), bytes.end());
    const Result<Coverage> decoded = decode_coverage(Bytes(shifted).subspan(offset), 3);
    ASSERT_TRUE(decoded) << offset;
    EXPECT_EQ(*decoded, full());
  }
}

TEST(CoverageCodec, RefusesAnotherClusterSize) {
  EXPECT_TRUE(refused(full(), 2));
  EXPECT_TRUE(refused(full(), 4));
}

TEST(CoverageCodec, RefusesAFloorAboveWhatIsExecuted) {
  Coverage coverage = full();
  coverage.floor[kB] = Slot(3);
  EXPECT_TRUE(refused(coverage));
}

// The floor went up while they were listed.
TEST(CoverageCodec, LeavesOutInstancesAtOrBelowTheFloor) {
  Coverage coverage = full();
  coverage.instances.front().id.slot = Slot(1);
  const Result<Coverage> decoded = decode_coverage(Subject::coded(coverage), 3);

  ASSERT_TRUE(decoded);
  coverage.instances.erase(coverage.instances.begin());
  EXPECT_EQ(*decoded, coverage);
}

TEST(CoverageCodec, KeepsInstancesOfManyParts) {
  Coverage coverage{{0, 0, 0}, {5000, 0, 0}, {}};
  for (std::uint64_t slot = 1; slot <= 5000; ++slot) {
    coverage.instances.push_back({id(kA, slot), false, Footprint::write("x")});
  }
  const Result<Coverage> decoded = decode_coverage(Subject::coded(coverage), 3);

  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, coverage);
}

TEST(CoverageCodec, RefusesInstancesOutOfOrderOrTwice) {
  Coverage swapped = full();
  std::swap(swapped.instances[0], swapped.instances[1]);
  EXPECT_TRUE(refused(swapped));

  Coverage twice = full();
  twice.instances.insert(twice.instances.begin(), twice.instances.front());
  EXPECT_TRUE(refused(twice));
}

TEST(CoverageCodec, RefusesRowsAndSlotsThatDoNotExist) {
  Coverage row = full();
  row.instances.back().id.row = kD;
  EXPECT_TRUE(refused(row));

  Coverage zero = full();
  zero.floor = {0, 0, 0};
  zero.instances.front().id.slot = Slot();
  EXPECT_TRUE(refused(zero));

  Coverage beyond = full();
  beyond.instances.back().id.slot = Slot(kSlotMax + 1);
  EXPECT_TRUE(refused(beyond));

  Coverage executed = full();
  executed.executed[kB] = Slot(kSlotMax + 1);
  EXPECT_TRUE(refused(executed));
}

TEST(CoverageCodec, RefusesACommandOfWhichNobodyKnowsWhatItTouches) {
  Coverage coverage = full();
  coverage.instances.front().footprint.reset();
  EXPECT_TRUE(refused(coverage));
}

TEST(CoverageCodec, RefusesAnotherLength) {
  const std::vector<std::byte> bytes = Subject::coded(full());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_coverage(Bytes(bytes).first(size), 3)) << size;
  }
  for (std::size_t more = 1; more <= 16; ++more) {
    std::vector<std::byte> longer = bytes;
    longer.resize(bytes.size() + more);
    EXPECT_FALSE(decode_coverage(longer, 3)) << more;
  }
}

TEST(CoverageCodec, WhatOneChangedBitMakesIsRefusedOrSound) {
  const std::vector<std::byte> bytes = Subject::coded(full());
  int refusals = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> changed = bytes;
    changed[bit / 8] ^= std::byte(1u << (bit % 8));
    const Result<Coverage> decoded = decode_coverage(changed, 3);
    if (!decoded) {
      ++refusals;
      continue;
    }
    const Result<Coverage> again = decode_coverage(Subject::coded(*decoded), 3);
    ASSERT_TRUE(again) << bit;
    EXPECT_EQ(*again, *decoded) << bit;
  }
  EXPECT_GT(refusals, 500);
}

TEST(CoverageCodec, RandomBytesAreRefused) {
  std::uint64_t random = 1;
  for (int i = 0; i < 20'000; ++i) {
    random = mix64(random);
    std::vector<std::byte> bytes(random % 200);
    for (std::byte& byte : bytes) {
      random = mix64(random);
      byte = std::byte(random & 0xff);
    }
    EXPECT_FALSE(decode_coverage(bytes, 3));
  }
}

TEST(CoverageCodec, RandomTailsOfASoundOneNeverCrash) {
  const std::vector<std::byte> sound = Subject::coded(full());
  std::uint64_t random = 2;
  int refusals = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes = sound;
    random = mix64(random);
    const std::size_t at = random % bytes.size();
    random = mix64(random);
    bytes[at] = std::byte(random & 0xff);
    random = mix64(random);
    bytes[random % bytes.size()] = std::byte(0xff);
    if (!decode_coverage(bytes, 3)) ++refusals;
  }
  EXPECT_GT(refusals, 5'000);
}

}  // namespace
}  // namespace epaxos::protocol
