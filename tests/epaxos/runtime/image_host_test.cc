// A host's own images: when they are made, how the switch to a new one is one record, and what a
// restart begins with.

#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// A stage that starts from what a crash left of another one's disk.
std::unique_ptr<ImageStage> restarted(const storage::RecordMap& disk) {
  auto stage = std::make_unique<ImageStage>();
  stage->store.on_disk = disk;
  return stage;
}

/// Executes `state` in one command.
void execute_and_settle(ImageStage& stage, const std::string& state) {
  stage.execute(state);
  stage.turn();
  stage.settle();
}

// --- Making ------------------------------------------------------------------------------------

TEST(OwnImage, IsMadeAfterSoManyBytesOfRecords) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  execute_and_settle(stage, "abc");
  stage.log(9'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 0);
  EXPECT_GE(stage.images().log_bytes, 9'000);

  stage.log(1'000);
  Diary all = stage.turn();
  const Diary more = stage.settle();
  all.insert(all.end(), more.begin(), more.end());

  EXPECT_THAT(all, Contains("image of all"));
  EXPECT_EQ(stage.images().number, 1);
  EXPECT_EQ(stage.images().counters.made, 1);
  EXPECT_LT(stage.images().log_bytes, 1'000);
  EXPECT_EQ(stage.store.pieces(), stage.store.header()->pieces());
}

TEST(OwnImage, IsMadeOnlyBetweenTwoComponents) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.execute("half ", /*ends_component=*/false);
  stage.log(20'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 0);

  execute_and_settle(stage, "whole");

  EXPECT_EQ(stage.images().number, 1);
  const auto next = restarted(stage.store.on_disk);
  ASSERT_TRUE(next->start());
  EXPECT_EQ(next->machine.state, "half whole");
}

// Below "sync" the host does not wait for the disk, but what an image replaces may only go when the
// image is there.
TEST(OwnImage, CountsWhenTheStoreSaysSoAlsoBelowSync) {
  ImageStage stage(Durability::kAsync);
  stage.store.at_once = false;
  ASSERT_TRUE(stage.start());
  stage.host().request_image();
  Diary all;
  for (int i = 0; i < 20; ++i) {
    const Diary some = stage.turn();
    all.insert(all.end(), some.begin(), some.end());
  }
  EXPECT_THAT(all, Not(Contains("image of all")));
  EXPECT_EQ(stage.images().number, 0);

  stage.store.complete();
  EXPECT_THAT(stage.turn(), Contains("image of all"));
  EXPECT_EQ(stage.images().number, 1);
}

TEST(OwnImage, IsMadeAtOnceWhenSomebodyAsks) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  execute_and_settle(stage, "abc");

  stage.host().request_image();

  EXPECT_TRUE(stage.is_due()) << "nothing else may bring about a turn";
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);
}

TEST(OwnImage, AskedForInsideAComponentDoesNotMakeTheHostSpin) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.execute("half ", /*ends_component=*/false);
  stage.turn();

  stage.host().request_image();
  stage.settle();
  EXPECT_EQ(stage.images().number, 0);

  execute_and_settle(stage, "whole");
  EXPECT_EQ(stage.images().number, 1);
}

TEST(OwnImage, WritesNothingWhileTheDiskIsBehindAndDoesNotSpin) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(1'000'000, 'm');
  stage.host().request_image();
  stage.turn();
  stage.turn();
  stage.store.other_pending_bytes = 100 << 20;
  stage.turn();
  const BatchNumber before = stage.store.submitted;

  stage.settle();
  for (int i = 0; i < 10; ++i) stage.turn();
  EXPECT_FALSE(stage.is_due());
  EXPECT_EQ(stage.store.submitted, before);

  stage.store.other_pending_bytes = 0;
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);
}

TEST(OwnImage, WaitsWhileTheDiskIsFull) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(1'000'000, 'm');
  stage.host().request_image();
  stage.turn();
  stage.turn();
  stage.store.now = storage::StoreState::kFull;
  stage.turn();
  stage.settle();
  EXPECT_FALSE(stage.is_due());
  EXPECT_EQ(stage.images().number, 0);

  stage.store.now = storage::StoreState::kReady;
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);
}

TEST(OwnImage, IsGivenUpWithASentenceWhenTheRoomRunsOut) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(1'000'000, 'm');
  stage.host().request_image();
  stage.turn();
  stage.turn();
  ASSERT_TRUE(stage.images().making);
  stage.store.room = {.used_bytes = 96 * kMiB, .limit_bytes = 100 * kMiB};
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 0);
  EXPECT_THAT(stage.images().trouble, HasSubstr("too little room"));
  EXPECT_EQ(stage.store.pieces(), 0) << "what was written of it goes";

  stage.store.room.used_bytes = 50 * kMiB;
  stage.host().request_image();
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().counters.made, 1);
}

// Otherwise records fill the disk that an image of a small state would free.
TEST(OwnImage, OnASmallDiskIsMadeBeforeRecordsHaveFilledIt) {
  ImageStage stage;
  stage.config.image_log_bytes = 64 * kMiB;
  stage.store.room = {.used_bytes = 2 * kMiB, .limit_bytes = 24 * kMiB};
  ASSERT_TRUE(stage.start());
  execute_and_settle(stage, "small");
  stage.log(2 * kMiB);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().counters.made, 0);

  stage.log(2 * kMiB);
  stage.turn();
  stage.settle();

  EXPECT_EQ(stage.images().counters.made, 1);
}

// One that fills the disk would stand there for ever, before the records that take it away.
TEST(OwnImage, IsNotBegunWithoutRoomForAllOfIt) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(kMiB, 'm');
  stage.host().request_image();
  stage.turn();
  stage.settle();
  ASSERT_EQ(stage.images().counters.made, 1);
  const std::size_t pieces = stage.store.pieces();
  stage.store.room = {.used_bytes = 14 * kMiB, .limit_bytes = 16 * kMiB};

  stage.host().request_image();
  stage.turn();
  EXPECT_FALSE(stage.images().making);
  EXPECT_THAT(stage.images().trouble, HasSubstr("too little room"));
  EXPECT_EQ(stage.store.pieces(), pieces);

  stage.store.room.used_bytes = 13 * kMiB;
  stage.host().request_image();
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().counters.made, 2);
}

TEST(OwnImage, CountsWhatWaitsForTheDiskAsWritten) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(kMiB, 'm');
  stage.host().request_image();
  stage.turn();
  stage.turn();
  ASSERT_TRUE(stage.images().making);
  stage.store.room = {.used_bytes = 13 * kMiB, .limit_bytes = 16 * kMiB};
  stage.store.other_pending_bytes = 2 * kMiB;

  stage.turn();

  EXPECT_FALSE(stage.images().making);
  EXPECT_THAT(stage.images().trouble, HasSubstr("too little room"));
}

TEST(OwnImage, ThatCannotBeTakenIsTriedAgainLater) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.image_fails = true;
  execute_and_settle(stage, "abc");
  stage.log(20'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().counters.failed, 1);
  EXPECT_EQ(stage.images().trouble, "scripted failure of an image");

  stage.machine.image_fails = false;
  stage.after(30 * kSecond);
  stage.settle();
  EXPECT_EQ(stage.images().number, 0) << "not at once again";
  stage.after(31 * kSecond);
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);
  EXPECT_EQ(stage.images().trouble, "");
}

// What was logged before the attempt is still on the disk.
TEST(OwnImage, ThatCannotBeReadIsMadeAgainWithoutMoreRecords) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.bad_image = BadImage::How::kFails;
  execute_and_settle(stage, "abc");
  stage.log(20'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().counters.failed, 1);
  EXPECT_EQ(stage.store.pieces(), 0) << "what was written of it goes";

  stage.machine.bad_image.reset();
  stage.after(61 * kSecond);
  stage.settle();
  EXPECT_EQ(stage.images().counters.made, 1);
}

TEST(OwnImage, TakesThePlaceOfTheOneBeforeAndNothingElseStays) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(100 * kPieceBytes, 'm');
  for (std::uint64_t number = 1; number <= 5; ++number) {
    stage.host().request_image();
    stage.turn();
    stage.settle();
    ASSERT_EQ(stage.images().number, number);
    EXPECT_EQ(stage.store.pieces(), stage.store.header()->pieces());
  }
}

// --- The start ---------------------------------------------------------------------------------

TEST(ImageRestart, LoadsSessionsAndMachineAndTellsTheCoreItsCoverageFirst) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.turn([&] {
    stage.host().control_session(SessionOperation::kOpen, 77, kNever, [](const Outcome&) {});
    stage.propose("abc", kNever, {{77, 1}, 0});
  });
  stage.execute_proposals();
  stage.turn();
  ASSERT_THAT(stage.outcomes, ElementsAre("executed: abc"));
  stage.log(20'000);
  stage.turn();
  stage.settle();
  ASSERT_EQ(stage.images().number, 1);

  const auto next = restarted(stage.store.on_disk);
  ASSERT_TRUE(next->start());

  ASSERT_GE(next->diary.size(), 3);
  EXPECT_EQ(next->diary[0], "covers all");
  EXPECT_THAT(next->core.restored, SizeIs(1)) << "records of images and of the host are none";
  EXPECT_EQ(next->machine.state, "abc");
  EXPECT_EQ(next->host().digest(), stage.host().digest());
  EXPECT_LT(next->host().next_deadline(), kNever) << "somebody must care for its session";
  next->turn([&] { next->propose("abc", kNever, {{77, 1}, 0}); });
  EXPECT_THAT(next->outcomes, ElementsAre("executed: abc")) << "from the table";
  EXPECT_EQ(next->images().number, 1);
}

TEST(ImageRestart, CountsTheRecordsThatItMustReadAsLogged) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.log(9'999 - 32);
  stage.turn();
  stage.settle();

  const auto next = restarted(stage.store.on_disk);
  ASSERT_TRUE(next->start());
  EXPECT_EQ(next->images().log_bytes, 9'999);
  next->log(1);
  next->turn();
  next->settle();

  EXPECT_EQ(next->images().number, 1) << "a replica that restarts often makes images too";
}

TEST(ImageRestart, WhatTheRecordsSayIsExecutedBeforeAnImageIsMade) {
  ImageStage stage;
  stage.config.image_log_bytes = 1 << 30;
  ASSERT_TRUE(stage.start());
  stage.log(20'000);
  stage.turn();

  const auto next = restarted(stage.store.on_disk);
  next->store.at_once = false;
  next->core.on_start = [&](Effects& out) {
    record(out);
    next->blocks.execute_foreign("replayed", out);
    out.ends_component = true;
  };
  ASSERT_TRUE(next->start());
  for (int i = 0; i < 5; ++i) next->turn();
  EXPECT_FALSE(next->images().making);
  next->store.at_once = true;
  next->store.complete();
  next->turn();
  next->settle();

  ASSERT_EQ(next->images().number, 1);
  const auto third = restarted(next->store.on_disk);
  ASSERT_TRUE(third->start());
  EXPECT_EQ(third->machine.state, "replayed");
}

TEST(ImageRestart, AWishForAnImageBeforeThatDoesNotMakeTheHostSpin) {
  ImageStage stage;
  stage.store.at_once = false;
  stage.core.on_start = [](Effects& out) { record(out); };
  ASSERT_TRUE(stage.start());

  stage.host().request_image();
  stage.settle();

  EXPECT_EQ(stage.images().number, 0);
  stage.store.at_once = true;
  stage.store.complete();
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);
}

// Whatever batch the crash came after, the next start has the state of an image that was complete.
TEST(ImageRestart, AfterACrashAtAnyMomentTheImageBeforeOrTheNewOneCounts) {
  ImageStage stage;
  stage.store.at_once = false;
  ASSERT_TRUE(stage.start());
  const auto make = [&](char letter) {
    stage.machine.state.assign(6 * 128 * 1024, letter);
    stage.core.covers = std::string(1, letter);
    stage.host().request_image();
  };
  const auto crash_here = [&](std::string& states) {
    const auto next = restarted(stage.store.on_disk);
    ASSERT_TRUE(next->start());
    const std::string state = next->machine.state.substr(0, 1);
    ASSERT_EQ(next->machine.state.size(), state.empty() ? 0 : 6 * 128 * 1024);
    EXPECT_EQ(std::ranges::count(next->diary, "covers " + state), state.empty() ? 0 : 1);
    if (states.empty() || states.substr(states.size() - state.size()) != state) states += state;
    next->turn();
    next->settle();
    const auto header = next->store.header();
    EXPECT_EQ(next->store.pieces(), header ? header->pieces() : 0) << "the rest is erased";
  };
  std::string states;
  std::size_t crashes = 0;
  for (const char letter : {'a', 'b', 'c'}) {
    make(letter);
    for (int i = 0; i < 20; ++i) {
      stage.turn();
      while (stage.store.durable() < stage.store.submitted) {
        stage.store.complete_one();
        crash_here(states);
        ++crashes;
      }
    }
  }
  EXPECT_EQ(states, "abc");
  EXPECT_GT(crashes, 20);
}

TEST(ImageRestart, ADamagedImageIsNoStart) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(3 * kPieceBytes, 'm');
  stage.host().request_image();
  stage.turn();
  stage.settle();
  const ImageHeader header = *stage.store.header();
  const auto refuses = [&](const std::function<void(storage::RecordMap&)>& spoil) {
    storage::RecordMap disk = stage.store.on_disk;
    spoil(disk);
    const Result<void> started = restarted(disk)->start();
    return !started && started.error().code == ErrorCode::kCorrupted;
  };
  EXPECT_FALSE(refuses([](storage::RecordMap&) {}));
  for (std::uint64_t piece = 0; piece < header.pieces(); ++piece) {
    const RecordKey key = image_piece_key(header.area, piece);
    EXPECT_TRUE(refuses([&](storage::RecordMap& disk) { disk.erase(key); })) << piece;
    EXPECT_TRUE(refuses([&](storage::RecordMap& disk) { disk.at(key).pop_back(); })) << piece;
  }
  EXPECT_TRUE(refuses([](storage::RecordMap& disk) { disk.at(kImageHeaderKey).pop_back(); }));
  const auto sizes = [&](std::int64_t sessions, std::int64_t machine) {
    return [=](storage::RecordMap& disk) {
      ImageHeader other = header;
      other.sessions_bytes += static_cast<std::uint64_t>(sessions);
      other.machine_bytes += static_cast<std::uint64_t>(machine);
      encode(other, disk.at(kImageHeaderKey));
    };
  };
  EXPECT_TRUE(refuses(sizes(1, -1)));
  EXPECT_TRUE(refuses(sizes(-1, 1)));
  EXPECT_TRUE(refuses([](storage::RecordMap& disk) {
    RecordKey of_nobody = kImageHeaderKey;
    of_nobody.slot = Slot(4);
    disk[of_nobody] = {std::byte{1}};
  }));
}

}  // namespace
}  // namespace epaxos::runtime::testing
