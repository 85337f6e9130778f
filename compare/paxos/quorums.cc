#include "compare/paxos/quorums.h"

#include <string>

namespace epaxos::compare::paxos {

Quorums Quorums::majorities(int replica_count) {
  const int majority = majority_of(replica_count);
  return {0, 0, majority, majority};
}

Result<Quorums> Quorums::of_sizes(int replica_count, int phase1, int phase2) {
  const auto fits = [replica_count](int size) { return size >= 1 && size <= replica_count; };
  if (!fits(phase1) || !fits(phase2) || phase1 + phase2 <= replica_count) {
    return fail(ErrorCode::kInvalidArgument,
                "quorums of " + std::to_string(phase1) + " and " + std::to_string(phase2) + " of " +
                    std::to_string(replica_count) +
                    " replicas need not meet, so that a new leader could miss what was chosen; "
                    "make their sum larger than the number of replicas");
  }
  return Quorums(0, 0, phase1, phase2);
}

Result<Quorums> Quorums::of_grid(int replica_count, int rows, int columns) {
  if (rows < 1 || columns < 1 || rows * columns != replica_count) {
    return fail(ErrorCode::kInvalidArgument, "a grid of " + std::to_string(rows) + " by " +
                                                 std::to_string(columns) + " does not hold " +
                                                 std::to_string(replica_count) +
                                                 " replicas; make rows times columns their number");
  }
  return Quorums(rows, columns, 0, 0);
}

Quorums Quorums::of_sizes_by_force(int replica_count, int phase1, int phase2) {
  check(phase1 >= 1 && phase1 <= replica_count, "phase 1 has 1 .. n replicas");
  check(phase2 >= 1 && phase2 <= replica_count, "phase 2 has 1 .. n replicas");
  return {0, 0, phase1, phase2};
}

bool Quorums::has_line(ReplicaSet set, int first, int count, int step) {
  for (int i = 0; i < count; ++i) {
    if (!set.contains(replica_at(first + i * step))) return false;
  }
  return true;
}

bool Quorums::opens(ReplicaSet promised) const {
  if (rows_ == 0) return promised.size() >= phase1_;
  for (int row = 0; row < rows_; ++row) {
    if (has_line(promised, row * columns_, columns_, 1)) return true;
  }
  return false;
}

bool Quorums::chooses(ReplicaSet voted) const {
  if (rows_ == 0) return voted.size() >= phase2_;
  for (int column = 0; column < columns_; ++column) {
    if (has_line(voted, column, rows_, columns_)) return true;
  }
  return false;
}

}  // namespace epaxos::compare::paxos
