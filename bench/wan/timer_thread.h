#pragma once

// Actions at points in time, on a thread of their own, which the kernel is asked to wake without
// the slack that it gives other timers.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "deps/types/ids.h"

namespace epaxos::bench {

class TimerThread {
 public:
  TimerThread();
  /// What is not due yet never runs.
  ~TimerThread();
  TimerThread(const TimerThread&) = delete;
  TimerThread& operator=(const TimerThread&) = delete;

  /// Runs `action` when now_us() is `time`, or soon after. From any thread, this one too.
  void at(Tick time, std::function<void()> action);

 private:
  struct Due {
    Tick time = 0;
    std::function<void()> action;
    bool operator>(const Due& other) const { return time > other.time; }
  };

  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace epaxos::bench
