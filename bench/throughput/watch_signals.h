#pragma once

// The wish to stop: Ctrl-C, SIGTERM, or SIGHUP of a terminal that was closed. The second one ends
// the process at once, and its children with it.

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
  struct sigaction hang_up_ {};
};

}  // namespace epaxos::bench
