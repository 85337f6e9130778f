#pragma once

// The faults of a run in virtual time, which happen by themselves. A replica that is restarted
// starts in no time; clients ask it again when it has executed a first command, as they would when
// it answers.

#include <cstddef>
#include <optional>
#include <vector>

#include "bench/wan/faults.h"
#include "bench/wan/paths.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::bench {

class SimulatedFaults {
 public:
  /// All outlive it, and it outlives the events of the cluster. Sets the links.
  SimulatedFaults(const std::vector<Fault>& faults, const Placement& placement,
                  sim::Cluster& cluster);
  SimulatedFaults(const SimulatedFaults&) = delete;
  SimulatedFaults& operator=(const SimulatedFaults&) = delete;

  /// The measured time begins and ends then: at its end all links are well again.
  void plan(Tick from, Tick to);

  [[nodiscard]] const FaultyWorld& world() const { return world_; }
  /// By replica, over all of its lives so far.
  [[nodiscard]] std::vector<std::optional<Paths>> paths() const;

 private:
  /// All whose time has come, in their order: events of one time have none.
  void happen(Tick from);
  void happens(const Fault& fault);
  /// Until it answers, or is killed again.
  void ask_until_it_answers(ReplicaId replica);
  [[nodiscard]] Paths paths_of_life(ReplicaId replica) const;
  void set_links();

  const std::vector<Fault>& faults_;
  sim::Cluster& cluster_;
  FaultyWorld world_;
  PathsOfLives lives_;
  std::size_t next_ = 0;  // Of the faults.
};

}  // namespace epaxos::bench
