#include "net/emulated_links.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace epaxos::net {
namespace {

constexpr double kMillion = 1e6;

}  // namespace

void LinkTable::set(ReplicaId from, ReplicaId to, const LinkSettings& settings) {
  Link& link = links_[from.value()][to.value()];
  link.delay_us = settings.delay_us;
  link.jitter_us = settings.jitter_us;
  link.loss_ppm = static_cast<std::uint64_t>(std::llround(settings.loss * kMillion));
  link.loss_delay_us = settings.loss_delay_us;
  link.bytes_per_second = settings.bytes_per_second;
  link.cut = settings.cut;
}

LinkSettings LinkTable::get(ReplicaId from, ReplicaId to) const {
  const Link& link = links_[from.value()][to.value()];
  return {link.delay_us,      link.jitter_us,        static_cast<double>(link.loss_ppm) / kMillion,
          link.loss_delay_us, link.bytes_per_second, link.cut};
}

EmulatedLinks::EmulatedLinks(const LinkTable& table, ReplicaId self, std::uint64_t seed)
    : table_(table),
      self_(self),
      random_(mix64(seed ^ mix64(self.value() + 1))),
      links_(static_cast<std::size_t>(kReplicasMax)) {
}

std::uint64_t EmulatedLinks::draw() {
  return mix64(random_++);
}

bool EmulatedLinks::send(ReplicaId to, Bytes message, Tick now) {
  const LinkSettings settings = table_.get(self_, to);
  Link& link = links_[to.value()];
  if (settings.cut) {
    ++counters_.dropped_cut;
    return false;
  }
  if (link.held_bytes + message.size() > kHeldBytesMax) {
    ++counters_.dropped_full;
    return false;
  }
  Tick left = now;
  if (settings.bytes_per_second > 0) {
    const double seconds =
        static_cast<double>(message.size()) / static_cast<double>(settings.bytes_per_second);
    link.free_at = std::max(link.free_at, now) + static_cast<Tick>(seconds * kMillion);
    left = link.free_at;
  }
  Tick arrives = left + settings.delay_us;
  if (settings.jitter_us > 0) arrives += draw() % (settings.jitter_us + 1);
  const bool is_lost =
      settings.loss > 0 && static_cast<double>(draw() % 1'000'000) < settings.loss * kMillion;
  if (is_lost) {
    ++counters_.lost;
    arrives += settings.loss_delay_us;
  }
  arrives = link.last = std::max(arrives, link.last);
  ++counters_.delayed;
  link.held.push_back({arrives, {message.begin(), message.end()}});
  link.held_bytes += message.size();
  due_ = std::min(due_, arrives);
  return true;
}

std::unique_ptr<LinkTable> EmulatedNetwork::table() const {
  auto table = std::make_unique<LinkTable>();
  for (std::size_t from = 0; from < one_way_us.size(); ++from) {
    for (std::size_t to = 0; to < one_way_us[from].size(); ++to) {
      LinkSettings settings = all;
      settings.delay_us = one_way_us[from][to];
      table->set(replica_at(static_cast<int>(from)), replica_at(static_cast<int>(to)), settings);
    }
  }
  return table;
}

}  // namespace epaxos::net
