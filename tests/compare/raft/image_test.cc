// Images in place of the prefix of the log. Source: Raft paper, 7 and Figure 13.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

std::vector<std::byte> coded(const LogCoverage& coverage) {
  std::vector<std::byte> bytes;
  encode(coverage, bytes);
  return bytes;
}
LogCoverage covers(std::uint64_t index, std::uint64_t term, int n = 3) {
  return {Slot(index), term, {Epoch(), n}, {}, {ReplicaSet::all(n)}};
}
LogCoverage coverage_of(const Subject& subject) {
  std::vector<std::byte> bytes;
  subject.core.coverage(bytes);
  return decode_log_coverage(bytes).value();
}

TEST(Coverage, HasTheTermOfItsLastEntryAndTheMembership) {
  Subject b(kB, 3);
  b.deliver(kA, append(3, 0, 0, entries(1, {1, 1, 2}), 2));
  b.apply();
  ASSERT_EQ(b.core.current_term(), Term(3));

  const LogCoverage coverage = coverage_of(b);

  EXPECT_EQ(coverage.slot, Slot(2));
  EXPECT_EQ(coverage.round, 1u) << "not the current term (R10)";
  EXPECT_EQ(coverage.configuration, (Configuration{Epoch(), 3}));
  EXPECT_EQ(coverage.executed[kB], (OriginTable::Row{101, 2}));
}

TEST(Coverage, EndsWhereTheStateMachineStands) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1, 1}), 2));
  EXPECT_EQ(coverage_of(b).slot, Slot(0));
  b.apply();
  EXPECT_EQ(coverage_of(b).slot, Slot(2));
}

TEST(Truncation, RecordsGoWhenAnImageCoversThemAndNobodyNearNeedsThem) {
  CoreConfig small = config(kB, 3);
  small.image_lag_instances = 2;
  Subject b(small);
  b.deliver(kA, append(1, 0, 0, entries(1, {1, 1, 1, 1, 1}), 4));
  b.durable();
  b.apply();
  b.apply();
  const auto first_record = [&] {
    b.advance(0);
    for (const auto& [key, value] : b.disk) {
      if (key.kind == static_cast<std::uint8_t>(RecordKind::kEntry)) return key.slot.value();
    }
    return std::uint64_t{0};
  };
  EXPECT_EQ(first_record(), 1u) << "without an image";

  b.turn([&] { b.core.image_durable(coded(covers(4, 1)), b.effects); });
  EXPECT_EQ(first_record(), 4u) << "the last two stay for those who are just behind";
  b.durable();

  AppendEntries heartbeat = append(1, 5, 1, {}, 4);
  heartbeat.floor = LogIndex(4);
  b.deliver(kA, heartbeat);
  EXPECT_EQ(first_record(), 5u) << "all members have it";
}

TEST(Truncation, ARestartGoesOnFromTheImage) {
  Subject after(config(kB, 3), disk_of({1, 1, 2, 2}, 2), coded(covers(2, 1)));

  EXPECT_EQ(after.commit(), 2u);
  EXPECT_EQ(after.core.log().base(), LogIndex(2));
  EXPECT_EQ(after.terms(), (Terms{2, 2}));
  after.deliver(kA, append(2, 2, 1, entries(3, {2, 2}), 3));
  EXPECT_EQ(after.commit(), 3u);
}

// The image of a peer became durable, and then the power failed before the old log went.
TEST(Truncation, ARestartDropsALogThatTheImageContradicts) {
  Subject after(config(kB, 3), disk_of({1, 1, 2, 2}, 2), coded(covers(3, 3)));

  EXPECT_EQ(after.terms(), Terms{});
  EXPECT_EQ(after.core.current_term(), Term(3)) << "the term of the image is known";
  after.advance(0);
  for (const auto& [key, value] : after.disk) {
    EXPECT_NE(key.kind, static_cast<std::uint8_t>(RecordKind::kEntry)) << key.slot.value();
  }
}

TEST(Truncation, ALaggardIsToldThatTheLogIsGone) {
  Disk disk = disk_of({1, 1, 1, 1}, 1);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    disk.erase({static_cast<std::uint8_t>(RecordKind::kEntry), {}, {}, {}, Slot(i)});
  }
  Subject a(config(kA, 3), disk, coded(covers(3, 1)));
  a.lead();

  a.deliver(kB, AppendEntriesReply{Term(2), false, true, LogIndex(4), {}, {}, LogIndex(2), 0});

  EXPECT_EQ(only<Truncated>(a), (Truncated{Term(2), LogIndex(4), LogIndex(3), a.now}));
}

TEST(Truncation, WhatIsOnDiskOnlyIsReadBackForALaggard) {
  CoreConfig small = config(kA, 3);
  Subject a(small, disk_of({1, 1, 1, 1}, 1), coded(covers(3, 1)));
  a.lead();
  a.deliver(kB, AppendEntriesReply{Term(2), false, true, LogIndex(4), {}, {}, LogIndex(2), 0});
  EXPECT_EQ(only<AppendEntries>(a).prev_log_index, LogIndex(1)) << "a probe";

  a.deliver(kB, AppendEntriesReply{Term(2), true, true, LogIndex(1), LogIndex(1), {}, {}, 0});

  const auto sent = only<AppendEntries>(a);
  EXPECT_EQ(sent.prev_log_index, LogIndex(1));
  Bytes rest = sent.entries;
  Entry entry;
  int count = 0;
  while (take_entry(rest, 3, entry)) ++count;
  EXPECT_EQ(count, 4) << "2 to 4, and the Nop";
  EXPECT_EQ(a.count(Count::kReadBack), 2u);
}

// A leader that reads for long is not heard meanwhile, and hears nobody.
TEST(Truncation, WhatMustBeReadBackIsSentInPortionsOfATurnEach) {
  constexpr std::uint64_t kOnDisk = 2'000;
  constexpr std::uint64_t kPortion = 512;
  Subject a(config(kA, 3), disk_of(Terms(kOnDisk, 1), 1), coded(covers(kOnDisk - 10, 1)));
  a.lead();
  a.acknowledge(kC, kOnDisk + 1);
  a.deliver(kB,
            AppendEntriesReply{Term(2), false, true, LogIndex(kOnDisk), {}, {}, LogIndex(1), 0});

  EXPECT_EQ(a.count(Count::kReadBack), kPortion);
  EXPECT_EQ(only<AppendEntries>(a).prev_log_index, LogIndex(0));
  for (std::uint64_t sent = kPortion; sent < kOnDisk - 10; sent += kPortion) {
    EXPECT_EQ(a.core.next_deadline(), 0u) << "it goes on in the next turn";
    const std::uint64_t before = a.count(Count::kReadBack);
    a.advance(1'000);
    EXPECT_LE(a.count(Count::kReadBack) - before, kPortion);
    EXPECT_EQ(only<AppendEntries>(a).prev_log_index, LogIndex(sent));
  }

  EXPECT_EQ(a.count(Count::kReadBack), kOnDisk - 10) << "each once";
  EXPECT_GT(a.core.next_deadline(), a.now) << "and then there is nothing more to send";
}

TEST(ImageWish, ComesSoonerFromWhoHasExecutedNothing) {
  CoreConfig far = config(kB, 3);
  far.image_lag_instances = 1'600;
  Subject b(far);
  b.deliver(kA, append(1, 0, 0, {}, 99));
  EXPECT_FALSE(b.effects.image_wish);
  b.deliver(kA, append(1, 0, 0, {}, 100));
  ASSERT_TRUE(b.effects.image_wish);
  EXPECT_EQ(b.effects.image_wish->bytes_max, 100u * 256) << "a larger one is not worth it";

  Subject c(far);
  c.deliver(kA, append(1, 0, 0, entries(1, {1}), 1));
  c.apply();
  c.deliver(kA, append(1, 1, 1, {}, 1'600));
  EXPECT_FALSE(c.effects.image_wish);
  c.deliver(kA, append(1, 1, 1, {}, 1'601));
  EXPECT_TRUE(c.effects.image_wish);
}

TEST(Truncated, MakesAFollowerWishForTheLeadersImage) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0));

  b.deliver(kA, Truncated{Term(1), LogIndex(4), LogIndex(9), 5});

  ASSERT_TRUE(b.effects.image_wish);
  EXPECT_EQ(b.effects.image_wish->from, kA);
  const auto reply = only<AppendEntriesReply>(b);
  EXPECT_FALSE(reply.success);
  EXPECT_EQ(reply.conflict_index, LogIndex(1));
  b.deliver(kA, Truncated{Term(1), LogIndex(4), LogIndex(9), 6});
  EXPECT_FALSE(b.effects.image_wish) << "not at every word";
}

TEST(Truncated, SaysNothingToWhoHasEnough) {
  Subject b(config(kB, 3), disk_of({1, 1, 1, 1}, 1));
  b.deliver(kA, append(1, 4, 1, {}, 4));
  b.deliver(kA, Truncated{Term(1), LogIndex(4), LogIndex(4), 0});
  EXPECT_FALSE(b.effects.image_wish);
  EXPECT_EQ(only<AppendEntriesReply>(b).conflict_index, LogIndex(5));
}

TEST(Truncated, OfAnEarlierTermTellsItsSenderTheCurrentOne) {
  Subject b(config(kB, 3), disk_of({}, 5));
  b.deliver(kA, Truncated{Term(2), LogIndex(4), LogIndex(9), 5});
  EXPECT_EQ(only<AppendEntriesReply>(b).term, Term(5));
  EXPECT_FALSE(b.effects.image_wish);
}

TEST(Install, IsForWhatIsNewOfTheSameMembership) {
  Subject b(kB, 3);
  b.deliver(kA, append(1, 0, 0, entries(1, {1, 1}), 2));

  EXPECT_FALSE(b.core.may_install(coded(covers(2, 1))));
  EXPECT_TRUE(b.core.may_install(coded(covers(3, 1))));
  EXPECT_FALSE(b.core.may_install(coded(covers(3, 1, 5)))) << "another membership";
  EXPECT_FALSE(b.core.may_install(coded(covers(3, 0))));
  EXPECT_FALSE(b.core.may_install({}));
}

void install(Subject& subject, const LogCoverage& coverage) {
  subject.apply();
  ASSERT_TRUE(subject.core.may_install(coded(coverage)));
  subject.turn([&] { subject.core.install(coded(coverage), subject.effects); });
}

TEST(Install, KeepsTheLogBehindItWhenTheLastEntryIsTheSame) {
  Subject b(config(kB, 3), disk_of({1, 1, 2, 2}, 2));

  install(b, covers(3, 2));

  EXPECT_EQ(b.terms(), Terms{2});
  EXPECT_EQ(b.core.log().last(), LogIndex(4));
  EXPECT_EQ(b.commit(), 3u);
  EXPECT_EQ(b.core.durable_index(), LogIndex(4));
}

TEST(Install, DropsTheLogWhenItIsAnotherOne) {
  Subject b(config(kB, 3), disk_of({1, 1, 2, 2}, 2));

  install(b, covers(3, 5));

  EXPECT_EQ(b.terms(), Terms{});
  EXPECT_EQ(b.core.log().last(), LogIndex(3));
  EXPECT_EQ(b.core.current_term(), Term(5));
  EXPECT_EQ(b.core.durable_index(), LogIndex(3));
  b.advance(0);
  Subject after(config(kB, 3), b.disk, coded(covers(3, 5)));
  EXPECT_EQ(after.core.log().last(), LogIndex(3));
  after.deliver(kA, append(5, 3, 5, entries(4, {5}), 4));
  EXPECT_EQ(after.commit(), 4u);
}

TEST(Install, OwnCommandsThatItHasExecutedEndWithoutAnAnswer) {
  Subject b(kB, 3);
  b.propose(1);
  b.propose(2);
  LogCoverage coverage = covers(7, 2);
  coverage.executed.set(kB, {1, 1});

  install(b, coverage);

  ASSERT_EQ(b.effects.superseded.size(), 1u);
  EXPECT_EQ(b.effects.superseded[0], (CommandId{7, 1}));
  b.deliver(kA, append(2, 7, 2));
  EXPECT_EQ(only<Forward>(b).sequence, 2u);
}

TEST(Install, WhatItHasExecutedIsNotExecutedAgain) {
  Subject b(kB, 3);
  LogCoverage coverage = covers(7, 1);
  coverage.executed.set(kC, {9, 4});
  install(b, coverage);
  const std::vector<std::byte> block = block_of("x");

  b.deliver(kA, append(2, 7, 1, encoded({2, {kC, 9, 4}, block}), 8));

  EXPECT_TRUE(b.effects.executions.empty());
  EXPECT_EQ(b.core.executor().executed_up_to(), LogIndex(8));
}

}  // namespace
}  // namespace epaxos::compare::raft
