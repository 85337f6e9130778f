#pragma once

// How many replicas must agree, and what the owner's count of answers says. All sizes count the
// owner itself. Source: protocol.md 1 and 6.3.

#include <algorithm>
#include <array>

#include "deps/types/check.h"
#include "deps/types/ids.h"
#include "deps/types/mutant.h"
#include "deps/types/replica_set.h"

namespace epaxos::protocol {

/// f: failures that recovery and the slow path survive.
constexpr int faults_tolerated(int replica_count) {
  return (replica_count - 1) / 2;
}

/// e: failures that the fast path survives.
constexpr int fast_faults_tolerated(int replica_count) {
  const int f = faults_tolerated(replica_count);
  return std::min(f, (replica_count - f + 1) / 2);
}

constexpr int fast_quorum_size(int replica_count) {
  return replica_count - fast_faults_tolerated(replica_count);
}

/// Also the size of recovery and validation quorums.
constexpr int slow_quorum_size(int replica_count) {
  return replica_count - faults_tolerated(replica_count);
}

namespace quorum_table {

struct Row {
  int n, f, e, fast, slow, difference;
};
inline constexpr std::array<Row, 9> kRows{{{1, 0, 0, 1, 1, 1},
                                           {2, 0, 0, 2, 2, 2},
                                           {3, 1, 1, 2, 2, 1},
                                           {4, 1, 1, 3, 3, 2},
                                           {5, 2, 2, 3, 3, 1},
                                           {6, 2, 2, 4, 4, 2},
                                           {7, 3, 2, 5, 4, 2},
                                           {8, 3, 3, 5, 5, 2},
                                           {9, 4, 3, 6, 5, 2}}};

constexpr bool holds(const Row& row) {
  const int f = faults_tolerated(row.n);
  const int e = fast_faults_tolerated(row.n);
  const int fast = fast_quorum_size(row.n);
  const int slow = slow_quorum_size(row.n);
  return f == row.f && e == row.e && fast == row.fast && slow == row.slow &&
         row.n - f - e == row.difference && row.n >= std::max(2 * e + f - 1, 2 * f + 1) &&
         // What the proofs use: any two of these quorums meet.
         slow + slow > row.n && fast + slow > row.n && 2 * fast > row.n && row.n - f - e >= 1;
}
static_assert(std::ranges::all_of(kRows, holds), "the quorum table of protocol.md 1 does not hold");

}  // namespace quorum_table

/// What a count of PreAccept answers says. A tally has three answers, not two.
enum class Path { kPending, kFast, kSlow };

/// The owner's count of ballot-0 votes for one instance, itself included. Source: protocol.md 6.3.
struct PreAcceptTally {
  ReplicaSet not_asked;  ///< By a thrifty owner (18.2): they do not know the proposal.
  ReplicaSet answered;
  ReplicaSet matched;  ///< Answered exactly the owner's initial dependencies.

  /// `waited`: the fast-wait timer has expired. `patient`: wait for it even though a fast quorum
  /// has answered, as long as the fast path is possible.
  [[nodiscard]] Path path(int replica_count, bool waited, bool patient) const {
    const int fast = fast_quorum_size(replica_count) - (mutant(Mutant::kWrongFastQuorum) ? 1 : 0);
    if (matched.size() >= fast) return Path::kFast;
    if (answered.size() < slow_quorum_size(replica_count)) return Path::kPending;
    const int missing = replica_count - answered.size() - not_asked.without(answered).size();
    const bool impossible = matched.size() + missing < fast;
    const bool nearest_have_answered = !patient && answered.size() >= fast;
    return impossible || nearest_have_answered || waited ? Path::kSlow : Path::kPending;
  }
};

}  // namespace epaxos::protocol
