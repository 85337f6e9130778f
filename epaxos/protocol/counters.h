#pragma once

// Everything the core counts: what it did, and each reason why it ignored something.

#include <cstdint>

#include "epaxos/contract/counters.h"

namespace epaxos::protocol {

enum class Count : std::uint8_t {
  kProposedCommands,
  kProposedInstances,
  kFastPath,
  kSlowPathMismatch,
  kSlowPathTimer,
  kSlowPathFloor,       ///< Others had adopted a floor that the proposal did not include yet.
  kVotesAboveProposal,  ///< Votes with a vector floor that the proposal did not include.
  kExecutedInstances,
  kDecidedNop,
  kResubmitted,
  kRetransmissions,
  kStatusAsked,
  kRangesAsked,
  kRangesServed,
  kNacksSent,
  kNacksReceived,
  kStale,           ///< A reply for an instance or a stage that is over: normal.
  kMalformedFrame,  ///< Does not decode, or a value is out of range.
  kMalformedBlock,  ///< The block of commands does not decode.
  kWrongGroup,
  kWrongEpoch,
  kUnknownType,
  kNotTheOwner,          ///< A first-round message from somebody who does not own the row.
  kNotTheBallotsOwner,   ///< A vote was asked for at somebody else's ballot.
  kContradictsRecord,    ///< Another payload or proposal than the one recorded.
  kContradictsVote,      ///< Another value at a ballot that was voted at.
  kContradictsDecision,  ///< Another decision than the one known.
  kShrinksDependencies,  ///< An answer with less than the owner proposed.
  kHeldUndecidedFull,    ///< The row holds too many undecided instances.
  kCommitWithoutPayload,
  kStorageFull,    ///< Dropped because nothing can be made durable now.
  kTurnFull,       ///< Dropped because the turn has gathered enough already.
  kNotVoting,      ///< A vote was asked of a replica that must not vote.
  kTruncatedSent,  ///< Answers to questions about what was dropped here.
  kTruncatedReceived,
  kFloorsRaised,
  kVectorFloorsRaised,
  kDroppedInstances,  ///< From memory.
  kImagesInstalled,
  kArchivedInstances,  ///< From then on on disk only.
  kReadBack,           ///< Instances, from the disk.
  kPeerForgot,         ///< A message of a replica whose disk has lost promises.
  kTooManyBlockers,    ///< More instances speak against a fast decision than an answer can name.
  kDelayedOnHotKey,    ///< Commands: they wait for an own round on a key that others contend for.
  kDelayedByFence,     ///< Commands.
  kFencesSent,
  kFencesReceived,
  kRecoveriesStarted,
  kRecoveriesRestarted,  ///< Of these, with a higher ballot than before.
  kRecovered,            ///< Decided by this replica as a recoverer.
  kRecoveryC1,           ///< The cases of protocol.md 7.4 and 7.6.
  kRecoveryC2,
  kRecoveryC3,
  kRecoveryC4,
  kRecoveryC5,
  kRecoveryV1,
  kRecoveryV2,
  kRecoveryV3,
  kRecoveryV4,
  kRecoveryV5,
  kRecoveryV6,
  kRecoveryV7,
  kCount,
};
using Counters = CounterSet<Count>;

inline constexpr Counters::Names kCountNames{
    "proposed_commands",
    "proposed_instances",
    "fast_path",
    "slow_path_mismatch",
    "slow_path_timer",
    "slow_path_floor",
    "votes_above_proposal",
    "executed_instances",
    "decided_nop",
    "resubmitted",
    "retransmissions",
    "status_asked",
    "ranges_asked",
    "ranges_served",
    "nacks_sent",
    "nacks_received",
    "ignored_stale",
    "refused_malformed_frame",
    "refused_malformed_block",
    "refused_wrong_group",
    "refused_wrong_epoch",
    "refused_unknown_type",
    "refused_not_the_owner",
    "refused_not_the_ballots_owner",
    "refused_contradicts_record",
    "refused_contradicts_vote",
    "refused_contradicts_decision",
    "refused_shrinks_dependencies",
    "refused_held_undecided_full",
    "refused_commit_without_payload",
    "refused_storage_full",
    "refused_turn_full",
    "refused_not_voting",
    "truncated_sent",
    "truncated_received",
    "floors_raised",
    "vector_floors_raised",
    "dropped_instances",
    "images_installed",
    "archived_instances",
    "read_back",
    "refused_peer_forgot",
    "refused_too_many_blockers",
    "delayed_on_hot_key",
    "delayed_by_fence",
    "fences_sent",
    "fences_received",
    "recoveries_started",
    "recoveries_restarted",
    "recovered",
    "recovery_c1",
    "recovery_c2",
    "recovery_c3",
    "recovery_c4",
    "recovery_c5",
    "recovery_v1",
    "recovery_v2",
    "recovery_v3",
    "recovery_v4",
    "recovery_v5",
    "recovery_v6",
    "recovery_v7",
};

}  // namespace epaxos::protocol
