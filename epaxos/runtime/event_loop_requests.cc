// What clients ask over the network. Each request gets exactly one reply; a refusal has a code, a
// sentence and a counter.

#include <algorithm>
#include <cstring>

#include "epaxos/runtime/event_loop.h"

namespace epaxos::runtime {
namespace {

// What one turn does for clients before peers are heard again, and time is looked at so often.
constexpr Tick kRequestsTurnUs = 10'000;
constexpr std::size_t kAnswersTurnBytes = std::size_t{4} << 20;
constexpr std::uint32_t kRequestsPerLook = 16;
/// Instances that are told to who asks which ones took longest.
constexpr std::size_t kSlowestMax = 20;

}  // namespace

void EventLoop::on_request(net::ClientId client, const net::ClientRequest& request) {
  serve(client, request);
  pause_when_long(request.kind);
}

/// Questions are answered at once, and one message may hold a thousand of them with a megabyte of
/// answer each. A turn that takes too long deposes a leader.
void EventLoop::pause_when_long(net::RequestKind kind) {
  const bool looks =
      kind != net::RequestKind::kPropose || ++requests_taken_ % kRequestsPerLook == 0;
  if (answered_bytes_ >= kAnswersTurnBytes || (looks && now() - now_ >= kRequestsTurnUs)) {
    parts_.clients->pause();
  }
}

void EventLoop::serve(net::ClientId client, const net::ClientRequest& request) {
  switch (request.kind) {
    case net::RequestKind::kPropose:
      return on_propose(client, request);
    case net::RequestKind::kQuery:
      return on_query(client, request);
    case net::RequestKind::kStatus:
      return on_status(client, request);
    case net::RequestKind::kDigest:
      return on_digest(client, request);
    case net::RequestKind::kSnapshot:
      return on_snapshot(client, request);
    case net::RequestKind::kTransferLeadership:
      return on_transfer_leadership(client, request);
    case net::RequestKind::kChangeMembers:
      return on_change_members(client, request);
    case net::RequestKind::kExplain:
      return on_explain(client, request);
    case net::RequestKind::kPing:
      return;  // The plane has answered it.
  }
}

void EventLoop::on_propose(net::ClientId client, const net::ClientRequest& request) {
  ++requests_.proposals;
  if (stop_requested_) {
    return refuse_stopping(client, request.token);
  }
  if (request.id.session != 0 && request.id.number == 0) return on_session(client, request);
  const auto footprint = parts_.machine->admit(request.payload);
  if (!footprint) {
    const bool too_large = footprint.error().code == ErrorCode::kTooLarge;
    return refuse(client, request.token, footprint.error(),
                  too_large ? requests_.refused_too_large : requests_.refused_not_a_command);
  }
  const std::uint32_t index = add_call(client, request.token);
  // Two words, so that the callback needs no memory of its own.
  host_.propose(request.payload, *footprint, deadline_of(request),
                [this, index](const Outcome& outcome) { finish_call(index, outcome); },
                {request.id, request.acknowledged_up_to});
}

/// A request with the number 0 is about its session: the payload is one byte, what is said.
void EventLoop::on_session(net::ClientId client, const net::ClientRequest& request) {
  const auto operation = number_from<std::uint8_t>(request.payload);
  if (!operation || *operation < 1 || *operation > 3) {
    return refuse(client, request.token,
                  {ErrorCode::kMalformed,
                   "A request about a session opens, touches or closes it; this one does not."},
                  requests_.refused_not_a_command);
  }
  const std::uint32_t index = add_call(client, request.token);
  host_.control_session(static_cast<SessionOperation>(*operation), request.id.session,
                        deadline_of(request),
                        [this, index](const Outcome& outcome) { finish_call(index, outcome); });
}

std::uint32_t EventLoop::add_call(net::ClientId client, net::RequestToken token) {
  if (free_calls_.empty()) {
    free_calls_.push_back(static_cast<std::uint32_t>(calls_.size()));
    calls_.emplace_back();
  }
  const std::uint32_t index = free_calls_.back();
  free_calls_.pop_back();
  calls_[index] = {client, token};
  return index;
}

Tick EventLoop::deadline_of(const net::ClientRequest& request) const {
  const bool endless = request.deadline_us == 0 || request.deadline_us >= kNever - now_;
  return endless ? kNever : now_ + request.deadline_us;
}

void EventLoop::finish_call(std::uint32_t index, const Outcome& outcome) {
  const Call call = calls_[index];
  free_calls_.push_back(index);
  if (parts_.clients == nullptr) return;
  parts_.clients->reply(call.client, {.token = call.token,
                                      .kind = outcome.kind,
                                      .code = outcome.code,
                                      .reason = outcome.reason,
                                      .reply = outcome.reply,
                                      .execution_wait_us = outcome.execution_wait_us});
}

void EventLoop::on_query(net::ClientId client, const net::ClientRequest& request) {
  ++requests_.queries;
  const auto reply = parts_.machine->query(request.payload);
  if (!reply) return refuse(client, request.token, reply.error(), requests_.refused_query);
  answer(client, request.token, *reply);
}

void EventLoop::on_status(net::ClientId client, const net::ClientRequest& request) {
  ++requests_.status_requests;
  if (!options_.status_text) {
    return refuse(client, request.token,
                  {ErrorCode::kUnsupported, "This replica does not tell its status to clients."},
                  requests_.refused_unsupported);
  }
  const std::string text = options_.status_text();
  answer(client, request.token, std::as_bytes(std::span(text)));
}

void EventLoop::on_digest(net::ClientId client, const net::ClientRequest& request) {
  ++requests_.digests;
  const std::uint64_t digest = host_.digest();
  answer(client, request.token, std::as_bytes(std::span(&digest, 1)));
}

/// Making it takes its time; the status tells when it is there.
void EventLoop::on_snapshot(net::ClientId client, const net::ClientRequest& request) {
  ++requests_.snapshots;
  if (stop_requested_) {
    return refuse_stopping(client, request.token);
  }
  host_.request_image();
  answer(client, request.token, {});
}

/// It takes a round trip or two; the status tells who leads then.
void EventLoop::on_transfer_leadership(net::ClientId client, const net::ClientRequest& request) {
  if (stop_requested_) return refuse_stopping(client, request.token);
  const auto to = number_from<std::uint16_t>(request.payload);
  const Result<void> begun =
      to ? host_.transfer_leadership(ReplicaId(*to))
         : fail(ErrorCode::kMalformed, "The request does not name the replica that is to lead.");
  if (!begun) return refuse(client, request.token, begun.error(), requests_.refused_transfers);
  ++requests_.transfers;
  answer(client, request.token, {});
}

/// It takes some round trips, and as long as a new replica needs to catch up; the status tells.
void EventLoop::on_change_members(net::ClientId client, const net::ClientRequest& request) {
  if (stop_requested_) return refuse_stopping(client, request.token);
  const auto wish = number_from<std::uint32_t>(request.payload);
  const Result<void> begun =
      wish && *wish >> 16 <= 1
          ? host_.change_members(static_cast<MemberChange>(*wish >> 16),
                                 ReplicaId(static_cast<std::uint16_t>(*wish)))
          : fail(ErrorCode::kMalformed,
                 "The request does not name a replica that is to join or to leave.");
  if (!begun) return refuse(client, request.token, begun.error(), requests_.refused_member_changes);
  ++requests_.member_changes;
  answer(client, request.token, {});
}

void EventLoop::on_explain(net::ClientId client, const net::ClientRequest& request) {
  ++requests_.explanations;
  if (!options_.history_text) {
    return refuse(client, request.token,
                  {ErrorCode::kUnsupported, "This replica explains nothing to clients."},
                  requests_.refused_unsupported);
  }
  const auto known = histories(request.payload);
  if (!known) return refuse(client, request.token, known.error(), requests_.refused_explanations);
  const std::string text = options_.history_text(*known);
  answer(client, request.token, std::as_bytes(std::span(text)));
}

Result<std::vector<InstanceHistory>> EventLoop::histories(Bytes wish) const {
  if (wish.empty()) return host_.slowest(kSlowestMax);
  const std::size_t row_bytes = sizeof(std::uint16_t);
  const auto row = number_from<std::uint16_t>(wish.first(std::min(row_bytes, wish.size())));
  const auto slot = number_from<std::uint64_t>(wish.subspan(std::min(row_bytes, wish.size())));
  if (!row || !slot) {
    return fail(ErrorCode::kMalformed, "The request does not name the instance that is meant.");
  }
  auto known = host_.history({ReplicaId(*row), Slot(*slot)});
  if (!known) return fail(known.error());
  return std::vector{*std::move(known)};
}

void EventLoop::refuse_stopping(net::ClientId client, net::RequestToken token) {
  refuse(client, token, {ErrorCode::kStopped, "This replica is stopping. Use another one."},
         requests_.refused_stopping);
}

void EventLoop::refuse(net::ClientId client, net::RequestToken token, const Error& error,
                       std::uint64_t& counter) {
  ++counter;
  parts_.clients->reply(client, {.token = token,
                                 .kind = OutcomeKind::kRejected,
                                 .code = error.code,
                                 .reason = error.message,
                                 .reply = {},
                                 .execution_wait_us = 0});
}

void EventLoop::answer(net::ClientId client, net::RequestToken token, Bytes reply) {
  answered_bytes_ += reply.size();
  parts_.clients->reply(client, {.token = token,
                                 .kind = OutcomeKind::kExecuted,
                                 .code = {},
                                 .reason = {},
                                 .reply = reply,
                                 .execution_wait_us = 0});
}

}  // namespace epaxos::runtime
