// What peers get of a host's images. Source: protocol.md 14.4.

#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class GivingImages : public ::testing::Test {
 protected:
  void make_image(std::size_t bytes = 1000) {
    ASSERT_TRUE(stage.start());
    stage.machine.state.assign(bytes, 'm');
    stage.host().request_image();
    stage.turn();
    stage.settle();
    ASSERT_EQ(stage.images().number, 1);
  }
  void request(ReplicaId from) {
    stage.turn([&] { stage.hear(from, [](Effects& out) { send_request(kA, out); }); });
  }
  void ask(ReplicaId from, const ImageAsk& what) {
    stage.turn([&] { stage.hear(from, [&](Effects& out) { send_ask(kA, what, out); }); });
  }

  ImageStage stage;
};

TEST_F(GivingImages, APeerIsOfferedTheImageAndGetsItsPieces) {
  make_image();

  request(kB);
  const std::vector<HeardFrame> offers = stage.sent(ImageMessage::kOffer);
  ASSERT_THAT(offers, SizeIs(1));
  EXPECT_EQ(offers[0].to, kB);
  const ImageHeader offer = *read_offer(offers[0].body);
  EXPECT_EQ(offer.number, 1);
  ask(kB, {1, 0, kAskMax});

  const std::vector<HeardFrame> pieces = stage.sent(ImageMessage::kPiece);
  ASSERT_EQ(pieces.size(), offer.pieces());
  ImageFetch fetch(kA, offer, 1, 0);
  Effects out;
  fetch.ask(0, false, out);
  ImageFetch::Progress last = ImageFetch::Progress::kGoesOn;
  for (const HeardFrame& piece : pieces) last = fetch.take(*read_piece(piece.body), 0, out);
  EXPECT_EQ(last, ImageFetch::Progress::kComplete);
}

TEST_F(GivingImages, WhenTheImageWillNotDoAnotherIsMade) {
  make_image();
  stage.core.refuses_to_give = true;
  request(kB);
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), IsEmpty());
  stage.settle();
  EXPECT_EQ(stage.images().number, 2) << "one, not one after the other";
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), IsEmpty());

  stage.core.refuses_to_give = false;
  request(kB);
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), SizeIs(1));
}

// Until the peer asks again, so much may have been forgotten that this one will not do either, for
// ever (simulator seed 3603 of multipaxos).
TEST_F(GivingImages, TheImageThatIsMadeForAPeerIsOfferedAtOnce) {
  make_image();
  stage.core.refuses_to_give = true;
  request(kB);
  stage.core.refuses_to_give = false;
  stage.settle();
  const std::vector<HeardFrame> offers = stage.sent(ImageMessage::kOffer);
  ASSERT_THAT(offers, SizeIs(1));
  EXPECT_EQ(offers[0].to, kB);
  EXPECT_EQ(read_offer(offers[0].body)->number, 2);
}

TEST_F(GivingImages, WhatItCoversIsListedInPartsATurn) {
  make_image();
  stage.core.parts_of_coverage = 3;
  request(kB);
  EXPECT_EQ(stage.core.coverage_parts, 1);
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), IsEmpty());
  request(kC);
  EXPECT_EQ(stage.core.coverage_parts, 2) << "one after the other";

  stage.settle();
  const std::vector<HeardFrame> offers = stage.sent(ImageMessage::kOffer);
  ASSERT_THAT(offers, SizeIs(1));
  EXPECT_EQ(offers[0].to, kB);
  EXPECT_EQ(stage.core.coverage_parts, 3);
}

// It has asked another peer meanwhile, and asks again.
TEST_F(GivingImages, AnOfferThatCameTooLateIsMadeOnce) {
  make_image();
  request(kB);
  request(kB);
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), SizeIs(2));
  EXPECT_EQ(stage.core.coverage_parts, 1);

  ask(kB, {1, 0, 1});
  request(kB);
  EXPECT_EQ(stage.core.coverage_parts, 2) << "that one did not do";
  stage.after(11 * kSecond);
  stage.settle();
  ask(kB, {1, 0, 1});
  EXPECT_THAT(stage.sent(ImageMessage::kGone), SizeIs(1)) << "it is not kept for ever";
}

TEST_F(GivingImages, NoOtherImageIsMadeWhenNoneWouldDo) {
  make_image();
  stage.core.refuses_to_give = true;
  stage.core.refusal = ErrorCode::kTooLarge;
  request(kB);
  stage.settle();
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), IsEmpty());
  EXPECT_EQ(stage.images().number, 1);
  EXPECT_EQ(stage.images().trouble, "scripted");
}

TEST_F(GivingImages, WhoAsksForAnImageThatIsNotOfferedHearsThatItIsGone) {
  make_image();
  ask(kB, {1, 0, 1});
  EXPECT_THAT(stage.sent(ImageMessage::kGone), SizeIs(1)) << "it was offered nothing";
  request(kB);
  stage.sent(ImageMessage::kOffer);
  ask(kB, {2, 0, 1});
  EXPECT_THAT(stage.sent(ImageMessage::kGone), SizeIs(1)) << "it was offered another one";
  ask(kC, {1, 0, 1});
  EXPECT_THAT(stage.sent(ImageMessage::kGone), SizeIs(1)) << "somebody else was offered it";
}

TEST_F(GivingImages, PiecesThatDoNotExistAreNotSent) {
  make_image();
  request(kB);
  stage.sent(ImageMessage::kOffer);
  ask(kB, {1, 1, kAskMax});
  EXPECT_THAT(stage.sent(ImageMessage::kPiece), SizeIs(1));
  ask(kB, {1, 2, kAskMax});
  ask(kB, {1, kPiecesMax, kAskMax});
  ask(kB, {1, 0, 0});
  EXPECT_THAT(stage.network->frames, IsEmpty());
}

TEST_F(GivingImages, AFloodOfQuestionsIsAnsweredInPart) {
  make_image(200 * kPieceBytes);
  request(kB);
  stage.sent(ImageMessage::kOffer);

  stage.turn([&] {
    for (int i = 0; i < 1000; ++i) {
      stage.hear(kB, [](Effects& out) { send_ask(kA, {1, 0, kAskMax}, out); });
    }
  });

  const std::size_t pieces = stage.sent(ImageMessage::kPiece).size();
  EXPECT_GE(pieces, kAskMax);
  EXPECT_LE(pieces, 600) << "16 MiB";
  EXPECT_FALSE(stage.is_due());
}

TEST_F(GivingImages, APeerThatIsFetchingKeepsTheImageForAWhile) {
  make_image();
  request(kB);
  stage.log(20'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);

  stage.after(11 * kSecond);
  stage.settle();
  EXPECT_EQ(stage.images().number, 2) << "it has gone away";
}

TEST_F(GivingImages, OneThatIsAskedForMeanwhileWaitsAndSaysSo) {
  make_image();
  request(kB);
  stage.host().request_image();
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 1);
  EXPECT_TRUE(stage.images().waits_for_peer);

  stage.after(11 * kSecond);
  stage.settle();
  EXPECT_EQ(stage.images().number, 2);
  EXPECT_FALSE(stage.images().waits_for_peer);
}

TEST_F(GivingImages, AFetchDoesNotHoldUpImagesForEver) {
  make_image();
  request(kB);
  stage.log(81'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().number, 2);
}

// Without a disk an image is made for a peer that asks.
TEST(ImageInMemory, StaysUntilThePeerHasFetchedIt) {
  ImageStage stage(Durability::kNone);
  ASSERT_TRUE(stage.start());
  stage.machine.state.assign(100'000, 'm');
  const auto ask_for_image = [&] {
    stage.turn([&] { stage.hear(kB, [](Effects& out) { send_request(kA, out); }); });
  };
  ask_for_image();
  stage.settle();
  stage.after(4 * kSecond);
  stage.settle();
  ASSERT_EQ(stage.images().number, 1);
  EXPECT_THAT(stage.sent(ImageMessage::kOffer), SizeIs(1));

  stage.after(200 * kSecond);
  stage.settle();
  EXPECT_EQ(stage.images().number, 0) << "nobody needs it any more";
  EXPECT_EQ(stage.store.pieces(), 0);
}

TEST(ImageInMemory, IsNotMadeForTheNextStart) {
  ImageStage stage(Durability::kNone);
  ASSERT_TRUE(stage.start());
  stage.log(1'000'000);
  stage.turn();
  stage.settle();
  EXPECT_EQ(stage.images().counters.made, 0);
}

TEST(ImageMessages, OfUnknownTypesOrMalformedAreCounted) {
  ImageStage stage;
  ASSERT_TRUE(stage.start());
  const std::vector<std::byte> words(40);
  stage.turn([&] {
    stage.hear(kB, 0x105, words);
    stage.hear(kB, 0xFFFF, words);
    for (const auto type :
         {ImageMessage::kOffer, ImageMessage::kAsk, ImageMessage::kPiece, ImageMessage::kGone}) {
      stage.hear(kB, static_cast<net::FrameType>(type), words);
    }
  });
  EXPECT_EQ(stage.images().counters.refused_malformed, 6);
  EXPECT_THAT(stage.network->frames, IsEmpty());
}

}  // namespace
}  // namespace epaxos::runtime::testing
