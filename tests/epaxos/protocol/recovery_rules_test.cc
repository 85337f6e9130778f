// The choice of recovery, tried over every combination of answers against a naive statement of what
// it must find out: could the owner have decided fast? That one searches all fast quorums by brute
// force, where the rules only count. Source: protocol.md 7.4 and 7.6.

#include "epaxos/protocol/recovery_rules.h"

#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::protocol {
namespace {

using Bits = unsigned;

ReplicaId replica(int index) {
  return ReplicaId(static_cast<std::uint16_t>(index));
}
ReplicaSet set_of(Bits bits) {
  return ReplicaSet::of_bits(static_cast<std::uint16_t>(bits));
}
int size_of(Bits bits) {
  return __builtin_popcount(bits);
}
bool meet(Bits a, Bits b) {
  return (a & b) != 0;
}
Bits everybody(int n) {
  return (1u << n) - 1;
}

/// protocol.md 1, by its definition instead of by its table.
struct Sizes {
  int f = 0;
  int e = 0;
};
Sizes sizes(int n) {
  Sizes best;
  for (int f = 0; 2 * f + 1 <= n; ++f) best.f = f;
  for (int e = 0; e <= best.f && 2 * e + best.f - 1 <= n; ++e) best.e = e;
  return best;
}

/// Whether some fast quorum avoids all of `out`.
bool a_fast_quorum_avoids(int n, Bits out) {
  for (Bits quorum = 0; quorum <= everybody(n); ++quorum) {
    if (size_of(quorum) >= n - sizes(n).e && !meet(quorum, out)) return true;
  }
  return false;
}

/// Every way in which each of n replicas is in one of `states` states: one digit a replica.
template <class Each>
void for_each_way(int n, unsigned states, Each each) {
  std::vector<unsigned> digits(static_cast<std::size_t>(n), 0);
  while (true) {
    each(digits);
    std::size_t at = 0;
    while (at < digits.size() && ++digits[at] == states) digits[at++] = 0;
    if (at == digits.size()) return;
  }
}

// ---- 7.4 ----

/// What a replica answers to Recover.
enum Answer : unsigned { kSilent, kNothing, kMatched, kVoted, kMatchedAndVoted, kAnswers };

PromiseFacts facts_of(int n, int owner, const std::vector<unsigned>& answers) {
  PromiseFacts facts;
  facts.replica_count = n;
  facts.owner = replica(owner);
  for (int r = 0; r < n; ++r) {
    const unsigned answer = answers[static_cast<std::size_t>(r)];
    if (answer != kSilent) facts.answered.add(replica(r));
    if (answer == kMatched || answer == kMatchedAndVoted) facts.matched.add(replica(r));
    if (answer == kVoted || answer == kMatchedAndVoted) facts.voted.add(replica(r));
  }
  return facts;
}

RecoveryStep expected(const PromiseFacts& facts, const std::vector<bool>& avoidable) {
  if (facts.voted.bits() != 0) return {RecoveryCase::kC2, RecoveryAction::kProposeVote};
  if (facts.answered.contains(facts.owner)) {
    return {RecoveryCase::kC3, RecoveryAction::kProposeNop};
  }
  const Bits refused = facts.answered.without(facts.matched).bits();
  if (!avoidable[refused]) return {RecoveryCase::kC4, RecoveryAction::kProposeNop};
  return {RecoveryCase::kC5, RecoveryAction::kValidate};
}

std::vector<bool> avoidable_sets(int n) {
  std::vector<bool> avoidable;
  for (Bits out = 0; out <= everybody(n); ++out) avoidable.push_back(a_fast_quorum_avoids(n, out));
  return avoidable;
}

class RecoveryRules : public ::testing::TestWithParam<int> {};

TEST_P(RecoveryRules, TheChoiceAfterPromisesIsThatOfBruteForce) {
  const int n = GetParam();
  const std::vector<bool> avoidable = avoidable_sets(n);
  int wrong = 0;
  int tried = 0;
  // Larger groups differ from each other only in names, so one owner stands for all there.
  for (int owner = n <= 6 ? 0 : n - 1; owner < n; ++owner) {
    for_each_way(n, kAnswers, [&](const std::vector<unsigned>& answers) {
      const PromiseFacts facts = facts_of(n, owner, answers);
      if (facts.answered.size() < n - sizes(n).f) return;
      ++tried;
      const RecoveryStep found = after_promises(facts);
      const RecoveryStep wanted = expected(facts, avoidable);
      if (found.which == wanted.which && found.action == wanted.action) return;
      if (wrong++ > 0) return;
      ADD_FAILURE() << "owner " << owner << ", answered " << facts.answered.bits() << ", matched "
                    << facts.matched.bits() << ", voted " << facts.voted.bits() << ": "
                    << to_string(found.which) << " instead of " << to_string(wanted.which);
    });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(tried, 1 << n);
}

// An instance that nobody knows always becomes Nop: that is how slots that were never announced are
// filled (R31).
TEST_P(RecoveryRules, WhatNobodyKnowsBecomesNop) {
  const int n = GetParam();
  for (Bits answered = 0; answered <= everybody(n); ++answered) {
    if (size_of(answered) < n - sizes(n).f) continue;
    const PromiseFacts facts{n, replica(0), set_of(answered), {}, {}};
    EXPECT_EQ(after_promises(facts).action, RecoveryAction::kProposeNop);
  }
}

// ---- 7.6 ----

TEST_P(RecoveryRules, TheChoiceAfterValidationIsThatOfBruteForce) {
  const int n = GetParam();
  for (Bits out = 0; out <= everybody(n); ++out) {
    const bool possible = a_fast_quorum_avoids(n, out);
    for (const bool excluded : {false, true}) {
      for (const bool resolved : {false, true}) {
        const RecoveryStep step = after_validation({n, excluded, resolved, set_of(out)});
        RecoveryStep wanted{RecoveryCase::kV7, RecoveryAction::kWait};
        if (!possible) wanted = {RecoveryCase::kV3, RecoveryAction::kProposeNop};
        if (resolved) wanted = {RecoveryCase::kV2, RecoveryAction::kProposeInitial};
        if (excluded) wanted = {RecoveryCase::kV1, RecoveryAction::kProposeNop};
        ASSERT_EQ(step.which, wanted.which) << "out " << out;
        ASSERT_EQ(step.action, wanted.action) << "out " << out;
      }
    }
  }
}

TEST_P(RecoveryRules, ALateAnswerCountsWithAVoteOrFromTheOwner) {
  const int n = GetParam();
  for (int owner = 0; owner < n; ++owner) {
    for (int from = 0; from < n; ++from) {
      const RecoveryStep voted = after_late_promise(replica(owner), replica(from), true);
      EXPECT_EQ(voted.which, RecoveryCase::kV4);
      EXPECT_EQ(voted.action, RecoveryAction::kProposeVote);

      const RecoveryStep voteless = after_late_promise(replica(owner), replica(from), false);
      const bool is_owner = owner == from;
      EXPECT_EQ(voteless.action, is_owner ? RecoveryAction::kProposeNop : RecoveryAction::kWait);
      EXPECT_EQ(voteless.which == RecoveryCase::kV5, is_owner);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OfSize, RecoveryRules, ::testing::Range(2, 10));

// ---- What can come to validation at all ----

/// Everything with which a recovery can begin to validate: no vote, and an owner that is silent.
template <class Each>
void for_each_validation(int n, Each each) {
  const int owner = 0;
  for_each_way(n, kMatched + 1, [&](const std::vector<unsigned>& answers) {
    const PromiseFacts facts = facts_of(n, owner, answers);
    if (facts.answered.size() < n - sizes(n).f) return;
    if (after_promises(facts).which == RecoveryCase::kC5) each(facts);
  });
}

/// The most replicas that V3 can count. By lemma 3 nobody who voted the initial dependencies of the
/// instance (Rmax and the owner) owns a blocker or voted for one's.
std::optional<int> largest_out(int n) {
  std::optional<int> largest;
  for_each_validation(n, [&](const PromiseFacts& facts) {
    const Bits voters = facts.matched.bits() | 1u << facts.owner.value();
    const Bits others = everybody(n) & ~voters;
    for (Bits owners_and_matched = 0; owners_and_matched <= others; ++owners_and_matched) {
      if (meet(owners_and_matched, voters)) continue;
      const Bits out = facts.answered.without(facts.matched).bits() | owners_and_matched;
      const RecoveryStep step = after_validation({n, false, false, set_of(out)});
      EXPECT_EQ(step.which == RecoveryCase::kV3, size_of(out) > sizes(n).e);
      largest = std::max(largest.value_or(0), size_of(out));
    }
  });
  return largest;
}

/// Whether a blocker can be decided without the instance. Behind such a decision stands a quorum
/// whose every member recorded the blocker before the instance, and so voted more than D0 for it.
bool a_decision_can_exclude(int n) {
  bool can = false;
  for_each_validation(n, [&](const PromiseFacts& facts) {
    const Bits voters = facts.matched.bits() | 1u << facts.owner.value();
    for (Bits witnesses = 0; witnesses <= everybody(n); ++witnesses) {
      can |= size_of(witnesses) >= n - sizes(n).f && !meet(witnesses, voters);
    }
  });
  return can;
}

// A group of two always has the owner in Q (C3).
TEST(RecoveryRulesReach, AGroupOfTwoNeverValidates) {
  EXPECT_FALSE(largest_out(2).has_value());
}

TEST(RecoveryRulesReach, V3NeedsAtLeastFiveReplicas) {
  for (const int n : {3, 4}) EXPECT_LE(largest_out(n).value(), sizes(n).e) << n;
  for (int n = 5; n <= 7; ++n) EXPECT_GT(largest_out(n).value(), sizes(n).e) << n;
}

TEST(RecoveryRulesReach, V1NeedsAtLeastFiveReplicas) {
  for (const int n : {3, 4}) EXPECT_FALSE(a_decision_can_exclude(n)) << n;
  for (const int n : {5, 7}) EXPECT_TRUE(a_decision_can_exclude(n)) << n;
}

}  // namespace
}  // namespace epaxos::protocol
