// The four small classes by themselves.

#include <array>

#include <gtest/gtest.h>

#include "compare/paxos/proposer.h"

namespace epaxos::compare::paxos {
namespace {

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};
constexpr ReplicaId kC{2};

Ballot at(std::uint64_t round, ReplicaId replica) {
  return {round, replica};
}

TEST(Acceptor, PromisesNoBallotBelowOneThatItHasPromised) {
  Acceptor<int> acceptor;

  EXPECT_EQ(acceptor.prepare(at(2, kA)), Answer::kNew);
  EXPECT_EQ(acceptor.prepare(at(2, kA)), Answer::kRepeated);
  EXPECT_EQ(acceptor.prepare(at(1, kC)), Answer::kRefused);
  EXPECT_EQ(acceptor.prepare(at(2, kB)), Answer::kNew) << "the replica orders equal rounds";
}

TEST(Acceptor, VotesAtThePromisedBallotAndAboveAndNotBelow) {
  Acceptor<int> acceptor;
  acceptor.prepare(at(2, kB));

  EXPECT_EQ(acceptor.accept(at(2, kA), 1), Answer::kRefused);
  EXPECT_EQ(acceptor.accept(at(2, kB), 2), Answer::kNew);
  EXPECT_EQ(acceptor.accept(at(3, kA), 3), Answer::kNew);

  EXPECT_EQ(acceptor.promised(), at(3, kA));
}

TEST(Acceptor, APromiseLeavesTheVoteAtItsOwnBallot) {
  Acceptor<int> acceptor;
  acceptor.accept(at(1, kA), 7);

  acceptor.prepare(at(5, kB));

  EXPECT_EQ(acceptor.vote(), (Vote<int>{at(1, kA), 7}));
  EXPECT_EQ(acceptor.promised(), at(5, kB));
}

TEST(Acceptor, ASecondValueAtOneBallotIsAContradictionAndTheSameOneARepetition) {
  Acceptor<int> acceptor;
  acceptor.accept(at(1, kA), 7);

  EXPECT_EQ(acceptor.accept(at(1, kA), 7), Answer::kRepeated);
  EXPECT_EQ(acceptor.accept(at(1, kA), 8), Answer::kContradicts);
  EXPECT_EQ(acceptor.vote()->value, 7);
}

TEST(Acceptor, AfterARestartItIsWhatItWas) {
  Acceptor<int> acceptor(at(5, kB), Vote<int>{at(1, kA), 7});

  EXPECT_EQ(acceptor.accept(at(4, kC), 9), Answer::kRefused);
  EXPECT_EQ(acceptor.prepare(at(6, kA)), Answer::kNew);
  EXPECT_EQ(acceptor.vote()->value, 7);
}

TEST(Proposer, ProposesItsOwnValueWhenNobodyHasVoted) {
  Proposer<int> proposer(kA, Quorums::majorities(3));
  const Ballot ballot = proposer.start(at(4, kC));

  EXPECT_EQ(ballot, at(5, kA)) << "above everything that was heard of";
  EXPECT_FALSE(proposer.on_promise(kA, ballot, std::nullopt));
  EXPECT_TRUE(proposer.on_promise(kB, ballot, std::nullopt));
  EXPECT_EQ(proposer.choose(42), 42);
}

TEST(Proposer, AdoptsTheVoteOfTheHighestBallotInWhateverOrderPromisesCome) {
  const std::array votes{Vote<int>{at(1, kB), 10}, Vote<int>{at(3, kA), 30},
                         Vote<int>{at(2, kC), 20}};
  for (const auto& order : {std::array{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {2, 1, 0}}) {
    Proposer<int> proposer(kA, Quorums::of_sizes(3, 3, 1).value());
    const Ballot ballot = proposer.start(at(3, kA));

    for (const int i : order) {
      proposer.on_promise(replica_at(i), ballot, votes[static_cast<std::size_t>(i)]);
    }

    EXPECT_EQ(proposer.choose(42), 30);
  }
}

TEST(Proposer, CountsEveryAcceptorOnce) {
  Proposer<int> proposer(kA, Quorums::majorities(3));
  const Ballot ballot = proposer.start({});

  EXPECT_FALSE(proposer.on_promise(kB, ballot, std::nullopt));
  EXPECT_FALSE(proposer.on_promise(kB, ballot, std::nullopt));
  EXPECT_TRUE(proposer.on_promise(kC, ballot, std::nullopt));
  proposer.choose(42);
  EXPECT_FALSE(proposer.on_accepted(kB, ballot));
  EXPECT_FALSE(proposer.on_accepted(kB, ballot));
  EXPECT_TRUE(proposer.on_accepted(kA, ballot));
  EXPECT_FALSE(proposer.on_accepted(kC, ballot)) << "it was chosen before";
}

TEST(Proposer, AnswersToAnEarlierBallotCountForNothing) {
  Proposer<int> proposer(kA, Quorums::majorities(3));
  const Ballot old = proposer.start({});
  const Ballot ballot = proposer.start(old);

  proposer.on_promise(kB, old, Vote<int>{at(1, kB), 7});
  EXPECT_FALSE(proposer.on_promise(kA, ballot, std::nullopt));
  proposer.on_promise(kC, ballot, std::nullopt);
  proposer.choose(42);
  proposer.on_accepted(kA, ballot);

  EXPECT_FALSE(proposer.on_accepted(kB, old));
  EXPECT_EQ(proposer.proposed(), 42);
}

TEST(Learner, VotesAtDifferentBallotsDoNotAddUp) {
  const Quorums quorums = Quorums::majorities(3);
  Learner learner;

  EXPECT_FALSE(learner.note(kA, at(1, kA), quorums));
  EXPECT_FALSE(learner.note(kB, at(2, kB), quorums));
  EXPECT_FALSE(learner.note(kA, at(1, kA), quorums));
  EXPECT_TRUE(learner.note(kC, at(2, kB), quorums));
  EXPECT_FALSE(learner.note(kA, at(2, kB), quorums)) << "that is no news";
}

/// Whether every set that opens a ballot meets every set that chooses a value.
bool all_meet(const Quorums& quorums, int n) {
  for (std::uint16_t first = 0; first < 1u << n; ++first) {
    if (!quorums.opens(ReplicaSet::of_bits(first))) continue;
    for (std::uint16_t second = 0; second < 1u << n; ++second) {
      if ((first & second) == 0 && quorums.chooses(ReplicaSet::of_bits(second))) return false;
    }
  }
  return true;
}

TEST(Quorums, WhateverIsAcceptedMeets) {
  for (int n = 1; n <= 7; ++n) {
    EXPECT_TRUE(all_meet(Quorums::majorities(n), n)) << n;
    for (int phase1 = 1; phase1 <= n; ++phase1) {
      for (int phase2 = 1; phase2 <= n; ++phase2) {
        const Result<Quorums> quorums = Quorums::of_sizes(n, phase1, phase2);
        EXPECT_EQ(quorums.has_value(), phase1 + phase2 > n);
        EXPECT_TRUE(!quorums || all_meet(*quorums, n)) << n << " " << phase1 << " " << phase2;
      }
    }
  }
}

TEST(Quorums, TheRowsOfAGridMeetItsColumns) {
  for (const auto& [rows, columns] : {std::pair(2, 2), {2, 3}, {3, 2}, {1, 5}, {5, 1}, {3, 3}}) {
    const Quorums grid = Quorums::of_grid(rows * columns, rows, columns).value();
    EXPECT_TRUE(all_meet(grid, rows * columns)) << rows << " by " << columns;
    EXPECT_TRUE(grid.opens(ReplicaSet::all(rows * columns)));
    EXPECT_FALSE(grid.chooses({}));
  }
}

TEST(Quorums, WhatNeedNotMeetIsRefusedWithASentence) {
  const Result<Quorums> sizes = Quorums::of_sizes(5, 2, 3);
  const Result<Quorums> grid = Quorums::of_grid(5, 2, 2);

  ASSERT_FALSE(sizes);
  EXPECT_NE(sizes.error().message.find("need not meet"), std::string::npos);
  ASSERT_FALSE(grid);
  EXPECT_NE(grid.error().message.find("does not hold 5"), std::string::npos);
  EXPECT_FALSE(all_meet(Quorums::of_sizes_by_force(5, 2, 3), 5));
}

}  // namespace
}  // namespace epaxos::compare::paxos
