// `epaxosctl explain` against real replicas.

#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/process/cluster_processes.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;

TEST(Explain, OfACommandItsOwnerTellsTheSteps) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  // The session is opened by another command, which one of them is first.
  ASSERT_EQ(cluster.control({"--replica", "1", "--no-session", "put", "a", "1"}).status, 0);

  const Ran told = cluster.control({"explain", "R1.1"});
  EXPECT_EQ(told.status, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("R1.1 of R1: executed after"));
  EXPECT_THAT(told.out, HasSubstr("R1 proposed it with 1 command"));
  EXPECT_THAT(told.out, HasSubstr("the proposal was logged, and PreAccept left"));
  EXPECT_THAT(told.out, HasSubstr("committed on the fast path"));
  EXPECT_THAT(told.out, HasSubstr("executed, and clients were answered"));

  const Ran json = cluster.control({"--output", "json", "explain", "R1.1"});
  EXPECT_EQ(nlohmann::json::parse(json.out).at(0).at("decided_by"), "fast path");

  const Ran slowest = cluster.control({"explain", "--slowest"});
  EXPECT_EQ(slowest.status, 0) << slowest.err;
  EXPECT_THAT(slowest.out, HasSubstr("R1.1"));
}

TEST(Explain, WhatIsUnknownOrNoNameIsOneSentence) {
  ClusterProcesses cluster(3);
  cluster.start_all();

  const Ran unknown = cluster.control({"explain", "R0.12345"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("Nobody has told R0 of R0.12345"));
  for (const char* odd : {"17", "R2", "R2.0", "R2.x", "r2.17", "R2.17 ", "R99999999.1"}) {
    const Ran malformed = cluster.control({"explain", odd});
    EXPECT_EQ(malformed.status, 1) << odd;
    EXPECT_THAT(malformed.err, HasSubstr("is no name of an instance: write R2.17")) << odd;
  }
  const Ran beyond = cluster.control({"explain", "R7.1"});
  EXPECT_EQ(beyond.status, 1);
  EXPECT_THAT(beyond.err, HasSubstr("the file lists no replica 7"));
  const Ran nothing = cluster.control({"explain"});
  EXPECT_EQ(nothing.status, 1);
  EXPECT_THAT(nothing.err, HasSubstr("say which instance"));
}

TEST(Explain, AnOwnerThatDoesNotAnswerIsSaid) {
  ClusterProcesses cluster(3);
  cluster.start(0);
  cluster.start(1);

  const Ran away = cluster.control({"--timeout", "1", "explain", "R2.1"});

  EXPECT_EQ(away.status, 6);
  EXPECT_THAT(away.err, HasSubstr("R2 does not answer"));
  EXPECT_THAT(away.err, HasSubstr("--replica"));
}

TEST(Explain, AProtocolWithALogSaysWhatItHasInstead) {
  ClusterProcesses cluster(1);
  cluster.start(0, {"--protocol", "raft"});

  const Ran told = cluster.control({"explain", "R0.1"});

  EXPECT_EQ(told.status, 2);
  EXPECT_THAT(told.err, HasSubstr("Only epaxos has instances with dependencies"));
}

}  // namespace
}  // namespace epaxos::testing
