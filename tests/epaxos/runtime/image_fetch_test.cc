// Fetching the image of a peer over a network that loses, repeats and reorders.

#include "epaxos/runtime/image_fetch.h"

#include <random>

#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {
namespace {

using Progress = ImageFetch::Progress;

/// A fetch and the peer that it asks.
class FetchStage {
 public:
  explicit FetchStage(std::size_t state_bytes, std::size_t coverage_bytes = 10)
      : image(std::string(state_bytes, 's'), std::string(coverage_bytes, 'c')),
        fetch(kB, image.header, 3, now) {}

  /// What it asks for now; at most one question.
  std::vector<ImagePiece> ask(bool disk_is_behind = false) {
    Effects out;
    fetch.ask(now, disk_is_behind, out);
    if (out.sends.empty()) return {};
    const Bytes body = out.view(out.sends.at(0).body);
    return image.answer({kB, ImageMessage::kAsk, {body.begin(), body.end()}});
  }
  Progress take(const ImagePiece& piece) { return fetch.take(piece, now, written); }

  Tick now = 5 * kSecond;
  PeerImage image;
  ImageFetch fetch;
  Effects written;
};

TEST(ImageFetch, AsksForWindowsAndWritesThePiecesInOrder) {
  FetchStage stage(100 * kPieceBytes);

  std::vector<std::size_t> windows;
  Progress last = Progress::kGoesOn;
  while (last != Progress::kComplete) {
    const std::vector<ImagePiece> answers = stage.ask();
    windows.push_back(answers.size());
    ASSERT_FALSE(answers.empty());
    for (const ImagePiece& piece : answers) {
      last = stage.take(piece);
      EXPECT_EQ(last == Progress::kCoverageComplete, piece.piece == 0);
    }
  }

  EXPECT_EQ(windows, (std::vector<std::size_t>{64, 38}));
  ASSERT_EQ(stage.written.records.size(), stage.image.header.pieces());
  for (std::uint64_t i = 0; i < stage.image.pieces.size(); ++i) {
    EXPECT_EQ(stage.written.records[i].key, image_piece_key(3, i));
    EXPECT_EQ(text_of(stage.written.view(stage.written.records[i].value)),
              text_of(stage.image.pieces[i]));
  }
}

TEST(ImageFetch, ComesToAnEndOverABadNetwork) {
  std::mt19937 random(11);
  FetchStage stage(150 * kPieceBytes, 2 * kPieceBytes);
  std::vector<ImagePiece> under_way;
  Progress last = Progress::kGoesOn;
  int steps = 0;
  while (last != Progress::kComplete && ++steps < 100'000) {
    for (const ImagePiece& piece : stage.ask()) {
      if (random() % 5 == 0) continue;  // Lost.
      under_way.push_back(piece);
      if (random() % 5 == 0) under_way.push_back(piece);
    }
    if (under_way.empty()) {
      stage.now = std::max(stage.now, stage.fetch.due(false));
      ASSERT_FALSE(stage.fetch.is_stuck());
      continue;
    }
    std::swap(under_way[random() % under_way.size()], under_way.back());
    last = stage.take(under_way.back());
    ASSERT_NE(last, Progress::kDamaged);
    under_way.pop_back();
  }

  ASSERT_EQ(last, Progress::kComplete);
  EXPECT_EQ(stage.written.records.size(), stage.image.header.pieces()) << "each piece once";
  EXPECT_EQ(stage.fetch.coverage(), std::vector<std::byte>(2 * kPieceBytes, std::byte{'c'}));
}

TEST(ImageFetch, IgnoresWhatItDidNotAskFor) {
  FetchStage stage(100 * kPieceBytes);
  const std::vector<ImagePiece> answers = stage.ask();

  ImagePiece of_another = answers[0];
  of_another.number = 10;
  stage.take(of_another);
  const ImagePiece beyond{9, 64, stage.image.pieces[64]};
  stage.take(beyond);
  const ImagePiece far_beyond{9, ~std::uint64_t{0}, stage.image.pieces[64]};
  stage.take(far_beyond);
  ImagePiece cut = answers[1];
  cut.data = cut.data.first(cut.data.size() - 1);
  stage.take(cut);

  EXPECT_TRUE(stage.written.records.empty());
  EXPECT_EQ(stage.fetch.pieces(), 0);
}

TEST(ImageFetch, SeesThatTheStateIsNotWhatWasOffered) {
  FetchStage stage(100);
  stage.image.pieces[1][50] ^= std::byte{1};
  const std::vector<ImagePiece> answers = stage.ask();

  stage.take(answers[0]);
  EXPECT_EQ(stage.take(answers[1]), Progress::kDamaged);
}

// A request that was repeated may change what the peer tells about the same image: pieces of two
// coverages make a third, which nobody meant.
TEST(ImageFetch, SeesThatTheCoverageIsNotWhatWasOffered) {
  FetchStage stage(100, 2 * kPieceBytes);
  stage.image.pieces[1].assign(kPieceBytes, std::byte{'C'});
  const std::vector<ImagePiece> answers = stage.ask();

  EXPECT_EQ(stage.take(answers[0]), Progress::kGoesOn);
  EXPECT_EQ(stage.take(answers[1]), Progress::kDamaged);
}

TEST(ImageFetch, IsStuckWhenNothingComesForSeconds) {
  FetchStage stage(100);
  const Tick began = stage.now;
  int asked = 0;
  while (!stage.fetch.is_stuck()) {
    stage.now = std::max(stage.now, stage.fetch.due(false));
    asked += stage.ask().empty() ? 0 : 1;
    ASSERT_LT(asked, 100);
  }
  EXPECT_GE(stage.now - began, 2 * kSecond);
  EXPECT_LE(stage.now - began, 10 * kSecond);
}

TEST(ImageFetch, WaitsForTheDiskBeforeTheNextWindow) {
  FetchStage stage(100 * kPieceBytes);
  for (const ImagePiece& piece : stage.ask()) stage.take(piece);

  EXPECT_TRUE(stage.ask(/*disk_is_behind=*/true).empty());
  EXPECT_FALSE(stage.fetch.is_stuck());
  EXPECT_EQ(stage.ask(/*disk_is_behind=*/false).size(), 38);
}

}  // namespace
}  // namespace epaxos::runtime::testing
