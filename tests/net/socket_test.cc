// A socket where the process has hardly a file descriptor left.

#include "net/socket.h"

#include <gmock/gmock.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "net/limits.h"

namespace epaxos::net {
namespace {

/// The number that the next descriptor gets.
rlim_t next_descriptor() {
  const int fd = ::dup(0);
  ::close(fd);
  return static_cast<rlim_t>(fd);
}

/// The limit of open files for the time of a test.
class OpenFiles {
 public:
  explicit OpenFiles(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit low{limit, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

 private:
  rlimit before_{};
};

/// What opening a socket says when only so many descriptors are left; nothing when it opens. Only
/// the socket sees the low limit: the sanitizers need descriptors to judge what the assertions do.
std::string refusal_of_a_socket(SocketKind kind, rlim_t left) {
  const OpenFiles few(next_descriptor() + left);
  Context context;
  SocketOptions options;
  options.kind = kind;
  options.message_bytes_max = kBundleBytesMax;
  const auto socket = Socket::open(context, options);
  return socket ? std::string() : socket.error().message;
}

TEST(Socket, WithoutFileDescriptorsItIsRefusedAndTheProcessGoesOn) {
  int refused = 0, opened = 0;
  for (const SocketKind kind : {SocketKind::kRouter, SocketKind::kDealer}) {
    for (rlim_t left = 0; left < 20; ++left) {
      const std::string refusal = refusal_of_a_socket(kind, left);
      if (refusal.empty()) {
        ++opened;
        continue;
      }
      ++refused;
      EXPECT_THAT(refusal, ::testing::HasSubstr("ulimit -n"));
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(opened, 0);
}

}  // namespace
}  // namespace epaxos::net
