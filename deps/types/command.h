#pragma once

// A command as a client sent it, and the block of bytes in which the commands of one instance
// travel. The block is encoded once by the proposer; it is stored, sent and kept as these bytes,
// and cut into commands again when it is applied.
//
// Layout, little-endian, 8-aligned:
//   u32 commands, u16 accesses, u16 flags (bit 0: footprint is everything)
//   u64 access[accesses]                                  ascending, see Access::packed()
//   commands x { u64 session, u64 number, u64 acknowledged_up_to, u32 flags (bit 0: reads only),
//                u32 payload bytes, payload padded with zeros to a multiple of 8 }

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos {

/// One client request. `payload` is a view: whoever keeps a command copies it.
struct Command {
  CommandId id;
  std::uint64_t acknowledged_up_to = 0;  ///< The client has seen the answers up to this number.
  bool reads_only = false;               ///< May run twice without harm.
  Bytes payload;                         ///< Opaque here; the state machine's language.
};

/// A command on its way into an instance: what it is and what it touches.
struct Proposal {
  Command command;
  Footprint footprint;
};

inline constexpr std::size_t kPayloadBytesMax = 256 * 1024;  ///< One client message.
inline constexpr std::size_t kBlockBytesMax = 512 * 1024;    ///< One instance.
inline constexpr std::size_t kBlockCommandsMax = 1024;
inline constexpr std::size_t kBlockAccessesMax = 16 * 1024;

/// Bytes that a block needs for these many accesses and one command of this payload.
[[nodiscard]] constexpr std::size_t block_command_bytes(std::size_t payload_bytes) {
  return 32 + (payload_bytes + 7) / 8 * 8;
}
[[nodiscard]] constexpr std::size_t block_header_bytes(std::size_t accesses) {
  return 8 + accesses * 8;
}

/// How many of these proposals, from the first on, share a block: at least the first, and those
/// after it that fit with it into these limits and into what a block can carry.
std::size_t commands_that_fit(std::span<const Proposal> proposals, std::size_t commands_max,
                              std::size_t payload_bytes_max);

/// The union of what these commands touch.
Footprint merged_footprint(std::span<const Proposal> proposals);

/// The exact size of the block of these commands. Always a multiple of 8.
std::size_t block_bytes(std::span<const Proposal> proposals, const Footprint& footprint);

/// Writes the block of these commands. `footprint` is their merged_footprint().
/// Precondition: 1 .. kBlockCommandsMax proposals, within kBlockBytesMax; `out` is zeroed and has
/// exactly block_bytes() bytes.
void encode_block(std::span<const Proposal> proposals, const Footprint& footprint,
                  std::span<std::byte> out);

/// Reads and checks the bytes of a block: sizes, order of accesses, padding, no trailing bytes.
/// Precondition: `block` starts at a multiple of 8 bytes.
/// Errors: malformed. Cost: linear in accesses and commands; payloads are not touched.
Result<Footprint> decode_block_footprint(Bytes block);

/// How many commands a block holds. Precondition: decode_block_footprint() accepted it.
std::size_t block_command_count(Bytes block);

/// Appends views of the commands of a block to `out`. Precondition: as above; `block` outlives
/// them.
void decode_block_commands(Bytes block, std::vector<Command>& out);

}  // namespace epaxos
