#pragma once

// One acceptor of one decision: what it has promised, and what it last voted for. Both are durable
// before anybody is told. The two ballots are two variables: a promise says nothing about a vote.
// Source: Lamport, "Paxos Made Simple", 2.2 (P1a) and 2.3.

#include <optional>
#include <utility>

#include "deps/types/check.h"
#include "deps/types/ids.h"
#include "deps/types/mutant.h"

namespace epaxos::compare::paxos {

/// "At this ballot I voted for this value."
template <class Value>
struct Vote {
  Ballot ballot;
  Value value;

  friend bool operator==(const Vote&, const Vote&) = default;
};

/// What a request changed. kNew: the new state must be durable before the answer is told.
enum class Answer {
  kNew,
  kRepeated,     ///< It was answered like this before.
  kRefused,      ///< A higher ballot is promised.
  kContradicts,  ///< Another value at a ballot that has one: no honest proposer says that.
};

template <class Value>
class Acceptor {
 public:
  Acceptor() = default;
  /// As it was before a restart. Precondition: the vote is at no higher ballot than the promise.
  Acceptor(Ballot promised, std::optional<Vote<Value>> vote)
      : promised_(promised), vote_(std::move(vote)) {
    check(!vote_ || vote_->ballot <= promised_, "a vote above the promise");
  }

  /// "Vote at no lower ballot any more, and say what you last voted for."
  Answer prepare(Ballot ballot) {
    if (ballot < promised_) return Answer::kRefused;
    if (ballot == promised_) return Answer::kRepeated;
    promised_ = ballot;
    return Answer::kNew;
  }

  /// "Vote for this value." Precondition: `ballot` is not the initial one, at which nobody votes.
  Answer accept(Ballot ballot, Value value) {
    check(ballot > kInitialBallot, "a vote at the ballot that means none");
    if (ballot < promised_ && !mutant(Mutant::kAcceptIgnoresPromise)) return Answer::kRefused;
    if (vote_ && vote_->ballot == ballot) {
      return vote_->value == value ? Answer::kRepeated : Answer::kContradicts;
    }
    promised_ = ballot;
    vote_ = Vote<Value>{ballot, std::move(value)};
    return Answer::kNew;
  }

  [[nodiscard]] Ballot promised() const { return promised_; }
  [[nodiscard]] const std::optional<Vote<Value>>& vote() const { return vote_; }

 private:
  Ballot promised_;
  std::optional<Vote<Value>> vote_;
};

}  // namespace epaxos::compare::paxos
