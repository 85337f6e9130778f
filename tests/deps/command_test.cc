// The block of bytes in which the commands of one instance travel.

#include "deps/types/command.h"

#include <vector>

#include <gtest/gtest.h>

namespace epaxos {
namespace {

std::vector<std::byte> block_of(std::size_t payload_bytes) {
  const std::vector<std::byte> payload(payload_bytes, std::byte{0x2a});
  const std::vector<Proposal> proposals{{{{1, 2}, 0, false, payload}, Footprint::write("key")}};
  const Footprint footprint = merged_footprint(proposals);
  std::vector<std::byte> block(block_bytes(proposals, footprint));
  encode_block(proposals, footprint, block);
  return block;
}

// Replicas compare proposals byte by byte, so the same commands must not have two encodings.
TEST(Block, PaddingThatIsNotZeroIsRefused) {
  for (const std::size_t payload_bytes : {1u, 7u, 8u, 9u}) {
    std::vector<std::byte> block = block_of(payload_bytes);
    EXPECT_TRUE(decode_block_footprint(block)) << payload_bytes;

    block.back() = std::byte{1};

    EXPECT_EQ(decode_block_footprint(block).has_value(), payload_bytes % 8 == 0) << payload_bytes;
  }
}

}  // namespace
}  // namespace epaxos
