// The language of the key-value machine: what is built decodes to what was meant, what is no
// command is refused by name, and no two byte strings mean the same.

#include "executor/key_value_command.h"

#include <array>
#include <gmock/gmock.h>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::kv {
namespace {

using ::testing::HasSubstr;

const std::string kLongestKey(kKeyBytesMax, 'k');
const std::string kLongestValue(kValueBytesMax, 'v');

/// Decodes what must be a command. Its views live as long as `payload`.
KeyValueCommand decoded(const Payload& payload) {
  KeyValueCommand command;
  const Result<void> result = decode_command(payload, command);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return command;
}

/// Why these bytes are no command.
Error refusal(const Payload& payload) {
  KeyValueCommand command;
  const Result<void> result = decode_command(payload, command);
  EXPECT_FALSE(result) << "was accepted";
  return result ? Error{} : result.error();
}

/// The bytes of a decoded command.
Payload built(const KeyValueCommand& command) {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : command.entries) keys.push_back(key);
  switch (command.operation) {
    case Operation::kGet:
      return get(command.key);
    case Operation::kPut:
      return put(command.key, command.value);
    case Operation::kDelete:
      return erase(command.key);
    case Operation::kCompareAndSet:
      return compare_and_set(command.key, command.expected, command.value);
    case Operation::kAppend:
      return append(command.key, command.value);
    case Operation::kIncrement:
      return increment(command.key, command.delta);
    case Operation::kMultiPut:
      return multi_put(command.entries);
    case Operation::kMultiGet:
      return multi_get(keys);
  }
  return {};
}

const std::vector<Entry> kEntries = {{"a", "1"}, {"b", ""}, {"a", "2"}};
const std::vector<std::string_view> kKeys = {"a", "b", "a"};

std::vector<Payload> one_of_each() {
  return {get("key"),
          put("key", "value"),
          erase("key"),
          compare_and_set("key", std::nullopt, "new"),
          compare_and_set("key", "old", "new"),
          append("key", "suffix"),
          increment("key", -7),
          multi_put(kEntries),
          multi_get(kKeys)};
}

TEST(KeyValueCommand, ComesBackAsItWasBuilt) {
  const Payload get_bytes = get("key");
  EXPECT_EQ(decoded(get_bytes).operation, Operation::kGet);
  EXPECT_EQ(decoded(get_bytes).key, "key");
  const Payload put_bytes = put("key", "value");
  EXPECT_EQ(decoded(put_bytes).operation, Operation::kPut);
  EXPECT_EQ(decoded(put_bytes).key, "key");
  EXPECT_EQ(decoded(put_bytes).value, "value");
  const Payload erase_bytes = erase("key");
  EXPECT_EQ(decoded(erase_bytes).operation, Operation::kDelete);
  EXPECT_EQ(decoded(erase_bytes).key, "key");
  const Payload append_bytes = append("key", "suffix");
  EXPECT_EQ(decoded(append_bytes).operation, Operation::kAppend);
  EXPECT_EQ(decoded(append_bytes).value, "suffix");
  for (const std::int64_t delta : {std::int64_t{-7}, std::int64_t{0}, INT64_MIN, INT64_MAX}) {
    const Payload bytes = increment("key", delta);
    EXPECT_EQ(decoded(bytes).operation, Operation::kIncrement);
    EXPECT_EQ(decoded(bytes).delta, delta);
  }
}

// No value and the empty value are two things that a compare-and-set can expect.
TEST(KeyValueCommand, NothingIsNotTheEmptyValue) {
  const Payload absent = compare_and_set("key", std::nullopt, "new");
  const Payload empty = compare_and_set("key", "", "new");

  EXPECT_EQ(decoded(absent).operation, Operation::kCompareAndSet);
  EXPECT_EQ(decoded(absent).expected, std::nullopt);
  EXPECT_EQ(decoded(absent).value, "new");
  EXPECT_EQ(decoded(empty).expected, "");
  EXPECT_NE(absent, empty);
}

TEST(KeyValueCommand, SeveralKeysKeepTheirOrder) {
  const Payload several = multi_put(kEntries);
  EXPECT_EQ(decoded(several).operation, Operation::kMultiPut);
  EXPECT_EQ(decoded(several).entries, kEntries);

  const Payload read = multi_get(kKeys);
  EXPECT_EQ(decoded(read).operation, Operation::kMultiGet);
  ASSERT_EQ(decoded(read).entries.size(), kKeys.size());
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    EXPECT_EQ(decoded(read).entries[i].first, kKeys[i]);
  }
}

TEST(KeyValueCommand, KeysAndValuesAreAnyBytes) {
  const std::string key("\0\xff\n", 3);
  const std::string value("\0", 1);
  const Payload bytes = put(key, value);

  EXPECT_EQ(decoded(bytes).key, key);
  EXPECT_EQ(decoded(bytes).value, value);
}

TEST(KeyValueCommand, OneThatIsCutOffIsRefused) {
  for (const Payload& whole : one_of_each()) {
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
      const Payload part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes));
      EXPECT_EQ(refusal(part).code, ErrorCode::kMalformed) << bytes << " of " << whole.size();
    }
  }
}

TEST(KeyValueCommand, BytesAfterItsEndAreRefused) {
  for (Payload longer : one_of_each()) {
    longer.push_back(std::byte{0});
    EXPECT_EQ(refusal(longer).code, ErrorCode::kMalformed);
    EXPECT_THAT(refusal(longer).message, HasSubstr("bytes follow its end"));
  }
}

TEST(KeyValueCommand, AnUnknownOperationIsRefused) {
  for (int operation = 0; operation < 256; ++operation) {
    if (operation >= 1 && operation <= 8) continue;
    Payload bytes = get("key");
    bytes[0] = static_cast<std::byte>(operation);
    EXPECT_EQ(refusal(bytes).code, ErrorCode::kMalformed) << operation;
    EXPECT_THAT(refusal(bytes).message, HasSubstr("operation is not known")) << operation;
  }
}

TEST(KeyValueCommand, AnExpectationIsThereOrNotAndNothingElse) {
  Payload bytes = compare_and_set("k", "", "new");
  std::byte& present = bytes[1 + 2 + 1];
  ASSERT_EQ(present, std::byte{1});
  present = std::byte{2};
  EXPECT_EQ(refusal(bytes).code, ErrorCode::kMalformed);

  Payload contradiction = compare_and_set("k", "old", "new");
  contradiction[1 + 2 + 1] = std::byte{0};
  EXPECT_EQ(refusal(contradiction).code, ErrorCode::kMalformed);
}

TEST(KeyValueCommand, KeysHaveALimitThatTheRefusalNames) {
  EXPECT_EQ(decoded(get(kLongestKey)).operation, Operation::kGet);

  // 65,536 bytes do not fit the field; 65,537 would look like one byte in it.
  for (const std::size_t bytes : {kKeyBytesMax + 1, std::size_t{65'536}, std::size_t{65'537}}) {
    const std::string key(bytes, 'k');
    const std::array<Entry, 2> entries = {Entry{"fine", "1"}, Entry{key, "1"}};
    const std::array<std::string_view, 2> keys = {"fine", key};
    for (const Payload& command :
         {get(key), put(key, "v"), erase(key), compare_and_set(key, "v", "v"), append(key, "v"),
          increment(key, 1), multi_put(entries), multi_get(keys)}) {
      EXPECT_EQ(refusal(command).code, ErrorCode::kTooLarge) << bytes;
      EXPECT_THAT(refusal(command).message, HasSubstr("the limit is 1024")) << bytes;
    }
  }
  EXPECT_THAT(refusal(get(std::string(1025, 'k'))).message, HasSubstr("the key has 1025 bytes;"));
  EXPECT_THAT(refusal(get(std::string(100'000, 'k'))).message,
              HasSubstr("the key has 65535 bytes or more;"));
}

TEST(KeyValueCommand, WhoBuildsACommandLearnsTheSizeOfAKeyThatDoesNotFitIt) {
  EXPECT_TRUE(check_key(kLongestKey));
  EXPECT_EQ(check_key("").error().code, ErrorCode::kInvalidArgument);
  const Error error = check_key(std::string(100'000, 'k')).error();
  EXPECT_EQ(error.code, ErrorCode::kTooLarge);
  EXPECT_EQ(error.message, "the key has 100000 bytes; the limit is 1024");
}

TEST(KeyValueCommand, AnEmptyKeyIsRefused) {
  const std::array<Entry, 2> entries = {Entry{"fine", "1"}, Entry{"", "1"}};
  const std::array<std::string_view, 2> keys = {"fine", ""};
  for (const Payload& command :
       {get(""), put("", "v"), erase(""), compare_and_set("", "v", "v"), append("", "v"),
        increment("", 1), multi_put(entries), multi_get(keys)}) {
    EXPECT_EQ(refusal(command).code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(refusal(command).message, HasSubstr("the key is empty"));
  }
}

TEST(KeyValueCommand, ValuesHaveALimitThatTheRefusalNames) {
  const Payload longest = put("k", kLongestValue);
  EXPECT_EQ(decoded(longest).value.size(), kValueBytesMax);

  const std::string value(kValueBytesMax + 1, 'v');
  const std::array<Entry, 2> entries = {Entry{"fine", "1"}, Entry{"k", value}};
  for (const Payload& command :
       {put("k", value), append("k", value), compare_and_set("k", "old", value),
        compare_and_set("k", value, "new"), multi_put(entries)}) {
    EXPECT_EQ(refusal(command).code, ErrorCode::kTooLarge);
    EXPECT_THAT(refusal(command).message, HasSubstr("65537 bytes; the limit is 65536"));
  }
}

TEST(KeyValueCommand, SeveralKeysAreOneTo1024) {
  const std::vector<Entry> most(kKeysMax, Entry{"k", "v"});
  const std::vector<std::string_view> most_keys(kKeysMax, "k");
  EXPECT_EQ(decoded(multi_put(most)).entries.size(), kKeysMax);
  EXPECT_EQ(decoded(multi_get(most_keys)).entries.size(), kKeysMax);

  // 65,537 do not fit the field of their number.
  for (const std::size_t count : {std::size_t{0}, kKeysMax + 1, std::size_t{65'537}}) {
    const std::vector<Entry> entries(count, Entry{"k", "v"});
    const std::vector<std::string_view> keys(count, "k");
    for (const Payload& command : {multi_put(entries), multi_get(keys)}) {
      EXPECT_EQ(refusal(command).code, ErrorCode::kMalformed) << count;
      EXPECT_THAT(refusal(command).message, HasSubstr("1024")) << count;
    }
  }
  const auto why = [](std::size_t count) {
    return refusal(multi_get(std::vector<std::string_view>(count, "k"))).message;
  };
  EXPECT_THAT(why(0), HasSubstr("it names no key, and takes 1 to 1024"));
  EXPECT_THAT(why(2000), HasSubstr("it names 2000 keys; the limit is 1024"));
  EXPECT_THAT(why(70'000), HasSubstr("it names 65535 keys or more; the limit is 1024"));
  Payload cut = multi_get(kKeys);
  cut.pop_back();
  EXPECT_THAT(refusal(cut).message, ::testing::EndsWith(": it is cut off"));
}

// Retries and recoveries compare payloads byte by byte.
TEST(KeyValueCommand, WhateverDecodesHasNoOtherBytes) {
  std::mt19937_64 random(20240917);
  const std::vector<Payload> samples = one_of_each();
  int commands = 0;
  for (int round = 0; round < 50'000; ++round) {
    Payload bytes = samples[random() % samples.size()];
    const std::uint64_t changes = random() % 3;
    for (std::uint64_t i = 0; i < changes; ++i) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random() % 8);
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 4));
    KeyValueCommand command;
    if (!decode_command(bytes, command)) continue;
    ++commands;
    EXPECT_EQ(built(command), bytes);
  }
  EXPECT_GT(commands, 10'000);
}

TEST(KeyValueCommand, ReadsWhatItReadsAndWritesTheRest) {
  const auto footprint = [](const Payload& payload) { return footprint_of(decoded(payload)); };

  EXPECT_EQ(footprint(get("key")), Footprint::read("key"));
  for (const Payload& command : {put("key", "v"), erase("key"), compare_and_set("key", "a", "b"),
                                 append("key", "v"), increment("key", 0)}) {
    EXPECT_EQ(footprint(command), Footprint::write("key"));
  }
  EXPECT_EQ(footprint(multi_put(kEntries)),
            (Footprint{Access::write(hash_key("a")), Access::write(hash_key("b"))}));
  EXPECT_EQ(footprint(multi_get(kKeys)),
            (Footprint{Access::read(hash_key("a")), Access::read(hash_key("b"))}));
}

constexpr std::array kStatuses = {ReplyStatus::kOk,           ReplyStatus::kNotFound,
                                  ReplyStatus::kMismatch,     ReplyStatus::kNotANumber,
                                  ReplyStatus::kOverflow,     ReplyStatus::kValueTooLarge,
                                  ReplyStatus::kReplyTooLarge};

std::vector<Payload> replies_of_each_shape() {
  std::vector<Payload> replies(3);
  encode_reply(ReplyStatus::kMismatch, std::nullopt, replies[0]);
  encode_reply(ReplyStatus::kOk, "value", replies[1]);
  const std::array<std::optional<std::string_view>, 3> values = {"one", std::nullopt, ""};
  encode_reply(values, replies[2]);
  return replies;
}

TEST(KeyValueReply, ComesBackAsItWasGiven) {
  for (const ReplyStatus status : kStatuses) {
    for (const std::optional<std::string_view> value :
         {std::optional<std::string_view>(), {std::string_view()}, {kLongestValue}}) {
      Payload bytes;
      encode_reply(status, value, bytes);
      const Result<KeyValueReply> reply = decode_reply(bytes);
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->status, status);
      EXPECT_EQ(reply->value, value);
      EXPECT_TRUE(reply->values.empty());
    }
  }
  const Result<KeyValueReply> list = decode_reply(replies_of_each_shape()[2]);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->status, ReplyStatus::kOk);
  EXPECT_EQ(list->value, std::nullopt);
  EXPECT_EQ(list->values, (std::vector<std::optional<std::string>>{"one", std::nullopt, ""}));
}

TEST(KeyValueReply, WhatIsNoneIsRefused) {
  for (const Payload& whole : replies_of_each_shape()) {
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
      EXPECT_FALSE(decode_reply(Bytes(whole).first(bytes))) << bytes << " of " << whole.size();
    }
    Payload longer = whole;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode_reply(longer));
    Payload bad_status = whole;
    bad_status[0] = std::byte{kStatuses.size()};
    EXPECT_FALSE(decode_reply(bad_status));
    Payload bad_shape = whole;
    bad_shape[1] = std::byte{3};
    EXPECT_FALSE(decode_reply(bad_shape));
  }
  Payload bad_presence = replies_of_each_shape()[2];
  bad_presence[4] = std::byte{2};
  const Result<KeyValueReply> refused = decode_reply(bad_presence);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kMalformed);
}

TEST(KeyValueReply, EveryStatusHasItsWord) {
  std::vector<std::string_view> words;
  for (const ReplyStatus status : kStatuses) words.push_back(to_string(status));

  EXPECT_THAT(words, ::testing::ElementsAre("ok", "not_found", "mismatch", "not_a_number",
                                            "overflow", "value_too_large", "reply_too_large"));
}

}  // namespace
}  // namespace epaxos::kv
