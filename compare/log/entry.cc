#include "compare/log/entry.h"

#include <cstring>

#include "deps/types/check.h"

namespace epaxos::compare {
namespace {

struct Header {
  std::uint64_t round;
  std::uint64_t life;
  std::uint64_t sequence;
  std::uint16_t proposer;
  std::uint16_t zero;
  std::uint32_t block_bytes;
};
static_assert(sizeof(Header) == kEntryHeaderBytes);

}  // namespace

void encode_entry(const Entry& entry, std::span<std::byte> out) {
  check(out.size() == kEntryHeaderBytes + entry.block.size(), "an entry has exactly its room");
  check(entry.origin.is_nobody() == entry.block.empty(), "only a Nop has no commands");
  const Header header{entry.round,
                      entry.origin.life,
                      entry.origin.sequence,
                      entry.origin.proposer.value(),
                      0,
                      static_cast<std::uint32_t>(entry.block.size())};
  std::memcpy(out.data(), &header, sizeof header);
  copy_bytes(entry.block, out.data() + sizeof header);
}

bool take_entry(Bytes& bytes, int replicas, Entry& out) {
  Header header;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  const bool is_nop = header.sequence == 0;
  if (header.zero != 0 || header.proposer >= replicas || header.block_bytes % 8 != 0 ||
      header.block_bytes > kBlockBytesMax || header.block_bytes > bytes.size() - sizeof header ||
      is_nop != (header.block_bytes == 0) || is_nop != (header.life == 0) ||
      (is_nop && header.proposer != 0)) {
    return false;
  }
  out = {header.round,
         {ReplicaId(header.proposer), header.life, header.sequence},
         bytes.subspan(sizeof header, header.block_bytes)};
  bytes = bytes.subspan(sizeof header + header.block_bytes);
  return true;
}

std::uint64_t round_of(Bytes encoded) {
  std::uint64_t round = 0;
  std::memcpy(&round, encoded.data(), sizeof round);
  return round;
}

}  // namespace epaxos::compare
