// The virtual disk by itself: the promises of a store, as tests/epaxos/storage/ asks of the real
// one.

#include "epaxos/sim/disk.h"

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "tests/epaxos/storage/record_model.h"

namespace epaxos::sim {
namespace {

using storage::BatchBuilder;
using storage::describe;
using storage::key_of;
using storage::must;
using storage::read_text;
using ::testing::HasSubstr;

/// A disk, the store of its first life, and a clock to move it on.
class SimulatedDisk : public ::testing::Test {
 protected:
  SimulatedDisk() { disk_.open(); }

  /// Until everything is durable.
  void complete() {
    while (!events_.empty()) disk_.complete(events_.pop().subject);
  }
  void write(const BatchBuilder& batch) {
    store_.submit(batch.effects());
    complete();
    ASSERT_EQ(store_.durable(), batch.effects().batch);
  }
  storage::Records image() const {
    storage::Records records;
    for (const auto& [key, value] : disk_.image()) {
      records[key] = {reinterpret_cast<const char*>(value.data()), value.size()};
    }
    return records;
  }

  EventQueue events_{1};
  VirtualDisk disk_{ReplicaId(2), 1, events_};
  VirtualStore store_{disk_};
};

TEST_F(SimulatedDisk, RandomBatchesLeaveWhatAMapHolds) {
  storage::RecordModel model(5, {1, 2, kRecordKindMax}, 60);
  for (BatchNumber number = 1; number <= 300; ++number) {
    BatchBuilder batch(number);
    model.change(batch, 30);

    write(batch);

    ASSERT_EQ(image(), model.records());
    model.expect_reads_agree(store_, 30);
  }
}

TEST_F(SimulatedDisk, WhatCameWhileItWroteBecomesDurableTogetherOrOneByOne) {
  bool together = false;
  bool apart = false;
  BatchNumber number = 0;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 8; ++i) store_.submit(BatchBuilder(++number).effects());
    BatchNumber before = store_.durable();
    while (!events_.empty()) {
      disk_.complete(events_.pop().subject);
      const BatchNumber step = store_.durable() - before;
      apart |= step == 1 && store_.durable() + 1 < number;
      together |= step > 1 && store_.durable() == number;
      ASSERT_TRUE(step == 1 || store_.durable() == number);
      before = store_.durable();
    }
    ASSERT_EQ(store_.durable(), number);
  }
  EXPECT_TRUE(together);
  EXPECT_TRUE(apart);
}

TEST_F(SimulatedDisk, EraseThroughDropsTheRowUpToTheSlotAndNothingElse) {
  const RecordKey last = key_of(5, 3, 100, 8, 6);
  BatchBuilder batch(1);
  storage::Records kept;
  for (const RecordKey& key : storage::neighbours_of(last)) {
    batch.put(key, kept[key] = describe(key));
  }
  batch.put(last, "old").put(key_of(5, 3, 0, 8, 6), "old").erase_through(last);

  write(batch);
  write(BatchBuilder(2).erase_through(last).erase(last).erase_through(key_of(9, 0, 1)));

  EXPECT_EQ(image(), kept);
}

TEST_F(SimulatedDisk, AReadSeesNoBatchBeforeItIsDurable) {
  write(BatchBuilder(1).put(key_of(1, 0, 1), "first"));

  store_.submit(BatchBuilder(2).put(key_of(1, 0, 1), "second").effects());

  EXPECT_EQ(must(read_text(store_, key_of(1, 0, 1))), "first");
  complete();
  EXPECT_EQ(must(read_text(store_, key_of(1, 0, 1))), "second");
}

TEST_F(SimulatedDisk, AReadOfADamagedRecordIsRefusedUntilTheRecordIsWrittenAgainOrDropped) {
  write(BatchBuilder(1).put(key_of(1, 2, 17), "value"));
  const auto damage = [this] {
    Random random(3);
    ASSERT_TRUE(disk_.damage(random));
    const auto read = read_text(store_, key_of(1, 2, 17));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupted);
    EXPECT_THAT(read.error().message, HasSubstr(describe(key_of(1, 2, 17))));
  };

  damage();
  write(BatchBuilder(2).put(key_of(1, 2, 17), "again"));
  EXPECT_EQ(must(read_text(store_, key_of(1, 2, 17))), "again");
  damage();
  write(BatchBuilder(3).erase_through(key_of(1, 2, 20)).put(key_of(1, 2, 17), "once more"));
  EXPECT_EQ(must(read_text(store_, key_of(1, 2, 17))), "once more");
}

}  // namespace
}  // namespace epaxos::sim
