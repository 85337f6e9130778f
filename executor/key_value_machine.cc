#include "executor/key_value_machine.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include <xxhash.h>

#include "executor/image.h"
#include "executor/saved_state.h"

namespace epaxos {
namespace {

std::uint64_t entry_hash(std::uint64_t key_hash, std::string_view value) {
  // The key's hash as the seed binds the two together.
  return XXH3_64bits_withSeed(value.data(), value.size(), key_hash) | 1;
}

Result<void> load_text(executor::Loader& from, std::uint32_t size, std::string& out) {
  out.resize(size);
  return from.bytes(out.data(), size);
}

}  // namespace

std::optional<std::string_view> KeyValueMachine::find(std::string_view key) const {
  const auto* const found = values_.find(key, hash_key(key));
  if (found == nullptr) return std::nullopt;
  return found->value;
}

Result<Footprint> KeyValueMachine::admit(Bytes payload) const {
  kv::KeyValueCommand command;
  if (const Result<void> decoded = kv::decode_command(payload, command); !decoded) {
    return fail(decoded.error());
  }
  return kv::footprint_of(command);
}

/// Among many keys the time goes into waiting for memory. So commands are decoded some steps before
/// they run, and what they will look at is fetched on the way.
void KeyValueMachine::apply(std::span<const Command> batch, Replies& replies) {
  constexpr std::size_t kStage = 4;  // Steps between two stages of fetching.
  constexpr std::size_t kStages = 3;
  window_.resize(kStages * kStage + 1);
  const auto next = [&](std::size_t i) -> Next& { return window_[i % window_.size()]; };
  for (std::size_t i = 0; i < batch.size() + kStages * kStage; ++i) {
    const auto in_stage = [&](std::size_t stage) {
      return i >= stage * kStage && i - stage * kStage < batch.size();
    };
    if (in_stage(0)) decode(batch[i], next(i));
    if (in_stage(1)) values_.prefetch_entry(next(i - kStage).hash);
    if (in_stage(2)) values_.prefetch_value(next(i - 2 * kStage).hash);
    if (!in_stage(3)) continue;
    reply_.clear();
    run(next(i - 3 * kStage).command, reply_);
    replies.add(reply_);
  }
}

void KeyValueMachine::decode(const Command& command, Next& next) const {
  const Result<void> decoded = kv::decode_command(command.payload, next.command);
  check(decoded.has_value(), "a command was applied that no replica admitted");
  const auto& entries = next.command.entries;
  next.hash = hash_key(entries.empty() ? next.command.key : entries.front().first);
  values_.prefetch_place(next.hash);
}

void KeyValueMachine::run(const kv::KeyValueCommand& command, kv::Payload& reply) {
  using kv::Operation;
  using kv::ReplyStatus;
  switch (command.operation) {
    case Operation::kGet:
    case Operation::kMultiGet:
      return get(command, reply);
    case Operation::kPut:
      set(command.key, command.value);
      return kv::encode_reply(ReplyStatus::kOk, {}, reply);
    case Operation::kDelete: {
      const bool found = remove(command.key);
      return kv::encode_reply(found ? ReplyStatus::kOk : ReplyStatus::kNotFound, {}, reply);
    }
    case Operation::kCompareAndSet:
      return compare_and_set(command, reply);
    case Operation::kAppend:
      return append(command, reply);
    case Operation::kIncrement:
      return increment(command, reply);
    case Operation::kMultiPut:
      for (const auto& [key, value] : command.entries) set(key, value);
      return kv::encode_reply(ReplyStatus::kOk, {}, reply);
  }
}

void KeyValueMachine::get(const kv::KeyValueCommand& command, kv::Payload& reply) const {
  if (command.operation == kv::Operation::kGet) {
    const auto value = find(command.key);
    return kv::encode_reply(value ? kv::ReplyStatus::kOk : kv::ReplyStatus::kNotFound, value,
                            reply);
  }
  std::vector<std::optional<std::string_view>> values;
  std::size_t bytes = 0;
  for (const auto& [key, unused] : command.entries) {
    values.push_back(find(key));
    if (values.back()) bytes += values.back()->size();
    // Every replica builds the reply, so a small request must not make it large.
    if (bytes > kv::kReplyBytesMax) {
      return kv::encode_reply(kv::ReplyStatus::kReplyTooLarge, {}, reply);
    }
  }
  kv::encode_reply(values, reply);
}

void KeyValueMachine::compare_and_set(const kv::KeyValueCommand& command, kv::Payload& reply) {
  const auto current = find(command.key);
  if (current != command.expected) {
    return kv::encode_reply(kv::ReplyStatus::kMismatch, current, reply);
  }
  set(command.key, command.value);
  kv::encode_reply(kv::ReplyStatus::kOk, {}, reply);
}

void KeyValueMachine::append(const kv::KeyValueCommand& command, kv::Payload& reply) {
  std::string value(find(command.key).value_or(""));
  if (value.size() + command.value.size() > kv::kValueBytesMax) {
    return kv::encode_reply(kv::ReplyStatus::kValueTooLarge, {}, reply);
  }
  value += command.value;
  set(command.key, value);
  kv::encode_reply(kv::ReplyStatus::kOk, std::to_string(value.size()), reply);
}

void KeyValueMachine::increment(const kv::KeyValueCommand& command, kv::Payload& reply) {
  std::int64_t number = 0;
  if (const auto current = find(command.key)) {
    const auto [end, error] =
        std::from_chars(current->data(), current->data() + current->size(), number);
    if (error != std::errc() || end != current->data() + current->size()) {
      return kv::encode_reply(kv::ReplyStatus::kNotANumber, {}, reply);
    }
  }
  if (__builtin_add_overflow(number, command.delta, &number)) {
    return kv::encode_reply(kv::ReplyStatus::kOverflow, {}, reply);
  }
  const std::string text = std::to_string(number);
  set(command.key, text);
  kv::encode_reply(kv::ReplyStatus::kOk, text, reply);
}

void KeyValueMachine::set(std::string_view key, std::string_view value) {
  const std::uint64_t hash = hash_key(key);
  digest_ += entry_hash(hash, value);
  auto* const found = values_.find(key, hash);
  if (found == nullptr) return values_.add(key, hash, value);
  digest_ -= entry_hash(hash, found->value);
  before_change(*found);
  found->value = value;
}

bool KeyValueMachine::remove(std::string_view key) {
  const std::uint64_t hash = hash_key(key);
  auto* const found = values_.find(key, hash);
  if (found == nullptr) return false;
  digest_ -= entry_hash(hash, found->value);
  before_change(*found);
  values_.remove(key, hash);
  return true;
}

Result<std::vector<std::byte>> KeyValueMachine::query(Bytes request) const {
  kv::KeyValueCommand command;
  if (const Result<void> decoded = kv::decode_command(request, command); !decoded) {
    return fail(decoded.error());
  }
  if (kv::footprint_of(command).writes()) {
    return fail(ErrorCode::kInvalidArgument,
                "a query only reads; send commands that change something as proposals");
  }
  kv::Payload reply;
  get(command, reply);
  return reply;
}

// --- Saving ------------------------------------------------------------------------------------

template <class To>
void KeyValueMachine::write_header(std::uint64_t entry_count, To& to) {
  to.number(kMagic);
  to.number(entry_count);
}

template <class To>
void KeyValueMachine::write(const Entry& entry, To& to) {
  to.number(static_cast<std::uint32_t>(entry.name.size()));
  to.number(static_cast<std::uint32_t>(entry.value.size()));
  to.bytes(bytes_of(entry.name));
  to.bytes(bytes_of(entry.value));
}

Result<void> KeyValueMachine::save(const Sink& sink) const {
  std::vector<const Entry*> sorted;
  values_.for_each([&](const Entry& entry) { sorted.push_back(&entry); });
  std::ranges::sort(sorted, {},
                    [](const Entry* entry) -> const std::string& { return entry->name; });
  executor::Saver to(sink);
  write_header(sorted.size(), to);
  for (const Entry* const entry : sorted) write(*entry, to);
  return to.finish();
}

class KeyValueMachine::OpenImage final : public executor::LiveImage {
 public:
  explicit OpenImage(KeyValueMachine& machine)
      : LiveImage(machine.image_, machine.values_.numbers(), header_of(machine)),
        values_(machine.values_) {}

 private:
  static std::vector<std::byte> header_of(const KeyValueMachine& machine) {
    std::vector<std::byte> header;
    executor::Appender to(header);
    write_header(machine.size(), to);
    return header;
  }

  void keep(std::size_t number) override {
    Entry& entry = values_[number];
    kept_.push_back({entry.name, std::exchange(entry.value, {})});
  }
  bool append_kept(std::vector<std::byte>& out, std::size_t) override {
    if (kept_.empty()) return false;
    executor::Appender to(out);
    write(kept_.front(), to);
    kept_.pop_front();
    return true;
  }
  void append_unit(std::size_t number, std::vector<std::byte>& out) override {
    executor::Appender to(out);
    write(values_[number], to);
  }

  executor::ValueTable& values_;
  std::deque<Entry> kept_;  ///< Blocks that never move: one more costs the same among many.
};

Result<std::unique_ptr<Image>> KeyValueMachine::image() {
  return std::unique_ptr<Image>(std::make_unique<OpenImage>(*this));
}

void KeyValueMachine::keep_entry(Entry& entry) {
  image_.get()->before_change(values_.number_of(entry));
}

Result<void> KeyValueMachine::load(const Source& source) {
  KeyValueMachine loaded;
  executor::Loader from(source, "the saved key-value state");
  std::uint64_t magic = 0;
  std::uint64_t count = 0;
  if (Result<void> read = from.number(magic); !read) return read;
  if (magic != kMagic) return from.damaged("is none, or of another version");
  if (Result<void> read = from.number(count); !read) return read;
  std::string key;
  std::string value;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t key_bytes = 0;
    std::uint32_t value_bytes = 0;
    if (Result<void> read = from.number(key_bytes); !read) return read;
    if (Result<void> read = from.number(value_bytes); !read) return read;
    if (key_bytes > kv::kKeyBytesMax || value_bytes > kv::kValueBytesMax) {
      return from.damaged("holds a key or value over its limit");
    }
    if (Result<void> read = load_text(from, key_bytes, key); !read) return read;
    if (Result<void> read = load_text(from, value_bytes, value); !read) return read;
    loaded.set(key, value);
    if (loaded.size() != i + 1) return from.damaged("holds a key twice");
  }
  if (Result<void> read = from.finish(); !read) return read;
  image_.close();
  values_ = std::move(loaded.values_);
  digest_ = loaded.digest_;
  return {};
}

}  // namespace epaxos
