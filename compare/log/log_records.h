#pragma once

// The entries of a log as durable records: one an entry, written once, whose value is the encoded
// entry. All stand in one row, so that the store appends.

#include <optional>
#include <utility>
#include <vector>

#include "compare/log/entry.h"
#include "epaxos/contract/core.h"
#include "epaxos/contract/effects.h"

namespace epaxos::compare {

class LogRecords {
 public:
  /// `kind`: that the protocol gives to the records of entries.
  LogRecords(std::uint8_t kind, const CoreConfig& config)
      : kind_(kind), group_(config.group), epoch_(config.epoch), replicas_(config.replica_count) {}

  /// As Core::read_from().
  void read_from(RecordReader reader) { reader_ = std::move(reader); }
  /// Whether read() can ever succeed. Otherwise what leaves memory is gone.
  [[nodiscard]] bool can_read() const { return reader_.read != nullptr; }

  [[nodiscard]] RecordKey key(Slot slot) const {
    return {kind_, group_, epoch_, ReplicaId(), slot};
  }
  void put(Slot slot, Slice encoded, Effects& out) const { out.put(key(slot), encoded); }
  void erase(Slot slot, Effects& out) const { out.erase(key(slot)); }
  void erase_through(Slot slot, Effects& out) const { out.erase_through(key(slot)); }

  /// As Core::durable().
  void durable(BatchNumber batch) { durable_ = batch; }
  /// Whether the disk has done what erase_some() wanted last.
  [[nodiscard]] bool has_erased() const { return durable_ >= erasing_; }
  /// Erases records behind `erased`, up to `limit` at the most: a part of them a call, and nothing
  /// before has_erased(), so that records which others wait for do not stand behind millions of
  /// these. Returns up to where they are gone.
  Slot erase_some(Slot erased, Slot limit, Effects& out);

  /// The encoded entry at a position, from the disk. False: it is not there, or cannot be read,
  /// which the host knows.
  bool read(Slot slot, std::vector<std::byte>& encoded) const;
  /// As much of the log up to `limit` as may leave memory: what can be read back, or, where nothing
  /// ever can, all of it. Once a turn, with the turn that has put records last.
  Slot forgettable(Slot limit, const Effects& turn);

 private:
  std::uint8_t kind_;
  GroupId group_;
  Epoch epoch_;
  int replicas_;
  RecordReader reader_;
  BatchNumber durable_ = 0;
  BatchNumber erasing_ = 0;                           // The batch that erases last.
  Slot readable_;                                     // Up to here all can be read back, and
  std::optional<std::pair<BatchNumber, Slot>> next_;  // up to there when that batch can.
};

}  // namespace epaxos::compare
