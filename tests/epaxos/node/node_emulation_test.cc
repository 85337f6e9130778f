// Nodes whose network is emulated, over real sockets. Only that nothing comes too early can be
// tested on a busy machine, and that what is cut does not come at all.

#include "epaxos/node/node.h"
#include "tests/epaxos/node/node_support.h"

namespace epaxos {
namespace {

using testing::LocalCluster;
using Clock = std::chrono::steady_clock;

constexpr ReplicaId kA{0};
constexpr ReplicaId kB{1};
constexpr ReplicaId kC{2};

Clock::duration time_of_one_write(Node& node) {
  const Clock::time_point start = Clock::now();
  const OwnedOutcome outcome = node.propose(kv::put("key", "value")).get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted) << outcome.reason;
  return Clock::now() - start;
}

TEST(EmulatedNodes, ACommandTakesItsRoundTripToANearQuorum) {
  LocalCluster cluster(3);
  cluster.config().emulation = net::EmulatedNetwork{{{0, 20'000, 60'000},  //
                                                     {30'000, 0, 5'000},
                                                     {60'000, 7'000, 0}}};
  cluster.open_all();
  // The first command also waits for connections.
  time_of_one_write(cluster[0]);
  EXPECT_GE(time_of_one_write(cluster[0]), std::chrono::milliseconds(50)) << "A to B and back";
  time_of_one_write(cluster[1]);
  EXPECT_GE(time_of_one_write(cluster[1]), std::chrono::milliseconds(12)) << "B to C and back";
}

TEST(EmulatedNodes, LinksMayBeCutAndMendedWhileTheyRun) {
  net::LinkTable links;
  LocalCluster cluster(3, Durability::kNone, [&](NodeConfig& config) { config.links = &links; });
  cluster.open_all();
  time_of_one_write(cluster[0]);

  const auto cut_off_a = [&](bool cut) {
    for (const ReplicaId other : {kB, kC}) {
      links.set(kA, other, {.cut = cut});
      links.set(other, kA, {.cut = cut});
    }
  };
  cut_off_a(true);
  auto cut_off = cluster[0].propose(kv::put("key", "a"));
  EXPECT_EQ(cluster[1].propose(kv::put("other", "b")).get().kind, OutcomeKind::kExecuted);
  EXPECT_EQ(cut_off.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  cut_off_a(false);
  EXPECT_EQ(cut_off.get().kind, OutcomeKind::kExecuted);
  EXPECT_TRUE(cluster.converges("key", "a"));
}

}  // namespace
}  // namespace epaxos
