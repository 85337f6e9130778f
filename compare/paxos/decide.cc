// The two phases: who may propose at a ballot, and what is chosen. Source: Lamport, "Paxos Made
// Simple", 2.2 and 2.3.

#include <algorithm>

#include "compare/paxos/core.h"

namespace epaxos::compare::paxos {

using Stage = Proposer<Value>::Stage;

void PaxosCore::start_ballot(Effects& out) {
  propose_due_ = out.now + patience();
  const Ballot highest = std::max(heard_, acceptor_.promised());
  // A peer may have claimed the last one: what lies beyond it nobody would understand.
  if (highest.round >= kBallotRoundMax) return add(Count::kLastBallot);
  const Ballot ballot = proposer_.start(highest);
  heard_ = ballot;
  add(Count::kBallotsStarted);
  const Answer answer = acceptor_.prepare(ballot);
  check(answer == Answer::kNew, "a ballot above all that were heard of was promised before");
  put(RecordKind::kPromise, encode(Prepare{ballot}, out), out);
  awaits_durable_.push_back({out.batch, false, ballot});
  // Gated: a ballot that others have heard of is one that this replica will never use again.
  send(others_, Prepare{ballot}, out);
}

bool PaxosCore::may_answer(ReplicaId from, Ballot ballot, Effects& out) {
  const bool is_owner = owns(from, ballot);
  if (is_owner) heard_ = std::max(heard_, ballot);
  if (!is_owner) {
    add(Count::kNotTheBallotsOwner);
  } else if (chosen_) {
    send(ReplicaSet::only(from), Chosen{chosen_->view()}, out);
  } else if (storage_full_) {
    add(Count::kStorageFull);
  } else if (!voting_) {
    add(Count::kNotVoting);
  } else {
    return true;
  }
  return false;
}

void PaxosCore::on_prepare(ReplicaId from, const Prepare& message, Effects& out) {
  if (!may_answer(from, message.ballot, out)) return;
  switch (acceptor_.prepare(message.ballot)) {
    case Answer::kNew:
      if (!mutant(Mutant::kPromiseNotDurable)) {
        put(RecordKind::kPromise, encode(message, out), out);
      }
      give_way(message.ballot, out.now);
      [[fallthrough]];
    case Answer::kRepeated: {
      Promise promise{message.ballot, kInitialBallot, {}};
      if (const auto& vote = acceptor_.vote()) {
        const bool mixed = mutant(Mutant::kOneBallotVariable);
        promise.accepted_ballot = mixed ? acceptor_.promised() : vote->ballot;
        promise.value = vote->value.view();
      }
      return send(ReplicaSet::only(from), promise, out);
    }
    default:
      add(Count::kNacksSent);
      return send(ReplicaSet::only(from), Nack{message.ballot, acceptor_.promised()}, out);
  }
}

void PaxosCore::on_promise(ReplicaId from, const Promise& message, Effects& out) {
  if (!owns(self_, message.ballot)) return add(Count::kNotTheBallotsOwner);
  std::optional<Vote<Value>> vote;
  if (message.accepted_ballot > kInitialBallot) {
    vote = Vote<Value>{message.accepted_ballot, Value(message.value)};
  }
  if (proposer_.stage() != Stage::kPreparing || message.ballot != proposer_.ballot()) {
    return add(Count::kStale);
  }
  open_if_promised(proposer_.on_promise(from, message.ballot, vote), out);
}

void PaxosCore::open_if_promised(bool open, Effects& out) {
  if (!open || storage_full_) return;  // The promises come again when they are asked for again.
  const std::optional<Value>& value = proposer_.choose(candidate_);
  if (!value) return;
  const Ballot ballot = proposer_.ballot();
  if (proposer_.adopted()) add(Count::kAdopted);
  if (acceptor_.accept(ballot, *value) != Answer::kNew) return proposer_.stop();
  put(RecordKind::kVote, encode(Accept{ballot, value->view()}, out), out);
  awaits_durable_.push_back({out.batch, true, ballot});
  // At once: the promise at this ballot is on disk here, as nobody has heard of the ballot before.
  // After a crash this replica proposes at higher ballots only, so that no other value can ever
  // stand at this one; and its own vote counts only in durable().
  send(others_, Accept{ballot, value->view()}, out, Release::kNow);
  propose_due_ = out.now + patience();
}

void PaxosCore::on_accept(ReplicaId from, const Accept& message, Effects& out) {
  if (!may_answer(from, message.ballot, out)) return;
  switch (acceptor_.accept(message.ballot, Value(message.value))) {
    case Answer::kNew:
      if (!mutant(Mutant::kAcceptOkBeforeDurable)) {
        put(RecordKind::kVote, encode(message, out), out);
      }
      give_way(message.ballot, out.now);
      [[fallthrough]];
    case Answer::kRepeated:
      return send(ReplicaSet::only(from), Accepted{message.ballot}, out);
    case Answer::kRefused:
      add(Count::kNacksSent);
      return send(ReplicaSet::only(from), Nack{message.ballot, acceptor_.promised()}, out);
    case Answer::kContradicts:
      return add(Count::kContradictsVote);
  }
}

void PaxosCore::on_accepted(ReplicaId from, const Accepted& message, Effects& out) {
  if (!owns(self_, message.ballot)) return add(Count::kNotTheBallotsOwner);
  if (proposer_.stage() == Stage::kPreparing && message.ballot == proposer_.ballot()) {
    return add(Count::kNeverAsked);
  }
  if (proposer_.stage() != Stage::kAccepting || message.ballot != proposer_.ballot()) {
    return add(Count::kStale);
  }
  decide_if_chosen(proposer_.on_accepted(from, message.ballot), out);
}

void PaxosCore::decide_if_chosen(bool chosen, Effects& out) {
  if (!chosen) return;
  add(Count::kDecided);
  const Value value = *proposer_.proposed();
  // At once: it can be found again by what the quorum has on disk.
  send(others_, Chosen{value.view()}, out, Release::kNow);
  decide(value, out);
}

void PaxosCore::on_nack(const Nack& message, Tick now) {
  if (!owns(self_, message.heard)) return add(Count::kNotTheBallotsOwner);
  add(Count::kNacksReceived);
  if (proposer_.stage() == Stage::kIdle || message.heard != proposer_.ballot()) {
    return add(Count::kStale);
  }
  ++attempts_;
  give_way(message.promised, now);
}

/// Somebody else proposes at this ballot, and is given the time to end it.
void PaxosCore::give_way(Ballot to, Tick now) {
  heard_ = std::max(heard_, to);
  if (proposer_.stage() != Stage::kIdle && proposer_.ballot() < to) {
    add(Count::kBallotsGivenUp);
    proposer_.stop();
  }
  if (wants_to_propose()) propose_due_ = now + patience();
}

void PaxosCore::resend(Effects& out) {
  add(Count::kRetransmissions);
  const ReplicaSet silent = others_.without(proposer_.answered());
  if (proposer_.stage() == Stage::kPreparing) {
    send(silent, Prepare{proposer_.ballot()}, out);
    // All but the disk may have been there.
    open_if_promised(quorums_.opens(proposer_.answered()), out);
  } else {
    send(silent, Accept{proposer_.ballot(), proposer_.proposed()->view()}, out, Release::kNow);
  }
  propose_due_ = out.now + patience();
}

/// This disk has lost what others were told. Whatever it promises from now on is worth nothing,
/// also after a restart; it still learns.
void PaxosCore::on_forgot(Effects& out) {
  if (memory_lost_ || config_.unsafe_rejoin || mutant(Mutant::kForgetfulVotes)) return;
  memory_lost_ = true;
  voting_ = false;
  put(RecordKind::kMemoryLost, {}, out);
  proposer_.stop();
  propose_due_ = kNever;
}

void PaxosCore::on_chosen(const Chosen& message, Effects& out) {
  const Value value(message.value);
  if (chosen_) {
    if (*chosen_ != value) add(Count::kContradictsDecision);
  } else if (storage_full_) {
    add(Count::kStorageFull);
  } else {
    decide(value, out);
  }
}

void PaxosCore::decide(const Value& value, Effects& out) {
  chosen_ = value;
  proposer_.stop();
  propose_due_ = ask_due_ = kNever;
  put(RecordKind::kChosen, encode(Chosen{value.view()}, out), out);
  settle_candidate(out);
}

void PaxosCore::settle_candidate(Effects& out) {
  if (!candidate_) return;
  std::vector<Command> commands;
  decode_block_commands(candidate_->block, commands);
  for (const Command& command : commands) settle(command.id, out);
  candidate_.reset();
}

}  // namespace epaxos::compare::paxos
