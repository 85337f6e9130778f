#pragma once

// The language of the reference key-value machine: commands and replies as bytes, with builders for
// clients and checked decoders for both sides. A change of this format is a change of the data.
//
// Command: u8 operation, then its fields in order. A key is u16 length and bytes, a value u32
// length and bytes, a list u16 count and its elements. Reply: u8 status, then as KeyValueReply
// says.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/footprint.h"
#include "deps/types/result.h"

namespace epaxos::kv {

inline constexpr std::size_t kKeyBytesMax = 1024;
inline constexpr std::size_t kValueBytesMax = 64 * 1024;
inline constexpr std::size_t kReplyBytesMax = 1000 * 1024;  ///< Of the values of a multi-get.
inline constexpr std::size_t kKeysMax = 1024;               ///< Of one multi-key command.

enum class Operation : std::uint8_t {
  kGet = 1,
  kPut = 2,
  kDelete = 3,
  kCompareAndSet = 4,
  kAppend = 5,
  kIncrement = 6,
  kMultiPut = 7,
  kMultiGet = 8,
};

using Entry = std::pair<std::string_view, std::string_view>;
using Payload = std::vector<std::byte>;

/// Whether a key has a size that the machine takes. A command keeps no longer one than 65535 bytes,
/// so that only who builds it can tell the size of one beyond.
/// Errors: invalid argument - empty; too large.
Result<void> check_key(std::string_view key);

Payload get(std::string_view key);
Payload put(std::string_view key, std::string_view value);
Payload erase(std::string_view key);
/// Sets `desired` if the key holds `expected`, or holds nothing where `expected` is empty.
Payload compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                        std::string_view desired);
/// Replies with the new length.
Payload append(std::string_view key, std::string_view suffix);
/// Adds to a decimal signed 64-bit number; a missing key counts as 0. Replies with the sum.
Payload increment(std::string_view key, std::int64_t delta);
Payload multi_put(std::span<const Entry> entries);
Payload multi_get(std::span<const std::string_view> keys);

/// A decoded command: views into the payload.
struct KeyValueCommand {
  Operation operation = Operation::kGet;
  std::string_view key;  ///< Of all but the multi-key operations.
  std::string_view value;
  std::optional<std::string_view> expected;
  std::int64_t delta = 0;
  std::vector<Entry> entries;  ///< Of the multi-key operations; kMultiGet leaves the values empty.
};

/// Errors: malformed - not a command of this machine; too large - over a limit, which is named.
Result<void> decode_command(Bytes payload, KeyValueCommand& out);

/// What a command reads and writes.
Footprint footprint_of(const KeyValueCommand& command);

enum class ReplyStatus : std::uint8_t {
  kOk = 0,
  kNotFound = 1,       ///< The key holds nothing.
  kMismatch = 2,       ///< Compare-and-set: `value` is what the key holds, if anything.
  kNotANumber = 3,     ///< Increment: the value is no decimal number; nothing changed.
  kOverflow = 4,       ///< Increment: the sum does not fit; nothing changed.
  kValueTooLarge = 5,  ///< Append: the value would exceed its limit; nothing changed.
  kReplyTooLarge = 6,  ///< Multi-get: the values together exceed kReplyBytesMax.
};

std::string_view to_string(ReplyStatus status);

struct KeyValueReply {
  ReplyStatus status = ReplyStatus::kOk;
  std::optional<std::string> value;                ///< Of get, append, increment, a mismatch.
  std::vector<std::optional<std::string>> values;  ///< Of multi-get, in the order of its keys.
};

/// Appends the bytes of a reply; `value` and `values` as in KeyValueReply.
void encode_reply(ReplyStatus status, std::optional<std::string_view> value, Payload& out);
void encode_reply(std::span<const std::optional<std::string_view>> values, Payload& out);
/// Errors: malformed.
Result<KeyValueReply> decode_reply(Bytes reply);

}  // namespace epaxos::kv
