#include "epaxos/storage/lmdb_layout.h"

#include <cstring>

#include <xxhash.h>

#include "deps/types/check.h"

namespace epaxos::storage {
namespace {

constexpr std::uint64_t kStateFormat = 0x31'65'74'61'74'73'70'65;  // "epstate1"

template <class T>
void put_big_endian(std::byte* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<std::byte>(value >> (8 * (sizeof(T) - 1 - i)));
  }
}

template <class T>
T get_big_endian(const std::byte* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8 | static_cast<T>(at[i]));
  }
  return value;
}

std::string cluster_text(const std::byte* id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    text += kDigits[static_cast<unsigned>(id[i]) >> 4];
    text += kDigits[static_cast<unsigned>(id[i]) & 15];
  }
  return text;
}

}  // namespace

std::string partition_name(int partition) {
  const int kind = partition / kReplicasMax;
  std::string name = "k00r0";
  name[1] = static_cast<char>('0' + kind / 10);
  name[2] = static_cast<char>('0' + kind % 10);
  name[4] = static_cast<char>('0' + partition % kReplicasMax);
  return name;
}

std::optional<int> partition_from(std::string_view name) {
  if (name.size() != 5) return std::nullopt;
  const int partition = ((name[1] - '0') * 10 + (name[2] - '0')) * kReplicasMax + (name[4] - '0');
  if (partition < 0 || partition >= kPartitions) return std::nullopt;
  if (partition_name(partition) != name) return std::nullopt;
  return partition;
}

StoredKey encode_key(const RecordKey& key) {
  StoredKey bytes;
  put_big_endian(bytes.data(), key.group.value());
  put_big_endian(bytes.data() + 2, key.epoch.value());
  put_big_endian(bytes.data() + 6, key.slot.value());
  return bytes;
}

RecordKey decode_key(int partition, Bytes bytes) {
  check(bytes.size() == sizeof(StoredKey), "a stored key of another size was decoded");
  return {.kind = static_cast<std::uint8_t>(partition / kReplicasMax),
          .group = GroupId(get_big_endian<std::uint16_t>(bytes.data())),
          .epoch = Epoch(get_big_endian<std::uint32_t>(bytes.data() + 2)),
          .row = ReplicaId(static_cast<std::uint16_t>(partition % kReplicasMax)),
          .slot = Slot(get_big_endian<std::uint64_t>(bytes.data() + 6))};
}

std::string describe(const RecordKey& key) {
  return "kind " + std::to_string(key.kind) + ", " + to_string(InstanceId{key.row, key.slot}) +
         ", group " + std::to_string(key.group.value()) + ", epoch " +
         std::to_string(key.epoch.value());
}

std::uint64_t load_u64(const std::byte* at) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i > 0; --i) value = value << 8 | static_cast<std::uint64_t>(at[i - 1]);
  return value;
}

void store_u64(std::byte* at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint64_t record_checksum(const DirectoryIdentity& identity, const RecordKey& key,
                              Bytes value) {
  // The hash of the value is hashed together with everything that it is bound to.
  std::array<std::byte, 16 + 2 + 1 + 2 + sizeof(StoredKey) + 8 + 8> bound;
  std::byte* at = bound.data();
  std::memcpy(at, identity.cluster.data(), 16);
  put_big_endian(at + 16, identity.replica.value());
  at[18] = static_cast<std::byte>(key.kind);
  put_big_endian(at + 19, key.row.value());
  const StoredKey rest = encode_key(key);
  std::memcpy(at + 21, rest.data(), rest.size());
  store_u64(at + 35, value.size());
  store_u64(at + 43, XXH3_64bits(value.data(), value.size()));
  return XXH3_64bits(bound.data(), bound.size());
}

StateBytes encode_state(const DirectoryIdentity& identity, const StateRecord& state) {
  StateBytes bytes{};
  store_u64(bytes.data(), kStateFormat);
  std::memcpy(bytes.data() + 8, identity.cluster.data(), 16);
  store_u64(bytes.data() + 24, identity.replica.value());
  store_u64(bytes.data() + 32, state.transaction);
  store_u64(bytes.data() + 40, state.records);
  store_u64(bytes.data() + 48, state.fingerprint);
  store_u64(bytes.data() + 56, XXH3_64bits(bytes.data(), 56));
  return bytes;
}

Result<StateRecord> decode_state(const DirectoryIdentity& identity, Bytes bytes) {
  if (bytes.size() != kStateBytes || load_u64(bytes.data()) != kStateFormat ||
      load_u64(bytes.data() + 56) != XXH3_64bits(bytes.data(), 56)) {
    return fail(ErrorCode::kCorrupted, "the state record fails its checksum");
  }
  const std::uint64_t replica = load_u64(bytes.data() + 24);
  if (std::memcmp(bytes.data() + 8, identity.cluster.data(), 16) != 0 ||
      replica != identity.replica.value()) {
    return fail(ErrorCode::kWrongIdentity,
                "it was written by replica " + std::to_string(replica) + " of cluster " +
                    cluster_text(bytes.data() + 8) + ", not by replica " +
                    std::to_string(identity.replica.value()) + " of cluster " +
                    cluster_text(identity.cluster.data()));
  }
  return StateRecord{.transaction = load_u64(bytes.data() + 32),
                     .records = load_u64(bytes.data() + 40),
                     .fingerprint = load_u64(bytes.data() + 48)};
}

}  // namespace epaxos::storage
