// The store when its process is killed, and when its disk is full.

#include <gmock/gmock.h>
#include <random>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "epaxos/storage/lmdb_store.h"
#include "epaxos/storage/lmdb_verifier.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kRows = 3;

/// Batch `number` of all runs together: one record in each of the rows, and one that each batch
/// overwrites.
BatchBuilder batch_of_run(BatchNumber in_this_run, std::uint64_t number) {
  BatchBuilder batch(in_this_run);
  for (std::uint64_t row = 0; row < kRows; ++row) {
    batch.put(key_of(1, row, number), std::string(number % 300, 'x') + std::to_string(number));
  }
  batch.put(key_of(0, 0, 0), std::to_string(number));
  return batch;
}

/// Writes batches until it is killed, and tells each that the store calls durable.
[[noreturn]] void write_until_killed(const std::string& path, std::uint64_t done, int pipe) {
  const auto directory = open_directory(path);
  const auto store = must(LmdbStore::open(*directory));
  BatchNumber submitted = 0;
  BatchNumber told = 0;
  while (true) {
    while (submitted < store->durable() + 20) {
      ++submitted;
      store->submit(batch_of_run(submitted, done + submitted).effects());
    }
    const BatchNumber durable = store->durable();
    if (durable == told) continue;
    told = durable;
    const std::uint64_t number = done + told;
    if (::write(pipe, &number, sizeof number) != sizeof number) ::_exit(1);
  }
}

std::uint64_t last_number_in(int pipe) {
  std::uint64_t last = 0;
  std::uint64_t number = 0;
  while (::read(pipe, &number, sizeof number) == sizeof number) last = number;
  return last;
}

/// How many batches the records hold; fails the test unless they are a prefix of whole batches.
std::uint64_t whole_batches(const Records& records) {
  if (records.empty()) return 0;
  const std::uint64_t batches = std::stoull(records.at(key_of(0, 0, 0)));
  EXPECT_EQ(records.size(), 1 + kRows * batches);
  for (std::uint64_t number = 1; number <= batches; ++number) {
    for (std::uint64_t row = 0; row < kRows; ++row) {
      const auto it = records.find(key_of(1, row, number));
      if (it == records.end()) {
        ADD_FAILURE() << "a part of batch " << number << " is missing";
        return batches;
      }
    }
  }
  return batches;
}

TEST(StoreProcess, WhatWasCalledDurableIsThereAfterKillNine) {
  const TemporaryDirectory directory;
  std::mt19937_64 random(3);
  std::uint64_t done = 0;
  for (int round = 0; round < 15; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe[0]);
      write_until_killed(directory.path(), done, pipe[1]);
    }
    ::close(pipe[1]);
    ::usleep(static_cast<useconds_t>(random() % 120'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
    const std::uint64_t told = std::max(done, last_number_in(pipe[0]));
    ::close(pipe[0]);

    const std::uint64_t found = whole_batches(must(reopen_and_load(directory.path())));

    ASSERT_GE(found, told) << "round " << round;
    done = found;
  }
  EXPECT_GT(done, 20U) << "the runs were too short to show anything";
}

/// A small file system of its own, gone at the end.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }
  void fill_up() {
    std::ofstream balloon(path_ + "/balloon", std::ios::binary);
    const std::string block(4096, 'b');
    while (balloon.write(block.data(), 4096).flush()) {
    }
  }
  void make_room() { std::filesystem::remove(path_ + "/balloon"); }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST(StoreProcess, AFullDiskRefusesLosesNothingAndGoesOnWhenThereIsRoom) {
  const TemporaryDirectory directory;
  SmallDisk disk(directory.path());
  if (!disk.mounted()) GTEST_SKIP() << "NOT TESTED: mounting a file system is not permitted here";
  LmdbOptions options;
  options.retry_ms = 5;
  std::uint64_t number = 0;
  {
    const auto replica = open_directory(directory.path());
    const auto store = must(LmdbStore::open(*replica, options));
    const auto submit_next = [&] {
      ++number;
      store->submit(batch_of_run(number, number).effects());
    };
    // Again and again: the write that meets the end of the disk is a different one each time.
    for (int round = 0; round < 12; ++round) {
      for (int i = 0; i < 3; ++i) submit_next();
      ASSERT_TRUE(wait_durable(*store, number)) << store->error();
      disk.fill_up();
      // A batch that has room in free pages may still pass; sooner or later one does not.
      while (store->state() == StoreState::kReady && number < 3000) {
        submit_next();
        ASSERT_TRUE(eventually(
            [&] { return store->durable() == number || store->state() != StoreState::kReady; }));
      }
      ASSERT_EQ(store->state(), StoreState::kFull) << store->error();
      ASSERT_LT(store->durable(), number);
      EXPECT_THAT(store->error(), HasSubstr("disk is full"));
      // A replica that is killed now finds what was durable, beside the remains of what was not.
      const auto verified = verify_lmdb_file(directory / "data.mdb", identity_of(2));
      ASSERT_TRUE(verified) << verified.error().message;
      EXPECT_EQ(verified->transaction, store->transactions());

      disk.make_room();

      ASSERT_TRUE(wait_durable(*store, number)) << store->error();
      ASSERT_TRUE(eventually([&] { return store->state() == StoreState::kReady; }));
    }
  }
  EXPECT_EQ(whole_batches(must(reopen_and_load(directory.path()))), number);
}

TEST(StoreProcess, AFullDiskAtTheFirstStartIsExplained) {
  const TemporaryDirectory directory;
  SmallDisk disk(directory.path());
  if (!disk.mounted()) GTEST_SKIP() << "NOT TESTED: mounting a file system is not permitted here";
  const auto replica = open_directory(directory.path());
  disk.fill_up();

  const auto store = LmdbStore::open(*replica);

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kOutOfSpace) << store.error().message;
  EXPECT_THAT(store.error().message, HasSubstr("free some space"));
  disk.make_room();
  EXPECT_TRUE(LmdbStore::open(*replica)) << "and it works when there is room";
}

}  // namespace
}  // namespace epaxos::storage
