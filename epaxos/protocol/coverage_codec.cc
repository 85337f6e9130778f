#include <algorithm>

#include "epaxos/protocol/codec_support.h"
#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/record.capnp.h"

namespace epaxos::protocol {
namespace {

using codec::rows_of;
using codec::words_of;

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

std::size_t words_of(const Coverage& coverage) {
  std::size_t words =
      words_of<schema::Coverage>() + words_of(coverage.floor) + words_of(coverage.executed);
  if (!coverage.instances.empty()) ++words;  // The tag of a list of structs.
  for (const CoveredInstance& each : coverage.instances) {
    words += kInstanceWords;
    if (each.footprint) words += block_bytes(*each.footprint) / sizeof(capnp::word);
  }
  return words;
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

}  // namespace

void encode(const Coverage& coverage, std::vector<std::byte>& out) {
  using S = schema::Coverage;
  Effects arena;
  const Slice body = codec::build<S>(arena, words_of(coverage), [&](S::Builder to) {
    codec::fill(to.initFloor(rows_of(coverage.floor)), coverage.floor);
    codec::fill(to.initExecuted(rows_of(coverage.executed)), coverage.executed);
    if (coverage.instances.empty()) return;
    auto list = to.initInstances(static_cast<unsigned>(coverage.instances.size()));
    for (unsigned i = 0; i < list.size(); ++i) {
      const CoveredInstance& each = coverage.instances[i];
      list[i].setSlot(each.id.slot.value());
      list[i].setRow(each.id.row.value());
      list[i].setNop(each.nop);
      if (each.footprint) list[i].setBlock(codec::data_of(block_of(*each.footprint)));
    }
  });
  const Bytes bytes = arena.view(body);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Result<Coverage> decode_coverage(Bytes bytes, int rows) {
  using S = schema::Coverage;
  const AlignedBytes aligned(bytes);
  Coverage coverage;
  const bool decodes = codec::parse<S>(aligned.bytes(), [&](S::Reader from, std::size_t words) {
    if (!codec::read(from.getFloor(), rows, kSlotMax, coverage.floor)) return false;
    if (!codec::read(from.getExecuted(), rows, kSlotMax, coverage.executed)) return false;
    for (const auto each : from.getInstances()) {
      if (!read_instance(each, rows, coverage.instances.emplace_back())) return false;
    }
    return words == words_of(coverage);
  });
  const auto out_of_order = [](const CoveredInstance& a, const CoveredInstance& b) {
    return a.id >= b.id;
  };
  const auto below_floor = [&](const CoveredInstance& each) {
    return coverage.floor.covers(each.id);
  };
  if (!decodes || !coverage.executed.includes(coverage.floor) ||
      std::ranges::adjacent_find(coverage.instances, out_of_order) != coverage.instances.end() ||
      std::ranges::any_of(coverage.instances, below_floor)) {
    return fail(ErrorCode::kMalformed, "what an image says that it covers makes no sense");
  }
  return coverage;
}

}  // namespace epaxos::protocol
