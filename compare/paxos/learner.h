#pragma once

// Who has told of a vote at one ballot of one decision. The value of a ballot is chosen when a
// phase-2 quorum has voted at that ballot; votes at different ballots do not add up, whatever they
// are for. Source: Lamport, "Paxos Made Simple", 2.3.

#include "compare/paxos/quorums.h"
#include "deps/types/ids.h"
#include "deps/types/mutant.h"

namespace epaxos::compare::paxos {

class Learner {
 public:
  /// Notes that `from` has voted at `ballot`. True: now, and not before, the value of this ballot
  /// is known to be chosen. Only the highest ballot that was mentioned is counted.
  bool note(ReplicaId from, Ballot ballot, const Quorums& quorums) {
    if (ballot < ballot_) return false;
    if (ballot > ballot_) {
      if (!mutant(Mutant::kLearnerMixesBallots)) voted_ = {};
      ballot_ = ballot;
    }
    const bool was_chosen = quorums.chooses(voted_);
    count(voted_, from);
    return !was_chosen && quorums.chooses(voted_);
  }

  [[nodiscard]] Ballot ballot() const { return ballot_; }
  /// Who has voted at ballot().
  [[nodiscard]] ReplicaSet voted() const { return voted_; }

 private:
  Ballot ballot_;
  ReplicaSet voted_;
};

}  // namespace epaxos::compare::paxos
