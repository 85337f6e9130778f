#include <algorithm>
#include <cstring>

#include "epaxos/protocol/codec_support.h"
#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/record.capnp.h"

namespace epaxos::protocol {
namespace {

using codec::rows_of;
using codec::words_of;

/// Of a part, when all is known at once.
constexpr std::size_t kPartInstances = 1024;
constexpr std::size_t kInstanceWords = capnp::_::structSize<schema::CoveredInstance>().data +
                                       capnp::_::structSize<schema::CoveredInstance>().pointers;

std::size_t block_bytes(const Footprint& footprint) {
  const Proposal proposal{{}, {}};
  return epaxos::block_bytes({&proposal, 1}, footprint);
}

/// The block of one command without a payload that touches this: the form in which instances keep
/// what they touch.
std::vector<std::byte> block_of(const Footprint& footprint) {
  const Proposal proposal{{}, {}};
  std::vector<std::byte> block(block_bytes(footprint));
  encode_block({&proposal, 1}, footprint, block);
  return block;
}

/// Of one part.
std::size_t words_of(std::span<const CoveredInstance> instances) {
  std::size_t words = words_of<schema::CoveragePart>() + 1;  // The tag of a list of structs.
  for (const CoveredInstance& each : instances) {
    words += kInstanceWords;
    if (each.footprint) words += block_bytes(*each.footprint) / sizeof(capnp::word);
  }
  return words;
}

std::size_t head_bytes(int rows) {
  return (words_of<schema::CoverageHead>() + 2 * static_cast<std::size_t>(rows)) *
         sizeof(capnp::word);
}

bool read_instance(schema::CoveredInstance::Reader from, int rows, CoveredInstance& out) {
  out.id = {ReplicaId(from.getRow()), Slot(from.getSlot())};
  out.nop = from.getNop();
  const Bytes block = codec::bytes_of(from.getBlock());
  const bool is_valid = out.id.row.value() < rows && out.id.slot.value() >= 1 &&
                        out.id.slot.value() <= kSlotMax && (out.nop || !block.empty());
  if (!is_valid || block.empty()) return is_valid;
  Result<Footprint> footprint = decode_block_footprint(block);
  if (!footprint) return false;
  out.footprint = *std::move(footprint);
  return true;
}

bool read_head(Bytes bytes, int rows, Coverage& out, std::uint64_t& listed) {
  using S = schema::CoverageHead;
  return codec::parse<S>(bytes, [&](S::Reader from, std::size_t) {
    listed = from.getListed();
    out.for_non_voting = from.getForNonVoting();
    return codec::read(from.getFloor(), rows, kSlotMax, out.floor) &&
           codec::read(from.getExecuted(), rows, kSlotMax, out.executed);
  });
}

bool read_part(Bytes bytes, int rows, std::vector<CoveredInstance>& out) {
  using S = schema::CoveragePart;
  const std::size_t before = out.size();
  return codec::parse<S>(bytes, [&](S::Reader from, std::size_t words) {
    for (const auto each : from.getInstances()) {
      if (!read_instance(each, rows, out.emplace_back())) return false;
    }
    return out.size() > before && words == words_of(std::span(out).subspan(before));
  });
}

/// Reads all parts. Precondition: aligned.
bool read_parts(Bytes bytes, int rows, std::vector<CoveredInstance>& out) {
  while (!bytes.empty()) {
    std::uint64_t size = 0;
    if (bytes.size() < sizeof size) return false;
    std::memcpy(&size, bytes.data(), sizeof size);
    bytes = bytes.subspan(sizeof size);
    if (size > bytes.size() || !read_part(bytes.first(size), rows, out)) return false;
    bytes = bytes.subspan(size);
  }
  return true;
}

}  // namespace

void begin_coverage(int rows, std::vector<std::byte>& bytes) {
  bytes.assign(head_bytes(rows), std::byte{});
}

void append_part(std::span<const CoveredInstance> instances, std::vector<std::byte>& bytes) {
  using S = schema::CoveragePart;
  check(!instances.empty(), "a part of a coverage says something");
  Effects arena;
  const Slice body = codec::build<S>(arena, words_of(instances), [&](S::Builder to) {
    auto list = to.initInstances(static_cast<unsigned>(instances.size()));
    for (unsigned i = 0; i < list.size(); ++i) {
      const CoveredInstance& each = instances[i];
      list[i].setSlot(each.id.slot.value());
      list[i].setRow(each.id.row.value());
      list[i].setNop(each.nop);
      if (each.footprint) list[i].setBlock(codec::data_of(block_of(*each.footprint)));
    }
  });
  const Bytes part = arena.view(body);
  const std::uint64_t size = part.size();
  const Bytes prefix = bytes_of(size);
  bytes.insert(bytes.end(), prefix.begin(), prefix.end());
  bytes.insert(bytes.end(), part.begin(), part.end());
}

void end_coverage(const Coverage& coverage, std::size_t listed, std::vector<std::byte>& bytes) {
  using S = schema::CoverageHead;
  Effects arena;
  const std::size_t words = head_bytes(coverage.floor.rows()) / sizeof(capnp::word);
  const Slice head = codec::build<S>(arena, words, [&](S::Builder to) {
    codec::fill(to.initFloor(rows_of(coverage.floor)), coverage.floor);
    codec::fill(to.initExecuted(rows_of(coverage.executed)), coverage.executed);
    to.setListed(listed);
    to.setForNonVoting(coverage.for_non_voting);
  });
  copy_bytes(arena.view(head), bytes.data());
}

void encode(const Coverage& coverage, std::vector<std::byte>& out) {
  std::vector<std::byte> bytes;
  begin_coverage(coverage.floor.rows(), bytes);
  std::span<const CoveredInstance> rest(coverage.instances);
  while (!rest.empty()) {
    const auto part = rest.first(std::min(rest.size(), kPartInstances));
    append_part(part, bytes);
    rest = rest.subspan(part.size());
  }
  end_coverage(coverage, coverage.instances.size(), bytes);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Result<Coverage> decode_coverage(Bytes bytes, int rows) {
  const AlignedBytes aligned(bytes);
  const std::size_t head = head_bytes(rows);
  Coverage coverage;
  std::uint64_t listed = 0;
  const bool decodes = bytes.size() >= head &&
                       read_head(aligned.bytes().first(head), rows, coverage, listed) &&
                       read_parts(aligned.bytes().subspan(head), rows, coverage.instances) &&
                       coverage.instances.size() == listed;
  const auto out_of_order = [](const CoveredInstance& a, const CoveredInstance& b) {
    return a.id >= b.id;
  };
  if (!decodes || !coverage.executed.includes(coverage.floor) ||
      std::ranges::adjacent_find(coverage.instances, out_of_order) != coverage.instances.end()) {
    return fail(ErrorCode::kMalformed, "what an image says that it covers makes no sense");
  }
  std::erase_if(coverage.instances,
                [&](const CoveredInstance& each) { return coverage.floor.covers(each.id); });
  return coverage;
}

}  // namespace epaxos::protocol
