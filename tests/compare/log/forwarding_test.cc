// Blocks on their way to the leader, and what keeps each of them single.

#include <gtest/gtest.h>

#include "compare/log/forward_queue.h"
#include "compare/log/log_coverage.h"
#include "compare/log/log_executor.h"
#include "compare/log/log_messages.h"
#include "tests/compare/log/support.h"

namespace epaxos::compare {
namespace {

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};

void add(ForwardQueue& queue, std::uint64_t number) {
  const Proposal proposal{{{7, number}, 0, false, {}}, Footprint::write("x")};
  queue.add({&proposal, 1}, proposal.footprint, block_bytes({&proposal, 1}, proposal.footprint));
}

/// The sequence numbers that are sent now.
std::vector<std::uint64_t> send(ForwardQueue& queue, Tick now = 0) {
  std::vector<std::uint64_t> sent;
  while (const auto next = queue.next()) {
    sent.push_back(next->origin.sequence);
    queue.sent(now);
  }
  return sent;
}

using Sequences = std::vector<std::uint64_t>;

TEST(OriginTable, TakesEachBlockOnceAndInOrder) {
  OriginTable table;

  EXPECT_FALSE(table.take({kA, 1, 2})) << "the first one is missing";
  EXPECT_TRUE(table.take({kA, 1, 1}));
  EXPECT_FALSE(table.take({kA, 1, 1})) << "a repetition";
  EXPECT_TRUE(table.take({kA, 1, 2}));
  EXPECT_TRUE(table.take({kB, 1, 1})) << "another proposer";
  EXPECT_FALSE(table.take({})) << "a Nop";
}

TEST(OriginTable, ALaterLifeStartsAtOneAndEndsTheEarlierOne) {
  OriginTable table;
  table.take({kA, 3, 1});

  EXPECT_FALSE(table.take({kA, 4, 2}));
  EXPECT_EQ(table.wanted(kA, 4), 1u);
  EXPECT_TRUE(table.take({kA, 4, 1}));
  EXPECT_FALSE(table.take({kA, 3, 2}));
  EXPECT_EQ(table.wanted(kA, 3), 0u);
}

TEST(ForwardQueue, SendsInOrderAndAgainFromTheFirstOneThatIsNotExecuted) {
  ForwardQueue queue(kA, 1, {});
  for (std::uint64_t i = 1; i <= 4; ++i) add(queue, i);
  EXPECT_EQ(send(queue), (Sequences{1, 2, 3, 4}));
  EXPECT_EQ(send(queue), Sequences{});

  queue.executed(2, 0);
  queue.begin_again(0);

  EXPECT_EQ(send(queue), (Sequences{3, 4}));
  EXPECT_EQ(queue.size(), 2u);
}

TEST(ForwardQueue, GoesBackToWhatTheLeaderWantsOnceInAWhile) {
  ForwardQueue queue(kA, 1, {.resend_us = 1000});
  for (std::uint64_t i = 1; i <= 4; ++i) add(queue, i);
  send(queue);

  queue.wanted(1, 3, 10);
  EXPECT_EQ(send(queue), (Sequences{3, 4}));
  queue.wanted(1, 3, 20);
  EXPECT_EQ(send(queue), Sequences{}) << "the answer is on its way";
  queue.wanted(1, 3, 500);
  EXPECT_EQ(send(queue), (Sequences{3, 4}));
  queue.wanted(2, 1, 1000);
  queue.wanted(1, 9, 1000);
  EXPECT_EQ(send(queue), Sequences{}) << "another life, and what was never sent";
}

TEST(ForwardQueue, SendsAgainWhenNothingMovesEverMoreRarely) {
  ForwardQueue queue(kA, 1, {.resend_us = 1000, .resend_max_us = 3000});
  add(queue, 1);
  EXPECT_EQ(queue.due(), kNever);
  send(queue, 0);

  EXPECT_EQ(queue.due(), 1000u);
  EXPECT_FALSE(queue.resend_if_due(999));
  EXPECT_TRUE(queue.resend_if_due(1000));
  EXPECT_EQ(send(queue, 1000), Sequences{1});
  EXPECT_EQ(queue.due(), 3000u);
  EXPECT_TRUE(queue.resend_if_due(3000));
  send(queue, 3000);
  EXPECT_EQ(queue.due(), 6000u) << "no longer than the limit";
  queue.executed(1, 6000);
  EXPECT_EQ(queue.due(), kNever);
}

TEST(ForwardQueue, KeepsWithinItsWindow) {
  ForwardQueue queue(kA, 1, {.window_bytes = 100});
  for (std::uint64_t i = 1; i <= 4; ++i) add(queue, i);
  const Sequences first = send(queue);
  ASSERT_LT(first.size(), 4u);
  ASSERT_GE(first.size(), 1u);

  queue.executed(first.back(), 0);

  EXPECT_EQ(send(queue).front(), first.back() + 1);
}

TEST(LogExecutor, HandsEveryBlockOverOnce) {
  LogWindow log;
  log.set(Slot(1), nop_of(1));
  log.set(Slot(2), entry_of(1, kA, 1));
  log.set(Slot(3), entry_of(1, kB, 1));
  log.set(Slot(4), entry_of(2, kA, 1));
  log.set(Slot(5), entry_of(2, kA, 2));
  ForwardQueue own(kA, 1, {});
  add(own, 1);
  add(own, 2);
  LogExecutor executor;
  Effects out;

  EXPECT_EQ(executor.walk(log, Slot(4), kA, own, out), 1u);

  ASSERT_EQ(out.executions.size(), 2u);
  EXPECT_EQ(out.executions[0].instance, (InstanceId{kA, Slot(2)}));
  EXPECT_EQ(out.executions[1].instance, (InstanceId{kB, Slot(3)}));
  EXPECT_EQ(out.executions[1].position, 2u);
  EXPECT_EQ(own.size(), 1u);
  EXPECT_EQ(executor.executed_up_to(), Slot(4));
}

// What an image of now covers ends where the state machine stands, not where the walk does.
TEST(LogExecutor, KnowsWhatTheStateMachineHasGot) {
  LogWindow log;
  log.set(Slot(1), nop_of(1));
  log.set(Slot(2), entry_of(1, kA, 1));
  log.set(Slot(3), entry_of(1, kA, 2));
  log.set(Slot(4), nop_of(1));
  ForwardQueue own(kB, 1, {});
  LogExecutor executor;
  Effects out;
  executor.walk(log, Slot(4), kB, own, out);

  EXPECT_EQ(executor.applied_up_to(), Slot(1));
  EXPECT_EQ(executor.applied_origins()[kA], OriginTable::Row());
  executor.applied(1);
  EXPECT_EQ(executor.applied_up_to(), Slot(2));
  EXPECT_EQ(executor.applied_origins()[kA], (OriginTable::Row{1, 1}));
  EXPECT_EQ(executor.executed()[kA], (OriginTable::Row{1, 2}));
  executor.applied(2);
  EXPECT_EQ(executor.applied_up_to(), Slot(4));
}

TEST(LogCodec, RoundTripsAndRefusesTruncations) {
  LogCoverage coverage{Slot(90), 12, {Epoch(3), 5}, {}};
  coverage.executed.set(kB, {77, 5});
  std::vector<std::byte> bytes;

  encode(coverage, bytes);

  EXPECT_EQ(decode_log_coverage(bytes).value(), coverage);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_log_coverage(Bytes(bytes).first(size))) << size;
  }
}

TEST(LogCodec, MessagesRoundTrip) {
  Effects out;
  const std::vector<std::byte> block = block_of("x");
  const Slice forward = encode(Forward{4, 2, block}, out);
  const Slice wanted = encode(Wanted{4, 2}, out);
  Forward heard;
  Wanted heard_wanted;

  ASSERT_TRUE(decode(out.view(forward), 3, heard));
  ASSERT_TRUE(decode(out.view(wanted), 3, heard_wanted));
  EXPECT_TRUE(std::ranges::equal(heard.block, block));
  EXPECT_EQ(heard.life, 4u);
  EXPECT_EQ(heard_wanted.sequence, 2u);
  EXPECT_FALSE(decode(out.view(wanted), 3, heard)) << "a Forward has a block";
}

}  // namespace
}  // namespace epaxos::compare
