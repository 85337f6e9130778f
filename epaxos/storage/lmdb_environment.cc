#include "epaxos/storage/lmdb_environment.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <lmdb.h>

#include "deps/types/check.h"
#include "epaxos/storage/file_system.h"
#include "epaxos/storage/lmdb_verifier.h"

namespace epaxos::storage {
namespace {

constexpr unsigned kReadersMax = 8;
constexpr std::size_t kLockFileBytes = 8192;  // More than LMDB needs for its readers.
// A short write on a disk with less room than this beside the batches is taken for a full disk.
constexpr std::uint64_t kFullDiskMargin = std::uint64_t{4} << 20;

MDB_val value_of(Bytes bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};  // LMDB does not write to it.
}

Bytes bytes_of(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

bool exists(const std::string& path) {
  struct stat information {};
  return ::stat(path.c_str(), &information) == 0;
}

}  // namespace

// ---- One write transaction ----

/// Aborts unless committed; then no handle that it opened stays.
class LmdbEnvironment::WriteTransaction {
 public:
  explicit WriteTransaction(LmdbEnvironment& environment)
      : environment_(environment), state_(environment.state_) {}

  ~WriteTransaction() {
    if (transaction_ == nullptr) return;
    mdb_txn_abort(transaction_);
    for (const int partition : opened_) environment_.partitions_[index(partition)] = 0;
  }

  WriteTransaction(const WriteTransaction&) = delete;
  WriteTransaction& operator=(const WriteTransaction&) = delete;

  // These answer 0, or LMDB's or the system's number of what went wrong.

  int begin() { return mdb_txn_begin(environment_.environment_, nullptr, 0, &transaction_); }

  /// The main database, for the state record. Its handle is always the same one.
  int open_main() { return mdb_dbi_open(transaction_, nullptr, 0, &environment_.main_); }

  int put(const RecordKey& key, Bytes value);
  int erase(const RecordKey& key);
  int commit();

 private:
  static std::size_t index(int partition) { return static_cast<std::size_t>(partition); }

  int cursor(int partition, MDB_cursor*& cursor);
  int put_in_order(MDB_cursor* cursor, MDB_val& key, MDB_val& value);
  int forget(Bytes stored);

  LmdbEnvironment& environment_;
  StateRecord state_;
  MDB_txn* transaction_ = nullptr;
  std::array<MDB_cursor*, kPartitions> cursors_{};  // LMDB frees them with the transaction.
  std::vector<int> opened_;
};

int LmdbEnvironment::WriteTransaction::cursor(int partition, MDB_cursor*& cursor) {
  MDB_cursor*& mine = cursors_[index(partition)];
  if (mine == nullptr) {
    Handle& handle = environment_.partitions_[index(partition)];
    if (handle == 0) {
      const std::string name = partition_name(partition);
      const int code = mdb_dbi_open(transaction_, name.c_str(), MDB_CREATE, &handle);
      if (code != 0) {
        handle = 0;
        return code;
      }
      opened_.push_back(partition);
    }
    const int code = mdb_cursor_open(transaction_, handle, &mine);
    if (code != 0) return code;
  }
  cursor = mine;
  return 0;
}

/// Rows append: the new key is nearly always the largest of its partition, and then LMDB neither
/// searches nor splits pages in the middle. Otherwise the old value leaves the fingerprint.
int LmdbEnvironment::WriteTransaction::put_in_order(MDB_cursor* cursor, MDB_val& key,
                                                    MDB_val& value) {
  const std::size_t size = value.mv_size;
  int code = mdb_cursor_put(cursor, &key, &value, MDB_APPEND | MDB_RESERVE);
  if (code != MDB_KEYEXIST) {
    if (code == 0) ++state_.records;
    return code;
  }
  value = {size, nullptr};
  code = mdb_cursor_put(cursor, &key, &value, MDB_NOOVERWRITE | MDB_RESERVE);
  if (code != MDB_KEYEXIST) {
    if (code == 0) ++state_.records;
    return code;
  }
  if (code = forget(bytes_of(value)); code != 0) return code;
  value = {size, nullptr};
  return mdb_cursor_put(cursor, &key, &value, MDB_RESERVE);
}

int LmdbEnvironment::WriteTransaction::forget(Bytes stored) {
  if (stored.size() < kChecksumBytes) return MDB_CORRUPTED;
  state_.fingerprint -= load_u64(stored.data());
  return 0;
}

int LmdbEnvironment::WriteTransaction::put(const RecordKey& key, Bytes value) {
  MDB_cursor* at = nullptr;
  if (const int code = cursor(partition_of(key), at); code != 0) return code;
  const StoredKey stored_key = encode_key(key);
  MDB_val key_value = value_of(stored_key);
  MDB_val stored{kChecksumBytes + value.size(), nullptr};
  if (const int code = put_in_order(at, key_value, stored); code != 0) return code;

  const std::uint64_t checksum = record_checksum(environment_.identity_, key, value);
  auto* to = static_cast<std::byte*>(stored.mv_data);
  store_u64(to, checksum);
  copy_bytes(value, to + kChecksumBytes);
  state_.fingerprint += checksum;
  return 0;
}

int LmdbEnvironment::WriteTransaction::erase(const RecordKey& key) {
  MDB_cursor* at = nullptr;
  if (const int code = cursor(partition_of(key), at); code != 0) return code;
  const StoredKey stored_key = encode_key(key);
  MDB_val key_value = value_of(stored_key);
  MDB_val old{};
  int code = mdb_cursor_get(at, &key_value, &old, MDB_SET_KEY);
  if (code == MDB_NOTFOUND) return 0;  // Erasing what is not there is no error.
  if (code == 0) code = forget(bytes_of(old));
  if (code == 0) code = mdb_cursor_del(at, 0);
  if (code == 0) --state_.records;
  return code;
}

int LmdbEnvironment::WriteTransaction::commit() {
  state_.transaction = mdb_txn_id(transaction_);
  const StateBytes bytes = encode_state(environment_.identity_, state_);
  MDB_val key = value_of(bytes_of(kStateName));
  MDB_val value = value_of(bytes);
  int code = mdb_put(transaction_, environment_.main_, &key, &value, 0);
  if (code == 0 && environment_.options_.write_fault) code = environment_.options_.write_fault();
  if (code != 0) return code;

  code = mdb_txn_commit(std::exchange(transaction_, nullptr));  // Frees it, whatever happens.
  if (code != 0) {
    for (const int partition : opened_) environment_.partitions_[index(partition)] = 0;
    return code;
  }
  environment_.state_ = state_;
  return 0;
}

// ---- Reading everything ----

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
  [[nodiscard]] Failure damaged(const std::string& what) const;

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
  return damaged("it holds " + std::to_string(records_) +
                 " records, and its last transaction left " + std::to_string(state.records) +
                 ", or others");
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
    return damaged(partition_name(row.partition) + " holds something that is no record");
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
    return damaged("the record of " + describe(row.key) + " fails its checksum");
  }
  ++records_;
  fingerprint_ += checksum;
  return visit(row.key, value);
}

Failure LmdbEnvironment::Reader::damaged(const std::string& what) const {
  return fail(ErrorCode::kCorrupted,
              environment_.path_ + ": is damaged (" + what +
                  "). This replica must not run on it: empty the data directory and bring it back "
                  "as a new replica");
}

// ---- The environment ----

LmdbEnvironment::LmdbEnvironment(const DataDirectory& directory, LmdbEnvironmentOptions options)
    : path_(directory.path() + "/data.mdb"),
      identity_(directory.identity()),
      options_(std::move(options)),
      map_bytes_(options_.map_bytes) {
}

LmdbEnvironment::~LmdbEnvironment() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

Result<std::unique_ptr<LmdbEnvironment>> LmdbEnvironment::open(
    DataDirectory& directory, const LmdbEnvironmentOptions& options) {
  std::unique_ptr<LmdbEnvironment> opened(new LmdbEnvironment(directory, options));
  LmdbEnvironment& self = *opened;
  const bool is_new = directory.store_witness() == 0;
  if (is_new) {
    // Nothing in a file without a witness was ever called durable: its creation was cut short.
    if (exists(self.path_)) ::rename(self.path_.c_str(), (self.path_ + ".unfinished").c_str());
  } else {
    Result<StateRecord> verified = check_file(self.path_, directory);
    if (!verified) return fail(verified.error());
    self.state_ = *verified;
  }
  if (Result<void> mapped = self.map_file(); !mapped) return fail(mapped.error());
  Result<void> ready = is_new ? self.create() : self.open_partitions();
  if (ready && is_new) ready = sync_directory(directory.path());
  if (ready) ready = directory.record_store_witness(self.state_.transaction);
  if (!ready) return fail(ready.error());
  return opened;
}

/// What the file says, when it is sound and not behind what the directory remembers.
Result<StateRecord> LmdbEnvironment::check_file(const std::string& path,
                                                const DataDirectory& directory) {
  const std::string advice =
      "; restore the newest copy of the whole directory only if this replica never ran after it "
      "was "
      "made, else empty the directory and bring the replica back as a new one";
  if (!exists(path)) {
    return fail(ErrorCode::kCorrupted, path +
                                           ": is missing, although this replica has written to "
                                           "it" +
                                           advice);
  }
  Result<StateRecord> state = verify_lmdb_file(path, directory.identity());
  if (!state || state->transaction >= directory.store_witness()) return state;
  return fail(ErrorCode::kCorrupted, path + ": is an old copy: it ends with transaction " +
                                         std::to_string(state->transaction) + ", but transaction " +
                                         std::to_string(directory.store_witness()) +
                                         " was durable" + advice);
}

Result<void> LmdbEnvironment::map_file() {
  const std::string directory = path_.substr(0, path_.rfind('/'));
  // The directory is ours alone, so what the lock file remembers is about the dead. LMDB writes to
  // it through a map, which on a full disk ends in SIGBUS unless its blocks are there.
  if (Result<void> zeroed = write_zeros(directory + "/lock.mdb", kLockFileBytes); !zeroed) {
    return fail(zeroed.error());
  }
  int code = mdb_env_create(&environment_);
  if (code != 0) return failure(code, "cannot be opened");
  code = mdb_env_set_mapsize(environment_, map_bytes_);
  if (code == 0) code = mdb_env_set_maxdbs(environment_, kPartitions);
  if (code == 0) code = mdb_env_set_maxreaders(environment_, kReadersMax);
  if (code == 0) code = mdb_env_open(environment_, directory.c_str(), MDB_NOTLS, 0640);
  int dead_readers = 0;
  if (code == 0) code = mdb_reader_check(environment_, &dead_readers);
  MDB_envinfo information{};
  if (code == 0) code = mdb_env_info(environment_, &information);
  if (code != 0) return failure(code, "cannot be opened");
  map_bytes_ = information.me_mapsize;  // LMDB takes more when the file is larger than asked for.
  return {};
}

/// Two transactions, so that both meta pages have a tree with a state record.
Result<void> LmdbEnvironment::create() {
  for (int i = 0; i < 2; ++i) {
    WriteTransaction transaction(*this);
    int code = transaction.begin();
    if (code == 0 && main_ == 0) code = transaction.open_main();
    if (code == 0) code = transaction.commit();
    if (code != 0) return write_failure(code, 0);
  }
  return {};
}

Result<void> LmdbEnvironment::open_partitions() {
  MDB_txn* transaction = nullptr;
  int code = mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction);
  if (code != 0) return failure(code, "cannot be read");
  code = mdb_dbi_open(transaction, nullptr, 0, &main_);
  for (int i = 0; i < kPartitions && code == 0; ++i) {
    Handle& handle = partitions_[static_cast<std::size_t>(i)];
    code = mdb_dbi_open(transaction, partition_name(i).c_str(), 0, &handle);
    if (code != MDB_NOTFOUND) continue;
    handle = 0;
    code = 0;
  }
  // Committing a read transaction changes nothing and keeps the handles that it opened.
  if (code == 0)
    code = mdb_txn_commit(transaction);
  else
    mdb_txn_abort(transaction);
  if (code != 0) return failure(code, "cannot be read");
  return {};
}

Result<void> LmdbEnvironment::load(const Store::RecordVisitor& visit) {
  return Reader(*this).run(visit);
}

Result<void> LmdbEnvironment::write(std::span<const std::unique_ptr<WriteBatch>> batches) {
  std::uint64_t bytes = 0;
  for (const auto& batch : batches) bytes += batch->size();
  int code = write_once(batches);
  while (code == MDB_MAP_FULL && grow_map()) code = write_once(batches);
  if (code != 0) return write_failure(code, bytes);
  return {};
}

int LmdbEnvironment::write_once(std::span<const std::unique_ptr<WriteBatch>> batches) {
  WriteTransaction transaction(*this);
  if (const int code = transaction.begin(); code != 0) return code;
  for (const auto& batch : batches) {
    for (const RecordEffect& record : batch->records) {
      const Bytes value = Bytes(batch->bytes).subspan(record.value.offset, record.value.size);
      const int code =
          record.erase ? transaction.erase(record.key) : transaction.put(record.key, value);
      if (code != 0) return code;
    }
  }
  return transaction.commit();
}

/// Precondition: no transaction is open; LMDB does not check that itself.
bool LmdbEnvironment::grow_map() {
  if (map_bytes_ >= options_.map_bytes_max) return false;
  const std::uint64_t larger = std::min(map_bytes_ * 2, options_.map_bytes_max);
  if (mdb_env_set_mapsize(environment_, larger) != 0) return false;
  map_bytes_ = larger;
  return true;
}

Failure LmdbEnvironment::failure(int code, std::string_view what) const {
  if (code > 0) return system_failure(path_, what, code);
  const bool damaged = code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
                       code == MDB_VERSION_MISMATCH;
  return fail(damaged ? ErrorCode::kCorrupted : ErrorCode::kIo,
              path_ + ": " + std::string(what) + ": " + mdb_strerror(code));
}

/// LMDB answers EIO also for a short write, which is how a disk fills up in the middle of one.
/// Taking that for a full disk is safe: the next attempt writes every page of the transaction
/// again.
Failure LmdbEnvironment::write_failure(int code, std::uint64_t bytes) const {
  if (code == MDB_MAP_FULL) {
    return fail(ErrorCode::kOutOfSpace,
                path_ + ": has reached its largest size, " + std::to_string(map_bytes_) +
                    " bytes; raise the limit of the store, or wait until old records are dropped");
  }
  const bool full =
      means_no_space(code) || (code == EIO && available_bytes(path_) < 4 * bytes + kFullDiskMargin);
  if (full) {
    return fail(ErrorCode::kOutOfSpace,
                path_ + ": the disk is full; free some space, and the replica continues by itself");
  }
  const Error error = failure(code, "cannot be written").error;
  return fail(error.code == ErrorCode::kCorrupted ? error.code : ErrorCode::kIo,
              error.message + "; the replica must stop, because it cannot tell what is on disk");
}

}  // namespace epaxos::storage
