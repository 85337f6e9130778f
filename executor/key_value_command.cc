#include "executor/key_value_command.h"

#include <cstring>

namespace epaxos::kv {
namespace {

class Writer {
 public:
  explicit Writer(Payload& out) : out_(out) {}

  template <class Number>
  void number(Number value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof value);
    std::memcpy(out_.data() + at, &value, sizeof value);
  }
  void bytes(std::string_view bytes) {
    const auto* const data = reinterpret_cast<const std::byte*>(bytes.data());
    out_.insert(out_.end(), data, data + bytes.size());
  }
  void key(std::string_view key) {
    // A key that is too long keeps its wrong length class, so that the machine refuses it by name:
    // "or more", as only who builds the command knows its size.
    number(static_cast<std::uint16_t>(std::min<std::size_t>(key.size(), UINT16_MAX)));
    bytes(key.substr(0, UINT16_MAX));
  }
  void value(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes(value);
  }

 private:
  Payload& out_;
};

class Reader {
 public:
  explicit Reader(Bytes in) : in_(in) {}

  template <class Number>
  bool number(Number& value) {
    if (in_.size() < sizeof value) return false;
    std::memcpy(&value, in_.data(), sizeof value);
    in_ = in_.subspan(sizeof value);
    return true;
  }
  template <class Length>
  bool text(std::string_view& text) {
    Length length = 0;
    if (!number(length) || in_.size() < length) return false;
    text = {reinterpret_cast<const char*>(in_.data()), length};
    in_ = in_.subspan(length);
    return true;
  }
  bool key(std::string_view& key) { return text<std::uint16_t>(key); }
  bool value(std::string_view& value) { return text<std::uint32_t>(value); }
  [[nodiscard]] bool at_end() const { return in_.empty(); }

 private:
  Bytes in_;
};

Payload start(Operation operation) {
  return {static_cast<std::byte>(operation)};
}

Failure malformed(const std::string& what) {
  return fail(ErrorCode::kMalformed, "not a command of the key-value machine: " + what);
}

/// A number from a field of 16 bits, in which every larger one looks like the largest.
std::string in_words(std::size_t number, const char* of_what) {
  return std::to_string(number) + " " + of_what + (number == UINT16_MAX ? " or more" : "");
}

Result<void> check_value(std::string_view value) {
  if (value.size() <= kValueBytesMax) return {};
  return fail(ErrorCode::kTooLarge, "the value has " + std::to_string(value.size()) +
                                        " bytes; the limit is " + std::to_string(kValueBytesMax));
}

Result<void> check_limits(const KeyValueCommand& command) {
  if (command.entries.empty()) {
    if (Result<void> key = check_key(command.key); !key) return key;
    if (Result<void> expected = check_value(command.expected.value_or("")); !expected) {
      return expected;
    }
    return check_value(command.value);
  }
  for (const auto& [key, value] : command.entries) {
    if (Result<void> fine = check_key(key); !fine) return fine;
    if (Result<void> fine = check_value(value); !fine) return fine;
  }
  return {};
}

/// Why the command of several keys that follows is none. Precondition: read_entries() failed.
std::string about_entries(Reader in) {
  std::uint16_t count = 0;
  const std::string limit = std::to_string(kKeysMax);
  if (!in.number(count)) return "it is cut off";
  if (count == 0) return "it names no key, and takes 1 to " + limit;
  if (count > kKeysMax) return "it names " + in_words(count, "keys") + "; the limit is " + limit;
  return "it is cut off";
}

bool read_entries(Reader& in, bool with_values, std::vector<Entry>& out) {
  std::uint16_t count = 0;
  if (!in.number(count) || count == 0 || count > kKeysMax) return false;
  for (std::uint16_t i = 0; i < count; ++i) {
    Entry& entry = out.emplace_back();
    if (!in.key(entry.first)) return false;
    if (with_values && !in.value(entry.second)) return false;
  }
  return true;
}

bool read_fields(Reader& in, KeyValueCommand& out) {
  switch (out.operation) {
    case Operation::kGet:
    case Operation::kDelete:
      return in.key(out.key);
    case Operation::kPut:
    case Operation::kAppend:
      return in.key(out.key) && in.value(out.value);
    case Operation::kIncrement:
      return in.key(out.key) && in.number(out.delta);
    case Operation::kCompareAndSet: {
      std::uint8_t has_expected = 0;
      std::string_view expected;
      if (!in.key(out.key) || !in.number(has_expected) || has_expected > 1) return false;
      if (!in.value(expected) || (has_expected == 0 && !expected.empty())) return false;
      if (has_expected == 1) out.expected = expected;
      return in.value(out.value);
    }
    case Operation::kMultiPut:
      return read_entries(in, true, out.entries);
    case Operation::kMultiGet:
      return read_entries(in, false, out.entries);
  }
  return false;
}

}  // namespace

Result<void> check_key(std::string_view key) {
  if (key.empty()) return fail(ErrorCode::kInvalidArgument, "the key is empty; give it a name");
  if (key.size() <= kKeyBytesMax) return {};
  return fail(ErrorCode::kTooLarge, "the key has " + in_words(key.size(), "bytes") +
                                        "; the limit is " + std::to_string(kKeyBytesMax));
}

Payload get(std::string_view key) {
  Payload out = start(Operation::kGet);
  Writer(out).key(key);
  return out;
}

Payload put(std::string_view key, std::string_view value) {
  Payload out = start(Operation::kPut);
  Writer(out).key(key);
  Writer(out).value(value);
  return out;
}

Payload erase(std::string_view key) {
  Payload out = start(Operation::kDelete);
  Writer(out).key(key);
  return out;
}

Payload compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                        std::string_view desired) {
  Payload out = start(Operation::kCompareAndSet);
  Writer to(out);
  to.key(key);
  to.number(static_cast<std::uint8_t>(expected.has_value()));
  to.value(expected.value_or(""));
  to.value(desired);
  return out;
}

Payload append(std::string_view key, std::string_view suffix) {
  Payload out = start(Operation::kAppend);
  Writer(out).key(key);
  Writer(out).value(suffix);
  return out;
}

Payload increment(std::string_view key, std::int64_t delta) {
  Payload out = start(Operation::kIncrement);
  Writer(out).key(key);
  Writer(out).number(delta);
  return out;
}

Payload multi_put(std::span<const Entry> entries) {
  Payload out = start(Operation::kMultiPut);
  Writer to(out);
  to.number(static_cast<std::uint16_t>(std::min<std::size_t>(entries.size(), UINT16_MAX)));
  for (const auto& [key, value] : entries) {
    to.key(key);
    to.value(value);
  }
  return out;
}

Payload multi_get(std::span<const std::string_view> keys) {
  Payload out = start(Operation::kMultiGet);
  Writer to(out);
  to.number(static_cast<std::uint16_t>(std::min<std::size_t>(keys.size(), UINT16_MAX)));
  for (const std::string_view key : keys) to.key(key);
  return out;
}

Result<void> decode_command(Bytes payload, KeyValueCommand& out) {
  out = {};
  Reader in(payload);
  std::uint8_t operation = 0;
  if (!in.number(operation)) return malformed("it is empty");
  if (operation < static_cast<std::uint8_t>(Operation::kGet) ||
      operation > static_cast<std::uint8_t>(Operation::kMultiGet)) {
    return malformed("the operation is not known");
  }
  out.operation = static_cast<Operation>(operation);
  const Reader fields = in;
  if (!read_fields(in, out)) {
    const bool several =
        out.operation == Operation::kMultiPut || out.operation == Operation::kMultiGet;
    return malformed(several ? about_entries(fields) : "it is cut off");
  }
  if (!in.at_end()) return malformed("bytes follow its end");
  return check_limits(out);
}

Footprint footprint_of(const KeyValueCommand& command) {
  const bool reads =
      command.operation == Operation::kGet || command.operation == Operation::kMultiGet;
  const auto access = [reads](std::string_view key) {
    return reads ? Access::read(hash_key(key)) : Access::write(hash_key(key));
  };
  Footprint footprint;
  if (command.entries.empty()) footprint.add(access(command.key));
  for (const auto& [key, value] : command.entries) footprint.add(access(key));
  return footprint;
}

std::string_view to_string(ReplyStatus status) {
  switch (status) {
    case ReplyStatus::kOk:
      return "ok";
    case ReplyStatus::kNotFound:
      return "not_found";
    case ReplyStatus::kMismatch:
      return "mismatch";
    case ReplyStatus::kNotANumber:
      return "not_a_number";
    case ReplyStatus::kOverflow:
      return "overflow";
    case ReplyStatus::kValueTooLarge:
      return "value_too_large";
    case ReplyStatus::kReplyTooLarge:
      return "reply_too_large";
  }
  return "unknown";
}

namespace {

// After the status: u8 shape, 0 nothing, 1 one value, 2 a list of optional values.
constexpr std::uint8_t kNothing = 0;
constexpr std::uint8_t kOne = 1;
constexpr std::uint8_t kList = 2;

}  // namespace

void encode_reply(ReplyStatus status, std::optional<std::string_view> value, Payload& out) {
  Writer to(out);
  to.number(static_cast<std::uint8_t>(status));
  to.number(value ? kOne : kNothing);
  if (value) to.value(*value);
}

void encode_reply(std::span<const std::optional<std::string_view>> values, Payload& out) {
  Writer to(out);
  to.number(static_cast<std::uint8_t>(ReplyStatus::kOk));
  to.number(kList);
  to.number(static_cast<std::uint16_t>(values.size()));
  for (const auto& value : values) {
    to.number(static_cast<std::uint8_t>(value.has_value()));
    if (value) to.value(*value);
  }
}

Result<KeyValueReply> decode_reply(Bytes reply) {
  const Failure bad = fail(ErrorCode::kMalformed,
                           "the reply does not decode; are client and server of one version?");
  Reader in(reply);
  KeyValueReply out;
  std::uint8_t status = 0;
  std::uint8_t shape = 0;
  if (!in.number(status) || !in.number(shape)) return bad;
  if (status > static_cast<std::uint8_t>(ReplyStatus::kReplyTooLarge) || shape > kList) return bad;
  out.status = static_cast<ReplyStatus>(status);
  std::uint16_t count = 0;
  if (shape == kOne) count = 1;
  if (shape == kList && !in.number(count)) return bad;
  for (std::uint16_t i = 0; i < count; ++i) {
    std::uint8_t present = 1;
    std::string_view value;
    if (shape == kList && (!in.number(present) || present > 1)) return bad;
    if (present == 1 && !in.value(value)) return bad;
    std::optional<std::string> owned;
    if (present == 1) owned.emplace(value);
    if (shape == kOne) {
      out.value = std::move(owned);
    } else {
      out.values.push_back(std::move(owned));
    }
  }
  if (!in.at_end()) return bad;
  return out;
}

}  // namespace epaxos::kv
