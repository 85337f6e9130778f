#include "bench/wan/timer_thread.h"

#include <chrono>
#include <sys/prctl.h>
#include <utility>

#include "bench/report/clock.h"

namespace epaxos::bench {

TimerThread::TimerThread() : thread_([this] { run(); }) {
}

TimerThread::~TimerThread() {
  {
    const std::scoped_lock lock(mutex_);
    ends_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void TimerThread::at(Tick time, std::function<void()> action) {
  bool is_first = false;
  {
    const std::scoped_lock lock(mutex_);
    is_first = due_.empty() || time < due_.top().time;
    due_.push({time, std::move(action)});
  }
  if (is_first) changed_.notify_one();
}

void TimerThread::run() {
  ::prctl(PR_SET_TIMERSLACK, 1);  // Nanoseconds, in place of 50 us.
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Tick now = now_us();
    if (due_.top().time > now) {
      changed_.wait_for(lock, std::chrono::microseconds(due_.top().time - now));
      continue;
    }
    const std::function<void()> action = due_.top().action;
    due_.pop();
    lock.unlock();
    action();
    lock.lock();
  }
}

}  // namespace epaxos::bench
