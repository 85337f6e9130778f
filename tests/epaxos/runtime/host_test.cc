// The order in which a host carries effects out: log, then speak; machines after networks.

#include <algorithm>

#include "tests/epaxos/runtime/host_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Host, StreamsTheStoreIntoTheCoreBeforeItStarts) {
  Stage stage;
  stage.store.contents = {"one", "two"};
  stage.core.on_start = [](Effects& out) { send(out, 'g'); };

  ASSERT_TRUE(stage.host().start(stage.now));

  EXPECT_THAT(stage.core.restored, ElementsAre("one", "two"));
  EXPECT_THAT(stage.diary, ElementsAre("start", "send g to R1", "send g to R2"));
}

TEST(Host, HoldsWhatRestsOnABatchUntilItIsDurable) {
  Stage stage;
  stage.start();
  stage.core.on_receive = [](ReplicaId, const net::Frame&, Effects& out) {
    record(out);
    send(out, 'v', 0b010);
  };

  EXPECT_THAT(stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "p")); }),
              ElementsAre("receive p from R1", "submit 1"));
  EXPECT_THAT(stage.turn(), IsEmpty());
  EXPECT_THAT(stage.durable(1), ElementsAre("durable 1", "send v to R1"));
}

// protocol.md 13.1: the second PreAccept finds the vote in memory and writes nothing, but the vote
// is not on disk yet. To answer it now would be to answer for a vote that a crash takes back.
TEST(Host, ADuplicateIsNotAnsweredWhileTheFirstWriteIsInFlight) {
  Stage stage;
  stage.start();
  bool voted = false;
  stage.core.on_receive = [&](ReplicaId, const net::Frame&, Effects& out) {
    if (!voted) record(out);
    voted = true;
    send(out, 'v', 0b010);
  };

  EXPECT_THAT(stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "p")); }),
              ElementsAre("receive p from R1", "submit 1"));
  EXPECT_THAT(stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "p")); }),
              ElementsAre("receive p from R1"));
  EXPECT_THAT(stage.durable(1), ElementsAre("durable 1", "send v to R1", "send v to R1"));
}

TEST(Host, WhatMayLeaveNowOvertakesTheDisk) {
  Stage stage;
  stage.start();
  stage.core.on_tick = [](Effects& out) {
    if (out.batch > 1) return;
    record(out);
    send(out, 'g', 0b010);
    send(out, 'q', 0b010, Release::kNow);
  };

  EXPECT_THAT(stage.turn(), ElementsAre("submit 1", "send q to R1"));
  EXPECT_THAT(stage.durable(1), ElementsAre("durable 1", "send g to R1"));
}

// A disk that is full or slow may stay so for hours, and turns go on.
TEST(Host, TurnsThatLeaveNothingToReleaseAreNotKept) {
  Stage stage;
  stage.start();
  stage.core.on_receive = [](ReplicaId, const net::Frame&, Effects& out) {
    record(out);
    send(out, 'v', 0b010);
  };
  stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "p")); });
  stage.core.on_receive = [](ReplicaId, const net::Frame&, Effects& out) {
    send(out, 'q', 0b010, Release::kNow);
  };

  for (int i = 0; i < 1'000; ++i) {
    stage.turn();
    stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "p")); });
  }

  EXPECT_EQ(stage.host().held_turns(), 1u) << "the one whose answer waits for the disk";
}

TEST(Host, LaterBatchesDoNotHoldEarlierTurns) {
  Stage stage;
  stage.start();
  stage.core.on_tick = [](Effects& out) {
    if (out.batch > 3) return;
    record(out);
    send(out, static_cast<char>('0' + out.batch), 0b010);
  };
  stage.turn();
  stage.turn();
  stage.turn();

  EXPECT_THAT(stage.durable(2), ElementsAre("durable 2", "send 1 to R1", "send 2 to R1"));
  EXPECT_THAT(stage.durable(3), ElementsAre("durable 3", "send 3 to R1"));
}

TEST(Host, BelowSyncASubmittedBatchCountsAsDurableInTheSameTurn) {
  for (const Durability durability : {Durability::kAsync, Durability::kNone}) {
    Stage stage(durability);
    stage.start();
    stage.core.on_propose = [](std::span<const Proposal>, Effects& out) {
      record(out);
      send(out, 'p', 0b010);
    };
    // What becomes possible needs a record of its own, and so on: all in one turn.
    stage.core.on_durable = [](BatchNumber batch, Effects& out) {
      if (batch < 3) record(out);
      send(out, static_cast<char>('0' + batch), 0b010);
    };

    EXPECT_THAT(
        stage.turn([&] { stage.propose("x"); }),
        ElementsAre("propose x", "submit 1", "durable 1", "submit 2", "durable 2", "submit 3",
                    "durable 3", "send p to R1", "send 1 to R1", "send 2 to R1", "send 3 to R1"));
    EXPECT_EQ(stage.network->bundles.size(), 1u) << "one bundle a peer and turn";
    EXPECT_EQ(stage.store.durable_up_to, 0u) << "nothing was waited for";
  }
}

TEST(Host, ACoreThatIsNeverDoneDoesNotHoldUpTheTurn) {
  Stage stage(Durability::kNone);
  stage.start();
  stage.core.on_tick = [](Effects& out) {
    if (out.batch == 1) record(out);
  };
  stage.core.on_durable = [](BatchNumber, Effects& out) { record(out); };

  stage.turn();

  EXPECT_LT(stage.store.submitted, 100u);
  EXPECT_EQ(stage.host().next_deadline(), stage.now) << "the rest is due at once";
}

TEST(Host, FramesForOnePeerShareOneBundleAndABroadcastGoesToEach) {
  Stage stage;
  stage.start();
  stage.core.on_receive = [](ReplicaId, const net::Frame& frame, Effects& out) {
    send(out, text_of(frame.body)[0], 0b110);
  };

  stage.turn([&] {
    stage.host().receive_bundle(stage.bundle(kB, "ab"));
    stage.host().receive_bundle(stage.bundle(kC, "c"));
  });

  ASSERT_EQ(stage.network->bundles.size(), 2u);
  for (const auto& bundle : stage.network->bundles) {
    EXPECT_EQ(bundle.header.frame_count, 3u);
    EXPECT_EQ(bundle.header.from, kA);
    EXPECT_EQ(bundle.header.incarnation, 5u);
  }
  EXPECT_EQ(stage.host().counters().frames_out[3], 6u);
  EXPECT_EQ(stage.host().counters().frames_in[3], 3u);
}

TEST(Host, ABundleClosesWhenItIsFull) {
  Stage stage;
  stage.start();
  stage.core.on_tick = [](Effects& out) {
    for (int i = 0; i < 5; ++i) send(out, 'x', 0b010, Release::kNow, 100 * 1024);
  };

  stage.turn();

  ASSERT_EQ(stage.network->bundles.size(), 3u);
  for (const auto& bundle : stage.network->bundles) {
    EXPECT_LE(bundle.bytes, net::kBundleCloseBytes + net::kBundleHeaderBytes);
  }
}

TEST(Host, BundlesCarryTheLastDurableBatch) {
  Stage stage;
  stage.start();
  stage.core.on_tick = [](Effects& out) {
    if (out.batch <= 2) record(out);
    send(out, 'x', 0b010, Release::kNow);
  };

  stage.turn();
  stage.turn();
  stage.durable(2);

  EXPECT_EQ(stage.network->bundles.front().header.durable_sequence, 0u);
  EXPECT_EQ(stage.network->bundles.back().header.durable_sequence, 2u);
}

TEST(Host, BundlesOfAnEarlierLifeOfAPeerAreRefused) {
  Stage stage;
  stage.start();

  stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "a", 3)); });
  EXPECT_THAT(stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "b", 2)); }),
              IsEmpty());
  // Another peer has a count of its own, and the same life may go on.
  stage.turn([&] { stage.host().receive_bundle(stage.bundle(kC, "c", 1)); });
  stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "d", 3)); });

  EXPECT_EQ(stage.host().refusals()[net::Refusal::kOldIncarnation], 1u);
  EXPECT_EQ(stage.host().counters().bundles_in, 3u);
}

struct NextLife {
  const char* name;
  Durability durability;
  std::uint64_t told;      ///< Durable batches that the earlier life told of.
  std::uint64_t at_start;  ///< That the next one began with.
  bool forgot;
};
class LivesOfAPeer : public ::testing::TestWithParam<NextLife> {};

TEST_P(LivesOfAPeer, OneThatBeganWithTooLittleHasForgotten) {
  const NextLife& c = GetParam();
  Stage stage(c.durability);
  stage.start();
  stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "a", 1, c.told)); });

  const Diary diary = stage.turn(
      [&] { stage.host().receive_bundle(stage.bundle(kB, "b", 2, c.at_start, c.at_start)); });

  EXPECT_EQ(std::ranges::count(diary, "R1 forgot"), c.forgot ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(
    Table, LivesOfAPeer,
    ::testing::Values(NextLife{"sync", Durability::kSync, 5, 5, false},
                      NextLife{"syncSetBack", Durability::kSync, 5, 4, true},
                      NextLife{"asyncBehindWhatItTold", Durability::kAsync, 5, 4, false},
                      NextLife{"asyncEmptied", Durability::kAsync, 5, 0, true},
                      NextLife{"asyncThatPromisedNothing", Durability::kAsync, 0, 0, false},
                      NextLife{"none", Durability::kNone, 5, 0, true},
                      NextLife{"noneThatPromisedNothing", Durability::kNone, 0, 0, false},
                      NextLife{"noneThatInsists", Durability::kNone, 5, std::uint64_t{1} << 48,
                               false}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(Host, DamagedBundlesAreCountedAndReachNoCore) {
  Stage stage;
  stage.start();
  std::vector<std::byte> damaged = stage.bundle(kB, "a");
  damaged[damaged.size() - 1] ^= std::byte{1};
  std::vector<std::byte> own = stage.bundle(kA, "a");

  const Diary diary = stage.turn([&] {
    stage.host().receive_bundle(damaged);
    stage.host().receive_bundle(own);
    stage.host().receive_bundle({});
  });

  EXPECT_THAT(diary, IsEmpty());
  EXPECT_EQ(stage.host().refusals()[net::Refusal::kWrongChecksum], 1u);
  EXPECT_EQ(stage.host().refusals()[net::Refusal::kWrongSender], 1u);
  EXPECT_EQ(stage.host().refusals()[net::Refusal::kTooShort], 1u);
}

TEST(Host, ExecutionsWaitForTheDiskAndKeepTheirOrder) {
  Stage stage;
  Blocks blocks;
  stage.start();
  stage.core.on_tick = [&](Effects& out) {
    if (out.batch > 2) return;
    record(out);
    blocks.execute_foreign(out.batch == 1 ? "first" : "second", out);
    send(out, static_cast<char>('0' + out.batch), 0b010);
  };

  EXPECT_THAT(stage.turn(), ElementsAre("submit 1"));
  EXPECT_THAT(stage.turn(), ElementsAre("submit 2"));
  EXPECT_THAT(stage.durable(2),
              ElementsAre("durable 2", "send 1 to R1", "send 2 to R1", "apply first", "applied 1",
                          "apply second", "applied 2"));
}

TEST(Host, WhatACoreAnswersToAppliedBelongsToTheNextTurnWhichIsDueAtOnce) {
  Stage stage;
  Blocks blocks;
  stage.start();
  bool once = false;
  stage.core.on_tick = [&](Effects& out) {
    if (!std::exchange(once, true)) blocks.execute_foreign("x", out);
  };
  stage.core.on_applied = [](std::uint64_t, Effects& out) {
    record(out);
    send(out, 'f', 0b010);
  };

  EXPECT_THAT(stage.turn(), ElementsAre("apply x", "applied 1"));
  EXPECT_EQ(stage.host().next_deadline(), stage.now);
  EXPECT_THAT(stage.turn(), ElementsAre("submit 1"));
  EXPECT_THAT(stage.durable(1), ElementsAre("durable 1", "send f to R1"));
}

TEST(Host, ABundleThatTheSinkDropsIsCounted) {
  Stage stage;
  stage.start();
  stage.network->takes = false;
  stage.core.on_tick = [](Effects& out) { send(out, 'x', 0b010); };

  stage.turn();

  EXPECT_EQ(stage.host().counters().bundles_dropped, 1u);
  EXPECT_EQ(stage.host().counters().bundles_out, 0u);
}

TEST(Host, TheNextTurnIsDueWhenTheCoreSaysSo) {
  Stage stage;
  stage.start();
  EXPECT_EQ(stage.host().next_deadline(), kNever);

  stage.core.deadline = 5000;
  EXPECT_EQ(stage.host().next_deadline(), 5000u);

  stage.core.deadline = 0;  // Overdue.
  EXPECT_EQ(stage.host().next_deadline(), stage.now);
}

TEST(Host, StatusTellsWhatWaitsAndWhatWasDone) {
  Stage stage;
  stage.start();
  stage.core.on_propose = [](std::span<const Proposal>, Effects& out) {
    record(out, "12345");
    send(out, 'p');
  };
  stage.turn([&] { stage.propose("x"); });

  HostStatus status;
  stage.host().status(status);

  EXPECT_EQ(status.pending, 1u);
  EXPECT_EQ(status.held_turns, 1u);
  EXPECT_EQ(status.submitted_batch, 1u);
  EXPECT_EQ(status.durable_batch, 0u);
  EXPECT_EQ(status.counters.records, 1u);
  EXPECT_EQ(status.counters.record_bytes, 5u);
  EXPECT_EQ(status.machine_digest, 42u);
  EXPECT_EQ(status.core.role, "scripted");
}

TEST(HostDeathTest, ACoreThatWritesToItselfIsABug) {
  Stage stage;
  stage.start();
  stage.core.on_tick = [](Effects& out) { send(out, 'x', 0b001); };
  EXPECT_DEATH(stage.turn(), "a core wrote to itself");
}

TEST(HostDeathTest, ACoreThatWritesOutOfItsGroupIsABug) {
  Stage stage;
  stage.start();
  stage.core.on_tick = [](Effects& out) { send(out, 'x', 0b1000); };
  EXPECT_DEATH(stage.turn(), "outside of its group");
}

TEST(HostDeathTest, APayloadThatDoesNotDecodeAnyMoreIsABug) {
  Stage stage;
  stage.start();
  const std::vector<std::byte> nonsense(40, std::byte{0xff});
  stage.core.on_tick = [&](Effects& out) {
    out.executions.push_back({1, {kA, Slot(1)}, 0, nonsense});
  };
  EXPECT_DEATH(stage.turn(), "no longer decodes");
}

TEST(HostDeathTest, AGapInTheFinalOrderIsABug) {
  Stage stage;
  Blocks blocks;
  stage.start();
  stage.core.on_tick = [&](Effects& out) {
    blocks.execute_foreign("x", out);
    out.executions.back().position = 2;
  };
  EXPECT_DEATH(stage.turn(), "without gaps");
}

}  // namespace
}  // namespace epaxos::runtime::testing
