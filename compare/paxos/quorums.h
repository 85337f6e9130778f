#pragma once

// Which sets of replicas may open a ballot (phase 1) and choose a value (phase 2). A value is safe
// because every set of the one kind shares a replica with every set of the other; that two sets of
// the same kind meet is not needed. Source: Lamport, "Paxos Made Simple", 2.2; Howard, Malkhi and
// Spiegelman, "Flexible Paxos", 3.

#include "deps/types/mutant.h"
#include "deps/types/replica_set.h"
#include "deps/types/result.h"

namespace epaxos::compare::paxos {

/// Adds an answer to those that were counted; a second one of the same replica is none.
inline void count(ReplicaSet& answers, ReplicaId from) {
  if (answers.contains(from) && mutant(Mutant::kAnswersCountedTwice)) {
    from = ReplicaSet::all(kReplicasMax).without(answers).first().value_or(from);
  }
  answers.add(from);
}

class Quorums {
 public:
  /// More than half for both phases.
  static Quorums majorities(int replica_count);
  /// Any `phase1` replicas, and any `phase2`. Errors: invalid argument - two such sets need not
  /// meet, or a size is not 1 .. replica_count.
  static Result<Quorums> of_sizes(int replica_count, int phase1, int phase2);
  /// The replicas stand in a grid, row after row: a row opens a ballot, a column chooses a value.
  /// Errors: invalid argument - it does not have replica_count places.
  static Result<Quorums> of_grid(int replica_count, int rows, int columns);
  /// Whatever the sizes, also those that lose what was chosen: for a test that shows that it does.
  static Quorums of_sizes_by_force(int replica_count, int phase1, int phase2);

  [[nodiscard]] bool opens(ReplicaSet promised) const;
  [[nodiscard]] bool chooses(ReplicaSet voted) const;

 private:
  Quorums(int rows, int columns, int phase1, int phase2)
      : rows_(rows), columns_(columns), phase1_(phase1), phase2_(phase2) {}
  /// Whether all of these are there: `count` replicas from `first` on, `step` apart.
  static bool has_line(ReplicaSet set, int first, int count, int step);

  int rows_;  // 0: no grid.
  int columns_;
  int phase1_;
  int phase2_;
};

}  // namespace epaxos::compare::paxos
