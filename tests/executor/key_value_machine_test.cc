// The reference state machine: every operation, every refusal, and a state that travels whole.

#include "executor/key_value_machine.h"

#include <algorithm>
#include <array>
#include <gmock/gmock.h>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos {
namespace {

using kv::ReplyStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Command command_of(Bytes payload) {
  return {{1, 1}, 0, false, payload};
}

kv::KeyValueReply decoded(Bytes reply) {
  const Result<kv::KeyValueReply> decoded = kv::decode_reply(reply);
  EXPECT_TRUE(decoded) << "a reply that does not decode";
  return decoded.value_or({});
}

/// Admits and applies one command, as a replica would, and decodes the reply.
kv::KeyValueReply run(KeyValueMachine& machine, const kv::Payload& payload) {
  EXPECT_TRUE(machine.admit(payload));
  const Command command = command_of(payload);
  Replies replies;
  machine.apply({&command, 1}, replies);
  EXPECT_EQ(replies.size(), 1u);
  return decoded(replies[0]);
}

std::string saved(const KeyValueMachine& machine) {
  std::string bytes;
  EXPECT_TRUE(machine.save([&](Bytes piece) -> Result<void> {
    bytes += text_of(piece);
    return {};
  }));
  return bytes;
}

/// Reads a text to its end and then fails.
Source source_of(std::string_view text) {
  return [text](std::span<std::byte> room) mutable -> Result<void> {
    if (text.size() < room.size()) return fail(ErrorCode::kCorrupted, "the source ends here");
    std::copy_n(bytes_of(text).begin(), room.size(), room.begin());
    text.remove_prefix(room.size());
    return {};
  };
}

void fill(KeyValueMachine& machine, int keys) {
  for (int i = 0; i < keys; ++i) {
    run(machine, kv::put("key" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'v')));
  }
}

TEST(KeyValueMachine, GetsWhatWasPut) {
  KeyValueMachine machine;
  EXPECT_EQ(run(machine, kv::get("k")).status, ReplyStatus::kNotFound);
  EXPECT_EQ(run(machine, kv::get("k")).value, std::nullopt);

  EXPECT_EQ(run(machine, kv::put("k", "one")).status, ReplyStatus::kOk);
  EXPECT_EQ(run(machine, kv::get("k")).status, ReplyStatus::kOk);
  EXPECT_EQ(run(machine, kv::get("k")).value, "one");
  run(machine, kv::put("k", ""));
  EXPECT_EQ(run(machine, kv::get("k")).value, "") << "an empty value is a value";
  EXPECT_EQ(machine.size(), 1u);
}

TEST(KeyValueMachine, KeysAreBytesAndNotWords) {
  KeyValueMachine machine;
  const std::string with_zero("a\0b", 3);
  run(machine, kv::put(with_zero, "1"));
  run(machine, kv::put("a", "2"));

  EXPECT_EQ(run(machine, kv::get(with_zero)).value, "1");
  EXPECT_EQ(run(machine, kv::get("a")).value, "2");
}

TEST(KeyValueMachine, DeleteSaysWhetherThereWasSomething) {
  KeyValueMachine machine;
  run(machine, kv::put("k", "v"));

  EXPECT_EQ(run(machine, kv::erase("k")).status, ReplyStatus::kOk);
  EXPECT_EQ(run(machine, kv::erase("k")).status, ReplyStatus::kNotFound);
  EXPECT_EQ(run(machine, kv::get("k")).status, ReplyStatus::kNotFound);
  EXPECT_EQ(machine.size(), 0u);
}

TEST(KeyValueMachine, CompareAndSetSetsOnlyWhatHoldsTheExpected) {
  KeyValueMachine machine;
  const auto cas = [&](std::optional<std::string_view> expected, std::string_view desired) {
    return run(machine, kv::compare_and_set("k", expected, desired));
  };

  // Nothing is there: only "nothing" is what it holds.
  EXPECT_EQ(cas("", "1").status, ReplyStatus::kMismatch);
  EXPECT_EQ(cas("", "1").value, std::nullopt);
  EXPECT_EQ(machine.find("k"), std::nullopt);
  EXPECT_EQ(cas(std::nullopt, "").status, ReplyStatus::kOk);
  // The empty value is there, which is not nothing.
  EXPECT_EQ(cas(std::nullopt, "1").status, ReplyStatus::kMismatch);
  EXPECT_EQ(cas("", "1").status, ReplyStatus::kOk);
  EXPECT_EQ(cas("2", "3").value, "1") << "a mismatch tells what the key holds";
  EXPECT_EQ(machine.find("k"), "1");
  EXPECT_EQ(cas("1", "2").status, ReplyStatus::kOk);
  EXPECT_EQ(machine.find("k"), "2");
}

TEST(KeyValueMachine, AppendRepliesWithTheLength) {
  KeyValueMachine machine;
  EXPECT_EQ(run(machine, kv::append("k", "abc")).value, "3");
  EXPECT_EQ(run(machine, kv::append("k", "")).value, "3");
  EXPECT_EQ(run(machine, kv::append("k", "de")).value, "5");
  EXPECT_EQ(machine.find("k"), "abcde");
}

// A request of a few bytes could ask for any amount, and every replica would build the answer.
TEST(KeyValueMachine, AMultiGetStopsWhereItsReplyWouldBeTooLarge) {
  KeyValueMachine machine;
  run(machine, kv::put("large", std::string(kv::kValueBytesMax, 'v')));
  const auto read = [&](std::size_t times) {
    const std::vector<std::string> keys(times, "large");
    return run(machine, kv::multi_get(std::vector<std::string_view>(keys.begin(), keys.end())));
  };
  constexpr std::size_t kFit = kv::kReplyBytesMax / kv::kValueBytesMax;

  EXPECT_EQ(read(kFit).values.size(), kFit);
  EXPECT_EQ(read(kFit + 1).status, ReplyStatus::kReplyTooLarge);
  EXPECT_TRUE(read(kFit + 1).values.empty());
}

TEST(KeyValueMachine, AppendStopsAtTheLimitAndChangesNothing) {
  KeyValueMachine machine;
  const std::string almost(kv::kValueBytesMax - 1, 'v');
  run(machine, kv::put("k", almost));
  EXPECT_EQ(run(machine, kv::append("k", "x")).value, std::to_string(kv::kValueBytesMax));
  const std::uint64_t digest = machine.digest();

  const kv::KeyValueReply refused = run(machine, kv::append("k", "y"));

  EXPECT_EQ(refused.status, ReplyStatus::kValueTooLarge);
  EXPECT_EQ(refused.value, std::nullopt);
  EXPECT_EQ(machine.find("k"), almost + "x");
  EXPECT_EQ(machine.digest(), digest);
}

TEST(KeyValueMachine, IncrementCountsFromZero) {
  KeyValueMachine machine;
  EXPECT_EQ(run(machine, kv::increment("k", 5)).value, "5");
  EXPECT_EQ(run(machine, kv::increment("k", -8)).value, "-3");
  EXPECT_EQ(run(machine, kv::increment("k", 0)).value, "-3");
  EXPECT_EQ(machine.find("k"), "-3");
  run(machine, kv::put("k", "0042"));
  EXPECT_EQ(run(machine, kv::increment("k", 1)).value, "43");
}

TEST(KeyValueMachine, IncrementDoesNotOverflow) {
  KeyValueMachine machine;
  EXPECT_EQ(run(machine, kv::increment("up", INT64_MAX)).value, "9223372036854775807");
  EXPECT_EQ(run(machine, kv::increment("down", INT64_MIN)).value, "-9223372036854775808");

  EXPECT_EQ(run(machine, kv::increment("up", 1)).status, ReplyStatus::kOverflow);
  EXPECT_EQ(run(machine, kv::increment("down", -1)).status, ReplyStatus::kOverflow);
  EXPECT_EQ(machine.find("up"), "9223372036854775807");
  EXPECT_EQ(machine.find("down"), "-9223372036854775808");
}

TEST(KeyValueMachine, IncrementOfWhatIsNoNumberChangesNothing) {
  for (const std::string_view value : {"", "a", "1a", " 1", "1 ", "+1", "-", "1.5", "0x10",
                                       "9223372036854775808", "-9223372036854775809"}) {
    KeyValueMachine machine;
    run(machine, kv::put("k", value));

    EXPECT_EQ(run(machine, kv::increment("k", 1)).status, ReplyStatus::kNotANumber) << value;
    EXPECT_EQ(machine.find("k"), value);
  }
}

TEST(KeyValueMachine, SeveralKeysAreWrittenAndReadInOrder) {
  KeyValueMachine machine;
  const std::array<kv::Entry, 3> entries = {kv::Entry{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(run(machine, kv::multi_put(entries)).status, ReplyStatus::kOk);
  EXPECT_EQ(machine.size(), 2u);

  const std::array<std::string_view, 4> keys = {"b", "missing", "a", "b"};
  const kv::KeyValueReply read = run(machine, kv::multi_get(keys));

  EXPECT_EQ(read.status, ReplyStatus::kOk);
  EXPECT_THAT(read.values, ElementsAre("2", std::nullopt, "3", "2"));
}

TEST(KeyValueMachine, ABatchIsAppliedInOrderWithOneReplyEach) {
  KeyValueMachine machine;
  const std::array<kv::Payload, 4> payloads = {kv::put("k", "1"), kv::get("k"), kv::put("k", "2"),
                                               kv::get("k")};
  std::vector<Command> batch;
  for (const kv::Payload& payload : payloads) batch.push_back(command_of(payload));

  Replies replies;
  machine.apply(batch, replies);

  ASSERT_EQ(replies.size(), 4u);
  EXPECT_EQ(decoded(replies[1]).value, "1");
  EXPECT_EQ(decoded(replies[3]).value, "2");
}

TEST(KeyValueMachine, AdmitSaysWhatIsTouchedOrWhyItIsNoCommand) {
  const KeyValueMachine machine;
  const Result<Footprint> read = machine.admit(kv::get("k"));
  const Result<Footprint> write = machine.admit(kv::increment("k", 1));
  ASSERT_TRUE(read && write);
  EXPECT_EQ(*read, Footprint::read("k"));
  EXPECT_FALSE(read->writes());
  EXPECT_EQ(*write, Footprint::write("k"));

  const auto code = [&](const kv::Payload& payload) { return machine.admit(payload).error().code; };
  EXPECT_EQ(code({}), ErrorCode::kMalformed);
  EXPECT_EQ(code(kv::get("")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(kv::get(std::string(kv::kKeyBytesMax + 1, 'k'))), ErrorCode::kTooLarge);
  EXPECT_EQ(code(kv::put("k", std::string(kv::kValueBytesMax + 1, 'v'))), ErrorCode::kTooLarge);
}

TEST(KeyValueMachineDeathTest, ApplyingWhatNoReplicaAdmittedIsABug) {
  KeyValueMachine machine;
  const Command command = command_of({});
  Replies replies;

  EXPECT_DEATH(machine.apply({&command, 1}, replies), "no replica admitted");
}

TEST(KeyValueMachine, AQueryAnswersAsApplyWouldAndChangesNothing) {
  KeyValueMachine machine;
  fill(machine, 3);
  const std::array<std::string_view, 3> keys = {"key2", "missing", "key0"};
  for (const kv::Payload& read : {kv::get("key1"), kv::get("missing"), kv::multi_get(keys)}) {
    const Command command = command_of(read);
    Replies replies;
    machine.apply({&command, 1}, replies);

    const Result<std::vector<std::byte>> answer = machine.query(read);

    ASSERT_TRUE(answer);
    EXPECT_TRUE(std::ranges::equal(*answer, replies[0]));
  }
}

TEST(KeyValueMachine, AQueryThatWouldChangeSomethingIsRefused) {
  KeyValueMachine machine;
  fill(machine, 3);
  const std::string before = saved(machine);
  const std::array<kv::Entry, 1> entries = {kv::Entry{"key1", "1"}};
  for (const kv::Payload& write :
       {kv::put("key1", "x"), kv::erase("key1"), kv::compare_and_set("key1", "v", "x"),
        kv::append("key1", "x"), kv::increment("new", 1), kv::multi_put(entries)}) {
    const Result<std::vector<std::byte>> answer = machine.query(write);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(answer.error().message, HasSubstr("a query only reads"));
  }
  EXPECT_EQ(machine.query({}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(saved(machine), before);
}

TEST(KeyValueMachine, TheDigestIsTheStateAndNotTheWayThere) {
  KeyValueMachine straight;
  run(straight, kv::put("a", "1"));
  run(straight, kv::put("b", "2"));
  KeyValueMachine winding;
  run(winding, kv::increment("b", 2));
  run(winding, kv::put("c", "3"));
  run(winding, kv::append("a", "x"));
  run(winding, kv::compare_and_set("a", "x", "1"));
  EXPECT_NE(winding.digest(), straight.digest());
  run(winding, kv::erase("c"));

  EXPECT_EQ(winding.digest(), straight.digest());
  EXPECT_EQ(saved(winding), saved(straight));
}

TEST(KeyValueMachine, DifferentStatesHaveDifferentDigests) {
  const auto digest_of = [](const std::vector<kv::Entry>& entries) {
    KeyValueMachine machine;
    if (!entries.empty()) run(machine, kv::multi_put(entries));
    return machine.digest();
  };
  const std::vector<std::uint64_t> digests = {
      digest_of({}),
      digest_of({{"a", ""}}),
      digest_of({{"a", "1"}, {"b", "2"}}),
      digest_of({{"a", "2"}, {"b", "1"}}),  // The same keys and the same values.
      digest_of({{"ab", "c"}}),
      digest_of({{"a", "bc"}}),  // The same bytes, cut elsewhere.
      digest_of({{"bc", "a"}}),
  };

  for (std::size_t i = 0; i < digests.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(digests[i], digests[j]) << i << " and " << j;
  }
}

/// The operations once more, on a sorted map and without care for speed.
class Model {
 public:
  kv::KeyValueReply put(const std::string& key, const std::string& value) {
    values[key] = value;
    return {};
  }
  kv::KeyValueReply get(const std::string& key) const {
    const auto found = values.find(key);
    if (found == values.end()) return {ReplyStatus::kNotFound, std::nullopt, {}};
    return {ReplyStatus::kOk, found->second, {}};
  }
  kv::KeyValueReply erase(const std::string& key) {
    return {values.erase(key) == 1 ? ReplyStatus::kOk : ReplyStatus::kNotFound, std::nullopt, {}};
  }
  kv::KeyValueReply append(const std::string& key, const std::string& suffix) {
    values[key] += suffix;
    return {ReplyStatus::kOk, std::to_string(values[key].size()), {}};
  }
  kv::KeyValueReply compare_and_set(const std::string& key, const std::string& expected,
                                    const std::string& desired) {
    const auto found = values.find(key);
    if (found == values.end()) return {ReplyStatus::kMismatch, std::nullopt, {}};
    if (found->second != expected) return {ReplyStatus::kMismatch, found->second, {}};
    found->second = desired;
    return {};
  }

  std::map<std::string, std::string> values;
};

TEST(KeyValueMachine, AgreesWithAMapOnRandomCommands) {
  std::mt19937_64 random(7);
  KeyValueMachine machine;
  Model model;
  for (int step = 0; step < 20'000; ++step) {
    const std::string key(1, static_cast<char>('a' + random() % 10));
    const std::string value(random() % 3, static_cast<char>('x' + random() % 3));
    const std::string other(random() % 3, 'x');
    kv::KeyValueReply expected;
    kv::KeyValueReply got;
    switch (random() % 5) {
      case 0:
        expected = model.put(key, value);
        got = run(machine, kv::put(key, value));
        break;
      case 1:
        expected = model.get(key);
        got = run(machine, kv::get(key));
        break;
      case 2:
        expected = model.erase(key);
        got = run(machine, kv::erase(key));
        break;
      case 3:
        expected = model.append(key, value);
        got = run(machine, kv::append(key, value));
        break;
      default:
        expected = model.compare_and_set(key, value, other);
        got = run(machine, kv::compare_and_set(key, value, other));
        break;
    }
    ASSERT_EQ(got.status, expected.status) << "step " << step;
    ASSERT_EQ(got.value, expected.value) << "step " << step;
  }

  KeyValueMachine fresh;
  for (const auto& [key, value] : model.values) run(fresh, kv::put(key, value));
  EXPECT_GT(model.values.size(), 1u);
  EXPECT_EQ(machine.digest(), fresh.digest());
  EXPECT_EQ(saved(machine), saved(fresh));
}

TEST(KeyValueMachine, AStateTravelsWhole) {
  for (const int keys : {0, 1, 300}) {
    KeyValueMachine from;
    fill(from, keys);
    const std::string bytes = saved(from);
    KeyValueMachine to;
    run(to, kv::put("what was there before", "goes"));

    ASSERT_TRUE(to.load(source_of(bytes)));

    EXPECT_EQ(to.size(), static_cast<std::size_t>(keys));
    EXPECT_EQ(to.digest(), from.digest());
    EXPECT_EQ(saved(to), bytes);
    EXPECT_EQ(to.find("what was there before"), std::nullopt);
    run(to, kv::put("key0", "goes on"));
    EXPECT_EQ(to.find("key0"), "goes on");
  }
}

TEST(KeyValueMachine, TheLongestKeyAndValueTravel) {
  KeyValueMachine from;
  run(from, kv::put(std::string(kv::kKeyBytesMax, 'k'), std::string(kv::kValueBytesMax, 'v')));
  KeyValueMachine to;

  ASSERT_TRUE(to.load(source_of(saved(from))));

  EXPECT_EQ(to.digest(), from.digest());
}

TEST(KeyValueMachine, AFullSinkEndsSaving) {
  KeyValueMachine machine;
  fill(machine, 10);
  for (int room = 0; room < 5; ++room) {
    int pieces = 0;
    const Result<void> result = machine.save([&](Bytes) -> Result<void> {
      if (++pieces > room) return fail(ErrorCode::kOutOfSpace, "the sink is full");
      return {};
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kOutOfSpace);
    EXPECT_EQ(pieces, room + 1) << "it went on after the sink had refused";
  }
}

TEST(KeyValueMachine, AStateThatIsCutOffIsRefusedAndLeavesTheOldOne) {
  KeyValueMachine from;
  fill(from, 4);
  const std::string bytes = saved(from);
  KeyValueMachine to;
  run(to, kv::put("old", "stays"));
  const std::string before = saved(to);
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(to.load(source_of(std::string_view(bytes).substr(0, length)))) << length;
  }

  EXPECT_EQ(saved(to), before);
  EXPECT_EQ(to.find("old"), "stays");
}

TEST(KeyValueMachine, AStateWithAnyBitFlippedIsRefusedAndLeavesTheOldOne) {
  KeyValueMachine from;
  fill(from, 4);
  const std::string bytes = saved(from);
  KeyValueMachine to;
  run(to, kv::put("old", "stays"));
  const std::string before = saved(to);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const Result<void> loaded = to.load(source_of(flipped));
    ASSERT_FALSE(loaded) << "bit " << bit;
    EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupted) << "bit " << bit;
  }

  EXPECT_EQ(saved(to), before);
}

}  // namespace
}  // namespace epaxos
