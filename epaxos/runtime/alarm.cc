#include "epaxos/runtime/alarm.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <sys/timerfd.h>
#include <unistd.h>

#include "deps/types/check.h"

namespace epaxos::runtime {

Result<std::unique_ptr<Alarm>> Alarm::open() {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) {
    return fail(ErrorCode::kIo, "A timerfd cannot be made: " + std::string(std::strerror(errno)) +
                                    ". Raise the limit of open files (ulimit -n).");
  }
  return std::unique_ptr<Alarm>(new Alarm(fd));
}

Alarm::~Alarm() {
  ::close(fd_);
}

void Alarm::set(Tick delay_us) {
  constexpr Tick kSecondUs = 1'000'000;
  itimerspec spec{};  // All zero: disarmed.
  if (delay_us != kNever) {
    const Tick bounded = std::clamp<Tick>(delay_us, 1, 3'600 * kSecondUs);
    spec.it_value.tv_sec = static_cast<time_t>(bounded / kSecondUs);
    spec.it_value.tv_nsec = static_cast<long>(bounded % kSecondUs) * 1000;
  }
  check(::timerfd_settime(fd_, 0, &spec, nullptr) == 0, "a timer cannot be set");
}

}  // namespace epaxos::runtime
