#include "bench/throughput/children.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace epaxos::bench {
namespace {

/// A child that says nothing for so long never will.
constexpr auto kReplyTime = std::chrono::seconds(60);

void ignore(int signal) {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  ::sigaction(signal, &action, nullptr);
}

using Clock = std::chrono::steady_clock;

Failure no_process() {
  return fail(ErrorCode::kUnavailable,
              std::string("A process for a replica cannot be made: ") + std::strerror(errno) + ".");
}

/// Waits until the socket can be read; signals do not end the wait.
bool wait_readable(int socket) {
  const auto deadline = Clock::now() + kReplyTime;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd wait{socket, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(left)) > 0) return true;
  }
}

}  // namespace

Result<std::unique_ptr<Children>> Children::start(const MakeSubject& make,
                                                  const ThroughputOptions& options,
                                                  const ClusterConfig& cluster,
                                                  const std::string& directory) {
  auto children = std::unique_ptr<Children>(new Children());
  for (std::uint16_t replica = 0; replica < cluster.replica_count(); ++replica) {
    const Place place{cluster, ReplicaId(replica), directory};
    if (const auto forked = children->fork_one(make, options, place); !forked) {
      return fail(forked.error());
    }
  }
  if (const auto connected = children->order(Order::kConnect); !connected) {
    return fail(connected.error());
  }
  return children;
}

Result<void> Children::fork_one(const MakeSubject& make, const ThroughputOptions& options,
                                const Place& place) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return no_process();
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) {
    const Failure failure = no_process();
    ::close(ends[0]);
    ::close(ends[1]);
    return failure;
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ignore(SIGINT);
    ::close(ends[0]);
    for (const Child& other : children_) ::close(other.socket);
    obey(ends[1], make, options, place);
    ::_exit(0);
  }
  ::close(ends[1]);
  children_.push_back({pid, ends[0]});
  return {};
}

Children::~Children() {
  for (const Child& child : children_) ::close(child.socket);
  for (const Child& child : children_) {
    if (child.pid < 0) continue;
    ::kill(child.pid, SIGKILL);
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) continue;
  }
}

Result<std::vector<Measurement>> Children::order(Order order) {
  for (const Child& child : children_) {
    // A child that is gone shows when its reply is missing.
    static_cast<void>(!::send(child.socket, &order, sizeof order, MSG_NOSIGNAL));
  }
  std::vector<Measurement> measurements;
  for (std::size_t i = 0; i < children_.size(); ++i) {
    auto reply = reply_of(i);
    if (!reply) return fail(reply.error());
    measurements.push_back(*std::move(reply));
  }
  return measurements;
}

Result<Measurement> Children::reply_of(std::size_t index) {
  const int socket = children_[index].socket;
  if (!wait_readable(socket)) {
    return fail(ErrorCode::kUnavailable,
                "Replica " + std::to_string(index) + " does not answer any more.");
  }
  auto reply = std::make_unique<Reply>();
  const ssize_t got = ::recv(socket, reply.get(), sizeof *reply, 0);
  if (got != static_cast<ssize_t>(sizeof *reply)) {
    return fail(ErrorCode::kUnavailable, how_it_ended(index));
  }
  if (!reply->ok) return fail(reply->code, std::string(reply->sentence));
  return reply->measurement;
}

std::string Children::how_it_ended(std::size_t index) {
  Child& child = children_[index];
  ::kill(child.pid, SIGKILL);  // Its socket is closed; nothing useful comes from it any more.
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) continue;
  child.pid = -1;
  const std::string who = "Replica " + std::to_string(index);
  if (WIFSIGNALED(status)) {
    return who + " was ended by signal " + std::to_string(WTERMSIG(status)) + ".";
  }
  return who + " ended with status " + std::to_string(WEXITSTATUS(status)) + ".";
}

}  // namespace epaxos::bench
