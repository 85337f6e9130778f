// How a request ends: by its answer, by a second try elsewhere, or by giving up.

#include <algorithm>
#include <utility>

#include "net/client_impl.h"

namespace epaxos::net {
namespace {

std::string milliseconds(Tick us) {
  return std::to_string(us / 1000) + " ms";
}

}  // namespace

void Client::Impl::receive_from(ReplicaId from, std::size_t limit) {
  Replica& replica = at(from);
  for (std::size_t i = 0; i < limit; ++i) {
    const Received received = replica.socket->receive();
    if (received == Received::kNothing) return;
    if (received == Received::kExtraFrames) {
      counters.refusals.count(Refusal::kExtraFrames);
      continue;
    }
    ++counters.messages_in;
    counters.bytes_in += replica.socket->payload().size();
    if (const auto refusal = reader.open_replies(replica.socket->payload())) {
      refuse(from, *refusal);
      continue;
    }
    for (const ClientReply& reply : reader.replies()) take(from, reply);
  }
}

void Client::Impl::refuse(ReplicaId from, Refusal refusal) {
  counters.refusals.count(refusal);
  if (refusal == Refusal::kWrongCluster) at(from).trouble = "belongs to another cluster";
  if (refusal == Refusal::kWrongVersion) at(from).trouble = "speaks another wire version";
}

void Client::Impl::take_pong(Replica& replica) {
  const Tick measured = std::max<Tick>(now - replica.ping_sent, 1);
  // A smoothed value keeps the choice steady; the first one counts as it is.
  if (replica.round_trip == kNever) {
    replica.round_trip = measured;
  } else if (replica.measurable) {
    replica.round_trip = (replica.round_trip * 7 + measured) / 8;
  }
  replica.answered = true;
  replica.ping_sent = 0;
  replica.trouble.clear();
}

void Client::Impl::take(ReplicaId from, const ClientReply& reply) {
  Replica& replica = at(from);
  if (replica.ping_sent != 0 && reply.token == replica.ping_token) return take_pong(replica);

  const auto slot = static_cast<std::uint32_t>(reply.token);
  const bool known = slot < requests.size() && requests[slot].stage != Stage::kFree &&
                     token_of(slot) == reply.token;
  if (known && requests[slot].exactly_once() && (requests[slot].sent_to >> from.value() & 1) != 0) {
    return take_in_session(from, slot, reply);
  }
  if (!known || requests[slot].stage != Stage::kSent || requests[slot].replica != from) {
    ++counters.replies_unexpected;
    return;
  }
  const bool rejected = reply.kind == OutcomeKind::kRejected;
  if (rejected) --requests[slot].unanswered;
  const ClientOutcome outcome = outcome_of(reply);
  if (rejected && wait_for_another(slot, from, outcome)) return;
  finish(slot, outcome);
}

/// Puts a request back into the queue when another replica may answer it. Whether that is harmless
/// is the caller's business.
bool Client::Impl::retry_elsewhere(std::uint32_t slot) {
  Request& request = requests[slot];
  if (request.options.replica) return false;
  if (!someone_is_untried(request)) return false;
  request.stage = Stage::kQueued;
  queued.push_back(token_of(slot));
  ++counters.retried_elsewhere;
  return true;
}

/// The same for a request that `from` cannot take, and has not proposed. Who has not answered yet
/// may have only just been connected to, so there is time until the deadline.
bool Client::Impl::wait_for_another(std::uint32_t slot, ReplicaId from,
                                    const ClientOutcome& refusal) {
  Request& request = requests[slot];
  const bool elsewhere = refusal.code == ErrorCode::kStopped ||
                         refusal.code == ErrorCode::kNotVoting ||
                         refusal.code == ErrorCode::kOutOfSpace;
  if (!elsewhere) return false;
  const bool all_tried = request.tried == (1U << replicas.size()) - 1;
  if (request.options.replica || all_tried) return false;
  request.refusal = {from, refusal.code, std::string(refusal.reason)};
  if (request.stage == Stage::kQueued) return true;
  request.stage = Stage::kQueued;
  queued.push_back(token_of(slot));
  ++counters.retried_elsewhere;
  return true;
}

void Client::Impl::sweep() {
  next_sweep = now + kSweepUs;
  notice_broken_connections();
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
    Replica& replica = replicas[i];
    if (replica.ping_sent == 0 || now - replica.ping_sent < options.answer_timeout_us) continue;
    replica.ping_sent = 0;  // The next ping may leave; until it is answered, others are asked.
    replica.next_ping = now;
    replica.round_trip = kNever;
    for (std::uint32_t slot = 0; slot < requests.size(); ++slot) {
      Request& request = requests[slot];
      if (request.stage != Stage::kSent || request.replica != ReplicaId(i)) continue;
      if (request.repeatable()) retry_elsewhere(slot);
    }
  }
  for (std::uint32_t slot = 0; slot < requests.size(); ++slot) {
    if (requests[slot].stage == Stage::kFree) continue;
    repeat_if_slow(slot);
    if (now < requests[slot].deadline && !hopeless(requests[slot])) continue;
    give_up(slot, "did not answer within " +
                      milliseconds(requests[slot].deadline - requests[slot].submitted));
  }
}

/// Whether everybody that this queued request could go to has said that it is the wrong place.
bool Client::Impl::hopeless(const Request& request) const {
  if (request.stage != Stage::kQueued) return false;
  if (request.options.replica) return !at(*request.options.replica).trouble.empty();
  return std::all_of(replicas.begin(), replicas.end(),
                     [](const Replica& replica) { return !replica.trouble.empty(); });
}

void Client::Impl::notice_broken_connections() {
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
    Replica& replica = replicas[i];
    const std::uint64_t disconnections = replica.socket->disconnections();
    if (disconnections == replica.disconnections) continue;
    // What it said before is read first: an answer that has arrived is an answer.
    receive_from(ReplicaId(i), SIZE_MAX);
    replica.disconnections = disconnections;
    replica.round_trip = kNever;
    replica.ping_sent = 0;
    replica.next_ping = now;
    lost(ReplicaId(i), "broke the connection before it answered");
  }
}

void Client::Impl::lost(ReplicaId replica, std::string_view why) {
  for (std::uint32_t slot = 0; slot < requests.size(); ++slot) {
    Request& request = requests[slot];
    if (request.stage == Stage::kQueued && request.refusal) {
      // What it refused it may take in its next life.
      request.tried = static_cast<std::uint16_t>(request.tried & ~(1U << replica.value()));
    }
    if (request.stage != Stage::kSent || request.replica != replica) continue;
    if (request.repeatable() && retry_elsewhere(slot)) continue;
    if (request.exactly_once() && !request.internal) {
      repeat(slot);
    } else {
      give_up(slot, why);
    }
  }
}

std::string Client::Impl::everybody() const {
  std::string text;
  for (const Replica& replica : replicas) {
    if (!text.empty()) text += ", ";
    text += replica.described();
  }
  return text;
}

/// What a replica has said of it, if any has: that is what can be mended.
std::string Client::Impl::why_no_session() const {
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const std::string& said = replicas[i].no_session;
    if (said.empty()) continue;
    return "Replica " + std::to_string(i) + " at " + replicas[i].address + " answered: " + said +
           (said.ends_with('.') ? "" : ".");
  }
  return "Sessions and commands need more than half of the members. Check that they run, and try "
         "again.";
}

/// Ends a request without an answer: rejected when no replica can have it, else unknown.
void Client::Impl::give_up(std::uint32_t slot, std::string_view why) {
  const Request& request = requests[slot];
  ClientOutcome outcome;
  outcome.code = hopeless(request) ? ErrorCode::kWrongIdentity : ErrorCode::kUnavailable;
  std::string reason;
  if (request.unanswered == 0) {
    const auto& only = request.options.replica;
    outcome.kind = OutcomeKind::kRejected;
    if (request.refusal) {
      outcome.code = request.refusal->code;
      reason = request.refusal->reason;
      reason += reason.ends_with('.') ? "" : ".";
      reason += " No other replica took the request within " +
                milliseconds(now - request.submitted) +
                ", and it was not executed. Check that the others run.";
      outcome.reason = reason;
      requests[slot].replica = request.refusal->replica;
      return finish(slot, outcome);
    }
    if (waits_for_session(request)) {
      reason = "No session could be opened within " + milliseconds(now - request.submitted) +
               ", so the request was not sent, and it was not executed. " + why_no_session();
      outcome.reason = reason;
      return finish(slot, outcome);
    }
    reason = "No replica took the request within " + milliseconds(now - request.submitted) +
             ", and it was not executed. Tried " + (only ? at(*only).described() : everybody()) +
             ". Check that the replicas run and that these are their client addresses.";
  } else {
    outcome.kind = OutcomeKind::kUnknown;
    reason = "Replica " + std::to_string(request.replica->value()) + " at " +
             at(*request.replica).address + " " + std::string(why) + ". ";
    reason += request.repeatable() ? "The request changes nothing: it can be repeated."
                                   : "The command may or may not have been executed.";
  }
  outcome.reason = reason;
  finish(slot, outcome);
}

void Client::Impl::finish(std::uint32_t slot, const ClientOutcome& outcome) {
  Request& request = requests[slot];
  ClientSession& session = sessions[request.home.value()];
  if (request.wants_session && session.id() == request.options.id.session) {
    session.end(request.options.id.number);
  }
  if (request.internal) --internal_in_flight;
  ClientOutcome full = outcome;
  full.replica = request.replica;
  full.latency_us = now - request.submitted;
  request.stage = Stage::kFree;
  const Callback done = std::exchange(request.done, nullptr);
  free.push_back(slot);
  --in_flight;
  if (!request.internal) ++finished;
  if (done) done(full);  // May submit: `request` may have moved.
}

}  // namespace epaxos::net
