// A replica that stands still (SIGSTOP) for longer than the others wait for it, and goes on
// (SIGCONT) as if nothing had happened: the others answer meanwhile, recover what it left
// undecided, and nobody reads anything old. protocol.md 7.1.

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "tests/process/counting_clients.h"

namespace epaxos::testing {
namespace {

constexpr auto kLongerThanTheSuspicion = std::chrono::milliseconds(700);
constexpr int kTriesMax = 20;

/// Stops one replica at least `rounds` times, and until something of it was recovered.
void pause_loop(int rounds) {
  const std::vector<int> all{0, 1, 2, 3, 4};
  ClusterProcesses cluster(5);
  cluster.start_all();
  CountingClients clients(cluster, {.at = all});
  std::uint64_t recovered = 0;
  for (int round = 0; round < rounds || (recovered == 0 && round < kTriesMax); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_TRUE(clients.wait_for_progress(20));
    const int still = (round + 2) % 5;
    std::vector<std::size_t> others;
    for (std::size_t r = 0; r < 5; ++r) {
      if (static_cast<int>(r) != still) others.push_back(r);
    }

    cluster.pause(still);

    std::this_thread::sleep_for(kLongerThanTheSuspicion);
    const bool goes_on = clients.wait_for_progress(30, others);
    cluster.resume(still);
    ASSERT_TRUE(goes_on) << "while replica " << still << " stands still";
    ASSERT_TRUE(clients.wait_for_progress(20));
    recovered = cluster.counted(all, "recovered");
  }

  clients.stop();

  EXPECT_GT(recovered, 0U);
  EXPECT_TRUE(cluster.agree(all));
  EXPECT_EQ(clients.contradictions(*cluster.client_at(1)), "") << clients.summary();
}

TEST(Pause, AReplicaStandsStillAndGoesOn) {
  pause_loop(2);
}
TEST(NightlyPause, AReplicaStandsStillAndGoesOnAgainAndAgain) {
  pause_loop(100);
}

}  // namespace
}  // namespace epaxos::testing
