// Reading from the environment: everything at the start, and single records while the writer
// writes.

#include <cstring>
#include <string>
#include <vector>

#include <lmdb.h>

#include "epaxos/storage/lmdb_environment.h"
#include "epaxos/storage/lmdb_value.h"

namespace epaxos::storage {

// ---- Everything, at the start ----

/// A read transaction that walks the rows of one kind at a time, side by side.
class LmdbEnvironment::Reader {
 public:
  explicit Reader(const LmdbEnvironment& environment) : environment_(environment) {}
  ~Reader() {
    for (Row& row : rows_) mdb_cursor_close(row.cursor);
    if (transaction_ != nullptr) mdb_txn_abort(transaction_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<void> run(const Store::RecordVisitor& visit);

 private:
  struct Row {
    MDB_cursor* cursor = nullptr;
    int partition = 0;
    bool done = false;
    RecordKey key;
    Bytes stored;
  };

  Result<void> read_kind(int kind, const Store::RecordVisitor& visit);
  Result<void> open_rows(int kind);
  Result<void> advance(Row& row, bool first);
  Result<void> visit_checked(const Row& row, const Store::RecordVisitor& visit);
  Row* smallest();

  const LmdbEnvironment& environment_;
  MDB_txn* transaction_ = nullptr;
  std::vector<Row> rows_;
  std::uint64_t records_ = 0;
  std::uint64_t fingerprint_ = 0;
};

Result<void> LmdbEnvironment::Reader::run(const Store::RecordVisitor& visit) {
  const int code = mdb_txn_begin(environment_.environment_, nullptr, MDB_RDONLY, &transaction_);
  if (code != 0) return environment_.failure(code, "cannot be read");
  for (int kind = 0; kind <= kRecordKindMax; ++kind) {
    if (Result<void> read = read_kind(kind, visit); !read) return read;
  }
  const StateRecord& state = environment_.state_;
  if (records_ == state.records && fingerprint_ == state.fingerprint) return {};
  return environment_.damaged("it holds " + std::to_string(records_) +
                              " records, and its last transaction left " +
                              std::to_string(state.records) + ", or others");
}

Result<void> LmdbEnvironment::Reader::read_kind(int kind, const Store::RecordVisitor& visit) {
  if (Result<void> opened = open_rows(kind); !opened) return opened;
  while (Row* row = smallest()) {
    if (Result<void> visited = visit_checked(*row, visit); !visited) return visited;
    if (Result<void> advanced = advance(*row, false); !advanced) return advanced;
  }
  for (Row& row : rows_) mdb_cursor_close(row.cursor);
  rows_.clear();
  return {};
}

Result<void> LmdbEnvironment::Reader::open_rows(int kind) {
  for (int row = 0; row < kReplicasMax; ++row) {
    const int partition = kind * kReplicasMax + row;
    const Handle handle = environment_.partitions_[static_cast<std::size_t>(partition)];
    if (handle == 0) continue;
    Row opened;
    opened.partition = partition;
    const int code = mdb_cursor_open(transaction_, handle, &opened.cursor);
    if (code != 0) return environment_.failure(code, "cannot be read");
    rows_.push_back(opened);
    if (Result<void> advanced = advance(rows_.back(), true); !advanced) return advanced;
  }
  return {};
}

Result<void> LmdbEnvironment::Reader::advance(Row& row, bool first) {
  MDB_val key{};
  MDB_val value{};
  const int code = mdb_cursor_get(row.cursor, &key, &value, first ? MDB_FIRST : MDB_NEXT);
  row.done = code == MDB_NOTFOUND;
  if (row.done) return {};
  if (code != 0) return environment_.failure(code, "cannot be read");
  if (key.mv_size != sizeof(StoredKey) || value.mv_size < kChecksumBytes) {
    return environment_.damaged(partition_name(row.partition) +
                                " holds something that is no record");
  }
  row.key = decode_key(row.partition, bytes_of(key));
  row.stored = bytes_of(value);
  return {};
}

LmdbEnvironment::Reader::Row* LmdbEnvironment::Reader::smallest() {
  Row* best = nullptr;
  for (Row& row : rows_) {
    if (!row.done && (best == nullptr || row.key < best->key)) best = &row;
  }
  return best;
}

Result<void> LmdbEnvironment::Reader::visit_checked(const Row& row,
                                                    const Store::RecordVisitor& visit) {
  const Bytes value = row.stored.subspan(kChecksumBytes);
  const std::uint64_t checksum = load_u64(row.stored.data());
  if (checksum != record_checksum(environment_.identity_, row.key, value)) {
    return environment_.damaged("the record of " + describe(row.key) + " fails its checksum");
  }
  ++records_;
  fingerprint_ += checksum;
  return visit(row.key, value);
}

Result<void> LmdbEnvironment::load(const Store::RecordVisitor& visit) {
  return Reader(*this).run(visit);
}

// ---- Single records ----

/// The snapshot of one read(): the newest durable transaction. A transaction that is begun again
/// needs no memory and no lock, and between reads it keeps no page from being used again.
class LmdbEnvironment::Snapshot {
 public:
  explicit Snapshot(LmdbEnvironment& environment) : transaction_(environment.reading_) {
    code_ = transaction_ != nullptr
                ? mdb_txn_renew(transaction_)
                : mdb_txn_begin(environment.environment_, nullptr, MDB_RDONLY, &transaction_);
    environment.reading_ = transaction_;
  }
  ~Snapshot() { mdb_txn_reset(transaction_); }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  /// 0, or LMDB's number of what went wrong. `stored` is valid as long as this lives.
  int find(Handle partition, const StoredKey& key, Bytes& stored) {
    if (code_ != 0) return code_;
    MDB_val key_value = value_of(key);
    MDB_val value{};
    code_ = mdb_get(transaction_, partition, &key_value, &value);
    if (code_ == 0) stored = bytes_of(value);
    return code_;
  }

 private:
  MDB_txn* transaction_;
  int code_ = 0;
};

Result<bool> LmdbEnvironment::read(const RecordKey& key, std::vector<std::byte>& value) {
  if (key.kind > kRecordKindMax || key.row.value() >= kReplicasMax) return false;
  // Before the snapshot is taken: what is published here is known to every later transaction.
  const auto partition = static_cast<std::size_t>(partition_of(key));
  const Handle handle = partitions_[partition].load(std::memory_order_acquire);
  if (handle == 0) return false;

  const std::lock_guard lock(map_mutex_);
  Snapshot snapshot(*this);
  Bytes stored;
  const int code = snapshot.find(handle, encode_key(key), stored);
  if (code == MDB_NOTFOUND) return false;
  if (code != 0) return failure(code, "cannot be read");
  if (stored.size() < kChecksumBytes ||
      load_u64(stored.data()) != record_checksum(identity_, key, stored.subspan(kChecksumBytes))) {
    return damaged("the record of " + describe(key) + " fails its checksum");
  }
  const Bytes found = stored.subspan(kChecksumBytes);
  value.assign(found.begin(), found.end());
  return true;
}

Failure LmdbEnvironment::damaged(const std::string& what) const {
  return fail(
      ErrorCode::kCorrupted,
      path_ + ": is damaged (" + what +
          "). This replica must not run on it: with an empty directory it learns and serves "
          "again, but does not vote");
}

}  // namespace epaxos::storage
