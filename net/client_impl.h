#pragma once

// The inside of the client library, in four files: client.cc (what the user calls), client_send.cc
// (who gets a request), client_receive.cc (how it ends) and client_sessions.cc (what takes effect
// once, and may be sent again). A request sits in a slot that is used again; its token is the slot
// and how often that was used, so that a late answer finds nothing.

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/client.h"
#include "net/client_message.h"
#include "net/client_session.h"
#include "net/socket.h"

namespace epaxos::net {

/// Monotonic microseconds.
inline Tick client_clock_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<Tick>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

/// What an answer says, as its client is told.
inline ClientOutcome outcome_of(const ClientReply& reply) {
  ClientOutcome outcome;
  outcome.kind = reply.kind;
  outcome.code = reply.code;
  outcome.reason = reply.reason;
  outcome.reply = reply.reply;
  outcome.answered = true;
  outcome.execution_wait_us = reply.execution_wait_us;
  return outcome;
}

struct Client::Impl {
  static constexpr std::size_t kReceiveMax = 256;  // Messages of one replica and poll().
  static constexpr Tick kSweepUs = 10'000;         // How often timeouts are looked for.
  static constexpr Tick kFirstSecondUs = 1'000'000;
  static constexpr Tick kIdleUs = 1'000;  // Longer away, and a round trip measures the caller.

  /// What a request may still become.
  enum class Stage {
    kFree,    ///< The slot holds no request.
    kQueued,  ///< Has not left: may go anywhere.
    kSent,    ///< Left for Request::replica.
  };

  /// What a replica said that cannot take a request, which another one may.
  struct PassingRefusal {
    ReplicaId replica;
    ErrorCode code = ErrorCode::kUnavailable;
    std::string reason;
  };

  struct Request {
    Stage stage = Stage::kFree;
    std::uint32_t generation = 0;
    RequestKind kind = RequestKind::kPing;
    SubmitOptions options;
    Tick submitted = 0;
    Tick deadline = 0;
    std::uint16_t tried = 0;  // One bit a replica that it was sent to.
    int unanswered = 0;       // Times that it was sent and not refused.
    std::optional<ReplicaId> replica;
    std::optional<PassingRefusal> refusal;  // While somebody is waited for who has not had it.

    // Of those that take effect once.
    bool wants_session = false;  // It gets a number in a session of this client.
    bool renewed = false;        // It got another one already.
    bool internal = false;       // About a session; nobody outside waits.
    ReplicaId home;              // Whose session it is in.
    std::uint16_t sent_to = 0;   // One bit a replica, all tries together.
    unsigned sent_times = 0;
    Tick sent_at = 0;
    Tick not_before = 0;  // It stays queued till then.

    std::vector<std::byte> payload;
    Callback done;

    /// Whether a second try elsewhere does no harm although the first may have arrived.
    [[nodiscard]] bool repeatable() const {
      return options.reads_only || kind != RequestKind::kPropose;
    }
    /// Whether replicas recognise it when it comes again.
    [[nodiscard]] bool exactly_once() const {
      return !repeatable() && (wants_session || options.id.session != 0);
    }
  };

  /// What is known about one replica.
  struct Replica {
    std::string address;
    std::unique_ptr<Socket> socket;
    std::uint64_t disconnections = 0;
    Tick round_trip = kNever;  // kNever: does not answer.
    Tick ping_sent = 0;        // 0: no question is open.
    Tick next_ping = 0;
    RequestToken ping_token = 0;
    bool measurable = false;  // The open question's answer will tell the distance.
    bool answered = false;    // Ever.
    std::string trouble;      // Why it is of no use, when it said so.
    std::string no_session;   // Why it opened none, when it last said so.

    /// The address, and what is wrong there when it is known.
    [[nodiscard]] std::string described() const {
      return trouble.empty() ? address : address + " (" + trouble + ")";
    }
  };

  explicit Impl(const ClientOptions& given)
      : options(given), writer(given.cluster), reader(given.cluster) {}

  Result<void> open();
  Result<RequestToken> submit(RequestKind kind, Bytes payload, const SubmitOptions& how,
                              Callback done);
  RequestToken add_request(RequestKind kind, Bytes payload, const SubmitOptions& how,
                           Callback done);
  std::size_t poll(Tick timeout_us);
  Tick wait_max() const;
  std::optional<ReplicaId> nearest() const;

  // Sending.
  void send_queued();
  void send_to(ReplicaId to, std::span<const std::uint32_t> slots);
  bool send_batch(Replica& replica, std::span<const ClientRequest> batch);
  std::optional<ReplicaId> target_of(const Request& request) const;
  std::optional<ReplicaId> nearest_untried(const Request& request) const;
  ClientRequest on_the_wire(std::uint32_t slot) const;
  void ping_those_due();

  // Receiving.
  void receive_from(ReplicaId from, std::size_t limit);
  void take(ReplicaId from, const ClientReply& reply);
  void refuse(ReplicaId from, Refusal refusal);
  void take_pong(Replica& replica);

  // Sessions.
  bool give_number(Request& request, ReplicaId to);
  void open_sessions();
  void on_opened(ReplicaId at_replica, std::uint64_t id, const ClientOutcome& outcome);
  bool waits_for_session(const Request& request) const;
  void forget_session(std::uint64_t id);
  void close_sessions();
  bool someone_is_untried(const Request& request) const { return !!nearest_untried(request); }
  void repeat(std::uint32_t slot);
  void repeat_if_slow(std::uint32_t slot);
  void take_in_session(ReplicaId from, std::uint32_t slot, const ClientReply& reply);
  static bool may_pass(const ClientReply& reply);
  bool renew_number(std::uint32_t slot);

  // Giving up.
  void notice_broken_connections();
  void sweep();
  void lost(ReplicaId replica, std::string_view why);
  bool retry_elsewhere(std::uint32_t slot);
  bool wait_for_another(std::uint32_t slot, ReplicaId from, const ClientOutcome& refusal);
  void finish(std::uint32_t slot, const ClientOutcome& outcome);
  void give_up(std::uint32_t slot, std::string_view why);
  bool hopeless(const Request& request) const;
  std::string everybody() const;
  std::string why_no_session() const;

  RequestToken token_of(std::uint32_t slot) const {
    return (RequestToken{requests[slot].generation} << 32) | slot;
  }
  Replica& at(ReplicaId id) { return replicas[id.value()]; }
  [[nodiscard]] const Replica& at(ReplicaId id) const { return replicas[id.value()]; }

  ClientOptions options;
  Context context;
  std::vector<Replica> replicas;
  Poller poller;
  ClientMessageWriter writer;
  ClientMessageReader reader;

  std::vector<Request> requests;
  std::vector<std::uint32_t> free;
  std::vector<RequestToken> queued;  // In order of submission; some may have ended meanwhile.
  std::vector<std::vector<std::uint32_t>> outgoing;  // By replica; scratch of send_queued().
  std::vector<RequestToken> held;                    // Scratch of send_queued().
  std::vector<ClientRequest> batch;
  std::vector<ClientSession> sessions;  // One a replica.
  std::vector<ReplicaId> to_open;       // Scratch of send_queued().
  std::size_t in_flight = 0;
  std::size_t internal_in_flight = 0;  // Of these.
  std::size_t finished = 0;
  Tick opened = 0;
  Tick now = 0;
  Tick last_poll = 0;
  bool polling = false;
  Tick next_sweep = 0;
  std::uint32_t ping_number = 0;
  ClientCounters counters;
};

}  // namespace epaxos::net
