// Requests that take effect once: they get a number in a session, and are sent again, to whoever
// answers, until they have an answer or their deadline passes. A client has one session a replica,
// so that the replica alone orders its requests, which costs nothing.

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "deps/types/check.h"
#include "deps/types/session.h"
#include "net/client_impl.h"

namespace epaxos::net {
namespace {

constexpr Tick kPauseUs = 20'000;  // Before a request goes where it was refused before.
constexpr unsigned kDoublingsMax = 5;

std::uint64_t random_session() {
  std::random_device device;
  std::uint64_t id = 0;
  while (!is_client_session(id)) {
    id = (std::uint64_t{device()} << 32 | device()) & (kOwnSessionBit - 1);
  }
  return id;
}

}  // namespace

// --- Opening -----------------------------------------------------------------------------------

/// Gives a request its number, in the session of whom it is sent to first. False: it must wait, for
/// the session to open or for earlier requests to end.
bool Client::Impl::give_number(Request& request, ReplicaId to) {
  ClientSession& session = sessions[to.value()];
  if (session.state == ClientSession::State::kOpen) {
    if (!session.has_room()) return false;
    request.options.id = session.take_number();
    request.home = to;
    return true;
  }
  if (session.state == ClientSession::State::kClosed) {
    session.state = ClientSession::State::kOpening;
    to_open.push_back(to);
  }
  return false;
}

void Client::Impl::open_sessions() {
  for (const ReplicaId to : std::exchange(to_open, {})) {
    ClientSession& session = sessions[to.value()];
    if (session.id() == 0) {
      session.renew(random_session());
      session.state = ClientSession::State::kOpening;
    }
    const std::uint64_t id = session.id();
    SubmitOptions how;
    how.id = {id, 0};
    how.replica = to;
    how.deadline_us = options.answer_timeout_us << std::min(session.attempts, kDoublingsMax);
    ++session.attempts;
    const auto what = static_cast<std::byte>(SessionOperation::kOpen);
    const RequestToken token =
        add_request(RequestKind::kPropose, std::span(&what, 1), how,
                    [this, to, id](const ClientOutcome& outcome) { on_opened(to, id, outcome); });
    const auto slot = static_cast<std::uint32_t>(token);
    requests[slot].internal = true;
    ++internal_in_flight;
    queued.pop_back();  // It leaves at once.
    outgoing[to.value()].push_back(slot);
  }
}

void Client::Impl::on_opened(ReplicaId at_replica, std::uint64_t id, const ClientOutcome& outcome) {
  ClientSession& session = sessions[at_replica.value()];
  if (session.id() != id || session.state != ClientSession::State::kOpening) return;
  if (outcome.kind == OutcomeKind::kExecuted) {
    session.state = ClientSession::State::kOpen;
    session.attempts = 0;
    at(at_replica).no_session.clear();
    ++counters.sessions_opened;
    return;
  }
  session.state = ClientSession::State::kClosed;
  if (outcome.answered && outcome.kind == OutcomeKind::kRejected) {
    at(at_replica).no_session = outcome.reason;
  }
  if (outcome.code == ErrorCode::kUnknownSession) session.renew(0);
  // Those that wait for it have not left, so they may go anywhere.
  for (const RequestToken token : std::vector<RequestToken>(queued)) {
    const auto slot = static_cast<std::uint32_t>(token);
    Request& request = requests[slot];
    if (request.stage != Stage::kQueued || token_of(slot) != token) continue;
    if (!request.wants_session || request.options.id.session != 0) continue;
    const auto target = request.options.replica ? request.options.replica : target_of(request);
    if (target && target != at_replica) continue;
    request.tried = static_cast<std::uint16_t>(request.tried | 1U << at_replica.value());
    if (!request.options.replica && someone_is_untried(request)) continue;
    const bool certain = outcome.kind == OutcomeKind::kRejected;
    if (certain && wait_for_another(slot, at_replica, outcome)) continue;
    request.tried = 0;
    // As long as there is time it is tried again.
    if (!outcome.answered || outcome.kind == OutcomeKind::kUnknown) continue;
    ClientOutcome refused = outcome;
    refused.kind = OutcomeKind::kRejected;  // Whatever became of the session, the request is here.
    request.replica = at_replica;
    finish(slot, refused);
  }
}

/// Whether a replica answers that could have the request, but for its session.
bool Client::Impl::waits_for_session(const Request& request) const {
  return request.wants_session && request.options.id.session == 0 && target_of(request);
}

/// The replicas have forgotten it.
void Client::Impl::forget_session(std::uint64_t id) {
  for (ClientSession& session : sessions) {
    if (session.id() == id) session.renew(0);
  }
}

/// The last words, which nobody waits for. Without them the session expires by itself.
void Client::Impl::close_sessions() {
  for (std::uint16_t i = 0; i < sessions.size(); ++i) {
    if (sessions[i].state != ClientSession::State::kOpen) continue;
    if (replicas[i].round_trip == kNever) continue;
    const auto what = static_cast<std::byte>(SessionOperation::kClose);
    ClientRequest close;
    close.token = (RequestToken{++ping_number} << 32) | 0xffffffff;
    close.kind = RequestKind::kPropose;
    close.deadline_us = options.request_timeout_us;
    close.id = {sessions[i].id(), 0};
    close.payload = std::span(&what, 1);
    send_batch(replicas[i], std::span(&close, 1));
  }
}

// --- Repeating ---------------------------------------------------------------------------------

/// Puts a request that may be repeated back into the queue: for a replica that has not had it, else
/// for any, after a pause.
void Client::Impl::repeat(std::uint32_t slot) {
  Request& request = requests[slot];
  if (retry_elsewhere(slot)) return;
  request.refusal.reset();
  request.tried = static_cast<std::uint16_t>(1U << request.replica->value());
  request.not_before = now + kPauseUs;
  request.stage = Stage::kQueued;
  queued.push_back(token_of(slot));
  ++counters.repeated;
}

/// A replica may be cut off from the others and answer pings all the same.
void Client::Impl::repeat_if_slow(std::uint32_t slot) {
  Request& request = requests[slot];
  if (request.stage != Stage::kSent || !request.exactly_once() || request.internal) return;
  const unsigned doublings = std::min(request.sent_times - 1, kDoublingsMax);
  if (now - request.sent_at < options.answer_timeout_us << doublings) return;
  if (retry_elsewhere(slot)) return;
  request.tried = static_cast<std::uint16_t>(1U << request.replica->value());
  if (!retry_elsewhere(slot)) request.sent_at = now;
}

/// The answer to one of the tries of a request that may be repeated. What was executed is the
/// answer to all of them. What was refused is certainly not executed only if no other try may have
/// been.
void Client::Impl::take_in_session(ReplicaId from, std::uint32_t slot, const ClientReply& reply) {
  Request& request = requests[slot];
  ClientOutcome outcome = outcome_of(reply);
  if (reply.kind == OutcomeKind::kExecuted) {
    request.replica = from;
    return finish(slot, outcome);
  }
  const bool rejected = reply.kind == OutcomeKind::kRejected;
  if (rejected && request.unanswered > 0) --request.unanswered;
  if (request.stage != Stage::kSent || request.replica != from) return;  // An earlier try.

  if (reply.code == ErrorCode::kUnknownSession) {
    forget_session(request.options.id.session);
    if (rejected && request.unanswered == 0 && renew_number(slot)) return;
  }
  if (!request.internal && may_pass(reply)) {
    if (rejected && retry_elsewhere(slot)) return;
    if (request.unanswered > 0) return repeat(slot);
    if (rejected && wait_for_another(slot, from, outcome)) return;
  }
  if (rejected && request.unanswered > 0) outcome.kind = OutcomeKind::kUnknown;
  finish(slot, outcome);
}

/// Whether the same request may be answered otherwise elsewhere, or later.
bool Client::Impl::may_pass(const ClientReply& reply) {
  constexpr std::array kPassing = {ErrorCode::kStopped, ErrorCode::kNotVoting,
                                   ErrorCode::kOverloaded, ErrorCode::kOutOfSpace,
                                   ErrorCode::kUnavailable};
  const bool passing = std::ranges::find(kPassing, reply.code) != kPassing.end();
  return passing && (reply.kind == OutcomeKind::kRejected || reply.code == ErrorCode::kStopped);
}

/// A request that certainly was not executed starts again in another session, once.
bool Client::Impl::renew_number(std::uint32_t slot) {
  Request& request = requests[slot];
  if (!request.wants_session || request.renewed) return false;
  request.renewed = true;
  request.options.id = {};
  request.stage = Stage::kQueued;
  request.tried = 0;
  request.sent_to = 0;
  queued.push_back(token_of(slot));
  ++counters.repeated;
  return true;
}

}  // namespace epaxos::net
