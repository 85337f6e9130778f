// A replica that missed much, and who tells it.

#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

TEST(MultiPaxosCatchUp, AQuestionGetsABoundedAnswerAndNothingComesTwice) {
  constexpr std::uint64_t kMissed = 5'000;
  CoreConfig config;
  config.held_executed_max = 5;
  Group group(3, {}, config);
  group.make_leader(0);
  group[2].lose_power();
  for (std::uint64_t number = 1; number <= kMissed; ++number) {
    group.propose(0, number);
    if (number % 100 == 0) group.deliver_all();
  }

  group[2].boot();
  std::uint64_t before = 0;
  for (int i = 0; i < 100'000 && group[2].executed.size() < kMissed; ++i) {
    if (group.letters.empty()) group.pass(50'000);
    if (group.letters.empty()) continue;
    group.deliver(0);
    const std::uint64_t served = group[0].count("served") + group[1].count("served");
    EXPECT_LE(served - before, 2048u) << "in one turn";
    before = served;
  }

  EXPECT_EQ(group[2].executed, commands(1, kMissed));
  EXPECT_LE(before, kMissed + 100);
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
