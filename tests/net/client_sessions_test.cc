// Requests that take effect once: how they are numbered, when they are sent again, and what their
// outcome is when nobody can know it.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "deps/types/session.h"
#include "net/client.h"
#include "net/client_plane.h"
#include "net/client_session.h"
#include "tests/net/support.h"

namespace epaxos::net {
namespace {

constexpr std::byte kOpenByte{1};
constexpr std::byte kCloseByte{3};

/// What a request carried that reached a replica.
struct Seen {
  CommandId id;
  std::uint64_t acknowledged_up_to = 0;
  std::string payload;
};

/// Opens every session, and treats the requests in them as the test says.
class SessionReplica {
 public:
  SessionReplica() {
    ClientPlaneOptions options;
    options.address = "tcp://127.0.0.1:*";
    options.cluster = cluster();
    options.linger_ms = 0;
    auto plane = ClientPlane::open(context_, options);
    EXPECT_TRUE(plane) << (plane ? "" : plane.error().message);
    plane_ = std::move(*plane);
  }

  [[nodiscard]] std::string address() const { return plane_->bound_address(); }

  void step() {
    plane_->receive([this](ClientId client, const ClientRequest& request) {
      if (request.id.session != 0 && request.id.number == 0) return about_session(client, request);
      seen.push_back({request.id, request.acknowledged_up_to, text_of(request.payload)});
      if (on_request) {
        on_request(client, request);
      } else {
        execute(client, request.token);
      }
    });
    plane_->flush();
  }

  void execute(ClientId client, RequestToken token) {
    plane_->reply(client, {token, OutcomeKind::kExecuted, {}, {}, {}, 0});
  }
  void answer(ClientId client, RequestToken token, OutcomeKind kind, ErrorCode code) {
    plane_->reply(client, {token, kind, code, "As the test says.", {}, 0});
  }
  /// From here on every request ends so.
  void answer_all(OutcomeKind kind, ErrorCode code) {
    on_request = [this, kind, code](ClientId client, const ClientRequest& request) {
      answer(client, request.token, kind, code);
    };
  }
  /// From here on nobody gets an answer.
  void fall_silent() {
    on_request = [](ClientId, const ClientRequest&) {};
  }

  ClientPlane::Handler on_request;
  std::optional<ErrorCode> refuses_to_open;
  bool opens_nothing = false;
  int refused_to_open = 0;
  std::vector<std::uint64_t> opened, closed;
  std::vector<Seen> seen;

 private:
  void about_session(ClientId client, const ClientRequest& request) {
    ASSERT_EQ(request.payload.size(), 1u);
    const bool opens = request.payload[0] == kOpenByte;
    if (opens && opens_nothing) return;
    EXPECT_TRUE(opens || request.payload[0] == kCloseByte);
    if (opens && refuses_to_open) {
      ++refused_to_open;
      return answer(client, request.token, OutcomeKind::kRejected, *refuses_to_open);
    }
    (opens ? opened : closed).push_back(request.id.session);
    execute(client, request.token);
  }

  Context context_;
  std::unique_ptr<ClientPlane> plane_;
};

class ClientSessions : public ::testing::Test {
 protected:
  void open(std::size_t replicas) {
    for (std::size_t i = 0; i < replicas; ++i) {
      replica.push_back(std::make_unique<SessionReplica>());
      options.addresses.push_back(replica.back()->address());
    }
    options.cluster = cluster();
    options.preferred = ReplicaId(0);
    options.exactly_once = true;
    auto opened = Client::open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    client = std::move(*opened);
    ASSERT_TRUE(run_until([&] {
      for (std::uint16_t i = 0; i < replicas; ++i) {
        if (client->round_trip_us(ReplicaId(i)) == kNever) return false;
      }
      return true;
    }));
  }

  bool run_until(const std::function<bool()>& done) {
    return eventually([&] {
      for (auto& r : replica) {
        if (r) r->step();
      }
      client->poll(0);
      return done();
    });
  }
  bool run_until_outcomes(std::size_t count) {
    return run_until([&] { return outcomes.size() >= count; });
  }

  void submit(const SubmitOptions& how = {}) {
    const auto token =
        client->submit(RequestKind::kPropose, bytes_of(payload), how, [&](const ClientOutcome& o) {
          outcomes.push_back({o.kind,
                              o.code,
                              std::string(o.reason),
                              {},
                              o.replica,
                              o.answered,
                              o.latency_us,
                              o.execution_wait_us});
        });
    ASSERT_TRUE(token) << token.error().message;
  }

  const std::string payload = "write";
  ClientOptions options;
  std::vector<std::unique_ptr<SessionReplica>> replica;
  std::unique_ptr<Client> client;
  std::vector<CallOutcome> outcomes;
};

TEST(ClientSession, AcknowledgesWhatHasEndedWithoutAGap) {
  ClientSession session;
  session.renew(9);
  for (std::uint64_t n = 1; n <= 4; ++n) EXPECT_EQ(session.take_number(), (CommandId{9, n}));
  session.end(2);
  EXPECT_EQ(session.acknowledged_up_to(), 0u);
  session.end(1);
  EXPECT_EQ(session.acknowledged_up_to(), 2u);
  session.end(2);  // Again, and what is not there.
  session.end(7);
  session.end(4);
  EXPECT_EQ(session.acknowledged_up_to(), 2u);
  session.end(3);
  EXPECT_EQ(session.acknowledged_up_to(), 4u);
  for (int i = 0; i < 1024; ++i) session.take_number();
  EXPECT_FALSE(session.has_room());
  session.end(5);
  EXPECT_TRUE(session.has_room());
}

TEST_F(ClientSessions, WritesAreNumberedInASessionThatOpensWithTheFirst) {
  open(2);
  EXPECT_TRUE(replica[0]->opened.empty());
  submit();
  submit();
  ASSERT_TRUE(run_until_outcomes(2));
  submit();
  ASSERT_TRUE(run_until_outcomes(3));

  ASSERT_EQ(replica[0]->opened.size(), 1u);
  const std::uint64_t session = replica[0]->opened[0];
  EXPECT_TRUE(is_client_session(session));
  ASSERT_EQ(replica[0]->seen.size(), 3u);
  for (std::uint64_t n = 1; n <= 3; ++n) {
    EXPECT_EQ(replica[0]->seen[n - 1].id, (CommandId{session, n}));
  }
  EXPECT_EQ(replica[0]->seen[0].acknowledged_up_to, 0u);
  EXPECT_EQ(replica[0]->seen[2].acknowledged_up_to, 2u);
  EXPECT_EQ(client->in_flight(), 0u);
  EXPECT_EQ(client->counters().sessions_opened, 1u);
}

TEST_F(ClientSessions, ReadsNeedNone) {
  open(1);
  SubmitOptions how;
  how.reads_only = true;
  submit(how);
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_TRUE(replica[0]->opened.empty());
  EXPECT_EQ(replica[0]->seen[0].id, CommandId());
}

TEST_F(ClientSessions, TheSessionIsClosedAtTheEnd) {
  open(1);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  client.reset();
  ASSERT_TRUE(eventually([&] {
    replica[0]->step();
    return !replica[0]->closed.empty();
  }));
  EXPECT_EQ(replica[0]->closed, replica[0]->opened);
}

TEST_F(ClientSessions, AWriteThatADyingReplicaHadIsRepeatedElsewhereUnderItsNumber) {
  open(2);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  replica[0]->fall_silent();
  submit();
  ASSERT_TRUE(run_until([&] { return replica[0]->seen.size() == 2; }));
  const CommandId id = replica[0]->seen[1].id;
  replica[0].reset();

  ASSERT_TRUE(run_until_outcomes(2));

  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[1].replica, ReplicaId(1));
  ASSERT_EQ(replica[1]->seen.size(), 1u);
  EXPECT_EQ(replica[1]->seen[0].id, id);
  EXPECT_EQ(replica[1]->seen[0].acknowledged_up_to, 1u);
  EXPECT_TRUE(replica[1]->opened.empty()) << "the session is known everywhere";
}

TEST_F(ClientSessions, WhenNobodyElseAnswersAWriteWaitsForItsReplicaToComeBack) {
  open(1);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  replica[0]->fall_silent();
  SubmitOptions how;
  how.deadline_us = 200'000;
  submit(how);
  ASSERT_TRUE(run_until([&] { return replica[0]->seen.size() == 2; }));
  replica[0].reset();

  ASSERT_TRUE(run_until_outcomes(2));

  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kUnknown) << "its deadline has passed";
  EXPECT_GE(outcomes[1].latency_us, 200'000u);
  EXPECT_NE(outcomes[1].reason.find("may or may not"), std::string::npos);
}

// A replica that is cut off from the others answers pings, and nothing else.
TEST_F(ClientSessions, AReplicaThatIsTooSlowIsNotWaitedForButItsAnswerCounts) {
  options.answer_timeout_us = 50'000;
  open(2);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  std::function<void()> late;
  replica[0]->on_request = [&](ClientId id, const ClientRequest& request) {
    late = [&, id, token = request.token] { replica[0]->execute(id, token); };
  };
  replica[1]->fall_silent();
  submit();
  ASSERT_TRUE(run_until([&] { return replica[1]->seen.size() == 1; }));
  EXPECT_EQ(replica[1]->seen[0].id, replica[0]->seen[1].id);

  late();

  ASSERT_TRUE(run_until_outcomes(2));
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[1].replica, ReplicaId(0));
}

TEST_F(ClientSessions, AReplicaThatStopsWithTheWriteUnderWaySendsItElsewhere) {
  open(2);
  replica[0]->answer_all(OutcomeKind::kUnknown, ErrorCode::kStopped);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
  EXPECT_EQ(replica[0]->seen[0].id, replica[1]->seen[0].id);
}

// The first try may have been executed: that the second was refused says nothing about it.
TEST_F(ClientSessions, ARefusalAfterATryWithoutAnAnswerIsNoRejection) {
  open(2);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  replica[0]->fall_silent();
  replica[1]->answer_all(OutcomeKind::kRejected, ErrorCode::kTooLarge);
  submit();
  ASSERT_TRUE(run_until([&] { return replica[0]->seen.size() == 2; }));
  replica[0].reset();

  ASSERT_TRUE(run_until_outcomes(2));

  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kUnknown);
  EXPECT_EQ(outcomes[1].code, ErrorCode::kTooLarge);
}

TEST_F(ClientSessions, AnOverloadedReplicaIsAskedAgainWhenAnEarlierTryHadNoAnswer) {
  open(2);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  replica[0]->fall_silent();
  replica[1]->on_request = [&](ClientId id, const ClientRequest& request) {
    if (replica[1]->seen.size() == 3) return replica[1]->execute(id, request.token);
    replica[1]->answer(id, request.token, OutcomeKind::kRejected, ErrorCode::kOverloaded);
  };
  submit();
  ASSERT_TRUE(run_until([&] { return replica[0]->seen.size() == 2; }));
  replica[0].reset();

  ASSERT_TRUE(run_until_outcomes(2));

  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(replica[1]->seen.size(), 3u);
}

TEST_F(ClientSessions, ARefusalOfTheOnlyTryIsARejection) {
  open(1);
  replica[0]->answer_all(OutcomeKind::kRejected, ErrorCode::kOverloaded);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kOverloaded);
}

TEST_F(ClientSessions, AnExpiredSessionIsReplacedAndTheWriteSentAgain) {
  open(1);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  const std::uint64_t expired = replica[0]->opened[0];
  replica[0]->on_request = [&](ClientId id, const ClientRequest& request) {
    if (request.id.session != expired) return replica[0]->execute(id, request.token);
    replica[0]->answer(id, request.token, OutcomeKind::kRejected, ErrorCode::kUnknownSession);
  };
  submit();
  submit();
  ASSERT_TRUE(run_until_outcomes(3));

  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[2].kind, OutcomeKind::kExecuted);
  ASSERT_EQ(replica[0]->opened.size(), 2u);
  EXPECT_NE(replica[0]->opened[1], expired);
  EXPECT_EQ(replica[0]->seen.back().id.session, replica[0]->opened[1]);
}

TEST_F(ClientSessions, AReplicaThatForgetsEverySessionIsNotAskedForEver) {
  open(1);
  replica[0]->answer_all(OutcomeKind::kRejected, ErrorCode::kUnknownSession);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kUnknownSession);
  EXPECT_EQ(replica[0]->seen.size(), 2u);
}

// The first try may have been executed before the session expired.
TEST_F(ClientSessions, AWriteThatMayHaveBeenExecutedIsNotRepeatedInAnotherSession) {
  open(2);
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  replica[0]->fall_silent();
  replica[1]->answer_all(OutcomeKind::kRejected, ErrorCode::kUnknownSession);
  submit();
  ASSERT_TRUE(run_until([&] { return replica[0]->seen.size() == 2; }));
  replica[0].reset();

  ASSERT_TRUE(run_until_outcomes(2));

  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kUnknown);
  EXPECT_EQ(outcomes[1].code, ErrorCode::kUnknownSession);
  EXPECT_EQ(replica[1]->seen.size(), 1u);
  replica[1]->on_request = nullptr;
  submit();
  ASSERT_TRUE(run_until_outcomes(3));
  EXPECT_EQ(outcomes[2].kind, OutcomeKind::kExecuted) << "in a new session";
}

TEST_F(ClientSessions, AReplicaThatOpensNoSessionIsPassedOver) {
  open(2);
  replica[0]->refuses_to_open = ErrorCode::kNotVoting;
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
  EXPECT_TRUE(replica[0]->seen.empty());
}

TEST_F(ClientSessions, AReplicaThatHasNotAnsweredYetIsWaitedForWhenTheFirstOpensNoSession) {
  for (int i = 0; i < 2; ++i) {
    replica.push_back(std::make_unique<SessionReplica>());
    options.addresses.push_back(replica.back()->address());
  }
  replica[0]->refuses_to_open = ErrorCode::kNotVoting;
  options.cluster = cluster();
  options.exactly_once = true;
  client = std::move(*Client::open(options));
  std::unique_ptr<SessionReplica> late = std::exchange(replica[1], nullptr);
  submit();
  ASSERT_TRUE(run_until([&] { return replica[0]->refused_to_open > 0; }));
  for (int i = 0; i < 100; ++i) run_until([] { return true; });
  EXPECT_TRUE(outcomes.empty());
  replica[1] = std::move(late);

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
  EXPECT_EQ(replica[0]->refused_to_open, 1);
}

TEST_F(ClientSessions, WhenNobodyOpensASessionTheReasonIsTold) {
  open(2);
  for (auto& r : replica) r->refuses_to_open = ErrorCode::kNotVoting;
  submit();
  SubmitOptions only;
  only.replica = ReplicaId(1);
  submit(only);
  ASSERT_TRUE(run_until_outcomes(2));
  for (const CallOutcome& outcome : outcomes) {
    EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
    EXPECT_EQ(outcome.code, ErrorCode::kNotVoting);
    EXPECT_EQ(outcome.reason, "As the test says.");
  }
}

// With full disks everywhere, one says so and the others only wait for it.
TEST_F(ClientSessions, WhatAReplicaSaidIsToldWhenTheOthersOnlyWait) {
  open(2);
  replica[0]->refuses_to_open = ErrorCode::kOutOfSpace;
  replica[1]->opens_nothing = true;
  SubmitOptions brief;
  brief.deadline_us = 500'000;
  submit(brief);
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_NE(outcomes[0].reason.find("As the test says."), std::string::npos) << outcomes[0].reason;
  EXPECT_EQ(outcomes[0].reason.find("more than half"), std::string::npos) << outcomes[0].reason;
}

TEST_F(ClientSessions, AWriteForOneReplicaIsRepeatedThereAlone) {
  options.answer_timeout_us = 30'000;
  open(2);
  replica[1]->fall_silent();
  SubmitOptions only;
  only.replica = ReplicaId(1);
  only.deadline_us = 150'000;
  submit(only);
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kUnknown);
  EXPECT_TRUE(replica[0]->seen.empty());
}

TEST_F(ClientSessions, MoreRequestsThanTheWindowWaitForTheirTurn) {
  open(1);
  std::vector<std::function<void()>> late;
  replica[0]->on_request = [&](ClientId id, const ClientRequest& request) {
    late.push_back([&, id, token = request.token] { replica[0]->execute(id, token); });
  };
  for (int i = 0; i < 1'030; ++i) submit();
  ASSERT_TRUE(run_until([&] { return late.size() == 1'024; }));
  for (int i = 0; i < 50; ++i) client->poll(0);
  EXPECT_EQ(late.size(), 1'024u);

  for (std::size_t done = 0; outcomes.size() < 1'030u;) {
    while (done < late.size()) late[done++]();
    ASSERT_TRUE(run_until([&] { return outcomes.size() == 1'030u || done < late.size(); }));
  }
  for (const Seen& seen : replica[0]->seen) {
    EXPECT_LE(seen.id.number, seen.acknowledged_up_to + 1'024);
  }
}

}  // namespace
}  // namespace epaxos::net
