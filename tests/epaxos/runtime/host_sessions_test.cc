// Requests of sessions at one host: what reaches the machine, who hears what, and the care for
// sessions that nobody uses.

#include "tests/epaxos/runtime/host_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kSession = 77;

/// Proposals wait here until the test executes them, in any order and as often as it likes.
class SessionStage : public Stage {
 public:
  SessionStage() {
    core.on_propose = [this](std::span<const Proposal> proposals, Effects&) {
      for (const Proposal& proposal : proposals) keep(proposal);
    };
    core.on_tick = [this](Effects& out) {
      for (const Proposal& proposal : std::exchange(executed_, {})) {
        blocks.execute(std::span(&proposal, 1), out, 0, proposer);
      }
    };
  }

  void keep(const Proposal& proposal) {
    payloads_.push_back(std::make_unique<std::string>(text_of(proposal.command.payload)));
    undecided.push_back(proposal);
    undecided.back().command.payload = bytes_of(*payloads_.back());
  }

  CommandId request(std::uint64_t number, std::string_view payload, std::uint64_t acknowledged = 0,
                    Tick deadline = kNever) {
    return host().propose(bytes_of(payload), Footprint::write("k"), deadline,
                          [this](const Outcome& outcome) { note(outcome); },
                          {{kSession, number}, acknowledged});
  }
  void control(SessionOperation operation, std::uint64_t session = kSession) {
    host().control_session(operation, session, kNever,
                           [this](const Outcome& outcome) { note(outcome); });
  }

  /// A turn in which these instances are executed, one command each.
  Diary execute(const std::vector<Proposal>& proposals) {
    executed_ = proposals;
    return turn();
  }
  /// Executes whatever was proposed so far.
  Diary execute_all() { return execute(std::exchange(undecided, {})); }

  void open(std::uint64_t session = kSession) {
    control(SessionOperation::kOpen, session);
    turn();
    execute_all();
  }

  Blocks blocks;
  std::vector<Proposal> undecided;
  ReplicaId proposer = kA;  ///< Of what is executed; this host is A.

 private:
  std::vector<std::unique_ptr<std::string>> payloads_;
  std::vector<Proposal> executed_;
};

TEST(HostSessions, ARequestThatIsProposedAndExecutedTwiceTakesEffectOnce) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x");
  stage.turn();
  const std::vector<Proposal> once = stage.undecided;

  EXPECT_THAT(stage.execute({once[0], once[0]}),
              ElementsAre("apply x", "executed: x", "applied 3"));
  EXPECT_THAT(stage.execute(once), ElementsAre("applied 4"));
  EXPECT_EQ(stage.host().counters().session_duplicates, 2u);
  EXPECT_EQ(stage.host().counters().commands_executed, 1u);
}

TEST(HostSessions, TheCommandsOfASessionConflictAlthoughTheirKeysDoNot) {
  SessionStage stage;
  stage.start();
  stage.open();
  const SessionRequest one{{kSession, 1}, 0};
  const SessionRequest two{{kSession, 2}, 1};
  stage.host().propose(
      bytes_of("x"), Footprint::write("x"), kNever, [](const auto&) {}, one);
  stage.host().propose(
      bytes_of("y"), Footprint::write("y"), kNever, [](const auto&) {}, two);
  stage.control(SessionOperation::kTouch);
  stage.turn();

  ASSERT_EQ(stage.undecided.size(), 3u);
  EXPECT_TRUE(conflicts(stage.undecided[0].footprint, stage.undecided[1].footprint));
  EXPECT_TRUE(conflicts(stage.undecided[1].footprint, stage.undecided[2].footprint));
  EXPECT_EQ(stage.undecided[1].command.id, two.id);
  EXPECT_EQ(stage.undecided[1].command.acknowledged_up_to, 1u);
}

TEST(HostSessions, AReadNeedsNoSessionAndRunsAsOftenAsItIsAsked) {
  SessionStage stage;
  stage.start();
  for (int i = 0; i < 2; ++i) {
    const CommandId id = stage.host().propose(
        bytes_of("r"), Footprint::read("k"), kNever,
        [&stage](const Outcome& outcome) { stage.note(outcome); }, {{kSession, 1}, 0});
    EXPECT_EQ(id.session, Pending::anonymous_session(5, kA));
    stage.turn();
    EXPECT_EQ(stage.undecided[0].footprint, Footprint::read("k"));
    EXPECT_TRUE(stage.undecided[0].command.reads_only);
    EXPECT_THAT(stage.execute_all(), ElementsAre("apply r", "executed: r", ::testing::_));
  }
}

TEST(HostSessions, AllWhoWaitForOneRequestAreToldAndItIsProposedOnce) {
  SessionStage stage;
  stage.start();
  stage.open();

  stage.request(1, "x");
  stage.request(1, "x");
  EXPECT_THAT(stage.turn(), ElementsAre("propose x"));
  stage.request(1, "x");
  EXPECT_THAT(stage.turn(), IsEmpty());

  EXPECT_THAT(stage.execute_all(),
              ElementsAre("apply x", "executed: x", "executed: x", "executed: x", "applied 2"));
  EXPECT_EQ(stage.host().pending(), 0u);
}

// The client sent it to B before. What became of that says nothing about what A has proposed.
TEST(HostSessions, WhatFoundNoSessionAtAnotherReplicaMayStillRunHere) {
  SessionStage stage;
  stage.start();
  stage.request(1, "x");
  stage.turn();
  const std::vector<Proposal> ours = std::exchange(stage.undecided, {});
  stage.proposer = kB;
  EXPECT_THAT(stage.execute(ours), ElementsAre("applied 1")) << "nobody is told anything";
  EXPECT_EQ(stage.host().counters().session_unknown, 1u);
  stage.proposer = kA;
  stage.open();

  EXPECT_THAT(stage.execute(ours), ElementsAre("apply x", "executed: x", "applied 3"));
}

TEST(HostSessions, ARepetitionWhoseAnswerWasTooLargeToBeKeptIsToldThat) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.machine.padding = executor::SessionTable::kReplyBytesMax + 1;
  stage.request(1, "x");
  stage.turn();
  stage.execute_all();
  ASSERT_EQ(stage.host().counters().commands_executed, 1u);

  stage.request(1, "x");
  stage.turn();

  EXPECT_THAT(stage.execute_all(),
              ElementsAre(HasSubstr("unknown: the request was executed before"), ::testing::_));
  EXPECT_EQ(stage.codes.back(), ErrorCode::kTooLarge);
  EXPECT_EQ(stage.host().counters().commands_executed, 1u);
}

TEST(HostSessions, ARepetitionOfWhatIsExecutedHereIsAnsweredAtOnce) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x");
  stage.turn();
  stage.execute_all();

  EXPECT_THAT(stage.turn([&] { EXPECT_EQ(stage.request(1, "other").session, 0u); }),
              ElementsAre("executed: x"));
  stage.diary.clear();
  stage.request(1, "between two turns");
  EXPECT_THAT(stage.diary, IsEmpty()) << "nobody hears anything inside propose()";
  EXPECT_EQ(stage.host().next_deadline(), stage.now);
  EXPECT_THAT(stage.turn(), ElementsAre("executed: x"));
  EXPECT_EQ(stage.host().pending(), 0u);
}

// The first proposal was made elsewhere, and is executed while the own one is undecided.
TEST(HostSessions, WhoeverProposedItThoseWhoWaitHereAreTold) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x");
  stage.turn();
  const std::vector<Proposal> own = stage.undecided;
  Proposal foreign = own[0];
  foreign.command.payload = bytes_of("x");

  EXPECT_THAT(stage.execute({foreign}), ElementsAre("apply x", "executed: x", "applied 2"));
  EXPECT_THAT(stage.execute(own), ElementsAre("applied 3"));
}

TEST(HostSessions, DuplicatesInOneInstanceAndInOneBatchRunOnceAndInOrder) {
  SessionStage stage;
  stage.start();
  stage.open();
  const auto request = [](std::uint64_t number, std::string_view payload) {
    return Proposal{{{kSession, number}, 0, false, bytes_of(payload)}, Footprint::write("k")};
  };
  const std::vector<Proposal> block = {request(1, "a"), request(2, "b"), request(1, "a"),
                                       request(3, "c"), request(3, "c")};
  stage.core.on_tick = [&](Effects& out) {
    stage.blocks.execute(block, out);
    stage.blocks.execute(block, out);
  };

  EXPECT_THAT(stage.turn(), ElementsAre("apply a", "apply b", "apply c", "applied 3"));
  EXPECT_EQ(stage.host().counters().session_duplicates, 7u);
}

TEST(HostSessions, CommandsWithoutASessionKeepTheirPlaceBetweenThoseOfOne) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.propose("first");
  stage.request(1, "x");
  stage.propose("second");
  stage.request(2, "y");
  stage.turn();

  EXPECT_THAT(stage.execute_all(),
              ElementsAre("apply first", "apply x", "apply second", "apply y", "executed: first",
                          "executed: x", "executed: second", "executed: y", "applied 5"));
}

TEST(HostSessions, WithoutAnOpenSessionARequestIsRejectedAndSaysWhatToDo) {
  SessionStage stage;
  stage.start();
  stage.request(1, "x");
  stage.turn();

  EXPECT_THAT(stage.execute_all(),
              ElementsAre(HasSubstr("rejected: the session is not open"), "applied 1"));
  EXPECT_THAT(stage.codes, ElementsAre(ErrorCode::kUnknownSession));
  EXPECT_THAT(stage.diary[0], HasSubstr("open a new session"));
  EXPECT_EQ(stage.host().counters().session_unknown, 1u);
  EXPECT_EQ(stage.host().digest(), stage.machine.digest()) << "no session was ever opened";
}

TEST(HostSessions, WhatTheClientHasAcknowledgedIsNotExecutedAgain) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x");
  stage.turn();
  const std::vector<Proposal> first = stage.undecided;
  stage.execute_all();
  stage.request(2, "y", 1);
  stage.turn();
  stage.execute_all();

  EXPECT_THAT(stage.execute(first), ElementsAre("applied 4"));
  EXPECT_THAT(stage.turn([&] { stage.request(1, "x"); }),
              ElementsAre(HasSubstr("rejected: the client has acknowledged this number")));
  EXPECT_EQ(stage.host().counters().session_stale, 2u);
}

TEST(HostSessions, TooManyUnacknowledgedRequestsAreRejected) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(executor::SessionTable::kWindow + 1, "x");
  stage.turn();
  EXPECT_THAT(stage.execute_all(),
              ElementsAre(HasSubstr("rejected: the session has 1,024"), "applied 2"));
  EXPECT_THAT(stage.codes.back(), ErrorCode::kOverloaded);
}

TEST(HostSessions, IdsThatNoClientMayHaveAreRefused) {
  SessionStage stage;
  stage.start();
  const auto propose = [&](CommandId id) {
    stage.host().propose(bytes_of("x"), Footprint::write("k"), kNever,
                         [&](const Outcome& outcome) { stage.note(outcome); }, {id, 0});
  };
  stage.turn([&] {
    propose({kSession, 0});
    propose({Pending::anonymous_session(5, kA), 1});
    stage.control(SessionOperation::kOpen, 0);
    stage.control(SessionOperation::kOpen, kOwnSessionBit | 5);
    stage.control(SessionOperation::kExpire);
  });
  EXPECT_EQ(stage.codes, std::vector<ErrorCode>(5, ErrorCode::kInvalidArgument));
  EXPECT_EQ(stage.host().counters().rejected_bad_session, 5u);
}

TEST(HostSessions, ARejectionOfTheCoreEndsAllWhoWaitAndTheRequestMayComeAgain) {
  SessionStage stage;
  stage.start();
  stage.open();
  const auto keep =
      std::exchange(stage.core.on_propose, [](std::span<const Proposal> proposals, Effects& out) {
        out.rejections.push_back({proposals[0].command.id, ErrorCode::kOverloaded, "Full."});
      });
  stage.request(1, "x");
  stage.request(1, "x");
  EXPECT_THAT(stage.turn(), ElementsAre("propose x", "rejected: Full.", "rejected: Full."));

  stage.core.on_propose = keep;
  stage.request(1, "x");
  stage.turn();
  EXPECT_THAT(stage.execute_all(), ElementsAre("apply x", "executed: x", "applied 2"));
}

TEST(HostSessions, EachWhoWaitsHasADeadlineOfItsOwn) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x", 0, stage.now + 3);
  stage.turn();
  stage.request(1, "x");
  stage.turn();
  EXPECT_THAT(stage.turn(), ElementsAre(HasSubstr("unknown: the deadline passed")));
  // Nobody waits, and it is still under way: a repetition joins it.
  stage.request(1, "x", 0, stage.now + 2);
  EXPECT_THAT(stage.turn(), IsEmpty());
  EXPECT_THAT(stage.turn(), ElementsAre(HasSubstr("unknown: the deadline passed")));

  EXPECT_THAT(stage.execute_all(), ElementsAre("apply x", "executed: x", "applied 2"));
}

TEST(HostSessions, AQueuedRequestIsDroppedOnlyWhenNobodyWaitsForIt) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x", 0, stage.now + 1);
  stage.request(1, "x");
  stage.request(2, "y", 0, stage.now + 1);
  EXPECT_THAT(stage.turn(), ElementsAre(HasSubstr("rejected: the deadline passed"),
                                        HasSubstr("rejected: the deadline passed"), "propose x"));
  stage.request(2, "y");
  EXPECT_THAT(stage.turn(), ElementsAre("propose y"));
}

TEST(HostSessions, AFullDiskRefusesAllWhoWaitForAQueuedRequest) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "x");
  stage.request(1, "x");
  stage.store.now = storage::StoreState::kFull;
  EXPECT_THAT(stage.turn(), ElementsAre("disk full", HasSubstr("rejected: the disk"),
                                        HasSubstr("rejected: the disk")));
  stage.store.now = storage::StoreState::kReady;
  stage.turn();
  stage.request(1, "x");
  EXPECT_THAT(stage.turn(), ElementsAre("propose x"));
}

TEST(HostSessions, StoppingLeavesWhatTheCoreHasUnknownAndTellsWhatIsKnown) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.request(1, "done");
  stage.turn();
  stage.execute_all();
  stage.request(2, "given");
  stage.turn();
  stage.diary.clear();
  stage.request(2, "given");
  stage.request(3, "queued");
  stage.request(1, "done");

  stage.host().stop("The operator stopped it.");

  EXPECT_THAT(stage.diary,
              ElementsAre("unknown: The operator stopped it.", "unknown: The operator stopped it.",
                          "rejected: The operator stopped it.", "executed: done"));
}

TEST(HostSessions, OpeningAgainIsFineAndAClosedSessionIsGone) {
  SessionStage stage;
  stage.start();
  stage.open();
  stage.control(SessionOperation::kOpen);
  stage.turn();
  EXPECT_THAT(stage.execute_all(), ElementsAre("executed: ", "applied 2"));
  stage.control(SessionOperation::kClose);
  stage.turn();
  EXPECT_THAT(stage.execute_all(), ElementsAre("executed: ", "applied 3"));
  stage.request(1, "x");
  stage.turn();
  EXPECT_THAT(stage.execute_all(),
              ElementsAre(HasSubstr("rejected: the session is not open"), "applied 4"));

  HostStatus status;
  stage.host().status(status);
  EXPECT_EQ(status.sessions_open, 0u);
}

TEST(HostSessions, ACommandAboutASessionThatMakesNoSenseIsCounted) {
  SessionStage stage;
  stage.start();
  const CommandId id{Pending::anonymous_session(1, kB) | kControlSessionBit, 1};
  EXPECT_THAT(stage.execute({{{id, 0, false, bytes_of("nonsense")}, Footprint::write("k")}}),
              ElementsAre("applied 1"));
  EXPECT_EQ(stage.host().counters().session_malformed, 1u);
}

TEST(HostSessions, TheDigestCoversTheSessions) {
  SessionStage stage;
  stage.start();
  EXPECT_EQ(stage.host().digest(), stage.machine.digest());
  stage.open();
  EXPECT_NE(stage.host().digest(), stage.machine.digest());
}

/// The operations that were proposed about sessions, with their times.
std::vector<SessionControl> controls(const SessionStage& stage) {
  std::vector<SessionControl> all;
  for (const Proposal& proposal : stage.undecided) {
    const auto control = decode_session_control(proposal.command.payload);
    EXPECT_TRUE(control);
    if (control) all.push_back(*control);
  }
  return all;
}

TEST(HostSessions, ASessionThatNobodyUsesExpiresAtItsHome) {
  SessionStage stage;
  std::uint64_t clock = 1'000'000;
  stage.config.session_ttl_us = 80'000;
  stage.config.wall_clock_us = [&clock] { return clock; };
  stage.start();
  stage.open(6);  // 6 % 3: at home here.
  stage.open(7);  // At home elsewhere.
  const auto after = [&](Tick time) {
    clock += time;
    stage.now += time;
    stage.undecided.clear();
    stage.turn();
    return controls(stage);
  };

  EXPECT_THAT(after(80'000), IsEmpty());
  EXPECT_THAT(after(10'001),
              ElementsAre(SessionControl{SessionOperation::kExpire, 6, 1'010'001, 1'050'001}));
  EXPECT_THAT(after(10'001), IsEmpty()) << "the first one is under way";
}

TEST(HostSessions, AnExpiryEndsTheSessionAndOthersFollowWhereTheHomeIsGone) {
  SessionStage stage;
  std::uint64_t clock = 1'000'000;
  stage.config.session_ttl_us = 80'000;
  stage.config.wall_clock_us = [&clock] { return clock; };
  stage.start();
  stage.open(7);
  const auto after = [&](Tick time) {
    clock += time;
    stage.now += time;
    stage.turn();
  };
  after(240'000);
  EXPECT_THAT(stage.undecided, IsEmpty());
  after(10'001);
  ASSERT_EQ(stage.undecided.size(), 1u);

  stage.execute_all();

  EXPECT_EQ(stage.host().counters().session_expired, 1u);
  EXPECT_TRUE(stage.host().sessions().empty());
  EXPECT_EQ(stage.host().pending(), 0u);
  after(100'000);
  EXPECT_EQ(stage.host().next_deadline(), kNever) << "there is nothing to care for";
}

TEST(HostSessions, ASessionInUseIsTouched) {
  SessionStage stage;
  std::uint64_t clock = 1'000'000;
  stage.config.session_ttl_us = 80'000;
  stage.config.wall_clock_us = [&clock] { return clock; };
  stage.start();
  stage.open(6);
  stage.host().propose(bytes_of("x"), Footprint::write("k"), kNever, [](const auto&) {},
                       {{6, 1}, 0});
  stage.turn();
  stage.execute_all();
  clock += 50'000;
  stage.now += 50'000;
  stage.turn();

  EXPECT_THAT(controls(stage),
              ElementsAre(SessionControl{SessionOperation::kTouch, 6, 1'050'000, 0}));
  stage.execute_all();
  clock += 50'000;
  stage.now += 50'000;
  stage.turn();
  EXPECT_THAT(stage.undecided, IsEmpty()) << "not used since, and too young to expire";
}

}  // namespace
}  // namespace epaxos::runtime::testing
