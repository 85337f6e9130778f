#include "deps/types/command.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

namespace epaxos {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

constexpr std::uint16_t kEverything = 1;
constexpr std::uint32_t kReadsOnly = 1;

struct BlockHeader {
  std::uint32_t commands;
  std::uint16_t accesses;
  std::uint16_t flags;
};
static_assert(sizeof(BlockHeader) == 8);

struct CommandHeader {
  std::uint64_t session;
  std::uint64_t number;
  std::uint64_t acknowledged_up_to;
  std::uint32_t flags;
  std::uint32_t payload_bytes;
};
static_assert(sizeof(CommandHeader) == 32);

template <class T>
T read_at(Bytes bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::size_t padded(std::size_t bytes) {
  return (bytes + 7) / 8 * 8;
}

/// Blocks lie at multiples of eight bytes wherever they are kept, so their keys are read in place.
std::span<const Access> accesses_of(Bytes block, std::size_t count) {
  static_assert(sizeof(Access) == 8 && std::is_trivially_copyable_v<Access>);
  const std::byte* const first = block.data() + sizeof(BlockHeader);
  check(reinterpret_cast<std::uintptr_t>(first) % alignof(Access) == 0, "a block is not aligned");
  return {reinterpret_cast<const Access*>(first), count};
}

}  // namespace

std::size_t commands_that_fit(std::span<const Proposal> proposals, std::size_t commands_max,
                              std::size_t payload_bytes_max) {
  const std::size_t limit = std::min({commands_max, kBlockCommandsMax, proposals.size()});
  if (limit <= 1) return 1;
  std::size_t payload_bytes = 0;
  std::size_t command_bytes = 0;
  std::size_t accesses = 0;
  for (std::size_t count = 0; count < limit; ++count) {
    const Proposal& next = proposals[count];
    payload_bytes += next.command.payload.size();
    command_bytes += block_command_bytes(next.command.payload.size());
    accesses += next.footprint.accesses().size();
    const bool fits = payload_bytes <= payload_bytes_max && accesses <= kBlockAccessesMax &&
                      block_header_bytes(accesses) + command_bytes <= kBlockBytesMax;
    if (!fits && count > 0) return count;
  }
  return limit;
}

Footprint merged_footprint(std::span<const Proposal> proposals) {
  std::vector<Access> accesses;
  accesses.reserve(proposals.size());
  for (const Proposal& proposal : proposals) {
    if (proposal.footprint.is_everything()) return Footprint::everything();
    const auto more = proposal.footprint.accesses();
    accesses.insert(accesses.end(), more.begin(), more.end());
  }
  return Footprint::of(std::move(accesses));
}

std::size_t block_bytes(std::span<const Proposal> proposals, const Footprint& footprint) {
  std::size_t total = block_header_bytes(footprint.accesses().size());
  for (const Proposal& p : proposals) total += block_command_bytes(p.command.payload.size());
  return total;
}

void encode_block(std::span<const Proposal> proposals, const Footprint& footprint,
                  std::span<std::byte> out) {
  check(!proposals.empty() && proposals.size() <= kBlockCommandsMax,
        "a block holds 1 .. kBlockCommandsMax commands");
  const auto accesses = footprint.accesses();
  check(accesses.size() <= kBlockAccessesMax, "a block touches at most kBlockAccessesMax keys");
  check(out.size() <= kBlockBytesMax, "a block is larger than kBlockBytesMax");
  check(out.size() == block_bytes(proposals, footprint), "a block was given room of another size");

  std::size_t at = 0;
  const auto put = [&](const void* data, std::size_t bytes) {
    if (bytes > 0) std::memcpy(out.data() + at, data, bytes);
    at += bytes;
  };
  const BlockHeader header{static_cast<std::uint32_t>(proposals.size()),
                           static_cast<std::uint16_t>(accesses.size()),
                           footprint.is_everything() ? kEverything : std::uint16_t{0}};
  put(&header, sizeof header);
  put(accesses.data(), accesses.size() * sizeof(Access));
  for (const Proposal& proposal : proposals) {
    const Command& command = proposal.command;
    const CommandHeader head{command.id.session, command.id.number, command.acknowledged_up_to,
                             command.reads_only ? kReadsOnly : 0,
                             static_cast<std::uint32_t>(command.payload.size())};
    put(&head, sizeof head);
    put(command.payload.data(), command.payload.size());
    at += padded(command.payload.size()) - command.payload.size();
  }
}

Result<Footprint> decode_block_footprint(Bytes block) {
  const auto malformed = [](const char* what) {
    return fail(ErrorCode::kMalformed, std::string("command block: ") + what);
  };
  if (block.size() < sizeof(BlockHeader)) return malformed("shorter than its header");
  if (block.size() > kBlockBytesMax) return malformed("over the size limit");
  const auto header = read_at<BlockHeader>(block, 0);
  if (header.commands == 0 || header.commands > kBlockCommandsMax) {
    return malformed("number of commands out of range");
  }
  if (header.accesses > kBlockAccessesMax) return malformed("too many keys");
  if ((header.flags & ~kEverything) != 0) return malformed("unknown flags");
  const bool everything = (header.flags & kEverything) != 0;
  if (everything && header.accesses != 0) return malformed("keys beside everything");
  std::size_t at = block_header_bytes(header.accesses);
  if (block.size() < at) return malformed("keys are cut off");

  const std::span<const Access> accesses = accesses_of(block, header.accesses);
  const auto out_of_order = [](Access a, Access b) { return a.key() >= b.key(); };
  if (std::ranges::adjacent_find(accesses, out_of_order) != accesses.end()) {
    return malformed("keys are not in ascending order");
  }
  for (std::uint32_t i = 0; i < header.commands; ++i) {
    if (block.size() - at < sizeof(CommandHeader)) return malformed("a command is cut off");
    const auto head = read_at<CommandHeader>(block, at);
    if ((head.flags & ~kReadsOnly) != 0) return malformed("unknown command flags");
    at += sizeof(CommandHeader);
    if (block.size() - at < padded(head.payload_bytes)) return malformed("a payload is cut off");
    const Bytes padding =
        block.subspan(at + head.payload_bytes, padded(head.payload_bytes) - head.payload_bytes);
    if (!std::ranges::all_of(padding, [](std::byte b) { return b == std::byte{0}; })) {
      return malformed("padding that is not zero");
    }
    at += padded(head.payload_bytes);
  }
  if (at != block.size()) return malformed("trailing bytes");
  return everything ? Footprint::everything() : Footprint::of_sorted(accesses);
}

std::size_t block_command_count(Bytes block) {
  return read_at<BlockHeader>(block, 0).commands;
}

void decode_block_commands(Bytes block, std::vector<Command>& out) {
  const auto header = read_at<BlockHeader>(block, 0);
  std::size_t at = block_header_bytes(header.accesses);
  for (std::uint32_t i = 0; i < header.commands; ++i) {
    const auto head = read_at<CommandHeader>(block, at);
    at += sizeof(CommandHeader);
    out.push_back({{head.session, head.number},
                   head.acknowledged_up_to,
                   (head.flags & kReadsOnly) != 0,
                   block.subspan(at, head.payload_bytes)});
    at += padded(head.payload_bytes);
  }
}

}  // namespace epaxos
