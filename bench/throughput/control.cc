#include "bench/throughput/control.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace epaxos::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kConnectTime = std::chrono::seconds(20);
constexpr int kTickMs = 5;

std::uint64_t microseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(time.tv_usec);
}

/// A line such as "VmHWM:  1234 kB" of /proc/self/status.
std::uint64_t memory_bytes(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return std::stoull(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

void measure_process(Measurement& out) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  out.totals.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  out.totals.wall_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch())
          .count());
  // Not the pages of the store's file: the kernel takes them back when it needs them.
  out.totals.resident_bytes = memory_bytes("RssAnon");
  out.peak_bytes = memory_bytes("VmHWM");
}

Reply refusal(const Error& error) {
  Reply reply;
  reply.ok = false;
  reply.code = error.code;
  const std::size_t size = std::min(error.message.size(), sizeof reply.sentence - 1);
  std::memcpy(reply.sentence, error.message.data(), size);
  return reply;
}

Result<void> wait_until_ready(Subject& subject) {
  const auto deadline = Clock::now() + kConnectTime;
  while (!subject.ready()) {
    if (Clock::now() > deadline) {
      return fail(ErrorCode::kUnavailable, subject.why_not_ready());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

Result<void> carry_out(Order order, Subject& subject, Measurement& out) {
  switch (order) {
    case Order::kConnect:
      return wait_until_ready(subject);
    case Order::kLoad:
      subject.start_load();
      return {};
    case Order::kBegin:
      subject.begin_window();
      break;
    case Order::kOpen:
    case Order::kMeasure:
      break;
    case Order::kStopLoad:
      subject.stop_load();
      return {};
    case Order::kQuit:
      return subject.close();
  }
  subject.measure(out);
  measure_process(out);
  return {};
}

/// Waits for an order while the load goes on. False: there will be none.
bool next_order(int socket, Subject* subject, Order& out) {
  pollfd wait{socket, POLLIN, 0};
  while (::poll(&wait, 1, subject == nullptr ? -1 : kTickMs) <= 0) {
    if (subject != nullptr) subject->tick();
  }
  return ::recv(socket, &out, sizeof out, 0) == sizeof out;
}

bool tell(int socket, const Reply& reply) {
  return ::send(socket, &reply, sizeof reply, MSG_NOSIGNAL) == sizeof reply;
}

}  // namespace

void obey(int socket, const MakeSubject& make, const GroupOptions& options, const Place& place) {
  auto subject = make(options, place);
  Order order{};
  while (next_order(socket, subject ? subject->get() : nullptr, order)) {
    if (!subject) {
      tell(socket, refusal(subject.error()));
      return;
    }
    Reply reply;
    const Result<void> done = carry_out(order, **subject, reply.measurement);
    if (!tell(socket, done ? reply : refusal(done.error())) || order == Order::kQuit) return;
  }
}

}  // namespace epaxos::bench
