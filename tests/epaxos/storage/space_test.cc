#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "epaxos/storage/lmdb_store.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Submits small batches until the store says so; the room is looked at only now and then.
template <class Holds>
bool soon(LmdbStore& store, BatchNumber& batch, Holds holds) {
  for (int i = 0; i < 200 && !holds(store.space()); ++i) {
    BatchBuilder next(++batch);
    next.put(key_of(2, 0, 1), "x");
    store.submit(next.effects());
    if (!wait_durable(store, batch)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return holds(store.space());
}

TEST(Space, FollowsWhatTheRecordsTakeAndNotTheFile) {
  const TemporaryDirectory directory;
  const auto holder = open_directory(directory.path());
  LmdbOptions options;
  options.map_bytes = options.map_bytes_max = 64 * kMiB;
  const auto store = must(LmdbStore::open(*holder, options));
  BatchNumber batch = 1;
  BatchBuilder large(batch);
  for (std::uint64_t slot = 1; slot <= 256; ++slot) {
    large.put(key_of(1, 0, slot), std::string(32 * 1024, 'v'));
  }
  store->submit(large.effects());
  ASSERT_TRUE(wait_durable(*store, batch)) << store->error();

  EXPECT_TRUE(soon(*store, batch, [](Space space) {
    return space.used_bytes > 8 * kMiB && space.used_bytes < 16 * kMiB;
  })) << store->space().used_bytes;
  EXPECT_LE(store->space().limit_bytes, 64 * kMiB);
  EXPECT_FALSE(store->space().runs_out());

  Effects erase;
  erase.batch = ++batch;
  erase.erase_through(key_of(1, 0, 256));
  store->submit(erase);
  ASSERT_TRUE(wait_durable(*store, batch)) << store->error();
  EXPECT_TRUE(soon(*store, batch, [](Space space) { return space.used_bytes < 2 * kMiB; }))
      << store->space().used_bytes;
}

// A fast disk can be full long before the clock brings about the next look.
TEST(Space, IsMeasuredAgainWhenMuchWasWritten) {
  const TemporaryDirectory directory;
  const auto holder = open_directory(directory.path());
  LmdbOptions options;
  options.map_bytes = options.map_bytes_max = 64 * kMiB;
  const auto store = must(LmdbStore::open(*holder, options));
  for (BatchNumber batch = 1; batch <= 16; ++batch) {
    BatchBuilder next(batch);
    for (std::uint64_t slot = 1; slot <= 32; ++slot) {
      next.put(key_of(1, 0, 32 * batch + slot), std::string(32 * 1024, 'v'));
    }
    store->submit(next.effects());
    ASSERT_TRUE(wait_durable(*store, batch)) << store->error();
  }
  EXPECT_GT(store->space().used_bytes, 16 * kMiB);
}

TEST(Space, WarnsBeforeItIsShort) {
  EXPECT_FALSE((Space{100, 0}.runs_out())) << "nobody knows";
  EXPECT_FALSE((Space{75, 100}.runs_out()));
  EXPECT_TRUE((Space{80, 100}.runs_out()));
  EXPECT_FALSE((Space{80, 100}.is_short()));
  EXPECT_TRUE((Space{97, 100}.is_short()));
}

}  // namespace
}  // namespace epaxos::storage
