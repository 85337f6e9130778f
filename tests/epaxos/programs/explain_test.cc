// The life of an instance in sentences.

#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "epaxos/programs/explain_text.h"
#include "epaxos/programs/history_json.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Kind = InstanceHistory::Kind;

/// R2.17 of five replicas, proposed at 1 s and asked about at 3 s.
InstanceHistory proposed() {
  InstanceHistory h;
  h.id = {ReplicaId(2), Slot(17)};
  h.kept = h.recorded = true;
  h.commands = 1;
  h.given_at = h.proposed_at = h.sent_at = 1'000'000;
  h.initial = {0, 0, 0, 41, 0};
  h.replica_count = 5;
  h.asked = ReplicaId(2);
  h.now = 3'000'000;
  return h;
}

InstanceHistory slow() {
  InstanceHistory h = proposed();
  h.answers = {{ReplicaId(0), Kind::kPreAcceptOk, 1'080'000},
               {ReplicaId(1), Kind::kPreAcceptOk, 1'095'000},
               {ReplicaId(0), Kind::kAcceptOk, 1'175'500}};
  h.extras = {{ReplicaId(1), {ReplicaId(3), Slot(44)}}};
  h.slow_at = h.accept_sent_at = 1'095'000;
  h.slow_reason = SlowReason::kAnswersDiffer;
  h.decided_by = DecidedBy::kSlowPath;
  h.committed_at = 1'175'500;
  h.decided = {0, 0, 0, 44, 0};
  h.waits = {{{ReplicaId(3), Slot(44)}, false, 1'182'000}};
  h.blocker = h.last = InstanceId{ReplicaId(3), Slot(44)};
  h.component = 3;
  h.ready_at = h.executed_at = 1'182'000;
  h.executed = true;
  return h;
}

std::string text(const InstanceHistory& history) {
  return explain_text(history_json({&history, 1}));
}

TEST(ExplainText, NamesTheReplicaThatBrokeTheFastPathAndWithWhat) {
  const std::string out = text(slow());

  EXPECT_THAT(out, HasSubstr("R2.17 of R2: executed after 182.00 ms, on the slow path."));
  EXPECT_THAT(out, HasSubstr("Of that 95.00 ms in the first round, 80.50 ms in the second round "
                             "and 6.50 ms from the commit to the execution."));
  EXPECT_THAT(out, HasSubstr("80.00 ms  R0 answered after 80.00 ms, as proposed"));
  EXPECT_THAT(out, HasSubstr("95.00 ms  R1 answered after 95.00 ms, and named beyond the proposal: "
                             "R3.44 (proposed: R3 up to 41)"));
  EXPECT_THAT(out, HasSubstr("R1 named more than was proposed: no fast quorum was left"));
  EXPECT_THAT(out, HasSubstr("R0 voted for it after 80.50 ms"));
  EXPECT_THAT(out, HasSubstr("its execution waited for R3.44, not committed here at that moment"));
  EXPECT_THAT(out, HasSubstr("182.00 ms  R3.44 was committed here"));
  EXPECT_THAT(out, HasSubstr("R3.44 was the last that it waited for"));
  EXPECT_THAT(out, HasSubstr("together with 2 others"));
  EXPECT_THAT(out, HasSubstr("2.0 s ago"));
}

TEST(ExplainText, OfWhatIsUnderWayItSaysWhoHasNotAnswered) {
  InstanceHistory h = proposed();
  h.answers = {{ReplicaId(1), Kind::kPreAcceptOk, 1'080'000}};
  h.resent = 3;

  const std::string out = text(h);

  EXPECT_THAT(out, HasSubstr("not committed yet"));
  EXPECT_THAT(out, HasSubstr("Not answered yet, in the first round: R0, R3 and R4."));
  EXPECT_THAT(out, HasSubstr("asked again 3 times"));
}

TEST(ExplainText, ARecoveryHasAReason) {
  InstanceHistory h = proposed();
  h.asked = ReplicaId(1);
  h.given_at = h.proposed_at = h.sent_at = 0;
  h.recovery = {ReplicaId(1), 2'000'000, RecoveryReason::kOwnerSilent, 350'000, 2};
  h.decided_by = DecidedBy::kRecovery;
  h.nop = true;
  h.committed_at = 2'100'000;

  const std::string out = text(h);

  EXPECT_THAT(out, HasSubstr("recovered, and decided to be nothing"));
  EXPECT_THAT(out, HasSubstr("R1 began to recover it: R2, its owner, had answered nothing for "
                             "350.00 ms; it took 2 attempts"));
  EXPECT_THAT(out, HasSubstr("(Nop)"));
}

TEST(ExplainText, WhatIsNotKeptSaysWhyAndWhatIsKnown) {
  InstanceHistory h = proposed();
  h.kept = false;
  h.asked = ReplicaId(1);
  h.why_not_kept = "Ask its owner.";
  h.extras = {{ReplicaId(1), {ReplicaId(3), Slot(44)}}};

  const std::string out = text(h);

  EXPECT_THAT(out, HasSubstr("R1 answered, and named beyond the proposal: R3.44"));
  EXPECT_THAT(out, HasSubstr("Ask its owner."));
  EXPECT_THAT(out, Not(HasSubstr("PreAccept left")));
}

TEST(ExplainText, AnswersOfAnotherVersionAreReadWithoutTrust) {
  for (const char* odd : {"", "{}", "[1,null]", "[{}]", R"([{"instance":7,"kept":true}])",
                          R"([{"kept":true,"answers":[{}],"waited_for":{},"initial":[]}])"}) {
    const std::string out = explain_text(odd) + slowest_text(odd);
    EXPECT_EQ(out.find("182"), std::string::npos) << odd;
  }
}

TEST(ExplainText, TheSlowestAreALineEach) {
  const std::vector both{proposed(), slow()};
  const std::string out = slowest_text(history_json(both));

  EXPECT_THAT(out, HasSubstr("2000.00 ms+"));
  EXPECT_THAT(out, HasSubstr("182.00 ms"));
  EXPECT_THAT(out, HasSubstr("R3.44"));
}

TEST(HistoryJson, TimesCountFromTheBeginningAndWhatIsNotKnownIsNull) {
  const InstanceHistory h = slow();
  const auto json = nlohmann::json::parse(history_json({&h, 1})).at(0);

  EXPECT_EQ(json.at("instance"), "R2.17");
  EXPECT_EQ(json.at("begin_age_us"), 2'000'000);
  EXPECT_EQ(json.at("given_us"), 0);
  EXPECT_EQ(json.at("executed_us"), 182'000);
  EXPECT_EQ(json.at("slow_reason"), "answers differ");
  EXPECT_EQ(json.at("extra_dependencies").at(0).at("dependency"), "R3.44");
  EXPECT_TRUE(json.at("recovery").is_null());
  EXPECT_TRUE(json.at("fast_quorum_us").is_null());
}

}  // namespace
}  // namespace epaxos::testing
