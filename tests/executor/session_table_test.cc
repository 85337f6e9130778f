// What a session remembers, against a model that is as simple as it can be.

#include "executor/session_table.h"

#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace epaxos::executor {
namespace {

using Verdict = SessionTable::Verdict;
using ControlVerdict = SessionTable::ControlVerdict;

Command command(std::uint64_t session, std::uint64_t number, std::uint64_t acknowledged = 0) {
  return {{session, number}, acknowledged, false, {}};
}

ControlVerdict open(SessionTable& table, std::uint64_t session, std::uint64_t clock = 100) {
  return table.control({SessionOperation::kOpen, session, clock, 0});
}
ControlVerdict expire(SessionTable& table, std::uint64_t session, std::uint64_t cutoff,
                      std::uint64_t horizon) {
  return table.control({SessionOperation::kExpire, session, cutoff, horizon});
}

/// Runs the command as a host does, and says what became of it; the reply is what ran.
std::string run(SessionTable& table, const Command& command, std::string_view reply) {
  const SessionTable::Admission admission = table.admit(command);
  switch (admission.verdict) {
    case Verdict::kRun:
      table.store(command.id, bytes_of(reply));
      return "ran";
    case Verdict::kRepeated:
      return "again: " + std::string(text_of(admission.reply));
    case Verdict::kTooLarge:
      return "too large";
    case Verdict::kRunning:
      return "running";
    case Verdict::kStale:
      return "stale";
    case Verdict::kBeyondWindow:
      return "beyond";
    case Verdict::kUnknownSession:
      return "unknown";
  }
  return "?";
}

std::string saved(const SessionTable& table) {
  std::string bytes;
  EXPECT_TRUE(table.save([&](Bytes piece) -> Result<void> {
    bytes += text_of(piece);
    return {};
  }));
  return bytes;
}

Result<void> load(SessionTable& table, std::string_view bytes) {
  return table.load([&bytes](std::span<std::byte> room) -> Result<void> {
    if (bytes.size() < room.size()) return fail(ErrorCode::kCorrupted, "cut off");
    copy_bytes(bytes_of(bytes.substr(0, room.size())), room.data());
    bytes.remove_prefix(room.size());
    return {};
  });
}

TEST(SessionTable, ARequestRunsOnceAndItsReplyIsRepeated) {
  SessionTable table;
  open(table, 7);

  EXPECT_EQ(run(table, command(7, 1), "first"), "ran");
  EXPECT_EQ(run(table, command(7, 1), "never"), "again: first");
  EXPECT_EQ(run(table, command(8, 1), "never"), "unknown");
}

// After a Nop the commands of an instance come again, behind later ones: 5 after 6.
TEST(SessionTable, NumbersMayComeInAnyOrder) {
  SessionTable table;
  open(table, 7);
  EXPECT_EQ(run(table, command(7, 6), "six"), "ran");
  EXPECT_EQ(run(table, command(7, 5), "five"), "ran");
  EXPECT_EQ(run(table, command(7, 6), ""), "again: six");
  EXPECT_EQ(run(table, command(7, 5), ""), "again: five");
}

TEST(SessionTable, WhatIsAcknowledgedIsForgottenAndNeverRunsAgain) {
  SessionTable table;
  open(table, 7);
  for (std::uint64_t n = 1; n <= 4; ++n) run(table, command(7, n), "r");
  EXPECT_EQ(table.replies(), 4u);

  EXPECT_EQ(run(table, command(7, 5, 3), "r"), "ran");

  EXPECT_EQ(table.replies(), 2u);
  EXPECT_EQ(run(table, command(7, 3), "never"), "stale");
  EXPECT_EQ(run(table, command(7, 4), "never"), "again: r");
}

TEST(SessionTable, NobodyAcknowledgesWhatHeAsksFor) {
  SessionTable table;
  open(table, 7);
  EXPECT_EQ(run(table, command(7, 3, 99), "three"), "ran");
  EXPECT_EQ(run(table, command(7, 3, 99), ""), "again: three");
  EXPECT_EQ(run(table, command(7, 2), ""), "stale");
  EXPECT_EQ(run(table, command(7, 0, 5), ""), "stale") << "no request has the number 0";
}

TEST(SessionTable, TheWindowOfASessionIsBounded) {
  SessionTable table;
  open(table, 7);
  EXPECT_EQ(run(table, command(7, SessionTable::kWindow + 1), ""), "beyond");
  EXPECT_EQ(run(table, command(7, SessionTable::kWindow), ""), "ran");
  EXPECT_EQ(run(table, command(7, SessionTable::kWindow + 1, 1), ""), "ran")
      << "what a command acknowledges counts for itself";
  EXPECT_EQ(run(table, command(7, ~std::uint64_t{0}, 1), ""), "beyond");
}

/// As many replies of the largest size as a session keeps, and one more.
constexpr std::uint64_t kLargeReplies =
    SessionTable::kSessionBytesMax / SessionTable::kReplyBytesMax + 1;

TEST(SessionTable, TheBytesThatASessionKeepsAreBounded) {
  const std::string large(SessionTable::kReplyBytesMax, 'x');
  SessionTable table;
  open(table, 7);
  open(table, 8);
  for (std::uint64_t n = 1; n <= kLargeReplies; ++n) {
    ASSERT_EQ(run(table, command(7, n), large), "ran") << n;
  }

  EXPECT_EQ(run(table, command(7, kLargeReplies + 1), ""), "beyond");
  EXPECT_EQ(run(table, command(8, 1), large), "ran") << "another session has room of its own";
  EXPECT_EQ(run(table, command(7, kLargeReplies + 1, 1), large), "ran") << "1 is acknowledged";
  EXPECT_EQ(run(table, command(7, kLargeReplies + 2), ""), "beyond");

  SessionTable loaded;
  ASSERT_TRUE(load(loaded, saved(table)));
  EXPECT_EQ(run(loaded, command(7, kLargeReplies + 2), ""), "beyond");
}

// What has no reply yet may be about to fill the session: then it is waited for, so that replicas
// that cut the commands elsewhere say the same.
TEST(SessionTable, WhetherAReplyFitsIsAskedWhenTheOthersAreThere) {
  const std::string large(SessionTable::kReplyBytesMax, 'x');
  for (const std::string& reply : {std::string(), large}) {
    SessionTable together, one_by_one;
    open(together, 7);
    open(one_by_one, 7);
    for (std::uint64_t n = 1; n <= kLargeReplies; ++n) {
      ASSERT_EQ(together.admit(command(7, n)).verdict, Verdict::kRun) << n;
      run(one_by_one, command(7, n), reply);
    }
    const Command next = command(7, kLargeReplies + 1);
    EXPECT_EQ(together.admit(next).verdict, Verdict::kRunning);

    for (std::uint64_t n = 1; n <= kLargeReplies; ++n) together.store({7, n}, bytes_of(reply));

    EXPECT_EQ(run(together, next, ""), reply.empty() ? "ran" : "beyond");
    EXPECT_EQ(run(one_by_one, next, ""), reply.empty() ? "ran" : "beyond");
    EXPECT_EQ(together.digest(), one_by_one.digest());
  }
}

TEST(SessionTable, OfAReplyThatIsTooLargeOnlyThatIsKept) {
  SessionTable table, empty;
  open(table, 7);
  open(empty, 7);
  run(table, command(7, 1), std::string(SessionTable::kReplyBytesMax + 1, 'x'));
  run(empty, command(7, 1), "");

  EXPECT_EQ(run(table, command(7, 1), "again"), "too large");
  EXPECT_NE(table.digest(), empty.digest());
  EXPECT_LT(saved(table).size(), 1000U);
  SessionTable loaded;
  ASSERT_TRUE(load(loaded, saved(table)));
  EXPECT_EQ(run(loaded, command(7, 1), "again"), "too large");
  EXPECT_EQ(loaded.digest(), table.digest());
}

TEST(SessionTable, ACommandThatIsToRunIsNotAdmittedTwice) {
  SessionTable table;
  open(table, 7);
  ASSERT_EQ(table.admit(command(7, 1)).verdict, Verdict::kRun);
  EXPECT_EQ(table.admit(command(7, 1)).verdict, Verdict::kRunning);
  EXPECT_EQ(table.look_up({7, 1}).verdict, Verdict::kRunning);

  table.store({7, 1}, bytes_of("reply"));

  EXPECT_EQ(text_of(table.admit(command(7, 1)).reply), "reply");
  EXPECT_EQ(text_of(table.look_up({7, 1}).reply), "reply");
  EXPECT_EQ(table.look_up({7, 2}).verdict, Verdict::kRun);
}

// Whoever cuts the commands into other batches must get the same table.
TEST(SessionTable, AReplyThatComesAfterItsAcknowledgementIsNotKept) {
  SessionTable together;
  SessionTable apart;
  open(together, 7);
  open(apart, 7);

  ASSERT_EQ(together.admit(command(7, 1)).verdict, Verdict::kRun);
  ASSERT_EQ(together.admit(command(7, 2, 1)).verdict, Verdict::kRun);
  together.store({7, 1}, bytes_of("one"));
  together.store({7, 2}, bytes_of("two"));
  run(apart, command(7, 1), "one");
  run(apart, command(7, 2, 1), "two");

  EXPECT_EQ(together.digest(), apart.digest());
  EXPECT_EQ(saved(together), saved(apart));
  EXPECT_EQ(together.replies(), 1u);
}

TEST(SessionTable, OpeningAgainChangesNoReply) {
  SessionTable table;
  open(table, 7, 100);
  run(table, command(7, 1), "one");
  EXPECT_EQ(open(table, 7, 200), ControlVerdict::kDone);
  EXPECT_EQ(run(table, command(7, 1), ""), "again: one");
  EXPECT_EQ(table.open(), 1u);
}

TEST(SessionTable, ExpiryTakesOnlyWhatWasNotTouchedSinceTheTimeInTheCommand) {
  SessionTable table;
  open(table, 7, 100);
  EXPECT_EQ(table.control({SessionOperation::kTouch, 7, 200, 0}), ControlVerdict::kDone);

  expire(table, 7, 200, 250);
  EXPECT_EQ(table.open(), 1u);
  expire(table, 7, 201, 250);
  EXPECT_EQ(table.open(), 0u);
  EXPECT_TRUE(table.empty());

  EXPECT_EQ(run(table, command(7, 1), ""), "unknown");
  EXPECT_EQ(table.control({SessionOperation::kTouch, 7, 300, 0}), ControlVerdict::kUnknownSession);
}

// A replica that was down for hours comes back with an opening and a write that it had begun; both
// were repeated elsewhere long ago, and the session has expired since.
TEST(SessionTable, AnOpeningFromBeforeAnExpiryBringsNoSessionBack) {
  SessionTable table;
  open(table, 7, 100);
  EXPECT_EQ(run(table, command(7, 1), "once"), "ran");
  expire(table, 7, 101, 150);

  EXPECT_EQ(open(table, 7, 149), ControlVerdict::kTooLate);
  EXPECT_EQ(run(table, command(7, 1), "twice"), "unknown");
  EXPECT_EQ(open(table, 8, 150), ControlVerdict::kDone);
}

TEST(SessionTable, AnExpiryThatFindsNothingToDropMovesNoHorizon) {
  SessionTable table;
  open(table, 7, 100);
  expire(table, 7, 100, 1'000);
  expire(table, 9, 100, 1'000);
  EXPECT_EQ(open(table, 8, 1), ControlVerdict::kDone);
}

TEST(SessionTable, AClosedSessionStaysClosed) {
  SessionTable table;
  open(table, 7, 100);
  run(table, command(7, 1), "one");

  EXPECT_EQ(table.control({SessionOperation::kClose, 7, 110, 0}), ControlVerdict::kDone);

  EXPECT_EQ(table.open(), 0u);
  EXPECT_EQ(table.replies(), 0u);
  EXPECT_EQ(open(table, 7, 120), ControlVerdict::kUnknownSession) << "an opening that came late";
  EXPECT_EQ(run(table, command(7, 1), ""), "unknown");
  EXPECT_FALSE(table.empty());
  expire(table, 7, 101, 0);
  EXPECT_TRUE(table.empty());
}

TEST(SessionTable, TheDigestIsZeroBeforeTheFirstSessionAndTellsTablesApart) {
  SessionTable table;
  EXPECT_EQ(table.digest(), 0u);
  std::set<std::uint64_t> seen{0};
  const auto is_new = [&] { return seen.insert(table.digest()).second; };
  open(table, 7);
  EXPECT_TRUE(is_new());
  run(table, command(7, 1), "one");
  EXPECT_TRUE(is_new());
  run(table, command(7, 2), "one");
  EXPECT_TRUE(is_new());
  run(table, command(7, 3, 1), "one");
  EXPECT_TRUE(is_new());
  open(table, 8);
  EXPECT_TRUE(is_new());
  table.control({SessionOperation::kTouch, 8, 200, 0});
  EXPECT_TRUE(is_new());
  expire(table, 8, 300, 0);
  EXPECT_FALSE(is_new()) << "as before 8 was opened";
  expire(table, 7, 300, 400);
  EXPECT_TRUE(is_new()) << "the horizon counts";
}

TEST(SessionTable, SessionsAreVisitedRoundAndRound) {
  SessionTable table;
  std::size_t cursor = 0;
  table.look_at_some(cursor, 10, [](const SessionTable::Look&) { FAIL(); });
  for (std::uint64_t s = 1; s <= 5; ++s) open(table, s, 100 + s);
  expire(table, 3, 104, 0);
  run(table, command(2, 1), "");

  std::multiset<std::uint64_t> seen;
  for (int i = 0; i < 5; ++i) {
    table.look_at_some(cursor, 2, [&](const SessionTable::Look& look) {
      seen.insert(look.session);
      EXPECT_EQ(look.touched_us, 100 + look.session);
      EXPECT_EQ(look.used, look.session == 2);
    });
  }

  EXPECT_EQ(seen, (std::multiset<std::uint64_t>{1, 1, 2, 2, 4, 4, 5, 5}));
}

TEST(SessionTable, DamagedBytesAreRefusedAndLeaveTheTable) {
  SessionTable table;
  open(table, 7);
  run(table, command(7, 1), "one");
  const std::string good = saved(table);
  SessionTable other;
  open(other, 9);
  const std::uint64_t before = other.digest();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(load(other, bad)) << "byte " << i;
    EXPECT_FALSE(load(other, std::string_view(good).substr(0, i))) << "cut at " << i;
  }
  EXPECT_EQ(other.digest(), before);
  ASSERT_TRUE(load(other, good));
  EXPECT_EQ(other.digest(), table.digest());
}

TEST(SessionTableDeathTest, ChangingASessionWhileACommandRunsIsABug) {
  SessionTable table;
  open(table, 7);
  table.admit(command(7, 1));
  EXPECT_DEATH(open(table, 8), "while a command of one runs");
  EXPECT_DEATH(table.store({7, 2}, {}), "was not let run");
}

// --- Against a model ---------------------------------------------------------------------------

/// Remembers everything, and decides by looking through it.
struct Model {
  struct Session {
    std::uint64_t low = 0;
    std::uint64_t touched = 0;
    bool closed = false;
    std::map<std::uint64_t, std::string> replies;
  };
  std::map<std::uint64_t, Session> sessions;
  std::uint64_t horizon = 0;

  std::string run(const Command& c, std::string_view reply) {
    const auto found = sessions.find(c.id.session);
    if (found == sessions.end() || found->second.closed) return "unknown";
    Session& s = found->second;
    if (c.id.number <= s.low) return "stale";
    s.low = std::max(s.low, std::min(c.acknowledged_up_to, c.id.number - 1));
    std::erase_if(s.replies, [&](const auto& entry) { return entry.first <= s.low; });
    if (const auto at = s.replies.find(c.id.number); at != s.replies.end()) {
      return "again: " + at->second;
    }
    if (c.id.number > s.low + SessionTable::kWindow) return "beyond";
    s.replies[c.id.number] = reply;
    return "ran";
  }

  void control(const SessionControl& c) {
    const auto found = sessions.find(c.session);
    const bool known = found != sessions.end();
    switch (c.operation) {
      case SessionOperation::kOpen:
        if (!known && c.clock_us >= horizon) sessions[c.session].touched = c.clock_us;
        [[fallthrough]];
      case SessionOperation::kTouch:
        if (!known || found->second.closed) return;
        found->second.touched = std::max(found->second.touched, c.clock_us);
        return;
      case SessionOperation::kClose:
        if (!known) return;
        found->second.closed = true;
        found->second.replies.clear();
        return;
      case SessionOperation::kExpire:
        if (!known || found->second.touched >= c.clock_us) return;
        sessions.erase(found);
        horizon = std::max(horizon, c.horizon_us);
        return;
    }
  }

  [[nodiscard]] std::size_t replies() const {
    std::size_t all = 0;
    for (const auto& [id, session] : sessions) all += session.replies.size();
    return all;
  }
};

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

 private:
  std::mt19937_64 random_;
};

/// A request, or something about a session when there is an operation.
struct Step {
  Command command;
  std::optional<SessionControl> control;
};

Step step(Chance& chance, std::uint64_t time) {
  const std::uint64_t session = 1 + chance.below(4);
  if (chance.below(12) == 0) {
    constexpr SessionOperation kAll[] = {SessionOperation::kOpen,   SessionOperation::kOpen,
                                         SessionOperation::kOpen,   SessionOperation::kTouch,
                                         SessionOperation::kExpire, SessionOperation::kClose};
    const std::uint64_t clock = time - std::min(time, chance.below(200));
    return {{}, SessionControl{kAll[chance.below(6)], session, clock, clock + chance.below(50)}};
  }
  const std::uint64_t number = 1 + chance.below(20) + (chance.below(100) == 0 ? 1'030 : 0);
  return {command(session, number, chance.below(4) == 0 ? chance.below(12) : 0), std::nullopt};
}

TEST(SessionTable, AgreesWithTheModelUnderRandomOrders) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Chance chance(seed);
    SessionTable table;
    Model model;
    for (std::uint64_t time = 1; time <= 600; ++time) {
      const Step next = step(chance, time);
      const std::string reply = std::to_string(time);
      if (next.control) {
        table.control(*next.control);
        model.control(*next.control);
      } else {
        ASSERT_EQ(run(table, next.command, reply), model.run(next.command, reply))
            << "seed " << seed << ", step " << time;
      }
      ASSERT_EQ(table.replies(), model.replies()) << "seed " << seed << ", step " << time;
      if (time % 100 != 0) continue;
      SessionTable copy;
      ASSERT_TRUE(load(copy, saved(table)));
      ASSERT_EQ(copy.digest(), table.digest());
      ASSERT_EQ(saved(copy), saved(table));
      ASSERT_EQ(copy.open(), table.open());
      ASSERT_EQ(copy.replies(), table.replies());
    }
  }
}

// Replicas run the commands of different sessions in different orders, and cut what they run into
// different batches.
TEST(SessionTable, TheOrderBetweenSessionsDoesNotMatter) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Chance chance(seed);
    std::map<std::uint64_t, std::vector<Step>> by_session;
    SessionTable straight;
    for (std::uint64_t s = 1; s <= 4; ++s) open(straight, s), by_session[s];
    for (std::uint64_t time = 1; time <= 300; ++time) {
      const Step next = step(chance, time);
      if (next.control) continue;
      run(straight, next.command, std::to_string(next.command.id.number));
      by_session[next.command.id.session].push_back(next);
    }

    SessionTable winding;
    for (std::uint64_t s = 4; s >= 1; --s) {
      open(winding, s);
      std::vector<CommandId> batch;
      const auto apply = [&] {
        for (const CommandId id : batch) winding.store(id, bytes_of(std::to_string(id.number)));
        batch.clear();
      };
      for (const Step& next : by_session[s]) {
        Verdict verdict = winding.admit(next.command).verdict;
        if (verdict == Verdict::kRunning) {
          apply();
          verdict = winding.admit(next.command).verdict;
        }
        if (verdict == Verdict::kRun) batch.push_back(next.command.id);
        if (chance.below(10) == 0) apply();
      }
      apply();
    }

    ASSERT_EQ(winding.digest(), straight.digest()) << "seed " << seed;
    ASSERT_EQ(saved(winding), saved(straight)) << "seed " << seed;
  }
}

// R23: the client has the answer to 5, and 6 acknowledges it. Without a conflict between them a
// replica could run 6 first, and then take 5 for a duplicate: its state would lack it for ever.
// The table cannot repair such an order; the virtual key must forbid it.
TEST(SessionTable, TwoWritesOfASessionInTheOtherOrderLoseOneSoTheyMustConflict) {
  SessionTable a;
  SessionTable b;
  open(a, 7);
  open(b, 7);
  EXPECT_EQ(run(a, command(7, 5), ""), "ran");
  EXPECT_EQ(run(a, command(7, 6, 5), ""), "ran");
  EXPECT_EQ(run(b, command(7, 6, 5), ""), "ran");
  EXPECT_EQ(run(b, command(7, 5), ""), "stale");

  const Footprint five{Access::write(hash_key("x")), session_access(7)};
  const Footprint six{Access::write(hash_key("y")), session_access(7)};
  EXPECT_TRUE(conflicts(five, six));
}

}  // namespace
}  // namespace epaxos::executor
