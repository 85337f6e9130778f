#pragma once

// The wish to stop: Ctrl-C, or SIGTERM. The second one ends the process at once, and its children
// with it.

#include <csignal>

namespace epaxos::bench {

class WatchSignals {
 public:
  WatchSignals();
  ~WatchSignals();
  WatchSignals(const WatchSignals&) = delete;
  WatchSignals& operator=(const WatchSignals&) = delete;

  /// Whether one of them has come since the constructor.
  [[nodiscard]] bool wish_to_stop() const;

 private:
  struct sigaction interrupt_ {};
  struct sigaction terminate_ {};
};

}  // namespace epaxos::bench
