// What an acceptor does: it promises in the whole log at once, and votes slot by slot.

#include <algorithm>

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {
namespace {

/// Bytes of entries after which a promise goes on in another part.
constexpr std::size_t kPartBytes = 256 * 1024;

}  // namespace

void MultiPaxosCore::nack(ReplicaId to, Ballot heard, Ballot promised, Effects& out) {
  add(Count::kNacksSent);
  send(ReplicaSet::only(to), Nack{heard, promised}, out);
}

/// This disk has lost what others were told. Whatever it promises from now on is worth nothing,
/// also after a restart; it still learns and answers.
void MultiPaxosCore::on_forgot(Effects& out) {
  if (memory_lost_ || config_.unsafe_rejoin || mutant(Mutant::kForgetfulVotes)) return;
  memory_lost_ = true;
  voting_ = false;
  put(RecordKind::kMemoryLost, {}, out);
  if (role_ != Role::kFollower) step_down(out.now);
}

void MultiPaxosCore::on_prepare(ReplicaId from, const Prepare& message, Effects& out) {
  if (!paxos::owns(from, message.ballot)) return add(Count::kNotTheBallotsOwner);
  heard_ = std::max(heard_, message.ballot);
  if (storage_full_) return add(Count::kStorageFull);
  if (!voting_) return add(Count::kNotVoting);
  // Whoever prepares asks again, and leases end.
  if (is_leased_to_another(from, out.now)) return add(Count::kBallotsLeased);
  // What is promised here is promised in every slot, also in those that nobody has heard of.
  paxos::Acceptor<Value> any_slot(promised_, std::nullopt);
  switch (any_slot.prepare(message.ballot)) {
    case paxos::Answer::kNew:
      promised_ = any_slot.promised();
      if (!mutant(Mutant::kPromiseNotDurable)) {
        put(RecordKind::kPromise, encode(Prepare{promised_, Slot(1)}, out), out);
      }
      if (role_ != Role::kFollower) step_down(out.now);
      // Whoever prepares has its turn: answers that are still on their way must not end it, and
      // nobody else is told that a leader is missed.
      note_leader(out.now);
      election_due_ = out.now + election_patience();
      [[fallthrough]];
    case paxos::Answer::kRepeated:
      return send_promise(from, message, out);
    default:
      return nack(from, message.ballot, promised_, out);
  }
}

void MultiPaxosCore::send_promise(ReplicaId to, const Prepare& message, Effects& out) {
  Promise promise{message.ballot, message.from, Promise::kThroughAll, decided_up_to_, floor(), {}};
  std::size_t bytes = 0;
  for (Slot slot = std::max(message.from, decided_up_to_.next()); slot <= log_.last();
       slot = slot.next()) {
    const Bytes encoded = log_.encoded(slot);
    if (encoded.empty()) continue;
    promise.votes.push_back({slot, log_.entry(slot), encoded});
    bytes += encoded.size();
    if (bytes < kPartBytes || slot == log_.last()) continue;
    promise.through = slot;
    add(Count::kPromiseParts);
    break;
  }
  send(ReplicaSet::only(to), promise, out);
}

/// Whether somebody leads at this ballot as far as this replica may know; then it follows.
bool MultiPaxosCore::follow(ReplicaId from, Ballot ballot, Effects& out) {
  if (!paxos::owns(from, ballot)) {
    add(Count::kNotTheBallotsOwner);
    return false;
  }
  heard_ = std::max(heard_, ballot);
  const Ballot highest = std::max(promised_, told_.ballot);
  if (ballot < highest && !mutant(Mutant::kAcceptIgnoresPromise)) {
    nack(from, ballot, highest, out);
    return false;
  }
  if (role_ != Role::kFollower) step_down(out.now);
  if (ballot > told_.ballot) {
    told_ = {ballot, {}, {}};
    own_.begin_again(out.now);
    reads_.begin_again();
  }
  attempts_ = 0;
  note_leader(out.now);
  election_due_ = out.now + election_patience();
  return true;
}

void MultiPaxosCore::on_heartbeat(ReplicaId from, const Heartbeat& message, Effects& out) {
  if (!follow(from, message.ballot, out)) return;
  told_.decided_up_to = std::max(told_.decided_up_to, message.decided_up_to);
  told_.last = std::max(told_.last, message.last);
  advance();
  if (message.sent_at > 0) answer_heartbeat(from, message, out);
}

void MultiPaxosCore::on_accept(ReplicaId from, const Accept& message, Effects& out) {
  if (!follow(from, message.ballot, out)) return;
  told_.decided_up_to = std::max(told_.decided_up_to, message.decided_up_to);
  advance();    // How far votes may go depends on it.
  Slot run;     // The first slot of a row of votes; 0: none.
  Slot missed;  // The first one that is decided here, and not by such a vote; 0: none.
  Slot last = message.first;
  for_each_entry(message.first, message.entries, n_,
                 [&](Slot slot, const Entry& entry, Bytes encoded) {
                   last = slot;
                   const bool voted = vote(slot, entry, encoded, out);
                   if (!voted && slot <= decided_up_to_ && missed == Slot()) missed = slot;
                   if (voted && run == Slot()) run = slot;
                   if (voted || run == Slot()) return;
                   tell_votes(from, message.ballot, run, Slot(slot.value() - 1), out);
                   run = Slot();
                 });
  told_.last = std::max(told_.last, last);
  if (run > Slot()) tell_votes(from, message.ballot, run, last, out);
  // Who proposes what is decided here has not heard of it.
  if (missed > message.decided_up_to &&
      !send_decided(from, missed, std::min(last, decided_up_to_), out)) {
    answer_truncated(from, missed, out);
  }
  advance();
}

/// Of a slot that is decided here: whether it was by a vote for this entry at its ballot. What is
/// proposed at that ballot or a higher one is the same everywhere.
bool MultiPaxosCore::has_voted(Slot slot, const Entry& entry) {
  const std::optional<paxos::Vote<Value>> known = vote_at(slot);
  if (!known) return false;
  const Ballot ballot = Ballot::from_packed(entry.round);
  const bool differs = known->value != Value{entry.origin, entry.block};
  if (differs && ballot >= known->ballot) {
    add(ballot > known->ballot ? Count::kContradictsDecision : Count::kContradictsVote);
    return false;
  }
  return ballot == known->ballot;
}

/// Whether this replica has voted for the entry at its ballot, now or before.
bool MultiPaxosCore::vote(Slot slot, const Entry& entry, Bytes encoded, Effects& out) {
  if (slot <= decided_up_to_) return has_voted(slot, entry);
  if (storage_full_) return add(Count::kStorageFull), false;
  if (!voting_) return add(Count::kNotVoting), false;
  if (slot.value() > decided_up_to_.value() + span()) return add(Count::kTooFarAhead), false;
  paxos::Acceptor<Value> acceptor(promised_, vote_at(slot));
  switch (acceptor.accept(Ballot::from_packed(entry.round), {entry.origin, entry.block})) {
    case paxos::Answer::kNew:
      promised_ = acceptor.promised();
      log_.set(slot, encoded);
      if (!mutant(Mutant::kAcceptOkBeforeDurable)) records_.put(slot, out.append(encoded), out);
      return true;
    case paxos::Answer::kRepeated:
      return true;
    case paxos::Answer::kRefused:
      return false;
    case paxos::Answer::kContradicts:
      return add(Count::kContradictsVote), false;
  }
  return false;
}

void MultiPaxosCore::tell_votes(ReplicaId leader, Ballot ballot, Slot first, Slot last,
                                Effects& out) {
  const ReplicaSet to = options_.learn_from_all ? others_ : ReplicaSet::only(leader);
  send(to, Accepted{ballot, first, last}, out);
  if (options_.learn_from_all) awaits_durable_.push_back({out.batch, ballot, first, last});
}

}  // namespace epaxos::compare::multipaxos
