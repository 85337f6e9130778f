#include "epaxos/protocol/recovery_rules.h"

#include <array>

#include "deps/types/mutant.h"

namespace epaxos::protocol {
namespace {

/// A fast quorum has at least this many members in any Q: each voted before it promised, and would
/// show.
int fast_members(const PromiseFacts& facts) {
  const int least = facts.answered.size() - fast_faults_tolerated(facts.replica_count);
  return mutant(Mutant::kRecoveryThresholdTooHigh) ? least + 1 : least;
}

bool somebody_voted(const PromiseFacts& facts) {
  return facts.voted.size() > 0;
}
bool owner_answered(const PromiseFacts& facts) {
  return facts.answered.contains(facts.owner) && !mutant(Mutant::kOwnerAnswerIgnored);
}
bool too_few_first_votes(const PromiseFacts& facts) {
  return facts.matched.size() < fast_members(facts) || mutant(Mutant::kRecoveryRepeatsPreAccept);
}
bool validation_is_skipped(const PromiseFacts&) {
  return mutant(Mutant::kNoValidation);
}
bool always(const PromiseFacts&) {
  return true;
}

bool excluded(const ValidationFacts& facts) {
  return facts.excluded;
}
bool resolved(const ValidationFacts& facts) {
  return facts.resolved;
}
bool too_many_out(const ValidationFacts& facts) {
  const int most = fast_faults_tolerated(facts.replica_count);
  return facts.out.size() > (mutant(Mutant::kOutThresholdTooLow) ? most - 1 : most);
}
bool otherwise(const ValidationFacts&) {
  return true;
}

template <class Facts>
struct Rule {
  RecoveryCase which;
  bool (*holds)(const Facts&);
  RecoveryAction action;
};

constexpr std::array<Rule<PromiseFacts>, 5> kAfterPromises{{
    // A vote was itself proposed under these rules; all votes of one ballot are equal.
    {RecoveryCase::kC2, somebody_voted, RecoveryAction::kProposeVote},
    // Its promise forbids it to decide or to vote at ballot 0, for ever.
    {RecoveryCase::kC3, owner_answered, RecoveryAction::kProposeNop},
    {RecoveryCase::kC4, too_few_first_votes, RecoveryAction::kProposeNop},
    {RecoveryCase::kC5, validation_is_skipped, RecoveryAction::kProposeInitial},
    {RecoveryCase::kC5, always, RecoveryAction::kValidate},
}};

constexpr std::array<Rule<ValidationFacts>, 4> kAfterValidation{{
    // Had the instance been decided fast, that decision could not exist (lemma 5).
    {RecoveryCase::kV1, excluded, RecoveryAction::kProposeNop},
    // Equals any fast decision, and nothing conflicting misses it (lemma 5).
    {RecoveryCase::kV2, resolved, RecoveryAction::kProposeInitial},
    // More replicas than a fast quorum can miss have not voted for it (lemma 3).
    {RecoveryCase::kV3, too_many_out, RecoveryAction::kProposeNop},
    {RecoveryCase::kV7, otherwise, RecoveryAction::kWait},
}};

template <class Facts, std::size_t Rules>
RecoveryStep first_that_holds(const std::array<Rule<Facts>, Rules>& rules, const Facts& facts) {
  for (const Rule<Facts>& rule : rules) {
    if (rule.holds(facts)) return {rule.which, rule.action};
  }
  return {};
}

constexpr std::array<std::string_view, kRecoveryCases> kNames{"C1", "C2", "C3", "C4", "C5", "V1",
                                                              "V2", "V3", "V4", "V5", "V6", "V7"};

}  // namespace

std::string_view to_string(RecoveryCase which) {
  return kNames[static_cast<std::size_t>(which)];
}

RecoveryStep after_promises(const PromiseFacts& facts) {
  return first_that_holds(kAfterPromises, facts);
}

RecoveryStep after_validation(const ValidationFacts& facts) {
  return first_that_holds(kAfterValidation, facts);
}

RecoveryStep after_late_promise(ReplicaId owner, ReplicaId from, bool voted) {
  if (voted) return {RecoveryCase::kV4, RecoveryAction::kProposeVote};
  if (from == owner) return {RecoveryCase::kV5, RecoveryAction::kProposeNop};
  return {};
}

}  // namespace epaxos::protocol
