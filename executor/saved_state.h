#pragma once

// How a state is saved and loaded: its bytes with their checksum behind them.

#include <cstddef>
#include <cstdint>
#include <span>

#include <xxhash.h>

#include "deps/types/bytes.h"
#include "deps/types/result.h"
#include "executor/state_machine.h"

namespace epaxos::executor {

/// Writes and hashes at once.
class Saver {
 public:
  explicit Saver(const Sink& sink) : sink_(sink), state_(XXH3_createState()) {
    XXH3_64bits_reset(state_);
  }
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;
  ~Saver() { XXH3_freeState(state_); }

  void bytes(Bytes bytes) {
    if (!result_) return;
    XXH3_64bits_update(state_, bytes.data(), bytes.size());
    result_ = sink_(bytes);
  }
  template <Number T>
  void number(T value) {
    bytes(bytes_of(value));
  }
  Result<void> finish() {
    number(static_cast<std::uint64_t>(XXH3_64bits_digest(state_)));
    return result_;
  }

 private:
  const Sink& sink_;
  XXH3_state_t* state_;
  Result<void> result_;
};

/// Reads and hashes at once.
class Loader {
 public:
  explicit Loader(const Source& source) : source_(source), state_(XXH3_createState()) {
    XXH3_64bits_reset(state_);
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader() { XXH3_freeState(state_); }

  Result<void> bytes(void* to, std::size_t size) {
    const std::span<std::byte> room(static_cast<std::byte*>(to), size);
    if (Result<void> read = source_(room); !read) return read;
    XXH3_64bits_update(state_, to, size);
    return {};
  }
  template <Number T>
  Result<void> number(T& value) {
    return bytes(&value, sizeof value);
  }
  [[nodiscard]] std::uint64_t checksum() const { return XXH3_64bits_digest(state_); }

 private:
  const Source& source_;
  XXH3_state_t* state_;
};

}  // namespace epaxos::executor
