#pragma once

// One proposer of one decision. It opens a ballot with the promises of a phase-1 quorum, and then
// may propose its own value only if none of them tells of a vote: else it proposes the value that
// was voted for at the highest ballot. Source: Lamport, "Paxos Made Simple", 2.2 (P2c) and 2.3.

#include <optional>
#include <utility>

#include "compare/paxos/acceptor.h"
#include "compare/paxos/learner.h"
#include "compare/paxos/quorums.h"
#include "deps/types/check.h"
#include "deps/types/ids.h"
#include "deps/types/mutant.h"

namespace epaxos::compare::paxos {

/// The lowest ballot of this replica above `heard`. No two replicas share one.
inline Ballot next_ballot(Ballot heard, ReplicaId self) {
  return {heard.round + 1, mutant(Mutant::kBallotsWithoutReplica) ? ReplicaId() : self};
}

/// Whether `ballot` is one of this replica's.
inline bool owns(ReplicaId replica, Ballot ballot) {
  if (ballot == kInitialBallot) return false;
  return ballot.replica == replica || mutant(Mutant::kBallotsWithoutReplica);
}

/// P2c: of what a phase-1 quorum has voted for, the value of the highest ballot.
template <class Value>
void keep_highest(std::optional<Vote<Value>>& highest, Vote<Value> vote) {
  if (highest && (vote.ballot <= highest->ballot || mutant(Mutant::kAdoptsFirstVote))) return;
  highest = std::move(vote);
}

template <class Value>
class Proposer {
 public:
  enum class Stage {
    kIdle,
    kPreparing,  ///< Counting promises.
    kAccepting,  ///< Counting votes.
  };

  Proposer(ReplicaId self, const Quorums& quorums) : self_(self), quorums_(quorums) {}

  /// Begins with the lowest ballot of its own above `heard`, and returns it. It must be promised,
  /// durably, by its own acceptor before anybody hears of it, so that it is never used again.
  Ballot start(Ballot heard) {
    ballot_ = next_ballot(heard, self_);
    stage_ = Stage::kPreparing;
    promised_ = {};
    highest_.reset();
    proposed_.reset();
    learner_ = {};
    return ballot_;
  }

  /// A promise, with the last vote of its acceptor. True: the ballot is open, now.
  bool on_promise(ReplicaId from, Ballot ballot, const std::optional<Vote<Value>>& vote) {
    if (stage_ != Stage::kPreparing || ballot != ballot_) return false;
    count(promised_, from);
    if (vote) keep_highest(highest_, *vote);
    return quorums_.opens(promised_);
  }

  /// What is to be proposed: the adopted value, else `own`. Nothing: there is none, and the ballot
  /// is over. Precondition: the ballot is open.
  const std::optional<Value>& choose(const std::optional<Value>& own) {
    check(stage_ == Stage::kPreparing && quorums_.opens(promised_), "the ballot is not open");
    proposed_ = own;
    if (highest_) proposed_ = highest_->value;
    stage_ = proposed_ ? Stage::kAccepting : Stage::kIdle;
    return proposed_;
  }

  /// A vote for what was proposed. True: it is chosen, now.
  bool on_accepted(ReplicaId from, Ballot ballot) {
    if (stage_ != Stage::kAccepting || ballot != ballot_) return false;
    return learner_.note(from, ballot, quorums_);
  }

  /// Somebody has promised a higher ballot, or the decision is known.
  void stop() { stage_ = Stage::kIdle; }

  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] Ballot ballot() const { return ballot_; }
  [[nodiscard]] bool adopted() const { return highest_.has_value(); }
  /// The value of this ballot, once it is proposed.
  [[nodiscard]] const std::optional<Value>& proposed() const { return proposed_; }
  /// Who has answered in this stage.
  [[nodiscard]] ReplicaSet answered() const {
    return stage_ == Stage::kAccepting ? learner_.voted() : promised_;
  }

 private:
  ReplicaId self_;
  Quorums quorums_;
  Stage stage_ = Stage::kIdle;
  Ballot ballot_;
  ReplicaSet promised_;
  std::optional<Vote<Value>> highest_;  // Among the promises.
  std::optional<Value> proposed_;
  Learner learner_;
};

}  // namespace epaxos::compare::paxos
