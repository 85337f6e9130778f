// Recovery: when the owner of an instance is gone, somebody else closes its first round with a
// higher ballot, finds out what may have been decided, and finishes. Source: protocol.md 7.1-7.4.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

constexpr unsigned kRecoveryBackoff = 12;
/// An attempt waits no longer than this, and as long again by chance, however often it began.
constexpr Tick kPatienceMax = 16'000'000;
/// Looks at what recoveries have due, within the time after which they ask again.
constexpr Tick kLooksAQuestion = 8;
constexpr unsigned kSuspicionDoublings = 12;
/// Suspicion takes no longer than this, however often it was wrong.
constexpr Tick kSuspicionMax = 10'000'000;
/// The time after which one wrong suspicion less counts.
constexpr Tick kSuspicionFades = 60'000'000;

constexpr std::array<Count, kRecoveryCases> kCaseCounts{
    Count::kRecoveryC1, Count::kRecoveryC2, Count::kRecoveryC3, Count::kRecoveryC4,
    Count::kRecoveryC5, Count::kRecoveryV1, Count::kRecoveryV2, Count::kRecoveryV3,
    Count::kRecoveryV4, Count::kRecoveryV5, Count::kRecoveryV6, Count::kRecoveryV7};

}  // namespace

// --- When and who. 7.1 -------------------------------------------------------------------------

/// Those that have not faded.
unsigned EpaxosCore::wrong_suspicions(ReplicaId replica, Tick now) const {
  const Peer& peer = peers_[replica.value()];
  const Tick faded = (now - peer.suspected_at) / kSuspicionFades;
  return peer.wrongly_suspected -
         static_cast<unsigned>(std::min<Tick>(faded, peer.wrongly_suspected));
}

/// Doubles each time that a suspected owner answered its recoverer after all: a time that is too
/// short for the network would turn every instance of a live owner into a Nop, again and again. One
/// doubling fades after the other, so that who was slow once is not waited for when it is gone.
Tick EpaxosCore::suspicion_us(ReplicaId replica, Tick now) const {
  const unsigned times = wrong_suspicions(replica, now);
  const Tick longest = std::max(config_.suspicion_us, kSuspicionMax);
  return std::min(config_.suspicion_us << times, longest);
}

/// The owner answers a recovery of its row; the many instances of a row that were suspected
/// together count once.
void EpaxosCore::note_wrong_suspicion(ReplicaId replica, Tick now) {
  Peer& peer = peers_[replica.value()];
  const Tick current = suspicion_us(replica, now);
  if (peer.wrongly_suspected > 0 && peer.suspected_at + current > now) return;
  peer.wrongly_suspected = std::min(wrong_suspicions(replica, now) + 1, kSuspicionDoublings);
  peer.suspected_at = now;
}

bool EpaxosCore::suspected(ReplicaId replica, Tick now) const {
  const Peer& peer = peers_[replica.value()];
  return !peer.votes ||
         (peer.asked_at != kNever && peer.asked_at + suspicion_us(replica, now) <= now);
}

/// Called again and again while the row has undecided instances that were asked about.
void EpaxosCore::consider_recovery(ReplicaId row, const RowQuestion& question, Effects& out) {
  if (!voting_ || storage_full_ || n_ == 1 || out.now < question.recover_not_before) return;
  if (row == self_) {
    // What somebody else has begun to recover, and not finished. The owner's answer to itself makes
    // it a Nop unless somebody voted (C3), and the commands are proposed again (G8).
    if (question.attempts >= 2) recover_row(row, out);
    return;
  }
  if (mutant(Mutant::kBlockedNeverRecovers) || !suspected(row, out.now)) return;
  // One after the other in a fixed rotation, so that usually one recovers and the others watch.
  const auto position = static_cast<Tick>((self_.value() + n_ - row.value()) % n_ - 1);
  const Tick asked_at = peers_[row.value()].asked_at;
  const Tick since = std::max(question.head_since, asked_at == kNever ? Tick{0} : asked_at);
  const Tick stagger = mutant(Mutant::kNoBackOff) ? 0 : config_.recovery_stagger_us;
  if (since + suspicion_us(row, out.now) + position * stagger <= out.now) recover_row(row, out);
}

void EpaxosCore::recover_row(ReplicaId row, Effects& out) {
  const RowState& state = instances_.row(row);
  const Peer& owner = peers_[row.value()];
  const bool is_silent = owner.asked_at != kNever;
  const RecoveryReason reason = row == self_  ? RecoveryReason::kRoundClosed
                                : owner.votes ? RecoveryReason::kOwnerSilent
                                              : RecoveryReason::kOwnerMayNotVote;
  const Tick silent_us = is_silent ? out.now - owner.asked_at : 0;
  for (Slot slot = state.committed_up_to.next(); slot <= state.highest_known; slot = slot.next()) {
    if (recoveries_.size() >= config_.recoveries_max || is_full(out)) return;
    const InstanceId id{row, slot};
    Instance* const instance = admit(id);
    if (instance == nullptr) return;
    if (instance->decided() || instance->progress != Instance::kNoProgress) continue;
    if (recoveries_.contains(id)) continue;
    histories_.recovering(id, reason, silent_us, out.now);
    start_recovery(id, *instance, recoveries_[id], out);
  }
}

Tick EpaxosCore::random_below(Tick limit) {
  random_ = mix64(random_);
  return limit == 0 ? 0 : random_ % limit;
}

/// Grows with the attempts and differs from replica to replica, so that competing recoverers end.
Tick EpaxosCore::recovery_patience(unsigned attempts) {
  if (mutant(Mutant::kNoBackOff)) return 1;
  const Tick grown = config_.recovery_timeout_us << std::min(attempts, kRecoveryBackoff);
  const Tick least = std::min(grown, std::max(kPatienceMax, config_.recovery_timeout_us));
  return least + random_below(least);
}

/// All recoveries are looked at together, and not before some time has passed: each has times of
/// its own, and a turn for every one of them would keep a processor busy with looking at all the
/// others.
void EpaxosCore::recoveries_due(Effects& out) {
  recovery_due_ = kNever;
  const bool may_speak = voting_ && !storage_full_;
  for (auto& [id, recovery] : recoveries_) {
    if (recovery.resend_at <= out.now) {
      const bool goes_on = recovery.give_up_at > out.now;
      if (goes_on && may_speak && !is_full(out)) resend_recovery(id, recovery, out);
      recovery.resend_at = out.now + config_.question_us;
    }
    if (recovery.give_up_at <= out.now && may_speak && !is_full(out)) {
      counters_.add(Count::kRecoveriesRestarted);
      histories_.recovering_again(id);
      start_recovery(id, *instances_.find(id), recovery, out);
    }
    if (recovery.give_up_at <= out.now) recovery.give_up_at = out.now + config_.question_us;
    recovery_due_ = std::min({recovery_due_, recovery.resend_at, recovery.give_up_at});
  }
  recovery_due_ = std::max(recovery_due_, out.now + config_.question_us / kLooksAQuestion);
}

/// Asks those again who have not answered.
void EpaxosCore::resend_recovery(const InstanceId& id, const Recovery& recovery, Effects& out) {
  const Instance& instance = *instances_.find(id);
  switch (recovery.stage) {
    case RecoveryStage::kCollecting:
      return send(others_.without(recovery.answered), Recover{id, recovery.ballot}, out);
    case RecoveryStage::kValidating:
      return send(recovery.answered.without(recovery.validated).without(self_),
                  Validate{id, recovery.ballot, instance.initial_dependencies(), instance.block()},
                  out);
    case RecoveryStage::kWaiting:
      return tell_waiting(id, recovery, out);
    case RecoveryStage::kAccepting:
      return send_recovered(id, instance, others_.without(recovery.accepted), out);
    case RecoveryStage::kBackingOff:
      return;
  }
}

void EpaxosCore::back_off(Recovery& recovery, Tick now) {
  recovery.stage = RecoveryStage::kBackingOff;
  recovery.resend_at = kNever;
  recovery.give_up_at = now + recovery_patience(recovery.attempts);
  recovery_due_ = std::min(recovery_due_, recovery.give_up_at);
}

// --- The first round: promises. 7.2 and 7.3 ----------------------------------------------------

void EpaxosCore::start_recovery(const InstanceId& id, Instance& instance, Recovery& recovery,
                                Effects& out) {
  const Ballot above = std::max(instance.ballot(), recovery.highest_seen);
  const std::uint64_t round =
      above.replica < self_ && above.round > 0 ? above.round : above.round + 1;
  const unsigned attempts = recovery.attempts + 1;
  if (round > kBallotRoundMax) {  // Somebody has claimed the last ballots: nobody can go above.
    recovery.attempts = attempts;
    return back_off(recovery, out.now);
  }
  recovery = Recovery{};
  recovery.attempts = attempts;
  recovery.ballot = recovery.highest_seen = Ballot{round, self_};
  counters_.add(Count::kRecoveriesStarted);
  add_promise(self_, promise_of(id, instance, recovery.ballot), recovery);
  instance.promise(recovery.ballot);
  if (!mutant(Mutant::kPromiseNotDurable)) log_vote(id, instance, out);
  send(others_, Recover{id, recovery.ballot}, out, gated_without(Mutant::kRecoverBeforeDurable));
  recovery.resend_at = out.now + config_.question_us;
  recovery.give_up_at = out.now + recovery_patience(attempts - 1);
  recovery_due_ = std::min({recovery_due_, recovery.resend_at, recovery.give_up_at});
}

/// What this replica answers to `ballot`. Before the promise is made.
RecoverOk EpaxosCore::promise_of(const InstanceId& id, const Instance& instance,
                                 Ballot ballot) const {
  RecoverOk answer;
  answer.instance = id;
  answer.ballot = ballot;
  answer.recorded = instance.recorded();
  if (answer.recorded) answer.initial = instance.initial_dependencies();
  answer.pre_accepted = instance.pre_accepted();
  if (answer.pre_accepted) answer.pre_accept_dependencies = instance.pre_accept_dependencies();
  if (const Vote* const vote = instance.vote()) {
    answer.voted = true;
    answer.vote_nop = vote->nop;
    answer.accepted_ballot =
        mutant(Mutant::kOneBallotVariable) ? instance.ballot() : vote->accepted_ballot;
    if (!vote->nop) answer.vote_dependencies = vote->dependencies;
  }
  if (answer.recorded || (answer.voted && !answer.vote_nop)) answer.block = instance.block();
  return answer;
}

void EpaxosCore::on_recover(ReplicaId from, const Recover& message, Effects& out) {
  const InstanceId& id = message.instance;
  if (message.ballot == kInitialBallot || message.ballot.replica != from) {
    return counters_.add(Count::kNotTheBallotsOwner);
  }
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (answered_by_decision(from, id, out)) return;  // G3
  note_known(id);  // An own slot that was never recorded says that this disk has forgotten (13.5).
  if (!voting_) return counters_.add(Count::kNotVoting);
  Instance* const instance = admit(id);
  if (instance == nullptr) return;
  if (decides_fast(*instance)) return counters_.add(Count::kStale);  // G6
  // Whoever recovers one instance recovers the row.
  questions_[id.row.value()].recover_not_before = std::max(
      questions_[id.row.value()].recover_not_before, out.now + 2 * config_.recovery_timeout_us);

  if (message.ballot < instance->ballot()) {
    counters_.add(Count::kNacksSent);
    return send(ReplicaSet::only(from), Nack{id, message.ballot, instance->ballot()}, out);
  }
  const Vote* const vote = instance->vote();
  if (message.ballot == instance->ballot()) {
    // Again. Once it has voted at this ballot there is nothing more to promise.
    if (vote != nullptr && vote->accepted_ballot == message.ballot) {
      return counters_.add(Count::kStale);
    }
    return send(ReplicaSet::only(from), promise_of(id, *instance, message.ballot), out);
  }
  const RecoverOk answer = promise_of(id, *instance, message.ballot);
  histories_.overtaken(id, from, out.now);
  // The owner closes its own first round by this.
  release_progress(*instance);
  give_way(id, message.ballot, out.now);
  instance->promise(message.ballot);
  if (!mutant(Mutant::kPromiseNotDurable)) log_vote(id, *instance, out);
  send(ReplicaSet::only(from), answer, out);
}

// --- Its answers, and the choice. 7.4 ----------------------------------------------------------

void EpaxosCore::add_promise(ReplicaId from, const RecoverOk& message, Recovery& recovery) {
  recovery.answered.add(from);
  if (message.pre_accepted && message.pre_accept_dependencies == message.initial) {
    recovery.matched.add(from);
  }
  if (!message.voted) return;
  const bool is_highest =
      recovery.voted.size() == 0 || message.accepted_ballot > recovery.best.accepted_ballot;
  recovery.voted.add(from);
  if (!is_highest) return;
  recovery.best = {message.accepted_ballot, message.vote_nop, message.vote_dependencies};
}

/// Refuses what no replica that follows the protocol says, and keeps the payload.
bool EpaxosCore::learn_promise(const InstanceId& id, Instance& instance, const RecoverOk& message,
                               Effects& out) {
  const auto refuse = [&](Count why) {
    counters_.add(why);
    return false;
  };
  const bool forged_vote =
      message.voted && ((message.accepted_ballot >= message.ballot) ||
                        (message.vote_nop && message.accepted_ballot == kInitialBallot));
  if (forged_vote) return refuse(Count::kContradictsVote);
  if (message.pre_accepted && !message.pre_accept_dependencies.includes(message.initial)) {
    return refuse(Count::kShrinksDependencies);
  }
  const bool has_value = message.voted && !message.vote_nop;
  if (has_value && message.recorded && !message.vote_dependencies.includes(message.initial)) {
    return refuse(Count::kShrinksDependencies);
  }
  if (!message.recorded && !has_value) return true;
  const Result<Footprint> footprint = decode_block_footprint(message.block);
  if (!footprint) return refuse(Count::kMalformedBlock);
  if (message.recorded && !agrees(instance, message.initial)) {
    return refuse(Count::kContradictsRecord);
  }
  if (has_value && instance.recorded() &&
      !message.vote_dependencies.includes(instance.initial_dependencies())) {
    return refuse(Count::kShrinksDependencies);
  }
  if (!learn_payload(id, instance, message.block, *footprint)) {
    return refuse(Count::kContradictsRecord);
  }
  if (has_value) note_dependencies(message.vote_dependencies);
  if (message.recorded) record_learned(id, instance, message.initial, message.block, out);
  return true;
}

void EpaxosCore::on_recover_ok(ReplicaId from, const RecoverOk& message, Effects& out) {
  const InstanceId& id = message.instance;
  // Also when it comes too late to count: this is how a time shows that is too short.
  if (from == id.row && message.ballot.replica == self_) note_wrong_suspicion(from, out.now);
  const auto found = recoveries_.find(id);
  if (found == recoveries_.end()) return counters_.add(Count::kStale);
  Recovery& recovery = found->second;
  // An answer to an earlier attempt says nothing about this one (R26).
  const bool is_current = message.ballot == recovery.ballot ||
                          (mutant(Mutant::kOldRepliesCounted) && message.ballot < recovery.ballot);
  const bool is_open = recovery.stage == RecoveryStage::kCollecting ||
                       recovery.stage == RecoveryStage::kValidating ||
                       recovery.stage == RecoveryStage::kWaiting;
  if (!is_current || !is_open || recovery.answered.contains(from) || !voting_) {
    return counters_.add(Count::kStale);
  }
  if (storage_full_) return counters_.add(Count::kStorageFull);
  Instance& instance = *instances_.find(id);
  if (!learn_promise(id, instance, message, out)) return;
  if (!voting_) return counters_.add(Count::kNotVoting);  // It has learned what it forgot.

  if (recovery.stage != RecoveryStage::kCollecting) {
    const RecoveryStep late = after_late_promise(id.row, from, message.voted);
    if (late.action == RecoveryAction::kWait) return;
    if (message.voted) {
      recovery.best = {message.accepted_ballot, message.vote_nop, message.vote_dependencies};
    }
    return perform(late, id, instance, recovery, out);
  }
  add_promise(from, message, recovery);
  if (recovery.answered.size() < slow_quorum_size(n_)) return;
  const PromiseFacts facts{n_, id.row, recovery.answered, recovery.voted, recovery.matched};
  perform(after_promises(facts), id, instance, recovery, out);
}

void EpaxosCore::perform(const RecoveryStep& step, const InstanceId& id, Instance& instance,
                         Recovery& recovery, Effects& out) {
  // Waiting is one state, however often it is looked at again.
  const bool is_news =
      step.action != RecoveryAction::kWait || recovery.stage != RecoveryStage::kWaiting;
  if (is_news) counters_.add(kCaseCounts[static_cast<std::size_t>(step.which)]);
  switch (step.action) {
    case RecoveryAction::kNone:
      return;
    case RecoveryAction::kProposeVote: {
      const Vote best = recovery.best;
      if (!best.nop && instance.recorded() &&
          !best.dependencies.includes(instance.initial_dependencies())) {
        counters_.add(Count::kContradictsVote);
        return back_off(recovery, out.now);
      }
      return propose_recovered(id, instance, recovery, best.nop, best.dependencies, out);
    }
    case RecoveryAction::kProposeNop:
      return propose_recovered(id, instance, recovery, true, {}, out);
    case RecoveryAction::kProposeInitial:
      return propose_recovered(id, instance, recovery, false, instance.initial_dependencies(), out);
    case RecoveryAction::kValidate:
      return start_validation(id, instance, recovery, out);
    case RecoveryAction::kWait:
      return wait_for_blockers(id, recovery, out);
  }
}

void EpaxosCore::propose_recovered(const InstanceId& id, Instance& instance, Recovery& recovery,
                                   bool nop, const Dependencies& dependencies, Effects& out) {
  check(instance.ballot() == recovery.ballot, "a recovery went on below its ballot");
  recovery.stage = RecoveryStage::kAccepting;
  recovery.accepted.add(self_);
  instance.accept({recovery.ballot, nop, nop ? Dependencies{} : dependencies});
  if (!mutant(Mutant::kOwnVoteNotDurable)) log_vote(id, instance, out);
  // The prefix gate holds it until the own vote is durable, so any answer finds that vote counted.
  send_recovered(id, instance, others_, out);
}

void EpaxosCore::send_recovered(const InstanceId& id, const Instance& instance, ReplicaSet to,
                                Effects& out) const {
  const Vote& vote = *instance.vote();
  Accept accept{id, vote.accepted_ballot, vote.nop, {}, {}};
  if (!vote.nop) {
    accept.dependencies = vote.dependencies;
    accept.block = instance.block();
  }
  send(to, accept, out);
}

void EpaxosCore::on_recovered_accept_ok(ReplicaId from, const AcceptOk& message, Effects& out) {
  const InstanceId& id = message.instance;
  const auto found = recoveries_.find(id);
  if (found == recoveries_.end() || found->second.stage != RecoveryStage::kAccepting ||
      found->second.ballot != message.ballot) {
    return counters_.add(Count::kStale);
  }
  Recovery& recovery = found->second;
  recovery.accepted.add(from);
  if (recovery.accepted.size() < slow_quorum_size(n_) || storage_full_) return;
  Instance& instance = *instances_.find(id);
  const Vote vote = *instance.vote();
  counters_.add(Count::kRecovered);
  histories_.decided_by(id, DecidedBy::kRecovery, self_);
  learn_decision(id, instance, vote.nop ? nullptr : &vote.dependencies, /*log=*/true, out);
  const CommitKind kind = vote.nop ? CommitKind::kNop : CommitKind::kDependencies;
  send(others_, Commit{id, kind, vote.dependencies, {}}, out, Release::kNow);
}

void EpaxosCore::on_recovery_nack(ReplicaId from, const Nack& message, Tick now) {
  if (from == message.instance.row && message.heard.replica == self_) {
    note_wrong_suspicion(from, now);
  }
  const auto found = recoveries_.find(message.instance);
  if (found == recoveries_.end() || found->second.ballot != message.heard) return;
  Recovery& recovery = found->second;
  recovery.highest_seen = std::max(recovery.highest_seen, message.current);
  // Somebody else recovers it with a higher ballot: give it the time to finish.
  if (recovery.stage != RecoveryStage::kBackingOff) back_off(recovery, now);
}

/// Somebody else recovers it with this ballot. If that comes to nothing, the next attempt here
/// knows how many there were: recoverers who need longer than they leave each other grow patient.
void EpaxosCore::give_way(const InstanceId& id, Ballot to, Tick now) {
  const auto found = recoveries_.find(id);
  if (found == recoveries_.end()) return;
  Recovery& recovery = found->second;
  recovery.highest_seen = std::max(recovery.highest_seen, to);
  back_off(recovery, now);
}

/// The decision is known: whatever was going on about the instance is over.
void EpaxosCore::end_recovery(const InstanceId& id) {
  matches_.erase(id);
  archive_scans_.erase(id);
  const auto found = recoveries_.find(id);
  if (found != recoveries_.end()) {
    const RecoveryStage stage = found->second.stage;
    if (stage == RecoveryStage::kCollecting) counters_.add(Count::kRecoveryC1);
    if (stage == RecoveryStage::kValidating || stage == RecoveryStage::kWaiting) {
      counters_.add(Count::kRecoveryV6);
    }
    recoveries_.erase(found);
    if (recoveries_.size() < config_.recoveries_max / 2) question_due_ = 0;  // There may be more.
  }
  waiting_changed_ = !recoveries_.empty();
}

}  // namespace epaxos::protocol
