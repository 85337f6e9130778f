#include "epaxos/storage/lmdb_store.h"

#include <gmock/gmock.h>
#include <mutex>
#include <random>

#include <gtest/gtest.h>

#include "epaxos/storage/lmdb_verifier.h"
#include "epaxos/storage/memory_store.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

using testing::HasSubstr;

/// A directory and a store in it.
struct OpenStore {
  explicit OpenStore(const std::string& path, LmdbOptions options = {})
      : directory(open_directory(path)),
        store(must(LmdbStore::open(*directory, std::move(options)))) {}

  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<LmdbStore> store;
};

TEST(LmdbStore, GivesBackEveryRecordInTheOrderOfTheKeys) {
  const TemporaryDirectory directory;
  Records expected;
  {
    const OpenStore open(directory.path());
    BatchBuilder batch(1);
    for (const std::uint8_t kind : {kRecordKindMax, std::uint8_t{0}, std::uint8_t{3}}) {
      for (const std::uint64_t row : {8U, 0U, 1U}) {
        for (const std::uint64_t slot : {UINT64_MAX, std::uint64_t{0}, std::uint64_t{256}}) {
          for (const std::uint32_t epoch : {UINT32_MAX, 0U}) {
            const RecordKey key = key_of(kind, row, slot, epoch == 0 ? 0 : UINT16_MAX, epoch);
            const std::string value = describe(key);
            batch.put(key, value);
            expected[key] = value;
          }
        }
      }
    }

    open.store->submit(batch.effects());

    ASSERT_TRUE(wait_durable(*open.store, 1)) << open.store->error();
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), expected);
}

TEST(LmdbStore, KeepsValuesOfEverySize) {
  const TemporaryDirectory directory;
  Records expected;
  {
    const OpenStore open(directory.path());
    BatchBuilder batch(1);
    std::uint64_t slot = 1;
    for (const unsigned size : {0u, 1u, 7u, 2000u, 2020u, 2040u, 4096u, 100'000u, 512u * 1024}) {
      const RecordKey key = key_of(1, 0, slot++);
      expected[key] = std::string(size, static_cast<char>('a' + slot));
      batch.put(key, expected[key]);
    }
    open.store->submit(batch.effects());
    ASSERT_TRUE(wait_durable(*open.store, 1)) << open.store->error();
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), expected);
}

TEST(LmdbStore, TheLastRecordOfAKeyWinsAndErasedOnesAreGone) {
  const TemporaryDirectory directory;
  {
    const OpenStore open(directory.path());
    open.store->submit(BatchBuilder(1)
                           .put(key_of(1, 0, 1), "old")
                           .put(key_of(1, 0, 2), "erased later")
                           .put(key_of(1, 0, 1), "newer, and longer")
                           .erase(key_of(1, 0, 77))
                           .effects());
    open.store->submit(BatchBuilder(2)
                           .erase(key_of(1, 0, 2))
                           .put(key_of(1, 0, 3), "erased at once")
                           .erase(key_of(1, 0, 3))
                           .put(key_of(1, 0, 1), "newest")
                           .effects());
    ASSERT_TRUE(wait_durable(*open.store, 2)) << open.store->error();
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), (Records{{key_of(1, 0, 1), "newest"}}));
}

TEST(LmdbStore, BatchesThatWaitShareOneTransaction) {
  const TemporaryDirectory directory;
  Gate gate;
  LmdbOptions options;
  options.write_fault = gate.hook();
  const OpenStore open(directory.path(), options);
  const std::uint64_t before = open.store->transactions();
  gate.close();

  open.store->submit(BatchBuilder(1).put(key_of(1, 0, 1), "v").effects());
  gate.wait_for_the_writer();
  for (BatchNumber batch = 2; batch <= 500; ++batch) {
    open.store->submit(BatchBuilder(batch).put(key_of(1, 0, batch), "v").effects());
  }
  EXPECT_EQ(open.store->durable(), 0U) << "nothing is durable before its commit";
  EXPECT_GT(open.store->pending_bytes(), 499U);
  gate.open();

  ASSERT_TRUE(wait_durable(*open.store, 500)) << open.store->error();
  EXPECT_EQ(open.store->transactions(), before + 2);
  EXPECT_EQ(open.store->pending_bytes(), 0U);
}

TEST(LmdbStore, ProgressIsReportedAndDurableAscends) {
  const TemporaryDirectory directory;
  std::mutex mutex;
  std::vector<BatchNumber> seen;
  std::atomic<LmdbStore*> store{nullptr};
  LmdbOptions options;
  options.on_progress = [&] {
    // Not called under a lock of the store: error() takes it.
    EXPECT_EQ(store.load()->error(), "");
    const std::lock_guard lock(mutex);
    seen.push_back(store.load()->durable());
  };
  const OpenStore open(directory.path(), options);
  store = open.store.get();

  for (BatchNumber batch = 1; batch <= 50; ++batch) {
    open.store->submit(BatchBuilder(batch).put(key_of(1, 0, batch), "v").effects());
    if (batch % 10 != 0) continue;
    ASSERT_TRUE(wait_durable(*open.store, batch));
  }
  ASSERT_TRUE(open.store->close());

  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 50U);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST(LmdbStore, AnEmptyBatchIsDurableInItsPlaceWithoutATransaction) {
  const TemporaryDirectory directory;
  const OpenStore open(directory.path());
  const std::uint64_t before = open.store->transactions();

  open.store->submit(BatchBuilder(1).effects());

  ASSERT_TRUE(wait_durable(*open.store, 1));
  EXPECT_EQ(open.store->transactions(), before);
}

TEST(LmdbStore, CloseWritesWhatWasSubmitted) {
  const TemporaryDirectory directory;
  {
    const OpenStore open(directory.path());
    for (BatchNumber batch = 1; batch <= 200; ++batch) {
      open.store->submit(BatchBuilder(batch).put(key_of(1, 0, batch), "v").effects());
    }
    ASSERT_TRUE(open.store->close());
    EXPECT_EQ(open.store->durable(), 200U);
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())).size(), 200U);
}

// Rows append, are overwritten and are dropped from the front, with values small and large.
// Whatever LMDB makes of that, the verifier must accept it, or a sound replica would refuse to
// start.
TEST(LmdbStore, WhateverItWritesTheVerifierAccepts) {
  const TemporaryDirectory directory;
  std::mt19937_64 random(4711);
  Records expected;
  std::uint64_t first = 1;
  std::uint64_t last = 0;
  for (int run = 0; run < 12; ++run) {
    const OpenStore open(directory.path());
    ASSERT_EQ(must(load_all(*open.store)), expected);
    for (BatchNumber number = 1; number <= 25; ++number) {
      BatchBuilder batch(number);
      const std::uint64_t appended = 1 + random() % 40;
      for (std::uint64_t i = 0; i < appended; ++i) {
        const RecordKey key = key_of(random() % 3, random() % 5, ++last);
        const std::size_t size = random() % 20 == 0 ? random() % 9000 : random() % 200;
        expected[key] = std::string(size, static_cast<char>('a' + random() % 26));
        batch.put(key, expected[key]);
      }
      for (int i = 0; i < 10 && !expected.empty(); ++i) {
        auto it = expected.lower_bound(
            key_of(random() % 3, random() % 5, first + random() % (last - first + 1)));
        if (it == expected.end()) continue;
        it->second = std::string(random() % 3000, 'z');
        batch.put(it->first, it->second);
      }
      const bool drops = random() % 5 == 0;
      if (drops) first += (last - first) / 2;
      for (auto it = expected.begin(); drops && it != expected.end();) {
        if (it->first.slot.value() >= first) {
          ++it;
          continue;
        }
        batch.erase(it->first);
        it = expected.erase(it);
      }
      open.store->submit(batch.effects());
      ASSERT_TRUE(wait_durable(*open.store, number)) << open.store->error();
      const auto verified = verify_lmdb_file(directory / "data.mdb", identity_of(2));
      ASSERT_TRUE(verified) << verified.error().message;
      ASSERT_EQ(verified->records, expected.size());
    }
  }
}

TEST(LmdbStore, AFullMapGrows) {
  const TemporaryDirectory directory;
  LmdbOptions options;
  options.map_bytes = 256 * 1024;
  options.map_bytes_max = 64 << 20;
  {
    const OpenStore open(directory.path(), options);

    for (BatchNumber batch = 1; batch <= 40; ++batch) {
      open.store->submit(
          BatchBuilder(batch).put(key_of(1, 0, batch), std::string(100'000, 'x')).effects());
    }

    ASSERT_TRUE(wait_durable(*open.store, 40)) << open.store->error();
    EXPECT_EQ(open.store->state(), StoreState::kReady);
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())).size(), 40U);
}

TEST(LmdbStore, AMapAtItsLimitRefusesABatchWholeAndSaysSo) {
  const TemporaryDirectory directory;
  LmdbOptions options;
  options.map_bytes = options.map_bytes_max = 512 * 1024;
  {
    const OpenStore open(directory.path(), options);
    open.store->submit(BatchBuilder(1).put(key_of(1, 0, 1), "fits").effects());
    ASSERT_TRUE(wait_durable(*open.store, 1));

    open.store->submit(BatchBuilder(2)
                           .put(key_of(1, 0, 2), "small, but of the refused batch")
                           .put(key_of(1, 0, 3), std::string(700'000, 'x'))
                           .effects());
    open.store->submit(BatchBuilder(3).put(key_of(1, 0, 4), "behind it").effects());

    ASSERT_TRUE(eventually([&] { return open.store->state() == StoreState::kFull; }));
    EXPECT_THAT(open.store->error(), HasSubstr("largest size"));
    EXPECT_EQ(open.store->durable(), 1U);
    const Result<void> closed = open.store->close();
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, ErrorCode::kOutOfSpace);
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), (Records{{key_of(1, 0, 1), "fits"}}));
}

TEST(LmdbStore, ARefusedBatchStaysFirstInLineAndGoesInWhenThereIsRoom) {
  const TemporaryDirectory directory;
  std::atomic<bool> full{false};
  std::atomic<int> tries{0};
  LmdbOptions options;
  options.retry_ms = 1;
  options.retry_max_ms = 5;
  options.write_fault = [&] { return full ? (++tries, ENOSPC) : 0; };
  {
    const OpenStore open(directory.path(), options);
    full = true;
    for (BatchNumber batch = 1; batch <= 9; ++batch) {
      open.store->submit(
          BatchBuilder(batch).put(key_of(1, 0, 1), "by batch " + std::to_string(batch)).effects());
    }
    ASSERT_TRUE(eventually([&] { return open.store->state() == StoreState::kFull; }));
    ASSERT_TRUE(eventually([&] { return tries > 5; })) << "it tries again by itself";
    EXPECT_THAT(open.store->error(), HasSubstr("disk is full"));
    EXPECT_EQ(open.store->durable(), 0U);

    full = false;

    ASSERT_TRUE(wait_durable(*open.store, 9)) << open.store->error();
    EXPECT_EQ(open.store->state(), StoreState::kReady);
    EXPECT_EQ(open.store->error(), "");
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), (Records{{key_of(1, 0, 1), "by batch 9"}}));
}

TEST(LmdbStore, ARefusedBatchIsTriedAtOnceWhenTold) {
  const TemporaryDirectory directory;
  std::atomic<bool> full{false};
  LmdbOptions options;
  options.retry_ms = options.retry_max_ms = 3'600'000;
  options.write_fault = [&] { return full ? ENOSPC : 0; };
  const OpenStore open(directory.path(), options);
  full = true;
  open.store->submit(BatchBuilder(1).put(key_of(1, 0, 1), "v").effects());
  ASSERT_TRUE(eventually([&] { return open.store->state() == StoreState::kFull; }));

  full = false;
  open.store->retry_now();

  ASSERT_TRUE(wait_durable(*open.store, 1));
}

// After an I/O error the kernel may have dropped what it could not write; a later success would
// prove nothing.
TEST(LmdbStore, AnIoErrorIsTheEndOfTheStore) {
  const TemporaryDirectory directory;
  std::atomic<bool> broken{false};
  std::atomic<int> commits{0};
  LmdbOptions options;
  options.write_fault = [&] { return ++commits, broken ? EIO : 0; };
  {
    const OpenStore open(directory.path(), options);
    open.store->submit(BatchBuilder(1).put(key_of(1, 0, 1), "durable").effects());
    ASSERT_TRUE(wait_durable(*open.store, 1));
    broken = true;
    open.store->submit(BatchBuilder(2).put(key_of(1, 0, 2), "lost").effects());
    ASSERT_TRUE(eventually([&] { return open.store->state() == StoreState::kFailed; }));
    const int commits_then = commits;
    broken = false;

    open.store->submit(BatchBuilder(3).put(key_of(1, 0, 3), "never tried").effects());
    open.store->retry_now();
    const Result<void> closed = open.store->close();

    EXPECT_FALSE(closed);
    EXPECT_EQ(open.store->durable(), 1U);
    EXPECT_EQ(open.store->state(), StoreState::kFailed);
    EXPECT_EQ(commits, commits_then);
    EXPECT_THAT(open.store->error(), HasSubstr("must stop"));
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), (Records{{key_of(1, 0, 1), "durable"}}));
}

TEST(LmdbStore, AVisitorsErrorEndsTheLoad) {
  const TemporaryDirectory directory;
  {
    const OpenStore open(directory.path());
    open.store->submit(
        BatchBuilder(1).put(key_of(1, 0, 1), "a").put(key_of(1, 0, 2), "b").effects());
    ASSERT_TRUE(wait_durable(*open.store, 1));
  }
  const OpenStore open(directory.path());
  int visits = 0;

  const Result<void> loaded = open.store->load([&](const RecordKey&, Bytes) -> Result<void> {
    ++visits;
    return fail(ErrorCode::kMalformed, "no such record");
  });

  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "no such record");
  EXPECT_EQ(visits, 1);
}

TEST(LmdbStoreDeathTest, BatchesComeInTheOrderOfTheirNumbers) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const TemporaryDirectory directory;
  EXPECT_DEATH(
      {
        const OpenStore open(directory.path());
        open.store->submit(BatchBuilder(2).effects());
      },
      "order of their numbers");
}

TEST(MemoryStore, EverythingIsDurableAtOnceAndNothingIsKept) {
  MemoryStore store;

  store.submit(BatchBuilder(1).put(key_of(1, 0, 1), "v").effects());
  store.submit(BatchBuilder(2).effects());

  EXPECT_EQ(store.durable(), 2U);
  EXPECT_EQ(store.pending_bytes(), 0U);
  EXPECT_EQ(store.state(), StoreState::kReady);
  EXPECT_TRUE(must(load_all(store)).empty());
}

}  // namespace
}  // namespace epaxos::storage
