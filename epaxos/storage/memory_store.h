#pragma once

// The store of durability "none": every batch counts as durable at once. The host's own records are
// kept for read() as long as the process lives; a core has all it needs in memory, so its records
// are dropped.

#include <cstddef>
#include <string>
#include <vector>

#include "epaxos/storage/record_map.h"
#include "epaxos/storage/store.h"

namespace epaxos::storage {

class MemoryStore final : public Store {
 public:
  /// Gives nothing: a new process starts empty.
  Result<void> load(const RecordVisitor& visit) override;
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const override;
  void submit(const Effects& effects) override;

  [[nodiscard]] BatchNumber durable() const override { return durable_; }
  [[nodiscard]] StoreState state() const override { return StoreState::kReady; }
  [[nodiscard]] std::string error() const override { return {}; }
  [[nodiscard]] std::uint64_t pending_bytes() const override { return 0; }

 private:
  BatchNumber durable_ = 0;
  RecordMap kept_;  // Of kind kRecordKindMax.
};

}  // namespace epaxos::storage
