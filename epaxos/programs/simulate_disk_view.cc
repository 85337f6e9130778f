#include "epaxos/programs/simulate_disk_view.h"

#include <algorithm>
#include <array>

#include "epaxos/protocol/message_codec.h"
#include "epaxos/runtime/image_format.h"
#include "epaxos/runtime/kept_mark.h"

namespace epaxos {
namespace {

using protocol::RecordKind;
using Words = std::vector<std::byte>;

RecordKey key(RecordKind kind, const InstanceId& id) {
  return {static_cast<std::uint8_t>(kind), GroupId(), Epoch(), id.row, id.slot};
}

void read_payload(const Words& record, int n, bool pre_accepted, DurableInstance& out) {
  const AlignedBytes aligned(record);
  protocol::PreAccept payload;
  check(decode(aligned.bytes(), n, payload), "a payload record does not decode");
  out.recorded = true;
  out.initial = payload.initial;
  out.block.assign(payload.block.begin(), payload.block.end());
  if (!pre_accepted) return;
  out.pre_accepted = true;
  out.pre_accept_dependencies = payload.initial;
}

void read_vote(const Words& record, int n, DurableInstance& out) {
  const AlignedBytes aligned(record);
  protocol::VoteRecord vote;
  check(decode(aligned.bytes(), n, vote), "a vote record does not decode");
  out.ballot = vote.ballot;
  if (vote.pre_accepted) {
    out.pre_accepted = true;
    out.pre_accept_dependencies = vote.pre_accept_dependencies;
  }
  out.voted = vote.voted;
  out.vote_nop = vote.vote_nop;
  out.accepted_ballot = vote.accepted_ballot;
  out.vote_dependencies = vote.vote_dependencies;
}

void read_decision(const Words& record, int n, DurableInstance& out) {
  const AlignedBytes aligned(record);
  protocol::DecisionRecord decision;
  check(decode(aligned.bytes(), n, decision), "a decision record does not decode");
  out.decided = true;
  out.decided_nop = decision.nop;
  out.decision = decision.initial ? out.initial : decision.dependencies;
}

}  // namespace

DurableInstance durable_instance(const sim::VirtualDisk::Image& image, int n,
                                 const InstanceId& id) {
  DurableInstance out;
  const auto with = [&](RecordKind kind, auto read) {
    const auto found = image.find(key(kind, id));
    if (found != image.end()) read(found->second);
  };
  with(RecordKind::kPreAccepted, [&](const Words& r) { read_payload(r, n, true, out); });
  with(RecordKind::kRecorded, [&](const Words& r) { read_payload(r, n, false, out); });
  with(RecordKind::kVote, [&](const Words& r) { read_vote(r, n, out); });
  with(RecordKind::kDecision, [&](const Words& r) { read_decision(r, n, out); });
  return out;
}

namespace {

/// The coverage of what the state machine keeps itself; empty: it keeps nothing.
Words kept_coverage(const sim::VirtualDisk& disk) {
  const sim::MachineStorage::State& kept = disk.machine_storage().kept();
  if (kept.number == 0) return {};
  const Result<runtime::KeptMark> mark = runtime::read_mark(kept.mark);
  check(mark.has_value(), "the mark of a state that is kept does not decode");
  return {mark->coverage.begin(), mark->coverage.end()};
}

/// That of the image in the store; empty: there is none.
Words image_coverage(const sim::VirtualDisk::Image& image) {
  const auto found = image.find(runtime::kImageHeaderKey);
  if (found == image.end()) return {};
  const auto header = runtime::decode_image_header(found->second);
  check(header.has_value(), "the header of an image does not decode");
  Words bytes;
  for (std::uint64_t piece = 0; piece < header->coverage_pieces(); ++piece) {
    const Words& data = image.at(runtime::image_piece_key(header->area, piece));
    bytes.insert(bytes.end(), data.begin(), data.end());
  }
  return bytes;
}

protocol::Coverage decoded(const Words& bytes, int n) {
  Result<protocol::Coverage> coverage = protocol::decode_coverage(bytes, n);
  check(coverage.has_value(), "the coverage of an image does not decode");
  return *std::move(coverage);
}

}  // namespace

Dependencies durable_floor(const sim::VirtualDisk& disk, int n, ReplicaId self) {
  Dependencies floor(n);
  // A start takes over the floor that is kept, whether it had been written down or not.
  if (const Words kept = kept_coverage(disk); !kept.empty()) floor = decoded(kept, n).floor;
  const auto found = disk.image().find(key(RecordKind::kFloor, {self, Slot(1)}));
  if (found == disk.image().end()) return floor;
  const AlignedBytes aligned(found->second);
  protocol::FloorRecord record;
  check(decode(aligned.bytes(), n, record), "a record of a floor does not decode");
  floor.merge(record.floor);
  return floor;
}

std::vector<std::byte> durable_coverage_bytes(const sim::VirtualDisk& disk) {
  Words bytes = kept_coverage(disk);
  return bytes.empty() ? image_coverage(disk.image()) : bytes;
}

std::optional<protocol::Coverage> durable_coverage(const sim::VirtualDisk& disk, int n) {
  const Words bytes = durable_coverage_bytes(disk);
  if (bytes.empty()) return std::nullopt;
  return decoded(bytes, n);
}

bool covers(const protocol::Coverage& coverage, const InstanceId& id) {
  return coverage.executed.covers(id) ||
         std::ranges::binary_search(coverage.instances, id, {}, &protocol::CoveredInstance::id);
}

bool has_records(const sim::VirtualDisk::Image& image, const InstanceId& id) {
  return std::ranges::any_of(std::array{RecordKind::kPreAccepted, RecordKind::kRecorded,
                                        RecordKind::kVote, RecordKind::kDecision},
                             [&](RecordKind kind) { return image.contains(key(kind, id)); });
}

bool is_decided(const sim::VirtualDisk::Image& image, const InstanceId& id) {
  return image.contains(key(RecordKind::kDecision, id));
}

}  // namespace epaxos
