#pragma once

// How records lie in LMDB. Every (kind, row) has a database of its own, because a row only appends:
// pages fill completely and no search is needed. The main database holds their roots and one state
// record, which names the transaction that wrote it and the fingerprint of all records.
// Source: reliability.md 5.1.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "epaxos/contract/effects.h"
#include "epaxos/storage/data_directory.h"

namespace epaxos::storage {

/// One database a (kind, row).
inline constexpr int kPartitions = (kRecordKindMax + 1) * kReplicasMax;

[[nodiscard]] constexpr int partition_of(const RecordKey& key) {
  return key.kind * kReplicasMax + key.row.value();
}
/// "k03r2"; and back, when it is the name of a partition.
std::string partition_name(int partition);
std::optional<int> partition_from(std::string_view name);

/// Group, epoch and slot, big-endian, so that bytes compare like the key. Kind and row are those of
/// the partition.
using StoredKey = std::array<std::byte, 14>;
StoredKey encode_key(const RecordKey& key);
/// Precondition: `bytes` has the size of a StoredKey.
RecordKey decode_key(int partition, Bytes bytes);

/// Words for a person: "kind 3, R2.17, group 0, epoch 1".
std::string describe(const RecordKey& key);

/// A stored value opens with this checksum, little-endian.
inline constexpr std::size_t kChecksumBytes = 8;

/// XXH3-64 over cluster, replica, key, length and value: a value that was moved to another key, or
/// comes from another replica's file, fails like one whose bits have changed.
std::uint64_t record_checksum(const DirectoryIdentity& identity, const RecordKey& key, Bytes value);

std::uint64_t load_u64(const std::byte* at);
void store_u64(std::byte* at, std::uint64_t value);

/// What every transaction says about itself.
struct StateRecord {
  std::uint64_t transaction = 0;  ///< LMDB's number of the transaction that wrote this.
  std::uint64_t records = 0;      ///< How many records there are.
  std::uint64_t fingerprint = 0;  ///< The sum of their checksums, modulo 2^64.

  friend bool operator==(const StateRecord&, const StateRecord&) = default;
};

/// Sorts before the name of every partition, so it is the first record of the main database.
inline constexpr std::string_view kStateName = ".state";
inline constexpr std::size_t kStateBytes = 64;
using StateBytes = std::array<std::byte, kStateBytes>;

StateBytes encode_state(const DirectoryIdentity& identity, const StateRecord& state);
/// Errors: corrupted - the checksum or format is wrong; wrong_identity - another replica wrote it.
Result<StateRecord> decode_state(const DirectoryIdentity& identity, Bytes bytes);

}  // namespace epaxos::storage
