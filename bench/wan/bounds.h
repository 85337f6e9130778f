#pragma once

// What latency each protocol cannot go below on a topology: messages take their delays and nothing
// else takes time. How many answers are needed comes from the code of the protocols. The formulae:
// docs/wan.md 3.

#include <optional>
#include <string>
#include <vector>

#include "bench/wan/placement.h"
#include "compare/paxos/quorums.h"

namespace epaxos::bench {

/// From the moment that a replica has a command until it is committed there; kNever: the replicas
/// that live do not suffice. Precondition: all replicas that are named live.
Tick fast_path_us(const Placement& placement, ReplicaId owner);
/// No answer equals the owner's proposal.
Tick slow_path_us(const Placement& placement, ReplicaId owner);
/// At the leader: chosen by a quorum of phase 2.
Tick chosen_after_us(const Placement& placement, ReplicaId leader,
                     const compare::paxos::Quorums& quorums);
/// Forwarded to the leader, chosen there, and told.
Tick through_leader_us(const Placement& placement, ReplicaId at, ReplicaId leader,
                       const compare::paxos::Quorums& quorums);
/// The same where acceptors tell everybody their votes.
Tick learning_from_all_us(const Placement& placement, ReplicaId at, ReplicaId leader,
                          const compare::paxos::Quorums& quorums);

/// The bounds of one protocol, as the clients of each site see them.
struct Bounds {
  std::string protocol;             ///< "epaxos", "raft", ...
  std::string way;                  ///< "fast path", "leader", "leader, q2=2"
  std::optional<ReplicaId> leader;  ///< Of protocols that have one.
  std::vector<Tick> by_site_us;     ///< kNever: impossible.

  [[nodiscard]] bool possible() const;
  /// Over the sites. Precondition: possible().
  [[nodiscard]] double mean_us() const;
};

Bounds epaxos_fast_path(const Placement& placement);
Bounds epaxos_slow_path(const Placement& placement);
/// Of Raft and of Multi-Paxos alike.
Bounds by_leader(const Placement& placement, ReplicaId leader,
                 const compare::paxos::Quorums& quorums);
Bounds by_leader_learning_from_all(const Placement& placement, ReplicaId leader,
                                   const compare::paxos::Quorums& quorums);

/// By the mean over the sites; of equals the first. Precondition: there are some, all possible.
const Bounds& best_of(const std::vector<Bounds>& bounds);
const Bounds& worst_of(const std::vector<Bounds>& bounds);

}  // namespace epaxos::bench
