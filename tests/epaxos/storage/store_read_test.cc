// Single records, read while the store runs: what is durable and nothing else, also while the
// writer thread makes partitions, drops rows and moves the map.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "epaxos/storage/lmdb_store.h"
#include "tests/epaxos/storage/record_model.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

using testing::HasSubstr;

TEST(StoreRead, GivesValuesOfEverySizeAndNothingWhereThereIsNone) {
  const TemporaryDirectory directory(memory_root());
  const auto held = open_directory(directory.path());
  const auto store = must(LmdbStore::open(*held));
  const std::string large(512 * 1024, 'L');
  store->submit(BatchBuilder(1)
                    .put(key_of(1, 0, 1), "small")
                    .put(key_of(1, 0, 2), "")
                    .put(key_of(1, 0, 3), large)
                    .effects());
  ASSERT_TRUE(wait_durable(*store, 1)) << store->error();

  EXPECT_EQ(must(read_text(*store, key_of(1, 0, 1))), "small");
  EXPECT_EQ(must(read_text(*store, key_of(1, 0, 2))), "");
  EXPECT_EQ(must(read_text(*store, key_of(1, 0, 3))), large);
  EXPECT_EQ(must(read_text(*store, key_of(1, 0, 4))), std::nullopt);
  EXPECT_EQ(must(read_text(*store, key_of(1, 0, 1, 1))), std::nullopt);
  EXPECT_EQ(must(read_text(*store, key_of(2, 0, 1))), std::nullopt) << "there is no partition";
  EXPECT_EQ(must(read_text(*store, key_of(kRecordKindMax + 1, 0, 1))), std::nullopt);
  EXPECT_EQ(must(read_text(*store, key_of(1, kReplicasMax, 1))), std::nullopt);
}

TEST(StoreRead, LeavesTheCallersValueWhenThereIsNone) {
  const TemporaryDirectory directory(memory_root());
  const auto held = open_directory(directory.path());
  const auto store = must(LmdbStore::open(*held));
  std::vector<std::byte> value(3, std::byte{7});

  EXPECT_FALSE(must(store->read(key_of(1, 0, 1), value)));

  EXPECT_EQ(value, std::vector<std::byte>(3, std::byte{7}));
}

TEST(StoreRead, AfterARestartBeforeTheFirstBatch) {
  const TemporaryDirectory directory(memory_root());
  {
    const auto held = open_directory(directory.path());
    const auto store = must(LmdbStore::open(*held));
    store->submit(BatchBuilder(1).put(key_of(4, 1, 9), "kept").effects());
    ASSERT_TRUE(wait_durable(*store, 1)) << store->error();
  }
  const auto held = open_directory(directory.path());
  const auto store = must(LmdbStore::open(*held));

  ASSERT_EQ(must(load_all(*store)).size(), 1U);

  EXPECT_EQ(must(read_text(*store, key_of(4, 1, 9))), "kept");
}

// A batch that is not durable may be lost: who reads it could say what a crash then makes false.
TEST(StoreRead, DoesNotSeeABatchBeforeItIsDurable) {
  const TemporaryDirectory directory(memory_root());
  const auto held = open_directory(directory.path());
  std::atomic<bool> full{false};
  std::atomic<int> tries{0};
  LmdbOptions options;
  options.retry_ms = options.retry_max_ms = 1;
  options.write_fault = [&] { return full ? (++tries, ENOSPC) : 0; };
  const auto store = must(LmdbStore::open(*held, options));
  store->submit(BatchBuilder(1).put(key_of(1, 0, 1), "first").effects());
  ASSERT_TRUE(wait_durable(*store, 1)) << store->error();
  full = true;
  store->submit(BatchBuilder(2)
                    .put(key_of(1, 0, 1), "second")
                    .put(key_of(3, 0, 1), "in a partition that is made")
                    .effects());
  ASSERT_TRUE(eventually([&] { return tries > 2; }));

  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(must(read_text(*store, key_of(1, 0, 1))), "first");
    ASSERT_EQ(must(read_text(*store, key_of(3, 0, 1))), std::nullopt);
  }
  full = false;

  ASSERT_TRUE(wait_durable(*store, 2)) << store->error();
  EXPECT_EQ(must(read_text(*store, key_of(1, 0, 1))), "second");
  EXPECT_EQ(must(read_text(*store, key_of(3, 0, 1))), "in a partition that is made");
}

TEST(StoreRead, OfADamagedRecordIsRefusedWithItsKey) {
  const TemporaryDirectory directory(memory_root());
  const auto held = open_directory(directory.path());
  const auto store = must(LmdbStore::open(*held));
  store->submit(BatchBuilder(1)
                    .put(key_of(1, 2, 17), "a value that stands out")
                    .put(key_of(1, 2, 18), "beside it")
                    .effects());
  ASSERT_TRUE(wait_durable(*store, 1)) << store->error();
  ASSERT_TRUE(must(read_text(*store, key_of(1, 2, 17))).has_value());
  const std::size_t at = read_bytes(directory / "data.mdb").rfind("a value that stands out");
  ASSERT_NE(at, std::string::npos);

  {
    std::fstream file(directory / "data.mdb", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at)).put('A');
  }
  const auto read = read_text(*store, key_of(1, 2, 17));

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(read.error().message, HasSubstr(describe(key_of(1, 2, 17))));
  EXPECT_THAT(read.error().message, HasSubstr("data.mdb"));
  EXPECT_EQ(must(read_text(*store, key_of(1, 2, 18))), "beside it");
}

/// Every batch writes its number under `watched` keys at once: a reader that sees two of them knows
/// which batches it has seen.
constexpr std::uint64_t kWatchedKinds = 6;

BatchBuilder watched_batch(BatchNumber number) {
  BatchBuilder batch(number);
  // A partition that is made while others read, now and then; then dropped whole and made again.
  for (std::uint64_t kind = 0; kind < kWatchedKinds; ++kind) {
    if (number <= 40 * kind) continue;
    batch.put(key_of(kind, 0, 1), std::to_string(number));
    batch.put(key_of(kind, 1, number), std::string(1'000, 'x'));
    if (number % 16 == 0) batch.erase_through(key_of(kind, 1, number - 1));
  }
  return batch;
}

/// The batch that wrote what is found under the first key of this kind; 0 when nothing is.
BatchNumber seen_in(const Store& store, std::uint64_t kind) {
  const auto text = must(read_text(store, key_of(kind, 0, 1)));
  return text ? std::stoull(*text) : 0;
}

// The map starts small, so it moves under the reader's feet several times.
TEST(StoreRead, SeesDurableBatchesOnlyAndAllOfThemWhileTheWriterWorks) {
  const TemporaryDirectory directory(memory_root());
  const auto held = open_directory(directory.path());
  LmdbOptions options;
  options.map_bytes = 64 * 1024;
  options.map_bytes_max = std::uint64_t{1} << 30;
  const auto store = must(LmdbStore::open(*held, options));
  constexpr BatchNumber kLast = 3'000;
  std::uint64_t reads = 0;
  BatchNumber submitted = 0;

  while (store->durable() < kLast) {
    while (submitted < kLast && submitted < store->durable() + 8) {
      store->submit(watched_batch(++submitted).effects());
    }
    for (std::uint64_t kind = 0; kind < kWatchedKinds; ++kind) {
      const BatchNumber before = store->durable();
      const BatchNumber seen = seen_in(*store, kind);
      if (before > 40 * kind) {
        ASSERT_GE(seen, before) << "kind " << kind;
      }
      ASSERT_LE(seen, submitted);
      ++reads;
    }
    ASSERT_EQ(store->state(), StoreState::kReady) << store->error();
  }

  EXPECT_GT(reads, kLast);
  EXPECT_GT(std::filesystem::file_size(directory / "data.mdb"), 2 * options.map_bytes)
      << "the map did not move";
  ASSERT_TRUE(store->close());
}

// Pages that a reader might still see are not used again. A reader between two reads sees none.
TEST(StoreRead, DoesNotKeepPagesFromBeingUsedAgain) {
  const TemporaryDirectory directory(memory_root());
  const auto held = open_directory(directory.path());
  const auto store = must(LmdbStore::open(*held));
  std::uintmax_t size_then = 0;

  for (BatchNumber number = 1; number <= 400; ++number) {
    store->submit(BatchBuilder(number).put(key_of(1, 0, 1), std::string(40'000, 'x')).effects());
    ASSERT_TRUE(wait_durable(*store, number)) << store->error();
    ASSERT_TRUE(must(read_text(*store, key_of(1, 0, 1))).has_value());
    if (number == 20) size_then = std::filesystem::file_size(directory / "data.mdb");
  }

  EXPECT_EQ(std::filesystem::file_size(directory / "data.mdb"), size_then);
}

}  // namespace
}  // namespace epaxos::storage
