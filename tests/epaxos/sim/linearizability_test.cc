// The checker of histories against histories that are known to be good or bad. Times are those of a
// story: an operation is a line from its call to its return.

#include "epaxos/sim/checkers/linearizability.h"

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "epaxos/sim/checkers/key_value_model.h"
#include "epaxos/sim/random.h"
#include "executor/key_value_machine.h"

namespace epaxos::sim {
namespace {

using kv::ReplyStatus;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

kv::Payload ok(std::optional<std::string_view> value = {}) {
  kv::Payload out;
  kv::encode_reply(ReplyStatus::kOk, value, out);
  return out;
}

kv::Payload reply(ReplyStatus status, std::optional<std::string_view> value = {}) {
  kv::Payload out;
  kv::encode_reply(status, value, out);
  return out;
}

kv::Payload values(std::vector<std::optional<std::string_view>> all) {
  kv::Payload out;
  kv::encode_reply(all, out);
  return out;
}

Operation operation(std::uint64_t called, std::uint64_t returned, kv::Payload payload,
                    kv::Payload answer) {
  return {std::move(payload), std::move(answer), called, returned, called};
}

constexpr std::uint64_t kNoReturn = Operation::kNoReturn;

Verdict verdict(std::vector<Operation> history) {
  const Verdict hinted = judge(history).verdict;
  // Wrong hints change nothing.
  for (Operation& each : history) each.hint = kNoReturn - each.hint;
  EXPECT_EQ(judge(history).verdict, hinted);
  return hinted;
}

TEST(Linearizability, OneAfterTheOtherIsGood) {
  EXPECT_EQ(
      verdict({operation(1, 2, kv::put("x", "1"), ok()), operation(3, 4, kv::get("x"), ok("1")),
               operation(5, 6, kv::increment("x", 2), ok("3")),
               operation(7, 8, kv::append("y", "abc"), ok("3")),
               operation(9, 10, kv::get("z"), reply(ReplyStatus::kNotFound))}),
      Verdict::kLinearizable);
}

TEST(Linearizability, WhatOverlapsMayTakeEffectInAnyOrder) {
  EXPECT_EQ(
      verdict({operation(1, 10, kv::put("x", "1"), ok()), operation(2, 9, kv::put("x", "2"), ok()),
               operation(3, 4, kv::get("x"), ok("2")), operation(5, 6, kv::get("x"), ok("1"))}),
      Verdict::kLinearizable);
}

TEST(Linearizability, AStaleReadIsBad) {
  EXPECT_EQ(
      verdict({operation(1, 2, kv::put("x", "1"), ok()), operation(3, 4, kv::put("x", "2"), ok()),
               operation(5, 6, kv::get("x"), ok("1"))}),
      Verdict::kNotLinearizable);
}

TEST(Linearizability, ALostWriteIsBad) {
  EXPECT_EQ(verdict({operation(1, 2, kv::put("x", "1"), ok()),
                     operation(3, 4, kv::get("x"), reply(ReplyStatus::kNotFound))}),
            Verdict::kNotLinearizable);
}

TEST(Linearizability, ReadsThatSeeTwoWritesInTwoOrdersAreBad) {
  EXPECT_EQ(
      verdict({operation(1, 20, kv::put("x", "1"), ok()), operation(2, 19, kv::put("x", "2"), ok()),
               operation(3, 4, kv::get("x"), ok("1")), operation(5, 6, kv::get("x"), ok("2")),
               operation(7, 8, kv::get("x"), ok("1"))}),
      Verdict::kNotLinearizable);
}

TEST(Linearizability, AnIncrementThatRanTwiceIsBad) {
  EXPECT_EQ(verdict({operation(1, 2, kv::increment("x", 1), ok("1")),
                     operation(3, 4, kv::get("x"), ok("2"))}),
            Verdict::kNotLinearizable);
  EXPECT_EQ(verdict({operation(1, 4, kv::increment("x", 1), ok("1")),
                     operation(2, 3, kv::increment("x", 1), ok("1"))}),
            Verdict::kNotLinearizable);
}

TEST(Linearizability, WhatItsClientWasNotToldMayTakeEffectLater) {
  const Operation unknown = operation(1, kNoReturn, kv::put("x", "2"), ok());
  EXPECT_EQ(
      verdict({unknown, operation(2, 3, kv::put("x", "1"), ok()),
               operation(4, 5, kv::get("x"), ok("1")), operation(6, 7, kv::get("x"), ok("2"))}),
      Verdict::kLinearizable);
  EXPECT_EQ(verdict({unknown, operation(2, 3, kv::get("x"), ok("2")),
                     operation(4, 5, kv::get("x"), reply(ReplyStatus::kNotFound))}),
            Verdict::kNotLinearizable);
  const Operation late = operation(5, kNoReturn, kv::put("x", "2"), ok());
  EXPECT_EQ(verdict({late, operation(2, 3, kv::get("x"), ok("2"))}), Verdict::kNotLinearizable)
      << "it was read before it was proposed";
}

TEST(Linearizability, CompareAndSetHasOneWinner) {
  const auto race = [](kv::Payload second) {
    return verdict({operation(1, 4, kv::compare_and_set("x", {}, "a"), ok()),
                    operation(2, 5, kv::compare_and_set("x", {}, "b"), std::move(second))});
  };

  EXPECT_EQ(race(reply(ReplyStatus::kMismatch, "a")), Verdict::kLinearizable);
  EXPECT_EQ(race(ok()), Verdict::kNotLinearizable);
}

TEST(Linearizability, CommandsOfSeveralKeysTakeEffectAtOnce) {
  const std::array<std::string_view, 2> both{"x", "y"};
  const auto read = [&](std::optional<std::string_view> x, std::optional<std::string_view> y) {
    return verdict(
        {operation(1, 9, kv::multi_put(std::array{kv::Entry("x", "1"), kv::Entry("y", "1")}), ok()),
         operation(2, 3, kv::multi_get(both), values({x, y}))});
  };

  EXPECT_EQ(read("1", "1"), Verdict::kLinearizable);
  EXPECT_EQ(read({}, {}), Verdict::kLinearizable);
  EXPECT_EQ(read("1", {}), Verdict::kNotLinearizable);
}

TEST(Linearizability, TwoReadersThatDisagreeOnTheOrderOfTwoKeysAreBad) {
  const std::array<std::string_view, 2> both{"x", "y"};
  EXPECT_EQ(
      verdict({operation(1, 20, kv::put("x", "1"), ok()), operation(2, 19, kv::put("y", "1"), ok()),
               operation(3, 10, kv::multi_get(both), values({"1", std::nullopt})),
               operation(4, 11, kv::multi_get(both), values({std::nullopt, "1"}))}),
      Verdict::kNotLinearizable);
}

TEST(Linearizability, KeysAreJudgedApart) {
  std::vector<Operation> history;
  for (std::uint64_t i = 0; i < 200; ++i) {
    history.push_back(operation(i, 1000, kv::put("key" + std::to_string(i), "1"), ok()));
  }
  history.push_back(operation(1001, 1002, kv::get("key7"), ok("2")));

  const Judgement judgement = judge(history);

  EXPECT_EQ(judgement.verdict, Verdict::kNotLinearizable);
  EXPECT_THAT(judgement.what, HasSubstr("\"key7\""));
}

TEST(Linearizability, ASearchThatTakesTooLongIsUndecided) {
  std::vector<Operation> history;
  for (std::uint64_t i = 0; i < 30; ++i) {
    history.push_back(operation(i, 1000, kv::put("x", std::to_string(i)), ok()));
  }
  history.push_back(operation(1001, 1002, kv::get("x"), ok("none of them")));

  EXPECT_EQ(judge(history, 10'000).verdict, Verdict::kUndecided);
}

// Many random histories of the real machine: whatever overlaps, its own order explains it; and one
// reply that is changed is seen, unless the commands are of a kind whose replies tell nothing.
TEST(Linearizability, HistoriesOfTheMachineAreGoodAndChangedOnesAreNot) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random = stream(seed, Purpose::kWorkload, 0);
    KeyValueMachine machine;
    std::vector<Operation> history;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const std::string key = "key" + std::to_string(random.below(3));
      Operation each;
      each.payload = random.below(2) == 0 ? kv::append(key, "x") : kv::increment(key + "n", 1);
      Command command;
      command.payload = each.payload;
      Replies replies;
      machine.apply(std::span(&command, 1), replies);
      each.reply.assign(replies[0].begin(), replies[0].end());
      const std::uint64_t at = 1'000 * (i + 1);
      each.called = at - random.below(900);
      each.returned = at + random.below(3'000);
      each.hint = random.below(2) == 0 ? at : random.below(1'000'000);
      history.push_back(each);
    }
    EXPECT_EQ(judge(history).verdict, Verdict::kLinearizable);

    history[random.below(60)].reply = ok("1000");

    EXPECT_EQ(judge(history).verdict, Verdict::kNotLinearizable);
  }
}

// The model is written apart from the machine; they must agree about every command.
TEST(KeyValueModel, AnswersAsTheMachineDoesAndTakesBackWhatItDid) {
  Random random = stream(5, Purpose::kWorkload, 0);
  KeyValueMachine machine;
  KeyValueModel model;
  for (int i = 0; i < 5'000; ++i) {
    const std::string key = "key" + std::to_string(random.below(4));
    const std::string value = std::to_string(random.below(4));
    const std::string other = "key" + std::to_string(random.below(4));
    const std::array<std::string_view, 2> keys{key, other};
    const std::array payloads{
        kv::get(key),
        kv::put(key, random.below(9) == 0 ? "9223372036854775807" : value),
        kv::erase(key),
        kv::compare_and_set(key, value, "5"),
        kv::compare_and_set(key, {}, value),
        kv::append(key, random.below(9) == 0 ? std::string(30'000, 'a') : value),
        kv::increment(key, 3),
        kv::multi_put(std::array{kv::Entry(key, value), kv::Entry(other, "7")}),
        kv::multi_get(keys)};
    Command command;
    const kv::Payload& payload = payloads[random.below(payloads.size())];
    command.payload = payload;
    Replies replies;
    machine.apply(std::span(&command, 1), replies);
    kv::KeyValueCommand decoded;
    ASSERT_TRUE(decode_command(payload, decoded));

    const std::uint64_t before = model.hash();
    KeyValueModel::Undo undo;
    model.apply(decoded, undo);
    model.take_back(undo);
    EXPECT_EQ(model.hash(), before);

    undo.clear();
    EXPECT_TRUE(same_reply(model.apply(decoded, undo), *kv::decode_reply(replies[0])));
  }
}

Bytes bytes_of_text(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

class Watched : public ::testing::Test {
 protected:
  void propose(std::uint64_t number, const kv::Payload& payload) {
    checker.on_proposed(ReplicaId(0), {{{1, number}, 0, false, payload}, {}});
  }
  void execute(std::uint64_t number, const kv::Payload& answer) {
    Command command;
    command.id = {1, number};
    checker.on_executed(ReplicaId(0), command, answer);
  }
  void acknowledge(std::uint64_t number, const kv::Payload& answer) {
    checker.on_acknowledged(ReplicaId(0), {1, number}, answer);
  }
  std::vector<std::string> violations() {
    checker.finish();
    return checker.violations();
  }

  LinearizabilityChecker checker;
};

TEST_F(Watched, AnUnknownOutcomeIsResolvedByTheExecution) {
  propose(1, kv::put("x", "1"));
  propose(2, kv::put("x", "2"));
  execute(1, ok());
  propose(3, kv::get("x"));
  execute(3, ok("1"));
  acknowledge(3, ok("1"));
  EXPECT_THAT(violations(), IsEmpty()) << "the second was never executed";

  propose(4, kv::get("x"));
  execute(4, ok("2"));
  acknowledge(4, ok("2"));
  EXPECT_THAT(violations(), Not(IsEmpty())) << "nobody has executed what was read";

  execute(2, ok());
  EXPECT_THAT(violations(), IsEmpty());
}

TEST_F(Watched, AReadThatHasNoPlaceCountsLikeAnyOther) {
  const auto read = [&](std::uint64_t number, const kv::Payload& answer) {
    Command command;
    command.id = {1, number};
    propose(number, kv::get("x"));
    checker.on_read(ReplicaId(1), command, answer);
    acknowledge(number, answer);
  };
  read(1, reply(ReplyStatus::kNotFound));
  propose(2, kv::put("x", "1"));
  execute(2, ok());
  read(3, reply(ReplyStatus::kNotFound));
  EXPECT_THAT(violations(), IsEmpty()) << "nobody was told of the write before";

  acknowledge(2, ok());
  read(4, reply(ReplyStatus::kNotFound));
  EXPECT_THAT(violations(), Not(IsEmpty()));
}

TEST_F(Watched, WhatAClientWasToldCountsMoreThanWhatTheMachineSaid) {
  propose(1, kv::get("x"));
  execute(1, reply(ReplyStatus::kNotFound));
  acknowledge(1, ok("1"));

  EXPECT_THAT(violations(), Not(IsEmpty()));
}

TEST_F(Watched, AReplyThatIsNoneIsSeen) {
  propose(1, kv::get("x"));
  checker.on_acknowledged(ReplicaId(0), {1, 1}, bytes_of_text("?"));

  EXPECT_THAT(violations(), Not(IsEmpty()));
}

}  // namespace
}  // namespace epaxos::sim
