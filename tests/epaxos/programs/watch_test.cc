// What a server writes into its log while it runs.

#include "epaxos/programs/watch.h"

#include <algorithm>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/epaxos/programs/support.h"

namespace epaxos::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> texts(const std::vector<Remark>& remarks) {
  std::vector<std::string> out;
  for (const Remark& remark : remarks) {
    if (remark.severity != Severity::kDebug) out.push_back(remark.text);
  }
  return out;
}

/// A replica that nothing is to be said about.
NodeStatus quiet() {
  NodeStatus status = status_of_replica_one();
  for (PeerStatus& peer : status.peers) {
    peer.connected = false;
    for (Counter& counter : peer.counters) counter.value = 0;
  }
  for (CounterGroup& group : status.counters) {
    for (Counter& counter : group.counters) counter.value = 0;
  }
  return status;
}

TEST(Watch, IsSilentWhileNothingChanges) {
  Watch watch;
  for (Tick second = 1; second < 1000; ++second) {
    EXPECT_THAT(texts(watch.look(quiet(), second * kSecond)), IsEmpty());
  }
}

TEST(Watch, TellsAtOnceThatAPeerCameAndWent) {
  Watch watch;
  NodeStatus status = quiet();
  status.peers[1].connected = true;
  EXPECT_THAT(texts(watch.look(status, kSecond)), ElementsAre("replica 2 is connected"));

  status.peers[1].connected = false;
  EXPECT_THAT(texts(watch.look(status, 60 * kSecond)), ElementsAre("replica 2 is not connected"));
}

TEST(Watch, APeerThatComesAndGoesAllTheTimeIsToldOnceInAWhile) {
  Watch watch;
  NodeStatus status = quiet();
  std::vector<std::string> lines;
  for (Tick second = 1; second <= 60; ++second) {
    status.peers[0].connected = !status.peers[0].connected;
    for (const std::string& line : texts(watch.look(status, second * kSecond))) {
      lines.push_back(line);
    }
  }

  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0], "replica 0 is connected");
  EXPECT_THAT(lines[1], AllOf(HasSubstr("replica 0 is"), HasSubstr("changed 10 times")));
}

TEST(Watch, WhatWasHeldBackIsToldWhenItsTimeHasCome) {
  Watch watch;
  NodeStatus status = quiet();
  status.peers[0].connected = true;
  EXPECT_EQ(texts(watch.look(status, kSecond)).size(), 1u);
  status.peers[0].connected = false;
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)), IsEmpty());

  EXPECT_THAT(texts(watch.look(status, kSecond + Watch::kChangesUs)),
              ElementsAre("replica 0 is not connected"));
}

TEST(Watch, WhoWasNeverReachedIsToldWithItsAddressOnceAMinute) {
  Watch watch({"tcp://a:1", "tcp://b:1", "tcp://c:1"});
  NodeStatus status = quiet();
  status.peers[0].connected = true;
  std::vector<std::string> lines;
  for (Tick second = 1; second <= 80; ++second) {
    status.uptime_us = second * kSecond;
    for (const std::string& line : texts(watch.look(status, second * kSecond))) {
      lines.push_back(line);
    }
  }
  const std::string unreached =
      "replica 2 (tcp://c:1) was never reached; check its address and whether it runs";
  EXPECT_THAT(lines, ElementsAre("replica 0 is connected", unreached, unreached));

  status.peers[1].connected = true;
  EXPECT_THAT(texts(watch.look(status, 90 * kSecond)), ElementsAre("replica 2 is connected"));
  status.peers[1].connected = false;
  EXPECT_THAT(texts(watch.look(status, 200 * kSecond)), ElementsAre("replica 2 is not connected"))
      << "it was reached once";
}

TEST(Watch, AnElectionTimeThatIsTooShortForTheNetworkIsToldOnce) {
  Watch watch;
  NodeStatus status = quiet();
  const auto takes = [&](std::uint64_t round_trip_us) {
    std::erase_if(status.counters, [](const CounterGroup& each) { return each.name == "core"; });
    status.counters.push_back(
        {"core",
         {{"timeouts_raised", 1},
          {"round_trip_us", round_trip_us},
          {"election_configured_us", 300'000},
          {"election_timeout_us", std::max<std::uint64_t>(300'000, 4 * round_trip_us)}}});
  };
  takes(10'568);
  EXPECT_THAT(texts(watch.look(status, kSecond)), IsEmpty());
  takes(157'069);
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)), IsEmpty());
  takes(10'568);
  EXPECT_THAT(texts(watch.look(status, 5 * kSecond)), IsEmpty()) << "it was so for a moment";
  takes(121'000);
  EXPECT_THAT(texts(watch.look(status, 6 * kSecond)), IsEmpty());
  EXPECT_THAT(texts(watch.look(status, 8 * kSecond)),
              ElementsAre("timers.election_us = 300,000 is too short for this network: an answer "
                          "of a peer takes up to 121,000 us, and an election waits for 484,000 us "
                          "therefore; set it to 490,000 or more in the cluster file"));
  takes(10'568);
  EXPECT_THAT(texts(watch.look(status, 9 * kSecond)), IsEmpty());
  takes(121'000);
  EXPECT_THAT(texts(watch.look(status, 200 * kSecond)), IsEmpty());
  EXPECT_THAT(texts(watch.look(status, 210 * kSecond)), IsEmpty());
}

TEST(Watch, WhoLeadsIsToldWhenItChangesAndNotWhenNobodyDoesForAWhile) {
  Watch watch;
  NodeStatus status = quiet();
  status.has_leader = true;
  EXPECT_THAT(texts(watch.look(status, kSecond)), IsEmpty());
  status.leader = ReplicaId(2);
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)), ElementsAre("R2 leads now"));
  status.leader.reset();
  EXPECT_THAT(texts(watch.look(status, 30 * kSecond)), IsEmpty());
  status.leader = ReplicaId(2);
  EXPECT_THAT(texts(watch.look(status, 31 * kSecond)), IsEmpty());
  status.leader = ReplicaId(0);
  EXPECT_THAT(texts(watch.look(status, 60 * kSecond)), ElementsAre("R0 leads now"));
}

TEST(Watch, WhoRunsWithAnotherFileIsToldOnceAndNotAsNeverReached) {
  Watch watch;
  NodeStatus status = quiet();
  status.peers[0].connected = false;
  status.peers[1].connected = true;
  watch.look(status, kSecond);
  status.peers[0].is_stranger = true;
  status.uptime_us = Watch::kUnreachedUs;

  const auto told = texts(watch.look(status, 20 * kSecond));

  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], HasSubstr("R0 runs with another cluster file or protocol"));
  EXPECT_TRUE(texts(watch.look(status, 200 * kSecond)).empty());
}

TEST(Watch, ALeaderTellsEveryStepOfAChangeOfTheMembers) {
  Watch watch;
  NodeStatus status = quiet();
  status.leader = status.self;
  const ReplicaSet three = ReplicaSet::all(3);
  const auto look = [&](const MemberStatus& members) {
    status.members = members;
    return texts(watch.look(status, 20 * kSecond));
  };
  const auto r3 = ReplicaSet::only(ReplicaId(3));
  const ReplicaSet four = ReplicaSet::all(4);
  look({three, {}, {}, "", ""});

  EXPECT_THAT(look({three, {}, r3, "R3 catches up", ""}),
              ElementsAre("R3 learns, and then becomes a member"));
  EXPECT_THAT(look({four, three, {}, "R3 joins", ""}), IsEmpty());
  EXPECT_THAT(look({four, {}, {}, "", ""}), ElementsAre("R3 is a member now"));
  EXPECT_THAT(look({three, four, {}, "R3 leaves", ""}), IsEmpty());
  EXPECT_THAT(look({three, {}, {}, "", ""}), ElementsAre("R3 is no member any more"));
  EXPECT_THAT(look({three, {}, {}, "", "R3 was not added."}),
              ElementsAre("gave up a change of the members: R3 was not added."));
  EXPECT_THAT(look({three, {}, {}, "", "R3 was not added."}), IsEmpty());

  status.leader = ReplicaId(0);
  EXPECT_THAT(look({three, {}, r3, "R3 catches up", ""}), IsEmpty());
}

TEST(Watch, AReplicaThatIsFarBehindTellsItAndThatItHasCaughtUp) {
  Watch watch;
  NodeStatus status = quiet();
  status.rows[2].highest_known = Slot(20'008);
  EXPECT_THAT(texts(watch.look(status, kSecond)), ElementsAre(HasSubstr("catches up: 20,002 ")));

  status.rows[0].executed_up_to = status.rows[0].highest_known;
  status.rows[2].executed_up_to = Slot(20'007);
  status.rows[2].highest_known = Slot(21'000);
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)), IsEmpty()) << "one is missing";

  status.rows[2].executed_up_to = Slot(20'008);
  EXPECT_THAT(texts(watch.look(status, 3 * kSecond)),
              ElementsAre("has caught up: executed 20,002 instances meanwhile"))
      << "what came meanwhile does not count";
}

TEST(Watch, WhatWasExecutedSoonAfterAStartIsToldOnce) {
  Watch watch;
  NodeStatus status = quiet();
  status.rows = {{Slot(4), Slot(4), Slot(4), Slot(0)}};
  status.uptime_us = 0;
  EXPECT_THAT(texts(watch.look(status, kSecond)), IsEmpty());

  status.uptime_us = kSecond;
  status.peers[0].connected = true;
  status.rows = {{Slot(40), Slot(40), Slot(40), Slot(0)}};
  EXPECT_THAT(
      texts(watch.look(status, 2 * kSecond)),
      ElementsAre("replica 0 is connected", "has caught up: executed 36 instances meanwhile"));

  status.rows = {{Slot(50), Slot(50), Slot(50), Slot(0)}};
  EXPECT_THAT(texts(watch.look(status, 3 * kSecond)), IsEmpty()) << "that is ordinary work";
}

TEST(Watch, AnImageThatWasTakenOverIsTold) {
  Watch watch;
  NodeStatus status = quiet();
  status.counters[2].counters.push_back({"installed", 1});
  EXPECT_THAT(texts(watch.look(status, kSecond)),
              ElementsAre("took over an image of the state from another replica"));
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)), IsEmpty());
}

TEST(Watch, AFullDiskIsToldWithItsReasonAndSoIsItsEnd) {
  Watch watch;
  NodeStatus status = quiet();
  status.store.state = "full";
  status.store.error = "the disk is full; make room";
  const auto full = watch.look(status, kSecond);
  ASSERT_EQ(texts(full), std::vector<std::string>{"refuses commands: the disk is full; make room"});
  EXPECT_EQ(full[0].severity, Severity::kWarning);

  status.store.state = "ready";
  EXPECT_THAT(texts(watch.look(status, 60 * kSecond)),
              ElementsAre("there is room on the disk again"));
}

TEST(Watch, AStoreInMemoryIsNoNews) {
  Watch watch;
  NodeStatus status = quiet();
  status.store.state = "memory";
  EXPECT_THAT(texts(watch.look(status, kSecond)), IsEmpty());
}

TEST(Watch, ALostVoteIsToldWithWhatToDo) {
  Watch watch;
  NodeStatus status = quiet();
  status.voting = false;
  status.non_voting_reason = "its last run ended unclean; do this";
  EXPECT_THAT(texts(watch.look(status, kSecond)),
              ElementsAre("does not vote: its last run ended unclean; do this"));
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)), IsEmpty());
}

TEST(Watch, RefusalsAreToldWithTheirNamesAndNotOneByOne) {
  Watch watch;
  NodeStatus status = quiet();
  Counter& refused = status.counters[3].counters[1];
  std::vector<std::string> lines;
  for (Tick second = 1; second <= 60; ++second) {
    refused.value += 100;
    for (const std::string& line : texts(watch.look(status, second * kSecond))) {
      lines.push_back(line);
    }
  }
  EXPECT_THAT(lines, ElementsAre("refused or dropped since the last line about it: "
                                 "peer_plane.refused_wrong_cluster 100"));

  EXPECT_THAT(texts(watch.look(status, 61 * kSecond)),
              ElementsAre(HasSubstr("peer_plane.refused_wrong_cluster 5,900")));
}

TEST(Watch, UsedUpDescriptorsAreToldOnceAMinuteWithTheLimit) {
  Watch watch;
  NodeStatus status = quiet();
  status.counters.push_back({"node", {{"open_files_max", 1024}, {"no_descriptor_left", 0}}});
  Counter& without = status.counters.back().counters[1];
  std::vector<std::string> lines;
  for (Tick second = 1; second <= 60; ++second) {
    ++without.value;
    for (const std::string& line : texts(watch.look(status, second * kSecond))) {
      lines.push_back(line);
    }
  }
  EXPECT_THAT(lines, ElementsAre(AllOf(HasSubstr("no file descriptor is left"),
                                       HasSubstr("1,024 open files"), HasSubstr("ulimit -n"))));

  EXPECT_THAT(texts(watch.look(status, 61 * kSecond)), ElementsAre(HasSubstr("1,024")));
  EXPECT_THAT(texts(watch.look(status, 200 * kSecond)), IsEmpty()) << "it is over";
}

TEST(Watch, ClientsBeyondTheBoundAreToldWithTheBound) {
  Watch watch;
  NodeStatus status = quiet();
  status.counters.push_back(
      {"client_plane", {{"connections_max", 832}, {"refused_connections", 0}}});
  Counter& refused = status.counters.back().counters[1];
  EXPECT_THAT(texts(watch.look(status, kSecond)), IsEmpty());

  refused.value = 3;

  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)),
              ElementsAre(AllOf(HasSubstr("3 connections were closed again"),
                                HasSubstr("room for 832"), HasSubstr("ulimit -n"))));
}

TEST(Watch, WhatAnAbsentPeerDidNotGetIsNoRefusal) {
  Watch watch;
  NodeStatus status = quiet();
  status.counters[0].counters.push_back({"dropped_instances", 64});
  status.counters[1].counters.push_back({"bundles_dropped", 2});
  status.peers[0].counters = {{"dropped_unreachable", 2}, {"dropped_would_block", 0}};
  EXPECT_THAT(texts(watch.look(status, kSecond)), IsEmpty());

  status.peers[0].counters[1].value = 3;
  EXPECT_THAT(texts(watch.look(status, 2 * kSecond)),
              ElementsAre(HasSubstr("to R0.dropped_would_block 3")));
}

TEST(Watch, TheProgressIsForThoseWhoAskForIt) {
  Watch watch;
  NodeStatus status = quiet();
  watch.look(status, kSecond);
  status.counters[1].counters[0].value = 1500;

  const auto remarks = watch.look(status, kSecond + Watch::kProgressUs);

  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_EQ(remarks[0].severity, Severity::kDebug);
  EXPECT_THAT(remarks[0].text, HasSubstr("1,500 commands"));
}

}  // namespace
}  // namespace epaxos::testing
