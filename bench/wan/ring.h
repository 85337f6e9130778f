#pragma once

// Values on their way from the one process that writes to the one that reads, in memory that both
// have. Lock-free.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace epaxos::bench {

template <class Value, std::size_t kSize>
class Ring {
 public:
  void write(const Value& value) {
    const std::uint64_t at = written_.load(std::memory_order_relaxed);
    if (at - read_.load(std::memory_order_acquire) == kSize) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    values_[at % kSize] = value;
    written_.store(at + 1, std::memory_order_release);
  }

  /// Calls fn(const Value&) with all that were written.
  template <class Fn>
  void read(Fn&& fn) {
    std::uint64_t at = read_.load(std::memory_order_relaxed);
    const std::uint64_t end = written_.load(std::memory_order_acquire);
    for (; at != end; ++at) fn(values_[at % kSize]);
    read_.store(at, std::memory_order_release);
  }

  /// Values for which there was no room: the reader did not come for too long.
  [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> read_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::array<Value, kSize> values_;
};

}  // namespace epaxos::bench
