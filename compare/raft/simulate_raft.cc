// Raft in the simulator: which messages are worth stopping their sender for, and which parts of the
// protocol a long run must have reached.

#include "compare/raft/simulate_raft.h"

#include "compare/raft/core.h"
#include "compare/raft/simulate_raft_checker.h"
#include "compare/raft/simulate_raft_words.h"

namespace epaxos::compare::raft {
namespace {

constexpr net::FrameType kTargets[] = {
    static_cast<net::FrameType>(MessageType::kAppendEntries),
    static_cast<net::FrameType>(MessageType::kAppendEntries),
    static_cast<net::FrameType>(MessageType::kAppendEntries),
    static_cast<net::FrameType>(MessageType::kAppendEntriesReply),
    static_cast<net::FrameType>(MessageType::kAppendEntriesReply),
    static_cast<net::FrameType>(MessageType::kRequestVote),
    static_cast<net::FrameType>(MessageType::kRequestVoteReply),
    static_cast<net::FrameType>(MessageType::kTruncated),
    static_cast<net::FrameType>(MessageType::kHello),
    static_cast<net::FrameType>(LogMessage::kForward),
    static_cast<net::FrameType>(LogMessage::kReadIndexReply),
};

constexpr const char* kMarks[] = {
    "elections_won",
    "stepped_down",
    "quorum_lost",
    "votes_granted",
    "votes_refused",
    "votes_with_leader",
    "conflicts_found",
    "probes",
    "entries_overwritten",
    "forwards_taken",
    "forwards_wanted",
    "forwards_repeated",
    "read_back",
    "truncated_received",
    "dropped_entries",
    "images_installed",
    "suffixes_kept",
    "transfers_started",
    "timeouts_raised",
    "session_duplicates",
    "session_unknown",
    "session_expired",
    "session_stale",
    "members_appended",
    "members_changed",
    "member_changes_given_up",
    "refused_member_changes",
    "refused_changes_without_quorum",
    "reads_answered",
    "read_rounds",
    "reads_by_lease",
    "reads_not_leader",
    "votes_promised",
};

constexpr const char* kAlwaysZero[] = {
    "refused_malformed_frame",    "refused_malformed_block", "refused_wrong_group",
    "refused_wrong_epoch",        "refused_unknown_type",    "refused_second_leader",
    "refused_contradicts_commit", "refused_contradicts_log", "refused_impossible_members",
    "refused_never_asked",        "refused_last_term",
};

}  // namespace

SimulatedProtocol simulated_raft(const Options& options) {
  SimulatedProtocol simulated;
  simulated.swarm = sim::key_value_swarm(raft(options));
  simulated.swarm.targets.assign(std::begin(kTargets), std::end(kTargets));
  simulated.swarm.checkers.push_back(
      [](sim::Cluster& cluster) { return std::make_unique<RaftChecker>(cluster); });
  simulated.swarm.zero_when_calm = {"stepped_down", "entries_overwritten"};
  simulated.swarm.always_zero.assign(std::begin(kAlwaysZero), std::end(kAlwaysZero));
  simulated.swarm.spins_max = 1'000;
  simulated.swarm.never_silent = true;
  simulated.swarm.limits.reads = true;
  simulated.words = {words_of_frame, words_of_record};
  simulated.required_marks.assign(std::begin(kMarks), std::end(kMarks));
  simulated.mutants = {Mutant::kForgetfulVotes};
  if (options.learn_from_all) {
    simulated.required_marks.push_back("commits_learned");
    simulated.mutants.push_back(Mutant::kRaftLearnsAcrossTerms);
    return simulated;
  }
  for (const MutantInfo& info : mutants()) {
    const bool is_of_all = info.mutant == Mutant::kRaftLearnsAcrossTerms;
    if (info.name.starts_with("raft-") && !is_of_all) simulated.mutants.push_back(info.mutant);
  }
  return simulated;
}

}  // namespace epaxos::compare::raft
