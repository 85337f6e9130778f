#pragma once

// Payloads and replies are bytes whose meaning is the state machine's. These turn text and numbers
// into bytes and back, without a copy where there need not be one. Numbers are little-endian.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace epaxos {

using Bytes = std::span<const std::byte>;

/// A view of the bytes of a text, and back.
inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Copies all of `from` to `to`, where there must be room. Unlike memcpy it takes an empty range
/// that has no address.
inline void copy_bytes(Bytes from, void* to) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

/// A copy that starts at a multiple of 8 bytes, whatever the alignment of the original.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(Bytes bytes) { assign(bytes); }

  /// Replaces what is there, and keeps its memory.
  void assign(Bytes bytes) {
    words_.assign((bytes.size() + 7) / 8, 0);
    size_ = bytes.size();
    copy_bytes(bytes, words_.data());
  }
  [[nodiscard]] Bytes bytes() const {
    return {reinterpret_cast<const std::byte*>(words_.data()), size_};
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
};

template <class T>
concept Number = std::is_arithmetic_v<T> && !std::same_as<T, bool>;

/// A view of the bytes of a number. The number must outlive it.
template <Number T>
Bytes bytes_of(const T& number) {
  static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");
  return std::as_bytes(std::span(&number, 1));
}

/// The number that these bytes are; nothing unless there are exactly as many as it needs.
template <Number T>
std::optional<T> number_from(Bytes bytes) {
  T number{};
  if (bytes.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

}  // namespace epaxos
