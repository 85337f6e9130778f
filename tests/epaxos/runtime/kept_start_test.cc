// What a restart begins with when the machine keeps itself, and how machine and store that do not
// fit together are found out.

#include "tests/epaxos/runtime/kept_support.h"

namespace epaxos::runtime::testing {
namespace {

Slot slot_of(char letter) {
  return Slot(static_cast<unsigned char>(letter));
}

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class RestartingKept : public KeepingState {};

// --- The start ---------------------------------------------------------------------------------

TEST_F(RestartingKept, ARestartBeginsWithWhatTheMachineHoldsAndItsSessions) {
  start();
  stage->turn([&] {
    stage->host().control_session(SessionOperation::kOpen, 77, kNever, [](const Outcome&) {});
    stage->propose("abc", kNever, {{77, 1}, 0});
  });
  stage->execute_proposals();
  turns();
  keep_now();
  stage->log(100);
  stage->turn();
  ASSERT_EQ(stage->images().number, 1);

  const auto next = restarted_with(remains_of(*stage));
  ASSERT_TRUE(next->start());

  EXPECT_EQ(next->diary[0], "covers all");
  EXPECT_THAT(next->diary, Not(Contains("load"))) << "it holds the state already";
  EXPECT_THAT(next->core.restored, SizeIs(1)) << "records of the host are none";
  EXPECT_EQ(next->machine.state, "abc");
  EXPECT_EQ(next->host().digest(), stage->host().digest());
  next->turn([&] { next->propose("abc", kNever, {{77, 1}, 0}); });
  EXPECT_THAT(next->outcomes, ElementsAre("executed: abc")) << "from the table";
  EXPECT_EQ(next->machine.state, "abc") << "and not once more";
  EXPECT_EQ(next->images().number, 1);
}

TEST_F(RestartingKept, AMachineThatHasKeptNothingStartsEmpty) {
  start();
  stage->storage.at_once = false;
  execute("abc");
  keep_now();

  const auto next = restarted_with(remains_of(*stage));
  ASSERT_TRUE(next->start());

  EXPECT_EQ(next->machine.state, "");
  EXPECT_EQ(std::ranges::count(next->diary, "covers all"), 0);
  next->host().request_image();
  next->turn();
  next->settle();
  EXPECT_EQ(next->images().number, 1);
}

// Whatever batch and whichever state a crash leaves, the next start has a state that was kept, and
// the records that it needs.
TEST_F(RestartingKept, AfterACrashAtAnyMomentMachineAndStoreFitTogether) {
  start();
  stage->store.at_once = false;
  stage->storage.at_once = false;
  // A record for each letter, which the core erases when an image covers it.
  std::string erasable;
  stage->core.on_end_of_turn = [&](Effects& out) {
    for (const char letter : std::exchange(erasable, "")) {
      out.erase({.kind = 1, .group = {}, .epoch = {}, .row = {}, .slot = slot_of(letter)});
    }
  };
  std::size_t starts = 0;
  std::size_t ahead = 0;
  const auto crash_here = [&] {
    const Remains remains = remains_of(*stage);
    const auto next = restarted_with(remains);
    const Result<void> started = next->start();
    ASSERT_TRUE(started) << started.error().message;
    ++starts;
    for (char letter = 'a'; letter <= stage->machine.state.back(); ++letter) {
      const RecordKey key{.kind = 1, .group = {}, .epoch = {}, .row = {}, .slot = slot_of(letter)};
      const bool in_state = next->machine.state.find(letter) != std::string::npos;
      EXPECT_TRUE(in_state || remains.disk.contains(key)) << letter << " is lost";
    }
    const auto note = remains.disk.find(kKeptNoteKey);
    if (note != remains.disk.end() && read_note(note->second)->kept < remains.machine.number) {
      ++ahead;
    }
  };
  for (char letter = 'a'; letter <= 'e'; ++letter) {
    stage->machine.state += letter;
    stage->core.covers = stage->machine.state;
    stage->store
        .on_disk[{.kind = 1, .group = {}, .epoch = {}, .row = {}, .slot = slot_of(letter)}] = {};
    stage->host().request_image();
    for (int i = 0; i < 20; ++i) {
      stage->after(10'000);
      if (std::ranges::count(stage->diary, "image of " + stage->core.covers) > 0) {
        erasable = stage->core.covers;
      }
      crash_here();
      if (i % 3 == 0) stage->storage.complete();
      crash_here();
      if (stage->store.durable() < stage->store.submitted) stage->store.complete_one();
      crash_here();
    }
    stage->store.complete();
  }
  EXPECT_EQ(stage->storage.kept.number, 5);
  EXPECT_GT(ahead, 5) << "the machine is ahead of the note at times";
  EXPECT_EQ(starts, 300);
}

TEST_F(RestartingKept, ARestartGoesOnWithTheNextNumber) {
  start();
  keep_now();
  keep_now();
  Remains remains = remains_of(*stage);
  for (int life = 0; life < 3; ++life) {
    const auto next = restarted_with(remains);
    ASSERT_TRUE(next->start());
    next->host().request_image();
    next->turn();
    next->settle();
    remains = remains_of(*next);
  }
  EXPECT_EQ(remains.machine.number, 5);
}

TEST_F(RestartingKept, TheImageOfAMachineThatDidNotKeepItselfIsLoadedOnce) {
  ImageStage before;
  ASSERT_TRUE(before.start());
  before.execute("old ");
  before.turn();
  before.host().request_image();
  before.turn();
  before.settle();
  ASSERT_EQ(before.images().number, 1);

  stage = restarted_with({before.store.on_disk, {}});
  ASSERT_TRUE(stage->start());
  EXPECT_EQ(stage->machine.state, "old ");
  stage->after(100 * kSecond);
  stage->settle();
  EXPECT_GT(stage->store.pieces(), 0) << "nothing else holds the state";
  EXPECT_EQ(refusal(remains_of(*stage)), "");
  execute("new");
  keep_now();
  stage->after(100 * kSecond);
  stage->settle();
  EXPECT_EQ(stage->store.pieces(), 0);

  const auto next = restarted_with(remains_of(*stage));
  ASSERT_TRUE(next->start());
  EXPECT_EQ(next->machine.state, "old new");
}

// --- What does not fit together ----------------------------------------------------------------

TEST_F(RestartingKept, AMachineThatWasSetBackIsRefused) {
  start();
  keep_now();
  const OwnStorage::State old = stage->storage.kept;
  keep_now();

  EXPECT_EQ(refusal({stage->store.on_disk, old}),
            "the state machine's own storage holds an older state (number 1) than this replica "
            "had made durable (number 2): restore its newest state, or replace this replica");
  EXPECT_THAT(refusal({stage->store.on_disk, {}}), HasSubstr("an older state (number 0)"));
  EXPECT_EQ(refusal(remains_of(*stage)), "");
}

TEST_F(RestartingKept, AStoreThatWasEmptiedOrSetBackIsRefused) {
  start();
  keep_now();
  const storage::RecordMap old = stage->store.on_disk;
  keep_now();
  keep_now();

  EXPECT_THAT(refusal({{}, stage->storage.kept}),
              HasSubstr("a state (number 3) that this replica's data directory does not know of"));
  EXPECT_THAT(refusal({old, stage->storage.kept}), HasSubstr("emptied or set back"));
}

// Then the number of the machine's state is one that the store has announced.
TEST_F(RestartingKept, AStoreThatWasSetBackByOneStateIsRefused) {
  start();
  keep_now();
  const storage::RecordMap old = stage->store.on_disk;
  stage->log(100);
  turns();
  keep_now();

  EXPECT_THAT(refusal({old, stage->storage.kept}),
              HasSubstr("a state (number 2) that is newer than this replica's data directory"));
  EXPECT_EQ(refusal(remains_of(*stage)), "");
}

TEST_F(RestartingKept, TheStateOfAnotherReplicaIsRefused) {
  start();
  keep_now();
  const auto refusal_as = [&](const std::function<void(net::BundleIdentity&)>& change) {
    const auto next = restarted_with(remains_of(*stage));
    change(next->config.identity);
    const Result<void> started = next->start();
    if (started) return std::string();
    EXPECT_EQ(started.error().code, ErrorCode::kWrongIdentity);
    return started.error().message;
  };
  EXPECT_EQ(refusal_as([](net::BundleIdentity& self) { self.incarnation += 1; }), "");
  EXPECT_EQ(refusal_as([](net::BundleIdentity& self) { self.self = kB; }),
            "the state machine's own storage is that of replica 0, and this is replica 1: give it "
            "its own");
  EXPECT_THAT(refusal_as([](net::BundleIdentity& self) { self.cluster[3] ^= std::byte{1}; }),
              HasSubstr("of another cluster"));
  EXPECT_THAT(refusal_as([](net::BundleIdentity& self) { self.configuration_hash += 1; }),
              HasSubstr("another protocol"));
}

TEST_F(RestartingKept, ADamagedMarkIsRefused) {
  start();
  keep_now();
  const Remains good = remains_of(*stage);
  for (std::size_t i = 0; i < good.machine.mark.size(); ++i) {
    Remains bad = good;
    bad.machine.mark[i] ^= std::byte{4};
    EXPECT_THAT(refusal(bad), HasSubstr("is damaged")) << i;
    bad.machine.mark = good.machine.mark;
    bad.machine.mark.resize(i);
    EXPECT_THAT(refusal(bad), HasSubstr("is damaged")) << i;
  }
  Remains other = good;
  keep_now();
  other.machine.mark = stage->storage.kept.mark;
  EXPECT_THAT(refusal(other), HasSubstr("with the mark of another one (number 2)"));
}

TEST_F(RestartingKept, ANoteThatMakesNoSenseIsRefused) {
  start();
  keep_now();
  for (const std::size_t bytes : {0U, 8U, 15U, 17U}) {
    Remains bad = remains_of(*stage);
    bad.disk[kKeptNoteKey].resize(bytes);
    EXPECT_THAT(refusal(bad), HasSubstr("makes no sense")) << bytes;
  }
  Remains bad = remains_of(*stage);
  bad.disk[kKeptNoteKey] = std::vector<std::byte>(kKeptNoteBytes);
  EXPECT_THAT(refusal(bad), HasSubstr("makes no sense"));
}

TEST_F(RestartingKept, AMachineThatDoesNotKeepItselfIsNoHeir) {
  start();
  keep_now();
  ImageStage next;
  next.store.on_disk = stage->store.on_disk;
  const Result<void> started = next.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("with a state machine that keeps itself"));
}

TEST_F(RestartingKept, WithoutADiskOnlyAnEmptyMachineStarts) {
  start();
  keep_now();
  ImageStage next(Durability::kNone);
  next.let_machine_keep(stage->storage.kept);
  const Result<void> started = next.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("at durability \"none\" nothing is remembered"));
}

TEST_F(RestartingKept, AMachineThatCannotTellWhatItHoldsIsNoStart) {
  start();
  keep_now();
  const auto next = restarted_with(remains_of(*stage));
  next->storage.trouble = "scripted trouble";
  const Result<void> started = next->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "scripted trouble");
}

}  // namespace
}  // namespace epaxos::runtime::testing
