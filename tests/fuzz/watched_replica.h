#pragma once

// One replica among peers that say anything, over a disk that lags and a power that fails, and what
// must hold of it whatever they say. It may start on a disk of any content; what it makes of one is
// compared with a reading of its own. It makes images of its state and installs those of peers, in
// the order in which a host does; what it forgets must lie at or below a floor that it has written
// down, and what it erases also below an image.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/protocol/core.h"
#include "epaxos/storage/record_map.h"
#include "tests/fuzz/disk_facts.h"
#include "tests/fuzz/speech_watch.h"

namespace epaxos::protocol {

inline constexpr std::size_t kHeldUndecidedMax = 256;  // A row.
/// Beyond so many, executed instances stand on disk only, where a replica may read it.
inline constexpr std::uint64_t kHeldExecutedMax = 8;

/// What a replica of these tests keeps in memory; small, so that limits are met.
inline CoreConfig watched_config(int n) {
  CoreConfig config;
  config.self = ReplicaId(0);
  config.replica_count = n;
  config.batch_commands_max = 2;
  config.held_undecided_max = kHeldUndecidedMax;
  config.recoveries_max = 16;
  config.held_executed_max = kHeldExecutedMax;
  config.image_lag_instances = 16;
  return config;
}

/// The coverage of an image, as bytes; empty: there is none.
using CoverageBytes = std::vector<std::byte>;

class Replica {
 public:
  /// `reads_back`: it may read its disk, so that what is executed need not stay in memory.
  explicit Replica(int n, bool reads_back, Disk disk = {}, CoverageBytes image = {})
      : n_(n), reads_back_(reads_back), disk_(std::move(disk)), image_(std::move(image)) {}

  /// A life on what the disk holds; before anything else.
  /// Errors: what the core found wrong with it.
  Result<void> boot() {
    pending_.clear();
    held_.clear();
    running_.clear();
    executed_.clear();
    applied_.clear();
    making_.clear();
    position_ = batches_ = durable_ = 0;
    full_ = image_on_way_ = untold_image_ = false;
    at_boundary_ = true;
    core_ = std::make_unique<EpaxosCore>(watched_config(n_));
    if (reads_back_) {
      core_->read_from({[this](const RecordKey& key, std::vector<std::byte>& value) {
                          return storage::read_record(disk_, key, value);
                        },
                        [this] { return durable_; }});
    }
    durable_facts_.lineage = Covered(n_);
    if (!image_.empty()) {
      if (Result<void> restored = core_->restore_coverage(image_); !restored) return restored;
      durable_facts_.lineage = covered_by(image_);
    }
    told_image_ = image_;
    erasable_ = durable_facts_.lineage.coverage.executed;
    for (const auto& [key, value] : disk_) {
      if (Result<void> restored = core_->restore(key, value); !restored) return restored;
    }
    compare_with_disk();
    Effects out = new_turn();
    core_->start(now_, out);
    end_turn(out);
    return {};
  }
  [[nodiscard]] const Disk& disk() const { return disk_; }
  /// What of an image is on disk.
  [[nodiscard]] const CoverageBytes& image() const { return image_; }

  template <class Step>
  void turn(Tick pause, Step step) {
    now_ += pause;
    Effects out = new_turn();
    core_->tick(now_, out);
    step(*core_, out);
    end_turn(out);
  }

  /// Up to `count` more batches reach the disk.
  void sync(unsigned count) {
    for (; count > 0 && !pending_.empty(); --count) write_first();
    turn(0, [this](Core& core, Effects& out) { core.durable(durable_, out); });
  }

  // --- Images

  /// The state is noted as it is now.
  void begin_image() {
    if (!at_boundary_ || image_on_way_) return;
    making_.clear();
    core_->coverage(making_);
    check_own_image(covered_by(making_));
  }
  /// It is on its way to the disk.
  void end_image() {
    if (making_.empty() || image_on_way_) return;
    image_on_way_ = true;
    Batch& batch = pending_.emplace_back();
    ++batches_;
    batch.image = std::exchange(making_, {});
  }
  /// What `peer` would be told about the image here; empty: it would not do.
  [[nodiscard]] CoverageBytes image_for(ReplicaId peer) const {
    CoverageBytes told;
    if (told_image_.empty()) return told;
    Result<bool> made = false;
    while (made && !*made) made = core_->coverage_for(peer, told_image_, told);
    if (!made) {
      check(!made.error().message.empty(), "a refusal without a sentence");
      return {};
    }
    const Covered covered = covered_by(told);
    check(covered.lists_all(), "a peer is not told what an image covers");
    check(covered.coverage.executed == covered_by(told_image_).coverage.executed,
          "a peer is told that an image covers more than it does");
    return told;
  }
  /// As a host does it. The power fails before (1) or after (2) the image is on disk, or not.
  void install(Bytes coverage, unsigned crash_at) {
    if (image_on_way_) return;
    if (const Result<void> may = core_->may_install(coverage); !may) {
      return check(!may.error().message.empty(), "a refusal without a sentence");
    }
    making_.clear();
    drain();
    check(core_->may_install(coverage).has_value(), "a core changed its mind about an image");
    Batch& batch = pending_.emplace_back();
    ++batches_;
    batch.image.assign(coverage.begin(), coverage.end());
    if (crash_at == 1) return crash(0);
    write_first();
    if (crash_at == 2) return crash(0);
    drain();
    durable_facts_.lineage = covered_by(coverage);
    erasable_ = durable_facts_.lineage.coverage.executed;
    executed_.clear();  // What is not covered is executed once more.
    applied_.clear();
    told_image_ = image_;
    untold_image_ = false;
    Effects out = new_turn();
    core_->install(coverage, out);
    core_->tick(now_, out);
    end_turn(out);
  }

  /// The power fails after some of the batches that were on their way.
  void crash(unsigned kept) {
    for (; kept > 0 && !pending_.empty(); --kept) write_first();
    const Result<void> started = boot();
    check(started.has_value(), started ? "" : started.error().message.c_str());
  }

  void set_full(bool full) {
    full_ = full;
    core_->storage_full(full);
  }
  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] Tick deadline() const { return core_->next_deadline(); }
  [[nodiscard]] Tick now() const { return now_; }
  /// The ballots at which it last asked for something.
  [[nodiscard]] const std::map<InstanceId, Ballot>& asked() const { return speech_.asked(); }
  [[nodiscard]] const InstanceId& asked_last() const { return speech_.asked_last(); }
  [[nodiscard]] bool voting() const { return core_->voting(); }
  [[nodiscard]] Dependencies executed_up_to() const {
    CoreStatus status;
    core_->status(status);
    Dependencies executed(n_);
    for (std::uint16_t row = 0; row < n_; ++row) {
      executed[ReplicaId(row)] = status.rows[row].executed_up_to;
    }
    return executed;
  }
  [[nodiscard]] Slot proposed_up_to() const {
    return core_->instances().row(ReplicaId(0)).highest_recorded;
  }

 private:
  struct Change {
    RecordKey key;
    RecordChange change = RecordChange::kPut;
    std::vector<std::byte> value;
  };
  struct Batch {
    std::vector<Change> changes;
    std::map<InstanceId, Facts> facts;
    CoverageBytes image;
  };
  /// Executions of one turn, until the machine may have them.
  struct Running {
    BatchNumber after = 0;
    std::uint64_t position = 0;
    bool ends_component = false;
    std::vector<std::pair<InstanceId, Bytes>> blocks;
  };
  struct Said {
    BatchNumber after = 0;
    MessageType type = MessageType::kStatus;
    std::vector<std::byte> body;
  };

  [[nodiscard]] Covered covered_by(Bytes image) const {
    Result<Coverage> coverage = decode_coverage(image, n_);
    check(coverage.has_value(), "a coverage does not decode");
    return Covered(*std::move(coverage));
  }

  [[nodiscard]] Effects new_turn() const {
    Effects out;
    out.batch = batches_ + 1;
    out.now = now_;
    return out;
  }

  void end_turn(Effects& out) {
    core_->end_of_turn(out);
    if (std::exchange(untold_image_, false)) {
      told_image_ = image_;
      erasable_ = covered_by(image_).coverage.executed;
      core_->image_durable(image_, out);
    }
    check(out.bytes() <= 4 * 1024 * 1024, "one message made a replica say more than 4 MiB");
    take(out);
    check_memory();
  }

  /// Nothing but what is on its way goes on, to its end.
  void drain() {
    do {
      while (!pending_.empty()) write_first();
      Effects out = new_turn();
      core_->durable(durable_, out);
      check(out.executions.empty(), "something was executed while a replica drains");
      take(out);
    } while (!pending_.empty());
    check(running_.empty(), "executions wait for nothing");
  }

  /// It covers what the machine has got, and nothing else but what is Nop.
  void check_own_image(const Covered& image) const {
    const auto has_it = [&](const InstanceId& id) {
      return applied_.contains(id) || durable_facts_.lineage.contains(id);
    };
    for (const InstanceId& id : applied_) check(image.contains(id), "an image forgot something");
    for (const auto& [id, nop] : image.listed) {
      check(nop || has_it(id), "an image claims to cover what was not applied");
    }
    for (const auto& [id, facts] : live_) {
      if (!facts.decided || facts.decided_nop || !image.contains(id)) continue;
      check(has_it(id), "an image covers what was not applied");
    }
    check(image.coverage.executed.includes(durable_facts_.lineage.coverage.executed),
          "an image went back");
  }

  /// Neither less nor more came back than the records say, beside the image.
  void compare_with_disk() {
    Dependencies dropped(n_);
    for (std::uint16_t index = 0; index < n_; ++index) {
      const ReplicaId row(index);
      dropped[row] = core_->instances().dropped_through(row);
    }
    check_dropped_at_start(dropped);
    DiskReader& reader = at_start_.emplace(n_, durable_facts_.lineage, dropped);
    check(reader.read(disk_), "records were accepted that contradict each other");
    logged_floor_ = durable_facts_.floor = reader.floor();
    std::map<InstanceId, Facts> put_away;
    for (const auto& [id, facts] : durable_facts_.instances) {
      if (durable_facts_.lineage.coverage.floor.covers(id)) continue;
      if (dropped.covers(id)) {
        check(facts.decided, "an instance is not in memory that is not decided");
        put_away.emplace(id, facts);
        continue;
      }
      check(reader.facts().contains(id), "the disk forgot an instance");
      check_only_grew(facts, reader.facts().at(id));
    }
    durable_facts_.instances = live_ = reader.facts();
    durable_facts_.instances.merge(put_away);
    for (const auto& [id, facts] : live_) {
      const Instance* const instance = core_->instances().find(id);
      check(instance != nullptr, "a record was forgotten");
      Facts restored = facts_of(*instance);
      check_only_grew(facts, restored);
      // An image tells what it touches, and no more.
      const bool from_image = durable_facts_.lineage.contains(id) && instance->decided();
      if (from_image && facts.block.empty()) restored.block.clear();
      check_only_grew(restored, facts);
    }
  }

  /// A start leaves out what all have executed, and what it can read back.
  void check_dropped_at_start(const Dependencies& dropped) const {
    const Coverage& image = durable_facts_.lineage.coverage;
    if (image.floor.includes(dropped)) return;
    check(reads_back_, "records were left out that cannot be read back");
    check(image.executed.includes(dropped), "more is left out than an image covers");
    for (const auto& [id, nop] : durable_facts_.lineage.listed) {
      check(!image.executed.covers(id), "instances are left out of which there is no record");
    }
  }

  void write_first() {
    Batch& batch = pending_.front();
    for (Change& each : batch.changes) {
      storage::make_change(disk_, each.key, each.change, std::move(each.value));
    }
    for (auto& [id, facts] : batch.facts) durable_facts_.instances[id] = std::move(facts);
    for (const Change& each : batch.changes) {
      if (each.change == RecordChange::kEraseThrough) forget_through(each.key);
    }
    durable_facts_.floor.merge(floor_on_disk());
    if (!batch.image.empty()) {
      image_ = std::move(batch.image);
      image_on_way_ = false;
      untold_image_ = true;
      durable_facts_.floor.merge(covered_by(image_).coverage.floor);
    }
    pending_.pop_front();
    ++durable_;
    release();
  }

  [[nodiscard]] Dependencies floor_on_disk() const {
    FloorRecord record{Dependencies(n_)};
    const auto found = disk_.find({.kind = static_cast<std::uint8_t>(RecordKind::kFloor),
                                   .group = {},
                                   .epoch = {},
                                   .row = {},
                                   .slot = Slot(1)});
    if (found != disk_.end()) {
      const Exact value(found->second);
      check(decode(value.bytes(), n_, record), "a floor does not decode");
    }
    return record.floor;
  }

  /// All records of these instances go at once.
  void forget_through(const RecordKey& last) {
    RecordKey first = last;
    first.slot = Slot(0);
    for (std::uint8_t kind = 1; kind <= static_cast<std::uint8_t>(RecordKind::kDecision); ++kind) {
      first.kind = kind;
      const auto found = disk_.lower_bound(first);
      const bool is_left = found != disk_.end() && found->first.kind == kind &&
                           found->first.row == last.row && found->first.slot <= last.slot;
      check(!is_left, "a part of what is known of an instance was erased");
    }
    durable_facts_.instances.erase(durable_facts_.instances.lower_bound({last.row, Slot(0)}),
                                   durable_facts_.instances.upper_bound({last.row, last.slot}));
  }

  void take(const Effects& out) {
    for (const RecordEffect& record : out.records) note_floor(record, out.view(record.value));
    if (!out.records.empty()) take_records(out);
    check_instances();
    check(!at_start_->memory_lost() || !core_->voting(),
          "a replica votes that has forgotten its votes");
    if (out.image_wish) {
      check(out.image_wish->from != ReplicaId(0) && out.image_wish->from.value() < n_,
            "nobody is asked for an image");
    }
    for (const SendEffect& send : out.sends) {
      check((send.to & 1) == 0 && send.to < 1u << n_ && send.to != 0, "a send to nobody");
      const Exact body(out.view(send.body));
      speech_.check_said(static_cast<MessageType>(send.type), body.bytes(), *core_, *at_start_);
      if (send.release == Release::kNow) continue;
      held_.push_back({batches_, static_cast<MessageType>(send.type),
                       std::vector(body.bytes().begin(), body.bytes().end())});
    }
    take_executions(out);
    release();
    apply();
  }

  void note_floor(const RecordEffect& record, Bytes value) {
    if (static_cast<RecordKind>(record.key.kind) != RecordKind::kFloor) return;
    FloorRecord floor;
    const Exact exact(value);
    check(record.change == RecordChange::kPut && decode(exact.bytes(), n_, floor),
          "a floor does not decode");
    check(floor.floor.includes(logged_floor_), "a floor went back");
    logged_floor_ = floor.floor;
  }

  void take_records(const Effects& out) {
    ++batches_;
    Batch& batch = pending_.emplace_back();
    for (const RecordEffect& record : out.records) {
      const RecordKey& key = record.key;
      const Bytes value = out.view(record.value);
      batch.changes.push_back({key, record.change, std::vector(value.begin(), value.end())});
      const InstanceId id{key.row, key.slot};
      if (record.change != RecordChange::kPut) {
        check(record.change == RecordChange::kEraseThrough, "a single record was erased");
        check(key.kind <= static_cast<std::uint8_t>(RecordKind::kDecision),
              "what is no instance was erased");
        check(logged_floor_.covers(id), "an instance above the floor was erased");
        check(erasable_.covers(id), "an instance was erased that the next start needs");
        continue;
      }
      if (key.kind > static_cast<std::uint8_t>(RecordKind::kDecision)) continue;
      Facts facts = facts_after(key, value);
      if (const auto known = live_.find(id); known != live_.end()) {
        check_only_grew(known->second, facts);
      }
      batch.facts[id] = live_[id] = std::move(facts);
    }
  }

  /// What is known once this record is put. A Nop may be put away in the turn that decides it.
  [[nodiscard]] Facts facts_after(const RecordKey& key, Bytes value) const {
    const InstanceId id{key.row, key.slot};
    if (const Instance* const instance = core_->instances().find(id)) return facts_of(*instance);
    Facts facts;
    if (const auto known = live_.find(id); known != live_.end()) facts = known->second;
    DecisionRecord record;
    const Exact exact(value);
    const bool is_nop = static_cast<RecordKind>(key.kind) == RecordKind::kDecision &&
                        decode(exact.bytes(), n_, record) && record.nop;
    facts.decided = facts.decided_nop = true;
    check(is_nop && may_be_read_back(id, facts), "a record tells about an instance that is gone");
    return facts;
  }

  void take_executions(const Effects& out) {
    if (out.executions.empty()) return;
    Running& turn = running_.emplace_back();
    for (const ExecutionEffect& execution : out.executions) {
      check(execution.position == ++position_, "executions are not numbered one by one");
      check(executed_.insert(execution.instance).second, "an instance was executed twice");
      check(!durable_facts_.lineage.contains(execution.instance),
            "what an image covers was executed again");
      turn.blocks.emplace_back(execution.instance, execution.block);
    }
    turn.after = batches_;
    turn.position = position_;
    turn.ends_component = out.ends_component;
  }

  /// The machine gets what is durable.
  void apply() {
    for (; !running_.empty() && running_.front().after <= durable_; running_.pop_front()) {
      const Running& turn = running_.front();
      for (const auto& [id, block] : turn.blocks) {
        check(decode_block_footprint(block).has_value(), "no block was executed");
        applied_.insert(id);
      }
      at_boundary_ = turn.ends_component;
      Effects nothing = new_turn();
      core_->applied(turn.position, nothing);
      check(nothing.empty(), "a core answered to what was applied");
    }
  }

  /// What leaves once everything it rests on is durable.
  void release() {
    for (; !held_.empty() && held_.front().after <= durable_; held_.pop_front()) {
      speech_.check_leaves(held_.front().type, held_.front().body, durable_facts_);
    }
  }

  /// Nothing that a record ever told has changed, or is gone without a floor.
  void check_instances() {
    for (auto each = live_.begin(); each != live_.end();) {
      const auto& [id, before] = *each;
      const Instance* const instance = core_->instances().find(id);
      if (instance != nullptr) {
        check_only_grew(before, facts_of(*instance));
        ++each;
        continue;
      }
      check(logged_floor_.covers(id) || may_be_read_back(id, before), "an instance was forgotten");
      each = live_.erase(each);
    }
  }
  /// A Nop also when its record is still on its way: nobody waits for it.
  [[nodiscard]] bool may_be_read_back(const InstanceId& id, const Facts& live) const {
    if (!reads_back_ || core_->instances().dropped_through(id.row) < id.slot) return false;
    if (live.decided_nop) return true;
    return durable_facts_.of(id).decided &&
           (applied_.contains(id) || durable_facts_.lineage.contains(id));
  }

  void check_memory() const {
    // A chunk and its pages for each undecided slot that may be held, and for each that is known.
    const std::size_t rows = static_cast<std::size_t>(n_);
    const std::size_t chunks = rows * (kHeldUndecidedMax / 64 + 2) + disk_.size() + live_.size() +
                               durable_facts_.lineage.listed.size() + executed_.size();
    check(core_->instances().memory_bytes() <= chunks * 64 * 1024,
          "the memory of a replica grows without bounds");
  }

  const int n_;
  const bool reads_back_;
  std::unique_ptr<EpaxosCore> core_;
  Tick now_ = 0;
  bool full_ = false;
  Disk disk_;
  CoverageBytes image_;        ///< On disk.
  CoverageBytes told_image_;   ///< And the core knows.
  CoverageBytes making_;       ///< Of the state as it was; not written yet.
  bool image_on_way_ = false;  ///< In a batch that is not durable.
  bool untold_image_ = false;  ///< The core is to know.
  Dependencies erasable_ = Dependencies(n_);
  Dependencies logged_floor_ = Dependencies(n_);
  std::optional<DiskReader> at_start_;  ///< What the disk said at the last one.
  DurableFacts durable_facts_{n_};
  std::map<InstanceId, Facts> live_;
  std::deque<Batch> pending_;
  std::deque<Said> held_;
  SpeechWatch speech_{n_};
  std::deque<Running> running_;
  bool at_boundary_ = true;        ///< What is applied ends a component.
  std::set<InstanceId> executed_;  ///< On top of the image.
  std::set<InstanceId> applied_;   ///< Of these, by the machine.
  std::uint64_t position_ = 0;
  BatchNumber batches_ = 0;
  BatchNumber durable_ = 0;
};

}  // namespace epaxos::protocol
