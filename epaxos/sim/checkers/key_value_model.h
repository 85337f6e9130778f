#pragma once

// What the key-value machine promises, written a second time and as simply as possible, for
// checkers: a sorted map, one command after the other, each of which can be taken back.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "executor/key_value_command.h"

namespace epaxos::sim {

class KeyValueModel {
 public:
  /// What the keys that a command wrote held before.
  using Undo = std::vector<std::pair<std::string, std::optional<std::string>>>;

  /// Applies one command; `undo` gets what undoes it.
  kv::KeyValueReply apply(const kv::KeyValueCommand& command, Undo& undo);
  void take_back(const Undo& undo);

  /// Equal states, equal hashes.
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

 private:
  [[nodiscard]] std::optional<std::string> find(std::string_view key) const;
  void set(std::string_view key, std::optional<std::string> value, Undo& undo);
  kv::KeyValueReply compare_and_set(const kv::KeyValueCommand& command, Undo& undo);
  kv::KeyValueReply append(const kv::KeyValueCommand& command, Undo& undo);
  kv::KeyValueReply increment(const kv::KeyValueCommand& command, Undo& undo);

  std::map<std::string, std::string, std::less<>> values_;
  std::uint64_t hash_ = 0;
};

/// Whether two replies say the same.
bool same_reply(const kv::KeyValueReply& one, const kv::KeyValueReply& other);

}  // namespace epaxos::sim
