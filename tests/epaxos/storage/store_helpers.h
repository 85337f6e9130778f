#pragma once

// What the tests of the storage folder share: a directory that vanishes, an identity, and batches
// of records with values that tell where they came from.

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_store.h"

namespace epaxos::storage {

/// Where a test that opens a store a thousand times keeps it: in memory, where fsync costs nothing.
inline std::filesystem::path memory_root() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

/// An empty directory that is removed at the end of the test.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(
      const std::filesystem::path& root = std::filesystem::temp_directory_path()) {
    std::string name = (root / "epaxos-storage-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

inline DirectoryIdentity identity_of(std::uint16_t replica, std::uint8_t cluster = 7) {
  DirectoryIdentity identity{.cluster = {}, .replica = ReplicaId(replica), .replica_count = 5};
  identity.cluster.fill(std::byte{cluster});
  return identity;
}

inline DataDirectoryOptions directory_options(const std::string& path,
                                              Durability durability = Durability::kSync) {
  DataDirectoryOptions options;
  options.path = path;
  options.identity = identity_of(2);
  options.durability = durability;
  return options;
}

/// The value, or the end of the test.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << to_string(result.error().code) << ": " << result.error().message;
    std::abort();
  }
  return std::move(result).value();
}

inline std::unique_ptr<DataDirectory> open_directory(const std::string& path) {
  return must(DataDirectory::open(directory_options(path)));
}

inline RecordKey key_of(std::uint64_t kind, std::uint64_t row, std::uint64_t slot,
                        std::uint16_t group = 0, std::uint32_t epoch = 0) {
  return {.kind = static_cast<std::uint8_t>(kind),
          .group = GroupId(group),
          .epoch = Epoch(epoch),
          .row = ReplicaId(static_cast<std::uint16_t>(row)),
          .slot = Slot(slot)};
}

using Records = std::map<RecordKey, std::string>;

/// One batch under construction.
class BatchBuilder {
 public:
  explicit BatchBuilder(BatchNumber number) { effects_.batch = number; }

  BatchBuilder& put(const RecordKey& key, std::string_view value) {
    effects_.put(key, effects_.append(std::as_bytes(std::span(value))));
    return *this;
  }
  BatchBuilder& erase(const RecordKey& key) {
    effects_.erase(key);
    return *this;
  }
  BatchBuilder& erase_through(const RecordKey& last) {
    effects_.erase_through(last);
    return *this;
  }
  [[nodiscard]] const Effects& effects() const { return effects_; }

 private:
  Effects effects_;
};

/// Everything in a store, in the order in which it came; fails the test when keys do not ascend.
inline Result<Records> load_all(Store& store) {
  Records records;
  const Result<void> loaded = store.load([&](const RecordKey& key, Bytes value) -> Result<void> {
    EXPECT_TRUE(records.empty() || records.rbegin()->first < key) << "out of order";
    records[key] = std::string(reinterpret_cast<const char*>(value.data()), value.size());
    return {};
  });
  if (!loaded) return fail(loaded.error());
  return records;
}

/// What read() says of this key: its value, nothing, or why it cannot be read.
inline Result<std::optional<std::string>> read_text(const Store& store, const RecordKey& key) {
  std::vector<std::byte> value;
  const Result<bool> found = store.read(key, value);
  if (!found) return fail(found.error());
  if (!*found) return std::optional<std::string>();
  return std::optional(std::string(reinterpret_cast<const char*>(value.data()), value.size()));
}

/// What a fresh process finds in the directory.
inline Result<Records> reopen_and_load(const std::string& path) {
  Result<std::unique_ptr<DataDirectory>> directory = DataDirectory::open(directory_options(path));
  if (!directory) return fail(directory.error());
  Result<std::unique_ptr<LmdbStore>> store = LmdbStore::open(**directory);
  if (!store) return fail(store.error());
  return load_all(**store);
}

/// Waits until `holds()`; false after a minute, which only protects against hanging.
template <class Condition>
bool eventually(Condition holds) {
  for (int i = 0; i < 60'000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

inline bool wait_durable(const Store& store, BatchNumber batch) {
  return eventually([&] { return store.durable() >= batch; });
}

/// Holds the writer thread before its commits until opened.
class Gate {
 public:
  std::function<int()> hook() {
    return [this] {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      return 0;
    };
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
    waiting_ = 0;
  }
  void wait_for_the_writer() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace epaxos::storage
