#include "epaxos/runtime/wake_up.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>

namespace epaxos::runtime {

Result<std::unique_ptr<WakeUp>> WakeUp::open() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    return fail(ErrorCode::kIo, "An eventfd cannot be made: " + std::string(std::strerror(errno)) +
                                    ". Raise the limit of open files (ulimit -n).");
  }
  return std::unique_ptr<WakeUp>(new WakeUp(fd));
}

WakeUp::~WakeUp() {
  ::close(fd_);
}

// Both sides write their own flag before they read the other's, in one total order: at least one of
// them sees the other. The flag is exchanged, never just stored: whoever clears it sees everything
// that was done before any of the announcements it clears.
void WakeUp::announce() {
  announced_.exchange(true);
  if (!sleeping_.exchange(false)) return;
  const std::uint64_t one = 1;
  // The only failure is a counter that is full: then the descriptor is readable already.
  static_cast<void>(!::write(fd_, &one, sizeof(one)));
}

bool WakeUp::wait_is_needed() {
  sleeping_.store(true);
  if (!announced_.load()) return true;
  awake(false);
  return false;
}

void WakeUp::awake(bool readable) {
  // A thread that saw the loop asleep has written, or is about to. In the second case the
  // descriptor ends the next wait in vain, which finds it readable and empties it.
  const bool taken = !sleeping_.exchange(false);
  if (taken || readable) {
    std::uint64_t count = 0;
    static_cast<void>(!::read(fd_, &count, sizeof(count)));
  }
  announced_.exchange(false);
}

}  // namespace epaxos::runtime
