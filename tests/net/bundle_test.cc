#include "net/bundle.h"

#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::net {
namespace {

BundleIdentity identity(std::uint16_t self) {
  BundleIdentity identity;
  identity.cluster.fill(std::byte{0x5a});
  identity.self = ReplicaId(self);
  identity.incarnation = 7;
  identity.configuration_hash = 0xc0ffee;
  identity.durable_at_start = 40;
  return identity;
}

std::vector<std::byte> body(std::size_t bytes, unsigned char fill = 1) {
  return std::vector<std::byte>(bytes, std::byte{fill});
}

Frame frame(Bytes bytes, FrameType type = 3) {
  return {.group = GroupId(2), .epoch = Epoch(9), .type = type, .body = bytes};
}

/// A bundle of replica 1 for replica 0 with one frame a body.
std::vector<std::byte> bundle(const std::vector<std::vector<std::byte>>& bodies,
                              BundleIdentity from = identity(1), ReplicaId to = ReplicaId(0)) {
  BundleWriter writer;
  writer.start(from, to, 42);
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    writer.append(frame(bodies[i], static_cast<FrameType>(i)));
  }
  const Bytes bytes = writer.bytes();
  return {bytes.begin(), bytes.end()};
}

std::optional<Refusal> verdict(Bytes bytes, std::uint16_t self = 0) {
  BundleReader reader(identity(self), 3);
  return reader.open(bytes);
}

/// Makes the envelope of a tampered bundle right again, so that what lies behind it is reached.
void reseal(std::vector<std::byte>& bytes) {
  seal(bytes, kBundleMagic, identity(1).cluster);
}

template <class T>
void overwrite(std::vector<std::byte>& bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

constexpr std::size_t kFirstFrame = kBundleHeaderBytes;

TEST(Bundle, WhatWasWrittenIsRead) {
  const std::vector<std::vector<std::byte>> bodies = {body(8, 1), body(0), body(4096, 3)};
  const auto bytes = bundle(bodies);

  BundleReader reader(identity(0), 3);
  ASSERT_EQ(reader.open(bytes), std::nullopt);

  EXPECT_EQ(reader.header().from, ReplicaId(1));
  EXPECT_EQ(reader.header().incarnation, 7U);
  EXPECT_EQ(reader.header().durable_sequence, 42U);
  EXPECT_EQ(reader.header().durable_at_start, 40U);
  EXPECT_EQ(reader.header().frame_count, 3U);
  Frame got;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    ASSERT_TRUE(reader.next(got));
    EXPECT_EQ(got.type, i);
    EXPECT_EQ(got.group, GroupId(2));
    EXPECT_EQ(got.epoch, Epoch(9));
    EXPECT_TRUE(std::equal(got.body.begin(), got.body.end(), bodies[i].begin(), bodies[i].end()));
  }
  EXPECT_FALSE(reader.next(got));
}

TEST(Bundle, TheWriterIsUsedAgainWithoutTracesOfTheBundleBefore) {
  BundleWriter writer;
  writer.start(identity(1), ReplicaId(2), 1);
  writer.append(frame(body(65536, 9)));
  (void)writer.bytes();

  writer.start(identity(1), ReplicaId(0), 42);
  const auto small = body(8, 1);
  writer.append(frame(small, 0));
  const Bytes again = writer.bytes();

  const auto expected = bundle({small});
  EXPECT_TRUE(std::equal(again.begin(), again.end(), expected.begin(), expected.end()));
}

TEST(Bundle, EveryAlignmentIsReadAndBodiesAreAligned) {
  const auto bytes = bundle({body(24), body(8)});
  for (std::size_t offset = 0; offset < 8; ++offset) {
    std::vector<std::byte> memory(bytes.size() + 16);
    std::copy(bytes.begin(), bytes.end(), memory.begin() + static_cast<std::ptrdiff_t>(offset));

    BundleReader reader(identity(0), 3);
    ASSERT_EQ(reader.open(Bytes(memory).subspan(offset, bytes.size())), std::nullopt) << offset;

    Frame got;
    while (reader.next(got)) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(got.body.data()) % 8, 0U) << offset;
    }
  }
}

TEST(Bundle, EveryTruncationIsRefused) {
  const auto bytes = bundle({body(40), body(8)});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto refusal = verdict(Bytes(bytes).first(size));
    ASSERT_TRUE(refusal.has_value()) << size;
    const bool short_one = size < kBundleHeaderBytes;
    EXPECT_EQ(*refusal, short_one ? Refusal::kTooShort : Refusal::kWrongLength) << size;
  }
}

TEST(Bundle, EveryFlippedBitIsRefused) {
  const auto bytes = bundle({body(40), body(8)});
  RefusalCounters counters;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto refusal = verdict(flipped);
    ASSERT_TRUE(refusal.has_value()) << "bit " << bit;
    counters.count(*refusal);
  }
  EXPECT_EQ(counters[Refusal::kWrongMagic], 32U);
  EXPECT_EQ(counters[Refusal::kWrongVersion], 16U);
  EXPECT_EQ(counters[Refusal::kWrongLength], 64U);
  EXPECT_EQ(counters[Refusal::kWrongChecksum], bytes.size() * 8 - 112);
}

TEST(Bundle, AppendedBytesAreRefused) {
  auto bytes = bundle({body(8)});
  bytes.resize(bytes.size() + 8);
  EXPECT_EQ(verdict(bytes), Refusal::kWrongLength);
  reseal(bytes);
  EXPECT_EQ(verdict(bytes), Refusal::kBadFrame);
}

TEST(Bundle, AnotherClusterReceiverSenderOrConfigurationIsNamed) {
  BundleIdentity other_cluster = identity(1);
  other_cluster.cluster[3] = std::byte{0};
  EXPECT_EQ(verdict(bundle({body(8)}, other_cluster)), Refusal::kWrongCluster);

  EXPECT_EQ(verdict(bundle({body(8)}, identity(1), ReplicaId(2))), Refusal::kWrongReceiver);
  EXPECT_EQ(verdict(bundle({body(8)}, identity(3))), Refusal::kWrongSender) << "n = 3";
  EXPECT_EQ(verdict(bundle({body(8)}, identity(0))), Refusal::kWrongSender) << "itself";

  BundleIdentity other_configuration = identity(1);
  other_configuration.configuration_hash = 1;
  EXPECT_EQ(verdict(bundle({body(8)}, other_configuration)), Refusal::kWrongConfiguration);
}

TEST(Bundle, WhoRunsWithAnotherFileIsKnownAndNobodyElse) {
  BundleIdentity other_cluster = identity(1);
  other_cluster.cluster[3] = std::byte{0};
  BundleIdentity other_configuration = identity(2);
  other_configuration.configuration_hash = 1;
  BundleReader reader(identity(0), 3);
  const auto stranger = [&](const std::vector<std::byte>& bytes) {
    [[maybe_unused]] const auto refusal = reader.open(bytes);
    return reader.stranger();
  };
  EXPECT_EQ(stranger(bundle({body(8)}, other_cluster)), ReplicaId(1));
  EXPECT_EQ(stranger(bundle({body(8)}, other_configuration)), ReplicaId(2));

  EXPECT_EQ(stranger(bundle({body(8)})), std::nullopt) << "it belongs here";
  EXPECT_EQ(stranger(bundle({body(8)}, other_cluster, ReplicaId(2))), std::nullopt);
  other_cluster.self = ReplicaId(7);
  EXPECT_EQ(stranger(bundle({body(8)}, other_cluster)), std::nullopt) << "n = 3";
  EXPECT_EQ(stranger(body(8)), std::nullopt);
}

TEST(Bundle, AnotherVersionIsNamedBeforeItsChecksumIsJudged) {
  auto bytes = bundle({body(8)});
  overwrite<std::uint16_t>(bytes, offsetof(Envelope, version), kWireVersion + 1);
  EXPECT_EQ(verdict(bytes), Refusal::kWrongVersion);
}

TEST(Bundle, FramesThatDoNotFillItExactlyAreRefusedUnderAValidChecksum) {
  const auto good = bundle({body(16), body(8)});
  const auto tampered = [&](std::size_t offset, std::uint32_t value) {
    auto bytes = good;
    overwrite(bytes, offset, value);
    reseal(bytes);
    return verdict(bytes);
  };

  EXPECT_EQ(tampered(kFirstFrame, 24), Refusal::kBadFrame) << "runs into the next frame";
  EXPECT_EQ(tampered(kFirstFrame, 12), Refusal::kBadFrame) << "no multiple of 8";
  EXPECT_EQ(tampered(kFirstFrame, 0xfffffff8), Refusal::kBadFrame) << "beyond the end";
  EXPECT_EQ(tampered(kFirstFrame + 12, 1), Refusal::kBadFrame) << "the reserved field";
  EXPECT_EQ(tampered(sizeof(Envelope) + 4, 1), Refusal::kBadFrame) << "fewer frames said";
  EXPECT_EQ(tampered(sizeof(Envelope) + 4, 0xffffffff), Refusal::kBadFrame) << "more frames said";
}

TEST(Bundle, ItClosesAt256KibButTakesOneLargerFrameAlone) {
  BundleWriter writer;
  writer.start(identity(1), ReplicaId(0), 0);
  const auto large = body(kBundleCloseBytes);
  EXPECT_TRUE(writer.fits(frame(large)));
  const auto small = body(1000);
  while (writer.fits(frame(small))) writer.append(frame(small));
  EXPECT_FALSE(writer.fits(frame(large)));
  EXPECT_LE(writer.bytes().size(), kBundleCloseBytes);
  EXPECT_GT(writer.bytes().size(), kBundleCloseBytes - 2000);

  writer.start(identity(1), ReplicaId(0), 0);
  writer.append(frame(large));
  EXPECT_FALSE(writer.fits(frame(small)));
  EXPECT_EQ(verdict(writer.bytes()), std::nullopt);
}

TEST(Bundle, TheLargestBodyTravelsAndALargerOneDoesNotFit) {
  BundleWriter writer;
  writer.start(identity(1), ReplicaId(0), 0);
  const auto largest = body(kFrameBodyBytesMax);
  ASSERT_TRUE(writer.fits(frame(largest)));
  EXPECT_FALSE(writer.fits(frame(body(kFrameBodyBytesMax + 8))));
  writer.append(frame(largest));
  EXPECT_EQ(writer.bytes().size(), kBundleBytesMax);
  EXPECT_EQ(verdict(writer.bytes()), std::nullopt);

  EXPECT_EQ(verdict(body(kBundleBytesMax + 8)), Refusal::kTooLarge);
}

TEST(Bundle, ARefusedBundleShowsNoFrame) {
  const auto good = bundle({body(8)});
  auto bad = good;
  bad.back() ^= std::byte{1};
  BundleReader reader(identity(0), 3);
  ASSERT_EQ(reader.open(good), std::nullopt);

  EXPECT_EQ(reader.open(bad), Refusal::kWrongChecksum);

  Frame got;
  EXPECT_FALSE(reader.next(got));
}

TEST(Bundle, RandomBytesUnderAValidEnvelopeNeverEscapeTheirBundle) {
  std::mt19937_64 random(1);
  const auto good = bundle({body(16), body(8), body(64)});
  for (int round = 0; round < 100'000; ++round) {
    auto bytes = good;
    for (std::uint64_t changes = random() % 4 + 1; changes > 0; --changes) {
      bytes[sizeof(Envelope) + random() % (bytes.size() - sizeof(Envelope))] =
          static_cast<std::byte>(random());
    }
    reseal(bytes);
    BundleReader reader(identity(0), 3);
    if (reader.open(bytes)) continue;
    std::size_t total = kBundleHeaderBytes;
    Frame got;
    while (reader.next(got)) total += kFrameHeaderBytes + got.body.size();
    ASSERT_EQ(total, bytes.size()) << "round " << round;
  }
}

TEST(BundleDeathTest, AFrameThatDoesNotFitIsABug) {
  BundleWriter writer;
  writer.start(identity(1), ReplicaId(0), 0);
  EXPECT_DEATH(writer.append(frame(body(12))), "multiple of 8");
  (void)writer.bytes();
  EXPECT_DEATH(writer.append(frame(body(8))), "sealed");
}

TEST(Refusals, EachHasANameOfItsOwn) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < kRefusals; ++i) {
    names.push_back(to_string(static_cast<Refusal>(i)));
    EXPECT_NE(names.back(), "unknown") << i;
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace epaxos::net
