// What epaxosctl prints, and with which exit status it ends.

#include "epaxos/programs/control_output.h"

#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "epaxos/programs/programs.h"
#include "epaxos/programs/status_json.h"
#include "epaxos/programs/text_table.h"
#include "tests/epaxos/programs/support.h"

namespace epaxos::testing {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

struct Printed {
  int status = -1;
  std::string out;
  std::string err;
};

Printed print(const net::CallOutcome& outcome, OutputFormat format,
              const std::vector<std::string>& keys = {}) {
  CaptureStdout();
  CaptureStderr();
  Printed printed;
  printed.status = print_outcome(outcome, format, keys);
  printed.out = GetCapturedStdout();
  printed.err = GetCapturedStderr();
  return printed;
}

net::CallOutcome executed(kv::ReplyStatus status, std::optional<std::string_view> value = {}) {
  net::CallOutcome outcome;
  outcome.kind = OutcomeKind::kExecuted;
  outcome.replica = ReplicaId(2);
  outcome.latency_us = 1500;
  kv::encode_reply(status, value, outcome.reply);
  return outcome;
}

net::CallOutcome failed(OutcomeKind kind) {
  net::CallOutcome outcome;
  outcome.kind = kind;
  outcome.code = ErrorCode::kOverloaded;
  outcome.reason = "too much at once";
  outcome.replica = ReplicaId(1);
  return outcome;
}

TEST(ControlOutput, EveryOutcomeHasItsExitStatus) {
  for (const OutputFormat format : {OutputFormat::kTable, OutputFormat::kJson}) {
    EXPECT_EQ(print(executed(kv::ReplyStatus::kOk), format).status, kControlExecuted);
    EXPECT_EQ(print(executed(kv::ReplyStatus::kNotFound), format).status, kControlNotFound);
    EXPECT_EQ(print(executed(kv::ReplyStatus::kMismatch), format).status, kControlRefused);
    EXPECT_EQ(print(executed(kv::ReplyStatus::kNotANumber), format).status, kControlRefused);
    EXPECT_EQ(print(executed(kv::ReplyStatus::kOverflow), format).status, kControlRefused);
    EXPECT_EQ(print(executed(kv::ReplyStatus::kValueTooLarge), format).status, kControlRefused);
    EXPECT_EQ(print(executed(kv::ReplyStatus::kReplyTooLarge), format).status, kControlRefused);
    EXPECT_EQ(print(failed(OutcomeKind::kRejected), format).status, kControlRejected);
    EXPECT_EQ(print(failed(OutcomeKind::kUnknown), format).status, kControlUnknown);
  }
}

TEST(ControlOutput, AValueIsPrintedAsItIs) {
  EXPECT_EQ(print(executed(kv::ReplyStatus::kOk, "a\0b\n"), OutputFormat::kTable).out,
            std::string("a\n"));
  const std::string_view with_zero("a\0b", 3);
  EXPECT_EQ(print(executed(kv::ReplyStatus::kOk, with_zero), OutputFormat::kTable).out,
            std::string("a\0b\n", 4));
}

TEST(ControlOutput, AMissingKeyIsNotAnEmptyOne) {
  const Printed missing = print(executed(kv::ReplyStatus::kNotFound), OutputFormat::kTable);
  EXPECT_EQ(missing.out, "");
  EXPECT_THAT(missing.err, HasSubstr("not found"));
  const Printed empty = print(executed(kv::ReplyStatus::kOk, ""), OutputFormat::kTable);
  EXPECT_EQ(empty.out, "\n");
  EXPECT_EQ(empty.err, "");
}

TEST(ControlOutput, TheOutcomeIsNamedWithWhoAnsweredAndWhy) {
  EXPECT_EQ(print(failed(OutcomeKind::kRejected), OutputFormat::kTable).err,
            "epaxosctl: rejected (R1): too much at once\n");
  EXPECT_EQ(print(failed(OutcomeKind::kUnknown), OutputFormat::kTable).err,
            "epaxosctl: unknown (R1): too much at once\n");
}

TEST(ControlOutput, JsonSaysTheSame) {
  const Json ok = Json::parse(print(executed(kv::ReplyStatus::kOk, "v"), OutputFormat::kJson).out);
  EXPECT_EQ(ok, (Json{{"outcome", "executed"},
                      {"status", "ok"},
                      {"value", "v"},
                      {"replica", 2},
                      {"latency_us", 1500},
                      {"execution_wait_us", 0}}));
  const Json bad = Json::parse(print(failed(OutcomeKind::kRejected), OutputFormat::kJson).out);
  EXPECT_EQ(bad, (Json{{"outcome", "rejected"},
                       {"code", "overloaded"},
                       {"reason", "too much at once"},
                       {"replica", 1}}));
}

TEST(ControlOutput, BytesThatAreNoTextSurviveJson) {
  for (const auto& [bytes, digits] : {std::pair<std::string_view, std::string>{"\xff", "/w=="},
                                      {"\xff\xfe", "//4="},
                                      {"\xff\xfe\x01", "//4B"},
                                      {"\xff\xfe\x01\x02", "//4BAg=="}}) {
    const Json json =
        Json::parse(print(executed(kv::ReplyStatus::kOk, bytes), OutputFormat::kJson).out);
    EXPECT_EQ(json.at("value"), (Json{{"base64", digits}}));
  }
}

TEST(ControlOutput, SeveralKeysAreOneLineEach) {
  net::CallOutcome outcome = executed(kv::ReplyStatus::kOk);
  outcome.reply.clear();
  kv::encode_reply(std::vector<std::optional<std::string_view>>{"1", std::nullopt, "3"},
                   outcome.reply);

  EXPECT_EQ(print(outcome, OutputFormat::kTable, {"a", "b", "c"}).out,
            "a\t1\nb\t(not found)\nc\t3\n");
  const Json json = Json::parse(print(outcome, OutputFormat::kJson, {"a", "b", "c"}).out);
  EXPECT_EQ(json.at("values"), (Json{"1", nullptr, "3"}));
}

TEST(ControlOutput, AnAnswerThatIsNoneIsSaidToBeNone) {
  net::CallOutcome outcome = executed(kv::ReplyStatus::kOk);
  outcome.reply = {std::byte{0xee}};
  const Printed printed = print(outcome, OutputFormat::kTable);
  EXPECT_EQ(printed.status, kControlUnknown);
  EXPECT_THAT(printed.err, HasSubstr("no reply of the key-value machine"));
}

// --- Status ------------------------------------------------------------------------------------

std::vector<ReplicaReport> one_that_answers_and_one_that_does_not() {
  return {{ReplicaId(1), "tcp://127.0.0.1:1002", "Zürich", true,
           status_json(status_of_replica_one()), ""},
          {ReplicaId(2), "tcp://127.0.0.1:1003", "Oslo", false, "",
           "It did not answer within 2000 ms."}};
}

TEST(StatusText, ShowsFrontiersShareQueuesAndRefusals) {
  const std::string text = status_text(one_that_answers_and_one_that_does_not(), false);

  for (const auto* const part :
       {"R1", "Zürich", "running", "voting", "async", "ready", "1/2", "75.0 %", "1,234", "5/7/9",
        "4/7/8", "6/7/12", "3/2/1",
        "R1: image 17 of the state: 123,456 bytes; records since: 789 "
        "bytes; one is being made\n",
        "R1: in memory 654,321 of 1,073,741,824 bytes of instances and "
        "keys; on disk 1,048,576 of 1,073,741,824 bytes; R0 lacks 12,345 executed "
        "instances, the most of all\n"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, HasSubstr("refused_wrong_cluster"));
  EXPECT_THAT(text, HasSubstr("dropped_would_block"));
  EXPECT_EQ(text.find("rejected_overloaded"), text.npos) << "it is zero";
  EXPECT_EQ(text.find("messages_in"), text.npos) << "it is no refusal";
}

TEST(StatusText, AReplicaThatDoesNotAnswerIsARowThatSaysSo) {
  const std::string text = status_text(one_that_answers_and_one_that_does_not(), false);

  EXPECT_THAT(text, HasSubstr("R2       Oslo    no answer"));
  EXPECT_THAT(text, HasSubstr("R2 (tcp://127.0.0.1:1003): It did not answer within 2000 ms."));
}

TEST(StatusText, AllShowsEveryCounter) {
  const std::string text = status_text(one_that_answers_and_one_that_does_not(), true);
  EXPECT_THAT(text, HasSubstr("rejected_overloaded"));
  EXPECT_THAT(text, HasSubstr("messages_in"));
}

TEST(StatusText, AnAnswerOfAnotherVersionOrNoneAtAllDoesNotBreakIt) {
  for (const auto* const answer : {"{}", "[]", "7", "{\"rows\":3}", "no json", "\xff"}) {
    auto reports = one_that_answers_and_one_that_does_not();
    reports[0].status = answer;
    EXPECT_THAT(status_text(reports, false), HasSubstr("R1")) << answer;
  }
}

TEST(StatusText, MemoryThatFillsUpIsARemark) {
  NodeStatus status = status_of_replica_one();
  status.memory = {76, 100, "memory fills up"};
  auto reports = one_that_answers_and_one_that_does_not();
  EXPECT_EQ(status_text(reports, false).find("memory fills up"), std::string::npos);
  reports[0].status = status_json(status);

  EXPECT_THAT(status_text(reports, false), HasSubstr("R1: memory fills up\n"));
}

TEST(StatusText, AnImageThatCouldNotBeMadeSaysWhy) {
  NodeStatus status = status_of_replica_one();
  status.image = {0, 0, 5, false, true, false, "no memory"};
  auto reports = one_that_answers_and_one_that_does_not();
  reports[0].status = status_json(status);
  const std::string text = status_text(reports, false);
  EXPECT_THAT(text, HasSubstr("R1: no memory\n"));
  EXPECT_THAT(text, HasSubstr("R1: no image of the state yet; records since: 5 bytes; that of "
                              "another replica is being fetched\n"));
}

// --- Digests -----------------------------------------------------------------------------------

ReplicaReport digest_of(std::uint16_t replica, std::uint64_t digest) {
  const std::string bytes(reinterpret_cast<const char*>(&digest), sizeof digest);
  return {ReplicaId(replica), "tcp://h:1", "Oslo", true, bytes, ""};
}

/// Of one that has executed so many slots of row 0.
ReplicaReport status_with(std::uint16_t replica, std::uint64_t executed) {
  NodeStatus status = status_of_replica_one();
  status.self = ReplicaId(replica);
  status.rows = {{Slot(20), Slot(executed), Slot(20), Slot(0)}, {}};
  return {ReplicaId(replica), "tcp://h:1", "Oslo", true, status_json(status), ""};
}

ReplicaReport of_member(std::uint16_t replica, const std::string& role, std::uint64_t known,
                        const MemberStatus& members) {
  NodeStatus status = status_of_replica_one();
  status.self = ReplicaId(replica);
  status.protocol = "raft";
  status.role = role;
  status.has_leader = true;
  status.rows = {{Slot(known), Slot(known), Slot(known), Slot(0)}};
  status.members = members;
  status.voting = members.votes(ReplicaId(replica));
  return {ReplicaId(replica), "tcp://h:1", "Oslo", true, status_json(status), ""};
}

const ReplicaSet kFirstTwo = ReplicaSet::all(2);
const MemberStatus kLearning{kFirstTwo, {}, ReplicaSet::only(ReplicaId(2)), "R2 catches up", ""};

TEST(Members, AreThoseOfTheLeaderHoweverFarOthersAre) {
  const std::vector<ReplicaReport> reports{
      of_member(0, "follower", 90, {kFirstTwo, {}, {}, "", ""}),
      of_member(1, "leader", 80, kLearning)};

  const MemberFacts facts = member_facts(reports);

  EXPECT_TRUE(facts.is_known);
  EXPECT_FALSE(facts.is_settled_since(0));
  EXPECT_TRUE(facts.is_member(ReplicaId(0)));
  EXPECT_FALSE(facts.is_member(ReplicaId(2)));
  EXPECT_EQ(facts.change, "R2 catches up");
}

TEST(Members, WithoutALeaderNothingIsSettledAndWhoHasGotFurthestKnows) {
  const std::vector<ReplicaReport> reports{
      of_member(0, "follower", 90, kLearning),
      of_member(1, "follower", 80, {kFirstTwo, {}, {}, "", ""})};
  const MemberFacts facts = member_facts(reports);
  EXPECT_FALSE(facts.is_settled_since(0));
  EXPECT_EQ(facts.learners, std::vector{ReplicaId(2)});
}

TEST(Members, TheListTellsVotersLearnersAndSparesAndWhatIsUnderWay) {
  const std::vector<ReplicaReport> reports{
      of_member(0, "leader", 9, kLearning),
      of_member(2, "learner", 9, kLearning),
      of_member(3, "spare", 9, kLearning),
      {ReplicaId(1), "tcp://h:1", "", false, "", "it is down"}};

  CaptureStdout();
  EXPECT_EQ(print_members(reports, OutputFormat::kTable), kControlUnreachable);
  const std::string table = GetCapturedStdout();
  for (const char* const word : {"voting", "learning", "spare", "no answer", "R1: it is down\n",
                                 "A change is under way: R2 catches up."}) {
    EXPECT_THAT(table, HasSubstr(word));
  }

  CaptureStdout();
  EXPECT_EQ(print_members(reports, OutputFormat::kJson), kControlUnreachable);
  const Json json = Json::parse(GetCapturedStdout());
  EXPECT_EQ(json.at("change"), "R2 catches up");
  EXPECT_EQ(json.at("replicas").at(0).at("connected"), "1/2");
  EXPECT_EQ(json.at("replicas").at(3).at("member"), "member") << "though it is down";
  EXPECT_EQ(json.at("replicas").at(3).at("answered"), false);

  CaptureStdout();
  EXPECT_EQ(print_member(ReplicaId(3), false, OutputFormat::kJson), kControlExecuted);
  EXPECT_EQ(Json::parse(GetCapturedStdout()), (Json{{"replica", 3}, {"member", false}}));
}

TEST(Members, ASpareThatIsDownIsOneAndOneThatHasForgottenSaysSo) {
  const MemberStatus members{kFirstTwo, {}, {}, "", ""};
  const std::vector<ReplicaReport> reports{
      of_member(0, "leader", 9, members),
      {ReplicaId(2), "tcp://h:1", "", false, "", "it is down"},
      of_member(3, "non-voting: peers know more of this replica than its disk does", 9, members)};

  CaptureStdout();
  print_members(reports, OutputFormat::kJson);
  const Json list = Json::parse(GetCapturedStdout()).at("replicas");

  EXPECT_EQ(list.at(1).at("member"), "spare");
  EXPECT_EQ(list.at(2).at("member"), "spare, never votes: it has lost its promises");
}

TEST(Leaders, OneAloneThatDoesNotLeadNamesWhoDoes) {
  NodeStatus status = status_of_replica_one();
  status.protocol = "raft";
  status.role = "follower";
  status.has_leader = true;
  status.leader = ReplicaId(0);
  const ReplicaReport follower{ReplicaId(1), "tcp://h:1", "", true, status_json(status), ""};
  const auto said = [](const std::vector<ReplicaReport>& reports) {
    return sentence_about(lead_of(reports), reports);
  };

  EXPECT_EQ(said({follower}), "R1 says that R0 leads; ask it, or leave out --replica.");
  const ReplicaReport down{ReplicaId(0), "tcp://h:1", "", false, "", "it is down"};
  EXPECT_EQ(said({down, follower}),
            "Nobody who answered leads at the moment. Ask again after an election.");
}

TEST(Digests, WhoHasExecutedLessIsBehind) {
  const std::vector<ReplicaReport> digests{
      digest_of(0, 1),
      digest_of(1, 2),
      {ReplicaId(2), "tcp://h:1", "Oslo", false, "", "it is down"}};
  const std::vector<ReplicaReport> statuses{status_with(0, 20), status_with(1, 7)};

  CaptureStdout();
  EXPECT_EQ(print_digests(digests, statuses, OutputFormat::kTable), kControlUnreachable);
  const std::string table = GetCapturedStdout();
  EXPECT_THAT(table, HasSubstr("R0       Oslo  0000000000000001  20/0"));
  EXPECT_THAT(table, HasSubstr("R1       Oslo  0000000000000002  7/0"));
  EXPECT_THAT(table, HasSubstr("R1 is behind"));
  EXPECT_EQ(table.find("R0 is behind"), std::string::npos);
  EXPECT_THAT(table, HasSubstr("R2 (tcp://h:1): it is down\n"));

  CaptureStdout();
  print_digests(digests, statuses, OutputFormat::kJson);
  EXPECT_EQ(Json::parse(GetCapturedStdout()),
            (Json{{{"replica", 0}, {"digest", "0000000000000001"}, {"executed", {20, 0}}},
                  {{"replica", 1}, {"digest", "0000000000000002"}, {"executed", {7, 0}}},
                  {{"replica", 2}, {"digest", nullptr}, {"executed", nullptr}}}));
}

// --- Snapshots ---------------------------------------------------------------------------------

using Snapshot = SnapshotReport::State;

SnapshotReport snapshot(std::uint16_t replica, Snapshot state) {
  SnapshotReport report;
  report.replica = ReplicaId(replica);
  report.site = "Oslo";
  report.state = state;
  if (state == Snapshot::kMade) report.number = 17;
  if (state == Snapshot::kMade) report.bytes = 123'456;
  if (state == Snapshot::kFailed) report.reason = "no memory";
  return report;
}

Printed print(const std::vector<SnapshotReport>& reports, OutputFormat format) {
  CaptureStdout();
  Printed printed;
  printed.status = print_snapshots(reports, format);
  printed.out = GetCapturedStdout();
  return printed;
}

TEST(Snapshots, AreATableWithNumberAndSize) {
  const std::vector<SnapshotReport> reports{snapshot(0, Snapshot::kMade),
                                            snapshot(1, Snapshot::kRequested)};

  const Printed table = print(reports, OutputFormat::kTable);
  EXPECT_EQ(table.status, kControlExecuted);
  EXPECT_EQ(table.out,
            "replica  site  snapshot   image    bytes\n"
            "-------  ----  ---------  -----  -------\n"
            "R0       Oslo  made          17  123,456\n"
            "R1       Oslo  requested      -        -\n");
  EXPECT_EQ(Json::parse(print(reports, OutputFormat::kJson).out),
            (Json{{{"replica", 0}, {"snapshot", "made"}, {"image", 17}, {"bytes", 123456}},
                  {{"replica", 1}, {"snapshot", "requested"}}}));
}

TEST(Snapshots, TheWorstOneIsTheExitStatus) {
  const SnapshotReport made = snapshot(0, Snapshot::kMade);
  const auto status = [&](Snapshot state) {
    return print({made, snapshot(1, state), made}, OutputFormat::kTable).status;
  };
  EXPECT_EQ(status(Snapshot::kFailed), kControlRejected);
  EXPECT_EQ(status(Snapshot::kNotYet), kControlUnknown);
  EXPECT_EQ(status(Snapshot::kNoAnswer), kControlUnreachable);
  EXPECT_THAT(print({snapshot(1, Snapshot::kFailed)}, OutputFormat::kTable).out,
              HasSubstr("R1: no memory\n"));
}

TEST(Snapshots, TheFactsComeFromTheStatus) {
  const auto facts = image_facts(status_json(status_of_replica_one()));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->number, 17);
  EXPECT_EQ(facts->bytes, 123'456);
  EXPECT_EQ(facts->failed, 5);
  EXPECT_TRUE(facts->on_disk);
  EXPECT_FALSE(facts->waits_for_peer);
  NodeStatus in_memory = status_of_replica_one();
  in_memory.durability = Durability::kNone;
  in_memory.image.waits_for_peer = true;
  EXPECT_FALSE(image_facts(status_json(in_memory))->on_disk);
  EXPECT_TRUE(image_facts(status_json(in_memory))->waits_for_peer);
  for (const auto* const other : {"", "{}", "[]", "{\"image\":3}", "no json"}) {
    EXPECT_FALSE(image_facts(other)) << other;
  }
}

TEST(StatusText, AReplicaWithoutAVoteSaysWhy) {
  NodeStatus status = status_of_replica_one();
  status.role = "non-voting";
  status.non_voting_reason = "it has forgotten";
  auto reports = one_that_answers_and_one_that_does_not();
  reports[0].status = status_json(status);
  EXPECT_THAT(status_text(reports, false), HasSubstr("R1: it has forgotten\n"));
}

TEST(TextTable, ColumnsLineUpWhateverTheLetters) {
  TextTable table({"name", ">value"});
  table.add({"Zürich", "1"});
  table.add({"Oslo", "1,000"});

  EXPECT_EQ(table.text(),
            "name    value\n"
            "------  -----\n"
            "Zürich      1\n"
            "Oslo    1,000\n");
}

}  // namespace
}  // namespace epaxos::testing
