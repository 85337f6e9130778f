// Images of the key-value machine: the state of one moment, whatever happens while they are read.

#include <array>
#include <gmock/gmock.h>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "executor/image.h"
#include "executor/key_value_machine.h"
#include "tests/executor/image_support.h"

namespace epaxos::testing_images {
namespace {

using MachineImage = WatchedImage<KeyValueMachine>;
using ::testing::HasSubstr;

void change(KeyValueMachine& machine, const kv::Payload& payload) {
  const Command command{{1, 1}, 0, false, payload};
  Replies replies;
  machine.apply({&command, 1}, replies);
}

void put_many(KeyValueMachine& machine, int keys, std::size_t value_bytes) {
  for (int i = 0; i < keys; ++i) {
    change(machine, kv::put("key " + std::to_string(i), std::string(value_bytes, 'v')));
  }
}

/// A command on one of few keys, so that the same entries change, go and come again and again.
kv::Payload random_command(std::mt19937_64& random) {
  const std::string key = "key " + std::to_string(random() % 60);
  const std::string value(random() % 200, static_cast<char>('a' + random() % 26));
  const std::string other = "key " + std::to_string(random() % 60);
  const std::array entries{kv::Entry{key, value}, kv::Entry{other, "other"}};
  switch (random() % 7) {
    case 0:
    case 1:
      return kv::put(key, value);
    case 2:
    case 3:
      return kv::erase(key);
    case 4:
      return kv::append(key, value);
    case 5:
      return kv::increment("counter" + std::to_string(random() % 3), 1);
    default:
      return kv::multi_put(entries);
  }
}

TEST(KeyValueImage, IsTheStateOfItsMomentWhateverHappensMeanwhile) {
  int read_to_the_end = 0;
  int ended_before = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const std::size_t piece_max = seed % 2 == 0 ? 50 : 2000;
    KeyValueMachine machine;
    std::optional<MachineImage> image;
    for (int step = 0; step < 1500; ++step) {
      change(machine, random_command(random));
      if (random() % 200 == 0) {
        if (image) ++ended_before;
        image.emplace(machine);
      }
      const std::size_t piece = random() % piece_max;
      if (!image || random() % 4 != 0 || image->read(piece)) continue;
      image.reset();
      ++read_to_the_end;
    }
    if (image) image->read_all(100);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(read_to_the_end, 100);
  EXPECT_GT(ended_before, 10);
}

TEST(KeyValueImage, OfAnEmptyStateIsAnEmptyState) {
  KeyValueMachine machine;
  MachineImage image(machine);
  change(machine, kv::put("later", "not in it"));

  EXPECT_FALSE(image.read(1000));

  change(machine, kv::erase("later"));
  MachineImage emptied(machine);
  emptied.read_all(1);
}

// Every change of a waiting entry keeps it, all of them at once if need be.
TEST(KeyValueImage, OfAStateThatIsGoneAtOnceIsStillWhole) {
  for (const std::size_t piece : {1u, 100u, 100'000'000u}) {
    KeyValueMachine machine;
    put_many(machine, 5000, 300);
    MachineImage image(machine);
    image.read(piece);
    for (int i = 0; i < 5000; ++i) change(machine, kv::erase("key " + std::to_string(i)));
    put_many(machine, 6000, 7);
    if (piece < 100'000'000) image.read_all(10'000);
    EXPECT_GT(image.text().size(), 5000u * 300);
  }
}

TEST(KeyValueImage, AnEntryMayBeLargerThanThePiece) {
  KeyValueMachine machine;
  const std::string key(kv::kKeyBytesMax, 'k');
  change(machine, kv::put(key, std::string(kv::kValueBytesMax, 'v')));
  change(machine, kv::put("small", "s"));
  const std::size_t entry = 8 + kv::kKeyBytesMax + kv::kValueBytesMax;
  MachineImage untouched(machine);
  untouched.read_all(10);
  EXPECT_LT(untouched.largest_piece(), 10 + entry);
  EXPECT_GE(untouched.largest_piece(), entry);

  MachineImage kept(machine);
  change(machine, kv::put(key, ""));
  kept.read_all(10);

  EXPECT_LE(kept.largest_piece(), 10 + entry);
}

TEST(KeyValueImage, ReadsEverythingAtOnceWhenAskedForAsMuchAsThereCanBe) {
  KeyValueMachine machine;
  put_many(machine, 1000, 100);
  MachineImage image(machine);
  EXPECT_TRUE(image.read(1));

  EXPECT_FALSE(image.read(~std::size_t{0}));
}

TEST(KeyValueImage, APieceIsBoundedHoweverManyEntriesThereAre) {
  constexpr int kEntries = 200'000;
  constexpr std::size_t kPiece = std::size_t{64} << 10;
  constexpr std::size_t kValueMax = 500;
  std::mt19937_64 random(3);
  KeyValueMachine machine;
  const auto key = [](std::uint64_t i) { return std::to_string(i); };
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    change(machine, kv::put(key(i), std::string(random() % kValueMax, 'v')));
  }

  MachineImage image(machine);
  int pieces = 0;
  while (image.read(kPiece)) {
    ++pieces;
    for (int i = 0; i < 300; ++i) {
      const std::uint64_t at = random() % kEntries;
      change(machine, random() % 2 == 0 ? kv::erase(key(at)) : kv::put(key(at), "changed"));
    }
  }

  EXPECT_LE(image.largest_piece(), kPiece + 8 + key(kEntries).size() + kValueMax);
  EXPECT_GT(pieces, 500);
}

TEST(KeyValueImage, EndsWhenAnotherIsTakenOrTheStateIsReplacedOrGone) {
  auto machine = std::make_unique<KeyValueMachine>();
  put_many(*machine, 100, 100);
  MachineImage first(*machine);
  EXPECT_TRUE(first.read(100));
  MachineImage second(*machine);
  EXPECT_THAT(why_it_ended(first.image()), HasSubstr("another was taken"));

  EXPECT_FALSE(load_from_text(*machine, "no state"));
  EXPECT_TRUE(second.read(100)) << "a load that fails changes nothing";
  ASSERT_TRUE(load_from_text(*machine, save_to_text(*machine)));
  EXPECT_THAT(why_it_ended(second.image()), HasSubstr("its state was replaced"));

  MachineImage third(*machine);
  change(*machine, kv::erase("key 1"));
  machine.reset();
  EXPECT_THAT(why_it_ended(third.image()), HasSubstr("is gone"));
}

TEST(KeyValueImage, LeavesTheMachineAloneWhenItGoesOrHasEnded) {
  KeyValueMachine machine;
  put_many(machine, 100, 100);
  auto left_early = std::make_unique<MachineImage>(machine);
  left_early->read(10);
  MachineImage last(machine);
  left_early.reset();
  change(machine, kv::put("key 1", "changed"));
  last.read_all(1000);
  const std::string text(last.text());

  change(machine, kv::put("key 2", "changed"));
  put_many(machine, 200, 10);

  std::vector<std::byte> more;
  const Result<bool> again = last.image().read(100, more);
  ASSERT_TRUE(again) << "an image that was read to its end did not fail";
  EXPECT_FALSE(*again);
  EXPECT_TRUE(more.empty());
  std::make_unique<MachineImage>(machine)->read(10);
  change(machine, kv::put("key 3", "changed"));
  EXPECT_EQ(machine.find("key 3"), "changed");
}

// --- What load() refuses -----------------------------------------------------------------------

std::string why_it_is_refused(std::string_view text) {
  KeyValueMachine machine;
  change(machine, kv::put("old", "stays"));
  const std::string before = save_to_text(machine);
  const Result<void> loaded = load_from_text(machine, text);
  EXPECT_FALSE(loaded);
  EXPECT_EQ(save_to_text(machine), before);
  return loaded ? "" : loaded.error().message;
}

/// An image of entries that were kept out of their order.
std::string unordered_image() {
  KeyValueMachine machine;
  put_many(machine, 4, 3);
  MachineImage image(machine);
  change(machine, kv::erase("key 3"));
  change(machine, kv::put("key 2", ""));
  image.read_all(7);
  EXPECT_NE(image.text().substr(16, 20), save_to_text(machine).substr(16, 20));
  return std::string(image.text());
}

TEST(KeyValueImage, WithAnyByteChangedOrMissingOrOneMoreIsRefused) {
  const std::string good = unordered_image();
  KeyValueMachine machine;
  ASSERT_TRUE(load_from_text(machine, good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    ASSERT_NE(why_it_is_refused(bad), "") << "byte " << i;
    ASSERT_NE(why_it_is_refused(good.substr(0, i)), "") << "cut at " << i;
  }

  EXPECT_THAT(why_it_is_refused(good + "x"), HasSubstr("is followed by bytes"));
  EXPECT_THAT(why_it_is_refused(good + good), HasSubstr("is followed by bytes"));
  EXPECT_THAT(why_it_is_refused(save_to_text(machine) + "x"), HasSubstr("is followed by bytes"));
}

/// A state that nobody saved, with a checksum that holds.
std::string forged(std::uint64_t count, const std::vector<kv::Entry>& entries) {
  std::vector<std::byte> bytes;
  executor::Appender to(bytes);
  to.bytes(bytes_of(std::string_view(save_to_text(KeyValueMachine())).substr(0, 8)));
  to.number(count);
  for (const auto& [key, value] : entries) {
    to.number(static_cast<std::uint32_t>(key.size()));
    to.number(static_cast<std::uint32_t>(value.size()));
    to.bytes(bytes_of(key));
    to.bytes(bytes_of(value));
  }
  executor::Checksum checksum;
  checksum.update(bytes);
  to.number(checksum.value());
  return std::string(text_of(bytes));
}

TEST(KeyValueImage, ThatHoldsWhatCannotBeIsRefusedThoughItsChecksumHolds) {
  KeyValueMachine machine;
  ASSERT_TRUE(load_from_text(machine, forged(2, {{"b", "1"}, {"a", "2"}})));
  EXPECT_EQ(machine.find("a"), "2");

  EXPECT_THAT(why_it_is_refused(forged(2, {{"a", "1"}, {"a", "2"}})), HasSubstr("a key twice"));
  EXPECT_NE(why_it_is_refused(forged(3, {{"a", "1"}, {"b", "2"}})), "");
  EXPECT_NE(why_it_is_refused(forged(1, {{"a", "1"}, {"b", "2"}})), "");
  const std::string long_key(kv::kKeyBytesMax + 1, 'k');
  const std::string long_value(kv::kValueBytesMax + 1, 'v');
  EXPECT_THAT(why_it_is_refused(forged(1, {{long_key, "1"}})), HasSubstr("over its limit"));
  EXPECT_THAT(why_it_is_refused(forged(1, {{"a", long_value}})), HasSubstr("over its limit"));
}

}  // namespace
}  // namespace epaxos::testing_images
