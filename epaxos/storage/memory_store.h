#pragma once

// The store of durability "none": every batch counts as durable at once, and nothing is kept.

#include <string>

#include "epaxos/storage/store.h"

namespace epaxos::storage {

class MemoryStore final : public Store {
 public:
  Result<void> load(const RecordVisitor& visit) override;
  void submit(const Effects& effects) override;

  [[nodiscard]] BatchNumber durable() const override { return durable_; }
  [[nodiscard]] StoreState state() const override { return StoreState::kReady; }
  [[nodiscard]] std::string error() const override { return {}; }
  [[nodiscard]] std::uint64_t pending_bytes() const override { return 0; }

 private:
  BatchNumber durable_ = 0;
};

}  // namespace epaxos::storage
