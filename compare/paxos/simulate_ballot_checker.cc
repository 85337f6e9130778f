#include "compare/paxos/simulate_ballot_checker.h"

#include <algorithm>
#include <cstring>

namespace epaxos::compare::paxos {

std::uint64_t hash_of(ReplicaId proposer, Bytes block) {
  std::uint64_t hash = mix64(block.size() * kReplicasMax + proposer.value());
  while (!block.empty()) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min(block.size(), sizeof word);
    std::memcpy(&word, block.data(), taken);
    hash = mix64(hash ^ word);
    block = block.subspan(taken);
  }
  return hash;
}

/// The first few of each kind tell enough.
void BallotChecker::wrong(ReplicaId from, Slot slot, const char* what) {
  if (++of_kind_[what] > 3) return;
  violations_.push_back(to_string(from) + " said of slot " + std::to_string(slot.value()) + ": " +
                        what);
}

void BallotChecker::proposed(ReplicaId from, Slot slot, Ballot ballot, std::uint64_t value) {
  Ballots& known = ballots_[{slot, ballot}];
  if (known.has_value && known.value != value) {
    wrong(from, slot, "another value at a ballot that has one");
  }
  known.value = value;
  known.has_value = true;
  const auto chosen = chosen_.find(slot);
  if (chosen != chosen_.end() && chosen->second != value && quorums_.chooses(known.voted)) {
    wrong(from, slot, "two values are chosen");
  }
}

void BallotChecker::promised(ReplicaId from, Ballot ballot) {
  Promised& promised = promised_[from];
  if (promised.event != event_) promised = {event_, promised.highest, promised.highest};
  promised.highest = std::max(promised.highest, ballot);
}

void BallotChecker::reported(ReplicaId from, Slot slot, Ballot ballot, Ballot last) {
  if (last > ballot) wrong(from, slot, "a vote above the promise");
  const auto told = voted_.find({from, slot});
  if (told != voted_.end() && told->second < ballot && last < told->second) {
    wrong(from, slot, "a promise that forgets a vote");
  }
}

void BallotChecker::voted(ReplicaId from, Slot slot, Ballot ballot) {
  const Promised& promised = promised_[from];
  const Ballot told = promised.event == event_ ? promised.before : promised.highest;
  if (ballot < told) wrong(from, slot, "a vote below its promise");
  Ballot& highest = voted_[{from, slot}];
  highest = std::max(highest, ballot);
  Ballots& known = ballots_[{slot, ballot}];
  known.voted.add(from);
  if (known.has_value && quorums_.chooses(known.voted)) chosen(from, slot, known.value);
}

void BallotChecker::chosen(ReplicaId from, Slot slot, std::uint64_t value) {
  const auto [at, is_new] = chosen_.try_emplace(slot, value);
  if (!is_new && at->second != value) wrong(from, slot, "another value is chosen");
}

}  // namespace epaxos::compare::paxos
