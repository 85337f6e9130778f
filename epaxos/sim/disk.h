#pragma once

// A disk that keeps what its store promises and nothing more. Batches complete one after the other;
// a crash keeps a random number of the first ones that were on their way and loses the rest; a
// batch is never torn. The disk outlives its replica, the store is one life of it. Mirrors LMDB in
// its default mode. Source: reliability.md 3.5.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "epaxos/sim/event_queue.h"
#include "epaxos/sim/machine_storage.h"
#include "epaxos/sim/random.h"
#include "epaxos/storage/record_map.h"
#include "epaxos/storage/store.h"

namespace epaxos::sim {

struct DiskConditions {
  Tick latency_us = 200;  ///< The least time that a batch takes once it is first in line.
  Tick jitter_us = 50;    ///< The mean of what comes on top, exponentially distributed.
  bool full = false;      ///< The first batch waits until there is room again.
};

class VirtualDisk {
 public:
  using Image = storage::RecordMap;

  VirtualDisk(ReplicaId replica, std::uint64_t seed, EventQueue& events);

  [[nodiscard]] const DiskConditions& conditions() const { return conditions_; }
  void set_conditions(const DiskConditions& conditions);

  /// The first batch that is on its way fails, or the next one to come: half of the times it is on
  /// disk nevertheless. Nothing completes until the replica is restarted.
  void fail();

  /// A failure that is still to come does not come. One that has come stays until a restart.
  void repair() { fail_next_ = failed_; }

  /// What a replica would find after a power loss now.
  [[nodiscard]] const Image& image() const { return image_; }
  /// How often image() may have become another one.
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  /// Records on disk from all lives; the value of one key, or nothing.
  [[nodiscard]] const std::vector<std::byte>* find(const RecordKey& key) const;

  /// That of a state machine that keeps itself, beside the records.
  [[nodiscard]] MachineStorage& machine_storage() { return machine_storage_; }
  [[nodiscard]] const MachineStorage& machine_storage() const { return machine_storage_; }

  /// A new life begins; numbers start again at 1.
  void open();
  /// The replica stops without a warning.
  void crash();
  /// Everything is gone, as when a disk is replaced. Between two lives.
  void wipe() { set_back({}); }
  /// It holds what it held once, as when an old copy is restored. Between two lives. `kept`: the
  /// same of the machine's own storage.
  void set_back(Image image, MachineStorage::State kept = {}) {
    image_ = std::move(image);
    ++changes_;
    machine_storage_.set_back(std::move(kept));
    damaged_.clear();
    was_set_back_ = true;
  }
  /// Whether it is not what its replica has written: set back or wiped, ever.
  [[nodiscard]] bool was_set_back() const { return was_set_back_; }
  /// One bit of a record is another one, or two records lie in each other's place. Between two
  /// lives; image() stays what was written. False when the disk is empty.
  bool damage(Random& random);
  /// Streams what lies on the disk, as the real store does: every record with its checksum.
  /// Errors: corrupted.
  Result<void> read(const storage::Store::RecordVisitor& visit) const;
  /// One record; see Store::read().
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const;
  /// The event of this disk; false when it belongs to another life. True: durable() has moved.
  bool complete(std::uint64_t life);

  void submit(const Effects& effects);
  [[nodiscard]] BatchNumber durable() const { return durable_; }
  [[nodiscard]] storage::StoreState state() const;
  [[nodiscard]] std::uint64_t waiting_bytes() const { return waiting_bytes_; }
  [[nodiscard]] std::size_t waiting() const { return line_.size(); }

 private:
  struct Change {
    RecordKey key;
    RecordChange change = RecordChange::kPut;
    std::vector<std::byte> value;
  };
  struct Batch {
    std::vector<Change> changes;  // In order.
    std::uint64_t bytes = 0;
  };

  /// A record that is not what was written.
  struct Stored {
    std::uint64_t checksum = 0;
    std::vector<std::byte> value;
  };

  [[nodiscard]] std::uint64_t checksum(const RecordKey& key, Bytes value) const;
  Result<Bytes> found(const RecordKey& key, Bytes written) const;
  void begin_first();
  void keep_written();
  void keep_first();

  const ReplicaId replica_;
  EventQueue& events_;
  Random random_;
  MachineStorage machine_storage_;
  DiskConditions conditions_;
  Image image_;
  std::uint64_t changes_ = 0;
  std::map<RecordKey, Stored> damaged_;  // What is found in the places of these records.
  std::deque<Batch> line_;
  BatchNumber submitted_ = 0;
  BatchNumber durable_ = 0;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t life_ = 0;
  bool busy_ = false;        // The first batches are being written,
  std::size_t writing_ = 0;  // so many of them.
  bool fail_next_ = false;
  bool failed_ = false;
  bool was_set_back_ = false;
};

/// The store of one life.
class VirtualStore : public storage::Store {
 public:
  explicit VirtualStore(VirtualDisk& disk) : disk_(disk) {}

  Result<void> load(const RecordVisitor& visit) override;
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const override {
    return disk_.read(key, value);
  }
  void submit(const Effects& effects) override { disk_.submit(effects); }
  [[nodiscard]] BatchNumber durable() const override { return disk_.durable(); }
  [[nodiscard]] storage::StoreState state() const override { return disk_.state(); }
  [[nodiscard]] std::string error() const override;
  [[nodiscard]] std::uint64_t pending_bytes() const override { return disk_.waiting_bytes(); }

 private:
  VirtualDisk& disk_;
};

}  // namespace epaxos::sim
