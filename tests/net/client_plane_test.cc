#include "net/client_plane.h"

#include <map>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/raw_peer.h"
#include "tests/net/support.h"

namespace epaxos::net {
namespace {

std::unique_ptr<ClientPlane> open_plane(Context& context, ClientPlaneOptions options = {}) {
  options.address = "tcp://127.0.0.1:*";
  options.cluster = cluster();
  options.linger_ms = 0;
  auto plane = ClientPlane::open(context, options);
  EXPECT_TRUE(plane) << (plane ? "" : plane.error().message);
  return std::move(*plane);
}

ClientRequest request(RequestToken token, const std::string& payload,
                      RequestKind kind = RequestKind::kPropose) {
  ClientRequest request;
  request.token = token;
  request.kind = kind;
  request.payload = bytes_of(payload);
  return request;
}

/// A client without the client library: one socket, the codec, and what it was answered.
class BareClient {
 public:
  BareClient(Context& context, const std::string& address, const ClusterId& id = cluster())
      : writer_(id), reader_(cluster()) {
    SocketOptions options;
    options.message_bytes_max = kReplyMessageBytesMax;
    socket_ = std::move(*Socket::open(context, options));
    EXPECT_TRUE(socket_->connect(address));
  }

  void send(const std::vector<ClientRequest>& requests) { send_bytes(writer_.encode(requests)); }
  void send_bytes(Bytes bytes) {
    EXPECT_TRUE(eventually([&] { return socket_->send(bytes) == Sent::kYes; }));
  }

  /// Takes what has arrived; returns how many messages that was.
  std::size_t receive() {
    std::size_t messages = 0;
    for (; socket_->receive() == Received::kMessage; ++messages) {
      EXPECT_EQ(reader_.open_replies(socket_->payload()), std::nullopt);
      for (const ClientReply& r : reader_.replies()) {
        texts[r.token] =
            r.kind == OutcomeKind::kExecuted ? text_of(r.reply) : std::string(r.reason);
        codes[r.token] = r.code;
      }
    }
    return messages;
  }

  std::map<RequestToken, std::string> texts;
  std::map<RequestToken, ErrorCode> codes;

 private:
  std::unique_ptr<Socket> socket_;
  ClientMessageWriter writer_;
  ClientMessageReader reader_;
};

class ClientPlanes : public ::testing::Test {
 protected:
  /// Answers each request with its own payload until `done`.
  bool serve_until(const std::function<bool()>& done) {
    return eventually([&] {
      plane->receive([&](ClientId client, const ClientRequest& r) {
        ++handled;
        plane->reply(client, {r.token, OutcomeKind::kExecuted, {}, {}, r.payload, 0});
      });
      plane->flush();
      return done();
    });
  }

  Context context;
  std::unique_ptr<ClientPlane> plane = open_plane(context);
  std::size_t handled = 0;
};

TEST_F(ClientPlanes, EachClientGetsItsOwnAnswers) {
  const std::string one = "one", two = "two";
  BareClient first(context, plane->bound_address()), second(context, plane->bound_address());
  first.send({request(1, one)});
  second.send({request(1, two)});

  ASSERT_TRUE(serve_until([&] {
    first.receive();
    second.receive();
    return first.texts.size() == 1 && second.texts.size() == 1;
  }));

  EXPECT_EQ(first.texts[1], "one");
  EXPECT_EQ(second.texts[1], "two");
}

TEST_F(ClientPlanes, ABatchIsAnsweredByOneMessage) {
  const std::string text = "text";
  std::vector<ClientRequest> requests;
  for (RequestToken token = 1; token <= 100; ++token) requests.push_back(request(token, text));
  BareClient client(context, plane->bound_address());
  client.send(requests);

  std::size_t messages = 0;
  ASSERT_TRUE(serve_until([&] {
    messages += client.receive();
    return client.texts.size() == 100;
  }));

  EXPECT_EQ(messages, 1U);
  EXPECT_EQ(plane->counters().messages_in, 1U);
  EXPECT_EQ(plane->counters().requests_in, 100U);
  EXPECT_EQ(plane->counters().messages_out, 1U);
  EXPECT_EQ(plane->counters().replies_out, 100U);

  client.send({request(101, text)});
  ASSERT_TRUE(serve_until([&] {
    client.receive();
    return client.texts.size() == 101;
  }));
  EXPECT_EQ(plane->counters().replies_out, 101U) << "each reply leaves once";
}

TEST_F(ClientPlanes, ManyLargeRepliesAreCutIntoMessagesThatAClientTakes) {
  const std::string text;
  std::vector<ClientRequest> requests;
  for (RequestToken token = 1; token <= 64; ++token) requests.push_back(request(token, text));
  BareClient client(context, plane->bound_address());
  client.send(requests);
  const std::string large(64 * 1024, 'x');

  ASSERT_TRUE(eventually([&] {
    plane->receive([&](ClientId id, const ClientRequest& r) {
      plane->reply(id, {r.token, OutcomeKind::kExecuted, {}, {}, bytes_of(large), 0});
    });
    plane->flush();
    client.receive();
    return client.texts.size() == 64;
  }));

  EXPECT_EQ(client.texts[64].size(), large.size());
  EXPECT_GT(plane->counters().messages_out, 15U);
}

TEST_F(ClientPlanes, AReplyThatNoMessageHoldsIsToldAsSuch) {
  const std::string text, huge(kReplyBytesMax + 1, 'x'), largest(kReplyBytesMax, 'x');
  BareClient client(context, plane->bound_address());
  client.send({request(1, text), request(2, text)});

  ASSERT_TRUE(eventually([&] {
    plane->receive([&](ClientId id, const ClientRequest& r) {
      const Bytes reply = bytes_of(r.token == 1 ? huge : largest);
      plane->reply(id, {r.token, OutcomeKind::kExecuted, {}, {}, reply, 0});
    });
    plane->flush();
    client.receive();
    return client.texts.size() == 2;
  }));

  EXPECT_EQ(client.codes[1], ErrorCode::kTooLarge);
  EXPECT_EQ(client.texts[2].size(), largest.size());
  EXPECT_EQ(plane->counters().replies_too_large, 1U);
}

TEST_F(ClientPlanes, PingsAreAnsweredWithoutTheHandler) {
  const std::string text;
  BareClient client(context, plane->bound_address());
  client.send({request(1, text, RequestKind::kPing)});
  ASSERT_TRUE(serve_until([&] { return client.receive() == 1; }));
  EXPECT_EQ(handled, 0U);
  EXPECT_EQ(plane->counters().pings_in, 1U);
}

TEST_F(ClientPlanes, ABadRequestIsToldByItsTokenAndTheOthersAreServed) {
  const std::string text = "text";
  BareClient client(context, plane->bound_address());
  client.send({request(1, text), request(2, text, static_cast<RequestKind>(99))});
  ASSERT_TRUE(serve_until([&] {
    client.receive();
    return client.texts.size() == 2;
  }));
  EXPECT_EQ(client.texts[1], "text");
  EXPECT_EQ(client.codes[2], ErrorCode::kUnsupported);
  EXPECT_EQ(plane->counters().refusals[Refusal::kBadRequest], 1U);
}

TEST_F(ClientPlanes, DamagedMessagesAreCountedAndUnanswered) {
  const std::string text = "text", garbage = "no message of ours, but long enough for an envelope!";
  BareClient client(context, plane->bound_address());
  ClientMessageWriter writer(cluster());
  const std::vector<ClientRequest> requests = {request(1, text)};
  const Bytes good = writer.encode(requests);
  std::vector<std::byte> flipped(good.begin(), good.end());
  flipped.back() ^= std::byte{1};
  client.send_bytes(flipped);
  client.send_bytes(bytes_of(garbage));
  client.send_bytes({});
  client.send_bytes(good);

  ASSERT_TRUE(serve_until([&] { return client.receive() > 0; }));

  EXPECT_EQ(client.texts.size(), 1U);
  EXPECT_EQ(plane->counters().refusals[Refusal::kWrongChecksum], 1U);
  EXPECT_EQ(plane->counters().refusals[Refusal::kWrongMagic], 1U);
  EXPECT_EQ(plane->counters().refusals[Refusal::kTooShort], 1U);
}

TEST_F(ClientPlanes, AnotherClusterIsToldUnderTheNameOfThisOne) {
  const std::string text = "text";
  BareClient lost(context, plane->bound_address(), cluster(1));
  lost.send({request(1, text)});
  ASSERT_TRUE(serve_until([&] { return lost.receive() == 1; }));
  EXPECT_EQ(handled, 0U);
  EXPECT_EQ(lost.codes[0], ErrorCode::kWrongIdentity);
  EXPECT_EQ(plane->counters().refusals[Refusal::kWrongCluster], 1U);
}

TEST_F(ClientPlanes, TooLargeMessagesEndTheirConnectionAndNoOther) {
  RawPeer hostile(plane->bound_address());
  ASSERT_TRUE(hostile.connected());
  hostile.shake_hands();
  hostile.announce(kClientMessageBytesMax + 1);
  hostile.write(std::string(kClientMessageBytesMax + 1, 'x'));
  EXPECT_TRUE(hostile.wait_until_closed());

  const std::string text = "text";
  BareClient client(context, plane->bound_address());
  client.send({request(1, text)});
  ASSERT_TRUE(serve_until([&] { return client.receive() == 1; }));
  EXPECT_EQ(plane->counters().messages_in, 1U) << "the large one was not even delivered";
}

TEST_F(ClientPlanes, SeveralFramesAndChosenRoutesAreCounted) {
  RawPeer several(plane->bound_address());
  several.shake_hands();
  several.send_frame("one", true);
  several.send_frame("two");
  RawPeer named(plane->bound_address());
  named.shake_hands("a-name-of-its-own");
  named.send_frame("hello");

  ASSERT_TRUE(serve_until([&] {
    return plane->counters().refusals[Refusal::kExtraFrames] == 1 &&
           plane->counters().refusals[Refusal::kForeignRoute] == 1;
  }));
  EXPECT_EQ(handled, 0U);
}

TEST_F(ClientPlanes, AReplyToAClientThatHasGoneIsDroppedAndCounted) {
  const std::string text = "text";
  auto client = std::make_unique<BareClient>(context, plane->bound_address());
  client->send({request(1, text)});
  ClientId gone;
  ASSERT_TRUE(eventually(
      [&] { return plane->receive([&](ClientId id, const ClientRequest&) { gone = id; }) > 0; }));
  client.reset();

  ASSERT_TRUE(eventually([&] {
    plane->receive([](ClientId, const ClientRequest&) {});
    plane->reply(gone, {1, OutcomeKind::kExecuted, {}, {}, {}, 0});
    plane->flush();
    return plane->counters().replies_dropped_unreachable > 0;
  }));
}

TEST_F(ClientPlanes, AClientThatReadsNoAnswersIsHeldToABudgetOfBytes) {
  ClientPlaneOptions options;
  options.held_bytes_max = std::size_t{1} << 20;
  plane = open_plane(context, options);
  const RawPeer client(plane->bound_address());
  client.shake_hands();
  BareClient other(context, plane->bound_address());
  ClientMessageWriter writer(cluster());
  const std::string large(200 * 1024, 'x'), small = "small";
  const auto ask = [&](RequestToken token) {
    const std::vector<ClientRequest> requests{request(token, large)};
    client.send_long_frame(text_of(writer.encode(requests)));
  };

  // 40 MB of answers, in fewer messages than would ever fill a queue.
  for (RequestToken token = 1; token <= 200; ++token) {
    ask(token);
    ASSERT_TRUE(serve_until([&] { return handled == token; }));
  }
  EXPECT_GE(plane->counters().replies_dropped_would_block, 100U);

  other.send({request(1, small)});
  ASSERT_TRUE(serve_until([&] { return other.receive() > 0; })) << "others are served";
  const std::uint64_t sent = 200 - plane->counters().replies_dropped_would_block;
  for (std::uint64_t i = 0; i < sent; ++i) ASSERT_GT(client.read_frame().size(), large.size());
  ask(1000);
  ASSERT_TRUE(serve_until([&] { return handled == 202; }));
  ClientMessageReader reader(cluster());
  const std::string again = client.read_frame();
  ASSERT_EQ(reader.open_replies(bytes_of(again)), std::nullopt);
  EXPECT_EQ(reader.replies().front().token, 1000U) << "it is served again";
}

TEST_F(ClientPlanes, AMessageOfManyRequestsIsTakenInPartsWhenTheHandlerPauses) {
  BareClient client(context, plane->bound_address());
  std::vector<ClientRequest> requests;
  const std::string question = "q";  // The requests refer to it.
  for (RequestToken token = 1; token <= 100; ++token) requests.push_back(request(token, question));
  client.send(requests);

  ASSERT_TRUE(eventually([&] {
    const std::size_t so_far = handled;
    plane->receive([&](ClientId asking, const ClientRequest& r) {
      ++handled;
      plane->reply(asking, {r.token, OutcomeKind::kExecuted, {}, {}, r.payload, 0});
      plane->pause();
    });
    EXPECT_LE(handled, so_far + 1) << "a pause ends the turn";
    plane->flush();
    client.receive();
    return client.texts.size() == 100;
  }));

  EXPECT_EQ(handled, 100U) << "each exactly once";
  EXPECT_EQ(plane->counters().requests_in, 100U);
  EXPECT_EQ(plane->counters().messages_in, 1U);
}

TEST_F(ClientPlanes, AQuestionOfAClientThatReadsNoAnswersIsNotAnsweredAtAll) {
  ClientPlaneOptions options;
  options.held_bytes_max = std::size_t{2} << 20;
  plane = open_plane(context, options);
  const RawPeer client(plane->bound_address());
  client.shake_hands();
  std::vector<ClientRequest> questions;
  const std::string nothing;
  for (RequestToken token = 1; token <= 1000; ++token) {
    questions.push_back(request(token, nothing, RequestKind::kQuery));
  }
  const std::string large(900 * 1024, 'x');
  ClientMessageWriter writer(cluster());
  client.send_long_frame(text_of(writer.encode(questions)));

  ASSERT_TRUE(eventually([&] {
    plane->receive([&](ClientId asking, const ClientRequest& r) {
      ++handled;
      plane->reply(asking, {r.token, OutcomeKind::kExecuted, {}, {}, bytes_of(large), 0});
    });
    return plane->counters().messages_in == 1;
  }));

  EXPECT_LT(handled, 500U);
  EXPECT_EQ(plane->counters().replies_dropped_would_block, 1000 - handled);
}

TEST(ClientPlane, WhoConnectsBeyondTheBoundIsDisconnectedAndTheOthersAreServed) {
  Context context;
  ClientPlaneOptions options;
  options.connections_max = 2;
  const auto plane = open_plane(context, options);
  const auto counted = [&](std::uint64_t open, std::uint64_t refused) {
    return eventually([&] {
      plane->look_at_connections();
      return plane->counters().connections == open &&
             plane->counters().refused_connections == refused;
    });
  };
  auto first = std::make_unique<RawPeer>(plane->bound_address());
  const RawPeer second(plane->bound_address());
  first->shake_hands();
  second.shake_hands();
  ASSERT_TRUE(counted(2, 0));

  const RawPeer third(plane->bound_address());
  EXPECT_TRUE(counted(2, 1));
  EXPECT_TRUE(third.wait_until_closed());

  first->send_frame("not of ours");
  second.send_frame("not of ours");
  EXPECT_TRUE(eventually([&] {
    plane->receive([](ClientId, const ClientRequest&) {});
    return plane->counters().messages_in == 2;
  }));

  first.reset();
  EXPECT_TRUE(counted(1, 1));
  const RawPeer fourth(plane->bound_address());
  fourth.shake_hands();
  EXPECT_TRUE(counted(2, 1));
  fourth.send_frame("not of ours");
  EXPECT_TRUE(eventually([&] {
    plane->receive([](ClientId, const ClientRequest&) {});
    return plane->counters().messages_in == 3;
  }));
}

TEST(ClientPlane, WhoeverComesOrGoesWakesAnIdleLoop) {
  Context context;
  const auto plane = open_plane(context);
  Poller poller;
  const std::size_t changed = poller.add(plane->connections_changed());
  const auto woken_until = [&](std::uint64_t open) {
    while (plane->counters().connections != open) {
      poller.wait(20'000'000);
      if (!poller.ready(changed)) return false;
      plane->look_at_connections();
    }
    return true;
  };
  auto first = std::make_unique<RawPeer>(plane->bound_address());
  EXPECT_TRUE(woken_until(1));
  const RawPeer second(plane->bound_address());
  EXPECT_TRUE(woken_until(2));
  first.reset();
  EXPECT_TRUE(woken_until(1));
}

TEST(ClientPlane, TheBoundOfConnectionsHoldsOnAUnixSocketToo) {
  Context context;
  ClientPlaneOptions options;
  options.address = "ipc:///tmp/epaxos-connections-" + std::to_string(::getpid());
  options.cluster = cluster();
  options.connections_max = 1;
  const auto opened = ClientPlane::open(context, options);
  ASSERT_TRUE(opened) << opened.error().message;
  const auto& plane = *opened;
  BareClient first(context, options.address);
  ASSERT_TRUE(eventually([&] {
    plane->look_at_connections();
    return plane->counters().connections == 1;
  }));

  const BareClient second(context, options.address);

  EXPECT_TRUE(eventually([&] {
    plane->look_at_connections();
    return plane->counters().refused_connections > 0;
  }));
  EXPECT_EQ(plane->counters().connections, 1U);
  ::unlink(options.address.c_str() + std::string_view("ipc://").size());
}

TEST(ClientPlane, ATakenPortIsNamed) {
  Context context;
  const auto plane = open_plane(context);
  ClientPlaneOptions options;
  options.address = plane->bound_address();
  const auto again = ClientPlane::open(context, options);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kBusy);
}

}  // namespace
}  // namespace epaxos::net
