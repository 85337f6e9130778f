// While a member is away nothing is executed by all, so nothing is dropped: but executed instances
// need no memory, as their records can be read back when somebody asks. Source: protocol.md 14.2.

#include <algorithm>
#include <utility>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

/// Slots of a row that one turn puts away.
constexpr std::uint64_t kArchiveSlots = 4096;

}  // namespace

void EpaxosCore::read_from(RecordReader reader) {
  reader_ = std::move(reader);
}

/// Executed, in the records, and not in memory.
bool EpaxosCore::is_archived(const InstanceId& id) const {
  return dropped_.covers(id) && !floor_.covers(id);
}

bool EpaxosCore::read_archived(RecordKind kind, const InstanceId& id, AlignedBytes& out) const {
  std::vector<std::byte> value;
  const RecordKey key{static_cast<std::uint8_t>(kind), config_.group, config_.epoch, id.row,
                      id.slot};
  if (!reader_.read || !reader_.read(key, value)) return false;
  out.assign(value);
  return true;
}

/// Nothing: its records cannot be read, which the host knows.
std::optional<ArchivedInstance> EpaxosCore::archived(const InstanceId& id) const {
  ArchivedInstance out;
  out.id = id;
  AlignedBytes bytes;
  DecisionRecord decision;
  if (!read_archived(RecordKind::kDecision, id, bytes) || !decode(bytes.bytes(), n_, decision)) {
    return std::nullopt;
  }
  out.nop = decision.nop;
  if (!decision.nop && !decision.initial) out.decision = decision.dependencies;
  PreAccept payload;
  VoteRecord vote;
  if (!decision.block.empty()) {
    out.record = bytes;
    decode(out.record.bytes(), n_, decision);
    out.block = decision.block;
  } else if (read_archived(RecordKind::kPreAccepted, id, out.record) ||
             read_archived(RecordKind::kRecorded, id, out.record)) {
    if (!decode(out.record.bytes(), n_, payload)) return std::nullopt;
    out.block = payload.block;
    if (decision.initial) out.decision = payload.initial;
  } else if (read_archived(RecordKind::kVote, id, out.record)) {
    if (!decode(out.record.bytes(), n_, vote)) return std::nullopt;
    out.block = vote.block;
  }
  if (!out.block.empty()) {
    Result<Footprint> footprint = decode_block_footprint(out.block);
    if (!footprint) return std::nullopt;
    out.footprint = *std::move(footprint);
  }
  if (!out.nop && (!out.footprint || out.decision.rows() != n_)) return std::nullopt;
  return out;
}

/// Puts away what was executed first, when there is too much of it and it can be read back.
void EpaxosCore::archive_some(const Effects& turn) {
  if (!reader_.read || mutant(Mutant::kTruncatedIsUnknown)) return;
  const std::uint64_t most_held = most_held_executed();
  std::uint64_t held = executed_since(dropped_);
  if (held <= most_held || !resubmit_.empty()) return;
  if (!to_archive_) {
    // The records of all that is applied by now: a turn without records uses up no number.
    const BatchNumber last = turn.records.empty() ? turn.batch - 1 : turn.batch;
    to_archive_.emplace(last, applied_frontier());
  }
  if (reader_.readable() < to_archive_->first) return;
  const Dependencies applied = std::exchange(to_archive_, std::nullopt)->second;
  for (int row = 0; row < n_ && held > most_held; ++row) {
    const ReplicaId id = replica_at(row);
    const std::uint64_t most = std::min(held - most_held, kArchiveSlots);
    const Slot limit = std::min(applied[id], Slot(dropped_[id].value() + most));
    // What is only covered has no records to be read back.
    if (limit <= dropped_[id] || floor_[id] < covered_[id]) continue;
    const std::uint64_t count = limit.value() - dropped_[id].value();
    counters_.add(Count::kArchivedInstances, count);
    held -= count;
    instances_.drop_through(id, limit);
    dropped_[id] = limit;
  }
}

/// What a restart reads of them. Their keys need not be in the conflict index: all that is put away
/// lies at or below the vector floor.
Result<void> EpaxosCore::restore_archived(const InstanceId& id, RecordKind kind, Bytes value) {
  PreAccept payload;
  VoteRecord vote;
  DecisionRecord decision;
  const bool is_payload = kind == RecordKind::kPreAccepted || kind == RecordKind::kRecorded;
  const bool decodes = is_payload                  ? decode(value, n_, payload)
                       : kind == RecordKind::kVote ? decode(value, n_, vote)
                                                   : decode(value, n_, decision);
  if (!decodes) {
    return fail(ErrorCode::kCorrupted, "the record of " + to_string(id) +
                                           " does not decode; replace this replica, or restore its "
                                           "whole directory");
  }
  const Bytes block = is_payload                  ? payload.block
                      : kind == RecordKind::kVote ? vote.block
                                                  : decision.block;
  if (block.empty()) return {};
  const Result<Footprint> footprint = decode_block_footprint(block);
  if (!footprint) return fail(ErrorCode::kCorrupted, footprint.error().message);
  return {};
}

}  // namespace epaxos::protocol
