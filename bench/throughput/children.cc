#include "bench/throughput/children.h"

#include <algorithm>
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

constexpr int kStartTries = 5;

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

/// Returns what waitpid() says of it.
int wait_for_end(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

/// Waits until the socket can be read; signals do not end the wait.
bool wait_readable(int socket, std::chrono::milliseconds time) {
  const auto deadline = Clock::now() + time;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{socket, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(std::max<long>(left, 0))) > 0) return true;
    if (left <= 0) return false;
  }
}

}  // namespace

Children::Children(const MakeSubject& make, const GroupOptions& options,
                   const ClusterConfig& cluster, const std::string& directory)
    : make_(make),
      options_(options),
      cluster_(cluster),
      directory_(directory),
      children_(cluster.replicas.size()) {
}

/// Ports that were free a moment ago may be taken by now, so a few tries.
Result<std::unique_ptr<Children>> Children::start(const MakeSubject& make,
                                                  const GroupOptions& options,
                                                  const std::string& directory) {
  Error last;
  for (int tries = 0; tries < kStartTries; ++tries) {
    auto cluster = ClusterConfig::loopback("bench", options.replicas, options.durability);
    if (!cluster) return fail(cluster.error());
    cluster->core.batch_commands_max = options.batch;
    for (ReplicaSettings& replica : cluster->replicas) replica.client.clear();
    auto children = std::unique_ptr<Children>(new Children(make, options, *cluster, directory));
    const Result<void> started = children->start_all();
    if (started) return children;
    last = started.error();
    if (last.code != ErrorCode::kBusy) break;
  }
  return fail(last);
}

Result<void> Children::start_all() {
  for (std::size_t i = 0; i < children_.size(); ++i) {
    if (const auto forked = restart(i); !forked) return forked;
  }
  const auto connected = order(Order::kConnect);
  return connected ? Result<void>() : fail(connected.error());
}

Result<void> Children::restart(std::size_t index) {
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
    for (const Child& other : children_) {
      if (other.socket >= 0) ::close(other.socket);
    }
    const Place place{cluster_, ReplicaId(static_cast<std::uint16_t>(index)), directory_};
    obey(ends[1], make_, options_, place);
    ::_exit(0);
  }
  ::close(ends[1]);
  children_[index] = {pid, ends[0]};
  return {};
}

Children::~Children() {
  for (const Child& child : children_) {
    if (child.socket >= 0) ::close(child.socket);
  }
  for (const Child& child : children_) {
    if (child.pid < 0) continue;
    ::kill(child.pid, SIGKILL);
    wait_for_end(child.pid);
  }
}

Result<std::vector<Measurement>> Children::order_first(std::size_t count, Order order) {
  for (std::size_t i = 0; i < count; ++i) give(i, order);
  std::vector<Measurement> measurements;
  for (std::size_t i = 0; i < count; ++i) {
    auto reply = reply_of(i);
    if (!reply) return fail(reply.error());
    measurements.push_back(*std::move(reply));
  }
  return measurements;
}

void Children::kill(std::size_t index) {
  Child& child = children_[index];
  ::kill(child.pid, SIGKILL);
  wait_for_end(child.pid);
  ::close(child.socket);
  child = {};
}

void Children::give(std::size_t index, Order order) {
  // A child that is gone shows when its reply is missing.
  static_cast<void>(!::send(children_[index].socket, &order, sizeof order, MSG_NOSIGNAL));
}

Result<std::optional<Measurement>> Children::answer(std::size_t index,
                                                    std::chrono::milliseconds wait) {
  if (!wait_readable(children_[index].socket, wait)) return std::optional<Measurement>();
  auto reply = reply_of(index);
  if (!reply) return fail(reply.error());
  return std::optional<Measurement>(*std::move(reply));
}

Result<Measurement> Children::reply_of(std::size_t index) {
  const int socket = children_[index].socket;
  if (!wait_readable(socket, kReplyTime)) {
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
  const int status = wait_for_end(child.pid);
  child.pid = -1;
  const std::string who = "Replica " + std::to_string(index);
  if (WIFSIGNALED(status)) {
    return who + " was ended by signal " + std::to_string(WTERMSIG(status)) + ".";
  }
  return who + " ended with status " + std::to_string(WEXITSTATUS(status)) + ".";
}

}  // namespace epaxos::bench
