// The way of a command through a host, and every way in which it can end.

#include "tests/epaxos/runtime/host_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A core that executes whatever is proposed, at once and without a record.
void executes_at_once(Stage& stage, Blocks& blocks) {
  stage.core.on_propose = [&](std::span<const Proposal> proposals, Effects& out) {
    blocks.execute(proposals, out, out.now - 3);
  };
}

TEST(HostProposals, TheProposalsOfATurnReachTheCoreTogetherAndTheirProposersHearTheReplies) {
  Stage stage;
  Blocks blocks;
  stage.start();
  executes_at_once(stage, blocks);

  const Diary diary = stage.turn([&] {
    stage.propose("one");
    stage.propose("two");
  });

  EXPECT_THAT(diary, ElementsAre("propose one two", "apply one", "apply two", "executed: one",
                                 "executed: two", "applied 1"));
  EXPECT_EQ(stage.host().pending(), 0u);
  EXPECT_THAT(stage.waits, ElementsAre(3u, 3u)) << "from the commit to the execution";
}

TEST(HostProposals, AReplyWaitsForTheDisk) {
  Stage stage;
  Blocks blocks;
  stage.start();
  stage.core.on_propose = [&](std::span<const Proposal> proposals, Effects& out) {
    record(out);
    blocks.execute(proposals, out);
  };

  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }), ElementsAre("propose x", "submit 1"));
  EXPECT_THAT(stage.durable(1), ElementsAre("durable 1", "apply x", "executed: x", "applied 1"));
}

/// What a core emits for a read that has no place in the order.
void read_at_once(std::span<const Proposal> proposals, Effects& out) {
  for (const Proposal& each : proposals) {
    out.reads.push_back({each.command.id, out.append(each.command.payload)});
  }
}

TEST(HostProposals, AReadWithoutAPlaceIsAnsweredFromTheStateAndWaitsForNoDisk) {
  Stage stage;
  stage.start();
  stage.core.on_propose = [&](std::span<const Proposal> proposals, Effects& out) {
    record(out);
    read_at_once(proposals, out);
  };

  const Diary diary = stage.turn([&] { stage.propose("x"); });

  EXPECT_THAT(diary, ElementsAre("propose x", "submit 1", "apply x", "executed: x"));
  EXPECT_EQ(stage.host().pending(), 0u);
  EXPECT_EQ(stage.host().counters().reads_run, 1u);
  EXPECT_EQ(stage.host().counters().instances_executed, 0u);
}

TEST(HostProposals, ATurnGivesSoManyBytesOfAnswersToReadsAndTheNextOnesGiveTheOthers) {
  Stage stage;
  stage.machine.padding = 1 << 20;
  stage.start();
  stage.core.on_propose = read_at_once;

  stage.turn([&] {
    for (int i = 0; i < 40; ++i) stage.propose("x");
  });

  const std::uint64_t first = stage.host().counters().reads_run;
  EXPECT_GE(first, 4u);
  EXPECT_LE(first, 16u);
  int turns = 1;
  for (; stage.host().pending() > 0 && turns < 40; ++turns) stage.turn();
  EXPECT_EQ(stage.host().counters().reads_run, 40u);
  EXPECT_GE(turns, 3);
}

TEST(HostProposals, AReadThatFollowsFromAnExecutionIsDueAtOnce) {
  Stage stage;
  Blocks blocks;
  stage.start();
  std::vector<Proposal> later;
  stage.core.on_propose = [&](std::span<const Proposal> proposals, Effects& out) {
    blocks.execute(proposals.first(1), out);
    later.assign(proposals.begin() + 1, proposals.end());
  };
  stage.core.on_applied = [&](std::uint64_t, Effects& out) { read_at_once(later, out); };

  const Diary first = stage.turn([&] {
    stage.propose("write");
    stage.propose("read");
  });
  EXPECT_THAT(first,
              ElementsAre("propose write read", "apply write", "executed: write", "applied 1"));
  EXPECT_LE(stage.host().next_deadline(), stage.now);

  EXPECT_THAT(stage.turn(), ElementsAre("apply read", "executed: read"));
}

TEST(HostProposals, PayloadsAreCopied) {
  Stage stage;
  stage.start();
  {
    std::string payload = "short-lived";
    stage.propose(payload);
    payload.assign(payload.size(), '!');
  }
  EXPECT_THAT(stage.turn(), ElementsAre("propose short-lived"));
}

TEST(HostProposals, NumbersAscendAndTheSessionTellsReplicaAndLife) {
  Stage stage;
  stage.start();
  const CommandId first = stage.propose("a");
  const CommandId second = stage.propose("b");

  EXPECT_LT(first.number, second.number);
  EXPECT_EQ(first.session, second.session);
  EXPECT_EQ(first.session >> 63, 1u) << "no client opens such a session";
  EXPECT_NE(Pending::anonymous_session(5, kA), Pending::anonymous_session(5, kB));
  EXPECT_NE(Pending::anonymous_session(5, kA), Pending::anonymous_session(6, kA));
}

TEST(HostProposals, ACommandOfAnotherLifeWithTheSameNumberHasNoProposerHere) {
  Stage stage;
  Blocks blocks;
  stage.start();
  stage.core.on_propose = [&](std::span<const Proposal> proposals, Effects& out) {
    Proposal foreign = proposals[0];
    foreign.command.id.session = Pending::anonymous_session(4, kA);
    blocks.execute(std::span(&foreign, 1), out);
    out.rejections.push_back({foreign.command.id, ErrorCode::kOverloaded, "not yours"});
  };

  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }),
              ElementsAre("propose x", "apply x", "applied 1"));
  EXPECT_EQ(stage.host().pending(), 1u);
}

TEST(HostProposals, RejectionsOfTheCoreLeaveAtOnce) {
  Stage stage;
  stage.start();
  stage.core.on_propose = [](std::span<const Proposal> proposals, Effects& out) {
    record(out);
    out.rejections.push_back({proposals[0].command.id, ErrorCode::kTooLarge, "Too large."});
  };

  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }),
              ElementsAre("propose x", "submit 1", "rejected: Too large."));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kTooLarge));
}

// A closed-loop client proposes its next command where it hears of the last one.
TEST(HostProposals, ACompletionMayProposeAgainAndTheNextTurnIsDueAtOnce) {
  Stage stage;
  Blocks blocks;
  stage.start();
  executes_at_once(stage, blocks);
  int executed = 0;
  std::function<void()> again = [&] {
    stage.host().propose(bytes_of("x"), Footprint::write("k"), kNever, [&](const Outcome& outcome) {
      ASSERT_EQ(outcome.kind, OutcomeKind::kExecuted);
      ++executed;
      again();
    });
  };
  stage.turn(again);
  EXPECT_EQ(executed, 1);

  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(stage.host().next_deadline(), stage.now);
    stage.turn();
  }

  EXPECT_EQ(executed, 1001);
}

TEST(HostProposals, ARefusedClientThatProposesAgainAtOnceDoesNotRecurse) {
  Stage stage(Durability::kSync, 0);
  stage.start();
  int refused = 0;
  std::function<void()> again = [&] {
    stage.host().propose(bytes_of("x"), Footprint::write("k"), kNever, [&](const Outcome& outcome) {
      EXPECT_EQ(outcome.code, ErrorCode::kOverloaded);
      ++refused;
      again();
    });
  };

  again();
  EXPECT_EQ(refused, 0) << "nobody hears anything inside propose()";
  for (int i = 0; i < 5; ++i) stage.turn();

  EXPECT_EQ(refused, 5) << "once a turn";
}

TEST(HostProposals, MoreProposalsThanTheLimitAreRefusedAsOverloaded) {
  Stage stage(Durability::kSync, 2);
  stage.start();

  const Diary diary = stage.turn([&] {
    for (const char* payload : {"a", "b", "c"}) stage.propose(payload);
  });

  ASSERT_EQ(diary.size(), 2u);
  EXPECT_EQ(diary[0], "propose a b");
  EXPECT_THAT(diary[1], HasSubstr("rejected: too many proposals"));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kOverloaded));
  EXPECT_EQ(stage.host().counters().rejected_overloaded, 1u);
}

TEST(HostProposals, ATooLargePayloadIsRefused) {
  Stage stage;
  stage.start();
  stage.turn([&] { stage.propose(std::string(kPayloadBytesMax + 1, 'x')); });
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kTooLarge));
  EXPECT_EQ(stage.host().pending(), 0u);
}

TEST(HostProposals, ADeadlineBeforeTheCoreGotTheCommandRejects) {
  Stage stage;
  stage.start();
  stage.propose("x", stage.now + 1);  // Between two turns; the next one is at now + 1.

  const Diary diary = stage.turn();

  ASSERT_EQ(diary.size(), 1u);
  EXPECT_THAT(diary[0], HasSubstr("rejected: the deadline passed"));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kDeadline));
}

TEST(HostProposals, ADeadlineInThePastOfTheSameTurnRejects) {
  Stage stage;
  stage.start();
  EXPECT_THAT(stage.turn([&] { stage.propose("x", stage.now); }),
              ElementsAre(HasSubstr("rejected: the deadline passed")));
}

TEST(HostProposals, ADeadlineAfterTheCoreGotTheCommandLeavesItUnknownAndALateExecutionFindsNobody) {
  Stage stage;
  Blocks blocks;
  std::vector<Proposal> kept;
  stage.start();
  stage.core.on_propose = [&](std::span<const Proposal> proposals, Effects&) {
    kept.assign(proposals.begin(), proposals.end());
    kept[0].command.payload = bytes_of("late");
  };
  stage.turn([&] { stage.propose("x", stage.now + 2); });
  EXPECT_EQ(stage.host().next_deadline(), stage.now + 2);
  stage.turn();

  EXPECT_THAT(stage.turn(), ElementsAre(HasSubstr("unknown: the deadline passed")));
  stage.core.on_tick = [&](Effects& out) { blocks.execute(kept, out); };
  EXPECT_THAT(stage.turn(), ElementsAre("apply late", "applied 1"));
  EXPECT_EQ(stage.host().counters().commands_late, 1u);
}

TEST(HostProposals, AFullDiskRefusesProposalsUntilThereIsRoom) {
  Stage stage;
  stage.start();
  stage.store.now = storage::StoreState::kFull;
  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }),
              ElementsAre("disk full", HasSubstr("rejected: the disk of this replica is full")));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kOutOfSpace));

  stage.store.now = storage::StoreState::kReady;
  EXPECT_THAT(stage.turn([&] { stage.propose("y"); }), ElementsAre("disk has room", "propose y"));
}

TEST(HostProposals, OnAFullDiskReadsGoOnWhereTheyWriteNothing) {
  Stage stage;
  stage.core.free_reads = true;
  stage.start();
  stage.store.now = storage::StoreState::kFull;
  const auto read = [&](std::string_view payload) {
    stage.host().propose(bytes_of(payload), Footprint::read("k"), kNever, [](const Outcome&) {});
  };

  EXPECT_THAT(stage.turn([&] {
    read("r");
    stage.propose("w");
  }),
              ElementsAre("disk full", "propose r",
                          HasSubstr("rejected: the disk of this replica is full")));
}

TEST(HostProposals, AreRefusedLongBeforeWhatIsPromisedHasNoRoom) {
  Stage stage;
  stage.start();
  stage.store.room = {95, 100};
  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }),
              ElementsAre(HasSubstr("rejected: the disk of this replica is nearly full")));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kOutOfSpace));

  stage.store.room = {70, 100};
  EXPECT_THAT(stage.turn([&] { stage.propose("y"); }), ElementsAre("propose y"));
}

TEST(HostProposals, AreRefusedWhileMemoryIsHeldForAMemberThatIsAway) {
  Stage stage;
  stage.start();
  stage.core.memory = {.bytes = 95, .limit_bytes = 100, .behind = ReplicaId(2)};
  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }),
              ElementsAre(AllOf(HasSubstr("rejected: "), HasSubstr("R2"), HasSubstr("bring"))));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kOverloaded));
  EXPECT_EQ(stage.host().counters().rejected_memory_short, 1u);

  stage.core.memory = {.bytes = 70, .limit_bytes = 100, .behind = ReplicaId(2)};
  EXPECT_THAT(stage.turn([&] { stage.propose("y"); }), ElementsAre("propose y"));
  stage.core.memory = {.bytes = 95, .limit_bytes = 100};
  EXPECT_THAT(stage.turn([&] { stage.propose("z"); }), ElementsAre("propose z"))
      << "it is not held for anybody";

  stage.core.memory = {.bytes = 95, .limit_bytes = 100, .behind = {}, .undecided_bytes = 40};
  EXPECT_THAT(stage.turn([&] { stage.propose("u"); }),
              ElementsAre(AllOf(HasSubstr("not decided"), HasSubstr("more than half"))));
}

TEST(HostProposals, AProposalThatWaitedWhileTheDiskFilledUpIsRefusedToo) {
  Stage stage;
  stage.start();
  stage.propose("x");
  stage.store.now = storage::StoreState::kFull;

  EXPECT_THAT(stage.turn(),
              ElementsAre("disk full", HasSubstr("rejected: the disk of this replica is full")));
}

TEST(HostProposals, AReplicaThatMustNotVoteRefusesWithTheSentenceItWasGiven) {
  Stage stage;
  stage.config.not_voting_reason = "This replica was restored from a backup. Replace it.";
  stage.start();

  EXPECT_THAT(stage.turn([&] { stage.propose("x"); }),
              ElementsAre("rejected: This replica was restored from a backup. Replace it."));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kNotVoting));
}

TEST(HostProposals, AFailedDiskStopsTheHostAndNothingLeavesAnyMore) {
  Stage stage;
  stage.start();
  stage.core.on_propose = [](std::span<const Proposal>, Effects& out) {
    record(out);
    send(out, 'p');
  };
  stage.turn([&] { stage.propose("x"); });

  stage.store.now = storage::StoreState::kFailed;
  const Diary diary = stage.turn([&] { stage.host().receive_bundle(stage.bundle(kB, "a")); });

  EXPECT_THAT(diary, ElementsAre(HasSubstr("unknown: the disk of this replica failed")));
  EXPECT_TRUE(stage.host().stopped());
  EXPECT_THAT(stage.host().stop_reason(), HasSubstr("scripted trouble"));
  stage.store.durable_up_to = 1;
  EXPECT_THAT(stage.turn([&] { stage.propose("y"); }),
              ElementsAre(HasSubstr("rejected: the disk of this replica failed")));
  EXPECT_TRUE(stage.network->bundles.empty());
}

TEST(HostProposals, StoppingRejectsWhatTheCoreNeverGotAndLeavesTheRestUnknown) {
  Stage stage;
  stage.start();
  stage.turn([&] { stage.propose("given"); });
  stage.diary.clear();
  stage.propose("queued");

  stage.host().stop("The operator stopped it.");

  EXPECT_THAT(stage.diary, ElementsAre("unknown: The operator stopped it.",
                                       "rejected: The operator stopped it."));
  EXPECT_EQ(stage.host().pending(), 0u);
  EXPECT_EQ(stage.host().next_deadline(), kNever);
}

TEST(HostProposals, ACompletionMayStopTheHost) {
  Stage stage;
  Blocks blocks;
  stage.start();
  executes_at_once(stage, blocks);
  stage.core.on_end_of_turn = [](Effects& out) { send(out, 'x', 0b010); };

  stage.turn([&] {
    stage.host().propose(bytes_of("x"), Footprint::write("k"), kNever,
                         [&](const Outcome&) { stage.host().stop("Enough."); });
    stage.propose("y");
  });

  EXPECT_EQ(stage.diary.back(), "unknown: Enough.") << "y is applied, but nobody says so any more";
  EXPECT_THAT(stage.turn(), IsEmpty());
}

TEST(HostProposals, ManyDeadlinesOfProposalsThatEndedAreForgotten) {
  Pending pending;
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t number = pending.add(1'000'000 + static_cast<Tick>(i), [](const auto&) {});
    EXPECT_TRUE(pending.take(number));
    pending.trim_deadlines();
  }
  EXPECT_EQ(pending.next_deadline(), kNever);
  EXPECT_EQ(pending.size(), 0u);
}

}  // namespace
}  // namespace epaxos::runtime::testing
