#include "net/open_files.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <netinet/in.h>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "net/address.h"

namespace epaxos::net {
namespace {

constexpr std::uint64_t kFilesOfOthers = 64;  // One of nine replicas has about 50 without clients.
constexpr std::uint64_t kBurstShare = 8;      // One of so many more is for a burst.

}  // namespace

std::uint64_t open_files_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<std::uint32_t>::max();
  }
  return limit.rlim_cur;
}

bool descriptors_left(std::size_t count) {
  std::vector<int> fds(count);
  for (int& fd : fds) fd = ::eventfd(0, EFD_CLOEXEC);
  const bool all = std::ranges::none_of(fds, [](int fd) { return fd < 0; });
  for (const int fd : fds) {
    if (fd >= 0) ::close(fd);
  }
  return all;
}

std::size_t connections_for(std::uint64_t open_files_max) {
  const std::uint64_t others = kFilesOfOthers + open_files_max / kBurstShare;
  return std::max<std::size_t>(1, open_files_max - std::min(others, open_files_max / 2));
}

Connections::~Connections() {
  if (reserved_ >= 0) ::close(reserved_);
  if (nothing_ >= 0) ::close(nothing_);
}

bool Connections::reserve() {
  reserved_ = ::eventfd(0, EFD_CLOEXEC);
  nothing_ = ::eventfd(0, EFD_CLOEXEC);
  return reserved_ >= 0 && nothing_ >= 0;
}

void Connections::accepted(int fd) {
  if (open_.size() >= max_ && shut_down(fd)) {
    ++refused_;
  } else {
    open_.insert(fd);
  }
}

/// ZeroMQ, on its own thread, may have closed this one and opened something else by its number. A
/// duplicate stays what it is, so it is looked at first: at worst another connection to the same
/// place ends, whose client comes again.
bool Connections::shut_down(int fd) const {
  if (::dup3(fd, reserved_, O_CLOEXEC) < 0) return false;  // It has ended; that comes as an event.
  const bool here = is_here(reserved_);
  if (here) ::shutdown(reserved_, SHUT_RDWR);
  ::dup3(nothing_, reserved_, O_CLOEXEC);
  return here;
}

/// Whether this is a connection that was accepted at the address.
bool Connections::is_here(int fd) const {
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) return false;
  if (local.ss_family == AF_UNIX) {
    sockaddr_un at{};
    std::memcpy(&at, &local, sizeof at);
    const std::size_t length = ::strnlen(at.sun_path, sizeof at.sun_path);
    return address_ == std::string(kIpcScheme).append(at.sun_path, length);
  }
  in_port_t port = 0;
  if (local.ss_family == AF_INET) {
    sockaddr_in at{};
    std::memcpy(&at, &local, sizeof at);
    port = at.sin_port;
  } else if (local.ss_family == AF_INET6) {
    sockaddr_in6 at{};
    std::memcpy(&at, &local, sizeof at);
    port = at.sin6_port;
  }
  return port != 0 && address_.ends_with(":" + std::to_string(ntohs(port)));
}

}  // namespace epaxos::net
