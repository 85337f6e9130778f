#pragma once

// A store without a disk and without a doubt: batches of random changes, and what a store must hold
// after them. Few keys, so that changes meet the records of others often.

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {

class RecordModel {
 public:
  /// Records of these kinds only; slots from 0 to `last_slot`. `records` are there already.
  RecordModel(std::uint64_t seed, std::vector<std::uint8_t> kinds, std::uint64_t last_slot,
              Records records = {})
      : random_(seed),
        kinds_(std::move(kinds)),
        last_slot_(last_slot),
        records_(std::move(records)) {}

  /// A random number below `limit`.
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  /// Adds some changes to the batch, and makes them here.
  void change(BatchBuilder& batch, std::uint64_t changes_max) {
    for (std::uint64_t left = below(changes_max) + 1; left > 0; --left) {
      const RecordKey key = any_key();
      const std::uint64_t what = below(100);
      if (what < 80) put(batch, key);
      if (what >= 80 && what < 95) erase(batch, key);
      if (what >= 95) erase_through(batch, key);
    }
  }

  void put(BatchBuilder& batch, const RecordKey& key) {
    const std::uint64_t size = below(20) == 0 ? below(9000) : below(300);
    std::string& value = records_[key];
    value = std::string(size, static_cast<char>('a' + below(26)));
    batch.put(key, value);
  }

  void erase(BatchBuilder& batch, const RecordKey& key) {
    batch.erase(key);
    records_.erase(key);
  }

  void erase_through(BatchBuilder& batch, const RecordKey& last) {
    batch.erase_through(last);
    std::erase_if(records_, [&last](const auto& record) {
      const RecordKey& key = record.first;
      return key.kind == last.kind && key.group == last.group && key.epoch == last.epoch &&
             key.row == last.row && key.slot <= last.slot;
    });
  }

  RecordKey any_key() {
    const std::uint8_t kind = kinds_[below(kinds_.size())];
    const std::uint64_t row = 3 * below(2);
    const auto group = static_cast<std::uint16_t>(below(2));
    const auto epoch = static_cast<std::uint32_t>(7 * below(2));
    const std::uint64_t slot = below(last_slot_ + 1);
    return key_of(kind, row, slot, group, epoch);
  }

  [[nodiscard]] const Records& records() const { return records_; }

  /// read() of keys that are there and of keys that are not.
  void expect_reads_agree(const Store& store, int reads) {
    for (; reads > 0; --reads) {
      const RecordKey key = any_key();
      const auto found = records_.find(key);
      const std::optional<std::string> read = must(read_text(store, key));
      ASSERT_EQ(read.has_value(), found != records_.end()) << describe(key);
      if (read) {
        ASSERT_EQ(*read, found->second) << describe(key);
      }
    }
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::uint8_t> kinds_;
  std::uint64_t last_slot_;
  Records records_;
};

/// The records that erase_through(last) must leave alone, each different from `last` in one thing.
inline std::vector<RecordKey> neighbours_of(const RecordKey& last) {
  std::vector<RecordKey> keys(9, last);
  keys[0].kind = static_cast<std::uint8_t>(last.kind - 1);
  keys[1].kind = static_cast<std::uint8_t>(last.kind + 1);
  keys[2].group = GroupId(static_cast<std::uint16_t>(last.group.value() - 1));
  keys[3].group = GroupId(static_cast<std::uint16_t>(last.group.value() + 1));
  keys[4].epoch = Epoch(last.epoch.value() - 1);
  keys[5].epoch = Epoch(last.epoch.value() + 1);
  keys[6].row = ReplicaId(static_cast<std::uint16_t>(last.row.value() - 1));
  keys[7].row = ReplicaId(static_cast<std::uint16_t>(last.row.value() + 1));
  keys[8].slot = Slot(last.slot.value() + 1);
  return keys;
}

}  // namespace epaxos::storage
