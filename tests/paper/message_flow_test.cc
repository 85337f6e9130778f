// The message flows of the figure that introduces the protocol (SOSP'13, Figure 2): five replicas,
// A to E; commands that do not interfere commit after one round trip wherever they are proposed,
// and of two that interfere at least one learns of the other from a quorum and takes a second
// round.

#include <gmock/gmock.h>
#include <string>

#include <gtest/gtest.h>

#include "executor/key_value_command.h"
#include "tests/support/cluster.h"
#include "tests/support/conversation.h"

namespace epaxos::testing {
namespace {

using protocol::MessageType;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr InstanceId kFirstOfA{kA, Slot(1)};
constexpr InstanceId kFirstOfE{kE, Slot(1)};

/// A and B at one coast, D and E at the other, C between them and nearer to E. Nothing is lost,
/// nothing varies, and disks and turns take no time.
sim::ClusterConfig figure() {
  sim::ClusterConfig config;
  config.replica_count = 5;
  config.links = {.delay_us = 50'000, .jitter_us = 0};
  config.disks = {.latency_us = 0, .jitter_us = 0};
  config.turn_delay_us = 0;
  return config;
}

class Figure2 : public KeyValueCluster {
 public:
  Figure2() : KeyValueCluster(figure()), conversation(*this) {
    network().set_delay(kA, kB, 1'000);
    network().set_delay(kD, kE, 1'000);
    network().set_delay(kC, kE, 5'000);
    network().set_delay(kA, kC, 10'000);
  }

  Conversation conversation;
};

// R1 and R5 of the paper, left half.
TEST(PaperFigure2, CommandsThatDoNotInterfereCommitAfterOneRoundTrip) {
  Figure2 cluster;

  cluster.put(kA, "C1", "x");
  cluster.put(kE, "C2", "y");
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  for (const InstanceId& instance : {kFirstOfA, kFirstOfE}) {
    for (const Conversation::Line& line : cluster.conversation.about(instance)) {
      EXPECT_NE(line.type, MessageType::kAccept) << "no second round";
      EXPECT_TRUE(line.type != MessageType::kPreAcceptOk || line.initial);
    }
  }
  EXPECT_THAT(cluster.conversation.sentences(kFirstOfA),
              UnorderedElementsAre("A > B PreAccept [0,0,0,0,0]", "A > C PreAccept [0,0,0,0,0]",
                                   "A > D PreAccept [0,0,0,0,0]", "A > E PreAccept [0,0,0,0,0]",
                                   "B > A PreAcceptOk =", "C > A PreAcceptOk =",
                                   "D > A PreAcceptOk =", "E > A PreAcceptOk =", "A > B Commit =",
                                   "A > C Commit =", "A > D Commit =", "A > E Commit ="));
  EXPECT_EQ(cluster.count("fast_path"), 2u);
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// Right half: C3 at R1 and C4 at R5 interfere, and R3 sees C4 first.
TEST(PaperFigure2, OfTwoThatInterfereTheOneThatAQuorumSawLaterTakesASecondRound) {
  Figure2 cluster;

  cluster.put(kA, "key", "C3");
  cluster.put(kE, "key", "C4");
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  const auto of_c3 = cluster.conversation.sentences(kFirstOfA);
  EXPECT_THAT(of_c3, Contains("B > A PreAcceptOk ="));
  EXPECT_THAT(of_c3, Contains("C > A PreAcceptOk [0,0,0,0,1]")) << "C3 after C4, says C";
  EXPECT_THAT(of_c3, Contains("A > C Accept [0,0,0,0,1]")) << "the union of the answers";
  EXPECT_THAT(of_c3, Contains("C > A AcceptOk"));
  EXPECT_THAT(of_c3, Contains("A > C Commit [0,0,0,0,1]"));
  const auto of_c4 = cluster.conversation.sentences(kFirstOfE);
  EXPECT_THAT(of_c4, Contains("C > E PreAcceptOk ="));
  EXPECT_THAT(of_c4, Contains("D > E PreAcceptOk ="));
  EXPECT_THAT(of_c4, Contains("E > C Commit =")) << "on the fast path";
  EXPECT_THAT(of_c4, Not(Contains("E > C Accept [1,0,0,0,0]")));
  for (const ReplicaId replica : cluster.replicas()) {
    EXPECT_EQ(cluster.value(replica, "key"), "C3") << "executed after C4";
  }
  EXPECT_THAT(cluster.final_violations(), IsEmpty());
}

// A read does not interfere with a read, so it adds nothing to what must come before one.
TEST(PaperFigure2, ReadsOfOneKeyDoNotInterfere) {
  Figure2 cluster;

  cluster.propose(kA, kv::get("key"));
  cluster.propose(kE, kv::get("key"));
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  EXPECT_EQ(cluster.count("fast_path"), 2u);
  EXPECT_THAT(cluster.conversation.sentences(kFirstOfA), Contains("C > A PreAcceptOk ="));
}

// Nobody hears of a commit before everything that it needs was said: the order of one flow.
TEST(PaperFigure2, TheRoundsOfTheSlowPathFollowEachOther) {
  Figure2 cluster;

  cluster.put(kA, "key", "C3");
  cluster.put(kE, "key", "C4");
  ASSERT_TRUE(cluster.run_until_converged(10 * kSecond));

  std::vector<MessageType> with_c;
  for (const Conversation::Line& line : cluster.conversation.about(kFirstOfA)) {
    if (line.from == kC || line.to == kC) with_c.push_back(line.type);
  }
  EXPECT_THAT(with_c,
              ElementsAre(MessageType::kPreAccept, MessageType::kPreAcceptOk, MessageType::kAccept,
                          MessageType::kAcceptOk, MessageType::kCommit));
}

}  // namespace
}  // namespace epaxos::testing
