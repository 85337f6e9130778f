#include "epaxos/runtime/event_loop.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "net/open_files.h"

namespace epaxos::runtime {
namespace {

constexpr Tick kOpenFilesUs = 1'000'000;

Error stopping_error() {
  return {ErrorCode::kStopped, "This replica is stopping. Use another one."};
}

/// `delay` after `now`, or never when there is no such time.
Tick later(Tick now, Tick delay) {
  return delay >= kNever - now ? kNever : now + delay;
}

HostConfig with_wall_clock(HostConfig host) {
  host.wall_clock_us = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  };
  return host;
}

}  // namespace

Tick EventLoop::now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<Tick>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

bool EventLoop::Sink::send(ReplicaId to, Bytes bundle) {
  if (parts_.links != nullptr) return parts_.links->send(to, bundle, now());
  return parts_.peers != nullptr && parts_.peers->send(to, bundle);
}

EventLoop::EventLoop(WakeUp& wake_up, storage::Store& store, EventLoopParts parts,
                     EventLoopOptions options)
    : wake_up_(wake_up),
      parts_(std::move(parts)),
      options_(std::move(options)),
      sink_(parts_),
      host_(with_wall_clock(options_.host), *parts_.core, store, *parts_.machine, sink_),
      queue_(options_.submissions),
      take_bundle_([this](Bytes bundle) { host_.receive_bundle(bundle); }),
      take_request_([this](net::ClientId client, const net::ClientRequest& request) {
        on_request(client, request);
      }) {
  watch_sockets();
}

EventLoop::~EventLoop() {
  check(!thread_.joinable(), "an event loop was destroyed while its thread runs");
}

Result<void> EventLoop::start() {
  now_ = now();
  if (const auto started = host_.start(now_); !started) return started;
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kUnavailable,
                "The thread of a node cannot be started: " + error.code().message() +
                    ". Raise the limit of threads (ulimit -u).");
  }
  return {};
}

// --- Any thread ---------------------------------------------------------------------------------

bool EventLoop::on_loop_thread() const {
  return thread_id_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

Result<void> EventLoop::submit(std::span<Submission> submissions) {
  if (on_loop_thread()) {
    if (failed_) return fail(ErrorCode::kStopped, host_.stop_reason());
    if (stop_requested_) return fail(stopping_error());
    if (host_.pending() + submissions.size() > options_.host.pending_max) {
      return fail(ErrorCode::kOverloaded,
                  "Too many proposals of this replica wait for their outcome. Try again later.");
    }
    for (Submission& submission : submissions) propose(submission);
    return {};
  }
  const auto taken = queue_.submit(submissions);
  if (taken) wake_up_.announce();
  return taken;
}

void EventLoop::run(const std::function<void()>& task) {
  if (on_loop_thread()) return task();
  Task waiting(std::ref(task));
  std::future<void> done = waiting.get_future();
  if (queue_.submit(std::move(waiting))) {
    wake_up_.announce();
    return done.get();
  }
  ended_.wait(false);
  const std::scoped_lock lock(after_end_);
  task();
}

void EventLoop::begin_stop() {
  queue_.refuse(stopping_error());
  stop_requested_ = true;
  wake_up_.announce();
}

void EventLoop::join() {
  check(!on_loop_thread(), "a node was stopped for good on its own thread");
  if (thread_.joinable()) thread_.join();
}

// --- The loop's thread --------------------------------------------------------------------------

void EventLoop::loop() {
  thread_id_ = std::this_thread::get_id();
  while (true) {
    const bool busy = turn();
    fail_when_host_stopped();
    if (draining_ && drained()) break;
    if (stop_requested_ && !draining_) {
      begin_drain();  // One more turn takes what was submitted before the wish to stop.
      continue;
    }
    // After a busy turn more may have arrived: the next turn looks, which costs less than to ask.
    if (!busy) sleep();
  }
  end();
}

bool EventLoop::turn() {
  now_ = now();
  answered_bytes_ = 0;
  host_.begin_turn(now_);
  bool busy = parts_.peers != nullptr && parts_.peers->receive(take_bundle_) > 0;
  if (parts_.clients != nullptr) busy |= parts_.clients->receive(take_request_) > 0;
  busy |= take_submissions();
  host_.end_turn();
  tell_refused();
  deliver_delayed();
  if (parts_.clients != nullptr) parts_.clients->flush();
  look_at_open_files();
  run_tasks();
  return busy;
}

bool EventLoop::take_submissions() {
  queue_.take(batch_);
  for (Submission& submission : batch_.submissions()) propose(submission);
  return !batch_.empty();
}

/// What has waited on an emulated link for long enough.
void EventLoop::deliver_delayed() {
  if (parts_.links == nullptr || parts_.peers == nullptr) return;
  parts_.links->release(now(),
                        [this](ReplicaId to, Bytes bundle) { parts_.peers->send(to, bundle); });
}

void EventLoop::run_tasks() {
  for (Task& task : batch_.tasks()) task();
}

/// Neither ZeroMQ nor a client that waits to be accepted tells that the descriptors are used up.
void EventLoop::look_at_open_files() {
  if (now_ < look_at_open_files_at_) return;
  look_at_open_files_at_ = later(now_, kOpenFilesUs);
  open_files_.open_files_max = net::open_files_max();
  if (parts_.clients != nullptr) parts_.clients->look_at_connections();
  if (!net::descriptors_left(1)) ++open_files_.no_descriptor_left;
}

void EventLoop::propose(Submission& submission) {
  if (submission.about_session) {
    host_.control_session(*submission.about_session, submission.request.id.session,
                          submission.deadline, std::move(submission.done));
    return;
  }
  if (!submission.footprint) {
    auto admitted = parts_.machine->admit(submission.payload);
    if (!admitted) {
      ++requests_.local_refused_not_a_command;
      refused_.push_back({std::move(submission.done), admitted.error()});
      return;
    }
    submission.footprint = std::move(*admitted);
  }
  host_.propose(submission.payload, *submission.footprint, submission.deadline,
                std::move(submission.done), submission.request);
}

/// Nobody is told anything inside submit(): a proposer that proposes again at once does not
/// recurse, and is told in the next turn.
void EventLoop::tell_refused() {
  for (const Refused& refused : std::exchange(refused_, {})) {
    refused.done({.kind = OutcomeKind::kRejected,
                  .reply = {},
                  .code = refused.error.code,
                  .reason = refused.error.message});
  }
}

void EventLoop::sleep() {
  if (!refused_.empty()) return;
  Tick due = std::min(host_.next_deadline(), drain_deadline_);
  if (parts_.links != nullptr) due = std::min(due, parts_.links->due());
  const Tick current = now();
  if (parts_.alarm != nullptr && due > current) {
    parts_.alarm->set(due == kNever ? kNever : due - current);
  }
  if (due <= current || !wake_up_.wait_is_needed()) return;
  poller_->wait(due == kNever ? kNever : due - current);
  wake_up_.awake(poller_->ready(0));
  if (parts_.clients != nullptr && poller_->ready(connections_changed_)) {
    parts_.clients->look_at_connections();
  }
}

void EventLoop::watch_sockets() {
  poller_ = std::make_unique<net::Poller>();
  poller_->set_spin_us(options_.spin_us);
  poller_->add_fd(wake_up_.fd());  // The first: sleep() asks for it.
  if (parts_.alarm != nullptr) poller_->add_fd(parts_.alarm->fd());
  if (parts_.peers != nullptr) poller_->add(parts_.peers->pollable());
  if (parts_.clients == nullptr) return;
  poller_->add(parts_.clients->pollable());
  connections_changed_ = poller_->add(parts_.clients->connections_changed());
}

void EventLoop::close_sockets() {
  poller_.reset();
  parts_.peers.reset();
  parts_.clients.reset();
  watch_sockets();
}

/// A replica that cannot remember does not speak. The thread stays for status and queries.
void EventLoop::fail_when_host_stopped() {
  if (failed_ || !host_.stopped()) return;
  failed_ = true;
  queue_.refuse({ErrorCode::kStopped, host_.stop_reason()});
  close_sockets();
  if (options_.on_failure) options_.on_failure(host_.stop_reason());
}

void EventLoop::begin_drain() {
  draining_ = true;
  drain_deadline_ = later(now_, options_.drain_us);
}

/// Whether the loop may end: everything that was taken has its outcome, or has waited long enough.
bool EventLoop::drained() const {
  return now_ >= drain_deadline_ || host_.pending() == 0;
}

void EventLoop::end() {
  queue_.close();
  host_.begin_turn(now());
  take_submissions();
  host_.end_turn();
  tell_refused();
  host_.stop("The replica was stopped before the command was executed.");
  if (parts_.clients != nullptr) parts_.clients->flush();
  run_tasks();
  close_sockets();
  thread_id_ = std::thread::id();
  ended_ = true;
  ended_.notify_all();
}

}  // namespace epaxos::runtime
