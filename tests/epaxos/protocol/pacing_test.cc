// Proposals that are put aside, one core at a time. Source: protocol.md 12.

#include <gtest/gtest.h>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

/// The numbers of the commands in the only PreAccept of this turn.
std::vector<std::uint64_t> proposed(const Effects& effects) {
  std::vector<std::uint64_t> numbers;
  std::vector<Command> commands;
  decode_block_commands(only<PreAccept>(effects, 3).block, commands);
  for (const Command& command : commands) numbers.push_back(command.id.number);
  return numbers;
}

// A command that comes in the turn in which the key becomes free must not take it.
TEST(HotKey, WhoHasWaitedGoesBeforeWhoComesLater) {
  Subject a(kA, 3);
  a.propose({write("x", 1)});
  a.durable();
  a.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, kBlock});
  a.propose({write("x", 100), write("x", 101)});
  ASSERT_EQ(a.count(Count::kDelayedOnHotKey), 2u);
  a.deliver(kB, PreAccept{id(kB, 2), {0, 1, 0}, kBlock});
  a.deliver(kB, Commit{id(kA, 1), CommitKind::kInitial, {}, {}});

  EXPECT_EQ(proposed(a.propose({write("x", 200)})), (std::vector<std::uint64_t>{100, 101}));

  EXPECT_FALSE(any<PreAccept>(a.end_turn())) << "the later one waits in its turn";
  a.durable();
  a.deliver(kB, Commit{id(kA, 2), CommitKind::kInitial, {}, {}});
  EXPECT_EQ(proposed(a.end_turn()), (std::vector<std::uint64_t>{200}));
}

// Reads of a key wait for none of its reads, so that there may always be a younger one under way
// when a write could go at last.
TEST(HotKey, AWriteIsNotKeptAwayForEverByReadsThatComeLater) {
  Subject a(kA, 3);
  a.propose({read("x", 1)});
  a.durable();
  a.deliver(kB, PreAccept{id(kB, 1), {0, 0, 0}, kBlock});
  a.propose({write("x", 100)});
  ASSERT_EQ(a.count(Count::kDelayedOnHotKey), 1u);
  for (std::uint64_t slot = 1; slot <= 10; ++slot) {
    EXPECT_EQ(proposed(a.propose({read("x", 100 + slot)})), (std::vector{100 + slot}));
    a.durable();
    a.deliver(kB, Commit{id(kA, slot), CommitKind::kInitial, {}, {}});
    const Effects& effects = a.end_turn();
    if (!any<PreAccept>(effects)) continue;
    EXPECT_EQ(proposed(effects), (std::vector<std::uint64_t>{100}));
    EXPECT_GT(a.count(Count::kDelayedOnHotKey), 1u) << "it did wait for its turn";
    return;
  }
  ADD_FAILURE() << "the write still waits";
}

/// Writes of this many keys from `first` on, and of one that all share.
Footprint many_keys(std::uint64_t first, std::uint64_t count) {
  std::vector<Access> accesses{Access::write(std::uint64_t{1} << 40)};
  for (std::uint64_t i = 0; i < count; ++i) accesses.push_back(Access::write((first + i) << 1));
  return Footprint::of(std::move(accesses));
}

// What waits together may touch more keys than a message names.
TEST(Fence, AroundTooManyKeysIsOneAroundEverything) {
  Subject c(kC, 3);
  const auto waited_for = block_of({command(many_keys(100'000, 10'000), 2)});
  const auto waits = block_of({command(many_keys(1, 10'000), 1)});
  c.deliver(kB, Learn{id(kB, 1), {0, 0, 0}, waited_for});
  c.deliver(kA, Commit{id(kA, 1), CommitKind::kFull, {0, 1, 0}, waits});
  c.end_turn();

  for (int turn = 0; turn < 100; ++turn) {
    const Effects& effects = c.advance(100'000);
    if (any<Fence>(effects)) {
      EXPECT_TRUE(only<Fence>(effects, 3).footprint.is_everything());
      return;
    }
    c.end_turn();
  }
  FAIL() << "no fence";
}

}  // namespace
}  // namespace epaxos::protocol
