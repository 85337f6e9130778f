#pragma once

// Everything the core counts: what it did, and each reason why it ignored something.

#include <cstdint>

#include "epaxos/contract/counters.h"

namespace epaxos::compare::paxos {

enum class Count : std::uint8_t {
  kBallotsStarted,
  kBallotsGivenUp,  ///< For a higher one of somebody else.
  kAdopted,         ///< Ballots at which the value of an earlier one was proposed.
  kDecided,         ///< By this replica as a proposer.
  kRetransmissions,
  kAsked,
  kNacksSent,
  kNacksReceived,
  kRejectedOther,   ///< Commands: another value was being decided.
  kRejectedChosen,  ///< Commands: another value was chosen.
  kStale,           ///< An answer to what is over: normal.
  kMalformedFrame,
  kWrongGroup,
  kWrongEpoch,
  kUnknownType,
  kNotTheBallotsOwner,   ///< Somebody spoke at a ballot of somebody else.
  kContradictsVote,      ///< Another value at a ballot that was voted at.
  kContradictsDecision,  ///< Another decision than the one known.
  kNeverAsked,           ///< An answer to what this replica never said.
  kLastBallot,           ///< No ballot, as none is left.
  kStorageFull,          ///< Dropped because nothing can be made durable now.
  kNotVoting,            ///< A vote was asked of a replica that must not vote.
  kPeerForgot,           ///< A message of a replica whose disk has lost promises.
  kCount,
};

using Counters = CounterSet<Count>;

inline constexpr Counters::Names kCountNames{
    "ballots_started",
    "ballots_given_up",
    "adopted",
    "decided",
    "retransmissions",
    "asked",
    "nacks_sent",
    "nacks_received",
    "rejected_other",
    "rejected_chosen",
    "ignored_stale",
    "refused_malformed_frame",
    "refused_wrong_group",
    "refused_wrong_epoch",
    "refused_unknown_type",
    "refused_not_the_ballots_owner",
    "refused_contradicts_vote",
    "refused_contradicts_decision",
    "refused_never_asked",
    "refused_last_ballot",
    "refused_storage_full",
    "refused_not_voting",
    "refused_peer_forgot",
};

}  // namespace epaxos::compare::paxos
