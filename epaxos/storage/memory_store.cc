#include "epaxos/storage/memory_store.h"

#include "deps/types/check.h"

namespace epaxos::storage {

Result<void> MemoryStore::load(const RecordVisitor&) {
  return {};
}

void MemoryStore::submit(const Effects& effects) {
  check(effects.batch == durable_ + 1, "batches are submitted in the order of their numbers");
  durable_ = effects.batch;
}

}  // namespace epaxos::storage
