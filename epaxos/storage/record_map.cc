#include "epaxos/storage/record_map.h"

#include <utility>

namespace epaxos::storage {

void make_change(RecordMap& records, const RecordKey& key, RecordChange change,
                 std::vector<std::byte> value) {
  switch (change) {
    case RecordChange::kPut:
      records[key] = std::move(value);
      break;
    case RecordChange::kErase:
      records.erase(key);
      break;
    case RecordChange::kEraseThrough:
      erase_through(records, key);
      break;
  }
}

bool read_record(const RecordMap& records, const RecordKey& key, std::vector<std::byte>& value) {
  const auto found = records.find(key);
  if (found == records.end()) return false;
  value = found->second;
  return true;
}

}  // namespace epaxos::storage
