// What every state machine gets without writing it, and the answers of a batch.

#include "executor/state_machine.h"

#include <gmock/gmock.h>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos {
namespace {

/// As little as a machine can be.
class Text final : public StateMachine {
 public:
  explicit Text(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  [[nodiscard]] Result<Footprint> admit(Bytes) const override { return Footprint::everything(); }
  void apply(std::span<const Command>, Replies&) override {}
  [[nodiscard]] Result<void> save(const Sink& sink) const override {
    for (const std::string& piece : pieces_) {
      if (piece == "broken") return fail(ErrorCode::kIo, "this machine cannot be saved");
      if (Result<void> written = sink(bytes_of(piece)); !written) return written;
    }
    return {};
  }
  Result<void> load(const Source&) override { return {}; }

 private:
  std::vector<std::string> pieces_;
};

TEST(StateMachine, ItsDigestIsThatOfWhatItSaves) {
  EXPECT_EQ(Text({"one", "two"}).digest(), Text({"one", "two"}).digest());
  EXPECT_EQ(Text({"one", "two"}).digest(), Text({"on", "", "etwo"}).digest());
  EXPECT_NE(Text({"one", "two"}).digest(), Text({"two", "one"}).digest());
  EXPECT_NE(Text({}).digest(), 0u);
  EXPECT_EQ(Text({"one", "broken"}).digest(), 0u);
}

TEST(StateMachine, AnswersNoQueriesUnlessItSaysHow) {
  const Result<std::vector<std::byte>> answer = Text({}).query(bytes_of("what?"));

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnsupported);
}

TEST(StateMachine, ItsImageIsWhatItSavesInPieces) {
  auto machine = std::make_unique<Text>(std::vector<std::string>{"one", "two", "three"});
  Result<std::unique_ptr<Image>> image = machine->image();
  ASSERT_TRUE(image);
  machine.reset();
  std::vector<std::byte> read;
  const auto next = [&](std::size_t bytes) {
    const Result<bool> more = (*image)->read(bytes, read);
    EXPECT_TRUE(more);
    return more.value_or(false);
  };

  EXPECT_TRUE(next(4));
  EXPECT_EQ(text_of(read), "onet");
  EXPECT_TRUE(next(0)) << "at least something, so that reading ends";
  EXPECT_EQ(text_of(read), "onetw");
  EXPECT_FALSE(next(100));
  EXPECT_EQ(text_of(read), "onetwothree");
  EXPECT_FALSE(next(100)) << "it stays at its end";
  EXPECT_EQ(text_of(read), "onetwothree");
}

TEST(StateMachine, TheImageOfNothingIsEmpty) {
  Text machine({});
  const Result<std::unique_ptr<Image>> image = machine.image();
  ASSERT_TRUE(image);
  std::vector<std::byte> read;

  const Result<bool> more = (*image)->read(10, read);

  ASSERT_TRUE(more);
  EXPECT_FALSE(*more);
  EXPECT_TRUE(read.empty());
}

TEST(StateMachine, WhatCannotBeSavedHasNoImage) {
  Text machine({"one", "broken"});
  const Result<std::unique_ptr<Image>> image = machine.image();

  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().message, "this machine cannot be saved");
}

TEST(LoadNumber, ReadsOneOrLeavesWhatIsThere) {
  const std::uint32_t saved = 70'000;
  std::uint32_t number = 1;

  EXPECT_FALSE(load_number(
      [](std::span<std::byte> room) -> Result<void> {
        room[0] = std::byte{9};
        return fail(ErrorCode::kCorrupted, "it ends here");
      },
      number));
  EXPECT_EQ(number, 1u);

  EXPECT_TRUE(load_number(
      [&](std::span<std::byte> room) -> Result<void> {
        std::ranges::copy(bytes_of(saved), room.begin());
        return {};
      },
      number));
  EXPECT_EQ(number, saved);
}

TEST(Replies, KeepTheAnswersApart) {
  Replies replies;
  EXPECT_EQ(replies.size(), 0u);
  replies.add(bytes_of("one"));
  replies.add({});
  replies.add(bytes_of("three"));

  ASSERT_EQ(replies.size(), 3u);
  EXPECT_EQ(text_of(replies[0]), "one");
  EXPECT_EQ(text_of(replies[1]), "");
  EXPECT_EQ(text_of(replies[2]), "three");

  replies.clear();
  EXPECT_EQ(replies.size(), 0u);
  replies.add(bytes_of("again"));
  EXPECT_EQ(text_of(replies[0]), "again");
}

TEST(RepliesDeathTest, AnAnswerThatNobodyGaveIsABug) {
  Replies replies;
  replies.add({});

  EXPECT_DEATH((void)replies[1], "nobody gave");
}

}  // namespace
}  // namespace epaxos
