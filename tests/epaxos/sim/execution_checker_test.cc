// The checker of executions against histories that are known to be good or bad. Whoever watches
// must see what is wrong, and nothing else.

#include "epaxos/sim/checkers/execution_checker.h"

#include <gmock/gmock.h>
#include <map>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "deps/types/session.h"

namespace epaxos::sim {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// A replica's own session, for commands that came without one.
constexpr std::uint64_t kOwn = kOwnSessionBit | 1;

/// Histories in words. A command's payload is its name, and so is its reply.
class History {
 public:
  explicit History(std::uint64_t session = kOwn) : session_(session) {
    checker.on_started(kA);
    checker.on_started(kB);
  }

  void propose(std::string_view name, const Footprint& footprint) {
    const CommandId fresh{session_, numbers_.size() + 1};
    const CommandId id = numbers_.try_emplace(std::string(name), fresh).first->second;
    checker.on_proposed(kA, {{id, 0, !footprint.writes(), bytes_of(name)}, footprint});
  }
  void execute(ReplicaId at, std::string_view name) { execute(at, name, name, name); }
  void execute(ReplicaId at, std::string_view name, std::string_view payload,
               std::string_view reply) {
    Command command;
    command.id = id(name);
    command.payload = bytes_of(payload);
    checker.on_executed(at, command, bytes_of(reply));
  }
  void read(ReplicaId at, std::string_view name, std::string_view payload) {
    Command command;
    command.id = id(name);
    command.payload = bytes_of(payload);
    checker.on_read(at, command, bytes_of(name));
  }
  void acknowledge(ReplicaId at, std::string_view name) { acknowledge(at, name, name); }
  void acknowledge(ReplicaId at, std::string_view name, std::string_view reply) {
    checker.on_acknowledged(at, id(name), bytes_of(reply));
  }
  [[nodiscard]] CommandId id(std::string_view name) const {
    const auto found = numbers_.find(std::string(name));
    return found == numbers_.end() ? CommandId{9, 9} : found->second;
  }

  ExecutionChecker checker;

 private:
  const std::uint64_t session_;
  std::map<std::string, CommandId> numbers_;
};

TEST(ExecutionChecker, OneOrderOfConflictsIsGoodAndAnyOrderOfOthers) {
  History history;
  history.propose("w1", Footprint::write("x"));
  history.propose("r", Footprint::read("x"));
  history.propose("r2", Footprint::read("x"));
  history.propose("w2", Footprint::write("x"));
  history.propose("other", Footprint::write("y"));
  for (const auto* name : {"w1", "r", "r2", "w2", "other"}) history.execute(kA, name);
  for (const auto* name : {"other", "w1", "r2", "r", "w2"}) history.execute(kB, name);
  history.acknowledge(kA, "w1");

  EXPECT_THAT(history.checker.violations(), IsEmpty());
  EXPECT_THAT(history.checker.missing_acknowledged({kA, kB}), IsEmpty());
  EXPECT_EQ(history.checker.executed(), 10u);
}

/// Two commands in one order at A and in the other at B.
std::vector<std::string> swapped(const Footprint& one, const Footprint& two) {
  History history;
  history.propose("one", one);
  history.propose("two", two);
  history.execute(kA, "one");
  history.execute(kA, "two");
  history.execute(kB, "two");
  history.execute(kB, "one");
  return history.checker.violations();
}

TEST(ExecutionChecker, ConflictsInTwoOrdersAreSeenForEveryKindOfConflict) {
  const Footprint read = Footprint::read("x");
  const Footprint write = Footprint::write("x");
  const Footprint all = Footprint::everything();
  const Footprint elsewhere = Footprint::write("y");
  const auto bad = Contains(HasSubstr("another place"));
  EXPECT_THAT(swapped(write, write), bad);
  EXPECT_THAT(swapped(read, write), bad);
  EXPECT_THAT(swapped(write, read), bad);
  EXPECT_THAT(swapped(all, all), bad);
  EXPECT_THAT(swapped(all, read), bad);
  EXPECT_THAT(swapped(write, all), bad);
  Footprint both = write;
  both.merge(elsewhere);
  EXPECT_THAT(swapped(both, Footprint::read("y")), bad);

  EXPECT_THAT(swapped(read, read), IsEmpty());
  EXPECT_THAT(swapped(write, elsewhere), IsEmpty());
}

TEST(ExecutionChecker, AConflictThatWasSkippedIsSeenAtTheNextOne) {
  History history;
  for (const auto* name : {"w1", "w2", "w3"}) history.propose(name, Footprint::write("x"));
  for (const auto* name : {"w1", "w2", "w3"}) history.execute(kA, name);

  history.execute(kB, "w1");
  history.execute(kB, "w3");

  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("another place")));
}

TEST(ExecutionChecker, ACommandThatRunsTwiceInOneLifeIsSeenAndInTwoLivesIsGood) {
  History history;
  history.propose("w", Footprint::write("x"));
  history.execute(kA, "w");
  history.checker.on_started(kA);
  history.execute(kA, "w");
  EXPECT_THAT(history.checker.violations(), IsEmpty()) << "a machine begins empty";

  history.execute(kA, "w");

  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("executed twice")));
}

TEST(ExecutionChecker, ARestartedReplicaMustExecuteInTheSameOrderAgain) {
  History history;
  history.propose("w1", Footprint::write("x"));
  history.propose("w2", Footprint::write("x"));
  history.execute(kA, "w1");
  history.execute(kA, "w2");
  history.checker.on_started(kA);

  history.execute(kA, "w2");

  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("another place")));
}

TEST(ExecutionChecker, WhatNobodyProposedAndWhatWasChangedIsSeen) {
  History history;
  history.propose("w", Footprint::write("x"));

  history.execute(kA, "invented");
  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("never proposed")));
  history.execute(kA, "w", "other bytes", "w");
  EXPECT_THAT(history.checker.violations(), Contains(HasSubstr("another payload")));
}

TEST(ExecutionChecker, AnIdThatIsProposedAgainWithOtherBytesIsSeen) {
  History history;
  history.propose("w", Footprint::write("x"));
  const Proposal other{{history.id("w"), 0, false, bytes_of("other")}, Footprint::write("x")};

  history.checker.on_proposed(kB, other);

  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("proposed twice")));
}

TEST(ExecutionChecker, RepliesThatDifferAreSeen) {
  History history;
  history.propose("w", Footprint::write("x"));
  history.execute(kA, "w");

  history.execute(kB, "w", "w", "another reply");

  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("another reply at R1")));
}

TEST(ExecutionChecker, AnAcknowledgementNeedsItsExecutionItsReplyAndToBeTheOnlyOne) {
  History history;
  history.propose("w", Footprint::write("x"));
  history.execute(kB, "w");

  history.acknowledge(kA, "w");
  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("before R0 executed")));
  history.execute(kA, "w");
  history.acknowledge(kA, "w", "invented");
  EXPECT_THAT(history.checker.violations(), Contains(HasSubstr("another reply than it gave")));
  history.acknowledge(kA, "w");
  EXPECT_THAT(history.checker.violations(), Contains(HasSubstr("acknowledged twice")));
}

TEST(ExecutionChecker, WhatOnlyReadsMayBeAnsweredOnceWithoutAPlace) {
  History good;
  good.propose("r", Footprint::read("x"));
  good.read(kB, "r", "r");
  good.acknowledge(kB, "r");
  EXPECT_THAT(good.checker.violations(), IsEmpty());
  EXPECT_THAT(good.checker.missing_acknowledged({kA, kB}), IsEmpty()) << "nobody executes it";

  good.read(kA, "r", "r");
  EXPECT_THAT(good.checker.violations(), ElementsAre(HasSubstr("was answered twice")));

  History bad;
  bad.propose("w", Footprint::write("x"));
  bad.propose("r", Footprint::read("x"));
  bad.read(kA, "w", "w");
  bad.read(kA, "r", "another");
  bad.read(kA, "nobody's", "x");
  EXPECT_THAT(bad.checker.violations(),
              ElementsAre(HasSubstr("writes and has no place"), HasSubstr("never proposed"),
                          HasSubstr("never proposed")));
}

TEST(ExecutionChecker, ARequestOfASessionMayBeAnsweredTwiceButOnlyAlike) {
  History history(/*session=*/7);
  history.propose("append", Footprint::write("x"));
  history.execute(kA, "append");
  history.execute(kB, "append");
  history.acknowledge(kA, "append");

  history.acknowledge(kB, "append");
  EXPECT_THAT(history.checker.violations(), IsEmpty());
  history.acknowledge(kB, "append", "appended once more");
  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("another reply than it gave")));
}

TEST(ExecutionChecker, ARepeatedRequestThatTakesEffectAgainIsSeen) {
  History history(/*session=*/7);
  history.propose("append", Footprint::write("x"));
  history.propose("append", Footprint::write("x"));
  history.execute(kA, "append");

  history.execute(kA, "append");

  EXPECT_THAT(history.checker.violations(), ElementsAre(HasSubstr("executed twice at R0")));
}

TEST(ExecutionChecker, AnAcknowledgedCommandThatALaterLifeDoesNotKnowIsMissing) {
  History history;
  history.propose("w", Footprint::write("x"));
  history.execute(kA, "w");
  history.acknowledge(kA, "w");
  EXPECT_THAT(history.checker.missing_acknowledged({kA}), IsEmpty());

  history.checker.on_started(kA);

  EXPECT_THAT(history.checker.missing_acknowledged({kA}),
              ElementsAre(HasSubstr("acknowledged and is not executed at R0")));
}

}  // namespace
}  // namespace epaxos::sim
