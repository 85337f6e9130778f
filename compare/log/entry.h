#pragma once

// An entry of a replicated log, and the bytes in which it is stored, sent and kept: they are
// written once, by the leader, and are the same on every disk and in every message.
//
// Layout, little-endian, a multiple of 8 bytes:
//   u64 round, u64 life, u64 sequence, u16 proposer, u16 kind, u32 block bytes
//   the block of commands (deps/types/command.h), empty in a Nop; or 8 bytes: packed(members)

#include <cstddef>
#include <cstdint>
#include <span>

#include "compare/log/members.h"
#include "deps/types/command.h"
#include "deps/types/ids.h"

namespace epaxos::compare {

/// Which block of commands: the `sequence`-th, from 1, that `proposer` named in this life. Lives of
/// a replica ascend. However often a block is sent to a leader, it is executed once.
struct Origin {
  ReplicaId proposer;
  std::uint64_t life = 0;
  std::uint64_t sequence = 0;  ///< 0: nobody's; the entry is a Nop.

  [[nodiscard]] bool is_nobody() const { return sequence == 0; }
  friend bool operator==(const Origin&, const Origin&) = default;
};

/// What an entry is for. The numbers are part of the format.
enum class EntryKind : std::uint16_t {
  kCommands = 0,  ///< Of clients, or none: a Nop.
  kMembers = 1,   ///< Who belongs to the group from here on. Nobody's; no command.
};

/// `block` is a view.
struct Entry {
  std::uint64_t round = 0;  ///< The term of Raft; the packed ballot of Multi-Paxos.
  Origin origin;
  Bytes block;
  EntryKind kind = EntryKind::kCommands;
};

inline constexpr std::size_t kEntryHeaderBytes = 32;
inline constexpr std::size_t kMembersBytes = 8;
/// Positions above this are refused: no log lives long enough to reach it.
inline constexpr std::uint64_t kLogSlotMax = std::uint64_t{1} << 48;

/// Writes an entry. Precondition: `out` has kEntryHeaderBytes and the bytes of the block.
void encode_entry(const Entry& entry, std::span<std::byte> out);

/// Writes who belongs to the group as an entry.
/// Precondition: `out` has kEntryHeaderBytes + kMembersBytes.
void encode_members(std::uint64_t round, const Members& members, std::span<std::byte> out);

/// Reads the entry that `bytes` begin with, and takes it off them. False: malformed. Whether a
/// block of commands makes sense is decode_block_footprint()'s question.
bool take_entry(Bytes& bytes, int replicas, Entry& out);

/// The round of an encoded entry. Precondition: take_entry() took it.
[[nodiscard]] std::uint64_t round_of(Bytes encoded);
/// What an encoded entry says about the members; false: it says nothing. The same precondition.
[[nodiscard]] bool members_of(Bytes encoded, Members& out);

}  // namespace epaxos::compare
