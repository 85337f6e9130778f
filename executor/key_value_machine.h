#pragma once

// The reference state machine: a map from names to byte strings, in memory. It shows what a machine
// must be (deterministic, refusing by name, saved and loaded whole) and serves the demo, the
// programs and the benchmarks.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "executor/image_link.h"
#include "executor/key_value_command.h"
#include "executor/state_machine.h"
#include "executor/value_table.h"

namespace epaxos {

class KeyValueMachine final : public StateMachine {
 public:
  /// Errors: malformed, too large, invalid argument; the sentence names the limit.
  [[nodiscard]] Result<Footprint> admit(Bytes payload) const override;
  void apply(std::span<const Command> batch, Replies& replies) override;
  /// A get or multi-get, answered as apply() would.
  [[nodiscard]] Result<std::vector<std::byte>> query(Bytes request) const override;
  /// Equal states give equal bytes. Cost: sorts the keys.
  [[nodiscard]] Result<void> save(const Sink& sink) const override;
  Result<void> load(const Source& source) override;
  /// Takes over the old value when an entry changes, and else copies it when it is read. Cost of
  /// taking one: a word for 64 entries. Memory: the old entries that are not read yet.
  [[nodiscard]] Result<std::unique_ptr<Image>> image() override;
  /// Cost: O(1); kept up with every change.
  [[nodiscard]] std::uint64_t digest() const override { return digest_; }

  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;

 private:
  class OpenImage;
  using Entry = executor::ValueTable::Entry;

  static constexpr std::uint64_t kMagic = 0x31'76'6b'78'6f'70'65'01;  // Version 1 of the format.

  /// A command of the batch that is applied, and where it is going to look first.
  struct Next {
    kv::KeyValueCommand command;
    std::uint64_t hash = 0;
  };

  void decode(const Command& command, Next& next) const;
  void run(const kv::KeyValueCommand& command, kv::Payload& reply);
  void get(const kv::KeyValueCommand& command, kv::Payload& reply) const;
  void compare_and_set(const kv::KeyValueCommand& command, kv::Payload& reply);
  void append(const kv::KeyValueCommand& command, kv::Payload& reply);
  void increment(const kv::KeyValueCommand& command, kv::Payload& reply);
  void set(std::string_view key, std::string_view value);
  bool remove(std::string_view key);
  /// What every change of an entry that is there begins with; the image may take its value. What is
  /// added needs no such care: its number was nobody's when the image was taken, or belonged to an
  /// entry that has been kept.
  void before_change(Entry& entry) {
    if (image_.get() != nullptr) [[unlikely]]
      keep_entry(entry);
  }
  void keep_entry(Entry& entry);

  /// As save() and an image write it; the entries may come in any order.
  template <class To>
  static void write_header(std::uint64_t entry_count, To& to);
  template <class To>
  static void write(const Entry& entry, To& to);

  executor::ImageLink image_;
  executor::ValueTable values_;
  std::uint64_t digest_ = 0;  ///< The sum of the entries' hashes, so the order does not matter.
  std::vector<Next> window_;  // Reused, so that decoding does not allocate.
  kv::Payload reply_;
};

}  // namespace epaxos
