#include "compare/log/entry.h"

#include <cstddef>
#include <cstring>

#include "deps/types/check.h"

namespace epaxos::compare {
namespace {

struct Header {
  std::uint64_t round;
  std::uint64_t life;
  std::uint64_t sequence;
  std::uint16_t proposer;
  std::uint16_t kind;
  std::uint32_t block_bytes;
};
static_assert(sizeof(Header) == kEntryHeaderBytes);

bool is_block(const Header& header) {
  const bool is_nop = header.sequence == 0;
  return header.block_bytes % 8 == 0 && header.block_bytes <= kBlockBytesMax &&
         is_nop == (header.block_bytes == 0);
}

bool is_members(const Header& header, Bytes block, int replicas) {
  Members members;
  return header.sequence == 0 && block.size() == kMembersBytes &&
         unpack(number_from<std::uint64_t>(block).value_or(0), replicas, members);
}

}  // namespace

void encode_entry(const Entry& entry, std::span<std::byte> out) {
  check(out.size() == kEntryHeaderBytes + entry.block.size(), "an entry has exactly its room");
  check(entry.kind == EntryKind::kCommands, "who belongs to the group is not written like this");
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

void encode_members(std::uint64_t round, const Members& members, std::span<std::byte> out) {
  check(out.size() == kEntryHeaderBytes + kMembersBytes, "an entry has exactly its room");
  const Header header{round,        0, 0, 0, static_cast<std::uint16_t>(EntryKind::kMembers),
                      kMembersBytes};
  const std::uint64_t number = packed(members);
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, &number, sizeof number);
}

bool take_entry(Bytes& bytes, int replicas, Entry& out) {
  Header header;
  if (bytes.size() < sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  const bool is_nobodys = header.sequence == 0;
  if (header.proposer >= replicas || header.block_bytes > bytes.size() - sizeof header ||
      is_nobodys != (header.life == 0) || (is_nobodys && header.proposer != 0)) {
    return false;
  }
  out = {header.round,
         {ReplicaId(header.proposer), header.life, header.sequence},
         bytes.subspan(sizeof header, header.block_bytes),
         static_cast<EntryKind>(header.kind)};
  bytes = bytes.subspan(sizeof header + header.block_bytes);
  switch (out.kind) {
    case EntryKind::kCommands:
      return is_block(header);
    case EntryKind::kMembers:
      return is_members(header, out.block, replicas);
  }
  return false;
}

std::uint64_t round_of(Bytes encoded) {
  std::uint64_t round = 0;
  std::memcpy(&round, encoded.data(), sizeof round);
  return round;
}

bool members_of(Bytes encoded, Members& out) {
  std::uint16_t kind = 0;
  std::memcpy(&kind, encoded.data() + offsetof(Header, kind), sizeof kind);
  if (kind != static_cast<std::uint16_t>(EntryKind::kMembers)) return false;
  const auto number = number_from<std::uint64_t>(encoded.subspan(kEntryHeaderBytes));
  return number && unpack(*number, kReplicasMax, out);
}

}  // namespace epaxos::compare
