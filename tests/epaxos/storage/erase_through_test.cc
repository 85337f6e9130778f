// Dropping old records in bulk: exactly those of the row up to the slot, with the count and the
// fingerprint of the rest right, so that the next start accepts the file. Source: protocol.md 14.2.

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "epaxos/storage/lmdb_store.h"
#include "epaxos/storage/lmdb_verifier.h"
#include "epaxos/storage/memory_store.h"
#include "tests/epaxos/storage/record_model.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

/// A store in memory or in a directory, and one batch after the other durable in it.
class DurableStore {
 public:
  explicit DurableStore(const std::string& path)
      : directory_(open_directory(path)), store_(must(LmdbStore::open(*directory_))) {}

  LmdbStore& operator*() { return *store_; }

  BatchBuilder next() { return BatchBuilder(store_->durable() + 1); }

  void write(const BatchBuilder& batch) {
    store_->submit(batch.effects());
    ASSERT_TRUE(wait_durable(*store_, batch.effects().batch)) << store_->error();
  }

 private:
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<LmdbStore> store_;
};

TEST(EraseThrough, DropsTheRowUpToTheSlotAndNothingElse) {
  const TemporaryDirectory directory(memory_root());
  const RecordKey last = key_of(5, 3, 100, 8, 6);
  Records kept;
  {
    DurableStore store(directory.path());
    BatchBuilder batch = store.next();
    for (const RecordKey& key : neighbours_of(last)) batch.put(key, kept[key] = describe(key));
    for (const std::uint64_t slot : {0U, 1U, 50U, 99U, 100U}) {
      batch.put(key_of(5, 3, slot, 8, 6), "old");
    }
    store.write(batch);

    store.write(store.next().erase_through(last));

    for (const auto& [key, value] : kept) EXPECT_EQ(must(read_text(*store, key)), value);
    EXPECT_EQ(must(read_text(*store, last)), std::nullopt);
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())), kept);
}

TEST(EraseThrough, TakesItsPlaceInTheOrderOfTheBatch) {
  const TemporaryDirectory directory(memory_root());
  {
    DurableStore store(directory.path());

    store.write(store.next()
                    .put(key_of(1, 0, 4), "before it")
                    .put(key_of(1, 0, 8), "above it")
                    .erase_through(key_of(1, 0, 5))
                    .put(key_of(1, 0, 3), "after it")
                    .put(key_of(1, 0, 5), "after it, then erased")
                    .erase(key_of(1, 0, 5))
                    .put(key_of(1, 1, 1), "of a row that is dropped whole")
                    .erase_through(key_of(1, 1, UINT64_MAX))
                    .put(key_of(1, 1, 7), "of a row that begins again"));
  }
  EXPECT_EQ(must(reopen_and_load(directory.path())),
            (Records{{key_of(1, 0, 3), "after it"},
                     {key_of(1, 0, 8), "above it"},
                     {key_of(1, 1, 7), "of a row that begins again"}}));
}

TEST(EraseThrough, OfWhatIsNotThereIsNoErrorAndMakesNoPartition) {
  const TemporaryDirectory directory(memory_root());
  {
    DurableStore store(directory.path());
    store.write(store.next().put(key_of(1, 0, 10), "stays").put(key_of(1, 2, 1), "goes"));

    store.write(store.next()
                    .erase_through(key_of(1, 0, 9))
                    .erase_through(key_of(2, 4, 9))
                    .erase(key_of(2, 5, 9))
                    .erase_through(key_of(1, 2, 1)));
    store.write(store.next().erase_through(key_of(1, 2, 1)).erase(key_of(1, 2, 1)));

    EXPECT_EQ((*store).state(), StoreState::kReady);
    EXPECT_EQ(must(read_text(*store, key_of(2, 4, 9))), std::nullopt);
  }
  const std::string file = read_bytes(directory / "data.mdb");
  EXPECT_NE(file.find(partition_name(partition_of(key_of(1, 0, 0)))), std::string::npos);
  EXPECT_EQ(file.find(partition_name(partition_of(key_of(2, 4, 0)))), std::string::npos);
  EXPECT_EQ(file.find(partition_name(partition_of(key_of(2, 5, 0)))), std::string::npos);
  EXPECT_EQ(must(reopen_and_load(directory.path())), (Records{{key_of(1, 0, 10), "stays"}}));
}

TEST(EraseThrough, RandomBatchesLeaveWhatAMapHoldsAndEveryStartAcceptsIt) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const TemporaryDirectory directory(memory_root());
    RecordModel model(seed, {1, 2, kRecordKindMax}, 120);
    for (int run = 0; run < 5; ++run) {
      DurableStore store(directory.path());
      ASSERT_EQ(must(load_all(*store)), model.records()) << "seed " << seed << ", run " << run;
      for (int i = 0; i < 60; ++i) {
        BatchBuilder batch = store.next();
        model.change(batch, 60);
        store.write(batch);
        const auto verified = verify_lmdb_file(directory / "data.mdb", identity_of(2));
        ASSERT_TRUE(verified) << "seed " << seed << ": " << verified.error().message;
        ASSERT_EQ(verified->records, model.records().size()) << "seed " << seed;
        model.expect_reads_agree(*store, 50);
      }
    }
    EXPECT_EQ(must(reopen_and_load(directory.path())), model.records()) << "seed " << seed;
  }
}

// Trees of three levels, whose pages are merged while the cursor walks over them.
TEST(EraseThrough, LongRowsAreDroppedPieceByPiece) {
  const TemporaryDirectory directory(memory_root());
  constexpr std::uint64_t kLast = 60'000;
  Records kept;
  {
    DurableStore store(directory.path());
    BatchBuilder batch = store.next();
    for (std::uint64_t slot = 1; slot <= kLast; ++slot) {
      for (const std::uint32_t epoch : {1U, 2U}) {
        const RecordKey key = key_of(1, 0, slot, 0, epoch);
        const std::string& value = kept[key] = std::string(50 + slot % 100, 'v');
        batch.put(key, value);
      }
    }
    store.write(batch);
    std::uint64_t through = 0;
    for (const std::uint64_t step : {1U, 20U, 39U, 1'000U, 7'777U, 30'000U, 20'000U}) {
      through += step;

      store.write(store.next().erase_through(key_of(1, 0, through, 0, 1)));

      std::erase_if(kept, [through](const auto& record) {
        return record.first.epoch == Epoch(1) && record.first.slot <= Slot(through);
      });
      const auto verified = verify_lmdb_file(directory / "data.mdb", identity_of(2));
      ASSERT_TRUE(verified) << verified.error().message;
      ASSERT_EQ(verified->records, kept.size());
      EXPECT_EQ(must(read_text(*store, key_of(1, 0, through, 0, 1))), std::nullopt);
      EXPECT_TRUE(must(read_text(*store, key_of(1, 0, through + 1, 0, 1))).has_value());
    }
    // The rest of the row, in the middle of which another epoch begins.
    store.write(store.next().erase_through(key_of(1, 0, UINT64_MAX, 0, 1)));
    std::erase_if(kept, [](const auto& record) { return record.first.epoch == Epoch(1); });
  }
  EXPECT_TRUE(must(reopen_and_load(directory.path())) == kept);
}

TEST(EraseThrough, TheFileDoesNotGrowWhenAsMuchIsDroppedAsIsWritten) {
  const TemporaryDirectory directory(memory_root());
  constexpr std::uint64_t kRound = 2'000;
  constexpr std::size_t kRoundBytes = kRound * 300;
  DurableStore store(directory.path());
  std::uint64_t slot = 0;
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t before = slot;
    for (int i = 0; i < 10; ++i) {
      BatchBuilder batch = store.next();
      for (std::uint64_t j = 0; j < kRound / 10; ++j) {
        batch.put(key_of(1, 0, ++slot), std::string(300, 'v'));
      }
      store.write(batch);
    }

    store.write(store.next().erase_through(key_of(1, 0, before)));
  }

  EXPECT_LT(std::filesystem::file_size(directory / "data.mdb"), 4 * kRoundBytes)
      << "60 rounds were written, and one is kept";
}

TEST(MemoryStore, KeepsTheHostsRecordsForReadingAndNoOther) {
  MemoryStore store;
  RecordModel model(4711, {kRecordKindMax}, 60);
  for (BatchNumber number = 1; number <= 300; ++number) {
    BatchBuilder batch(number);
    model.change(batch, 30);
    batch.put(key_of(1, 0, number), "of the core");

    store.submit(batch.effects());

    model.expect_reads_agree(store, 30);
    EXPECT_EQ(must(read_text(store, key_of(1, 0, number))), std::nullopt);
  }
  EXPECT_FALSE(model.records().empty());
  EXPECT_TRUE(must(load_all(store)).empty()) << "a new process starts empty";
}

TEST(MemoryStore, DropsTheHostsRowUpToTheSlotAndNothingElse) {
  MemoryStore store;
  RecordKey last = key_of(kRecordKindMax, 3, 100, 8, 6);
  BatchBuilder batch(1);
  for (const RecordKey& key : neighbours_of(last)) {
    if (key.kind == kRecordKindMax) batch.put(key, describe(key));
  }
  batch.put(last, "old").put(key_of(kRecordKindMax, 3, 0, 8, 6), "old").erase_through(last);

  store.submit(batch.effects());

  for (const RecordKey& key : neighbours_of(last)) {
    if (key.kind != kRecordKindMax) continue;
    EXPECT_EQ(must(read_text(store, key)), describe(key));
  }
  EXPECT_EQ(must(read_text(store, last)), std::nullopt);
  EXPECT_EQ(must(read_text(store, key_of(kRecordKindMax, 3, 0, 8, 6))), std::nullopt);
}

}  // namespace
}  // namespace epaxos::storage
