#include "epaxos/sim/disk.h"

#include <iterator>

#include "deps/types/check.h"
#include "epaxos/storage/lmdb_layout.h"

namespace epaxos::sim {

VirtualDisk::VirtualDisk(ReplicaId replica, std::uint64_t seed, EventQueue& events)
    : replica_(replica),
      events_(events),
      random_(stream(seed, Purpose::kDisk, replica.value())),
      machine_storage_(replica, seed, events) {
}

void VirtualDisk::set_conditions(const DiskConditions& conditions) {
  conditions_ = conditions;
  begin_first();
}

void VirtualDisk::fail() {
  fail_next_ = true;
  begin_first();
}

const std::vector<std::byte>* VirtualDisk::find(const RecordKey& key) const {
  const auto found = image_.find(key);
  return found == image_.end() ? nullptr : &found->second;
}

std::uint64_t VirtualDisk::checksum(const RecordKey& key, Bytes value) const {
  storage::DirectoryIdentity identity;
  identity.replica = replica_;
  return storage::record_checksum(identity, key, value);
}

bool VirtualDisk::damage(Random& random) {
  if (image_.empty()) return false;
  const auto nth = [this, &random] {
    return std::next(image_.begin(), static_cast<std::ptrdiff_t>(random.below(image_.size())));
  };
  const auto one = nth();
  const auto other = nth();
  Stored stored{checksum(one->first, one->second), one->second};
  if (one != other && random.below(2) == 0) {
    damaged_[one->first] = {checksum(other->first, other->second), other->second};
    damaged_[other->first] = std::move(stored);
    return true;
  }
  const std::uint64_t bit = random.below(64 + 8 * stored.value.size());
  if (bit < 64) {
    stored.checksum ^= std::uint64_t{1} << bit;
  } else {
    stored.value[bit / 8 - 8] ^= static_cast<std::byte>(1u << bit % 8);
  }
  damaged_[one->first] = std::move(stored);
  return true;
}

/// What lies in the place of a record that was `written`.
Result<Bytes> VirtualDisk::found(const RecordKey& key, Bytes written) const {
  const auto damaged = damaged_.find(key);
  // What was written has the checksum that it was written with.
  if (damaged == damaged_.end()) return written;
  const Stored& stored = damaged->second;
  if (stored.checksum == checksum(key, stored.value)) return Bytes(stored.value);
  return epaxos::fail(ErrorCode::kCorrupted, "the virtual disk is damaged: the record of " +
                                                 storage::describe(key) + " fails its checksum");
}

Result<void> VirtualDisk::read(const storage::Store::RecordVisitor& visit) const {
  for (const auto& [key, written] : image_) {
    const Result<Bytes> value = found(key, written);
    if (!value) return epaxos::fail(value.error());
    if (const Result<void> seen = visit(key, *value); !seen) return seen;
  }
  return {};
}

Result<bool> VirtualDisk::read(const RecordKey& key, std::vector<std::byte>& value) const {
  const std::vector<std::byte>* const written = find(key);
  if (written == nullptr) return false;
  const Result<Bytes> there = found(key, *written);
  if (!there) return epaxos::fail(there.error());
  value.assign(there->begin(), there->end());
  return true;
}

void VirtualDisk::open() {
  check(line_.empty(), "a disk was opened whose last life has not ended");
  ++life_;
  submitted_ = 0;
  durable_ = 0;
  failed_ = false;
  fail_next_ = false;
}

void VirtualDisk::crash() {
  machine_storage_.crash();
  std::uint64_t kept = random_.below(line_.size() + 1);
  if (failed_ || conditions_.full) kept = 0;
  for (; kept > 0; --kept) keep_first();
  line_.clear();
  waiting_bytes_ = 0;
  busy_ = false;
  ++life_;
}

void VirtualDisk::submit(const Effects& effects) {
  check(effects.batch == submitted_ + 1, "batches are submitted in the order of their numbers");
  submitted_ = effects.batch;
  Batch& batch = line_.emplace_back();
  for (const RecordEffect& record : effects.records) {
    const Bytes value = effects.view(record.value);
    batch.changes.push_back({record.key, record.change, {value.begin(), value.end()}});
    batch.bytes += value.size();
  }
  waiting_bytes_ += batch.bytes;
  begin_first();
}

void VirtualDisk::begin_first() {
  if (busy_ || failed_ || conditions_.full || line_.empty()) return;
  busy_ = true;
  // As the store does: what came while it wrote is written together. Not always, so that batches
  // become durable one by one too.
  writing_ = line_.size() > 1 && random_.below(2) == 0 ? line_.size() : 1;
  const Tick latency = conditions_.latency_us + random_.exponential(conditions_.jitter_us);
  events_.push(events_.now() + latency, EventKind::kDiskDone, replica_, life_);
}

bool VirtualDisk::complete(std::uint64_t life) {
  if (life != life_ || !busy_) return false;
  busy_ = false;
  if (conditions_.full) return true;  // The disk filled up while it wrote: the batch stays first.
  if (fail_next_) {
    failed_ = true;
    if (random_.below(2) == 0) keep_written();
    return true;
  }
  durable_ += writing_;
  keep_written();
  begin_first();
  return true;
}

void VirtualDisk::keep_written() {
  for (; writing_ > 0; --writing_) keep_first();
}

void VirtualDisk::keep_first() {
  Batch& batch = line_.front();
  ++changes_;
  for (Change& change : batch.changes) {
    if (change.change == RecordChange::kEraseThrough) {
      storage::erase_through(damaged_, change.key);
    } else {
      damaged_.erase(change.key);
    }
    storage::make_change(image_, change.key, change.change, std::move(change.value));
  }
  waiting_bytes_ -= batch.bytes;
  line_.pop_front();
}

storage::StoreState VirtualDisk::state() const {
  if (failed_) return storage::StoreState::kFailed;
  if (conditions_.full && !line_.empty()) return storage::StoreState::kFull;
  return storage::StoreState::kReady;
}

Result<void> VirtualStore::load(const RecordVisitor& visit) {
  return disk_.read(visit);
}

std::string VirtualStore::error() const {
  switch (disk_.state()) {
    case storage::StoreState::kReady:
      return {};
    case storage::StoreState::kFull:
      return "the virtual disk is full";
    case storage::StoreState::kFailed:
      return "the virtual disk failed";
  }
  return {};
}

}  // namespace epaxos::sim
