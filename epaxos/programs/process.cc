#include "epaxos/programs/process.h"

#include <cstdint>
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <vector>

#include "deps/types/check.h"
#include "net/open_files.h"

namespace epaxos {
namespace {

// One of nine replicas has about 45 open before the others and its first client have come.
constexpr std::size_t kOpenFilesMin = 64;

}  // namespace

void open_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0) continue;
    // The lowest free number is this one, as those below it are open.
    static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

std::uint64_t raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);  // Refused: it stays as it was, which is told all the same.
  }
  return net::open_files_max();
}

Result<void> check_open_files() {
  std::vector<int> files;
  int file = 0;
  while (files.size() < kOpenFilesMin && file >= 0) {
    file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (file >= 0) files.push_back(file);
  }
  for (const int each : files) ::close(each);
  if (files.size() == kOpenFilesMin) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      "it may open only " + std::to_string(files.size()) + " more files, and a replica needs " +
          std::to_string(kOpenFilesMin) +
          " to start. Raise the limit of open files (ulimit -n); each client needs one more.");
}

StopSignals::StopSignals() {
  sigemptyset(&set_);
  for (const int signal : {SIGTERM, SIGINT}) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&set_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &set_, &before_);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  fd_ = signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK);
  check(fd_ >= 0, "a process that has just started has no file descriptor left");
}

StopSignals::~StopSignals() {
  ::close(fd_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void StopSignals::release() {
  signalfd_siginfo info{};
  static_cast<void>(!::read(fd_, &info, sizeof(info)));
  pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
}

Event::Event() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  check(fd_ >= 0, "a process that has just started has no file descriptor left");
}

Event::~Event() {
  ::close(fd_);
}

void Event::raise() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(fd_, &one, sizeof(one)));
}

void Event::clear() {
  std::uint64_t count = 0;
  static_cast<void>(!::read(fd_, &count, sizeof(count)));
}

Woken wait_for(const StopSignals& signals, const Event& event, int timeout_ms) {
  pollfd fds[] = {{signals.fd(), POLLIN, 0}, {event.fd(), POLLIN, 0}};
  ::poll(fds, 2, timeout_ms);
  if ((fds[0].revents & POLLIN) != 0) return Woken::kBySignal;
  if ((fds[1].revents & POLLIN) != 0) return Woken::kByEvent;
  return Woken::kByNothing;
}

}  // namespace epaxos
