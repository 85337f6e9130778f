#include "compare/multipaxos/options.h"

#include <algorithm>

namespace epaxos::compare::multipaxos {

Result<paxos::Quorums> quorums_of(const Options& options, int replica_count) {
  const int n = replica_count;
  if (options.grid_rows > 0) {
    return paxos::Quorums::of_grid(n, options.grid_rows, n / options.grid_rows);
  }
  if (options.phase1 == 0 && options.phase2 == 0) return paxos::Quorums::majorities(n);
  const auto other = [n](int size) { return std::max(1, n + 1 - size); };
  const int phase1 = options.phase1 > 0 ? options.phase1 : other(options.phase2);
  const int phase2 = options.phase2 > 0 ? options.phase2 : other(options.phase1);
  if (options.unsafe_quorums) return paxos::Quorums::of_sizes_by_force(n, phase1, phase2);
  return paxos::Quorums::of_sizes(n, phase1, phase2);
}

}  // namespace epaxos::compare::multipaxos
