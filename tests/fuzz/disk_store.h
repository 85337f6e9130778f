#pragma once

// A disk that a host writes and reads, and that a test may look at: every batch is durable at once.

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/storage/record_map.h"
#include "epaxos/storage/store.h"

namespace epaxos::fuzz {

/// Where a host counts the batches of its lives.
inline constexpr RecordKey kCountKey{
    .kind = kRecordKindMax, .group = {}, .epoch = {}, .row = {}, .slot = Slot(1)};

class DiskStore final : public storage::Store {
 public:
  explicit DiskStore(storage::RecordMap disk = {}) : disk_(std::move(disk)) {}

  Result<void> load(const RecordVisitor& visit) override {
    for (const auto& [key, value] : disk_) {
      if (Result<void> taken = visit(key, value); !taken) return taken;
    }
    return {};
  }
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const override {
    return storage::read_record(disk_, key, value);
  }
  void submit(const Effects& effects) override {
    check(effects.batch == durable_ + 1, "batches are not numbered one by one");
    durable_ = effects.batch;
    for (const RecordEffect& record : effects.records) {
      const Bytes value = effects.view(record.value);
      if (record.key == kCountKey) check_count(disk_[record.key], value);
      storage::make_change(disk_, record.key, record.change, {value.begin(), value.end()});
    }
  }
  [[nodiscard]] BatchNumber durable() const override { return durable_; }
  [[nodiscard]] storage::StoreState state() const override { return storage::StoreState::kReady; }
  [[nodiscard]] std::string error() const override { return {}; }
  [[nodiscard]] std::uint64_t pending_bytes() const override { return 0; }
  [[nodiscard]] const storage::RecordMap& disk() const { return disk_; }

 private:
  static void check_count(Bytes before, Bytes after) {
    check(count_of(after) > count_of(before),
          "the count of batches did not grow: peers stop trusting");
  }
  static std::uint64_t count_of(Bytes value) {
    std::uint64_t count = 0;
    if (value.size() == sizeof count) std::memcpy(&count, value.data(), sizeof count);
    return count;
  }

  storage::RecordMap disk_;
  BatchNumber durable_ = 0;
};

}  // namespace epaxos::fuzz
