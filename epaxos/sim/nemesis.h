#pragma once

// What goes wrong in a run of the swarm, and who repairs it. Moment i draws from a stream of its
// own, so that leaving one fault out changes no other. Source: reliability.md 3.4.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "epaxos/sim/cluster.h"
#include "epaxos/sim/swarm_plan.h"

namespace epaxos::sim {

class Nemesis {
 public:
  /// Everything outlives it. `targets`: messages after which their sender is worth stopping; the
  /// more often one is listed, the more often it is drawn.
  Nemesis(Cluster& cluster, const SwarmPlan& plan, std::vector<net::FrameType> targets);
  Nemesis(const Nemesis&) = delete;
  Nemesis& operator=(const Nemesis&) = delete;

  /// Lets some time pass, and then perhaps something goes wrong.
  void moment(std::uint64_t number);
  /// Ends all faults but the permanent ones, and repairs what is to be repaired.
  void settle();
  /// Starts those whose disk was wiped or set back. Each must find out that it forgot; then it
  /// stops for good. Returns what was wrong.
  std::vector<std::string> confront_with_what_was_forgotten();
  /// Starts those whose disks are damaged. Each must refuse. Returns what was wrong, also before.
  std::vector<std::string> confront_with_damage();
  /// Those that were gone for good come back, unless they forgot or their disks are damaged.
  void bring_back();

  /// How often each kind of fault came.
  [[nodiscard]] const std::array<std::uint64_t, kFaultClasses>& counts() const { return counts_; }

 private:
  using Replicas = std::vector<ReplicaId>;

  void strike(FaultClass fault, Random& random);
  void crash(Random& random);
  void target(Random& random);
  void partition(Random& random);
  void clog(Random& random);
  void pause(Random& random);
  void pause_leaders(Random& random);
  void slow_down(Random& random);
  void bend_clock(Random& random);
  void slow_disk(Random& random);
  void fill_disk(Random& random);
  void remove_for_good(Random& random);
  void forget(Random& random);
  void damage_disk(Random& random);
  void expect_refusal(ReplicaId replica);
  void change_members(Random& random);

  void cut(ReplicaId one, ReplicaId other);
  void hear_only_neighbours(std::size_t reach);
  void build_bridge(Random& random);
  [[nodiscard]] Replicas some(Random& random) const;
  [[nodiscard]] ReplicaId anybody(Random& random) const;
  [[nodiscard]] Tick hold(Random& random) const;
  [[nodiscard]] bool is_gone(ReplicaId replica) const {
    return (gone_ >> replica.value() & 1) != 0;
  }
  [[nodiscard]] bool may_remove() const;
  [[nodiscard]] Slot own_slot(ReplicaId replica, ReplicaId at);
  [[nodiscard]] bool has_rows() const;
  [[nodiscard]] static std::uint64_t durable_batches(const VirtualDisk::Image& image);
  [[nodiscard]] bool others_know_more(ReplicaId replica);
  /// Unless the run has settled by then.
  void later(Tick us, std::function<void()> action);
  void restart(ReplicaId replica);
  void restart_later(ReplicaId replica, Random& random);
  /// What an operator does: a replica whose disk failed is started anew, sooner or later.
  void repair(Random& random);
  void stop_failed();

  Cluster& cluster_;
  const SwarmPlan plan_;
  const std::vector<net::FrameType> targets_;
  std::array<std::uint64_t, kFaultClasses> counts_{};
  std::uint64_t gone_ = 0;              // One bit a replica: down until the end.
  std::uint64_t forgot_ = 0;            // Of these: its disk is not what it was.
  std::uint64_t damaged_ = 0;           // The same: its disk is damaged.
  std::vector<std::string> unnoticed_;  // Damages; a sentence each.
  /// A disk as it was once; empty before there is one.
  struct Copy {
    VirtualDisk::Image image;
    MachineStorage::State kept;
    Slot own;  ///< The highest of its own slots that the replica knew, where there are rows.
  };
  std::vector<Copy> copies_;  // By replica.
  bool settled_ = false;
};

}  // namespace epaxos::sim
