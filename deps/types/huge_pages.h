#pragma once

// Memory for tables that are read at random. One of some megabytes has thousands of small pages,
// and to find where one lies costs as much as to fetch what is there; in huge pages it costs
// nothing.

#include <cstddef>
#include <new>
#include <sys/mman.h>
#include <vector>

namespace epaxos {

/// Asks the system for huge pages where a table fills one, and takes what it gets.
template <class T>
class HugePageAllocator {
 public:
  using value_type = T;

  HugePageAllocator() = default;
  template <class U>
  HugePageAllocator(const HugePageAllocator<U>&) {}

  [[nodiscard]] T* allocate(std::size_t count) {
    const std::size_t bytes = rounded(count);
    void* const room = ::operator new(bytes, alignment(bytes));
    // A refusal changes nothing but the speed.
    if (bytes >= kHugePageBytes) ::madvise(room, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(room);
  }
  void deallocate(T* room, std::size_t count) noexcept {
    ::operator delete(room, alignment(rounded(count)));
  }

  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) { return true; }

 private:
  static constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

  static std::size_t rounded(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes < kHugePageBytes) return bytes;
    return (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  }
  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t(bytes < kHugePageBytes ? alignof(T) : kHugePageBytes);
  }
};

template <class T>
using HugeVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace epaxos
