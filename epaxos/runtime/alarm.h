#pragma once

// A file descriptor that becomes readable at a given microsecond, for what a wait in milliseconds
// is too coarse for.

#include <memory>

#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::runtime {

class Alarm {
 public:
  /// Errors: io - the process has no file descriptors left.
  static Result<std::unique_ptr<Alarm>> open();
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  /// Readable in `delay_us` from now and not before, until the next call; kNever: not at all.
  void set(Tick delay_us);
  [[nodiscard]] int fd() const { return fd_; }

 private:
  explicit Alarm(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace epaxos::runtime
