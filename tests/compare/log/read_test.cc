// Reads that take no place in the log: who asks, who answers, and for how long a lease runs.

#include <gtest/gtest.h>

#include "compare/log/read_lease.h"
#include "compare/log/read_queue.h"
#include "compare/log/read_rounds.h"

namespace epaxos::compare {
namespace {

constexpr ReplicaId kLeads{0};
constexpr ReplicaId kOne{1};
constexpr ReplicaId kOther{2};

CoreConfig reading(std::size_t in_flight_max = 100) {
  CoreConfig config;
  config.life = 4;
  config.reads = Reads::kIndex;
  config.in_flight_max = in_flight_max;
  return config;
}

Proposal proposal(std::uint64_t number, bool reads_only) {
  return {{{7, number}, 0, reads_only, bytes_of("payload")},
          reads_only ? Footprint::read("x") : Footprint::write("x")};
}

void add(ReadQueue& queue, std::uint64_t number) {
  Effects out;
  const Proposal read = proposal(number, true);
  EXPECT_TRUE(queue.take({&read, 1}, out).empty());
}

std::vector<std::uint64_t> serve(ReadQueue& queue, std::uint64_t applied_up_to) {
  Effects out;
  queue.serve(Slot(applied_up_to), out);
  std::vector<std::uint64_t> numbers;
  for (const ReadEffect& each : out.reads) numbers.push_back(each.command.number);
  return numbers;
}
using Numbers = std::vector<std::uint64_t>;

TEST(ReadQueue, TakesWhatOnlyReadsAndLeavesTheRest) {
  const std::vector<Proposal> all{proposal(1, false), proposal(2, true), proposal(3, false)};
  Effects out;
  ReadQueue queue(reading());

  const auto rest = queue.take(all, out);

  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[1].command.id.number, 3u);
  EXPECT_EQ(queue.size(), 1u);
  ReadQueue off{CoreConfig{}};
  EXPECT_EQ(off.take(all, out).size(), 3u) << "reads go through the log";
}

TEST(ReadQueue, WhatFindsNoRoomIsRejected) {
  ReadQueue queue(reading(1));
  Effects out;
  const std::vector<Proposal> all{proposal(1, true), proposal(2, true)};

  EXPECT_TRUE(queue.take(all, out).empty());

  ASSERT_EQ(out.rejections.size(), 1u);
  EXPECT_EQ(out.rejections[0].command.number, 2u);
}

TEST(ReadQueue, WhatAFullDiskKeepsOutOfReachIsRefusedAndTheRestWaitsOn) {
  ReadQueue queue(reading());
  add(queue, 1);
  EXPECT_EQ(queue.ask(0), 1u);
  add(queue, 2);
  EXPECT_TRUE(queue.answered(4, 1, Slot(9)));
  EXPECT_EQ(serve(queue, 8), Numbers{});
  Effects out;

  queue.refuse_unserved(out);

  ASSERT_EQ(out.rejections.size(), 1u);
  EXPECT_EQ(out.rejections[0].command.number, 1u);
  EXPECT_EQ(out.rejections[0].code, ErrorCode::kOutOfSpace);
  EXPECT_EQ(queue.size(), 1u) << "the leader may still say that the state here is new enough";
  EXPECT_EQ(queue.ask(0), 2u);
  EXPECT_TRUE(queue.answered(4, 2, Slot(8)));
  EXPECT_EQ(serve(queue, 8), Numbers{2});
}

TEST(ReadQueue, OneAnswerServesAllUpToTheNumberThatWasAskedAbout) {
  ReadQueue queue(reading());
  add(queue, 1);
  EXPECT_EQ(queue.ask(0), 1u);
  add(queue, 2);
  add(queue, 3);
  EXPECT_EQ(queue.ask(0), 2u);
  EXPECT_EQ(queue.ask(0), std::nullopt);
  add(queue, 4);

  EXPECT_TRUE(queue.answered(4, 2, Slot(5)));
  EXPECT_FALSE(queue.answered(4, 1, Slot(1))) << "nothing waits for it any more";

  EXPECT_EQ(serve(queue, 4), Numbers{});
  EXPECT_EQ(serve(queue, 5), (Numbers{1, 2, 3}));
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.ask(0), 3u);
}

TEST(ReadQueue, AnswersOfAnotherLifeOrToNoQuestionCountForNothing) {
  ReadQueue queue(reading());
  add(queue, 1);
  EXPECT_FALSE(queue.answered(4, 1, Slot(1))) << "it was never asked";
  EXPECT_EQ(queue.ask(0), 1u);
  EXPECT_FALSE(queue.answered(3, 1, Slot(1)));
  EXPECT_FALSE(queue.answered(4, 2, Slot(1)));
  EXPECT_TRUE(queue.answered(4, 1, Slot(1)));
}

TEST(ReadQueue, AsksAgainWhenNoAnswerComesAndWhenTheLeaderChanges) {
  ReadQueue queue(reading());
  EXPECT_EQ(queue.due(), kNever);
  add(queue, 1);
  EXPECT_EQ(queue.ask(1'000), 1u);
  const Tick again = queue.due();
  EXPECT_EQ(again, 1'000 + CoreConfig{}.retransmit_us);
  EXPECT_EQ(queue.ask(again - 1), std::nullopt);
  EXPECT_EQ(queue.ask(again), 1u);
  queue.answered(4, 1, Slot(9));
  EXPECT_EQ(queue.due(), kNever);

  queue.begin_again();

  EXPECT_EQ(serve(queue, 9), Numbers{}) << "the log of the next leader may never come so far";
  EXPECT_EQ(queue.ask(again), 1u);
}

// --- The leader --------------------------------------------------------------------------------

struct Told {
  ReplicaId to;
  std::uint64_t number = 0;
  Slot index;
  friend bool operator==(const Told&, const Told&) = default;
};

std::vector<Told> confirm(ReadRounds& rounds, Tick at) {
  std::vector<Told> told;
  rounds.confirm(at, [&](ReplicaId to, const ReadRounds::Ask& ask, Slot index) {
    told.push_back({to, ask.number, index});
  });
  return told;
}

TEST(ReadRounds, AnswerWhatWasAskedBeforeTheyBegan) {
  ReadRounds rounds;
  rounds.ask(kOne, {1, 5});
  rounds.ask(kOne, {1, 4});
  rounds.ask(kOther, {1, 1});
  rounds.begin(10, Slot(3));
  rounds.ask(kOne, {1, 6});
  EXPECT_TRUE(rounds.may_begin());
  rounds.begin(20, Slot(4));
  EXPECT_FALSE(rounds.may_begin());

  EXPECT_TRUE(confirm(rounds, 9).empty());
  EXPECT_EQ(confirm(rounds, 19), (std::vector<Told>{{kOne, 5, Slot(3)}, {kOther, 1, Slot(3)}}));
  EXPECT_EQ(confirm(rounds, 20), (std::vector<Told>{{kOne, 6, Slot(4)}}));
  EXPECT_FALSE(rounds.under_way());
}

TEST(ReadRounds, SoManyAreUnderWayAndTheRestWaitsForThem) {
  ReadRounds rounds;
  Tick now = 1;
  for (rounds.ask(kOne, {1, now}); rounds.may_begin(); rounds.ask(kOne, {1, now})) {
    rounds.begin(now++, Slot(1));
    ASSERT_LT(now, 1'000u);
  }
  EXPECT_TRUE(rounds.has_fresh());
  confirm(rounds, 1);
  EXPECT_TRUE(rounds.may_begin());
}

TEST(ReadRounds, AQuorumHasReachedWhatItsSlowestMemberHas) {
  const auto majority_of_5 = [](ReplicaSet set) { return set.size() >= 3; };
  const std::array<Tick, kReplicasMax> times{0, 50, 20, 40, 90};

  EXPECT_EQ(reached_by_quorum(times, ReplicaSet::all(5), kLeads, majority_of_5), 50u);
  EXPECT_EQ(reached_by_quorum(times, ReplicaSet::all(3), kLeads, majority_of_5), 20u);
  EXPECT_EQ(reached_by_quorum(times, ReplicaSet::all(2), kLeads, majority_of_5), 0u) << "no quorum";
  EXPECT_EQ(reached_by_quorum(times, {}, kLeads, [](ReplicaSet) { return true; }), kNever);
}

// --- Leases ------------------------------------------------------------------------------------

TEST(ReadLease, RunsUntilTheLatestEndAndNoLongerOnceGivenUp) {
  ReadLease lease;
  EXPECT_FALSE(lease.runs(0));
  lease.extend(lease_end(1'000, 300), 1'100);
  EXPECT_TRUE(lease.runs(1'149));
  EXPECT_FALSE(lease.runs(1'150)) << "half of what was promised, from the sending on";
  lease.extend(1'120, 1'110);
  EXPECT_TRUE(lease.runs(1'149)) << "what a quorum has promised stays";

  lease.give_up();
  EXPECT_FALSE(lease.runs(1'100));
  lease.extend(9'000, 1'160);
  EXPECT_FALSE(lease.runs(1'170)) << "until it leads anew";
  lease.begin();
  EXPECT_FALSE(lease.runs(1'170)) << "what was promised before counts no more";
}

// Whatever two clocks do, as long as none runs twice as fast: the promise outlives the lease.
TEST(ReadLease, EndsBeforeThePromiseDoesOnClocksThatRunNearlyTwiceAsFast) {
  constexpr Tick kPromised = 300'000;
  constexpr double kRatio = 1.99;

  const double lease_lasts = static_cast<double>(lease_end(0, kPromised)) * kRatio;

  EXPECT_LT(lease_lasts, static_cast<double>(kPromised));
}

TEST(LeasePromise, BeginsWithTheTurnAfterItWasGiven) {
  LeasePromise promise;
  EXPECT_FALSE(promise.binds(0));
  promise.give(300);
  EXPECT_TRUE(promise.is_new());
  EXPECT_TRUE(promise.binds(99'999)) << "it has not begun";

  promise.tick(1'000);

  EXPECT_FALSE(promise.is_new());
  EXPECT_TRUE(promise.binds(1'299));
  EXPECT_FALSE(promise.binds(1'300));
}

}  // namespace
}  // namespace epaxos::compare
