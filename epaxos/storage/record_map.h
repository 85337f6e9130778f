#pragma once

// Records in memory, with the changes of batches made to them: what a store without a disk keeps.

#include <cstddef>
#include <map>
#include <vector>

#include "epaxos/contract/effects.h"

namespace epaxos::storage {

using RecordMap = std::map<RecordKey, std::vector<std::byte>>;

/// What Effects::erase_through(last) asks for, of any map by RecordKey.
template <class Map>
void erase_through(Map& records, const RecordKey& last) {
  RecordKey first = last;
  first.slot = Slot(0);
  records.erase(records.lower_bound(first), records.upper_bound(last));
}

/// Makes one change. `value` is that of a put.
void make_change(RecordMap& records, const RecordKey& key, RecordChange change,
                 std::vector<std::byte> value);

/// See Store::read().
bool read_record(const RecordMap& records, const RecordKey& key, std::vector<std::byte>& value);

}  // namespace epaxos::storage
