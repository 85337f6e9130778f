#pragma once

// Where records survive. Batches are numbered; a batch is atomic; they become durable in order. The
// LMDB store and the simulated disk keep the same promises.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "epaxos/contract/effects.h"

namespace epaxos {

/// How much of a crash an acknowledged command survives.
enum class Durability {
  kSync,   ///< Power loss of all replicas: effects wait until their batch is on disk.
  kAsync,  ///< The same batches are written, but nothing waits for them.
  kNone,   ///< Memory only.
};

std::string_view to_string(Durability durability);
Result<Durability> durability_from(std::string_view name);

namespace storage {

enum class StoreState {
  kReady,
  kFull,    ///< The first waiting batch does not fit; it stays first in line and is retried.
  kFailed,  ///< An I/O error: nothing more will become durable. See Store::error().
};

/// How much room records take, and how much they may take.
struct Space {
  std::uint64_t used_bytes = 0;
  std::uint64_t limit_bytes = 0;  ///< 0: nobody knows.

  /// A warning is due: there is time to do something.
  [[nodiscard]] bool runs_out() const {
    return used_bytes > limit_bytes / 4 * 3 && limit_bytes > 0;
  }
  /// What is left is for what was promised already.
  [[nodiscard]] bool is_short() const {
    return used_bytes > limit_bytes / 16 * 15 && limit_bytes > 0;
  }
};

class Store {
 public:
  using RecordVisitor = std::function<Result<void>(const RecordKey& key, Bytes value)>;

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  /// Streams every record in the order of their keys. Before the first submit().
  /// Errors: corrupted, with the key of the record; or what `visit` returned.
  virtual Result<void> load(const RecordVisitor& visit) = 0;

  /// Replaces `value` with that of one durable record; false, and `value` stays, when there is
  /// none. At any time, on the thread that submits. Sees every batch up to durable(),
  /// and no batch that a crash could still take back.
  /// Cost: one search; does not wait for a batch that is being written.
  /// Errors: corrupted, with the key of the record; io.
  virtual Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const = 0;

  /// Takes the records of `effects` as batch `effects.batch`, which must be one more than the last.
  /// Copies what it needs and does not block. Errors show in state().
  virtual void submit(const Effects& effects) = 0;

  /// The highest batch up to which everything is durable. Ascending; cheap.
  [[nodiscard]] virtual BatchNumber durable() const = 0;
  [[nodiscard]] virtual StoreState state() const = 0;
  /// A sentence about the last trouble; empty when there was none.
  [[nodiscard]] virtual std::string error() const = 0;

  /// As it was a moment ago. Cheap.
  [[nodiscard]] virtual Space space() const { return {}; }

  /// Bytes in batches that are submitted but not durable.
  [[nodiscard]] virtual std::uint64_t pending_bytes() const = 0;
};

}  // namespace storage
}  // namespace epaxos
