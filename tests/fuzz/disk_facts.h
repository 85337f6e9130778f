#pragma once

// What a replica may not forget, as its core tells it and as a disk does: each record is read on
// its own here, so that a core which restores them can be compared with it.

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/instance.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/record.h"
#include "epaxos/storage/record_map.h"
#include "tests/fuzz/input.h"

namespace epaxos::protocol {

using fuzz::Exact;

using Disk = storage::RecordMap;

/// What an image covers, in a form that is asked often.
struct Covered {
  explicit Covered(int n) : coverage{Dependencies(n), Dependencies(n), {}} {}
  explicit Covered(Coverage from) : coverage(std::move(from)) {
    for (const CoveredInstance& each : coverage.instances) listed.emplace(each.id, each.nop);
  }

  [[nodiscard]] bool contains(const InstanceId& id) const {
    return coverage.executed.covers(id) || listed.contains(id);
  }
  /// Whether it tells about every instance above its floor, as one for a peer must.
  [[nodiscard]] bool lists_all() const {
    for (std::uint16_t row = 0; row < coverage.floor.rows(); ++row) {
      const ReplicaId at(row);
      for (Slot slot = coverage.floor[at].next(); slot <= coverage.executed[at];
           slot = slot.next()) {
        if (!listed.contains({at, slot})) return false;
      }
    }
    return true;
  }

  Coverage coverage;
  std::map<InstanceId, bool> listed;  ///< And whether it is Nop.
};

/// What must never change once it is durable.
struct Facts {
  std::vector<std::byte> block;  ///< If known.
  bool recorded = false;
  Dependencies initial;
  bool pre_accepted = false;
  Dependencies pre_accept;
  Ballot ballot;
  std::optional<Vote> vote;
  bool decided = false;
  bool decided_nop = false;
  Dependencies decision;
};

inline Facts facts_of(const Instance& instance) {
  Facts facts;
  if (instance.payload_known()) {
    facts.block.assign(instance.block().begin(), instance.block().end());
  }
  facts.recorded = instance.recorded();
  if (facts.recorded) facts.initial = instance.initial_dependencies();
  facts.pre_accepted = instance.pre_accepted();
  if (facts.pre_accepted) facts.pre_accept = instance.pre_accept_dependencies();
  facts.ballot = instance.ballot();
  if (instance.vote() != nullptr) facts.vote = *instance.vote();
  // What only an image knows was never decided here.
  facts.decided = instance.decided() && !instance.covered();
  facts.decided_nop = facts.decided && instance.decided_nop();
  if (facts.decided && !facts.decided_nop) facts.decision = instance.decided_dependencies();
  return facts;
}

inline bool same(const Vote& a, const Vote& b) {
  return a.nop == b.nop && (a.nop || a.dependencies == b.dependencies);
}

inline void check_only_grew(const Facts& before, const Facts& after) {
  if (!before.block.empty()) check(after.block == before.block, "a payload changed");
  if (before.recorded) {
    check(after.recorded && after.initial == before.initial, "a recorded proposal changed");
  }
  if (before.pre_accepted) {
    check(after.pre_accepted && after.pre_accept == before.pre_accept, "a ballot-0 vote changed");
  }
  check(after.ballot >= before.ballot, "a promise went back");
  if (before.vote) {
    check(after.vote.has_value(), "a vote was forgotten");
    check(after.vote->accepted_ballot >= before.vote->accepted_ballot, "a vote went back");
    if (after.vote->accepted_ballot == before.vote->accepted_ballot) {
      check(same(*after.vote, *before.vote), "a vote changed within its ballot");
    }
  }
  if (before.decided) {
    check(after.decided && after.decided_nop == before.decided_nop, "a decision changed");
    check(after.decision == before.decision, "the dependencies of a decision changed");
  }
}

/// What the records of a disk say, read one by one, beside its image. Nothing when they make no
/// sense, each or together.
class DiskReader {
 public:
  /// Instances up to `dropped` are not read: they are gone, or executed and kept on disk only.
  DiskReader(int n, const Covered& image, const Dependencies& dropped)
      : n_(n), image_(image), dropped_(dropped), floor_(image.coverage.floor) {
    note(image.coverage.executed);
    for (const auto& [id, nop] : image.listed) highest_.raise(id.row, id.slot);
  }

  [[nodiscard]] bool read(const Disk& disk) {
    const bool makes_sense = std::ranges::all_of(disk, [this](const auto& record) {
      const Exact value(record.second);
      return read(record.first, value.bytes());
    });
    return makes_sense && floor_is_decided();
  }

  [[nodiscard]] const std::map<InstanceId, Facts>& facts() const { return facts_; }
  [[nodiscard]] bool memory_lost() const { return memory_lost_; }
  [[nodiscard]] const Dependencies& floor() const { return floor_; }
  /// The highest slot of this row that any record names.
  [[nodiscard]] Slot highest(ReplicaId row) const { return highest_[row]; }

 private:
  bool read(const RecordKey& key, Bytes value) {
    if (key.group != GroupId() || key.epoch != Epoch() || key.row.value() >= n_) return false;
    const InstanceId id{key.row, key.slot};
    const auto kind = static_cast<RecordKind>(key.kind);
    if (kind == RecordKind::kMemoryLost) return memory_lost_ = true;
    if (kind == RecordKind::kFloor) return read_floor(value);
    if (dropped_.covers(id)) return true;
    highest_.raise(id.row, id.slot);
    Facts& facts = facts_[id];
    switch (kind) {
      case RecordKind::kPreAccepted:
        return read_payload(id, value, facts) && pre_accept(facts.initial, facts);
      case RecordKind::kRecorded:
        return read_payload(id, value, facts);
      case RecordKind::kVote:
        return read_vote(value, id.row == ReplicaId(0), facts);
      case RecordKind::kDecision:
        return read_decision(value, facts);
      case RecordKind::kMemoryLost:
      case RecordKind::kFloor:
        break;
    }
    return false;
  }

  bool read_floor(Bytes value) {
    FloorRecord record;
    if (!decode(value, n_, record)) return false;
    floor_.merge(record.floor);
    return true;
  }

  /// Nothing is forgotten that is not over.
  bool floor_is_decided() {
    for (std::uint16_t index = 0; index < n_; ++index) {
      const ReplicaId row(index);
      Slot slot = std::max(dropped_[row], image_.coverage.executed[row]).next();
      for (; slot <= floor_[row]; slot = slot.next()) {
        const auto known = facts_.find({row, slot});
        const bool decided = known != facts_.end() && known->second.decided;
        if (!decided && !image_.contains({row, slot})) return false;
      }
    }
    return true;
  }

  bool read_payload(const InstanceId& id, Bytes value, Facts& facts) {
    PreAccept record;
    if (!decode(value, n_, record) || record.instance != id || record.block.empty()) return false;
    if (facts.recorded && facts.initial != record.initial) return false;
    facts.recorded = true;
    facts.initial = record.initial;
    note(record.initial);
    return read_block(record.block, facts);
  }

  bool read_vote(Bytes value, bool is_own, Facts& facts) {
    VoteRecord record;
    if (!decode(value, n_, record) || !read_block(record.block, facts)) return false;
    facts.ballot = record.ballot;
    if (record.pre_accepted) {
      const Dependencies& first = record.pre_accept_dependencies;
      if (!pre_accept(first, facts)) return false;
      if (is_own && first != facts.initial) return false;  // An owner votes for its proposal.
    }
    if (!record.voted) return true;
    facts.vote = Vote{record.accepted_ballot, record.vote_nop, {}};
    // Only a recovery votes for a Nop.
    if (record.vote_nop) return record.accepted_ballot > kInitialBallot;
    facts.vote->dependencies = record.vote_dependencies;
    return value_of(record.vote_dependencies, facts);
  }

  bool read_decision(Bytes value, Facts& facts) {
    DecisionRecord record;
    if (!decode(value, n_, record) || !read_block(record.block, facts)) return false;
    facts.decided = true;
    facts.decided_nop = record.nop;
    if (record.nop) return true;
    if (record.initial && !facts.recorded) return false;
    facts.decision = record.initial ? facts.initial : record.dependencies;
    return value_of(facts.decision, facts);
  }

  bool pre_accept(const Dependencies& dependencies, Facts& facts) {
    if (facts.pre_accepted) return facts.pre_accept == dependencies;
    facts.pre_accepted = true;
    facts.pre_accept = dependencies;
    return facts.recorded && value_of(dependencies, facts);
  }

  /// Every value comes with its payload and includes what the owner proposed.
  bool value_of(const Dependencies& dependencies, const Facts& facts) {
    note(dependencies);
    return !facts.block.empty() && (!facts.recorded || dependencies.includes(facts.initial));
  }

  static bool read_block(Bytes block, Facts& facts) {
    if (block.empty()) return true;
    if (!decode_block_footprint(block)) return false;
    if (!facts.block.empty()) return std::ranges::equal(facts.block, block);
    facts.block.assign(block.begin(), block.end());
    return true;
  }

  void note(const Dependencies& dependencies) {
    for (std::uint16_t row = 0; row < n_; ++row) {
      highest_.raise(ReplicaId(row), dependencies[ReplicaId(row)]);
    }
  }

  const int n_;
  const Covered& image_;
  const Dependencies dropped_;
  Dependencies floor_;
  bool memory_lost_ = false;
  Dependencies highest_ = Dependencies(n_);
  std::map<InstanceId, Facts> facts_;
};

}  // namespace epaxos::protocol
