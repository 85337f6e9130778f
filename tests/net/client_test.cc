#include "net/client.h"

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/client_plane.h"
#include "tests/net/support.h"

namespace epaxos::net {
namespace {

/// A replica as a client sees it: answers each request with its name, or does what `handler` says.
class FakeReplica {
 public:
  explicit FakeReplica(std::string name, const std::string& address = "tcp://127.0.0.1:*",
                       const ClusterId& id = cluster())
      : name_(std::move(name)) {
    ClientPlaneOptions options;
    options.address = address;
    options.cluster = id;
    options.linger_ms = 0;
    auto plane = ClientPlane::open(context_, options);
    EXPECT_TRUE(plane) << (plane ? "" : plane.error().message);
    plane_ = std::move(*plane);
  }

  [[nodiscard]] std::string address() const { return plane_->bound_address(); }
  ClientPlane& plane() { return *plane_; }

  void step() {
    plane_->receive([this](ClientId client, const ClientRequest& request) {
      ++requests;
      if (handler) return handler(client, request);
      plane_->reply(client, {request.token, OutcomeKind::kExecuted, {}, {}, bytes_of(name_), 5});
    });
    plane_->flush();
  }

  ClientPlane::Handler handler;
  std::size_t requests = 0;

 private:
  std::string name_;
  Context context_;
  std::unique_ptr<ClientPlane> plane_;
};

class Clients : public ::testing::Test {
 protected:
  void start(std::size_t replicas) {
    for (std::size_t i = 0; i < replicas; ++i) {
      replica.push_back(std::make_unique<FakeReplica>("replica " + std::to_string(i)));
      options.addresses.push_back(replica.back()->address());
    }
    options.cluster = cluster();
  }

  void open() {
    auto opened = Client::open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    client = std::move(*opened);
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

  /// Submits and remembers the outcome.
  void submit(const SubmitOptions& how = {}, RequestKind kind = RequestKind::kPropose,
              const std::string& payload = "payload") {
    const auto token = client->submit(kind, bytes_of(payload), how, [this](const ClientOutcome& o) {
      outcomes.push_back({o.kind,
                          o.code,
                          std::string(o.reason),
                          {o.reply.begin(), o.reply.end()},
                          o.replica,
                          o.answered,
                          o.latency_us,
                          o.execution_wait_us});
    });
    ASSERT_TRUE(token) << token.error().message;
  }

  bool run_until_outcomes(std::size_t count) {
    return run_until([&] { return outcomes.size() >= count; });
  }

  /// Lets replica 1 lose its client right after it has got a request.
  void die_on_request(std::size_t index) {
    replica[index]->handler = [this, index](ClientId, const ClientRequest&) { dying = index; };
  }
  bool run_until_dead() {
    if (!run_until([&] { return dying.has_value(); })) return false;
    replica[*dying].reset();
    return true;
  }

  ClientOptions options;
  std::vector<std::unique_ptr<FakeReplica>> replica;
  std::unique_ptr<Client> client;
  std::vector<CallOutcome> outcomes;
  std::optional<std::size_t> dying;
};

TEST_F(Clients, AnAnswerNamesItsReplica) {
  start(1);
  open();
  submit();

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(text_of(outcomes[0].reply), "replica 0");
  EXPECT_EQ(outcomes[0].replica, ReplicaId(0));
  EXPECT_TRUE(outcomes[0].answered);
  EXPECT_EQ(outcomes[0].execution_wait_us, 5U);
  EXPECT_EQ(client->in_flight(), 0U);
}

TEST_F(Clients, WhatIsSubmittedTogetherLeavesAsOneMessage) {
  start(1);
  open();
  ASSERT_TRUE(run_until([&] { return client->nearest().has_value(); }));
  const std::uint64_t before = client->counters().messages_out;
  const std::uint64_t pings = replica[0]->plane().counters().pings_in;

  for (int i = 0; i < 500; ++i) submit();
  ASSERT_TRUE(run_until_outcomes(500));

  const std::uint64_t more_pings = replica[0]->plane().counters().pings_in - pings;
  EXPECT_LE(client->counters().messages_out - before - more_pings, 1U);
  EXPECT_EQ(replica[0]->requests, 500U);
}

TEST_F(Clients, LargeRequestsAreCutIntoMessagesThatAReplicaTakes) {
  start(1);
  open();
  for (int i = 0; i < 20; ++i) submit({}, RequestKind::kPropose, std::string(64 * 1024, 'x'));
  submit({}, RequestKind::kPropose, std::string(kClientPayloadBytesMax, 'x'));
  ASSERT_TRUE(run_until_outcomes(21));
  for (const CallOutcome& outcome : outcomes) EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted);
}

TEST_F(Clients, ThePreferredReplicaIsAskedWhileItAnswers) {
  start(3);
  options.preferred = ReplicaId(2);
  open();
  for (int i = 0; i < 10; ++i) submit();
  ASSERT_TRUE(run_until_outcomes(10));
  for (const CallOutcome& outcome : outcomes) EXPECT_EQ(outcome.replica, ReplicaId(2));
}

TEST_F(Clients, ThePreferredReplicaIsWaitedForAlthoughOthersAnswerFirst) {
  start(2);
  options.preferred = ReplicaId(1);
  options.answer_timeout_us = 3'600'000'000;
  options.request_timeout_us = 3'600'000'000;
  open();
  submit();
  ASSERT_TRUE(eventually([&] {
    replica[0]->step();
    client->poll(0);
    return client->round_trip_us(ReplicaId(0)) != kNever;
  }));
  client->poll(0);
  EXPECT_EQ(client->nearest(), std::nullopt);

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
  EXPECT_EQ(replica[0]->requests, 0U);
}

TEST_F(Clients, TheNearestIsTheOneThatAnswersFirst) {
  start(3);
  open();
  // Only replica 1 is stepped until its pong is there; the others come late.
  ASSERT_TRUE(eventually([&] {
    replica[1]->step();
    client->poll(0);
    return client->nearest().has_value();
  }));
  EXPECT_EQ(client->nearest(), ReplicaId(1));
  EXPECT_NE(client->round_trip_us(ReplicaId(1)), kNever);
  EXPECT_EQ(client->round_trip_us(ReplicaId(0)), kNever);

  submit();
  ASSERT_TRUE(eventually([&] {
    replica[1]->step();
    client->poll(0);
    return !outcomes.empty();
  }));
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
}

TEST_F(Clients, ADeadReplicaIsPassedOver) {
  start(2);
  options.addresses[0] = "tcp://127.0.0.1:1";  // Nobody listens there.
  options.preferred = ReplicaId(0);
  options.answer_timeout_us = 50'000;
  open();
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
}

TEST_F(Clients, ACommandThatADyingReplicaHadIsUnknown) {
  start(2);
  options.preferred = ReplicaId(0);
  open();
  die_on_request(0);
  submit();
  ASSERT_TRUE(run_until_dead());

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kUnknown);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kUnavailable);
  EXPECT_FALSE(outcomes[0].answered);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(0));
  EXPECT_NE(outcomes[0].reason.find("Replica 0 at tcp://"), std::string::npos);
  EXPECT_NE(outcomes[0].reason.find("may or may not"), std::string::npos);
  EXPECT_EQ(replica[1]->requests, 0U) << "it must not be executed twice";
}

TEST_F(Clients, AReadThatADyingReplicaHadIsAskedElsewhere) {
  start(2);
  options.preferred = ReplicaId(0);
  open();
  ASSERT_TRUE(run_until([&] { return client->round_trip_us(ReplicaId(1)) != kNever; }));
  die_on_request(0);
  SubmitOptions how;
  how.reads_only = true;
  submit(how);
  ASSERT_TRUE(run_until_dead());

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
  EXPECT_EQ(client->counters().retried_elsewhere, 1U);
}

TEST_F(Clients, AReplicaThatStopsSendsItsClientsElsewhere) {
  start(2);
  options.preferred = ReplicaId(0);
  open();
  ASSERT_TRUE(run_until([&] { return client->round_trip_us(ReplicaId(1)) != kNever; }));
  replica[0]->handler = [&](ClientId id, const ClientRequest& r) {
    replica[0]->plane().reply(
        id, {r.token, OutcomeKind::kRejected, ErrorCode::kStopped, "Stopping.", {}, 0});
  };
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
}

/// A replica that has lost its vote is there first; the other one is about to answer.
class ClientsOfWhoMayNotPropose : public Clients, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    start(2);
    replica[0]->handler = [&](ClientId id, const ClientRequest& r) {
      replica[0]->plane().reply(
          id, {r.token, OutcomeKind::kRejected, ErrorCode::kNotVoting, "Lost its vote.", {}, 0});
    };
    open();
    how.reads_only = GetParam();
  }
  bool run_the_first_until(const std::function<bool()>& done) {
    return eventually([&] {
      replica[0]->step();
      client->poll(0);
      return done();
    });
  }
  SubmitOptions how;
};

TEST_P(ClientsOfWhoMayNotPropose, AnotherIsWaitedForThatHasNotAnsweredYet) {
  submit(how);
  ASSERT_TRUE(run_the_first_until([&] { return client->counters().retried_elsewhere == 1; }));
  EXPECT_TRUE(outcomes.empty());

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
  EXPECT_EQ(replica[0]->requests, 1U);
}

TEST_P(ClientsOfWhoMayNotPropose, WhenNobodyElseComesItIsCertainlyNotExecuted) {
  how.deadline_us = 50'000;
  submit(how);

  ASSERT_TRUE(run_the_first_until([&] { return !outcomes.empty(); }));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kNotVoting);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(0));
  EXPECT_EQ(outcomes[0].reason.find("Lost its vote. No other replica took the request"), 0U)
      << outcomes[0].reason;
  EXPECT_EQ(replica[0]->requests, 1U);
}

TEST_P(ClientsOfWhoMayNotPropose, WhenEverybodyRefusesTheCallerIsToldAtOnce) {
  replica[1]->handler = [&](ClientId id, const ClientRequest& r) {
    replica[1]->plane().reply(
        id, {r.token, OutcomeKind::kRejected, ErrorCode::kNotVoting, "Lost it too.", {}, 0});
  };
  how.deadline_us = 3'600'000'000;
  submit(how);

  ASSERT_TRUE(run_until_outcomes(1));

  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kNotVoting);
}

INSTANTIATE_TEST_SUITE_P(WritesAndReads, ClientsOfWhoMayNotPropose, ::testing::Bool());

TEST_F(Clients, AnAnswerOfAReplicaThatWasNotAskedIsIgnored) {
  start(2);
  options.preferred = ReplicaId(0);
  open();
  ClientId here;
  RequestToken token = 0;
  replica[1]->handler = [&](ClientId id, const ClientRequest& r) {
    here = id;
    replica[1]->plane().reply(id, {r.token, OutcomeKind::kExecuted, {}, {}, {}, 0});
  };
  replica[0]->handler = [&](ClientId, const ClientRequest& r) { token = r.token; };
  SubmitOptions how;
  how.replica = ReplicaId(1);
  submit(how);
  ASSERT_TRUE(run_until_outcomes(1));
  how.replica = ReplicaId(0);  // A preference alone would give it to whoever is there first.
  submit(how);
  ASSERT_TRUE(run_until([&] { return token != 0; }));

  const std::uint64_t before = client->counters().replies_unexpected;
  replica[1]->plane().reply(here, {token, OutcomeKind::kExecuted, {}, {}, {}, 0});

  ASSERT_TRUE(run_until([&] { return client->counters().replies_unexpected > before; }));
  EXPECT_EQ(outcomes.size(), 1U);
  EXPECT_EQ(client->in_flight(), 1U);
}

TEST_F(Clients, ARefusalIsHandedToTheCaller) {
  start(2);
  open();
  for (auto& r : replica) {
    r->handler = [&plane = r->plane()](ClientId id, const ClientRequest& request) {
      plane.reply(id,
                  {request.token, OutcomeKind::kRejected, ErrorCode::kOverloaded, "Full.", {}, 0});
    };
  }
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kOverloaded);
  EXPECT_EQ(outcomes[0].reason, "Full.");
  EXPECT_TRUE(outcomes[0].answered);
}

TEST_F(Clients, ASilentReplicaLeavesACommandUnknownAfterItsDeadline) {
  start(1);
  open();
  replica[0]->handler = [](ClientId, const ClientRequest&) {};
  SubmitOptions how;
  how.deadline_us = 50'000;
  submit(how);
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kUnknown);
  EXPECT_NE(outcomes[0].reason.find("did not answer within 50 ms"), std::string::npos)
      << outcomes[0].reason;
  EXPECT_EQ(replica[0]->requests, 1U);
}

TEST_F(Clients, AFrozenReplicasReadsAreAskedElsewhere) {
  start(2);
  options.preferred = ReplicaId(0);
  options.ping_interval_us = 20'000;
  options.answer_timeout_us = 50'000;
  open();
  ASSERT_TRUE(run_until([&] {
    return client->round_trip_us(ReplicaId(0)) != kNever &&
           client->round_trip_us(ReplicaId(1)) != kNever;
  }));
  submit({}, RequestKind::kQuery);
  ASSERT_TRUE(eventually([&] {
    replica[1]->step();  // Replica 0 is connected and says nothing.
    client->poll(0);
    return !outcomes.empty();
  }));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(1));
}

TEST_F(Clients, ANamedReplicaAndNoOtherIsAsked) {
  start(2);
  options.addresses[1] = "tcp://127.0.0.1:1";
  open();
  SubmitOptions how;
  how.replica = ReplicaId(1);
  how.deadline_us = 100'000;
  submit(how, RequestKind::kStatus);
  how.replica = ReplicaId(0);
  submit(how, RequestKind::kStatus);
  ASSERT_TRUE(run_until_outcomes(2));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(outcomes[0].replica, ReplicaId(0));
  EXPECT_EQ(outcomes[1].kind, OutcomeKind::kRejected);
  EXPECT_NE(outcomes[1].reason.find("tcp://127.0.0.1:1."), std::string::npos) << outcomes[1].reason;
}

TEST_F(Clients, WhenNobodyAnswersTheAddressesAreNamed) {
  options.addresses = {"tcp://127.0.0.1:1", "tcp://127.0.0.1:2"};
  options.cluster = cluster();
  options.request_timeout_us = 100'000;
  open();
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected) << "it was never sent";
  EXPECT_EQ(outcomes[0].code, ErrorCode::kUnavailable);
  EXPECT_FALSE(outcomes[0].replica.has_value());
  EXPECT_NE(outcomes[0].reason.find("tcp://127.0.0.1:1, tcp://127.0.0.1:2"), std::string::npos)
      << outcomes[0].reason;
}

TEST_F(Clients, AnotherClusterIsNamedLongBeforeTheDeadline) {
  replica.push_back(std::make_unique<FakeReplica>("stranger", "tcp://127.0.0.1:*", cluster(1)));
  options.addresses = {replica[0]->address()};
  options.cluster = cluster();
  options.request_timeout_us = 3'600'000'000;
  open();
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  EXPECT_EQ(outcomes[0].kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcomes[0].code, ErrorCode::kWrongIdentity);
  EXPECT_NE(outcomes[0].reason.find("belongs to another cluster"), std::string::npos);
  EXPECT_EQ(replica[0]->requests, 0U);
}

TEST_F(Clients, ARestartedReplicaIsFoundAgain) {
  start(1);
  open();
  submit();
  ASSERT_TRUE(run_until_outcomes(1));
  const std::string address = replica[0]->address();
  replica[0].reset();
  ASSERT_TRUE(run_until([&] { return !client->nearest().has_value(); }));
  submit();  // Waits in the queue.
  replica[0] = std::make_unique<FakeReplica>("again", address);
  ASSERT_TRUE(run_until_outcomes(2));
  EXPECT_EQ(text_of(outcomes[1].reply), "again");
}

TEST_F(Clients, MalformedAndUnexpectedRepliesAreIgnored) {
  start(0);
  Context context;
  SocketOptions how;
  how.kind = SocketKind::kRouter;
  how.message_bytes_max = kClientMessageBytesMax;
  auto server = std::move(*Socket::open(context, how));
  ASSERT_TRUE(server->bind("tcp://127.0.0.1:*"));
  options.addresses = {server->bound_address()};
  open();
  submit();
  ClientMessageReader reader(cluster());
  ClientMessageWriter writer(cluster());
  const std::string garbage = "garbage that is longer than an envelope is, by some bytes";
  const std::string wrong = "wrong", right = "right";

  ASSERT_TRUE(eventually([&] {
    client->poll(0);
    while (server->receive() == Received::kMessage) {
      const std::string route = text_of(server->route());
      EXPECT_EQ(reader.open_requests(server->payload()), std::nullopt);
      server->send_to(bytes_of(route), bytes_of(garbage));
      server->send_to(bytes_of(route), {});
      for (const ClientRequest& r : reader.requests()) {
        const std::vector<ClientReply> invented = {
            {r.token + 1, OutcomeKind::kExecuted, {}, {}, bytes_of(wrong), 0},
            {r.token + (RequestToken{1} << 32), OutcomeKind::kExecuted, {}, {}, bytes_of(wrong), 0},
            {0, OutcomeKind::kRejected, ErrorCode::kMalformed, "Which?", {}, 0},
            {r.token, OutcomeKind::kExecuted, {}, {}, bytes_of(right), 0},
            {r.token, OutcomeKind::kExecuted, {}, {}, bytes_of(wrong), 0}};
        server->send_to(bytes_of(route), writer.encode(invented));
      }
    }
    return !outcomes.empty();
  }));

  ASSERT_EQ(outcomes.size(), 1U) << "an outcome is told once";
  EXPECT_EQ(text_of(outcomes[0].reply), "right");
  EXPECT_GE(client->counters().refusals[Refusal::kWrongMagic], 1U);
  EXPECT_GE(client->counters().refusals[Refusal::kTooShort], 1U);
  EXPECT_GE(client->counters().replies_unexpected, 4U);
}

TEST_F(Clients, ACallbackMaySubmit) {
  start(1);
  open();
  int left = 1000;
  std::function<void(const ClientOutcome&)> again = [&](const ClientOutcome& outcome) {
    EXPECT_EQ(outcome.kind, OutcomeKind::kExecuted);
    if (--left > 0) {
      EXPECT_TRUE(client->submit(RequestKind::kPropose, bytes_of("again"), {}, again));
    }
  };
  ASSERT_TRUE(client->submit(RequestKind::kPropose, bytes_of("first"), {}, again));
  ASSERT_TRUE(run_until([&] { return left == 0; }));
  EXPECT_EQ(client->in_flight(), 0U);
}

TEST_F(Clients, LimitsAreSentences) {
  start(1);
  options.in_flight_max = 2;
  open();
  const auto refused = [&](std::size_t bytes, std::optional<ReplicaId> to = {}) {
    SubmitOptions how;
    how.replica = to;
    const auto token =
        client->submit(RequestKind::kPropose, bytes_of(std::string(bytes, 'x')), how, nullptr);
    return token ? std::optional<ErrorCode>() : token.error().code;
  };
  EXPECT_EQ(refused(kClientPayloadBytesMax + 1), ErrorCode::kTooLarge);
  EXPECT_EQ(refused(1, ReplicaId(5)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(1), std::nullopt);
  EXPECT_EQ(refused(1), std::nullopt);
  EXPECT_EQ(refused(1), ErrorCode::kOverloaded);
}

TEST(Client, WrongOptionsAreNamed) {
  ClientOptions options;
  EXPECT_EQ(Client::open(options).error().code, ErrorCode::kInvalidArgument);
  options.addresses = {"tcp://127.0.0.1:*"};
  EXPECT_EQ(Client::open(options).error().code, ErrorCode::kInvalidArgument);
  options.addresses = {"tcp://127.0.0.1:7000"};
  options.preferred = ReplicaId(1);
  EXPECT_EQ(Client::open(options).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Clients, ACallBlocksUntilItsOutcome) {
  start(1);
  open();
  std::atomic<bool> stop = false;
  std::thread server([&] {
    while (!stop) replica[0]->step(), std::this_thread::yield();
  });
  const CallOutcome outcome = client->call(RequestKind::kQuery, bytes_of("question"));
  const CallOutcome refused =
      client->call(RequestKind::kQuery, bytes_of(std::string(kClientMessageBytesMax, 'x')));
  stop = true;
  server.join();

  EXPECT_EQ(text_of(outcome.reply), "replica 0");
  EXPECT_EQ(refused.kind, OutcomeKind::kRejected);
  EXPECT_EQ(refused.code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace epaxos::net
