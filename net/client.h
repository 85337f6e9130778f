#pragma once

// The client library: what the control program and the load generator use. No thread of its own:
// everything happens inside poll(). Requests go to the replica that answers fastest (or to the one
// that was asked for); what was submitted between two polls leaves as one message a replica.
//
// Another replica is tried when that cannot do harm: the request has certainly not left, or was
// refused before it was proposed, or only reads; or it is in a session, so that replicas recognise
// it (ClientOptions::exactly_once). Those that have not answered yet are waited for when one stops,
// or may not propose. Otherwise a broken connection or a passed timeout ends the request as
// unknown.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/result.h"
#include "net/client_message.h"
#include "net/socket.h"

namespace epaxos::net {

struct ClientOptions {
  std::vector<std::string> addresses;  ///< Client addresses, one a replica, in order of their ids.
  ClusterId cluster{};
  std::optional<ReplicaId> preferred;     ///< Asked first while it answers; else the nearest.
  Tick request_timeout_us = 5'000'000;    ///< Of a request without a deadline of its own.
  Tick answer_timeout_us = 1'000'000;     ///< After this silence a replica counts as not answering.
  Tick ping_interval_us = 500'000;        ///< Between the questions that measure the distance.
  std::size_t in_flight_max = 64 * 1024;  ///< Requests without an outcome; beyond: overloaded.
  /// What is proposed and does not only read takes effect once, and is sent again until it has an
  /// answer or its deadline passes; only then is it unknown. Costs a session, which is opened with
  /// the first such request and closed at the end.
  bool exactly_once = false;
  SecurityOptions security;
};

struct SubmitOptions {
  Tick deadline_us = 0;     ///< From now; 0: ClientOptions::request_timeout_us.
  bool reads_only = false;  ///< May be tried at several replicas without harm.
  CommandId id;             ///< A request of the caller's own session; else all zero.
  std::uint64_t acknowledged_up_to = 0;
  std::optional<ReplicaId> replica;  ///< This one and no other.
};

/// How a request ended. Views live as long as the callback.
struct ClientOutcome {
  OutcomeKind kind = OutcomeKind::kUnknown;
  ErrorCode code = ErrorCode::kUnavailable;  ///< Unless executed: why.
  std::string_view reason;                   ///< Unless executed: a sentence.
  Bytes reply;                               ///< Of kExecuted.
  /// Who answered; without an answer, who was asked last; none if nobody was.
  std::optional<ReplicaId> replica;
  bool answered = false;
  Tick latency_us = 0;         ///< From submit() to here.
  Tick execution_wait_us = 0;  ///< See Outcome.
};

/// A ClientOutcome that owns what it says.
struct CallOutcome {
  OutcomeKind kind = OutcomeKind::kUnknown;
  ErrorCode code = ErrorCode::kUnavailable;
  std::string reason;
  std::vector<std::byte> reply;
  std::optional<ReplicaId> replica;
  bool answered = false;
  Tick latency_us = 0;
  Tick execution_wait_us = 0;
};

struct ClientCounters {
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t retried_elsewhere = 0;
  std::uint64_t repeated = 0;  ///< Sent again to whoever answers, within a session.
  std::uint64_t sessions_opened = 0;
  std::uint64_t replies_unexpected = 0;  ///< To nothing that waits: late, or invented.
  RefusalCounters refusals;
};

class Client {
 public:
  using Callback = std::function<void(const ClientOutcome&)>;

  /// Begins to connect to every replica; waits for none.
  /// Errors: invalid argument - no address, or a wrong one.
  static Result<std::unique_ptr<Client>> open(const ClientOptions& options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  /// Pending requests end without a callback.
  ~Client();

  /// Queues a request; it leaves with the next poll(). `done` runs inside a later poll(), exactly
  /// once, and may submit again. The payload is copied.
  /// Errors: too large - the payload; overloaded - in_flight_max; invalid argument - no such
  /// replica.
  Result<RequestToken> submit(RequestKind kind, Bytes payload, const SubmitOptions& options,
                              Callback done);

  /// Sends what is queued, waits up to `timeout_us` for anything to arrive, and runs callbacks.
  /// May come back earlier with nothing. Returns how many requests ended.
  /// Precondition of it and of call(): not inside a callback.
  std::size_t poll(Tick timeout_us);

  /// submit() and poll() until the outcome is there. Other requests proceed meanwhile.
  CallOutcome call(RequestKind kind, Bytes payload, const SubmitOptions& options = {});

  [[nodiscard]] std::size_t in_flight() const;
  /// Whom the next request would be sent to; none while nobody has answered.
  [[nodiscard]] std::optional<ReplicaId> nearest() const;
  /// The round trip to a replica; kNever while it does not answer.
  [[nodiscard]] Tick round_trip_us(ReplicaId replica) const;
  [[nodiscard]] const ClientCounters& counters() const;

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace epaxos::net
