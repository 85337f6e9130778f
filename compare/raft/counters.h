#pragma once

// Everything the Raft core counts: what it did, and each reason why it ignored something.

#include <cstdint>

#include "epaxos/contract/counters.h"

namespace epaxos::compare::raft {

enum class Count : std::uint8_t {
  kProposedCommands,
  kProposedBlocks,
  kForwardsSent,
  kForwardsTaken,
  kForwardsRepeated,  ///< The log holds the block already: normal.
  kForwardsWanted,    ///< Something before it is missing; its proposer is told.
  kForwardsNotLeader,
  kForwardsRefused,  ///< Too much is undecided.
  kPreVotes,         ///< Begun here, as the next three.
  kElections,
  kElectionsWon,
  kTransfersStarted,
  kSteppedDown,  ///< A leader that heard of a higher term.
  kQuorumLost,   ///< A leader that no quorum answered.
  kVotesGranted,
  kVotesRefused,
  kVotesWithLeader,  ///< Ignored: the leader is well.
  kNopsAppended,
  kAppendsSent,
  kHeartbeatsSent,
  kProbes,          ///< Of where the log of a follower agrees.
  kConflictsFound,  ///< Refusals that a leader has had.
  kEntriesAppended,
  kEntriesOverwritten,  ///< Of an earlier leader, not committed.
  kEntriesSkipped,      ///< Executed before: the log holds their block twice.
  kCommittedEntries,
  kReadBack,  ///< Entries, from the disk.
  kTruncatedSent,
  kTruncatedReceived,
  kCommitsLearned,  ///< Entries that a replica counted for itself where all learn from all.
  kDroppedEntries,  ///< From the disk.
  kImagesInstalled,
  kSuffixesKept,    ///< Of these, with a log that goes on beyond the image.
  kTimeoutsRaised,  ///< The configured ones do not fit what is measured.
  kStale,           ///< An answer that is over: normal.
  kMalformedFrame,
  kMalformedBlock,
  kWrongGroup,
  kWrongEpoch,
  kUnknownType,
  kSecondLeader,       ///< Two leaders of a term.
  kContradictsCommit,  ///< Another entry in place of a committed one.
  kContradictsLog,     ///< Another entry of the same term in the same place.
  kImpossibleMembers,  ///< An entry that changes the members in a way that none does.
  kNeverAsked,         ///< An answer to what this replica never said.
  kLastTerm,           ///< No election, as no term is left.
  kLogFull,            ///< The log cannot hold more before something is committed.
  kStorageFull,        ///< Dropped because nothing can be made durable now.
  kTurnFull,
  kForgotTold,            ///< Answers to replicas that have forgotten.
  kNotVoting,             ///< A vote was asked of a replica that must not vote.
  kPeerForgot,            ///< A message of a replica whose disk has lost promises.
  kMembersAppended,       ///< Entries that say who belongs to the group.
  kMembersChanged,        ///< Changes that this replica led to their end.
  kMemberChangesGivenUp,  ///< The new one did not catch up.
  kMemberChangesRefused,
  kChangesWithoutQuorum,  ///< Of these: too few of the members, or of the new ones, answered.
  kVotesOfNonMembers,     ///< They do not count.
  kReadsAnswered,
  kReadRounds,      ///< In which a leader made sure that it leads.
  kReadsByLease,    ///< Questions that needed none; own ones too.
  kReadsNotLeader,  ///< A question for a leader that this replica is not.
  kVotesPromised,   ///< Not given, as another one's lease may run.
  kCount,
};

using Counters = CounterSet<Count>;

inline constexpr Counters::Names kCountNames{
    "proposed_commands",
    "proposed_blocks",
    "forwards_sent",
    "forwards_taken",
    "forwards_repeated",
    "forwards_wanted",
    "forwards_not_leader",
    "forwards_refused",
    "pre_votes",
    "elections",
    "elections_won",
    "transfers_started",
    "stepped_down",
    "quorum_lost",
    "votes_granted",
    "votes_refused",
    "votes_with_leader",
    "nops_appended",
    "appends_sent",
    "heartbeats_sent",
    "probes",
    "conflicts_found",
    "entries_appended",
    "entries_overwritten",
    "entries_skipped",
    "committed_entries",
    "read_back",
    "truncated_sent",
    "truncated_received",
    "commits_learned",
    "dropped_entries",
    "images_installed",
    "suffixes_kept",
    "timeouts_raised",
    "stale",
    "refused_malformed_frame",
    "refused_malformed_block",
    "refused_wrong_group",
    "refused_wrong_epoch",
    "refused_unknown_type",
    "refused_second_leader",
    "refused_contradicts_commit",
    "refused_contradicts_log",
    "refused_impossible_members",
    "refused_never_asked",
    "refused_last_term",
    "refused_log_full",
    "refused_storage_full",
    "refused_turn_full",
    "forgot_told",
    "refused_not_voting",
    "refused_peer_forgot",
    "members_appended",
    "members_changed",
    "member_changes_given_up",
    "refused_member_changes",
    "refused_changes_without_quorum",
    "refused_votes_of_non_members",
    "reads_answered",
    "read_rounds",
    "reads_by_lease",
    "reads_not_leader",
    "votes_promised",
};

}  // namespace epaxos::compare::raft
