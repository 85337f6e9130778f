#pragma once

// The assertion for our own bugs, on in every build. What a peer, a client or a disk can cause is
// an ordinary outcome and is handled instead; see Result for failures at an edge.

namespace epaxos {

/// Receives a broken check: what is wrong, and where. It must not return; when it does, the process
/// aborts anyway.
using CheckHandler = void (*)(const char* why, const char* file, int line);

/// Installs the one handler of the process and returns the one before it. The default prints to
/// standard error. Not thread-safe: call it before threads start.
CheckHandler set_check_handler(CheckHandler handler) noexcept;

[[noreturn]] void check_failed(const char* why, const char* file, int line);

/// Stops the process when `holds` is false, in every build type. `why` says what is wrong then.
inline void check(bool holds, const char* why, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  if (!holds) [[unlikely]]
    check_failed(why, file, line);
}

}  // namespace epaxos
