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
#include "epaxos/storage/lmdb_value.h"
#include "epaxos/storage/lmdb_verifier.h"

namespace epaxos::storage {
namespace {

constexpr unsigned kReadersMax = 8;
constexpr std::size_t kLockFileBytes = 8192;  // More than LMDB needs for its readers.
// A short write on a disk with less room than this beside the batches is taken for a full disk.
constexpr std::uint64_t kFullDiskMargin = std::uint64_t{4} << 20;

bool exists(const std::string& path) {
  struct stat information {};
  return ::stat(path.c_str(), &information) == 0;
}

}  // namespace

// ---- One write transaction ----

/// Aborts unless committed; then no database that it made stays, and nobody has seen its handle.
class LmdbEnvironment::WriteTransaction {
 public:
  explicit WriteTransaction(LmdbEnvironment& environment)
      : environment_(environment), state_(environment.state_) {}

  ~WriteTransaction() {
    if (transaction_ != nullptr) mdb_txn_abort(transaction_);
  }

  WriteTransaction(const WriteTransaction&) = delete;
  WriteTransaction& operator=(const WriteTransaction&) = delete;

  // These answer 0, or LMDB's or the system's number of what went wrong.

  int begin() { return mdb_txn_begin(environment_.environment_, nullptr, 0, &transaction_); }

  /// The main database, for the state record. Its handle is always the same one.
  int open_main() { return mdb_dbi_open(transaction_, nullptr, 0, &environment_.main_); }

  int change(const RecordEffect& record, Bytes value);
  int commit();

 private:
  static std::size_t index(int partition) { return static_cast<std::size_t>(partition); }

  int put(const RecordKey& key, Bytes value);
  int erase(const RecordKey& key);
  int erase_through(const RecordKey& last);
  int open_cursor(int partition, unsigned int flags);
  int erase_here(MDB_cursor* cursor, Bytes stored);
  int put_in_order(MDB_cursor* cursor, MDB_val& key, MDB_val& value);
  int forget(Bytes stored);

  LmdbEnvironment& environment_;
  StateRecord state_;
  MDB_txn* transaction_ = nullptr;
  std::array<MDB_cursor*, kPartitions> cursors_{};  // LMDB frees them with the transaction.
  std::vector<std::pair<int, Handle>> made_;
};

int LmdbEnvironment::WriteTransaction::change(const RecordEffect& record, Bytes value) {
  switch (record.change) {
    case RecordChange::kPut:
      return put(record.key, value);
    case RecordChange::kErase:
      return erase(record.key);
    case RecordChange::kEraseThrough:
      return erase_through(record.key);
  }
  return EINVAL;
}

/// So that cursors_ has one for this partition. A partition that is not there is made if `flags`
/// say so; else MDB_NOTFOUND.
int LmdbEnvironment::WriteTransaction::open_cursor(int partition, unsigned int flags) {
  MDB_cursor*& cursor = cursors_[index(partition)];
  if (cursor != nullptr) return 0;
  Handle handle = environment_.partitions_[index(partition)].load(std::memory_order_relaxed);
  if (handle == 0) {
    if ((flags & MDB_CREATE) == 0) return MDB_NOTFOUND;  // All that there are were opened.
    const int code = mdb_dbi_open(transaction_, partition_name(partition).c_str(), flags, &handle);
    if (code != 0) return code;
    made_.emplace_back(partition, handle);
  }
  return mdb_cursor_open(transaction_, handle, &cursor);
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
  const int partition = partition_of(key);
  if (const int code = open_cursor(partition, MDB_CREATE); code != 0) return code;
  const StoredKey stored_key = encode_key(key);
  MDB_val key_value = value_of(stored_key);
  MDB_val stored{kChecksumBytes + value.size(), nullptr};
  const int code = put_in_order(cursors_[index(partition)], key_value, stored);
  if (code != 0) return code;

  const std::uint64_t checksum = record_checksum(environment_.identity_, key, value);
  auto* to = static_cast<std::byte*>(stored.mv_data);
  store_u64(to, checksum);
  copy_bytes(value, to + kChecksumBytes);
  state_.fingerprint += checksum;
  return 0;
}

/// The record at which the cursor stands, with its value.
int LmdbEnvironment::WriteTransaction::erase_here(MDB_cursor* cursor, Bytes stored) {
  int code = forget(stored);
  if (code == 0) code = mdb_cursor_del(cursor, 0);
  if (code == 0) --state_.records;
  return code;
}

int LmdbEnvironment::WriteTransaction::erase(const RecordKey& key) {
  const int partition = partition_of(key);
  int code = open_cursor(partition, 0);
  MDB_cursor* const cursor = cursors_[index(partition)];
  const StoredKey stored_key = encode_key(key);
  MDB_val key_value = value_of(stored_key);
  MDB_val old{};
  if (code == 0) code = mdb_cursor_get(cursor, &key_value, &old, MDB_SET_KEY);
  if (code == 0) return erase_here(cursor, bytes_of(old));
  return code == MDB_NOTFOUND ? 0 : code;  // Erasing what is not there is no error.
}

/// From the first record of the group and epoch on. After an erasure MDB_NEXT gives the record that
/// followed it, also across pages that were merged. Source: lmdb.h, mdb_cursor_del().
int LmdbEnvironment::WriteTransaction::erase_through(const RecordKey& last) {
  const int partition = partition_of(last);
  int code = open_cursor(partition, 0);
  MDB_cursor* const cursor = cursors_[index(partition)];
  RecordKey first = last;
  first.slot = Slot(0);
  const StoredKey first_bytes = encode_key(first);
  const StoredKey last_bytes = encode_key(last);
  MDB_val key = value_of(first_bytes);
  MDB_val old{};
  if (code == 0) code = mdb_cursor_get(cursor, &key, &old, MDB_SET_RANGE);
  while (code == 0 && !std::ranges::lexicographical_compare(last_bytes, bytes_of(key))) {
    code = erase_here(cursor, bytes_of(old));
    if (code == 0) code = mdb_cursor_get(cursor, &key, &old, MDB_NEXT);
  }
  return code == MDB_NOTFOUND ? 0 : code;
}

int LmdbEnvironment::WriteTransaction::commit() {
  state_.transaction = mdb_txn_id(transaction_);
  const StateBytes bytes = encode_state(environment_.identity_, state_);
  MDB_val key = value_of(std::as_bytes(std::span(kStateName)));
  MDB_val value = value_of(bytes);
  int code = mdb_put(transaction_, environment_.main_, &key, &value, 0);
  if (code == 0 && environment_.options_.write_fault) code = environment_.options_.write_fault();
  if (code != 0) return code;

  code = mdb_txn_commit(std::exchange(transaction_, nullptr));  // Frees it, whatever happens.
  if (code != 0) return code;
  // Only now are the handles good for others: read() may use what it finds here.
  for (const auto& [partition, handle] : made_) {
    environment_.partitions_[index(partition)].store(handle, std::memory_order_release);
  }
  environment_.state_ = state_;
  return 0;
}

// ---- The environment ----

LmdbEnvironment::LmdbEnvironment(const DataDirectory& directory, LmdbEnvironmentOptions options)
    : path_(directory.path() + "/data.mdb"),
      identity_(directory.identity()),
      options_(std::move(options)),
      map_bytes_(options_.map_bytes) {
}

LmdbEnvironment::~LmdbEnvironment() {
  if (reading_ != nullptr) mdb_txn_abort(reading_);
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
    Handle handle = 0;
    code = mdb_dbi_open(transaction, partition_name(i).c_str(), 0, &handle);
    if (code == 0) partitions_[static_cast<std::size_t>(i)] = handle;
    if (code == MDB_NOTFOUND) code = 0;
  }
  // Committing a read transaction changes nothing and keeps the handles that it opened.
  if (code == 0)
    code = mdb_txn_commit(transaction);
  else
    mdb_txn_abort(transaction);
  if (code != 0) return failure(code, "cannot be read");
  return {};
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
      if (const int code = transaction.change(record, value); code != 0) return code;
    }
  }
  return transaction.commit();
}

/// Precondition: no write transaction is open. LMDB does not check that no other one is: the lock
/// keeps read() out while the map moves.
bool LmdbEnvironment::grow_map() {
  const std::lock_guard lock(map_mutex_);
  if (map_bytes_ >= options_.map_bytes_max) return false;
  const std::uint64_t larger = std::min(map_bytes_ * 2, options_.map_bytes_max);
  if (mdb_env_set_mapsize(environment_, larger) != 0) return false;
  map_bytes_ = larger;
  return true;
}

Space LmdbEnvironment::space() const {
  MDB_envinfo information{};
  MDB_stat main{};
  if (mdb_env_info(environment_, &information) != 0) return {};
  if (mdb_env_stat(environment_, &main) != 0) return {};
  const std::uint64_t free = free_pages();
  const std::uint64_t pages = information.me_last_pgno + 1;
  struct stat file {};
  if (free > pages || ::stat(path_.c_str(), &file) != 0) return {};
  const auto size = static_cast<std::uint64_t>(file.st_size);
  const std::uint64_t room = available_bytes(path_);
  const std::uint64_t on_disk = room > UINT64_MAX - size ? UINT64_MAX : size + room;
  return {(pages - free) * main.ms_psize, std::min(options_.map_bytes_max, on_disk)};
}

/// LMDB keeps lists of them, by transaction, in a tree of its own; each begins with its length.
std::uint64_t LmdbEnvironment::free_pages() const {
  MDB_txn* transaction = nullptr;
  MDB_cursor* cursor = nullptr;
  if (mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction) != 0) return 0;
  std::uint64_t pages = 0;
  if (mdb_cursor_open(transaction, 0, &cursor) == 0) {
    MDB_val key{};
    MDB_val list{};
    while (mdb_cursor_get(cursor, &key, &list, MDB_NEXT) == 0) {
      std::uint64_t length = 0;
      if (list.mv_size < sizeof length) continue;
      std::memcpy(&length, list.mv_data, sizeof length);
      pages += length;
    }
    mdb_cursor_close(cursor);
  }
  mdb_txn_abort(transaction);
  return pages;
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
