#pragma once

// Waiting for what happens on other threads and sockets: asked again and again, with a bound that
// only protects against hanging for ever.

#include <chrono>
#include <string>
#include <thread>

#include "deps/types/command.h"
#include "net/wire.h"

namespace epaxos::net {

inline constexpr std::chrono::seconds kHangs{20};

/// Calls `step` until it returns true; false when that seems never to happen.
template <class Step>
bool eventually(Step&& step) {
  const auto until = std::chrono::steady_clock::now() + kHangs;
  while (!step()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

inline Bytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline ClusterId cluster(unsigned char fill = 0x5a) {
  ClusterId id;
  id.fill(std::byte{fill});
  return id;
}

}  // namespace epaxos::net
