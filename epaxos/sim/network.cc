#include "epaxos/sim/network.h"

#include <algorithm>

#include "deps/types/check.h"

namespace epaxos::sim {

VirtualNetwork::VirtualNetwork(int replica_count, std::uint64_t seed, EventQueue& events)
    : replicas_(static_cast<std::size_t>(replica_count)), events_(events) {
  for (std::uint64_t link = 0; link < replicas_ * replicas_; ++link) {
    links_.push_back({{}, stream(seed, Purpose::kNetwork, link), 0});
  }
}

VirtualNetwork::Link& VirtualNetwork::link_of(ReplicaId from, ReplicaId to) {
  check(from.value() < replicas_ && to.value() < replicas_, "a link leads out of the group");
  return links_[from.value() * replicas_ + to.value()];
}

const VirtualNetwork::Link& VirtualNetwork::link_of(ReplicaId from, ReplicaId to) const {
  return const_cast<VirtualNetwork*>(this)->link_of(from, to);
}

LinkConditions& VirtualNetwork::link(ReplicaId from, ReplicaId to) {
  return link_of(from, to).conditions;
}

void VirtualNetwork::set_all(const LinkConditions& conditions) {
  for (Link& link : links_) {
    const bool cut = link.conditions.cut;
    link.conditions = conditions;
    link.conditions.cut = cut || conditions.cut;
  }
}

void VirtualNetwork::partition(std::initializer_list<std::vector<ReplicaId>> parts) {
  for (Link& link : links_) link.conditions.cut = true;
  for (const std::vector<ReplicaId>& part : parts) {
    for (const ReplicaId from : part) {
      for (const ReplicaId to : part) mend(from, to);
    }
  }
}

void VirtualNetwork::isolate(ReplicaId replica) {
  for (std::uint16_t other = 0; other < replicas_; ++other) {
    cut(replica, ReplicaId(other));
    cut(ReplicaId(other), replica);
  }
}

void VirtualNetwork::mend_all() {
  for (Link& link : links_) link.conditions.cut = false;
}

Tick VirtualNetwork::draw_delay(Link& link) {
  const LinkConditions& conditions = link.conditions;
  Tick delay = conditions.delay_us + link.random.exponential(conditions.jitter_us);
  if (link.random.chance(conditions.tail_ppm)) delay += link.random.below(conditions.tail_us + 1);
  if (link.random.chance(conditions.resent_ppm)) delay += conditions.resent_us;
  return delay;
}

void VirtualNetwork::unclog_all() {
  for (Link& link : links_) link.clogged_until = 0;
}

bool VirtualNetwork::send(ReplicaId from, ReplicaId to, Bytes bundle) {
  Link& link = link_of(from, to);
  ++totals_.sent;
  totals_.sent_bytes += bundle.size();
  const LinkConditions& conditions = link.conditions;
  const bool reported_failed = link.random.chance(conditions.reported_failed_ppm);
  if (reported_failed) ++totals_.reported_failed;
  if (conditions.cut || link.random.chance(conditions.loss_ppm) ||
      (reported_failed && link.random.below(2) == 0)) {
    ++totals_.lost;
    return !reported_failed;
  }
  bundle_.assign(bundle.begin(), bundle.end());
  if (link.random.chance(conditions.corrupt_ppm)) corrupt(link);
  Tick at = std::max(events_.now() + draw_delay(link), link.clogged_until);
  // Later, not at the same moment: what happens at one moment happens in any order.
  if (conditions.in_order) at = std::max(at, link.last_arrival + 1);
  link.last_arrival = std::max(at, link.last_arrival);
  launch(from, to, bundle_, at);
  if (link.random.chance(conditions.duplicate_ppm)) {
    ++totals_.duplicated;
    launch(from, to, bundle_, at + link.random.below(conditions.duplicate_after_us + 1));
  }
  return !reported_failed;
}

void VirtualNetwork::corrupt(Link& link) {
  ++totals_.corrupted;
  const std::uint64_t bit = link.random.below(bundle_.size() * 8);
  bundle_[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
}

void VirtualNetwork::launch(ReplicaId from, ReplicaId to, Bytes bundle, Tick at) {
  if (free_.empty()) {
    free_.push_back(flights_.size());
    flights_.emplace_back();
  }
  const std::uint64_t number = free_.back();
  free_.pop_back();
  Flight& flight = flights_[number];
  flight.from = from;
  flight.to = to;
  flight.bundle.assign(bundle.begin(), bundle.end());
  events_.push(at, EventKind::kDelivery, to, number);
}

VirtualNetwork::Arrival VirtualNetwork::arrival(std::uint64_t number) const {
  const Flight& flight = flights_[number];
  return {flight.from, flight.to, flight.bundle};
}

bool VirtualNetwork::passes(std::uint64_t number) const {
  const Flight& flight = flights_[number];
  return !link_of(flight.from, flight.to).conditions.cut;
}

void VirtualNetwork::release(std::uint64_t number, bool delivered) {
  ++(delivered ? totals_.delivered : totals_.lost);
  free_.push_back(number);
}

}  // namespace epaxos::sim
