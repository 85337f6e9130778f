#pragma once

// Who belongs to a group whose members can change: what the Raft paper calls a configuration. While
// it changes there are two sets of voters, and whatever needs a majority needs one of each (joint
// consensus), so that no moment has two majorities which do not meet. Every count of replicas goes
// through here. Source: Raft paper, 6.

#include <algorithm>
#include <array>
#include <cstdint>

#include "deps/types/ids.h"
#include "deps/types/mutant.h"
#include "deps/types/replica_set.h"

namespace epaxos::compare {

struct Members {
  ReplicaSet voters;        ///< Of the configuration that holds, or that is being gone over to.
  ReplicaSet old_voters{};  ///< Of the one that is being left; empty: the members do not change.
  ReplicaSet learners{};    ///< They are given everything, and count for nothing yet.

  [[nodiscard]] bool is_joint() const { return old_voters.size() > 0; }
  /// In one of the two configurations.
  [[nodiscard]] bool votes(ReplicaId replica) const {
    return voters.contains(replica) || old_voters.contains(replica);
  }
  [[nodiscard]] ReplicaSet everybody() const {
    ReplicaSet all = voters;
    all.add(old_voters);
    all.add(learners);
    return all;
  }

  /// Whether these replicas are a majority of the voters, and of both configurations if there are
  /// two. Whoever is no voter does not count.
  [[nodiscard]] bool has_quorum(ReplicaSet replicas) const {
    if (!is_majority(replicas, voters)) return false;
    return !counts_old() || is_majority(replicas, old_voters);
  }
  /// The highest position that a quorum has reached, where `reached` says how far each one is.
  template <class Position>
  [[nodiscard]] Position reached_by_quorum(
      const std::array<Position, kReplicasMax>& reached) const {
    const Position in_new = reached_by_majority(reached, voters);
    return counts_old() ? std::min(in_new, reached_by_majority(reached, old_voters)) : in_new;
  }

  /// Whether these can be the ones after `before` in a log: the voters change by way of both sets
  /// of them, and only in two steps, so that each majority meets the next one.
  [[nodiscard]] bool may_follow(const Members& before) const {
    const bool begins = !before.is_joint() && old_voters == before.voters;
    return begins || (!is_joint() && voters == before.voters);
  }

  friend bool operator==(const Members&, const Members&) = default;

 private:
  [[nodiscard]] bool counts_old() const {
    return is_joint() && !mutant(Mutant::kRaftSingleMajorityInJoint);
  }
  static bool is_majority(ReplicaSet some, ReplicaSet of) {
    return of.size() - of.without(some).size() >= majority_of(of.size());
  }
  template <class Position>
  static Position reached_by_majority(const std::array<Position, kReplicasMax>& reached,
                                      ReplicaSet of) {
    std::array<Position, kReplicasMax> sorted{};
    int count = 0;
    for (ReplicaSet left = of; left.first(); left = left.without(*left.first())) {
      sorted[static_cast<std::size_t>(count++)] = reached[left.first()->value()];
    }
    std::sort(sorted.begin(), sorted.begin() + count, [](auto a, auto b) { return b < a; });
    return sorted[static_cast<std::size_t>(majority_of(count) - 1)];
  }
};

/// As one number, for entries and images; 0: there are none.
[[nodiscard]] std::uint64_t packed(const Members& members);
/// False: nothing that a group of so many replicas can be.
[[nodiscard]] bool unpack(std::uint64_t number, int replicas, Members& out);

}  // namespace epaxos::compare
