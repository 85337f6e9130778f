// The image of a peer takes the place of the state: in which order, what becomes of those who wait,
// and how everything else that may happen meanwhile leaves the host as it was.

#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// A host that wishes for an image, and the peer B that has one.
class TakingImages : public ::testing::Test {
 protected:
  void start(Durability durability = Durability::kSync) {
    stage = std::make_unique<ImageStage>(durability);
    ASSERT_TRUE(stage->start());
    stage->execute("mine");
    stage->turn();
    stage->settle();
    ASSERT_EQ(stage->machine.state, "mine");
  }
  void wish_and_offer(std::uint64_t worth = ~std::uint64_t{0}) {
    stage->wish(kB, worth);
    stage->turn();
    ASSERT_THAT(stage->sent(ImageMessage::kRequest), SizeIs(1));
    offer();
  }
  void offer(ReplicaId from = kB) {
    stage->turn(
        [&] { stage->hear(from, [&](Effects& out) { send_offer(kA, image.header, out); }); });
  }
  /// Answers what was asked. False: nothing was.
  bool answer() {
    const std::vector<HeardFrame> asks = stage->sent(ImageMessage::kAsk);
    if (asks.empty()) return false;
    said = stage->turn([&] {
      for (const HeardFrame& ask : asks) {
        for (const ImagePiece& piece : image.answer(ask)) {
          stage->hear(kB, [&](Effects& out) { send_piece(kA, piece, out); });
        }
      }
    });
    return true;
  }
  /// All of it, as far as the disk lets it.
  void fetch() {
    wish_and_offer();
    while (answer()) continue;
  }
  /// Its image holds the reply to request 1 of session 77.
  void let_peer_know_a_reply() {
    executor::SessionTable sessions;
    ASSERT_EQ(sessions.control({SessionOperation::kOpen, 77, 10'000 * kSecond, 0}),
              executor::SessionTable::ControlVerdict::kDone);
    const Command known{{77, 1}, 0, false, bytes_of("s1")};
    ASSERT_EQ(sessions.admit(known).verdict, executor::SessionTable::Verdict::kRun);
    sessions.store({77, 1}, bytes_of("the reply"));
    TextMachine machine;
    machine.state = "theirs";
    image = PeerImage(sessions, machine, "peer");
  }
  void settle() {
    const Diary more = stage->settle();
    said.insert(said.end(), more.begin(), more.end());
  }
  /// The peer comes a second time; everything goes well.
  void installs_after_all() {
    stage->store.at_once = true;
    stage->store.complete();
    stage->after(3 * kSecond);
    fetch();
    settle();
    EXPECT_EQ(stage->machine.state, "theirs");
    EXPECT_EQ(stage->images().counters.installed, 1);
  }

  std::unique_ptr<ImageStage> stage;
  PeerImage image{"theirs"};
  Diary said;
};

TEST_F(TakingImages, TheStateIsLoadedThenTheHeaderIsDurableThenTheCoreInstalls) {
  start();
  stage->store.at_once = false;
  fetch();
  EXPECT_EQ(stage->machine.state, "mine") << "the pieces are not on the disk";
  EXPECT_FALSE(stage->is_due());

  stage->store.complete();
  stage->turn();
  EXPECT_EQ(stage->machine.state, "theirs");
  EXPECT_THAT(stage->diary, Not(Contains("install peer")));
  EXPECT_FALSE(stage->store.header()) << "the switch follows";

  stage->turn();
  EXPECT_THAT(stage->diary, Not(Contains("install peer"))) << "its header is not on the disk";
  EXPECT_FALSE(stage->is_due());
  stage->store.complete();
  ASSERT_TRUE(stage->store.header());
  EXPECT_THAT(stage->turn(), Contains("install peer"));
  EXPECT_EQ(stage->images().number, 1);
}

TEST_F(TakingImages, ComesToAnEndWithoutAnythingElseHappening) {
  for (const Durability durability : {Durability::kSync, Durability::kAsync, Durability::kNone}) {
    start(durability);
    fetch();
    settle();
    EXPECT_EQ(stage->images().counters.installed, 1) << to_string(durability);
    EXPECT_EQ(stage->machine.state, "theirs");
    EXPECT_EQ(stage->store.pieces(), stage->store.header()->pieces());
  }
}

TEST_F(TakingImages, BelowSyncTheDiskIsWaitedForAllTheSame) {
  start(Durability::kAsync);
  stage->store.at_once = false;
  fetch();
  for (int i = 0; i < 5; ++i) stage->turn();
  EXPECT_EQ(stage->machine.state, "mine");
  EXPECT_FALSE(stage->is_due());

  stage->store.complete();
  stage->turn();
  EXPECT_EQ(stage->machine.state, "theirs");
  for (int i = 0; i < 5; ++i) stage->turn();
  EXPECT_EQ(stage->images().counters.installed, 0);
  stage->store.complete();
  stage->turn();
  EXPECT_EQ(stage->images().counters.installed, 1);
}

TEST_F(TakingImages, WhatIsExecutedAndNotAppliedIsAppliedFirst) {
  start();
  stage->store.at_once = false;
  wish_and_offer();
  const std::vector<HeardFrame> asks = stage->sent(ImageMessage::kAsk);
  ASSERT_THAT(asks, SizeIs(1));
  stage->turn([&] {
    stage->execute("+1");
    stage->log(10);
    for (const ImagePiece& piece : image.answer(asks[0])) {
      stage->hear(kB, [&](Effects& out) { send_piece(kA, piece, out); });
    }
  });
  EXPECT_EQ(stage->machine.state, "mine");
  stage->store.complete();
  stage->turn();

  EXPECT_THAT(stage->diary, Contains("load"));
  const auto applied = std::ranges::find(stage->diary, "applied 2");
  EXPECT_TRUE(applied < std::ranges::find(stage->diary, "load"));
  EXPECT_EQ(stage->machine.state, "theirs");
}

TEST_F(TakingImages, TheCoreHearsNothingWhileItIsPaused) {
  start();
  stage->store.at_once = false;
  fetch();
  int ticks = 0;
  stage->core.on_tick = [&](Effects&) { ++ticks; };

  const Diary diary = stage->turn([&] {
    const std::vector<std::byte> body(8, std::byte{'x'});
    stage->hear(kB, 3, body);
    stage->propose("held");
  });

  EXPECT_THAT(diary, AllOf(Not(Contains("receive x from R1")), Not(Contains("propose held"))));
  EXPECT_EQ(ticks, 0);
  EXPECT_FALSE(stage->is_due()) << "a held proposal is no reason to spin";
  stage->store.at_once = true;
  stage->store.complete();
  stage->turn();
  settle();
  EXPECT_EQ(stage->images().counters.installed, 1);
  stage->execute_proposals();
  stage->turn();
  EXPECT_THAT(stage->outcomes, ElementsAre("executed: held"));
  EXPECT_EQ(stage->machine.state, "theirsheld");
}

TEST_F(TakingImages, DeadlinesPassAlsoWhileItIsPaused) {
  start();
  stage->store.at_once = false;
  stage->turn([&] { stage->propose("given", stage->now + kSecond); });
  fetch();
  stage->turn([&] { stage->propose("held", stage->now + 2 * kSecond); });
  EXPECT_LE(stage->host().next_deadline(), stage->now + kSecond);

  stage->after(3 * kSecond);

  EXPECT_THAT(stage->outcomes, ElementsAre("unknown: deadline", "rejected: deadline"));
  stage->store.at_once = true;
  stage->store.complete();
  Diary diary = stage->turn();
  const Diary more = stage->settle();
  diary.insert(diary.end(), more.begin(), more.end());
  EXPECT_THAT(diary, Not(Contains("propose held"))) << "it was told that this would not be";
}

// Proposals that give up and come again while the host is paused must not pile up.
TEST_F(TakingImages, WhatIsHeldWhilePausedIsBounded) {
  start();
  stage->store.at_once = false;
  fetch();
  for (int i = 0; i < 1000; ++i) {
    stage->turn([&] { stage->propose("again", stage->now + 1); });
    stage->after(2);
  }
  EXPECT_GE(std::ranges::count(stage->outcomes, "rejected: overloaded"), 800);
  EXPECT_EQ(stage->host().pending(), 0);
}

TEST_F(TakingImages, ThoseWhoseCommandsItCoversAreTold) {
  let_peer_know_a_reply();
  start();
  CommandId anonymous;
  stage->turn([&] {
    anonymous = stage->propose("a");
    stage->propose("s1", kNever, {{77, 1}, 0});
    stage->propose("s2", kNever, {{77, 2}, 0});
    stage->host().control_session(SessionOperation::kOpen, 78, kNever,
                                  [&](const Outcome& outcome) { stage->note(outcome); });
  });
  stage->core.on_install = [&](Effects& out) {
    const CommandId opening{anonymous.session | kControlSessionBit, std::uint64_t{1} << 40};
    out.superseded = {anonymous, {77, 1}, {77, 2}, opening, {78, 5}};
  };

  fetch();
  settle();

  EXPECT_THAT(stage->outcomes,
              ElementsAre("unknown: unavailable", "executed: the reply", "unknown: unavailable"));
  EXPECT_EQ(stage->host().counters().unknown_superseded, 2) << "the ones that were told so";
  EXPECT_EQ(stage->host().counters().commands_completed, 1);
  EXPECT_EQ(stage->host().pending(), 1) << "the opening has another number";
}

// Between the two states nothing is told: the new one need not know what the old one did.
TEST_F(TakingImages, WhatTheOldStateKnowsIsToldBeforeTheNewOneIsLoaded) {
  start();
  const SessionRequest request{{77, 1}, 0};
  stage->turn([&] {
    stage->host().control_session(SessionOperation::kOpen, 77, kNever, [](const Outcome&) {});
  });
  stage->execute_proposals();
  stage->settle();
  stage->turn([&] { stage->propose("+s1", kNever, request); });
  stage->execute_proposals();
  stage->settle();
  ASSERT_EQ(stage->machine.state, "mine+s1");
  stage->store.at_once = false;
  fetch();
  stage->store.complete();

  std::string state;
  stage->turn([&] {
    stage->host().propose(
        bytes_of("+s1"), Footprint::write("k"), kNever,
        [&](const Outcome& outcome) {
          EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted);
          state = stage->machine.state;
        },
        request);
  });

  EXPECT_EQ(state, "mine+s1");
  EXPECT_EQ(stage->machine.state, "theirs");
}

// A crash in between takes the table that came with the image away again.
TEST_F(TakingImages, WhatOnlyTheImageKnowsIsToldWhenItIsDurable) {
  let_peer_know_a_reply();
  start();
  stage->store.at_once = false;
  fetch();
  stage->store.complete();
  stage->turn();
  ASSERT_EQ(stage->machine.state, "theirs");
  ASSERT_FALSE(stage->store.header());

  stage->turn([&] { stage->propose("s1", kNever, {{77, 1}, 0}); });
  EXPECT_THAT(stage->outcomes, IsEmpty()) << "a start would not know that";

  stage->store.complete();
  stage->turn();
  stage->turn([&] { stage->propose("s1", kNever, {{77, 1}, 0}); });
  EXPECT_THAT(stage->outcomes, Contains("executed: the reply"));
  EXPECT_EQ(stage->images().counters.installed, 1);
}

// --- When it does not come to that -------------------------------------------------------------

TEST_F(TakingImages, AnOfferThatNobodyAskedForIsIgnored) {
  start();
  offer();
  EXPECT_FALSE(answer());
  wish_and_offer();
  offer(kC);
  EXPECT_EQ(stage->images().counters.fetches, 1);
}

TEST_F(TakingImages, AnOfferOfAnotherPeerThanTheOneThatWasAskedIsIgnored) {
  start();
  stage->wish(kB);
  stage->turn();
  offer(kC);
  EXPECT_EQ(stage->images().counters.fetches, 0);
}

// Who was asked first may be dead: the core wishes for one of the next peer meanwhile.
TEST_F(TakingImages, WhileOnePeerDoesNotAnswerTheNextIsAsked) {
  start();
  std::size_t requests = 0;
  for (const ReplicaId peer : {kC, kB, kC}) {
    stage->wish(peer, 10);
    stage->turn();
    requests += stage->sent(ImageMessage::kRequest).size();
  }
  EXPECT_EQ(requests, 2u);
  offer(kB);
  offer(kC);
  offer(kC);
  EXPECT_EQ(stage->images().counters.refused_offers, 2) << "one of each that was asked";
}

TEST_F(TakingImages, AnOfferThatIsLargerThanItsWorthIsRefused) {
  start();
  wish_and_offer(10);
  EXPECT_EQ(stage->images().counters.refused_offers, 1);
  EXPECT_FALSE(answer());
}

TEST_F(TakingImages, AnOfferForWhichTheDiskHasNoRoomIsRefusedWithASentence) {
  start();
  image.header.machine_bytes = 2 * kMiB;
  stage->store.room = {.used_bytes = 14 * kMiB, .limit_bytes = 16 * kMiB};
  wish_and_offer();
  EXPECT_EQ(stage->images().counters.refused_offers, 1);
  EXPECT_FALSE(answer());
  EXPECT_THAT(stage->images().trouble, HasSubstr("too little room"));
}

TEST_F(TakingImages, WhenTheDiskFillsUpMeanwhileTheFetchIsGivenUp) {
  start();
  wish_and_offer();
  ASSERT_TRUE(stage->images().fetching);
  stage->store.room = {.used_bytes = 96, .limit_bytes = 100};
  settle();
  stage->after(kSecond);
  EXPECT_FALSE(stage->images().fetching);
  EXPECT_EQ(stage->images().counters.fetches_given_up, 1);
  EXPECT_EQ(stage->store.pieces(), 0);
}

// However large it says it is: room is taken for what has come.
TEST_F(TakingImages, AnOfferOfAbsurdSizeCostsNothing) {
  start();
  image.header.coverage_bytes = kPiecesMax * kPieceBytes;
  image.header.sessions_bytes = kPiecesMax * kPieceBytes;
  image.header.machine_bytes = kPiecesMax * kPieceBytes;
  wish_and_offer();
  stage->turn();
  for (int i = 0; i < 20 && stage->images().fetching; ++i) stage->after(kSecond);
  EXPECT_FALSE(stage->images().fetching);
  stage->settle();
  EXPECT_EQ(stage->store.pieces(), 0);
}

TEST_F(TakingImages, ACoverageThatWillNotDoEndsTheFetch) {
  start();
  stage->core.refuses_to_install = true;
  fetch();
  settle();
  EXPECT_EQ(stage->machine.state, "mine");
  EXPECT_EQ(stage->images().counters.fetches_given_up, 1);
  EXPECT_EQ(stage->store.pieces(), 0);
  stage->core.refuses_to_install = false;
  installs_after_all();
}

TEST_F(TakingImages, ADamagedStateIsNotLoaded) {
  start();
  image.pieces[1][20] ^= std::byte{1};
  fetch();
  settle();
  EXPECT_EQ(stage->machine.state, "mine");
  EXPECT_EQ(stage->images().counters.refused_damaged, 1);
  image.pieces[1][20] ^= std::byte{1};
  installs_after_all();
}

TEST_F(TakingImages, APeerThatDiesInTheMiddleIsGivenUp) {
  start();
  image = PeerImage(std::string(100 * kPieceBytes, 's'));
  wish_and_offer();
  ASSERT_TRUE(answer());
  EXPECT_GT(stage->store.pieces(), 0);
  int turns = 0;
  while (stage->images().fetching && ++turns < 100) {
    stage->after(std::max<Tick>(1, stage->host().next_deadline() - stage->now));
  }
  EXPECT_LT(turns, 30);
  stage->settle();
  EXPECT_EQ(stage->store.pieces(), 0);
  image = PeerImage("theirs");
  installs_after_all();
}

TEST_F(TakingImages, WhenThePeerHasItNoMoreItIsGivenUpAtOnce) {
  start();
  wish_and_offer();
  const auto gone = [&](ReplicaId from, std::uint64_t number) {
    stage->turn([&] { stage->hear(from, [&](Effects& out) { send_gone(kA, number, out); }); });
  };
  gone(kB, 8);
  gone(kC, 9);
  EXPECT_TRUE(stage->images().fetching) << "neither is about it";
  gone(kB, 9);
  EXPECT_FALSE(stage->images().fetching);
  installs_after_all();
}

TEST_F(TakingImages, AMachineThatCannotLoadItKeepsItsState) {
  start();
  stage->machine.load_fails = true;
  fetch();
  settle();
  EXPECT_EQ(stage->machine.state, "mine");
  EXPECT_FALSE(stage->host().stopped());
  EXPECT_EQ(stage->images().trouble, "scripted failure to load");
  EXPECT_EQ(stage->store.pieces(), 0);
  stage->execute("+1");
  stage->turn();
  EXPECT_EQ(stage->machine.state, "mine+1") << "it goes on";
  stage->machine.load_fails = false;
  installs_after_all();
}

// The machine has taken over the state and left some of it: nobody knows what it holds now, and
// there is no way back but a new start.
TEST_F(TakingImages, AMachineThatDoesNotReadItToItsEndStopsTheReplica) {
  start();
  stage->machine.skips_at_end = 2;
  fetch();
  settle();
  EXPECT_TRUE(stage->host().stopped());
  EXPECT_THAT(stage->host().stop_reason(), ::testing::HasSubstr("state machine"));
  EXPECT_FALSE(stage->store.header()) << "the next start begins with what was before";
  EXPECT_EQ(stage->images().counters.installed, 0);
}

TEST_F(TakingImages, ADiskThatIsBehindIsWaitedForWithoutSpinning) {
  for (const bool full : {false, true}) {
    start();
    image = PeerImage(std::string(100 * kPieceBytes, 's'));
    wish_and_offer();
    stage->store.other_pending_bytes = full ? 0 : 100 << 20;
    if (full) stage->store.now = storage::StoreState::kFull;
    ASSERT_TRUE(answer());
    stage->settle();
    EXPECT_FALSE(stage->is_due());
    EXPECT_THAT(stage->sent(ImageMessage::kAsk), IsEmpty());
    stage->after(100 * kSecond);
    stage->settle();
    EXPECT_TRUE(stage->images().fetching) << "that is not the peer's fault";

    stage->store.other_pending_bytes = 0;
    stage->store.now = storage::StoreState::kReady;
    stage->turn();
    while (answer()) continue;
    settle();
    EXPECT_EQ(stage->machine.state.size(), 100 * kPieceBytes);
  }
}

TEST_F(TakingImages, ADiskThatFailsStopsTheReplicaInEveryStage) {
  for (int batches = 0; batches < 3; ++batches) {
    start();
    stage->store.at_once = false;
    fetch();
    for (int i = 0; i < batches; ++i) {
      stage->store.complete();
      stage->turn();
    }
    stage->store.now = storage::StoreState::kFailed;
    stage->turn();
    EXPECT_TRUE(stage->host().stopped());
    EXPECT_EQ(stage->host().next_deadline(), kNever);
  }
}

TEST_F(TakingImages, AStopInAnyStageEndsWhatWaits) {
  for (int stop_at = 0; stop_at < 8; ++stop_at) {
    start();
    stage->store.at_once = false;
    stage->turn([&] { stage->propose("given"); });
    const auto steps =
        std::vector<std::function<void()>>{[&] { stage->wish(kB); },
                                           [&] { stage->turn(); },
                                           [&] { offer(); },
                                           [&] { answer(); },
                                           [&] { stage->turn([&] { stage->propose("held"); }); },
                                           [&] { stage->store.complete(); },
                                           [&] { stage->turn(); },
                                           [&] { stage->turn(); }};
    for (int step = 0; step <= stop_at; ++step) steps[static_cast<std::size_t>(step)]();

    stage->host().stop("enough");
    for (int i = 0; i < 3; ++i) offer();

    EXPECT_EQ(stage->host().pending(), 0) << stop_at;
    EXPECT_EQ(stage->host().next_deadline(), kNever);
    EXPECT_EQ(stage->outcomes[0], "unknown: stopped");
    if (stop_at >= 4) {
      EXPECT_EQ(stage->outcomes[1], "rejected: stopped");
    }
  }
}

// Whichever of its batches were on disk, a crash leaves the state of before or the new one, whole.
TEST_F(TakingImages, AfterACrashAtAnyMomentOneOfTheTwoStatesIsThere) {
  std::string states;
  for (std::size_t crash_at = 0; crash_at < 12; ++crash_at) {
    start();
    stage->host().request_image();
    stage->turn();
    stage->settle();
    image = PeerImage(std::string(70 * kPieceBytes, 't'));
    stage->store.at_once = false;
    std::size_t completed = 0;
    wish_and_offer();
    for (int i = 0; i < 12; ++i) {
      if (!answer()) stage->turn();
      while (completed < crash_at && stage->store.durable() < stage->store.submitted) {
        stage->store.complete_one();
        ++completed;
      }
    }
    ImageStage next;
    next.store.on_disk = stage->store.on_disk;
    ASSERT_TRUE(next.start());
    if (next.machine.state == "mine") {
      states += 'm';
    } else {
      EXPECT_EQ(next.machine.state, std::string(70 * kPieceBytes, 't'));
      states += 't';
    }
    next.turn();
    next.settle();
    EXPECT_EQ(next.store.pieces(), next.store.header()->pieces());
  }
  EXPECT_THAT(states, ::testing::MatchesRegex("m+t+"));
}

TEST_F(TakingImages, PiecesAfterTheEndAndFromStrangersChangeNothing) {
  start();
  wish_and_offer();
  const std::vector<HeardFrame> asks = stage->sent(ImageMessage::kAsk);
  ASSERT_THAT(asks, SizeIs(1));
  const auto say = [&](ReplicaId from) {
    for (const ImagePiece& piece : image.answer(asks[0])) {
      stage->hear(from, [&](Effects& out) { send_piece(kA, piece, out); });
    }
  };
  stage->turn([&] { say(kC); });
  EXPECT_EQ(stage->images().counters.pieces_received, 0);
  stage->turn([&] {
    say(kB);
    say(kB);
  });
  settle();
  stage->turn([&] { say(kB); });
  EXPECT_EQ(stage->images().counters.installed, 1);
  EXPECT_EQ(stage->store.pieces(), stage->store.header()->pieces());
}

// A component was cut in two by the pause; the image holds all of it.
TEST_F(TakingImages, AnImageCanBeMadeRightAfterwards) {
  start();
  stage->execute("half", /*ends_component=*/false);
  stage->turn();
  fetch();
  settle();
  ASSERT_EQ(stage->images().counters.installed, 1);
  stage->host().request_image();
  stage->settle();
  EXPECT_EQ(stage->images().number, 2);
}

}  // namespace
}  // namespace epaxos::runtime::testing
