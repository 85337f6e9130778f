#pragma once

// What goes wrong in a run, and when: "at 30s kill JP", "at 40s partition EU|*", "at 60s slow OR
// 5x", "at 70s latency CA-JP +50ms", "at 80s heal". Times count from the beginning of the measured
// time. They are read and checked before anything starts.

#include <string>
#include <vector>

#include "bench/wan/placement.h"

namespace epaxos::bench {

struct Fault {
  enum class Kind {
    kKill,       ///< The replica of a site is killed, and does not come back.
    kPartition,  ///< Replicas hear only those of their own part.
    kSlow,       ///< Whatever a site sends and gets takes so many times as long.
    kLatency,    ///< So much more from one site to another, and back.
    kHeal,       ///< All links are as they were; who is dead stays dead.
  };

  std::string text;  ///< As it was given.
  Tick at_us = 0;    ///< From the beginning of the measured time.
  Kind kind = Kind::kHeal;
  ReplicaId one = {};    ///< Of kKill, kSlow and kLatency.
  ReplicaId other = {};  ///< Of kLatency.
  std::vector<ReplicaSet> parts = {};
  double factor = 1;
  Tick more_us = 0;

  friend bool operator==(const Fault&, const Fault&) = default;
};

/// In the order of their times. Errors: invalid argument - a sentence that names the fault, what is
/// wrong with it, and how it is written.
Result<std::vector<Fault>> faults_from(const std::vector<std::string>& texts,
                                       const Placement& placement, Tick measured_us);

/// The replicas and their links, as the faults so far have left them.
class FaultyWorld {
 public:
  /// `placement` outlives it.
  explicit FaultyWorld(const Placement& placement);

  void apply(const Fault& fault);
  /// As after a Fault::kHeal.
  void heal();

  /// Who lives, and whom the clients of each site ask.
  [[nodiscard]] const Placement& placement() const { return living_; }
  [[nodiscard]] Tick one_way_us(ReplicaId from, ReplicaId to) const;
  [[nodiscard]] bool is_cut(ReplicaId from, ReplicaId to) const {
    return !hears_[to.value()].contains(from);
  }

 private:
  const Placement& placement_;
  Placement living_;
  std::vector<ReplicaSet> hears_;  // By replica.
  std::vector<double> factor_;     // By replica.
  std::vector<Tick> more_us_;      // By pair, both directions.
};

}  // namespace epaxos::bench
