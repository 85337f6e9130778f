#include "epaxos/storage/lmdb_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::storage {
namespace {

/// A transaction takes no more than this, so that a long queue does not become one huge commit.
constexpr std::uint64_t kGroupBytesMax = std::uint64_t{32} << 20;
/// Buffers that wait for reuse; more than a few are only needed after a stall.
constexpr std::size_t kSpareBatchesMax = 16;
constexpr std::size_t kSpareBytesMax = std::size_t{4} << 20;

constexpr std::chrono::milliseconds kMeasureEvery{500};
/// Nor are more bytes written, as a share of the room.
constexpr std::uint64_t kMeasureShare = 128;

void copy_records(const Effects& effects, WriteBatch& batch) {
  batch.number = effects.batch;
  batch.records.clear();
  batch.bytes.clear();
  for (const RecordEffect& record : effects.records) {
    check(record.key.kind <= kRecordKindMax && record.key.row.value() < kReplicasMax,
          "a record has a kind or row that does not exist");
    RecordEffect& copy = batch.records.emplace_back(record);
    if (record.change != RecordChange::kPut) continue;
    const Bytes value = effects.view(record.value);
    copy.value.offset = static_cast<std::uint32_t>(batch.bytes.size());
    batch.bytes.insert(batch.bytes.end(), value.begin(), value.end());
  }
}

}  // namespace

Result<std::unique_ptr<LmdbStore>> LmdbStore::open(DataDirectory& directory, LmdbOptions options) {
  check(options.map_bytes_max >= options.map_bytes, "the map never shrinks");
  Result<std::unique_ptr<LmdbEnvironment>> environment =
      LmdbEnvironment::open(directory, {.map_bytes = options.map_bytes,
                                        .map_bytes_max = options.map_bytes_max,
                                        .write_fault = options.write_fault});
  if (!environment) return fail(environment.error());
  return std::unique_ptr<LmdbStore>(
      new LmdbStore(directory, std::move(options), std::move(*environment)));
}

LmdbStore::LmdbStore(DataDirectory& directory, LmdbOptions options,
                     std::unique_ptr<LmdbEnvironment> environment)
    : directory_(directory),
      options_(std::move(options)),
      environment_(std::move(environment)),
      transactions_(environment_->state().transaction),
      writer_([this] { run(); }) {
}

LmdbStore::~LmdbStore() {
  [[maybe_unused]] const Result<void> ignored = close();
}

Result<void> LmdbStore::load(const RecordVisitor& visit) {
  check(submitted_ == 0 && environment_ != nullptr, "records are loaded before the first batch");
  return environment_->load(visit);
}

Result<bool> LmdbStore::read(const RecordKey& key, std::vector<std::byte>& value) const {
  check(environment_ != nullptr, "a record was read from a closed store");
  return environment_->read(key, value);
}

void LmdbStore::submit(const Effects& effects) {
  check(effects.batch == submitted_ + 1, "batches are submitted in the order of their numbers");
  check(environment_ != nullptr, "a batch was submitted to a closed store");
  submitted_ = effects.batch;
  if (state() == StoreState::kFailed) return;  // Nothing more becomes durable; do not hoard it.

  std::unique_ptr<WriteBatch> batch;
  {
    const std::lock_guard lock(mutex_);
    if (!spare_batches_.empty()) {
      batch = std::move(spare_batches_.back());
      spare_batches_.pop_back();
    }
  }
  if (batch == nullptr) batch = std::make_unique<WriteBatch>();
  copy_records(effects, *batch);
  pending_bytes_ += batch->size();
  bool writer_may_sleep = false;
  {
    const std::lock_guard lock(mutex_);
    writer_may_sleep = submitted_batches_.empty();
    submitted_batches_.push_back(std::move(batch));
  }
  if (writer_may_sleep) wake_.notify_one();
}

BatchNumber LmdbStore::durable() const {
  return durable_.load(std::memory_order_acquire);
}
StoreState LmdbStore::state() const {
  return state_.load(std::memory_order_acquire);
}
std::uint64_t LmdbStore::pending_bytes() const {
  return pending_bytes_.load();
}
Space LmdbStore::space() const {
  return {used_bytes_.load(), limit_bytes_.load()};
}
std::uint64_t LmdbStore::transactions() const {
  return transactions_.load();
}

std::string LmdbStore::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

void LmdbStore::retry_now() {
  const std::lock_guard lock(mutex_);
  retry_now_ = true;
  wake_.notify_one();
}

Result<void> LmdbStore::close() {
  if (environment_ == nullptr) return {};
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  writer_.join();
  const std::uint64_t last = environment_->state().transaction;
  environment_.reset();
  if (Result<void> recorded = directory_.record_store_witness(last); !recorded) return recorded;
  if (durable() == submitted_) return {};
  return fail(state() == StoreState::kFailed ? ErrorCode::kIo : ErrorCode::kOutOfSpace,
              std::to_string(submitted_ - durable()) + " batches were not written: " + error());
}

// ---- The writer thread ----

void LmdbStore::run() {
  while (take_work()) write_group();
}

/// Waits for batches, and takes all of them. False: there is nothing more to do.
bool LmdbStore::take_work() {
  if (state() == StoreState::kFailed) return false;
  if (retry_ms_ > 0 && !wait_to_retry()) return false;
  std::unique_lock lock(mutex_);
  if (writing_.empty())
    wake_.wait(lock, [this] { return closing_ || !submitted_batches_.empty(); });
  std::ranges::move(submitted_batches_, std::back_inserter(writing_));
  submitted_batches_.clear();
  return !writing_.empty();
}

std::size_t LmdbStore::group_size() const {
  if (one_by_one_) return 1;
  std::uint64_t bytes = 0;
  std::size_t batches = 0;
  while (batches < writing_.size() && (batches == 0 || bytes < kGroupBytesMax)) {
    bytes += writing_[batches++]->size();
  }
  return batches;
}

void LmdbStore::write_group() {
  const std::size_t batches = group_size();
  const auto group = std::span(std::as_const(writing_)).first(batches);
  const bool has_records =
      std::ranges::any_of(group, [](const auto& batch) { return !batch->records.empty(); });
  const Result<void> written = has_records ? environment_->write(group) : Result<void>();
  if (written) {
    group_is_durable(batches);
  } else {
    group_is_refused(written.error(), batches);
  }
}

void LmdbStore::group_is_durable(std::size_t batches) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < batches; ++i) bytes += writing_[i]->size();
  const BatchNumber last = writing_[batches - 1]->number;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < batches && spare_batches_.size() < kSpareBatchesMax; ++i) {
      if (writing_[i]->bytes.capacity() > kSpareBytesMax) continue;
      spare_batches_.push_back(std::move(writing_[i]));
    }
  }
  writing_.erase(writing_.begin(), writing_.begin() + static_cast<std::ptrdiff_t>(batches));
  one_by_one_ = false;
  retry_ms_ = 0;
  pending_bytes_ -= bytes;
  transactions_ = environment_->state().transaction;
  measure_space(bytes);
  durable_.store(last, std::memory_order_release);
  if (state() == StoreState::kFull) set_state(StoreState::kReady, {});
  report_progress();
}

/// Now and then: it costs more than a small transaction. But not so late that a fast disk has no
/// room left for what was promised.
void LmdbStore::measure_space(std::uint64_t written) {
  const auto now = std::chrono::steady_clock::now();
  unmeasured_bytes_ += written;
  const bool is_much = unmeasured_bytes_ > limit_bytes_ / kMeasureShare;
  if (now - measured_at_ < kMeasureEvery && !is_much) return;
  unmeasured_bytes_ = 0;
  measured_at_ = now;
  const Space space = environment_->space();
  used_bytes_ = space.used_bytes;
  limit_bytes_ = space.limit_bytes;
}

/// LMDB has dropped the transaction; the batches are still here, first in line.
void LmdbStore::group_is_refused(const Error& error, std::size_t batches) {
  if (error.code != ErrorCode::kOutOfSpace) {
    set_state(StoreState::kFailed, error.message);
    report_progress();
    return;
  }
  if (batches > 1) {
    one_by_one_ = true;
    return;
  }
  retry_ms_ = std::clamp(retry_ms_ * 2, options_.retry_ms, options_.retry_max_ms);
  if (state() == StoreState::kFull) return;
  set_state(StoreState::kFull, error.message);
  report_progress();
}

/// False: give up. A closing store tries once more, at once.
bool LmdbStore::wait_to_retry() {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::milliseconds(retry_ms_),
                 [this] { return retry_now_ || closing_; });
  retry_now_ = false;
  return !std::exchange(last_try_, closing_);
}

void LmdbStore::set_state(StoreState state, std::string error) {
  {
    const std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }
  state_.store(state, std::memory_order_release);
}

void LmdbStore::report_progress() {
  if (options_.on_progress) options_.on_progress();
}

}  // namespace epaxos::storage
