// Making an image: exactly the pieces of it, some a turn, and an end when the state cannot be read.

#include "epaxos/runtime/image_maker.h"

#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {
namespace {

ImageMaker::Parts parts_of(executor::SessionTable& sessions, TextMachine& machine,
                           std::size_t coverage_bytes) {
  ImageMaker::Parts parts;
  parts.coverage.assign(coverage_bytes, std::byte{'c'});
  parts.sessions = *sessions.image();
  parts.machine = *machine.image();
  return parts;
}

std::string saved(const auto& state) {
  std::string bytes;
  EXPECT_TRUE(state.save([&](Bytes piece) -> Result<void> {
    bytes += text_of(piece);
    return {};
  }));
  return bytes;
}

TEST(ImageMaker, WritesTheCoverageThenTheStateInPieces) {
  executor::SessionTable sessions;
  TextMachine machine;
  machine.state.assign(3 * kPieceBytes, 'm');
  ImageMaker maker(4, 2, parts_of(sessions, machine, kPieceBytes + 5));

  Effects out;
  while (!*maker.write(64 * 1024, out)) continue;

  const ImageHeader header = maker.header();
  EXPECT_EQ(header.number, 4);
  EXPECT_EQ(header.area, 2);
  EXPECT_EQ(header.coverage_bytes, kPieceBytes + 5);
  EXPECT_EQ(header.machine_bytes, saved(machine).size());
  ASSERT_EQ(out.records.size(), header.pieces());
  EXPECT_EQ(maker.pieces(), header.pieces());
  std::string all;
  for (std::uint64_t i = 0; i < header.pieces(); ++i) {
    EXPECT_EQ(out.records[i].key, image_piece_key(2, i));
    EXPECT_EQ(out.records[i].value.size, header.piece_bytes(i));
    all += text_of(out.view(out.records[i].value));
  }
  const std::string state = saved(sessions) + saved(machine);
  EXPECT_EQ(all, std::string(kPieceBytes + 5, 'c') + state);
  executor::Checksum hash;
  hash.update(bytes_of(state));
  EXPECT_EQ(header.digest, hash.value());
}

TEST(ImageMaker, WritesAboutAsMuchAsATurnMay) {
  executor::SessionTable sessions;
  TextMachine machine;
  machine.state.assign(std::size_t{5} << 20, 'm');
  ImageMaker maker(1, 1, parts_of(sessions, machine, 10));

  int turns = 0;
  for (bool complete = false; !complete; ++turns) {
    Effects out;
    complete = *maker.write(128 * 1024, out);
    EXPECT_LE(out.bytes(), 128 * 1024 + kPieceBytes);
  }
  EXPECT_EQ(turns, 41);
}

TEST(ImageMaker, SaysWhyTheStateCannotBeRead) {
  executor::SessionTable sessions;
  TextMachine machine;
  machine.bad_image = BadImage::How::kFails;
  ImageMaker maker(1, 1, parts_of(sessions, machine, 10));

  Effects out;
  const Result<bool> written = maker.write(1 << 20, out);

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "the image has ended");
}

// A machine is an embedder's code: the node must not hang in it.
TEST(ImageMaker, AnImageThatGivesNothingAndDoesNotEndIsAFailure) {
  executor::SessionTable sessions;
  TextMachine machine;
  machine.bad_image = BadImage::How::kGivesNothing;
  ImageMaker maker(1, 1, parts_of(sessions, machine, 10));

  Effects out;
  EXPECT_FALSE(maker.write(1 << 20, out));
}

}  // namespace
}  // namespace epaxos::runtime::testing
