// Every message between replicas: any bytes are refused or decoded, and what was decoded gives the
// same values after it was encoded again. Blocks are decoded too where a handler would.

#include <algorithm>

#include "deps/types/check.h"
#include "epaxos/protocol/message_codec.h"
#include "tests/fuzz/input.h"

namespace epaxos::protocol {
namespace {

void read_block(Bytes block) {
  const Result<Footprint> footprint = decode_block_footprint(block);
  if (!footprint) return;
  std::vector<Command> commands;
  decode_block_commands(block, commands);
  check(commands.size() == block_command_count(block), "a block has another number of commands");
  std::vector<Proposal> proposals;
  for (const Command& command : commands) proposals.push_back({command, *footprint});
  // A block has one encoding only: replicas compare proposals byte by byte.
  if (proposals.empty()) return;
  check(block_bytes(proposals, *footprint) == block.size(), "a block has another size");
  std::vector<std::uint64_t> again(block.size() / 8);
  const auto out = std::as_writable_bytes(std::span(again));
  encode_block(proposals, *footprint, out);
  check(std::ranges::equal(out, block), "a block that was decoded is encoded differently");
}

/// A block's bytes behind a body are aligned as the body is.
template <class Message>
void read_block_of(const Message& message) {
  if constexpr (requires { message.block; }) read_block(message.block);
}

template <class Message>
void read(Bytes body, int rows) {
  Message message;
  if (!decode(body, rows, message)) return;
  read_block_of(message);
  Effects first;
  const Slice once = encode(message, first);
  const fuzz::Exact copy(first.view(once));
  Message same;
  check(decode(copy.bytes(), rows, same), "a message that was encoded does not decode");
  // Messages have no equality of their own; their encoding is canonical.
  Effects second;
  const Slice twice = encode(same, second);
  check(std::ranges::equal(first.view(once), second.view(twice)),
        "a message changed on its way through the codec");
}

void run(fuzz::Input& input) {
  const unsigned type = input.below(kMessageTypes);
  const int rows = 1 + static_cast<int>(input.below(kReplicasMax));
  const fuzz::Exact body(input.rest());
  const auto with = [&]<class Message>(Message) {
    if (static_cast<unsigned>(Message::kType) == type) read<Message>(body.bytes(), rows);
  };
  const auto each = [&](auto... messages) { (with(messages), ...); };
  each(PreAccept(), PreAcceptOk(), Accept(), AcceptOk(), Commit(), Nack(), Recover(), RecoverOk(),
       Validate(), ValidateOk(), Waiting(), Status(), FetchRange(), RangeEnd(), Learn(), Frontier(),
       Truncated(), Fence(), Unfence(), VectorFloor());
}

}  // namespace
}  // namespace epaxos::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  epaxos::protocol::run(input);
  return 0;
}
