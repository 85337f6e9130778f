#pragma once

// Images that are read while the state goes on, compared with what was saved when they were taken.

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "executor/state_machine.h"

namespace epaxos::testing_images {

template <class State>
std::string save_to_text(const State& state) {
  std::string bytes;
  EXPECT_TRUE(state.save([&](Bytes piece) -> Result<void> {
    bytes += text_of(piece);
    return {};
  }));
  return bytes;
}

template <class State>
Result<void> load_from_text(State& state, std::string_view text) {
  return state.load([text](std::span<std::byte> room) mutable -> Result<void> {
    if (text.size() < room.size()) return fail(ErrorCode::kCorrupted, "the text ends here");
    copy_bytes(bytes_of(text.substr(0, room.size())), room.data());
    text.remove_prefix(room.size());
    return {};
  });
}

/// An image, what was read of it so far, and what it must turn out to be.
template <class State>
class WatchedImage {
 public:
  explicit WatchedImage(State& state) : saved_(save_to_text(state)), digest_(state.digest()) {
    Result<std::unique_ptr<Image>> image = state.image();
    EXPECT_TRUE(image);
    if (image) image_ = *std::move(image);
  }

  /// False: it was read to its end, and loading it gives the state of that moment.
  bool read(std::size_t bytes) {
    const std::size_t before = read_.size();
    const Result<bool> more = image_->read(bytes, read_);
    EXPECT_TRUE(more);
    EXPECT_TRUE(read_.size() > before) << "a piece without anything in it";
    largest_piece_ = std::max(largest_piece_, read_.size() - before);
    if (more.value_or(false)) return true;
    check_loaded();
    return false;
  }
  void read_all(std::size_t bytes) {
    while (read(bytes) && !::testing::Test::HasFailure()) {
    }
  }

  [[nodiscard]] std::string_view text() const { return text_of(read_); }
  [[nodiscard]] std::size_t largest_piece() const { return largest_piece_; }
  [[nodiscard]] Image& image() { return *image_; }

 private:
  void check_loaded() const {
    State loaded;
    const Result<void> result = load_from_text(loaded, text());
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(loaded.digest(), digest_);
    EXPECT_TRUE(save_to_text(loaded) == saved_) << "another state than that of the moment";
  }

  const std::string saved_;
  const std::uint64_t digest_;
  std::unique_ptr<Image> image_;
  std::vector<std::byte> read_;
  std::size_t largest_piece_ = 0;
};

/// What read() says of an image that cannot go on.
inline std::string why_it_ended(Image& image) {
  std::vector<std::byte> out;
  const Result<bool> more = image.read(100, out);
  EXPECT_FALSE(more);
  EXPECT_TRUE(out.empty());
  return more ? "" : more.error().message;
}

}  // namespace epaxos::testing_images
