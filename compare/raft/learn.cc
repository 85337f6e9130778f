// Learning from all: followers need not wait to hear from the leader what is committed, because all
// tell everybody how far their logs are durable. Multi-Paxos has the same option; Raft's own rule
// is used as it is, by each replica for itself.
//
// Why this is right: whoever answers with success in a term holds the log of that term's leader up
// to match_index, on its disk. An entry of that term here is the leader's, and so is all before it
// (Log Matching). So what a quorum has told, with an entry of the term at its end, is what the
// leader would commit (Figure 2), whether it knows of it already or not. The configuration that
// counts is the latest in the log here: if the leader knows of a later one that is committed, all
// before it is, and if it is not committed yet, no leader is elected without a quorum of this one.

#include <algorithm>
#include <array>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

/// Answers of earlier terms say nothing about the log of this term's leader.
void RaftCore::learn_match(ReplicaId from, const AppendEntriesReply& message) {
  if (learned_in_ != current_term_ && !mutant(Mutant::kRaftLearnsAcrossTerms)) {
    learned_.fill(LogIndex());
    learned_in_ = current_term_;
  }
  const bool counts = message.success && message.voting && !peers_[from.value()].forgot;
  LogIndex& known = learned_[from.value()];
  if (counts) known = std::max(known, message.match_index);
}

void RaftCore::learn_commit() {
  if (!options_.learn_from_all || role_ == Role::kLeader) return;
  if (learned_in_ != current_term_ && !mutant(Mutant::kRaftLearnsAcrossTerms)) return;
  std::array<LogIndex, kReplicasMax> matches = learned_;
  matches[self_.value()] = voting_ ? durable_index_ : LogIndex();
  const LogIndex reached = std::min(members().reached_by_quorum(matches), last_log_index());
  if (reached <= commit_index_ || Term(log_.round(reached)) != current_term_) return;
  counters_.add(Count::kCommitsLearned, reached.value() - commit_index_.value());
  commit_up_to(reached);
}

/// The leader's log counts as well, once it is on its disk.
void RaftCore::tell_own_match(Effects& out) {
  if (!options_.learn_from_all || told_durable_ == durable_index_ || is_full(out)) return;
  told_durable_ = durable_index_;
  send(others_, agreement(durable_index_, durable_index_), out, Release::kNow);
}

}  // namespace epaxos::compare::raft
