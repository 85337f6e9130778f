#pragma once

// What a core asks its host to do. A core only appends; the host carries the effects out in one
// legal order (log, then speak) and reuses the object. One byte arena holds everything of variable
// size.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "net/frame.h"

namespace epaxos {

/// A piece of the arena.
struct Slice {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

/// What a record is about. Stores keep records in the order (kind, group, epoch, row, slot), so
/// that each row appends. Which kinds there are is the protocol's business: 0 .. 14 are its to
/// use, 15 is the host's.
struct RecordKey {
  std::uint8_t kind = 0;
  GroupId group;
  Epoch epoch;
  ReplicaId row;
  Slot slot;

  friend constexpr auto operator<=>(const RecordKey&, const RecordKey&) = default;
};
inline constexpr std::uint8_t kRecordKindMax = 15;

enum class RecordChange : std::uint8_t {
  kPut,           ///< The record of this key has this value, whether it was there or not.
  kErase,         ///< The record of this key is gone; no error when it was not there.
  kEraseThrough,  ///< Of its kind, group, epoch and row, every record up to this slot is gone.
};

/// A change of the durable state. The changes of a batch are made in their order, so the last one
/// of a key wins.
struct RecordEffect {
  RecordKey key;
  Slice value;  ///< Of a put.
  RecordChange change = RecordChange::kPut;
};

/// When a send may leave.
enum class Release : std::uint8_t {
  kGated,  ///< When every batch up to and including this turn's is durable.
  kNow,    ///< At once: no crash can make it false (a question, or something known durable).
};

struct SendEffect {
  std::uint16_t to = 0;  ///< One bit a replica; a broadcast is encoded once.
  Release release = Release::kGated;
  net::FrameType type = 0;
  GroupId group;
  Epoch epoch;
  Slice body;
};

/// The next instance in the final order. Gated. `block` belongs to the core and stays until the
/// host calls applied() with this position or a later one.
struct ExecutionEffect {
  std::uint64_t position = 0;  ///< 1, 2, 3, ... at this replica since its start.
  InstanceId instance;
  Tick committed_at = 0;
  Bytes block;
  bool own = false;  ///< Of this replica's clients, in this life.
};

/// This replica lacks what its peers have dropped, or is so far behind that an image of a peer's
/// state machine is the shorter way.
struct ImageWish {
  ReplicaId from;
  std::uint64_t bytes_max = 0;  ///< A larger one is not worth it.
};

/// A command that certainly is not, and never will be, executed.
struct RejectionEffect {
  CommandId command;
  ErrorCode code = ErrorCode::kOverloaded;
  const char* reason = "";  ///< A sentence with static storage.
};

/// A command that only reads and has no place in the final order: its core knows that the state
/// machine has applied all that the answer must show. It is run on the machine as it is. Not gated:
/// the answer rests on what is applied already, and leaves no trace.
struct ReadEffect {
  CommandId command;
  Slice payload;
};

/// To every proposal of a replica whose disk has forgotten.
inline constexpr const char* kMayNotPropose =
    "this replica lost what it had promised and may not propose; use another replica";

/// Precondition of use: one turn of one host; `batch` and `now` are set by the host.
class Effects {
 public:
  /// The number that this turn's records will get. Actions that need them durable wait for
  /// Core::durable(batch).
  BatchNumber batch = 0;
  Tick now = 0;

  std::vector<RecordEffect> records;
  std::vector<SendEffect> sends;
  std::vector<ExecutionEffect> executions;
  std::vector<RejectionEffect> rejections;
  std::vector<ReadEffect> reads;
  /// Commands of this replica's clients that an installed image has executed: nobody here will
  /// learn what they gave.
  std::vector<CommandId> superseded;
  std::optional<ImageWish> image_wish;
  /// The last execution of this turn ends a component, so that the state after it is one that an
  /// image may show. Meaningless without executions.
  bool ends_component = false;

  [[nodiscard]] Bytes view(Slice slice) const {
    return Bytes(arena_).subspan(slice.offset, slice.size);
  }

  /// Room for `bytes` zeroed bytes at a multiple of 8. Valid until the next call of a member.
  std::span<std::byte> allocate(std::size_t bytes, Slice& slice) {
    const std::size_t at = (arena_.size() + 7) / 8 * 8;
    check(at + bytes <= UINT32_MAX, "the effects of one turn exceed 4 GiB");
    arena_.resize(at + bytes);
    slice = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(bytes)};
    return std::span(arena_).subspan(at, bytes);
  }

  Slice append(Bytes bytes);

  void put(const RecordKey& key, Slice value) {
    records.push_back({key, value, RecordChange::kPut});
  }
  void erase(const RecordKey& key) { records.push_back({key, {}, RecordChange::kErase}); }
  /// Erases every record of this kind, group, epoch and row whose slot is at most last.slot. A put
  /// that follows stays. Cost: the store's writer visits each record that is there.
  void erase_through(const RecordKey& last) {
    records.push_back({last, {}, RecordChange::kEraseThrough});
  }

  void reject(std::span<const Proposal> proposals, ErrorCode code, const char* reason) {
    for (const Proposal& each : proposals) rejections.push_back({each.command.id, code, reason});
  }

  [[nodiscard]] bool empty() const {
    return records.empty() && sends.empty() && executions.empty() && rejections.empty() &&
           reads.empty() && superseded.empty() && !image_wish;
  }
  [[nodiscard]] std::size_t bytes() const { return arena_.size(); }
  [[nodiscard]] std::size_t capacity_bytes() const { return arena_.capacity(); }

  /// Forgets everything and keeps the memory.
  void clear();

 private:
  std::vector<std::byte> arena_;
};

}  // namespace epaxos
