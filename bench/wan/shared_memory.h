#pragma once

// A value in memory that the processes have in common which are forked after it was made.

#include <memory>
#include <new>
#include <sys/mman.h>

namespace epaxos::bench {

template <class Value>
struct Unmap {
  void operator()(Value* value) const {
    value->~Value();
    ::munmap(value, sizeof(Value));
  }
};
template <class Value>
using SharedPointer = std::unique_ptr<Value, Unmap<Value>>;

/// Null: there is no memory left.
template <class Value>
SharedPointer<Value> make_shared_value() {
  void* const memory = ::mmap(nullptr, sizeof(Value), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  return SharedPointer<Value>(new (memory) Value);
}

}  // namespace epaxos::bench
