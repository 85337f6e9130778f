// Images where the machine keeps itself: for peers they are made, and the image of a peer becomes
// the state that the machine keeps.

#include "tests/epaxos/runtime/kept_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::SizeIs;

class GivingKept : public KeepingState {};

TEST_F(GivingKept, APeerIsGivenAnImageThatIsMadeForIt) {
  start();
  execute("abc");
  keep_now();
  const auto request = [&] {
    stage->turn([&] { stage->hear(kB, [](Effects& out) { send_request(kA, out); }); });
  };
  request();
  const Diary all = stage->settle();
  EXPECT_THAT(all, Not(Contains("keep 2")));
  EXPECT_THAT(all, Not(Contains("image of all"))) << "no start begins with it";
  EXPECT_THAT(stage->sent(ImageMessage::kOffer), SizeIs(1));
  stage->turn([&] { stage->hear(kB, [](Effects& out) { send_ask(kA, {1, 0, 9}, out); }); });
  EXPECT_THAT(stage->sent(ImageMessage::kPiece), SizeIs(2));
  EXPECT_EQ(stage->images().number, 1);

  EXPECT_EQ(refusal(remains_of(*stage)), "") << "the image counts for nothing";
  stage->after(100 * kSecond);
  stage->settle();
  EXPECT_EQ(stage->store.pieces(), 0) << "nobody needs it any more";
  const auto next = restarted_with(remains_of(*stage));
  ASSERT_TRUE(next->start());
  EXPECT_EQ(next->machine.state, "abc");
}

// The image for a peer is newer than the state that is being kept: a start may begin with either,
// and then needs the records from the older one on.
TEST_F(GivingKept, AnImageForAPeerLetsNoRecordGoWhileAStateIsBeingKept) {
  start();
  stage->storage.at_once = false;
  execute("old");
  keep_now();
  stage->core.covers = "more";
  execute("new");
  stage->turn([&] { stage->hear(kB, [](Effects& out) { send_request(kA, out); }); });
  Diary all = stage->settle();
  all.push_back("");
  EXPECT_GT(stage->store.pieces(), 0);
  EXPECT_THAT(all, Not(Contains("image of more")));
}

class KeepingImageOfPeer : public KeepingState {
 protected:
  void SetUp() override {
    start();
    execute("mine");
    keep_now();
    stage->storage.at_once = false;
  }
  /// Up to the moment when it is to be kept.
  void fetch() {
    stage->wish(kB);
    stage->turn();
    stage->turn([&] { stage->hear(kB, [&](Effects& out) { send_offer(kA, image.header, out); }); });
    for (const HeardFrame& ask : stage->sent(ImageMessage::kAsk)) {
      stage->turn([&] {
        for (const ImagePiece& piece : image.answer(ask)) {
          stage->hear(kB, [&](Effects& out) { send_piece(kA, piece, out); });
        }
      });
      said = stage->diary;
    }
    const Diary more = stage->settle();
    said.insert(said.end(), more.begin(), more.end());
  }

  PeerImage image{"theirs"};
  Diary said;
};

TEST_F(KeepingImageOfPeer, IsLoadedThenKeptThenInstalled) {
  fetch();
  EXPECT_EQ(stage->machine.state, "theirs");
  EXPECT_THAT(said, Contains("keep 2"));
  EXPECT_THAT(said, Not(Contains("install peer")));
  EXPECT_FALSE(stage->is_due());
  EXPECT_LE(stage->host().next_deadline(), stage->now + 10'000);

  stage->storage.complete();

  EXPECT_THAT(turns(), Contains("install peer"));
  EXPECT_EQ(stage->images().counters.installed, 1);
  EXPECT_EQ(stage->images().number, 2);
  EXPECT_EQ(note_of(*stage), (KeptNote{2, 3}));
  EXPECT_EQ(stage->store.pieces(), 0) << "the machine has it";
  const auto next = restarted_with(remains_of(*stage));
  ASSERT_TRUE(next->start());
  EXPECT_EQ(next->diary[0], "covers peer");
  EXPECT_EQ(next->machine.state, "theirs");
}

TEST_F(KeepingImageOfPeer, ACrashBeforeItIsKeptLeavesTheOldState) {
  fetch();
  const auto before = restarted_with(remains_of(*stage));
  ASSERT_TRUE(before->start());
  EXPECT_EQ(before->diary[0], "covers all");
  EXPECT_EQ(before->machine.state, "mine");
  before->turn();
  before->settle();
  EXPECT_EQ(before->store.pieces(), 0) << "what was fetched is of no use";

  stage->storage.complete();
  const auto after = restarted_with(remains_of(*stage));
  ASSERT_TRUE(after->start());
  EXPECT_EQ(after->diary[0], "covers peer") << "the machine alone is the switch";
  EXPECT_EQ(after->machine.state, "theirs");
}

TEST_F(KeepingImageOfPeer, IsKeptAfterAllWhenThatFailsAtFirst) {
  for (const bool at_once : {true, false}) {
    SetUp();
    stage->machine.keep_fails = at_once;
    fetch();
    if (!at_once) {
      stage->storage.trouble = "scripted failure to keep";
      stage->after(10'000);
      stage->settle();
    }
    EXPECT_EQ(stage->images().trouble, "scripted failure to keep");
    EXPECT_FALSE(stage->is_due());
    EXPECT_LE(stage->host().next_deadline(), stage->now + kSecond) << "it stands still";
    stage->machine.keep_fails = false;
    stage->storage.at_once = true;

    stage->after(kSecond);
    const Diary all = stage->settle();

    EXPECT_THAT(all, Contains("install peer"));
    EXPECT_EQ(stage->images().trouble, "");
    EXPECT_EQ(stage->storage.kept.state, "theirs");
  }
}

TEST_F(KeepingImageOfPeer, WaitsForTheStateThatIsBeingKept) {
  execute("+1");
  keep_now();
  ASSERT_TRUE(stage->images().making);
  fetch();
  EXPECT_EQ(stage->machine.state, "mine+1");
  EXPECT_FALSE(stage->is_due());
  execute("+2");
  EXPECT_EQ(stage->machine.state, "mine+1+2") << "it goes on";

  stage->storage.complete();
  turns();
  EXPECT_EQ(stage->machine.state, "theirs");
  stage->storage.complete();
  EXPECT_THAT(turns(), Contains("install peer"));
  EXPECT_EQ(stage->storage.kept.number, 3);
}

TEST_F(KeepingImageOfPeer, AMachineThatCannotLoadItKeepsItsState) {
  stage->machine.load_fails = true;
  fetch();
  EXPECT_EQ(stage->machine.state, "mine");
  EXPECT_THAT(said, Not(Contains("keep 2")));
  stage->storage.at_once = true;
  execute("+1");
  keep_now();
  EXPECT_EQ(stage->storage.kept.state, "mine+1");
}

}  // namespace
}  // namespace epaxos::runtime::testing
