#pragma once

// The bytes of a fuzzer's run, read as numbers and pieces. Reading past the end gives zeros, so
// that every input means something and a shortened one means nearly the same.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "deps/types/command.h"

namespace epaxos::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const std::byte*>(data), size) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

  /// The next number, little-endian.
  template <class Number>
  Number number() {
    Number value{};
    const Bytes taken = bytes(sizeof value);
    if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  std::uint8_t byte() { return number<std::uint8_t>(); }
  /// 0 .. end - 1. Precondition: 1 <= end <= 256.
  unsigned below(unsigned end) { return byte() % end; }
  bool flag() { return (byte() & 1) != 0; }

  /// The next bytes, or what is left of them.
  Bytes bytes(std::size_t size) {
    const Bytes taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  Bytes rest() { return bytes(rest_.size()); }

 private:
  Bytes rest_;
};

/// A copy that starts at a multiple of 8 and ends where AddressSanitizer's red zone begins.
class Exact {
 public:
  explicit Exact(Bytes bytes) : copy_(bytes.begin(), bytes.end()) {}

  [[nodiscard]] Bytes bytes() const { return copy_; }
  [[nodiscard]] std::span<std::byte> writable() { return copy_; }

 private:
  std::vector<std::byte> copy_;  // Operator new aligns to 16.
};

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace epaxos::fuzz
