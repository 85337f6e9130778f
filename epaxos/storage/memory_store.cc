#include "epaxos/storage/memory_store.h"

#include "deps/types/check.h"

namespace epaxos::storage {

Result<void> MemoryStore::load(const RecordVisitor&) {
  return {};
}

void MemoryStore::submit(const Effects& effects) {
  check(effects.batch == durable_ + 1, "batches are submitted in the order of their numbers");
  durable_ = effects.batch;
  for (const RecordEffect& record : effects.records) {
    if (record.key.kind != kRecordKindMax) continue;
    const Bytes value = effects.view(record.value);
    make_change(kept_, record.key, record.change, {value.begin(), value.end()});
  }
}

Result<bool> MemoryStore::read(const RecordKey& key, std::vector<std::byte>& value) const {
  return read_record(kept_, key, value);
}

}  // namespace epaxos::storage
