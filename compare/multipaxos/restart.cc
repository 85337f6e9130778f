// What was durable comes back, and images take the place of the entries that they cover.

#include <algorithm>

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {
namespace {

constexpr Slot kTheSlot{1};  // Of the records that there are one of.

Failure nonsense(Slot slot, const char* what) {
  return fail(ErrorCode::kCorrupted, "the record of slot " + std::to_string(slot.value()) + " " +
                                         what +
                                         "; replace this replica, or restore its whole directory");
}

}  // namespace

Result<void> MultiPaxosCore::restore(const RecordKey& key, Bytes value) {
  if (key.group != config_.group || key.epoch != config_.epoch || key.row != ReplicaId() ||
      key.slot < kTheSlot || key.slot.value() > kLogSlotMax) {
    return nonsense(key.slot, "belongs to another group, epoch or protocol");
  }
  // Stores promise nothing about alignment; the codecs need it.
  aligned_.assign(value);
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kPromise: {
      Prepare record;
      if (!decode(aligned_.bytes(), n_, record)) return nonsense(key.slot, "holds no promise");
      promised_ = std::max(promised_, record.ballot);
      return {};
    }
    case RecordKind::kEntry:
      return restore_entry(key.slot, aligned_.bytes());
    case RecordKind::kDecided: {
      const auto slot = number_from<std::uint64_t>(value);
      if (!slot || *slot > kLogSlotMax) return nonsense(key.slot, "does not tell what is decided");
      while (decided_up_to_ < Slot(*slot)) {
        decided_up_to_ = decided_up_to_.next();
        if (!log_.holds(decided_up_to_)) return nonsense(decided_up_to_, "is missing");
      }
      logged_decided_ = decided_up_to_;
      return {};
    }
    case RecordKind::kMemoryLost:
      memory_lost_ = true;
      if (!config_.unsafe_rejoin) voting_ = false;
      return {};
  }
  return nonsense(key.slot, "is of a kind that this version does not know");
}

Result<void> MultiPaxosCore::restore_entry(Slot slot, Bytes value) {
  if (!is_entry(value, n_)) return nonsense(slot, "holds no entry");
  promised_ = std::max(promised_, Ballot::from_packed(round_of(value)));
  if (slot <= log_.base()) return {};  // An image covers it; it was to be erased.
  if (slot.value() > log_.base().value() + LogWindow::kSpanMax) {
    return nonsense(slot, "lies too far from what the image covers");
  }
  log_.set(slot, value);
  return {};
}

void MultiPaxosCore::start(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  heard_ = promised_;
  election_due_ = n_ == 1 ? now : now + election_patience() + config_.first_election_us;
  // What was promised in an earlier life may still bind.
  static_cast<void>(promise_to(std::nullopt));
  const Slot next = decided_up_to_.next();
  send(others_, Fetch{next, next}, out, Release::kNow);
}

/// With whatever else is written, as it is of use to a restart only.
void MultiPaxosCore::log_decided(Effects& out) {
  if (out.records.empty() || decided_up_to_ == logged_decided_ || storage_full_) return;
  logged_decided_ = decided_up_to_;
  const std::uint64_t slot = decided_up_to_.value();
  put(RecordKind::kDecided, out.append(epaxos::bytes_of(slot)), out);
}

// --- Images ------------------------------------------------------------------------------------

Result<void> MultiPaxosCore::restore_coverage(Bytes bytes) {
  Result<LogCoverage> coverage = decode_log_coverage(bytes);
  if (!coverage) return fail(ErrorCode::kCorrupted, coverage.error().message);
  if (coverage->configuration != Configuration{config_.epoch, n_}) {
    return nonsense(coverage->slot, "is covered by an image of another group");
  }
  executor_.install(coverage->slot, coverage->executed);
  log_.reset(coverage->slot, coverage->round);
  decided_up_to_ = logged_decided_ = coverage->slot;
  erased_ = gone_ = image_ = image_before_ = coverage->slot;
  return {};
}

void MultiPaxosCore::coverage(std::vector<std::byte>& out) const {
  const Slot slot = executor_.applied_up_to();
  encode(LogCoverage{slot, log_.round(slot), {config_.epoch, n_}, executor_.applied_origins()},
         out);
}

void MultiPaxosCore::image_durable(Bytes bytes, Effects&) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  check(coverage.has_value(), "a coverage of this replica does not decode");
  image_before_ = std::exchange(image_, coverage->slot);
}

Result<bool> MultiPaxosCore::coverage_for(ReplicaId, Bytes bytes, std::vector<std::byte>& out) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  if (!coverage) return fail(coverage.error());
  if (coverage->slot < floor()) {
    return fail(ErrorCode::kUnavailable, "the image is older than what can be told entry by entry");
  }
  out.assign(bytes.begin(), bytes.end());
  return true;
}

Result<void> MultiPaxosCore::may_install(Bytes bytes) const {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  if (!coverage) return fail(coverage.error());
  if (coverage->configuration != Configuration{config_.epoch, n_}) {
    return fail(ErrorCode::kInvalidArgument, "the image is one of another group");
  }
  if (coverage->slot <= executor_.executed_up_to() && !mutant(Mutant::kInstallsOlderImages)) {
    return fail(ErrorCode::kInvalidArgument, "the image holds nothing that is new here");
  }
  return {};
}

void MultiPaxosCore::install(Bytes bytes, Effects& out) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  check(coverage.has_value(), "an image was installed that was never asked about");
  add(Count::kImagesInstalled);
  const Slot slot = coverage->slot;
  const OriginTable::Row& own = coverage->executed[self_];
  if (own.life == own_.life()) {
    own_.executed(own.sequence, out.now, [&out](Bytes block) {
      std::vector<Command> commands;
      decode_block_commands(block, commands);
      for (const Command& command : commands) out.superseded.push_back(command.id);
    });
  }
  executor_.install(slot, coverage->executed);
  while (decided_up_to_ < slot) decided(decided_up_to_.next());
  log_.drop_through(slot);
  image_ = image_before_ = gone_ = slot;
  if (role_ != Role::kFollower) step_down(out.now);
  advance();
}

/// What the image before the present one covers: the rest stays for those who lag behind.
void MultiPaxosCore::drop_some(Effects& out) {
  const Slot applied = executor_.applied_up_to();
  const Slot droppable =
      std::max(std::min(image_before_, applied), log_.surplus(applied, config_.held_executed_max));
  if (droppable > log_.base()) log_.drop_through(records_.forgettable(droppable, out));
  if (storage_full_) return;
  if (const Slot gone = records_.erase_some(erased_, image_before_, out); gone > erased_) {
    erased_ = gone;
    gone_ = std::max(gone_, gone);
    // What was promised by votes that go stands nowhere else.
    if (promised_ == kInitialBallot) return;
    put(RecordKind::kPromise, encode(Prepare{promised_, Slot(1)}, out), out);
  }
}

}  // namespace epaxos::compare::multipaxos
