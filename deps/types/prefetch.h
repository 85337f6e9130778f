#pragma once

// Tells the processor what will be read soon. Tables that do not fit into the caches cost what it
// costs to wait for memory; who knows some steps ahead what comes next need not wait.

namespace epaxos {

inline void prefetch(const void* address) {
  __builtin_prefetch(address);
  // For g++ 12 a function that only prefetches has no effect, and its calls are removed.
  asm volatile("" : : "r"(address));
}

}  // namespace epaxos
