// What a majority has is committed, and then executed. Source: Raft paper, Figure 2 (Rules for
// Servers) and 5.4.2.

#include <algorithm>
#include <array>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

/// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
/// log[N].term == currentTerm: set commitIndex = N" (Figure 2, Leaders). The leader's own log
/// counts as far as it is on disk.
void RaftCore::advance_commit() {
  check(role_ == Role::kLeader, "only a leader counts who has an entry");
  std::array<LogIndex, kReplicasMax> matches{};  // Of whom one has not heard: nothing.
  for (int i = 0; i < n_; ++i) {
    const PeerProgress& peer = peers_[static_cast<std::size_t>(i)];
    const bool is_self = replica_at(i) == self_;
    LogIndex& match = matches[static_cast<std::size_t>(i)];
    if (is_self) match = mutant(Mutant::kRaftCountsUnsynced) ? last_log_index() : durable_index_;
    if (!is_self && peer.counts()) match = peer.match_index;
  }
  const LogIndex reached = members().reached_by_quorum(matches);
  if (reached <= commit_index_) return;
  const bool is_of_this_term = Term(log_.round(reached)) == current_term_;
  if (!is_of_this_term && !mutant(Mutant::kRaftCommitsEarlierTerms)) return;
  commit_up_to(reached);
}

/// Whoever has found out. Never back.
void RaftCore::commit_up_to(LogIndex index) {
  if (index <= commit_index_) return;
  counters_.add(Count::kCommittedEntries, index.value() - commit_index_.value());
  commit_index_ = index;
}

/// "If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine"
/// (Figure 2, All Servers).
void RaftCore::walk_executor(Effects& out) {
  const std::uint64_t skipped = executor_.walk(log_, commit_index_, self_, own_, out);
  counters_.add(Count::kEntriesSkipped, skipped);
}

}  // namespace epaxos::compare::raft
