// The records of a log leave the disk in parts, one after the other.

#include "compare/log/log_records.h"

#include <gtest/gtest.h>

namespace epaxos::compare {
namespace {

class Erasing : public ::testing::Test {
 protected:
  Erasing() { config_.replica_count = 3; }

  /// Up to where records are gone after one more turn.
  Slot erase(Slot erased, Slot limit) {
    out_.clear();
    ++out_.batch;
    return records_.erase_some(erased, limit, out_);
  }

  CoreConfig config_;
  LogRecords records_{1, config_};
  Effects out_;
};

TEST_F(Erasing, TheNextPartWaitsUntilTheDiskHasDoneTheLastOne) {
  const Slot all(10'000);
  const Slot first = erase(Slot(), all);
  EXPECT_GT(first, Slot());
  EXPECT_LT(first, all);
  ASSERT_EQ(out_.records.size(), 1u);
  EXPECT_EQ(out_.records.front().change, RecordChange::kEraseThrough);
  EXPECT_EQ(out_.records.front().key.slot, first);

  EXPECT_FALSE(records_.has_erased());
  EXPECT_EQ(erase(first, all), first);
  EXPECT_TRUE(out_.records.empty());

  records_.durable(1);
  EXPECT_TRUE(records_.has_erased());
  EXPECT_GT(erase(first, all), first);
}

TEST_F(Erasing, EndsAtTheLimit) {
  EXPECT_EQ(erase(Slot(), Slot(7)), Slot(7));
  records_.durable(1);
  EXPECT_EQ(erase(Slot(7), Slot(7)), Slot(7));
  EXPECT_TRUE(out_.records.empty());
  EXPECT_TRUE(records_.has_erased()) << "nothing is under way";
}

}  // namespace
}  // namespace epaxos::compare
