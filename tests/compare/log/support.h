#pragma once

// Builders of entries for tests of protocols with a log.

#include <string_view>
#include <vector>

#include "compare/log/entry.h"

namespace epaxos::compare {

/// A block of one command that writes this key.
inline std::vector<std::byte> block_of(std::string_view key, std::uint64_t number = 1,
                                       std::string_view payload = "payload") {
  const Proposal proposal{{{7, number}, 0, false, epaxos::bytes_of(payload)},
                          Footprint::write(key)};
  std::vector<std::byte> block(block_bytes({&proposal, 1}, proposal.footprint));
  encode_block({&proposal, 1}, proposal.footprint, block);
  return block;
}

inline std::vector<std::byte> encoded(const Entry& entry) {
  std::vector<std::byte> bytes(kEntryHeaderBytes + entry.block.size());
  encode_entry(entry, bytes);
  return bytes;
}

/// An entry with a block of one command; its key is the sequence number.
inline std::vector<std::byte> entry_of(std::uint64_t round, ReplicaId proposer,
                                       std::uint64_t sequence, std::uint64_t life = 1) {
  const std::vector<std::byte> block = block_of(std::to_string(sequence), sequence);
  return encoded({round, {proposer, life, sequence}, block});
}
inline std::vector<std::byte> members_entry(std::uint64_t round, const Members& members) {
  std::vector<std::byte> bytes(kEntryHeaderBytes + kMembersBytes);
  encode_members(round, members, bytes);
  return bytes;
}
inline std::vector<std::byte> nop_of(std::uint64_t round) {
  return encoded({round, {}, {}});
}

}  // namespace epaxos::compare
