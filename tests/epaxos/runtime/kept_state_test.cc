// A machine that keeps itself: when it is asked to, what goes only then, and what becomes of a
// failure.

#include "tests/epaxos/runtime/kept_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::Contains;
using ::testing::Not;

// --- When --------------------------------------------------------------------------------------

TEST_F(KeepingState, HappensAfterSoManyBytesOfRecordsAndNothingIsCopied) {
  start();
  execute("abc");
  stage->log(9'000);
  EXPECT_THAT(turns(), Not(Contains("keep 1")));

  stage->log(1'000);
  const Diary all = turns();

  EXPECT_THAT(all, Contains("keep 1"));
  EXPECT_THAT(all, Contains("image of all"));
  EXPECT_EQ(stage->storage.kept.state, "abc");
  EXPECT_EQ(stage->store.pieces(), 0);
  EXPECT_EQ(stage->images().number, 1);
  EXPECT_EQ(stage->images().counters.kept, 1);
  EXPECT_LT(stage->images().log_bytes, 1'000);
}

TEST_F(KeepingState, HappensOnlyBetweenTwoComponents) {
  start();
  stage->execute("half ", /*ends_component=*/false);
  stage->log(20'000);
  EXPECT_THAT(turns(), Not(Contains("keep 1")));
  EXPECT_THAT(keep_now(), Not(Contains("keep 1")));

  execute("whole");

  EXPECT_EQ(stage->storage.kept.state, "half whole");
}

TEST_F(KeepingState, WaitsUntilWhatTheRecordsSayIsExecuted) {
  start();
  stage->log(20'000);
  stage->turn();
  const auto next = restarted_with(remains_of(*stage));
  next->store.at_once = false;
  next->core.on_start = [&](Effects& out) {
    record(out);
    next->blocks.execute_foreign("replayed", out);
    out.ends_component = true;
  };
  ASSERT_TRUE(next->start());
  for (int i = 0; i < 5; ++i) EXPECT_THAT(next->turn(), Not(Contains("keep 1")));

  next->store.at_once = true;
  next->store.complete();
  next->turn();
  next->settle();

  EXPECT_EQ(next->storage.kept.state, "replayed");
}

// The store must know of a number before the machine has it: else one that was set back to before
// would not show.
TEST_F(KeepingState, WaitsUntilItsNumberIsNoted) {
  stage = std::make_unique<ImageStage>();
  stage->let_machine_keep();
  stage->store.at_once = false;
  ASSERT_TRUE(stage->start());
  for (int i = 0; i < 5; ++i) EXPECT_THAT(keep_now(), Not(Contains("keep 1")));

  stage->store.complete();

  EXPECT_THAT(turns(), Contains("keep 1"));
  EXPECT_EQ(note_of(*stage), (KeptNote{0, 1}));
}

TEST_F(KeepingState, TakesItsTimeWhileTheReplicaGoesOn) {
  start();
  stage->storage.at_once = false;
  execute("a");
  keep_now();
  execute("b");
  EXPECT_TRUE(stage->images().making);
  EXPECT_FALSE(stage->is_due()) << "it does not spin";
  EXPECT_LE(stage->host().next_deadline(), stage->now + 10'000) << "nobody wakes it";
  EXPECT_THAT(keep_now(), Not(Contains("keep 2"))) << "one at a time";

  stage->storage.complete();
  const Diary all = turns();

  EXPECT_EQ(stage->images().number, 1);
  EXPECT_THAT(all, Contains("keep 2")) << "it was asked for once more";
}

TEST_F(KeepingState, IsNotAskedForWithoutADisk) {
  start(Durability::kNone);
  stage->log(1'000'000);
  EXPECT_THAT(turns(), Not(Contains("keep 1")));
  EXPECT_EQ(note_of(*stage), std::nullopt);
}

// --- What goes only then -----------------------------------------------------------------------

TEST_F(KeepingState, RecordsMayGoWhenItIsKeptAndNotBefore) {
  start();
  stage->storage.at_once = false;
  execute("abc");
  const Diary begun = keep_now();
  EXPECT_THAT(begun, Contains("keep 1"));
  EXPECT_THAT(begun, Not(Contains("image of all")));
  stage->after(kSecond);
  EXPECT_THAT(stage->diary, Not(Contains("image of all")));
  EXPECT_EQ(stage->images().number, 0);
  EXPECT_EQ(note_of(*stage), (KeptNote{0, 1}));

  stage->storage.complete();

  EXPECT_THAT(turns(), Contains("image of all"));
  EXPECT_EQ(note_of(*stage), (KeptNote{1, 2}));
}

// The core may erase as soon as it hears of it: in the batch that holds the note, or a later one.
TEST_F(KeepingState, NoRecordGoesBeforeItsNumberIsNoted) {
  start();
  execute("abc");
  stage->store.at_once = false;
  keep_now();
  stage->turn();
  ASSERT_EQ(stage->images().number, 1);
  const RecordKey key{.kind = 1, .group = {}, .epoch = {}, .row = {}, .slot = Slot(1)};
  stage->store.on_disk[key] = {};
  stage->core.on_end_of_turn = [&](Effects& out) { out.erase(key); };
  stage->turn();

  while (stage->store.on_disk.contains(key)) stage->store.complete_one();

  EXPECT_EQ(note_of(*stage), (KeptNote{1, 2}));
}

TEST_F(KeepingState, TheCoverageIsThatOfTheMomentWhenItWasAskedFor) {
  start();
  stage->storage.at_once = false;
  stage->core.covers = "before";
  execute("a");
  keep_now();
  stage->core.covers = "after";
  execute("b");
  stage->storage.complete();
  EXPECT_THAT(turns(), Contains("image of before"));

  const auto next = restarted_with(remains_of(*stage));
  ASSERT_TRUE(next->start());
  EXPECT_EQ(next->diary[0], "covers before");
  EXPECT_EQ(next->machine.state, "a");
}

// --- Failures ----------------------------------------------------------------------------------

TEST_F(KeepingState, ThatFailsIsTriedAgainLater) {
  for (const bool at_once : {true, false}) {
    start();
    stage->machine.keep_fails = at_once;
    stage->storage.at_once = false;
    execute("abc");
    stage->log(20'000);
    turns();
    if (!at_once) {
      stage->storage.trouble = "scripted failure to keep";
      stage->after(kSecond);
      stage->settle();
    }
    EXPECT_EQ(stage->images().counters.failed, 1);
    EXPECT_EQ(stage->images().trouble, "scripted failure to keep");
    EXPECT_FALSE(stage->images().making);
    EXPECT_GE(stage->images().log_bytes, 20'000) << "that still needs it";

    stage->machine.keep_fails = false;
    stage->storage.at_once = true;
    stage->after(30 * kSecond);
    stage->settle();
    EXPECT_EQ(stage->images().number, 0) << "not at once again";
    stage->after(31 * kSecond);
    stage->settle();
    EXPECT_EQ(stage->images().number, 2) << "what failed may yet have its number";
    EXPECT_EQ(stage->images().trouble, "");
    EXPECT_EQ(note_of(*stage), (KeptNote{2, 3}));
  }
}

TEST_F(KeepingState, ThatHasFailedIsTriedAgainAtOnceWhenSomebodyAsks) {
  start();
  stage->machine.keep_fails = true;
  keep_now();
  stage->machine.keep_fails = false;
  EXPECT_THAT(keep_now(), Contains("keep 2"));
}

}  // namespace
}  // namespace epaxos::runtime::testing
