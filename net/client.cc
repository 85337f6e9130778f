#include "net/client.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"
#include "net/client_impl.h"

namespace epaxos::net {
namespace {

constexpr int kLingerMs = 200;  // For the last words of a session.

}  // namespace

Result<void> Client::Impl::open() {
  if (options.addresses.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "A client needs the client address of at least one replica.");
  }
  if (options.addresses.size() > static_cast<std::size_t>(kReplicasMax)) {
    return fail(ErrorCode::kInvalidArgument, "A cluster has at most nine replicas.");
  }
  if (options.preferred && options.preferred->value() >= options.addresses.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "The preferred replica is not one of those whose addresses are given.");
  }
  for (const std::string& address : options.addresses) {
    SocketOptions how;
    how.kind = SocketKind::kDealer;
    how.message_bytes_max = kReplyMessageBytesMax;
    if (options.exactly_once) how.linger_ms = kLingerMs;
    how.security = options.security;
    auto socket = Socket::open(context, how);
    if (!socket) return fail(socket.error());
    if (const auto connected = (*socket)->connect(address); !connected) return connected;
    poller.add((*socket)->pollable());
    Replica& replica = replicas.emplace_back();
    replica.address = address;
    replica.socket = std::move(*socket);
  }
  outgoing.resize(replicas.size());
  sessions.resize(replicas.size());
  opened = last_poll = now = client_clock_us();
  return {};
}

Result<RequestToken> Client::Impl::submit(RequestKind kind, Bytes payload, const SubmitOptions& how,
                                          Callback done) {
  if (payload.size() > kClientPayloadBytesMax) {
    return fail(ErrorCode::kTooLarge, "A request of " + std::to_string(payload.size()) +
                                          " bytes is larger than the limit of " +
                                          std::to_string(kClientPayloadBytesMax) + ". Split it.");
  }
  if (in_flight - internal_in_flight >= options.in_flight_max) {
    return fail(ErrorCode::kOverloaded, "Too many requests wait for their outcome. Wait for some.");
  }
  if (how.replica && how.replica->value() >= replicas.size()) {
    return fail(ErrorCode::kInvalidArgument, "The cluster has no such replica.");
  }
  const RequestToken token = add_request(kind, payload, how, std::move(done));
  Request& request = requests[static_cast<std::uint32_t>(token)];
  request.wants_session =
      options.exactly_once && !request.repeatable() && request.options.id.session == 0;
  return token;
}

RequestToken Client::Impl::add_request(RequestKind kind, Bytes payload, const SubmitOptions& how,
                                       Callback done) {
  if (free.empty()) {
    free.push_back(static_cast<std::uint32_t>(requests.size()));
    requests.emplace_back();
  }
  const std::uint32_t slot = free.back();
  free.pop_back();

  Request& request = requests[slot];
  const std::uint32_t generation = request.generation + 1;
  std::vector<std::byte> memory = std::move(request.payload);
  request = {};
  request.payload = std::move(memory);
  request.generation = generation;
  request.stage = Stage::kQueued;
  request.kind = kind;
  request.options = how;
  request.submitted = client_clock_us();
  request.deadline =
      request.submitted + (how.deadline_us != 0 ? how.deadline_us : options.request_timeout_us);
  request.payload.assign(payload.begin(), payload.end());
  request.done = std::move(done);
  queued.push_back(token_of(slot));
  ++in_flight;
  return token_of(slot);
}

std::size_t Client::Impl::poll(Tick timeout_us) {
  check(!polling, "a callback called poll() or call() of its own client");
  polling = true;
  const std::size_t before = finished;
  now = client_clock_us();
  const bool was_away = now - last_poll > kIdleUs;
  for (Replica& replica : replicas) replica.measurable = replica.measurable && !was_away;
  ping_those_due();
  send_queued();

  poller.wait(std::min(timeout_us, wait_max()));
  now = client_clock_us();
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
    if (poller.ready(i)) receive_from(ReplicaId(i), kReceiveMax);
  }
  if (now >= next_sweep) sweep();
  send_queued();
  last_poll = client_clock_us();
  polling = false;
  return finished - before;
}

/// Connections, deadlines and silent replicas show by looking, not by a message.
Tick Client::Impl::wait_max() const {
  if (!nearest()) return now < opened + kFirstSecondUs ? kIdleUs : kSweepUs;
  return in_flight > 0 ? kSweepUs : kNever;
}

std::optional<ReplicaId> Client::Impl::nearest() const {
  if (options.preferred) {
    const Replica& preferred = at(*options.preferred);
    if (preferred.round_trip != kNever) return options.preferred;
    // It gets the time to answer for the first time before others are asked.
    if (!preferred.answered && now < opened + options.answer_timeout_us) return std::nullopt;
  }
  std::optional<ReplicaId> best;
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i].round_trip == kNever) continue;
    if (!best || replicas[i].round_trip < at(*best).round_trip) best = ReplicaId(i);
  }
  return best;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Client::~Client() {
  impl_->close_sessions();
}

Result<std::unique_ptr<Client>> Client::open(const ClientOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  if (const auto opened = impl->open(); !opened) return fail(opened.error());
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Result<RequestToken> Client::submit(RequestKind kind, Bytes payload, const SubmitOptions& options,
                                    Callback done) {
  return impl_->submit(kind, payload, options, std::move(done));
}

std::size_t Client::poll(Tick timeout_us) {
  return impl_->poll(timeout_us);
}

CallOutcome Client::call(RequestKind kind, Bytes payload, const SubmitOptions& options) {
  CallOutcome outcome;
  bool ended = false;
  const auto token = submit(kind, payload, options, [&](const ClientOutcome& o) {
    outcome = {o.kind,    o.code,     std::string(o.reason), {o.reply.begin(), o.reply.end()},
               o.replica, o.answered, o.latency_us,          o.execution_wait_us};
    ended = true;
  });
  if (!token) {
    outcome.kind = OutcomeKind::kRejected;
    outcome.code = token.error().code;
    outcome.reason = token.error().message;
    return outcome;
  }
  while (!ended) poll(Impl::kSweepUs);
  return outcome;
}

std::size_t Client::in_flight() const {
  return impl_->in_flight - impl_->internal_in_flight;
}
std::optional<ReplicaId> Client::nearest() const {
  return impl_->nearest();
}
Tick Client::round_trip_us(ReplicaId replica) const {
  return impl_->at(replica).round_trip;
}
const ClientCounters& Client::counters() const {
  return impl_->counters;
}

}  // namespace epaxos::net
