#pragma once

// Holds what replicas say about ballots and votes against what Paxos rests on: one value a ballot,
// one chosen value a decision, no vote below a promise, in all lives, and no promise or vote that
// is told before it is on disk. Knows votes only by hashes of their values; who decodes messages
// is the protocol's part. Source: reliability.md 3.7 (C10, C11).

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "compare/paxos/quorums.h"
#include "deps/types/bytes.h"
#include "deps/types/ids.h"

namespace epaxos::compare::paxos {

/// What is voted on, as far as equality goes.
std::uint64_t hash_of(ReplicaId proposer, Bytes block);

class BallotChecker {
 public:
  explicit BallotChecker(const Quorums& quorums) : quorums_(quorums) {}

  /// What is said from now on leaves in another turn than what was said before. Within a turn the
  /// order of bundles says nothing about the order of events.
  void at(std::uint64_t event) { event_ = event; }

  /// "Vote for this value", or a vote for it.
  void proposed(ReplicaId from, Slot slot, Ballot ballot, std::uint64_t value);
  /// "I have voted": then the value counts as chosen as soon as a quorum has said so.
  void voted(ReplicaId from, Slot slot, Ballot ballot);
  /// "I vote at no lower ballot any more."
  void promised(ReplicaId from, Ballot ballot);
  /// "I last voted at this ballot", in a promise at `ballot`; kInitialBallot: never.
  void reported(ReplicaId from, Slot slot, Ballot ballot, Ballot last);
  /// "This is chosen."
  void chosen(ReplicaId from, Slot slot, std::uint64_t value);
  void wrong(ReplicaId from, Slot slot, const char* what);

  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Ballots {
    std::uint64_t value = 0;
    bool has_value = false;
    ReplicaSet voted;
  };

  struct Promised {
    std::uint64_t event = 0;
    Ballot before;  ///< The highest that was told in earlier events.
    Ballot highest;
  };

  Quorums quorums_;
  std::uint64_t event_ = 0;
  std::map<std::pair<Slot, Ballot>, Ballots> ballots_;
  std::map<Slot, std::uint64_t> chosen_;
  std::map<ReplicaId, Promised> promised_;
  std::map<std::pair<ReplicaId, Slot>, Ballot> voted_;  // The highest.
  std::map<std::string, int> of_kind_;
  std::vector<std::string> violations_;
};

}  // namespace epaxos::compare::paxos
