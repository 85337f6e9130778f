#include "epaxos/sim/checkers/key_value_model.h"

#include <charconv>

#include "deps/types/ids.h"

namespace epaxos::sim {
namespace {

using kv::KeyValueReply;
using kv::ReplyStatus;

std::uint64_t hash_entry(std::string_view key, std::string_view value) {
  std::uint64_t hash = mix64(key.size());
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = mix64(hash);
  for (const char c : value) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mix64(hash);
}

/// A decimal number and nothing else.
std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

KeyValueReply reply(ReplyStatus status, std::optional<std::string> value = {}) {
  return {status, std::move(value), {}};
}

}  // namespace

std::optional<std::string> KeyValueModel::find(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

void KeyValueModel::set(std::string_view key, std::optional<std::string> value, Undo& undo) {
  std::optional<std::string> before = find(key);
  if (before) hash_ ^= hash_entry(key, *before);
  if (value) hash_ ^= hash_entry(key, *value);
  undo.emplace_back(std::string(key), std::move(before));
  if (value) {
    values_.insert_or_assign(std::string(key), *std::move(value));
  } else if (const auto found = values_.find(key); found != values_.end()) {
    values_.erase(found);
  }
}

void KeyValueModel::take_back(const Undo& undo) {
  Undo unused;
  for (auto each = undo.rbegin(); each != undo.rend(); ++each) {
    set(each->first, each->second, unused);
  }
}

KeyValueReply KeyValueModel::apply(const kv::KeyValueCommand& command, Undo& undo) {
  switch (command.operation) {
    case kv::Operation::kGet: {
      std::optional<std::string> value = find(command.key);
      const ReplyStatus status = value ? ReplyStatus::kOk : ReplyStatus::kNotFound;
      return reply(status, std::move(value));
    }
    case kv::Operation::kPut:
      set(command.key, std::string(command.value), undo);
      return reply(ReplyStatus::kOk);
    case kv::Operation::kDelete:
      if (!find(command.key)) return reply(ReplyStatus::kNotFound);
      set(command.key, {}, undo);
      return reply(ReplyStatus::kOk);
    case kv::Operation::kCompareAndSet:
      return compare_and_set(command, undo);
    case kv::Operation::kAppend:
      return append(command, undo);
    case kv::Operation::kIncrement:
      return increment(command, undo);
    case kv::Operation::kMultiPut:
      for (const auto& [key, value] : command.entries) set(key, std::string(value), undo);
      return reply(ReplyStatus::kOk);
    case kv::Operation::kMultiGet: {
      KeyValueReply all = reply(ReplyStatus::kOk);
      for (const auto& [key, unused] : command.entries) all.values.push_back(find(key));
      return all;
    }
  }
  return {};
}

KeyValueReply KeyValueModel::compare_and_set(const kv::KeyValueCommand& command, Undo& undo) {
  const std::optional<std::string> current = find(command.key);
  if (current != command.expected) return reply(ReplyStatus::kMismatch, current);
  set(command.key, std::string(command.value), undo);
  return reply(ReplyStatus::kOk);
}

KeyValueReply KeyValueModel::append(const kv::KeyValueCommand& command, Undo& undo) {
  std::string value = find(command.key).value_or("") + std::string(command.value);
  if (value.size() > kv::kValueBytesMax) return reply(ReplyStatus::kValueTooLarge);
  const std::string length = std::to_string(value.size());
  set(command.key, std::move(value), undo);
  return reply(ReplyStatus::kOk, length);
}

KeyValueReply KeyValueModel::increment(const kv::KeyValueCommand& command, Undo& undo) {
  const std::optional<std::string> current = find(command.key);
  const std::optional<std::int64_t> before = current ? number(*current) : 0;
  if (!before) return reply(ReplyStatus::kNotANumber);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*before, command.delta, &sum)) return reply(ReplyStatus::kOverflow);
  const std::string text = std::to_string(sum);
  set(command.key, text, undo);
  return reply(ReplyStatus::kOk, text);
}

bool same_reply(const KeyValueReply& one, const KeyValueReply& other) {
  return one.status == other.status && one.value == other.value && one.values == other.values;
}

}  // namespace epaxos::sim
