#include "net/client_message.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/net/support.h"

namespace epaxos::net {
namespace {

ClusterId cluster(unsigned char fill = 0x5a) {
  ClusterId id;
  id.fill(std::byte{fill});
  return id;
}

Bytes bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::byte> copy(Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

ClientRequest request_of(RequestToken token, const std::string& payload) {
  ClientRequest request;
  request.token = token;
  request.kind = RequestKind::kPropose;
  request.reads_only = true;
  request.deadline_us = 1'000'000;
  request.id = {11, 12};
  request.acknowledged_up_to = 10;
  request.payload = bytes_of(payload);
  return request;
}

std::vector<std::byte> message_of(std::span<const ClientRequest> requests) {
  ClientMessageWriter writer(cluster());
  return copy(writer.encode(requests));
}

std::optional<Refusal> verdict_on_requests(Bytes message) {
  ClientMessageReader reader(cluster());
  return reader.open_requests(message);
}

TEST(ClientMessage, RequestsComeBackAsTheyWent) {
  const std::string first = "first", second(1000, 'x'), third;
  const std::vector<ClientRequest> sent = {request_of(1, first), request_of(2, second),
                                           request_of(3, third)};
  ClientMessageReader reader(cluster());
  const auto message = message_of(sent);
  ASSERT_EQ(reader.open_requests(message), std::nullopt);

  ASSERT_EQ(reader.requests().size(), 3U);
  EXPECT_TRUE(reader.bad_requests().empty());
  const ClientRequest& got = reader.requests()[1];
  EXPECT_EQ(got.token, 2U);
  EXPECT_EQ(got.kind, RequestKind::kPropose);
  EXPECT_TRUE(got.reads_only);
  EXPECT_EQ(got.deadline_us, 1'000'000U);
  EXPECT_EQ(got.id, (CommandId{11, 12}));
  EXPECT_EQ(got.acknowledged_up_to, 10U);
  EXPECT_EQ(text_of(got.payload), second);
  EXPECT_EQ(text_of(reader.requests()[0].payload), first);
  EXPECT_TRUE(reader.requests()[2].payload.empty());
}

TEST(ClientMessage, RepliesComeBackAsTheyWent) {
  const std::string answer = "answer";
  const std::vector<ClientReply> sent = {
      {7, OutcomeKind::kExecuted, {}, {}, bytes_of(answer), 250},
      {8, OutcomeKind::kRejected, ErrorCode::kUnsupported, "Not here.", {}, 0},
      {9, OutcomeKind::kUnknown, ErrorCode::kDeadline, "Too late.", {}, 0}};
  ClientMessageWriter writer(cluster());
  ClientMessageReader reader(cluster());

  ASSERT_EQ(reader.open_replies(writer.encode(sent)), std::nullopt);

  ASSERT_EQ(reader.replies().size(), 3U);
  EXPECT_EQ(reader.replies()[0].token, 7U);
  EXPECT_EQ(reader.replies()[0].kind, OutcomeKind::kExecuted);
  EXPECT_EQ(text_of(reader.replies()[0].reply), answer);
  EXPECT_EQ(reader.replies()[0].execution_wait_us, 250U);
  EXPECT_EQ(reader.replies()[1].kind, OutcomeKind::kRejected);
  EXPECT_EQ(reader.replies()[1].code, ErrorCode::kUnsupported);
  EXPECT_EQ(reader.replies()[1].reason, "Not here.");
  EXPECT_EQ(reader.replies()[2].kind, OutcomeKind::kUnknown);
  EXPECT_EQ(reader.replies()[2].code, ErrorCode::kDeadline);
}

TEST(ClientMessage, AWriterLeavesNoTracesOfTheMessageBefore) {
  const std::string large(5000, 'x'), small = "y";
  ClientMessageWriter writer(cluster());
  const std::vector<ClientRequest> first = {request_of(1, large), request_of(2, large)};
  const std::vector<ClientRequest> second = {request_of(3, small)};

  (void)writer.encode(first);
  const auto again = copy(writer.encode(second));

  EXPECT_EQ(again, message_of(second));
}

TEST(ClientMessage, EveryAlignmentIsRead) {
  const std::string payload = "payload";
  const auto message = message_of(std::vector{request_of(1, payload)});
  for (std::size_t offset = 0; offset < 8; ++offset) {
    std::vector<std::byte> memory(message.size() + 8);
    std::copy(message.begin(), message.end(), memory.begin() + static_cast<std::ptrdiff_t>(offset));
    EXPECT_EQ(verdict_on_requests(Bytes(memory).subspan(offset, message.size())), std::nullopt)
        << offset;
  }
}

TEST(ClientMessage, EveryTruncationAndEveryFlippedBitIsRefused) {
  const std::string payload = "payload";
  const auto message = message_of(std::vector{request_of(1, payload)});
  for (std::size_t size = 0; size < message.size(); ++size) {
    EXPECT_TRUE(verdict_on_requests(Bytes(message).first(size)).has_value()) << size;
  }
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    auto flipped = message;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_TRUE(verdict_on_requests(flipped).has_value()) << "bit " << bit;
  }
}

TEST(ClientMessage, AnotherClusterAndTheOtherDirectionAreNamed) {
  const std::string payload = "payload";
  const std::vector<ClientRequest> requests = {request_of(1, payload)};
  ClientMessageWriter stranger(cluster(1));
  EXPECT_EQ(verdict_on_requests(stranger.encode(requests)), Refusal::kWrongCluster);
  ClientMessageReader reader(cluster());
  EXPECT_EQ(reader.open_replies(message_of(requests)), Refusal::kWrongMagic);
}

TEST(ClientMessage, AnUnknownKindIsRefusedAloneAndByItsToken) {
  const std::string payload = "payload";
  std::vector<ClientRequest> requests = {request_of(1, payload), request_of(2, payload)};
  requests[1].kind = static_cast<RequestKind>(77);
  ClientMessageReader reader(cluster());
  const auto message = message_of(requests);

  ASSERT_EQ(reader.open_requests(message), std::nullopt);

  ASSERT_EQ(reader.requests().size(), 1U);
  EXPECT_EQ(reader.requests()[0].token, 1U);
  ASSERT_EQ(reader.bad_requests().size(), 1U);
  EXPECT_EQ(reader.bad_requests()[0].token, 2U);
  EXPECT_EQ(reader.bad_requests()[0].code, ErrorCode::kUnsupported);
}

TEST(ClientMessage, ARequestWithoutATokenIsMalformed) {
  const std::string payload;
  EXPECT_EQ(verdict_on_requests(message_of(std::vector{request_of(0, payload)})),
            Refusal::kMalformed);
}

TEST(ClientMessage, ALargestPayloadTravels) {
  const std::string payload(kClientPayloadBytesMax, 'x');
  EXPECT_EQ(verdict_on_requests(message_of(std::vector{request_of(1, payload)})), std::nullopt);
  EXPECT_EQ(verdict_on_requests(std::vector<std::byte>(kClientMessageBytesMax + 8)),
            Refusal::kTooLarge);
}

TEST(ClientMessage, BodiesThatAreNoMessageAreMalformedUnderAValidEnvelope) {
  const auto sealed = [](std::size_t bytes, std::uint32_t segments, std::uint32_t words) {
    std::vector<std::byte> message(sizeof(Envelope) + bytes);
    if (bytes >= 8) {
      std::memcpy(message.data() + sizeof(Envelope), &segments, 4);
      std::memcpy(message.data() + sizeof(Envelope) + 4, &words, 4);
    }
    seal(message, kRequestMagic, cluster());
    return message;
  };
  EXPECT_EQ(verdict_on_requests(sealed(0, 0, 0)), Refusal::kMalformed) << "no body";
  EXPECT_EQ(verdict_on_requests(sealed(8, 0, 0)), Refusal::kMalformed) << "only a table";
  EXPECT_EQ(verdict_on_requests(sealed(16, 0, 1)), Refusal::kMalformed)
      << "a null root: an empty batch";
  EXPECT_EQ(verdict_on_requests(sealed(16, 0, 2)), Refusal::kMalformed)
      << "a table that says too much";
  EXPECT_EQ(verdict_on_requests(sealed(24, 0, 1)), Refusal::kMalformed) << "trailing bytes";
  EXPECT_EQ(verdict_on_requests(sealed(64, 0xffffffff, 1)), Refusal::kMalformed)
      << "segments without end";
  EXPECT_EQ(verdict_on_requests(sealed(64, 8, 1)), Refusal::kMalformed) << "too many segments";
}

/// Two hundred requests, of which `bent` more than the first have its payload of 128 KiB: their
/// pointers are bent to it.
std::vector<std::byte> shared_payload(std::size_t bent) {
  const std::string large(128 * 1024, 'x'), small(8, 'y');
  std::vector<ClientRequest> requests = {request_of(1, large)};
  for (RequestToken token = 2; token <= 200; ++token) requests.push_back(request_of(token, small));
  auto message = message_of(requests);
  const std::size_t structs = sizeof(Envelope) + 8 + 24;  // Table; root, list pointer, tag.
  constexpr std::size_t kStruct = 7 * 8;                  // Six words of data, one pointer.
  std::uint64_t pointer = 0;
  std::memcpy(&pointer, message.data() + structs + 48, 8);
  for (std::size_t i = 1; i <= bent; ++i) {
    const std::uint64_t nearer = pointer - (std::uint64_t{i * kStruct / 8} << 2);
    std::memcpy(message.data() + structs + i * kStruct + 48, &nearer, 8);
  }
  seal(message, kRequestMagic, cluster());
  return message;
}

TEST(ClientMessage, ManyRequestsOfOnePayloadDoNotMultiplyIt) {
  EXPECT_EQ(verdict_on_requests(shared_payload(1)), std::nullopt)
      << "the pointers are bent correctly";
  EXPECT_EQ(verdict_on_requests(shared_payload(199)), Refusal::kMalformed);
}

TEST(ClientMessage, MutatedMessagesNeverCrashAndNeverShowWhatIsOverALimit) {
  std::mt19937_64 random(1);
  const std::string payload = "payload", longer(300, 'x');
  const auto request_message =
      message_of(std::vector{request_of(1, payload), request_of(2, longer)});
  ClientMessageWriter writer(cluster());
  const std::vector<ClientReply> sent = {
      {7, OutcomeKind::kExecuted, {}, {}, bytes_of(longer), 250},
      {8, OutcomeKind::kRejected, ErrorCode::kOverloaded, "Full.", {}, 0}};
  const auto reply_message = copy(writer.encode(sent));
  ClientMessageReader reader(cluster());
  std::size_t accepted = 0;

  for (int round = 0; round < 100'000; ++round) {
    const bool is_request = round % 2 == 0;
    auto bytes = is_request ? request_message : reply_message;
    for (std::uint64_t changes = random() % 6 + 1; changes > 0; --changes) {
      // Mostly the pointers and sizes at the front.
      const std::size_t span = random() % 2 == 0 ? 160 : bytes.size() - sizeof(Envelope);
      const std::size_t at = sizeof(Envelope) + random() % std::min(span, bytes.size() - 40);
      bytes[at] = random() % 2 == 0 ? static_cast<std::byte>(random())
                                    : bytes[at] ^ (std::byte{1} << (random() % 8));
    }
    seal(bytes, is_request ? kRequestMagic : kReplyMagic, cluster());
    const auto refusal = is_request ? reader.open_requests(bytes) : reader.open_replies(bytes);
    if (refusal) {
      ASSERT_EQ(*refusal, Refusal::kMalformed);
      ASSERT_TRUE(reader.requests().empty() || !is_request);
      continue;
    }
    ++accepted;
    std::size_t seen = 0;
    for (const ClientRequest& r : reader.requests()) {
      ASSERT_LT(static_cast<std::uint16_t>(r.kind), kRequestKinds);
      for (const std::byte b : r.payload) seen += std::to_integer<std::size_t>(b);
    }
    for (const ClientReply& r : reader.replies()) {
      ASSERT_LE(r.reason.size(), kReasonBytesMax);
      for (const std::byte b : r.reply) seen += std::to_integer<std::size_t>(b);
      for (const char c : r.reason) seen += static_cast<std::size_t>(c & 1);
    }
    ASSERT_LT(seen, SIZE_MAX);
  }
  EXPECT_GT(accepted, 1000U) << "the mutations are too coarse to reach the fields";
}

}  // namespace
}  // namespace epaxos::net
