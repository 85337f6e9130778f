#pragma once

// What a group that runs Multi-Paxos must agree on beside its members.

#include <cstddef>

#include "compare/paxos/quorums.h"
#include "deps/types/result.h"

namespace epaxos::compare::multipaxos {

struct Options {
  /// How many must promise to a leader (phase 1), and how many must vote for an entry (phase 2).
  /// 0: as few as the other one allows; both 0: majorities. Small phase-2 quorums make commands
  /// fast, and leaders hard to replace.
  int phase1 = 0;
  int phase2 = 0;
  /// Rows of a grid whose rows are phase-1 and whose columns are phase-2 quorums; 0: no grid.
  int grid_rows = 0;
  /// Acceptors tell their votes to everybody, and each replica counts for itself: one message delay
  /// less where the leader is not, for n times the messages.
  bool learn_from_all = false;
  std::size_t pipeline_max = 4096;  ///< Undecided entries of a leader.
  /// Quorums that need not meet are taken nevertheless: for a test that shows what comes of it.
  bool unsafe_quorums = false;
};

/// The quorums of a group of this size.
/// Errors: invalid argument - two that must meet need not, or the grid has another size.
Result<paxos::Quorums> quorums_of(const Options& options, int replica_count);

}  // namespace epaxos::compare::multipaxos
