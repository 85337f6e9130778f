// What clients and replicas say to each other: a message of anybody is refused or shown, and what
// was shown can be encoded and reads the same again.

#include <algorithm>

#include "deps/types/check.h"
#include "net/client_message.h"
#include "tests/fuzz/input.h"

namespace epaxos::fuzz {
namespace {

constexpr net::ClusterId kCluster{std::byte{7}};

bool same(Bytes a, Bytes b) {
  return std::ranges::equal(a, b);
}

void check_same(const net::ClientRequest& a, const net::ClientRequest& b) {
  check(a.token == b.token && a.kind == b.kind, "a request has another token or kind");
  check(a.reads_only == b.reads_only, "a request reads only, or not any more");
  check(a.deadline_us == b.deadline_us, "a request has another deadline");
  check(a.id == b.id, "a request has another id");
  check(a.acknowledged_up_to == b.acknowledged_up_to, "a request acknowledges something else");
  check(same(a.payload, b.payload), "a request has another payload");
}

void check_same(const net::ClientReply& a, const net::ClientReply& b) {
  check(a.token == b.token && a.kind == b.kind, "a reply has another token or kind");
  check(a.execution_wait_us == b.execution_wait_us, "a reply waited another time");
  check(a.code == b.code && a.reason == b.reason, "a reply has another reason");
  check(same(a.reply, b.reply), "a reply has other bytes");
}

void read_requests(Bytes message) {
  net::ClientMessageReader reader(kCluster);
  if (reader.open_requests(message)) return;
  const auto requests = reader.requests();
  check(requests.size() + reader.bad_requests().size() <= net::kClientBatchMax,
        "a message held more requests than it may");
  std::size_t bytes = net::kClientMessageOverheadBytes;
  for (const net::ClientRequest& request : requests) {
    bytes += net::request_bytes(request.payload.size());
  }
  if (requests.empty() || bytes > net::kClientMessageBytesMax) return;
  net::ClientMessageWriter writer(kCluster);
  net::ClientMessageReader again(kCluster);
  check(!again.open_requests(writer.encode(requests)), "our own requests are refused");
  check(again.requests().size() == requests.size(), "a request got lost");
  for (std::size_t i = 0; i < requests.size(); ++i) check_same(requests[i], again.requests()[i]);
}

void read_replies(Bytes message) {
  net::ClientMessageReader reader(kCluster);
  if (reader.open_replies(message)) return;
  const auto replies = reader.replies();
  check(replies.size() <= net::kClientBatchMax, "a message held more replies than it may");
  std::size_t bytes = net::kClientMessageOverheadBytes;
  for (const net::ClientReply& reply : replies) {
    bytes += net::reply_bytes(reply.reply.size(), reply.reason.size());
  }
  if (replies.empty() || bytes > net::kReplyMessageBytesMax) return;
  net::ClientMessageWriter writer(kCluster);
  net::ClientMessageReader again(kCluster);
  check(!again.open_replies(writer.encode(replies)), "our own replies are refused");
  check(again.replies().size() == replies.size(), "a reply got lost");
  for (std::size_t i = 0; i < replies.size(); ++i) check_same(replies[i], again.replies()[i]);
}

void run(Input& input) {
  const bool replies = input.flag();
  const std::uint8_t how = input.byte();
  // Either the whole message as it is, at any alignment; or a body behind an envelope that is
  // right.
  const std::size_t shift = how / 2 % 8;
  const std::size_t head = how % 2 == 0 ? 0 : sizeof(net::Envelope);
  const Bytes body = input.rest();
  std::vector<std::byte> message(head + body.size() / 8 * 8);
  std::copy_n(body.begin(), message.size() - head,
              message.begin() + static_cast<std::ptrdiff_t>(head));
  if (head > 0) net::seal(message, replies ? net::kReplyMagic : net::kRequestMagic, kCluster);
  message.insert(message.begin(), shift, std::byte{0});
  const Bytes moved = Bytes(message).subspan(shift);
  if (replies) {
    read_replies(moved);
  } else {
    read_requests(moved);
  }
}

}  // namespace
}  // namespace epaxos::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  epaxos::fuzz::run(input);
  return 0;
}
