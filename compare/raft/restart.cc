// What was durable comes back: the image, the term and the vote, the log. What is committed of it
// the next leader tells.

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {
namespace {

Failure nonsense(const std::string& which, const char* what) {
  return fail(ErrorCode::kCorrupted, "the record of " + which + " " + what +
                                         "; replace this replica, or restore its whole directory");
}

std::string entry_name(LogIndex index) {
  return "log entry " + std::to_string(index.value());
}

}  // namespace

void RaftCore::read_from(RecordReader reader) {
  records_.read_from(std::move(reader));
}

Result<void> RaftCore::restore_coverage(Bytes bytes) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  if (!coverage) return fail(ErrorCode::kCorrupted, coverage.error().message);
  if (coverage->configuration != configuration_ || coverage->round > kTermMax ||
      coverage->members.voters.size() == 0 ||
      (coverage->slot == LogIndex()) != (coverage->round == 0)) {
    return fail(ErrorCode::kCorrupted,
                "the image of the state belongs to another membership, or ends where no log can; "
                "replace this replica, or restore its whole directory");
  }
  image_index_ = erased_ = commit_index_ = coverage->slot;
  image_term_ = Term(coverage->round);
  log_.reset(image_index_, image_term_.value());
  configurations_.restart(image_index_, coverage->members);
  executor_.install(image_index_, coverage->executed);
  return {};
}

Result<void> RaftCore::restore(const RecordKey& key, Bytes value) {
  if (key.group != config_.group || key.epoch != config_.epoch || key.row != ReplicaId() ||
      key.slot.value() < 1 || key.slot.value() > kLogSlotMax) {
    return nonsense(entry_name(key.slot), "belongs to another group or epoch, or to no log");
  }
  // The term comes before the entries, and they come in order.
  if (last_restored_ && key <= *last_restored_) {
    return nonsense(entry_name(key.slot), "comes out of order, or a second time");
  }
  last_restored_ = key;
  // Stores promise nothing about alignment; the codec needs it.
  aligned_.assign(value);
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kHardState:
      if (key.slot == Slot(1)) return restore_hard_state(aligned_.bytes());
      break;
    case RecordKind::kEntry:
      return restore_entry(key.slot, aligned_.bytes());
    case RecordKind::kMemoryLost:
      memory_lost_ = true;
      if (!config_.unsafe_rejoin) voting_ = false;
      return {};
  }
  return nonsense(entry_name(key.slot), "is of a kind that this version does not know");
}

Result<void> RaftCore::restore_hard_state(Bytes value) {
  HardState record;
  if (!decode(value, n_, record)) return nonsense("the term and the vote", "does not decode");
  current_term_ = record.current_term;
  voted_for_ = record.voted_for;
  return {};
}

Result<void> RaftCore::restore_entry(LogIndex index, Bytes value) {
  Bytes rest = value;
  Entry entry;
  if (!take_entry(rest, n_, entry) || !rest.empty() || !makes_sense(entry)) {
    return nonsense(entry_name(index), "does not decode");
  }
  const Term term(entry.round);
  const bool follows =
      first_record_ == LogIndex() ? index <= image_index_.next() : index == last_record_.next();
  if (!follows) return nonsense(entry_name(index), "does not follow the one before it");
  if (term < last_record_term_ || term == Term() || term > current_term_) {
    return nonsense(entry_name(index), "has a term that cannot be");
  }
  if (first_record_ == LogIndex()) first_record_ = index;
  last_record_ = index;
  last_record_term_ = term;
  if (index == image_index_) image_record_term_ = term;
  if (index <= image_index_) return {};  // Executed; it can be read back for others.
  if (index.value() - image_index_.value() > LogWindow::kSpanMax) {
    return nonsense(entry_name(index), "is too far from the image");
  }
  log_.set(index, value);
  note_members(index, value);
  return {};
}

/// The image of a peer may have become durable just before what it replaced was erased.
void RaftCore::reconcile_with_image(Effects& out) {
  if (first_record_ == LogIndex() || first_record_ > image_index_) return;
  if (image_record_term_ == image_term_) {
    erased_ = LogIndex(first_record_.value() - 1);
    return;
  }
  for (LogIndex gone = image_index_.next(); gone <= last_log_index(); gone = gone.next()) {
    records_.erase(gone, out);
  }
  records_.erase_through(image_index_, out);
  log_.reset(image_index_, image_term_.value());
  configurations_.drop_from(image_index_.next());
}

void RaftCore::start(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  reconcile_with_image(out);
  durable_index_ = last_log_index();
  if (image_term_ > current_term_) {
    current_term_ = image_term_;
    voted_for_.reset();
    log_hard_state(out);
  }
  check(last_log_term() <= current_term_, "the log has a later term than its replica");
  born_in_ = config_.unsafe_rejoin ? Term(kTermMax) : current_term_;
  send(others_, Hello{current_term_, config_.life, born_in_}, out);
  wait_for_leader(now);
  // What was promised in an earlier life may still bind.
  static_cast<void>(promise_to_leader());
  if (voting_) election_due_ = n_ == 1 ? now : election_due_ + config_.first_election_us;
}

}  // namespace epaxos::compare::raft
