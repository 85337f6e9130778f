#pragma once

// A network that delays, loses, repeats, reorders and cuts, each per directed link and changeable
// at any time. It moves whole bundles and knows nothing of what is in them. A bundle that is on its
// way when its link is cut is lost; one that is clogged waits. Source: reliability.md 3.4.

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "deps/types/command.h"
#include "epaxos/sim/event_queue.h"
#include "epaxos/sim/random.h"

namespace epaxos::sim {

/// How one direction of a link treats bundles. Shares in parts per million, times in microseconds.
struct LinkConditions {
  Tick delay_us = 500;         ///< The least.
  Tick jitter_us = 100;        ///< The mean of what comes on top, exponentially distributed.
  std::uint32_t tail_ppm = 0;  ///< This share is late by up to tail_us more.
  Tick tail_us = 0;
  std::uint32_t loss_ppm = 0;
  std::uint32_t resent_ppm = 0;  ///< This share is late by resent_us, as what TCP sends again is.
  Tick resent_us = 200'000;
  std::uint32_t duplicate_ppm = 0;  ///< This share arrives a second time, up to ... later.
  Tick duplicate_after_us = 1'000'000;
  /// The sender of this share is told that it was dropped. Half of it arrives nevertheless.
  std::uint32_t reported_failed_ppm = 0;
  std::uint32_t corrupt_ppm = 0;  ///< Of this share one bit is another one.
  bool in_order = false;          ///< As one TCP connection delivers: no bundle overtakes another.
  bool cut = false;               ///< Nothing passes.
};

struct NetworkTotals {
  std::uint64_t sent = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;  ///< By chance, by a cut, or because the receiver was down.
  std::uint64_t duplicated = 0;
  std::uint64_t reported_failed = 0;
  std::uint64_t corrupted = 0;
};

class VirtualNetwork {
 public:
  VirtualNetwork(int replica_count, std::uint64_t seed, EventQueue& events);

  /// The conditions of one direction.
  LinkConditions& link(ReplicaId from, ReplicaId to);
  /// The least delay of both directions; all else stays.
  void set_delay(ReplicaId one, ReplicaId other, Tick delay_us) {
    link(one, other).delay_us = link(other, one).delay_us = delay_us;
  }
  /// Cut links stay cut.
  void set_all(const LinkConditions& conditions);

  void cut(ReplicaId from, ReplicaId to) { link(from, to).cut = true; }
  void mend(ReplicaId from, ReplicaId to) { link(from, to).cut = false; }
  /// Only members of the same part hear each other; whoever is in no part hears nobody.
  void partition(std::initializer_list<std::vector<ReplicaId>> parts);
  void isolate(ReplicaId replica);
  /// No link is cut; delays, loss and duplication stay as they are.
  void mend_all();

  /// Nothing that is sent or repeated on this link from now on arrives before `until`; all of it
  /// does at once then, in any order.
  void clog(ReplicaId from, ReplicaId to, Tick until) { link_of(from, to).clogged_until = until; }
  void unclog_all();

  /// False: the sender believes that it was dropped.
  bool send(ReplicaId from, ReplicaId to, Bytes bundle);

  struct Arrival {
    ReplicaId from;
    ReplicaId to;
    Bytes bundle;  ///< Until release().
  };
  /// A bundle whose time has come. Afterwards release() its number.
  [[nodiscard]] Arrival arrival(std::uint64_t number) const;
  /// Whether the link of the bundle still lets it through.
  [[nodiscard]] bool passes(std::uint64_t number) const;
  void release(std::uint64_t number, bool delivered);

  [[nodiscard]] const NetworkTotals& totals() const { return totals_; }
  [[nodiscard]] std::size_t on_the_way() const { return flights_.size() - free_.size(); }

 private:
  struct Link {
    LinkConditions conditions;
    Random random;
    Tick last_arrival = 0;
    Tick clogged_until = 0;
  };
  struct Flight {
    ReplicaId from;
    ReplicaId to;
    std::vector<std::byte> bundle;
  };

  Link& link_of(ReplicaId from, ReplicaId to);
  [[nodiscard]] const Link& link_of(ReplicaId from, ReplicaId to) const;
  Tick draw_delay(Link& link);
  void launch(ReplicaId from, ReplicaId to, Bytes bundle, Tick at);
  void corrupt(Link& link);

  const std::size_t replicas_;
  EventQueue& events_;
  std::vector<Link> links_;
  std::vector<Flight> flights_;
  std::vector<std::uint64_t> free_;
  std::vector<std::byte> bundle_;  // The one that is being sent, as it will arrive.
  NetworkTotals totals_;
};

}  // namespace epaxos::sim
