#pragma once

// What a server does as a process: its standard streams, its signals, and a way for another thread
// to wake the main one. Private to the programs.

#include <csignal>
#include <cstdint>

#include "deps/types/result.h"

namespace epaxos {

/// Gives every closed standard stream the null device. Otherwise the next file or socket would get
/// its number, and what is printed would go there.
void open_standard_streams();

/// Lets this process open as many files as it may without asking anybody: the soft limit becomes
/// the hard one. Returns the limit from here on.
std::uint64_t raise_open_files();

/// Whether this process may open as many files as a server needs to start and to take some clients.
/// What it starts with ends the process where it gets none.
/// Errors: invalid argument.
Result<void> check_open_files();

/// SIGTERM and SIGINT as a file descriptor, and as usual again once they were released: then
/// another one ends the process at once. One that the process was started with ignoring stays
/// ignored. A broken pipe and a file that may not grow are ordinary errors from here on.
class StopSignals {
 public:
  /// Precondition: no other thread runs yet, so that all inherit the mask.
  StopSignals();
  /// The signals are as they were before.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Readable when one has come.
  [[nodiscard]] int fd() const { return fd_; }
  /// Takes the one that has come, if any, and lets the next one end the process.
  void release();

 private:
  sigset_t set_{};
  sigset_t before_{};
  int fd_ = -1;
};

/// Wakes a thread that polls.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void raise();
  /// Takes it back.
  void clear();
  /// Readable while raised.
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

enum class Woken { kByNothing, kBySignal, kByEvent };
/// Waits for a signal or the event; the signal counts first. A negative timeout has no end.
Woken wait_for(const StopSignals& signals, const Event& event, int timeout_ms);

}  // namespace epaxos
