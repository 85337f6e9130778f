// An image of the state machine takes the place of executions: this replica's own at a restart, or
// the one of a peer when there is no other way, or no shorter one. What an image covers is
// executed; all that is promised and voted about everything else stays. Source: protocol.md 14.4
// and 14.5.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {
namespace {

/// Whether the coverage tells about every instance between its floor and what it has executed. One
/// that it left out would be taken for one that nobody has heard of (R8, R9).
bool lists_all(const Coverage& coverage) {
  const std::uint64_t wanted = coverage.executed.count_above(coverage.floor);
  const auto listed = std::ranges::count_if(coverage.instances, [&](const CoveredInstance& each) {
    return coverage.executed.covers(each.id);
  });
  return static_cast<std::uint64_t>(listed) == wanted;
}

}  // namespace

// --- What an image here covers -----------------------------------------------------------------

/// What the graph has released and the state machine has not got.
std::set<InstanceId> EpaxosCore::not_applied() const {
  std::set<InstanceId> waiting(handed_over_.begin(), handed_over_.end());
  waiting.insert(ready_.begin() + static_cast<std::ptrdiff_t>(ready_next_), ready_.end());
  return waiting;
}

/// Nothing: it is not known here what the instance touches.
std::optional<CoveredInstance> EpaxosCore::covered_instance(const InstanceId& id) const {
  if (is_archived(id)) {
    const auto known = archived(id);
    if (!known) return std::nullopt;
    return CoveredInstance{id, known->nop, known->footprint};
  }
  const Instance* const instance = instances_.find(id);
  if (instance == nullptr || !instance->decided()) return std::nullopt;
  CoveredInstance covered{id, instance->decided_nop(), std::nullopt};
  if (instance->payload_known()) covered.footprint = kept_footprint(*instance);
  if (!covered.nop && !covered.footprint) return std::nullopt;
  return covered;
}

void EpaxosCore::coverage(std::vector<std::byte>& out) const {
  Coverage coverage;
  coverage.floor = floor_;
  coverage.executed = applied_frontier();
  std::set<InstanceId> waiting = not_applied();
  // A state that keeps itself outlives a crash that the record does not, and whoever reads it back
  // then would find nothing.
  for (const auto& [batch, id] : nops_to_disk_) {
    waiting.insert(id);
    if (id.slot <= coverage.executed[id.row]) coverage.executed[id.row] = Slot(id.slot.value() - 1);
  }
  const auto list = [&](const InstanceId& id) {
    const std::optional<CoveredInstance> covered = covered_instance(id);
    check(covered.has_value(), "an instance was executed that is not known");
    coverage.instances.push_back(*covered);
  };
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    // Nothing below a replica's own floor is listed, also when it is not applied yet.
    coverage.floor[row] = std::min(floor_[row], coverage.executed[row]);
    // No record says anything of what only an image of a peer covered.
    const Slot covered_up_to = std::min(coverage.executed[row], covered_[row]);
    for (Slot slot = instances_.next_held(row, coverage.floor[row].next()); slot <= covered_up_to;
         slot = instances_.next_held(row, slot.next())) {
      if (instances_.find({row, slot})->covered()) list({row, slot});
    }
    for (Slot slot = instances_.next_held(row, coverage.executed[row].next());
         slot <= instances_.row(row).highest_known; slot = instances_.next_held(row, slot.next())) {
      const InstanceId id{row, slot};
      if (graph_.executed(id) && !waiting.contains(id)) list(id);
    }
  }
  encode(coverage, out);
}

void EpaxosCore::image_durable(Bytes coverage, Effects&) {
  const Result<Coverage> decoded = decode_coverage(coverage, n_);
  check(decoded.has_value(), "a coverage of this replica does not decode");
  image_ = decoded->executed;
}

// --- The start ---------------------------------------------------------------------------------

Result<void> EpaxosCore::restore_coverage(Bytes bytes) {
  Result<Coverage> coverage = decode_coverage(bytes, n_);
  if (!coverage) return fail(ErrorCode::kCorrupted, coverage.error().message);
  floor_ = next_floor_ = heard_floor_ = dropped_ = erased_ = coverage->floor;
  image_ = coverage->executed;
  std::uint64_t held = 0;
  for (int index = 0; index < n_; ++index) {
    held += image_[replica_at(index)].value() - floor_[replica_at(index)].value();
  }
  const bool is_of_peer = std::ranges::any_of(
      coverage->instances, [&](const CoveredInstance& each) { return image_.covers(each.id); });
  const bool archives = reader_.read && held > config_.held_executed_max && !is_of_peer;
  vector_floor_ = next_vector_floor_ = archives ? coverage->executed : floor_;
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    if (archives) dropped_[row] = coverage->executed[row];
    if (!mutant(Mutant::kTruncatedIsUnknown)) instances_.drop_through(row, dropped_[row]);
    instances_.note_executed_through(row, coverage->executed[row]);
    graph_.cover(row, coverage->executed[row]);
  }
  for (const CoveredInstance& each : coverage->instances) graph_.cover(each.id);
  // What the records say of them comes first: for this replica's own image that is all.
  covered_at_start_ = std::move(coverage->instances);
  return {};
}

/// Makes an instance one that is executed and no more, unless its decision is known.
void EpaxosCore::cover(const CoveredInstance& covered) {
  if (dropped_.covers(covered.id)) return;
  Instance* const instance = instances_.find_or_add(covered.id);
  check(instance != nullptr, "there is no room for what an image covers");
  instances_.note_known(covered.id);
  if (covered.footprint && !instance->payload_known()) {
    const Proposal proposal{{}, *covered.footprint};
    Slice block;
    Effects scratch;
    const auto room = scratch.allocate(block_bytes({&proposal, 1}, *covered.footprint), block);
    encode_block({&proposal, 1}, *covered.footprint, room);
    learn_payload(covered.id, *instance, room, *covered.footprint);
  }
  if (instance->decided()) return;
  instance->cover(covered.nop);
  covered_.raise(covered.id.row, covered.id.slot);
  instances_.note_decided(covered.id);
}

// --- The image of a peer -----------------------------------------------------------------------

Result<void> EpaxosCore::may_install(Bytes bytes) const {
  const Result<Coverage> coverage = decode_coverage(bytes, n_);
  if (!coverage) return fail(coverage.error());
  if (!lists_all(*coverage) && !mutant(Mutant::kImageWithoutFootprints)) {
    return fail(ErrorCode::kInvalidArgument, "the image does not say what all that it covers is");
  }
  if (coverage->for_non_voting && voting_) {
    return fail(ErrorCode::kInvalidArgument, "the image is one for a replica without a vote");
  }
  // It hears of that soon, and installs an image when it has written down that it may not vote:
  // after the image nothing would tell (13.5).
  const bool knows_more =
      coverage->executed[self_] >= next_slot_ ||
      std::ranges::any_of(coverage->instances, [this](const CoveredInstance& each) {
        return each.id.row == self_ && each.id.slot >= next_slot_;
      });
  if (voting_ && !config_.unsafe_rejoin && knows_more) {
    return fail(ErrorCode::kInvalidArgument, "the image knows own instances that are forgotten");
  }
  const Dependencies executed = executed_frontier();
  const bool lacks = !coverage->executed.includes(executed);
  if ((lacks && !mutant(Mutant::kInstallsOlderImages)) ||
      !coverage->executed.includes(heard_floor_)) {
    return fail(ErrorCode::kInvalidArgument, "the image lacks what is executed here, or dropped");
  }
  if (lacks_covered(*coverage) && !mutant(Mutant::kInstallsOlderImages)) {
    return fail(ErrorCode::kInvalidArgument,
                "the image lacks what only an image has executed here");
  }
  if (coverage->executed == executed && !frozen_) {
    return fail(ErrorCode::kInvalidArgument, "the image holds nothing that is new here");
  }
  return {};
}

/// Whether something is missing that cannot be executed once more: its decision is not known here.
bool EpaxosCore::lacks_covered(const Coverage& coverage) const {
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    for (Slot slot = instances_.next_held(row, coverage.executed[row].next());
         slot <= covered_[row]; slot = instances_.next_held(row, slot.next())) {
      const InstanceId id{row, slot};
      if (!instances_.find(id)->covered()) continue;
      const auto listed =
          std::ranges::lower_bound(coverage.instances, id, {}, &CoveredInstance::id);
      if (listed == coverage.instances.end() || listed->id != id) return true;
    }
  }
  return false;
}

void EpaxosCore::install(Bytes bytes, Effects& out) {
  const Result<Coverage> coverage = decode_coverage(bytes, n_);
  check(coverage.has_value(), "an image was installed that was never asked about");
  check(handed_over_.empty(), "an image was installed before all executions were applied");
  counters_.add(Count::kImagesInstalled);
  note_dependencies(coverage->executed);
  for (const CoveredInstance& each : coverage->instances) note_known(each.id);
  end_covered(*coverage, out);
  ready_.clear();
  ready_next_ = 0;
  instances_.limit_held_undecided(~std::size_t{0});  // What is covered finds room.
  for (const CoveredInstance& each : coverage->instances) cover(each);
  instances_.limit_held_undecided(config_.held_undecided_max);
  for (auto& [id, recovery] : recoveries_) settle_blockers(id, recovery);
  waiting_changed_ = !recoveries_.empty();

  floor_.merge(coverage->floor);
  next_floor_.merge(floor_);
  include_floors();
  put(RecordKind::kFloor, {self_, Slot(1)}, encode(FloorRecord{floor_}, out), out);
  sweep_left_ = conflicts_.places();
  image_ = coverage->executed;
  reject_nops(out);
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    if (dropped_[row] < floor_[row]) drop_through(row, floor_[row]);
    instances_.note_executed_through(row, coverage->executed[row]);
    if (erased_[row] < floor_[row]) erase_through(row, floor_[row], out);
  }
  rebuild_graph(*coverage);
  listing_.reset();
  frozen_ = covered_elsewhere_ = false;
  gossip_due_ = 0;
}

/// Ends whatever was going on about instances that are covered.
void EpaxosCore::end_covered(const Coverage& coverage, Effects& out) {
  std::set<InstanceId> listed;
  for (const CoveredInstance& each : coverage.instances) listed.insert(each.id);
  const std::set<InstanceId> waiting = not_applied();
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    for (Slot slot = instances_.next_held(row, dropped_[row].next());
         slot <= instances_.row(row).highest_known; slot = instances_.next_held(row, slot.next())) {
      const InstanceId id{row, slot};
      if (!coverage.executed.covers(id) && !listed.contains(id)) continue;
      Instance& instance = *instances_.find(id);
      const bool ran_here = graph_.executed(id) && !waiting.contains(id);
      if (row == self_ && instance.recorded() && !ran_here) supersede(instance, out);
      if (!ran_here) histories_.covered(id);
      if (instance.decided()) continue;
      release_progress(instance);
      end_recovery(id);
      if (row == self_) release_behind(slot);
    }
  }
}

/// Its commands are executed, or proposed again by nobody; what they gave is not known here.
void EpaxosCore::supersede(const Instance& instance, Effects& out) const {
  for (const Command& command : kept_commands(instance)) out.superseded.push_back(command.id);
}

/// Nops of this owner that are still to be proposed again, when their payloads go.
void EpaxosCore::reject_nops(Effects& out) {
  resubmit_nops(out);
  for (const InstanceId& id : resubmit_) {
    for (const Command& command : kept_commands(*instances_.find(id))) {
      out.rejections.push_back({command.id, ErrorCode::kUnavailable,
                                "the replica was too far behind; propose the command again"});
    }
  }
  resubmit_.clear();
}

/// Everything that is known and not covered, as if it came now; what was executed and is not
/// covered is executed once more.
void EpaxosCore::rebuild_graph(const Coverage& coverage) {
  graph_ = executor::DependencyGraph(n_);
  if (histories_.keep() > 0) graph_.watch(&histories_);
  for (int index = 0; index < n_; ++index) {
    graph_.cover(replica_at(index), coverage.executed[replica_at(index)]);
  }
  for (const CoveredInstance& each : coverage.instances) graph_.cover(each.id);
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    for (Slot slot = instances_.next_held(row, coverage.executed[row].next());
         slot <= instances_.row(row).highest_known; slot = instances_.next_held(row, slot.next())) {
      const InstanceId id{row, slot};
      const Instance& instance = *instances_.find(id);
      if (instance.payload_known()) graph_.record(id, kept_footprint(instance));
      if (!instance.decided() || instance.covered()) continue;
      if (instance.decided_nop()) {
        graph_.decide_nop(id);
      } else {
        graph_.decide(id, instance.decided_dependencies());
      }
    }
  }
}

}  // namespace epaxos::protocol
