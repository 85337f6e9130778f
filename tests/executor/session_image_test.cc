// Images of the session table: the sessions of one moment, whatever becomes of them meanwhile.

#include <gmock/gmock.h>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "executor/image.h"
#include "executor/session_table.h"
#include "tests/executor/image_support.h"

namespace epaxos::testing_images {
namespace {

using executor::SessionTable;
using TableImage = WatchedImage<SessionTable>;
using ::testing::HasSubstr;

void control(SessionTable& table, SessionOperation operation, std::uint64_t session,
             std::uint64_t clock = 100, std::uint64_t horizon = 0) {
  table.control({operation, session, clock, horizon});
}

/// Asks for a number, and stores the reply if it is let run.
void request(SessionTable& table, CommandId id, std::uint64_t acknowledged,
             std::string_view reply) {
  const SessionTable::Admission admission = table.admit({id, acknowledged, false, {}});
  if (admission.verdict == SessionTable::Verdict::kRun) table.store(id, bytes_of(reply));
}

/// Lets a table live through everything that can happen to it, a batch or a control at a time.
class Life {
 public:
  Life(std::uint64_t seed, SessionTable& table) : random_(seed), table_(table) {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void step() {
    ++time_;
    if (below(8) == 0) return control_one();
    const std::uint64_t commands = 1 + below(5);
    std::vector<CommandId> batch;
    for (std::uint64_t i = 0; i < commands; ++i) admit_one(batch);
    // The table looks at replies while others are still to come.
    for (const CommandId id : batch) store(id);
  }

 private:
  void control_one() {
    constexpr SessionOperation kAll[] = {SessionOperation::kOpen, SessionOperation::kOpen,
                                         SessionOperation::kTouch, SessionOperation::kClose,
                                         SessionOperation::kExpire};
    const SessionOperation operation = kAll[below(5)];
    const std::uint64_t session = 1 + below(70);
    const std::uint64_t clock = time_ - below(std::min<std::uint64_t>(time_, 20));
    table_.control({operation, session, clock, time_ - below(std::min<std::uint64_t>(time_, 50))});
  }

  void admit_one(std::vector<CommandId>& batch) {
    const std::uint64_t session = 1 + below(70);
    const std::uint64_t number = 1 + below(20) + time_ / 40;
    const std::uint64_t acknowledged = below(3) == 0 ? number - below(number) : 0;
    const CommandId id{session, number};
    if (table_.admit({id, acknowledged, false, {}}).verdict == SessionTable::Verdict::kRun) {
      batch.push_back(id);
    }
  }

  void store(CommandId id) {
    const bool too_large = below(300) == 0;
    const std::size_t size = too_large ? SessionTable::kReplyBytesMax + 1 : below(100);
    const std::string reply(size, static_cast<char>('a' + below(26)));
    table_.store(id, bytes_of(reply));
  }

  std::mt19937_64 random_;
  SessionTable& table_;
  std::uint64_t time_ = 0;
};

TEST(SessionImage, IsTheTableOfItsMomentWhateverHappensMeanwhile) {
  int read_to_the_end = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SessionTable table;
    Life life(seed, table);
    std::optional<TableImage> image;
    const std::size_t piece_max = seed % 2 == 0 ? 40 : 1000;
    for (int step = 0; step < 1000; ++step) {
      life.step();
      if (life.below(150) == 0) image.emplace(table);
      const std::size_t piece = life.below(piece_max);
      if (!image || life.below(2) != 0 || image->read(piece)) continue;
      image.reset();
      ++read_to_the_end;
    }
    if (image) image->read_all(100);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(read_to_the_end, 100);
}

/// Two sessions with three replies each, 40 bytes a reply; session 9 is closed.
void fill(SessionTable& table) {
  for (const std::uint64_t session : {7u, 8u, 9u}) {
    control(table, SessionOperation::kOpen, session);
    for (const std::uint64_t number : {2u, 4u, 6u}) {
      request(table, {session, number}, 0, std::string(40, 'r'));
    }
  }
  control(table, SessionOperation::kClose, 9);
}

using Change = void (*)(SessionTable&);
struct NamedChange {
  const char* name;
  Change change;
};
const NamedChange kChanges[] = {
    {"a request",
     [](SessionTable& t) {
       request(t, {7, 7}, 0, "new");
     }},
    {"a request between others",
     [](SessionTable& t) {
       request(t, {7, 5}, 0, "new");
     }},
    {"an acknowledgement of all",
     [](SessionTable& t) {
       request(t, {7, 7}, 6, "new");
     }},
    {"an acknowledgement of some",
     [](SessionTable& t) {
       request(t, {7, 6}, 4, "");
     }},
    {"a request without a reply yet",
     [](SessionTable& t) {
       (void)t.admit({{7, 7}, 0, false, {}});
     }},
    {"a touch", [](SessionTable& t) { control(t, SessionOperation::kTouch, 7, 200); }},
    {"an opening", [](SessionTable& t) { control(t, SessionOperation::kOpen, 10); }},
    {"another opening", [](SessionTable& t) { control(t, SessionOperation::kOpen, 7, 200); }},
    {"a closing", [](SessionTable& t) { control(t, SessionOperation::kClose, 7); }},
    {"an expiry", [](SessionTable& t) { control(t, SessionOperation::kExpire, 7, 101, 300); }},
    {"an expiry of a closed one",
     [](SessionTable& t) { control(t, SessionOperation::kExpire, 9, 101, 300); }},
    {"an expiry, and another life with the same numbers",
     [](SessionTable& t) {
       control(t, SessionOperation::kExpire, 7, 101, 0);
       control(t, SessionOperation::kOpen, 7, 102);
       for (const std::uint64_t n : {2u, 4u, 6u}) request(t, {7, n}, 0, "another");
       request(t, {7, 7}, 6, "another");
     }},
};

// One change, after every number of pieces that can have been read before.
TEST(SessionImage, IsNotChangedByAnythingThatHappensWhileItIsRead) {
  for (const NamedChange& each : kChanges) {
    int before = 0;
    for (bool more = true; more; ++before) {
      SCOPED_TRACE(each.name + std::string(" after pieces: ") + std::to_string(before));
      SessionTable table;
      fill(table);
      TableImage image(table);
      for (int i = 0; i < before && more; ++i) more = image.read(1);
      each.change(table);
      if (more) image.read_all(1);
      ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(before, 10);
  }
}

TEST(SessionImage, OfAnEmptyTableIsAnEmptyTable) {
  SessionTable table;
  TableImage image(table);
  control(table, SessionOperation::kOpen, 7);

  EXPECT_FALSE(image.read(1000));

  control(table, SessionOperation::kExpire, 7, 101, 500);
  TableImage emptied(table);
  emptied.read_all(1);
  EXPECT_NE(image.text(), emptied.text()) << "the horizon counts";
}

/// A session that keeps as much as one may.
void fill_to_the_limit(SessionTable& table, std::uint64_t session) {
  control(table, SessionOperation::kOpen, session);
  const std::string large(SessionTable::kReplyBytesMax, 'x');
  for (std::uint64_t n = 1; n <= 17; ++n) request(table, {session, n}, 0, large);
  ASSERT_EQ(table.admit({{session, 18}, 0, false, {}}).verdict,
            SessionTable::Verdict::kBeyondWindow);
}

TEST(SessionImage, APieceEndsWithAReplyHoweverManyASessionKeeps) {
  constexpr std::size_t kPiece = std::size_t{256} << 10;
  SessionTable table;
  fill_to_the_limit(table, 7);
  fill_to_the_limit(table, 8);
  fill_to_the_limit(table, 9);
  TableImage image(table);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(image.read(kPiece));
  // Those that were read go with those that are still to be read.
  request(table, {7, 18}, 16, "new");
  control(table, SessionOperation::kExpire, 8, 200, 0);
  image.read_all(kPiece);

  EXPECT_LE(image.largest_piece(), kPiece + 12 + SessionTable::kReplyBytesMax);
  EXPECT_GT(image.text().size(), std::size_t{51} << 20);
}

TEST(SessionImage, EndsWhenAnotherIsTakenOrTheTableIsReplacedOrGone) {
  auto table = std::make_unique<SessionTable>();
  fill(*table);
  TableImage first(*table);
  EXPECT_TRUE(first.read(1));
  TableImage second(*table);
  EXPECT_THAT(why_it_ended(first.image()), HasSubstr("another was taken"));

  EXPECT_FALSE(load_from_text(*table, "no table"));
  EXPECT_TRUE(second.read(1)) << "a load that fails changes nothing";
  ASSERT_TRUE(load_from_text(*table, save_to_text(*table)));
  EXPECT_THAT(why_it_ended(second.image()), HasSubstr("its state was replaced"));

  TableImage third(*table);
  request(*table, {7, 7}, 6, "new");
  table.reset();
  EXPECT_THAT(why_it_ended(third.image()), HasSubstr("is gone"));
}

TEST(SessionImage, LeavesTheTableAloneWhenItGoes) {
  SessionTable table;
  fill(table);
  auto image = std::make_unique<TableImage>(table);
  image->read(50);
  request(table, {8, 7}, 2, "new");
  image.reset();

  request(table, {7, 7}, 6, "new");

  EXPECT_EQ(text_of(table.look_up({7, 7}).reply), "new");
  SessionTable copy;
  ASSERT_TRUE(load_from_text(copy, save_to_text(table)));
  EXPECT_EQ(copy.digest(), table.digest());
}

TEST(SessionImageDeathTest, TakingOneWhileACommandRunsIsABug) {
  SessionTable table;
  fill(table);
  (void)table.admit({{7, 7}, 0, false, {}});
  EXPECT_DEATH((void)table.image(), "while a command runs");
}

// --- What load() refuses -----------------------------------------------------------------------

std::string why_the_table_is_refused(std::string_view text) {
  SessionTable table;
  control(table, SessionOperation::kOpen, 3);
  const std::string before = save_to_text(table);
  const Result<void> loaded = load_from_text(table, text);
  EXPECT_FALSE(loaded);
  EXPECT_EQ(save_to_text(table), before);
  return loaded ? "" : loaded.error().message;
}

TEST(SessionImage, WithAnyByteChangedOrMissingOrOneMoreIsRefused) {
  SessionTable table;
  fill(table);
  TableImage image(table);
  request(table, {8, 7}, 6, "new");  // So that 8 is kept, and comes before 7.
  image.read_all(1);
  const std::string good(image.text());
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    ASSERT_NE(why_the_table_is_refused(bad), "") << "byte " << i;
    ASSERT_NE(why_the_table_is_refused(good.substr(0, i)), "") << "cut at " << i;
  }

  EXPECT_THAT(why_the_table_is_refused(good + "x"), HasSubstr("is followed by bytes"));
  EXPECT_THAT(why_the_table_is_refused(save_to_text(table) + "x"),
              HasSubstr("is followed by bytes"));
}

struct ForgedReply {
  std::uint64_t number = 0;
  std::size_t size = 0;
};

/// A table that nobody saved, with a checksum that holds: sessions that have acknowledged 10.
std::string forged_table(const std::vector<std::uint64_t>& sessions,
                         const std::vector<ForgedReply>& replies) {
  std::vector<std::byte> bytes;
  executor::Appender to(bytes);
  to.bytes(bytes_of(std::string_view(save_to_text(SessionTable())).substr(0, 16)));
  to.number(static_cast<std::uint64_t>(sessions.size()));
  for (const std::uint64_t id : sessions) {
    to.number(id);
    to.number(std::uint64_t{10});   // Acknowledged.
    to.number(std::uint64_t{100});  // Touched.
    to.number(std::uint32_t{0});
    to.number(static_cast<std::uint32_t>(replies.size()));
    for (const ForgedReply& reply : replies) {
      to.number(reply.number);
      to.number(static_cast<std::uint32_t>(reply.size));
      to.bytes(bytes_of(std::string(reply.size, 'r')));
    }
  }
  executor::Checksum checksum;
  checksum.update(bytes);
  to.number(checksum.value());
  return std::string(text_of(bytes));
}

TEST(SessionImage, ThatHoldsWhatCannotBeIsRefusedThoughItsChecksumHolds) {
  constexpr std::uint64_t kLast = 10 + SessionTable::kWindow;
  SessionTable table;
  ASSERT_TRUE(load_from_text(table, forged_table({8, 7}, {{11, 5}, {kLast, 5}})));
  EXPECT_EQ(table.replies(), 4u);

  EXPECT_THAT(why_the_table_is_refused(forged_table({7, 8, 7}, {})),
              HasSubstr("a session that cannot"));
  EXPECT_THAT(why_the_table_is_refused(forged_table({0}, {})), HasSubstr("a session that cannot"));
  for (const std::vector<ForgedReply>& replies : {std::vector<ForgedReply>{{10, 5}},
                                                  {{12, 5}, {12, 5}},
                                                  {{12, 5}, {11, 5}},
                                                  {{kLast + 1, 5}},
                                                  {{11, SessionTable::kReplyBytesMax + 1}}}) {
    EXPECT_THAT(why_the_table_is_refused(forged_table({7}, replies)),
                HasSubstr("a reply that cannot"));
  }
  std::vector<ForgedReply> most;
  for (std::uint64_t n = 11; n <= 27; ++n) most.push_back({n, SessionTable::kReplyBytesMax});
  EXPECT_TRUE(load_from_text(table, forged_table({7}, most))) << "as much as a session can keep";
  most.push_back({28, 1});
  EXPECT_THAT(why_the_table_is_refused(forged_table({7}, most)), HasSubstr("a reply that cannot"));
}

}  // namespace
}  // namespace epaxos::testing_images
