// How images lie in the store and travel: what is written is read back, and nonsense is refused.

#include "epaxos/runtime/image_format.h"

#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {
namespace {

ImageHeader sensible_header() {
  return {.number = 7,
          .coverage_bytes = kPieceBytes + 1,
          .coverage_digest = 12,
          .sessions_bytes = 10,
          .machine_bytes = 3 * kPieceBytes,
          .digest = 99,
          .area = 2};
}

std::vector<std::byte> encoded(const ImageHeader& header) {
  std::vector<std::byte> bytes(kImageHeaderBytes);
  encode(header, bytes);
  return bytes;
}

TEST(ImageFormat, AHeaderIsReadBack) {
  const ImageHeader header = sensible_header();

  EXPECT_EQ(decode_image_header(encoded(header)), header);
}

TEST(ImageFormat, AHeaderThatMakesNoSenseIsRefused) {
  const auto refuses = [](const std::function<void(ImageHeader&)>& spoil) {
    ImageHeader header = sensible_header();
    spoil(header);
    return !decode_image_header(encoded(header));
  };
  constexpr std::uint64_t kTooMuch = kPiecesMax * kPieceBytes + 1;
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.number = 0; }));
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.coverage_bytes = 0; }));
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.coverage_bytes = kTooMuch; }));
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.sessions_bytes = ~std::uint64_t{0}; }));
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.machine_bytes = kTooMuch; }));
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.area = 0; }));
  EXPECT_TRUE(refuses([](ImageHeader& h) { h.area = kImageAreas + 1; }));
}

TEST(ImageFormat, AHeaderOfAnotherSizeIsRefused) {
  std::vector<std::byte> bytes = encoded(sensible_header());
  bytes.pop_back();
  EXPECT_FALSE(decode_image_header(bytes));
  bytes.resize(kImageHeaderBytes + 8);
  EXPECT_FALSE(decode_image_header(bytes));
  EXPECT_FALSE(decode_image_header({}));
}

TEST(ImageFormat, PiecesAreFullButTheLastOfTheCoverageAndOfTheState) {
  const ImageHeader header = sensible_header();

  ASSERT_EQ(header.coverage_pieces(), 2);
  ASSERT_EQ(header.pieces(), 6);
  std::vector<std::uint64_t> sizes;
  for (std::uint64_t i = 0; i < header.pieces(); ++i) sizes.push_back(header.piece_bytes(i));
  EXPECT_EQ(sizes, (std::vector<std::uint64_t>{kPieceBytes, 1, kPieceBytes, kPieceBytes,
                                               kPieceBytes, 10}));
}

TEST(ImageFormat, APieceTellsItsKeyFromThatOfEverythingElse) {
  for (std::uint16_t area = 1; area <= kImageAreas; ++area) {
    EXPECT_TRUE(is_image_piece(image_piece_key(area, 0)));
    EXPECT_NE(image_piece_key(area, 0), image_piece_key(area, 1));
  }
  EXPECT_FALSE(is_image_piece(kImageHeaderKey));
  EXPECT_FALSE(is_image_piece(image_piece_key(kImageAreas + 1, 0)));
  RecordKey of_the_protocol = image_piece_key(1, 0);
  of_the_protocol.kind = 3;
  EXPECT_FALSE(is_image_piece(of_the_protocol));
}

// --- Messages ----------------------------------------------------------------------------------

std::vector<std::byte> body_of(const std::function<void(Effects&)>& speak) {
  Effects out;
  speak(out);
  const Bytes body = out.view(out.sends.at(0).body);
  return {body.begin(), body.end()};
}

TEST(ImageMessages, AreReadBack) {
  const auto offer = body_of([](Effects& out) { send_offer(kB, sensible_header(), out); });
  EXPECT_EQ(read_offer(offer), sensible_header());

  const auto ask = body_of([](Effects& out) { send_ask(kB, {7, 3, kAskMax}, out); });
  ASSERT_TRUE(read_ask(ask));
  EXPECT_EQ(read_ask(ask)->first, 3);
  EXPECT_EQ(read_ask(ask)->count, kAskMax);

  for (const std::size_t size : {std::size_t{1}, std::size_t{8}, kPieceBytes}) {
    const std::string data(size, 'd');
    const auto piece = body_of([&](Effects& out) { send_piece(kB, {7, 4, bytes_of(data)}, out); });
    ASSERT_TRUE(read_piece(piece));
    EXPECT_EQ(read_piece(piece)->piece, 4);
    EXPECT_EQ(text_of(read_piece(piece)->data), data);
    EXPECT_EQ(piece.size() % 8, 0) << "frames are multiples of 8 bytes";
  }
}

TEST(ImageMessages, ThatMakeNoSenseAreRefused) {
  const auto ask = [](std::uint64_t first, std::uint64_t count) {
    return body_of([=](Effects& out) { send_ask(kB, {7, first, count}, out); });
  };
  EXPECT_FALSE(read_ask(ask(0, kAskMax + 1)));
  EXPECT_FALSE(read_ask(ask(~std::uint64_t{0}, 1))) << "first + count must not wrap around";
  EXPECT_FALSE(read_ask({}));
  EXPECT_FALSE(read_ask(std::vector<std::byte>(32)));

  std::vector<std::byte> piece = body_of([](Effects& out) {
    send_piece(kB, {7, 4, bytes_of("0123456789")}, out);
  });
  ASSERT_TRUE(read_piece(piece));
  piece[16] = std::byte{17};  // Says one byte more than fits into the padding.
  EXPECT_FALSE(read_piece(piece));
  piece[16] = std::byte{8};  // Says that the last word is nothing.
  EXPECT_FALSE(read_piece(piece));
  piece.resize(24);
  piece[16] = std::byte{0};
  EXPECT_FALSE(read_piece(piece)) << "an empty piece";
  EXPECT_FALSE(read_piece(std::span(piece).first(16)));
  EXPECT_FALSE(read_piece({}));
  const std::string large(kPieceBytes + 8, 'd');
  EXPECT_FALSE(read_piece(body_of([&](Effects& out) {
    send_piece(kB, {7, 4, bytes_of(large)}, out);
  })));
}

}  // namespace
}  // namespace epaxos::runtime::testing
