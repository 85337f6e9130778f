#pragma once

// The one thread of a node: it owns both planes, the core, the host and the state machine. A turn
// takes what has arrived (bounded), lets the host end its turn, and sends the answers; between two
// turns it sleeps until something arrives or is due. Nothing of it blocks but the sleep. The only
// clock of a replica is read here.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "epaxos/runtime/alarm.h"
#include "epaxos/runtime/host.h"
#include "epaxos/runtime/submission_queue.h"
#include "epaxos/runtime/wake_up.h"
#include "net/client_plane.h"
#include "net/emulated_links.h"
#include "net/peer_plane.h"

namespace epaxos::runtime {

/// What the loop owns. `clients` may be null: then nobody is served but this process. `links` may
/// be null: then what is sent leaves at once; otherwise there is an `alarm` too.
struct EventLoopParts {
  std::unique_ptr<net::PeerPlane> peers;
  std::unique_ptr<net::EmulatedLinks> links;
  std::unique_ptr<Alarm> alarm;
  std::unique_ptr<net::ClientPlane> clients;
  std::unique_ptr<Core> core;
  std::unique_ptr<StateMachine> machine;
};

struct EventLoopOptions {
  HostConfig host;
  SubmissionQueue::Limits submissions;
  Tick drain_us = 2'000'000;  ///< How long a stop waits for outcomes.
  Tick spin_us = 0;           ///< See net::Poller::set_spin_us().
  /// Answers a client's question for the status; may be empty.
  std::function<std::string()> status_text;
  /// Puts what a client asks about instances into words; may be empty.
  std::function<std::string(std::span<const InstanceHistory>)> history_text;
  /// Called once, on the loop's thread, when the host stops by itself; may be empty.
  std::function<void(std::string_view reason)> on_failure;
};

/// What clients asked for over the network, and what they were refused before the host saw it.
struct RequestCounters {
  std::uint64_t proposals = 0;
  std::uint64_t queries = 0;
  std::uint64_t status_requests = 0;
  std::uint64_t digests = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t transfers = 0;
  std::uint64_t member_changes = 0;
  std::uint64_t explanations = 0;
  std::uint64_t refused_not_a_command = 0;
  std::uint64_t refused_too_large = 0;
  std::uint64_t refused_stopping = 0;
  std::uint64_t refused_unsupported = 0;
  std::uint64_t refused_query = 0;
  std::uint64_t refused_transfers = 0;
  std::uint64_t refused_member_changes = 0;
  std::uint64_t refused_explanations = 0;
  std::uint64_t local_refused_not_a_command = 0;  ///< Of this process's own proposals.
};

/// The limit of open files, and how often a look, once a second, found it reached: nobody new can
/// connect then.
struct OpenFileCounters {
  std::uint64_t open_files_max = 0;
  std::uint64_t no_descriptor_left = 0;
};

class EventLoop {
 public:
  /// `store` and `wake_up` outlive the loop; whoever owns the store lets it announce() its
  /// progress.
  EventLoop(WakeUp& wake_up, storage::Store& store, EventLoopParts parts, EventLoopOptions options);
  /// Precondition: never started, or joined.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Restores the host from the store, and starts the thread. Errors: those of Host::start();
  /// unavailable - the system has no thread left.
  Result<void> start();

  /// Any thread. On the loop's own thread there is neither lock nor wake-up.
  /// Errors: overloaded; stopped, or why the replica has stopped by itself.
  Result<void> submit(std::span<Submission> submissions);

  /// Runs `task` between two turns and waits for it; on the loop's own thread at once. After the
  /// loop has ended it runs on the calling thread, one thread at a time. Throws what `task` throws.
  void run(const std::function<void()>& task);

  /// Refuses what is new, and lets the loop end once everything has its outcome or drain_us have
  /// passed. Any thread; idempotent.
  void begin_stop();
  /// Waits for the thread's end. Any thread but the loop's, once.
  void join();

  [[nodiscard]] bool on_loop_thread() const;
  [[nodiscard]] bool stopping() const { return stop_requested_; }
  [[nodiscard]] bool ended() const { return ended_; }

  // For tasks and hooks, that is on the loop's thread or after its end.
  [[nodiscard]] const Host& host() const { return host_; }
  [[nodiscard]] const StateMachine& machine() const { return *parts_.machine; }
  void request_image() { host_.request_image(); }
  [[nodiscard]] const RequestCounters& requests() const { return requests_; }
  [[nodiscard]] const OpenFileCounters& open_files() const { return open_files_; }
  /// Null once the sockets are closed.
  [[nodiscard]] net::PeerPlane* peers() { return parts_.peers.get(); }
  [[nodiscard]] const net::ClientPlane* clients() const { return parts_.clients.get(); }
  [[nodiscard]] const net::EmulatedLinks* links() const { return parts_.links.get(); }

  [[nodiscard]] SubmissionQueue::Size submitted() const { return queue_.size(); }
  /// Microseconds on the monotonic clock.
  static Tick now();

 private:
  /// The host's way to the peer plane.
  class Sink final : public PeerSink {
   public:
    explicit Sink(EventLoopParts& parts) : parts_(parts) {}
    bool send(ReplicaId to, Bytes bundle) override;

   private:
    EventLoopParts& parts_;
  };

  /// A proposal of this process that the machine did not admit, until its proposer is told.
  struct Refused {
    Completion done;
    Error error;
  };
  /// A client that waits for the outcome of its proposal.
  struct Call {
    net::ClientId client;
    net::RequestToken token = 0;
  };

  // event_loop.cc: turns and sleep.
  void loop();
  bool turn();
  void sleep();
  bool take_submissions();
  void deliver_delayed();
  void run_tasks();
  void look_at_open_files();
  void propose(Submission& submission);
  void tell_refused();
  void watch_sockets();
  void close_sockets();
  void fail_when_host_stopped();
  void begin_drain();
  [[nodiscard]] bool drained() const;
  void end();

  // event_loop_requests.cc: what clients ask over the network.
  void on_request(net::ClientId client, const net::ClientRequest& request);
  void serve(net::ClientId client, const net::ClientRequest& request);
  void pause_when_long(net::RequestKind kind);
  void on_propose(net::ClientId client, const net::ClientRequest& request);
  void on_session(net::ClientId client, const net::ClientRequest& request);
  std::uint32_t add_call(net::ClientId client, net::RequestToken token);
  [[nodiscard]] Tick deadline_of(const net::ClientRequest& request) const;
  void on_query(net::ClientId client, const net::ClientRequest& request);
  void on_status(net::ClientId client, const net::ClientRequest& request);
  void on_digest(net::ClientId client, const net::ClientRequest& request);
  void on_snapshot(net::ClientId client, const net::ClientRequest& request);
  void on_transfer_leadership(net::ClientId client, const net::ClientRequest& request);
  void on_change_members(net::ClientId client, const net::ClientRequest& request);
  void on_explain(net::ClientId client, const net::ClientRequest& request);
  [[nodiscard]] Result<std::vector<InstanceHistory>> histories(Bytes wish) const;
  void refuse_stopping(net::ClientId client, net::RequestToken token);
  void refuse(net::ClientId client, net::RequestToken token, const Error& error,
              std::uint64_t& counter);
  void answer(net::ClientId client, net::RequestToken token, Bytes reply);
  void finish_call(std::uint32_t index, const Outcome& outcome);

  WakeUp& wake_up_;
  EventLoopParts parts_;
  const EventLoopOptions options_;
  Sink sink_;
  Host host_;
  SubmissionQueue queue_;
  SubmissionQueue::Batch batch_;
  std::unique_ptr<net::Poller> poller_;
  std::size_t connections_changed_ = 0;  // In the poller; of the clients.
  std::function<void(Bytes)> take_bundle_;
  net::ClientPlane::Handler take_request_;

  RequestCounters requests_;
  OpenFileCounters open_files_;
  Tick look_at_open_files_at_ = 0;
  std::vector<Refused> refused_;
  std::vector<Call> calls_;
  std::vector<std::uint32_t> free_calls_;

  Tick now_ = 0;                    // Of this turn.
  std::size_t answered_bytes_ = 0;  // In this turn, to questions.
  std::uint32_t requests_taken_ = 0;
  bool draining_ = false;
  Tick drain_deadline_ = kNever;  // Set when the drain begins.
  bool failed_ = false;

  std::atomic<bool> stop_requested_{false};
  std::atomic<bool> ended_{false};
  // One thread at a time when there is no loop any more; a task may run another one.
  std::recursive_mutex after_end_;
  std::atomic<std::thread::id> thread_id_{};
  std::thread thread_;
};

}  // namespace epaxos::runtime
