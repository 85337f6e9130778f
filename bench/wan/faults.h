#pragma once

// What goes wrong in a run, and when: "at 30s kill JP", "at 50s restart JP", "at 40s partition
// EU|*", "at 60s slow OR 5x", "at 70s latency CA-JP +50ms", "at 80s heal". Times count from the
// beginning of the measured time. They are read and checked before anything starts.

#include <string>
#include <vector>

#include "bench/wan/placement.h"
#include "epaxos/storage/store.h"

namespace epaxos::bench {

struct Fault {
  enum class Kind {
    kKill,       ///< The replica of a site is killed.
    kRestart,    ///< One that was killed starts again, with what its disk kept.
    kPartition,  ///< Replicas hear only those of their own part.
    kSlow,       ///< Whatever a site sends and gets takes so many times as long.
    kLatency,    ///< So much more from one site to another, and back.
    kHeal,       ///< All links are as they were; who is dead stays dead.
  };

  std::string text;  ///< As it was given.
  Tick at_us = 0;    ///< From the beginning of the measured time.
  Kind kind = Kind::kHeal;
  ReplicaId one = {};    ///< Of kKill, kRestart, kSlow and kLatency.
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

/// Whether a replica that is restarted may vote and serve as before.
/// Errors: invalid argument - a sentence that names the first restart for which it may not, why,
/// and the remedy.
Result<void> check_restarts(const std::vector<Fault>& faults, Durability durability);

/// The replicas and their links, as the faults so far have left them.
class FaultyWorld {
 public:
  /// `placement` outlives it.
  explicit FaultyWorld(const Placement& placement);

  void apply(const Fault& fault);
  /// One that was restarted answers.
  void answers_again(ReplicaId replica);
  /// As after a Fault::kHeal.
  void heal();

  /// Those that live and answer.
  [[nodiscard]] ReplicaSet answering() const {
    return placement_.all().without(dead_).without(returning_);
  }
  /// Those that were restarted and do not answer yet.
  [[nodiscard]] ReplicaSet returning() const { return returning_; }
  /// Whom the clients of each site ask: the nearest one that answers. Where none does, one that
  /// was restarted will.
  [[nodiscard]] const Placement& placement() const { return asked_; }
  [[nodiscard]] Tick one_way_us(ReplicaId from, ReplicaId to) const;
  [[nodiscard]] bool is_cut(ReplicaId from, ReplicaId to) const {
    return !hears_[to.value()].contains(from);
  }

 private:
  void choose_asked();

  const Placement& placement_;
  Placement asked_;
  ReplicaSet dead_;
  ReplicaSet returning_;
  std::vector<ReplicaSet> hears_;  // By replica.
  std::vector<double> factor_;     // By replica.
  std::vector<Tick> more_us_;      // By pair, both directions.
};

}  // namespace epaxos::bench
