#pragma once

// How a state is saved and loaded: its bytes with their checksum behind them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <xxhash.h>

#include "deps/types/bytes.h"
#include "deps/types/result.h"
#include "executor/state_machine.h"

namespace epaxos::executor {

/// Of all bytes so far, however they were cut.
class Checksum {
 public:
  Checksum() : state_(XXH3_createState()) { XXH3_64bits_reset(state_); }
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;
  ~Checksum() { XXH3_freeState(state_); }

  void update(Bytes bytes) { XXH3_64bits_update(state_, bytes.data(), bytes.size()); }
  [[nodiscard]] std::uint64_t value() const { return XXH3_64bits_digest(state_); }

 private:
  XXH3_state_t* state_;
};

/// Writes and hashes at once.
class Saver {
 public:
  explicit Saver(const Sink& sink) : sink_(sink) {}

  void bytes(Bytes bytes) {
    if (!result_) return;
    checksum_.update(bytes);
    result_ = sink_(bytes);
  }
  template <Number T>
  void number(T value) {
    bytes(bytes_of(value));
  }
  Result<void> finish() {
    number(checksum_.value());
    return result_;
  }

 private:
  const Sink& sink_;
  Checksum checksum_;
  Result<void> result_;
};

/// Reads and hashes at once.
class Loader {
 public:
  /// `state`: what is loaded, as the beginning of a sentence.
  Loader(const Source& source, const char* state) : source_(source), state_(state) {}

  Result<void> bytes(void* to, std::size_t size) {
    const std::span<std::byte> room(static_cast<std::byte*>(to), size);
    if (Result<void> read = source_(room); !read) return read;
    checksum_.update(room);
    return {};
  }
  template <Number T>
  Result<void> number(T& value) {
    return bytes(&value, sizeof value);
  }

  /// Reads what Saver::finish() wrote. Errors: the source's; corrupted when the bytes are not those
  /// that were saved, or when more follow.
  Result<void> finish() {
    const std::uint64_t expected = checksum_.value();
    std::uint64_t saved = 0;
    if (Result<void> read = number(saved); !read) return read;
    if (saved != expected) return damaged("fails its checksum");
    std::byte more{};
    if (source_(std::span(&more, 1))) return damaged("is followed by bytes that are not its own");
    return {};
  }

  /// The end of a sentence that begins with what is loaded.
  [[nodiscard]] Failure damaged(const char* what) const {
    return fail(ErrorCode::kCorrupted, std::string(state_) + " " + what);
  }

 private:
  const Source& source_;
  const char* state_;
  Checksum checksum_;
};

}  // namespace epaxos::executor
