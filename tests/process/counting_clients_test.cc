// The check of the clients' histories finds what it should: each history here is told to be fine or
// is known to be bad.

#include "tests/process/counting_clients.h"

#include <gmock/gmock.h>

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A history that is written down: calls and returns in the order of the lines.
class Told {
 public:
  Told& increment(std::optional<std::uint64_t> sum, OutcomeKind outcome = OutcomeKind::kExecuted) {
    Sent sent;
    sent.kind = kv::Operation::kIncrement;
    sent.key = "n";
    sent.operation.payload = kv::increment("n", 1);
    add(std::move(sent), outcome, kv::ReplyStatus::kOk,
        sum ? std::optional(std::to_string(*sum)) : std::nullopt);
    return *this;
  }
  Told& unknown_increment() { return increment(std::nullopt, OutcomeKind::kUnknown); }
  Told& get(const std::string& value) {
    Sent sent;
    sent.key = "n";
    sent.operation.payload = kv::get("n");
    add(std::move(sent), OutcomeKind::kExecuted, kv::ReplyStatus::kOk, value);
    return *this;
  }
  /// With what the key held instead, if it was another value.
  Told& link(const std::string& expected, const std::string& desired,
             OutcomeKind outcome = OutcomeKind::kExecuted,
             const std::optional<std::string>& held = std::nullopt) {
    Sent sent;
    sent.kind = kv::Operation::kCompareAndSet;
    sent.key = "c";
    sent.expected = expected;
    sent.desired = desired;
    std::optional<std::string_view> before;
    if (!expected.empty()) before = expected;
    sent.operation.payload = kv::compare_and_set("c", before, desired);
    add(std::move(sent), outcome, held ? kv::ReplyStatus::kMismatch : kv::ReplyStatus::kOk, held);
    return *this;
  }
  [[nodiscard]] std::string counter(const std::string& last) const {
    return counter_contradiction(history_, last);
  }
  [[nodiscard]] std::string chain(const std::string& last) const {
    return chain_contradiction(history_, last);
  }

 private:
  void add(Sent sent, OutcomeKind outcome, kv::ReplyStatus status,
           const std::optional<std::string>& value) {
    sent.outcome = outcome;
    sent.operation.called = ++now_;
    if (outcome == OutcomeKind::kExecuted) {
      sent.operation.returned = ++now_;
      std::optional<std::string_view> view;
      if (value) view = *value;
      kv::encode_reply(status, view, sent.operation.reply);
    }
    history_.push_back(std::move(sent));
  }

  std::vector<Sent> history_;
  std::uint64_t now_ = 0;
};

TEST(CountingClients, CountersThatHoldWhatWasAcknowledgedAreFine) {
  EXPECT_THAT(Told().increment(1).increment(2).get("2").counter("2"), IsEmpty());
  EXPECT_THAT(Told().increment(1).unknown_increment().increment(2).counter("2"), IsEmpty());
  EXPECT_THAT(Told().increment(1).unknown_increment().increment(3).counter("3"), IsEmpty());
  EXPECT_THAT(Told().unknown_increment().increment(1).counter("2"), IsEmpty()) << "it came late";
}

TEST(CountingClients, ALostIncrementIsNoticed) {
  EXPECT_THAT(Told().increment(1).increment(2).counter("1"), HasSubstr("was told 2"));
  EXPECT_THAT(Told().increment(1).increment(1).counter("1"), HasSubstr("were told 1"));
  EXPECT_THAT(Told().increment(1).increment(1).unknown_increment().counter("2"),
              HasSubstr("were told 1"));
}

TEST(CountingClients, ADoubledIncrementIsNoticed) {
  EXPECT_THAT(Told().increment(1).increment(2).counter("3"), HasSubstr("holds 3"));
  EXPECT_THAT(Told().increment(1).increment(3).unknown_increment().counter("4"),
              HasSubstr("holds 4"));
  EXPECT_THAT(Told().increment(1).increment(2, OutcomeKind::kRejected).counter("2"),
              HasSubstr("holds 2"))
      << "what was rejected has no effect";
}

TEST(CountingClients, AnEffectBeforeItsRequestIsNoticed) {
  EXPECT_THAT(Told().increment(2).unknown_increment().counter("2"), HasSubstr("not linearizable"));
}

TEST(CountingClients, AStaleReadIsNoticed) {
  EXPECT_THAT(Told().increment(1).increment(2).get("1").counter("2"),
              HasSubstr("not linearizable"));
}

TEST(CountingClients, ChainsInWhichEachWriteNamesTheOneBeforeAreFine) {
  EXPECT_THAT(Told().link("", "a").link("a", "b").chain("b"), IsEmpty());
  EXPECT_THAT(Told().link("", "a").link("a", "b", OutcomeKind::kUnknown).link("b", "c").chain("c"),
              IsEmpty());
  EXPECT_THAT(Told().link("", "a").link("a", "b", OutcomeKind::kUnknown).link("a", "c").chain("c"),
              IsEmpty())
      << "it had no effect";
  EXPECT_THAT(
      Told().link("", "a").link("x", "b", OutcomeKind::kExecuted, "a").link("a", "c").chain("c"),
      IsEmpty());
}

TEST(CountingClients, ALostLinkIsNoticed) {
  EXPECT_THAT(Told().link("", "a").link("a", "b").chain("a"), HasSubstr("b was acknowledged"));
  EXPECT_THAT(Told().link("", "a").chain(""), HasSubstr("is lost"));
  EXPECT_THAT(Told().link("", "a").link("a", "b").link("a", "c").chain("c"), HasSubstr("is lost"));
}

TEST(CountingClients, LinksThatNobodyWroteAndStaleOnesAreNoticed) {
  EXPECT_THAT(Told().link("", "a").chain("z"), HasSubstr("which nobody wrote"));
  EXPECT_THAT(Told().link("", "a").link("a", "b", OutcomeKind::kRejected).chain("b"),
              HasSubstr("was rejected"));
  EXPECT_THAT(
      Told().link("", "a").link("a", "b").link("x", "c", OutcomeKind::kExecuted, "a").chain("b"),
      HasSubstr("not linearizable"));
  EXPECT_THAT(Told().link("", "a").link("x", "c", OutcomeKind::kExecuted, "y").chain("a"),
              HasSubstr("was seen and is lost"));
}

}  // namespace
}  // namespace epaxos::testing
