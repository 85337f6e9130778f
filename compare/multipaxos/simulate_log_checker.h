#pragma once

// Holds every word of every replica against its disk and against what was said before: one entry
// for a slot and ballot, one decision for a slot, no promise and no vote that a power loss would
// take back, none below a promise. Source: reliability.md 3.7 (C10, C11).

#include <string>
#include <string_view>
#include <vector>

#include "compare/multipaxos/core.h"
#include "compare/paxos/simulate_ballot_checker.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::compare::multipaxos {

class LogChecker final : public sim::Checker {
 public:
  LogChecker(sim::Cluster& cluster, const Quorums& quorums)
      : cluster_(cluster), checker_(quorums) {}

  [[nodiscard]] std::string_view name() const override { return "ballots"; }
  [[nodiscard]] std::vector<std::string> violations() const override {
    return checker_.violations();
  }
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;

 private:
  void check_frame(const net::Frame& frame);
  void check_message(const Prepare& message);
  void check_message(const Promise& message);
  void check_message(const Accept& message);
  void check_message(const Accepted& message);
  void check_message(const Learn& message);
  void expect_promise(Ballot ballot);
  /// The ballot of the vote for a slot that is on disk.
  [[nodiscard]] Ballot durable_vote(Slot slot) const;
  /// Whether only an image tells of the slot: nothing is held against it.
  [[nodiscard]] bool is_covered(Slot slot) const;

  sim::Cluster& cluster_;
  paxos::BallotChecker checker_;
  // The message that is being checked.
  ReplicaId from_;
  const sim::VirtualDisk* disk_ = nullptr;
};

}  // namespace epaxos::compare::multipaxos
