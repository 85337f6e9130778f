// What damage to the file of a store does: it is noticed, with a sentence, or it does no harm.
// Never a crash, never wrong data, never an older state that passes for the newest.

#include <algorithm>
#include <functional>
#include <gmock/gmock.h>
#include <random>

#include <gtest/gtest.h>
#include <lmdb.h>

#include "epaxos/storage/lmdb_store.h"
#include "epaxos/storage/lmdb_verifier.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t kPageBytes = 4096;

/// A sound store with everything in it that LMDB knows: branches, overflow pages, free pages,
/// several trees. Its two files are kept to be damaged again and again.
class Corruption : public testing::Test {
 protected:
  void SetUp() override {
    {
      const auto directory = open_directory(directory_.path());
      const auto store = must(LmdbStore::open(*directory));
      // The stamp of a replica that is killed: it knows nothing of the transactions that follow.
      stamp_ = read_bytes(directory_ / "stamp");
      for (BatchNumber batch = 1; batch <= 60; ++batch) {
        fill(*store, batch);
        ASSERT_TRUE(wait_durable(*store, batch)) << store->error();
      }
    }
    data_ = read_bytes(directory_ / "data.mdb");
    ASSERT_EQ(must(open_damaged(data_)), expected_);
  }

  void fill(LmdbStore& store, BatchNumber number) {
    BatchBuilder batch(number);
    for (std::uint64_t row = 0; row < 3; ++row) {
      put(batch, key_of(1, row, number), std::string(50 + number, 'p'));
      put(batch, key_of(2, row, number), std::string(20, 'v'));
    }
    if (number % 15 == 0) put(batch, key_of(1, 4, number), std::string(9000, 'L'));
    if (number > 30) {
      batch.erase(key_of(2, 0, number - 30));
      expected_.erase(key_of(2, 0, number - 30));
    }
    store.submit(batch.effects());
  }

  void put(BatchBuilder& batch, const RecordKey& key, std::string value) {
    value += " of " + describe(key);
    batch.put(key, value);
    expected_[key] = std::move(value);
  }

  /// Everything in the store when its file holds `data`, or why it refuses.
  Result<Records> open_damaged(std::string_view data) {
    write_bytes(directory_ / "stamp", stamp_);
    write_bytes(directory_ / "data.mdb", data);
    return reopen_and_load(directory_.path());
  }

  /// The rule of this file, for one damaged copy. True: it was noticed.
  bool noticed_or_harmless(std::string_view damaged, const std::string& what) {
    const Result<Records> records = open_damaged(damaged);
    if (!records) {
      const Error& error = records.error();
      EXPECT_TRUE(error.code == ErrorCode::kCorrupted || error.code == ErrorCode::kWrongIdentity)
          << what << ": " << error.message;
      EXPECT_THAT(error.message, HasSubstr("data.mdb")) << what;
      return true;
    }
    EXPECT_TRUE(*records == expected_) << what << ": wrong data came out";
    still_works(what);
    return false;
  }

  /// Harmless also means that the store can go on: it takes batches that append to every row and
  /// find every old record again, and is sound afterwards.
  void still_works(const std::string& what) {
    Records expected = expected_;
    {
      const auto directory = open_directory(directory_.path());
      const auto store = must(LmdbStore::open(*directory));
      for (BatchNumber number = 1; number <= 3; ++number) {
        BatchBuilder batch(number);
        for (std::uint64_t row = 0; row < 5; ++row) {
          for (std::uint64_t slot = 0; slot < 12; ++slot) {
            const RecordKey key = key_of(1, row, 1000 * number + slot);
            expected[key] = std::string(300, 'n');
            batch.put(key, expected[key]);
          }
        }
        for (const auto& [key, value] : expected_) {
          if (number < 3) break;
          expected[key] = value + " once more";
          batch.put(key, expected[key]);
        }
        store->submit(batch.effects());
        ASSERT_TRUE(wait_durable(*store, number)) << what << ": " << store->error();
      }
    }
    const Result<Records> records = reopen_and_load(directory_.path());
    ASSERT_TRUE(records) << what << ": " << records.error().message;
    ASSERT_TRUE(*records == expected) << what << ": wrong data after more was written";
  }

  static std::string with_flipped_bit(const std::string& data, std::size_t bit) {
    std::string damaged = data;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    return damaged;
  }

  TemporaryDirectory directory_{memory_root()};
  /// Flips one bit after the other, one of so many.
  void flip_meta_pages(std::size_t every);
  void flip_branches(std::size_t every);

  Records expected_;
  std::string data_;
  std::string stamp_;
};

class NightlyCorruption : public Corruption {};

TEST_F(Corruption, RandomBitFlipsAreNoticedOrHarmless) {
  std::mt19937_64 random(20'260'401);
  int noticed = 0;
  for (int i = 0; i < 400; ++i) {
    const std::size_t bit = random() % (8 * data_.size());
    noticed += noticed_or_harmless(with_flipped_bit(data_, bit), "bit " + std::to_string(bit));
    ASSERT_FALSE(HasFailure());
  }
  RecordProperty("noticed", noticed);
  EXPECT_GT(noticed, 40) << "most of the file is in use";
}

// One flipped bit in a transaction number makes LMDB take the state before the last commit for the
// newest, and says nothing.
void Corruption::flip_meta_pages(std::size_t every) {
  constexpr std::size_t kMetaBytes = 160;
  std::size_t noticed = 0;
  for (std::size_t page = 0; page < 2; ++page) {
    for (std::size_t i = 0; i < 8 * kMetaBytes; i += every) {
      const std::size_t bit = 8 * kPageBytes * page + i;
      noticed += noticed_or_harmless(with_flipped_bit(data_, bit), "bit " + std::to_string(bit));
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(noticed, 500 / every);
}

TEST_F(Corruption, BitsOfTheMetaPagesAreNoticedOrHarmless) {
  flip_meta_pages(7);
}
TEST_F(NightlyCorruption, EveryBitOfTheMetaPagesIsNoticedOrHarmless) {
  flip_meta_pages(1);
}

TEST_F(Corruption, AFlippedTransactionNumberIsNeverASilentRollback) {
  constexpr std::size_t kNumberAt = 16 + 128;
  for (const std::size_t page : {0U, 1U}) {
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t bit = 8 * (kPageBytes * page + kNumberAt) + i;
      const Result<Records> records = open_damaged(with_flipped_bit(data_, bit));
      ASSERT_FALSE(records) << "page " << page << ", bit " << i;
      ASSERT_EQ(records.error().code, ErrorCode::kCorrupted);
    }
  }
}

TEST_F(Corruption, OverwrittenPagesAreNoticedOrHarmless) {
  std::mt19937_64 random(17);
  const std::size_t pages = data_.size() / kPageBytes;
  for (std::size_t page = 0; page < pages; ++page) {
    std::string zeroed = data_;
    std::fill_n(zeroed.begin() + static_cast<long>(page * kPageBytes), kPageBytes, '\0');
    noticed_or_harmless(zeroed, "zeroed page " + std::to_string(page));
    std::string garbage = data_;
    for (std::size_t i = 0; i < kPageBytes; ++i) {
      garbage[page * kPageBytes + i] = static_cast<char>(random());
    }
    noticed_or_harmless(garbage, "garbage on page " + std::to_string(page));
    std::string misdirected = data_;
    const std::size_t other = random() % pages;
    misdirected.replace(page * kPageBytes, kPageBytes, data_, other * kPageBytes, kPageBytes);
    noticed_or_harmless(misdirected,
                        "page " + std::to_string(other) + " over " + std::to_string(page));
    ASSERT_FALSE(HasFailure());
  }
}

// The keys of a branch lead to its children; a wrong one would hide records from later writes.
void Corruption::flip_branches(std::size_t every) {
  const auto u16 = [&](std::size_t at) {
    return static_cast<std::size_t>(static_cast<unsigned char>(data_[at])) +
           256U * static_cast<std::size_t>(static_cast<unsigned char>(data_[at + 1]));
  };
  int branches = 0;
  std::size_t noticed = 0;
  for (std::size_t page = 2; page < data_.size() / kPageBytes && branches < 20; ++page) {
    const std::size_t start = page * kPageBytes;
    if (u16(start + 10) != 1) continue;
    ++branches;
    for (std::size_t bit = 8 * (start + u16(start + 14)); bit < 8 * (start + kPageBytes);
         bit += every) {
      noticed += noticed_or_harmless(with_flipped_bit(data_, bit), "bit " + std::to_string(bit));
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(branches, 3);
  EXPECT_GT(noticed, 60 / every);
}

TEST_F(Corruption, BitsOfTheNodesOfBranchesAreNoticedOrHarmless) {
  flip_branches(17);
}
TEST_F(NightlyCorruption, EveryBitOfTheNodesOfBranchesIsNoticedOrHarmless) {
  flip_branches(1);
}

// The header and the node offsets are where a wrong number leads out of the page.
TEST_F(Corruption, ManyFlipsInPageHeadersNeverCrash) {
  std::mt19937_64 random(99);
  const std::size_t pages = data_.size() / kPageBytes;
  for (int i = 0; i < 1500; ++i) {
    std::string damaged = data_;
    for (std::uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      const std::size_t at = (random() % pages) * kPageBytes + random() % 64;
      damaged[at] = static_cast<char>(random());
    }
    noticed_or_harmless(damaged, "round " + std::to_string(i));
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(Corruption, ATruncatedFileIsNoticedOrHarmlessAtEverySize) {
  int noticed = 0;
  for (std::size_t size = 0; size < data_.size(); size += 1365) {  // Three sizes a page.
    noticed += noticed_or_harmless(data_.substr(0, size), std::to_string(size) + " bytes");
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(noticed, 10);
}

TEST_F(Corruption, AnEmptyFileIsNotTakenForANewStore) {
  const Result<Records> records = open_damaged("");

  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(records.error().message, HasSubstr("0 bytes"));
}

TEST_F(Corruption, AMissingFileIsNotTakenForANewStore) {
  write_bytes(directory_ / "stamp", stamp_);
  std::filesystem::remove(directory_ / "data.mdb");

  const Result<Records> records = reopen_and_load(directory_.path());

  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(records.error().message, HasSubstr("is missing"));
}

TEST_F(Corruption, AnOldCopyOfTheFileIsNoticed) {
  {
    write_bytes(directory_ / "stamp", stamp_);
    write_bytes(directory_ / "data.mdb", data_);
    const auto directory = open_directory(directory_.path());
    const auto store = must(LmdbStore::open(*directory));
    store->submit(BatchBuilder(1).put(key_of(1, 0, 5000), "newer").effects());
    ASSERT_TRUE(wait_durable(*store, 1));
    ASSERT_TRUE(store->close());
  }
  write_bytes(directory_ / "data.mdb", data_);

  const Result<Records> records = reopen_and_load(directory_.path());

  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(records.error().message, HasSubstr("old copy"));
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + 1)) {
    text.replace(at, from.size(), to);
  }
}

// Each of the two values has a checksum that is right for its bytes, but it lies under the other
// key.
TEST_F(Corruption, ValuesThatChangedPlacesAreNoticedAndNamed) {
  const RecordKey a = key_of(1, 1, 41);
  const RecordKey b = key_of(1, 2, 41);
  const auto stored = [&](const RecordKey& key) {
    const Bytes value = std::as_bytes(std::span(expected_[key]));
    std::string bytes(8, '\0');
    store_u64(reinterpret_cast<std::byte*>(bytes.data()),
              record_checksum(identity_of(2), key, value));
    return bytes + expected_[key];
  };
  ASSERT_EQ(stored(a).size(), stored(b).size());
  std::string damaged = data_;
  replace_all(damaged, stored(a), std::string(stored(a).size(), '?'));
  ASSERT_NE(damaged, data_) << "the value was not found in the file";
  replace_all(damaged, stored(b), stored(a));
  replace_all(damaged, std::string(stored(a).size(), '?'), stored(b));

  const Result<Records> records = open_damaged(damaged);

  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(records.error().message,
              AllOf(HasSubstr("kind 1, R1.41"), HasSubstr("checksum"), HasSubstr("does not vote")));
}

TEST_F(Corruption, TheFileOfAnotherReplicaIsNamedAsSuch) {
  TemporaryDirectory other(memory_root());
  DataDirectoryOptions options = directory_options(other.path());
  options.identity = identity_of(3);
  {
    const auto directory = must(DataDirectory::open(options));
    const auto store = must(LmdbStore::open(*directory));
  }
  write_bytes(other / "data.mdb", data_);

  const auto directory = must(DataDirectory::open(options));
  const auto store = LmdbStore::open(*directory);

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kWrongIdentity);
  EXPECT_THAT(store.error().message,
              AllOf(HasSubstr("written by replica 2"), HasSubstr("not by replica 3")));
}

/// Changes a file with LMDB itself, behind the back of the store.
class Forger {
 public:
  explicit Forger(const std::string& directory) {
    EXPECT_EQ(mdb_env_create(&environment_), 0);
    EXPECT_EQ(mdb_env_set_maxdbs(environment_, 4), 0);
    EXPECT_EQ(mdb_env_open(environment_, directory.c_str(), 0, 0640), 0);
    EXPECT_EQ(mdb_txn_begin(environment_, nullptr, 0, &transaction_), 0);
    EXPECT_EQ(mdb_dbi_open(transaction_, nullptr, 0, &main_), 0);
  }
  ~Forger() {
    EXPECT_EQ(mdb_txn_commit(transaction_), 0);
    mdb_env_close(environment_);
  }
  Forger(const Forger&) = delete;
  Forger& operator=(const Forger&) = delete;

  void remove(const RecordKey& key) {
    MDB_dbi row = 0;
    const std::string name = partition_name(partition_of(key));
    ASSERT_EQ(mdb_dbi_open(transaction_, name.c_str(), 0, &row), 0);
    StoredKey stored = encode_key(key);
    MDB_val key_value{stored.size(), stored.data()};
    ASSERT_EQ(mdb_del(transaction_, row, &key_value, nullptr), 0);
  }

  /// As if the store had written this transaction and all the records that it knew.
  void sign(const DirectoryIdentity& identity, StateRecord state, std::uint64_t records) {
    state.transaction = mdb_txn_id(transaction_);
    state.records = records;
    StateBytes bytes = encode_state(identity, state);
    std::string name(kStateName);
    MDB_val key{name.size(), name.data()};
    MDB_val value{bytes.size(), bytes.data()};
    ASSERT_EQ(mdb_put(transaction_, main_, &key, &value, 0), 0);
  }

 private:
  MDB_env* environment_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_dbi main_ = 0;
};

TEST_F(Corruption, WhatAnotherProgramWroteWithLmdbIsNoticed) {
  write_bytes(directory_ / "stamp", stamp_);
  write_bytes(directory_ / "data.mdb", data_);
  Forger(directory_.path()).remove(key_of(1, 1, 41));

  const Result<Records> records = reopen_and_load(directory_.path());

  ASSERT_FALSE(records);
  EXPECT_EQ(records.error().code, ErrorCode::kCorrupted);
  EXPECT_THAT(records.error().message, HasSubstr("its tree is that of"));
}

// Every page is sound and every record too; only the sum of all of them knows that one is gone.
TEST_F(Corruption, ARecordThatVanishedFromASoundTreeIsNoticed) {
  for (const std::uint64_t missing_in_count : {std::uint64_t{0}, std::uint64_t{1}}) {
    write_bytes(directory_ / "stamp", stamp_);
    write_bytes(directory_ / "data.mdb", data_);
    const StateRecord state = must(verify_lmdb_file(directory_ / "data.mdb", identity_of(2)));
    {
      Forger forger(directory_.path());
      forger.remove(key_of(1, 1, 41));
      forger.sign(identity_of(2), state, state.records - missing_in_count);
    }

    const Result<Records> records = reopen_and_load(directory_.path());

    ASSERT_FALSE(records);
    EXPECT_EQ(records.error().code, ErrorCode::kCorrupted);
    EXPECT_THAT(records.error().message, HasSubstr("its last transaction left"));
  }
}

TEST_F(Corruption, ACreationThatWasCutShortBeginsAgainAndKeepsTheRemains) {
  const TemporaryDirectory fresh(memory_root());
  { const auto directory = open_directory(fresh.path()); }
  write_bytes(fresh / "data.mdb", data_.substr(0, 5000));

  EXPECT_TRUE(must(reopen_and_load(fresh.path())).empty());
  EXPECT_EQ(read_bytes(fresh / "data.mdb.unfinished").size(), 5000U);
}

}  // namespace
}  // namespace epaxos::storage
