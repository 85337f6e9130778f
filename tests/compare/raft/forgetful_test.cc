// A replica whose disk has lost what it told others: they find out, and it votes no more. Source:
// decision record 13.

#include "epaxos/sim/swarm.h"
#include "executor/key_value_command.h"
#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

TEST(Forgetful, IsToldWheneverItSpeaks) {
  Subject a(kA, 3);
  a.core.peer_forgot(kB);

  a.deliver(kB, Hello{Term(0)});

  const auto told = sends<Forgot>(a.effects, 3);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].first, ReplicaSet::only(kB));
  a.deliver(kC, Hello{Term(0)});
  EXPECT_FALSE(Subject::has<Forgot>(a.effects));
}

TEST(Forgetful, VotesNoMoreAlsoAfterARestart) {
  Subject b(kB, 3);
  EXPECT_TRUE(Subject::has<Hello>(b.effects)) << "everybody hears of the start";

  b.deliver(kA, Forgot{Term(3)});
  EXPECT_EQ(b.effects.records.size(), 1u);
  b.advance(0);

  Subject after(config(kB, 3), b.disk);
  for (Subject* each : {&b, &after}) {
    each->deliver(kC, RequestVote{Term(7), LogIndex(), Term(), false, false});
    EXPECT_FALSE(Subject::has<RequestVoteReply>(each->effects));
    for (int i = 0; i < 10; ++i) each->advance(kSecond);
    EXPECT_EQ(each->count(Count::kPreVotes), 0u);
    CoreStatus status;
    each->core.status(status);
    EXPECT_TRUE(status.role.starts_with("non-voting:")) << status.role;
  }
}

TEST(Forgetful, ALeaderThatLearnsOfItGivesUpTheLead) {
  Subject a(kA, 3);
  a.lead();
  a.deliver(kB, Forgot{Term(1)});
  EXPECT_EQ(a.core.role(), Role::kFollower);
}

// Below "sync" no host counts batches. Whatever term a replica told was on its disk: a later life
// that begins before it has lost that disk, or never had one.
TEST(Forgetful, ShowsByTheTermThatItBeginsWith) {
  Subject a(kA, 3);
  a.deliver(kB, RequestVote{Term(4), LogIndex(), Term(), false, false, 7, Term(0)});

  a.deliver(kB, Hello{Term(4), 8, Term(4)});
  EXPECT_FALSE(Subject::has<Forgot>(a.effects)) << "it remembers";
  a.deliver(kB, Hello{Term(0), 7, Term(0)});
  EXPECT_FALSE(Subject::has<Forgot>(a.effects)) << "a word of an earlier life that comes late";
  a.deliver(kB, Hello{Term(0), 9, Term(0)});
  EXPECT_TRUE(Subject::has<Forgot>(a.effects));

  a.wait_for_election();
  a.deliver(kB, a.pre_vote());
  EXPECT_EQ(a.core.role(), Role::kPreCandidate) << "its word counts for nothing";
}

// The first word of all may be lost.
TEST(Forgetful, ShowsByAnyAnswer) {
  Subject a(kA, 3);
  a.lead();
  a.acknowledge(kB, 1);
  ASSERT_EQ(a.commit(), 1u);
  AppendEntriesReply refusal{Term(1), false, true, LogIndex(1), {}, {}, LogIndex(1), 0};
  refusal.life = 8;
  a.deliver(kB, refusal);
  EXPECT_TRUE(Subject::has<Forgot>(a.effects));
  EXPECT_FALSE(a.core.peer(kB).counts());
}

TEST(Forgetful, WhatItSaidInTheSameLifeProvesNothing) {
  Subject a(kA, 3);
  a.deliver(kB, RequestVote{Term(4), LogIndex(), Term(), false, false, 7, Term(0)});
  a.deliver(kB, Hello{Term(2), 7, Term(0)});
  EXPECT_FALSE(Subject::has<Forgot>(a.effects)) << "it has only come late";
}

// What it once acknowledged it may lack now, under the same leader.
TEST(Forgetful, GetsTheLogFromTheBeginning) {
  Subject a(kA, 3);
  a.lead();
  a.propose(1);
  a.durable();
  a.acknowledge(kB, 2);
  ASSERT_EQ(a.core.peer(kB).match_index, LogIndex(2));

  a.deliver(kB, AppendEntriesReply{Term(1), false, false, LogIndex(2), {}, {}, LogIndex(1), 0});
  EXPECT_EQ(only<AppendEntries>(a).prev_log_index, LogIndex(0));

  a.acknowledge(kC, 2);
  a.deliver(kC, Hello{Term(1)});
  EXPECT_EQ(a.core.peer(kC).match_index, LogIndex(0));
}

// The whole way: the disk of a follower is replaced by an empty one.
TEST(Forgetful, AWipedDiskIsNoticedByTheLeaderAndTheReplicaCatchesUpWithoutAVote) {
  const sim::SwarmOptions swarm = sim::key_value_swarm(raft());
  sim::ClusterConfig three;
  three.never_silent = true;
  sim::Cluster cluster(three, swarm.protocol, swarm.make_machine);
  for (int i = 0; i < 20; ++i) cluster.propose(kA, kv::increment("x", 1));
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));
  const auto leads = [&](ReplicaId id) { return cluster.status(id).role == "leader"; };
  const ReplicaId victim = leads(kC) ? kB : kC;

  cluster.kill(victim);
  cluster.disk(victim).wipe();
  cluster.restart(victim);
  cluster.run_for(kSecond);

  EXPECT_TRUE(cluster.status(victim).role.starts_with("non-voting")) << cluster.status(victim).role;
  EXPECT_TRUE(cluster.run_until_converged(10 * kSecond));
  EXPECT_TRUE(cluster.digests_agree());
  // The other two are a majority; one of them and the forgetful one are not.
  for (const ReplicaId each : {kA, kB, kC}) {
    if (leads(each)) cluster.kill(each);
  }
  cluster.run_for(10 * kSecond);
  for (const ReplicaId each : cluster.replicas()) {
    EXPECT_FALSE(cluster.alive(each) && leads(each));
  }
}

}  // namespace
}  // namespace epaxos::compare::raft
