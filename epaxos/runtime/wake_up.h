#pragma once

// How other threads wake the event loop, and only when it sleeps: a wake-up across cores costs both
// sides more than the work that it announces. Invariant: what is announced before wait_is_needed()
// returned true ends the wait.

#include <atomic>
#include <memory>

#include "deps/types/result.h"

namespace epaxos::runtime {

class WakeUp {
 public:
  /// Errors: io - the process has no file descriptors left.
  static Result<std::unique_ptr<WakeUp>> open();
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  /// Something is to be done. Any thread; cheap while the loop does not sleep.
  void announce();

  /// The loop's thread: about to sleep. False: something was announced meanwhile, go on.
  bool wait_is_needed();
  /// The loop's thread: awake again; what is announced from here on is for the next wait.
  /// `readable`: whether the wait found fd() readable.
  void awake(bool readable);

  /// Readable when a sleeping loop must wake.
  [[nodiscard]] int fd() const { return fd_; }

 private:
  explicit WakeUp(int fd) : fd_(fd) {}

  const int fd_;
  std::atomic<bool> announced_{false};
  std::atomic<bool> sleeping_{false};
};

}  // namespace epaxos::runtime
