#pragma once

// Everything the core counts: what it did, and each reason why it ignored something.

#include <cstdint>

#include "epaxos/contract/counters.h"

namespace epaxos::compare::multipaxos {

enum class Count : std::uint8_t {
  kProposedCommands,
  kBallotsStarted,
  kBallotsOpened,  ///< This replica became the leader.
  kSteppedDown,    ///< It gave up a ballot, open or not.
  kPromiseParts,   ///< Of promises that were too large for one message.
  kAdopted,        ///< Entries that were proposed again at a new leader's ballot.
  kNops,           ///< Proposed to fill holes.
  kProposedEntries,
  kDecided,        ///< By counting votes.
  kLearnedByTold,  ///< By a vote at the ballot whose leader says so.
  kLearned,        ///< From a peer.
  kSkipped,        ///< Blocks that the log holds more than once.
  kForwarded,
  kWantedSent,
  kRetransmissions,
  kAsked,
  kServed,  ///< Entries.
  kNacksSent,
  kNacksReceived,
  kTruncatedSent,
  kTruncatedReceived,
  kImagesInstalled,
  kStale,       ///< An answer to what is over: normal.
  kNotLeading,  ///< A block for a leader that this replica is not.
  kPipelineFull,
  kMalformedFrame,
  kMalformedBlock,
  kWrongGroup,
  kWrongEpoch,
  kUnknownType,
  kNotTheBallotsOwner,   ///< Somebody spoke at a ballot of somebody else.
  kContradictsVote,      ///< Another entry at a ballot that was voted at.
  kContradictsDecision,  ///< Another decision than the one known.
  kTooFarAhead,          ///< A slot too far above what is decided here.
  kNeverAsked,           ///< An answer to what this replica never said.
  kLastBallot,           ///< No ballot, as none is left.
  kStorageFull,          ///< Dropped because nothing can be made durable now.
  kTurnFull,             ///< Dropped because the turn has gathered enough already.
  kNotVoting,            ///< A vote was asked of a replica that must not vote.
  kPeerForgot,           ///< A message of a replica whose disk has lost promises.
  kReadsAnswered,
  kReadRounds,          ///< In which a leader made sure that it leads.
  kReadsByLease,        ///< Questions that needed none; own ones too.
  kReadsNotLeader,      ///< A question for a leader that this replica is not.
  kPreVotes,            ///< Questions whether others miss the leader.
  kPreVotesWithLeader,  ///< Such a question of a peer, while a leader is well or begins.
  kQuorumLost,          ///< A leader that no quorum answered.
  kBallotsLeased,       ///< Not promised, as another one's lease may run.
  kCount,
};

using Counters = CounterSet<Count>;

inline constexpr Counters::Names kCountNames{
    "proposed_commands",
    "ballots_started",
    "ballots_opened",
    "stepped_down",
    "promise_parts",
    "adopted",
    "nops",
    "proposed_entries",
    "decided",
    "learned_by_told",
    "learned",
    "skipped_repetitions",
    "forwarded",
    "wanted_sent",
    "retransmissions",
    "asked",
    "served",
    "nacks_sent",
    "nacks_received",
    "truncated_sent",
    "truncated_received",
    "images_installed",
    "ignored_stale",
    "ignored_not_leading",
    "refused_pipeline_full",
    "refused_malformed_frame",
    "refused_malformed_block",
    "refused_wrong_group",
    "refused_wrong_epoch",
    "refused_unknown_type",
    "refused_not_the_ballots_owner",
    "refused_contradicts_vote",
    "refused_contradicts_decision",
    "refused_too_far_ahead",
    "refused_never_asked",
    "refused_last_ballot",
    "refused_storage_full",
    "refused_turn_full",
    "refused_not_voting",
    "refused_peer_forgot",
    "reads_answered",
    "read_rounds",
    "reads_by_lease",
    "reads_not_leader",
    "pre_votes",
    "pre_votes_with_leader",
    "quorum_lost",
    "ballots_leased",
};

}  // namespace epaxos::compare::multipaxos
