// Who gets a request: the preferred replica, the nearest, or one that has not been tried.

#include <utility>

#include "net/client_impl.h"

namespace epaxos::net {

/// Where a queued request should go now; nobody when it must wait for somebody to answer.
std::optional<ReplicaId> Client::Impl::target_of(const Request& request) const {
  if (request.options.replica) {
    const bool answers = at(*request.options.replica).round_trip != kNever;
    return answers ? request.options.replica : std::nullopt;
  }
  if (request.tried == 0) return nearest();
  const auto untried = nearest_untried(request);
  return untried || request.refusal ? untried : nearest();
}

std::optional<ReplicaId> Client::Impl::nearest_untried(const Request& request) const {
  std::optional<ReplicaId> best;
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i].round_trip == kNever || (request.tried >> i & 1) != 0) continue;
    if (!best || replicas[i].round_trip < at(*best).round_trip) best = ReplicaId(i);
  }
  return best;
}

void Client::Impl::send_queued() {
  if (queued.empty()) return;
  held.clear();
  for (const RequestToken token : queued) {
    const auto slot = static_cast<std::uint32_t>(token);
    if (requests[slot].stage != Stage::kQueued || token_of(slot) != token) continue;
    Request& request = requests[slot];
    const bool waits = now < request.not_before;
    const auto target = waits ? std::nullopt : target_of(request);
    const bool needs_number = request.wants_session && request.options.id.session == 0;
    if (target && (!needs_number || give_number(request, *target))) {
      outgoing[target->value()].push_back(slot);
    } else {
      held.push_back(token);
    }
  }
  queued.swap(held);
  open_sessions();
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
    if (outgoing[i].empty()) continue;
    send_to(ReplicaId(i), outgoing[i]);
    outgoing[i].clear();
  }
}

ClientRequest Client::Impl::on_the_wire(std::uint32_t slot) const {
  const Request& from = requests[slot];
  ClientRequest request;
  request.token = token_of(slot);
  request.kind = from.kind;
  request.reads_only = from.options.reads_only;
  request.deadline_us = from.deadline > now ? from.deadline - now : 1;
  request.id = from.options.id;
  request.acknowledged_up_to = from.options.acknowledged_up_to;
  const ClientSession& session = sessions[from.home.value()];
  if (from.wants_session && session.id() == from.options.id.session) {
    request.acknowledged_up_to = session.acknowledged_up_to();
  }
  request.payload = from.payload;
  return request;
}

void Client::Impl::send_to(ReplicaId to, std::span<const std::uint32_t> slots) {
  std::size_t first = 0;
  while (first < slots.size()) {
    std::size_t bytes = kClientMessageOverheadBytes;
    batch.clear();
    while (first + batch.size() < slots.size() && batch.size() < kClientBatchMax) {
      const ClientRequest request = on_the_wire(slots[first + batch.size()]);
      bytes += request_bytes(request.payload.size());
      if (!batch.empty() && bytes > kClientMessageBytesMax) break;
      batch.push_back(request);
    }
    const auto sent = slots.subspan(first, batch.size());
    first += batch.size();
    if (!send_batch(at(to), batch)) {
      // Certainly not sent: it stays queued, and the next poll finds a better place for it.
      for (const std::uint32_t slot : sent) queued.push_back(token_of(slot));
      continue;
    }
    for (const std::uint32_t slot : sent) {
      Request& request = requests[slot];
      request.stage = Stage::kSent;
      request.replica = to;
      ++request.unanswered;
      ++request.sent_times;
      request.sent_at = now;
      request.sent_to = static_cast<std::uint16_t>(request.sent_to | 1U << to.value());
      request.tried = static_cast<std::uint16_t>(request.tried | 1U << to.value());
    }
  }
}

bool Client::Impl::send_batch(Replica& replica, std::span<const ClientRequest> requests_of_one) {
  const Bytes message = writer.encode(requests_of_one);
  const Sent sent = replica.socket->send(message);
  if (sent == Sent::kUnreachable) replica.round_trip = kNever;
  if (sent != Sent::kYes) return false;
  ++counters.messages_out;
  counters.bytes_out += message.size();
  return true;
}

/// Pings tell who is near, and who has stopped to answer. Their tokens have no slot of a request.
void Client::Impl::ping_those_due() {
  for (Replica& replica : replicas) {
    if (now < replica.next_ping || replica.ping_sent != 0) continue;
    ClientRequest ping;
    ping.token = (RequestToken{++ping_number} << 32) | 0xffffffff;
    replica.ping_token = ping.token;
    if (!send_batch(replica, std::span(&ping, 1)))
      continue;  // Not connected yet: with the next poll.
    replica.ping_sent = now;
    replica.measurable = true;
    replica.next_ping = now + options.ping_interval_us;
  }
}

}  // namespace epaxos::net
