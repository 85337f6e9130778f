// No hole stays open: every replica learns by gossip which slots exist, asks for what it does not
// know, and answers what it knows. Source: protocol.md 7.1 (1)-(2), 14.1 and 14.6.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

/// Slots of one answer to FetchRange: about a millisecond of work, and some thousand small commands
/// a round trip, so that a replica far away catches up faster than the others go on.
constexpr std::uint64_t kRangeSlots = 16 * 1024;
constexpr std::size_t kRangeBytes = 512 * 1024;
/// While nothing happens, gossip becomes rarer up to this factor.
constexpr Tick kGossipSlowdown = 8;
constexpr unsigned kQuestionBackoff = 5;

}  // namespace

void EpaxosCore::note_dependencies(const Dependencies& dependencies) {
  // Every entry is a slot that its owner has allocated, so somebody can tell what it holds.
  for (int row = 0; row < n_; ++row) note_known({replica_at(row), dependencies[replica_at(row)]});
}

void EpaxosCore::note_known(const InstanceId& id) {
  instances_.note_known(id);
  if (id.row != self_ || id.slot < next_slot_) return;
  // Slots become known to others only after they are durable here. A replica whose disk was wiped
  // or rolled back must not vote under its old name (13.5), nor use these slots again (R5).
  if (config_.unsafe_rejoin || mutant(Mutant::kSlotReuse) || mutant(Mutant::kForgetfulVotes)) {
    next_slot_ = id.slot.next();
    return;
  }
  lose_memory();
}

bool EpaxosCore::lags(ReplicaId row) const {
  const RowState& state = instances_.row(row);
  return state.committed_up_to < state.highest_known;
}

Dependencies EpaxosCore::executed_frontier() const {
  Dependencies frontier(n_);
  for (int row = 0; row < n_; ++row) {
    frontier[replica_at(row)] = graph_.executed_up_to(replica_at(row));
  }
  return frontier;
}

Dependencies EpaxosCore::known_frontier() const {
  Dependencies frontier(n_);
  for (int row = 0; row < n_; ++row) {
    frontier[replica_at(row)] = instances_.row(replica_at(row)).highest_known;
  }
  return frontier;
}

void EpaxosCore::gossip(ReplicaSet to, Effects& out) {
  raise_floor(out);
  raise_vector_floor(out.now);
  const Dependencies executed = executed_frontier();
  const Dependencies known = known_frontier();
  const bool news = executed != gossiped_executed_ || known != gossiped_known_ ||
                    next_floor_ != gossiped_floor_ || next_vector_floor_ != gossiped_vector_floor_;
  gossip_interval_ = news ? config_.gossip_us
                          : std::min(gossip_interval_ * 2, config_.gossip_us * kGossipSlowdown);
  gossip_due_ = out.now + gossip_interval_;
  last_gossip_ = out.now;
  if (storage_full_) return;  // Whatever is said now waits in line until there is room.
  gossiped_executed_ = executed;
  gossiped_known_ = known;
  gossiped_floor_ = next_floor_;
  gossiped_vector_floor_ = next_vector_floor_;
  ReplicaSet forgetful;
  for (int row = 0; row < n_; ++row) {
    if (peers_[static_cast<std::size_t>(row)].forgot) forgetful.add(replica_at(row));
  }
  send(to, Frontier{executed, next_floor_, known, !voting_, forgetful.bits()}, out,
       gated_without(Mutant::kFrontierBeforeDurable));
  if (next_vector_floor_ != next_floor_) send(to, VectorFloor{next_vector_floor_}, out);
  ask_who_is_behind(out);
}

void EpaxosCore::on_frontier(ReplicaId from, const Frontier& message, Effects& out) {
  // The highest slots of a row come from whoever has seen them; our own row is only ours to extend.
  note_dependencies(message.known);
  peers_[from.value()].votes = !message.non_voting && !peers_[from.value()].forgot;
  if (ReplicaSet::of_bits(message.forgetful).contains(self_) && !config_.unsafe_rejoin &&
      !mutant(Mutant::kForgetfulVotes)) {
    lose_memory();
  }
  note_progress(from, message);
  raise_floor(out);
  raise_vector_floor(out.now);
  // A peer that is behind and does not know it (it has just started) should not wait for our turn.
  const bool behind = !message.known.includes(known_frontier());
  if (behind && last_gossip_ + config_.gossip_us <= out.now) gossip(others_, out);
}

void EpaxosCore::ask_about_holes(Effects& out) {
  question_due_ = kNever;
  for (int index = 0; index < n_; ++index) {
    const ReplicaId row = replica_at(index);
    RowQuestion& question = questions_[row.value()];
    if (!lags(row)) {
      question = {};
      continue;
    }
    const Slot head = instances_.row(row).committed_up_to.next();
    if (question.head != head) {
      question.head = head;
      question.head_since = out.now;
      question.due = out.now + config_.question_us;
      question.attempts = 0;
    }
    const Instance* const instance = instances_.find({row, head});
    const bool own_round_runs = instance != nullptr && instance->progress != Instance::kNoProgress;
    if (question.due <= out.now) {
      if (!own_round_runs && !storage_full_) ask_about(row, out);
      ++question.attempts;
      question.due =
          out.now + (config_.question_us << std::min(question.attempts, kQuestionBackoff));
    }
    if (!own_round_runs) consider_recovery(row, question, out);
    question_due_ = std::min({question_due_, question.due, out.now + config_.question_us / 2});
  }
}

void EpaxosCore::ask_about(ReplicaId row, Effects& out) {
  if (others_.size() == 0) return;
  const RowState& state = instances_.row(row);
  const InstanceId head{row, state.committed_up_to.next()};
  const Instance* const instance = instances_.find(head);
  const bool known = instance != nullptr && instance->payload_known();
  // Whoever knows the decision tells it, and a live owner goes on with it, or says that it lives.
  counters_.add(Count::kStatusAsked);
  send(known || row == self_ ? others_ : ReplicaSet::only(row), Status{head}, out, Release::kNow);
  Tick& asked_at = peers_[row.value()].asked_at;
  if (row != self_ && asked_at == kNever) asked_at = out.now;
  if (known && head.slot == state.highest_known) return;
  // The owner first, then one peer after the other.
  const unsigned turn = questions_[row.value()].turn++;
  ReplicaId whom = replica_at(static_cast<int>((row.value() + turn) % static_cast<unsigned>(n_)));
  if (whom == self_) whom = replica_at((self_.value() + 1) % n_);
  ask_range(row, head.slot, whom, out);
}

void EpaxosCore::ask_range(ReplicaId row, Slot from, ReplicaId whom, Effects& out) {
  const Slot last = instances_.row(row).highest_known;
  const Slot to = std::min(last, Slot(from.value() + kRangeSlots - 1));
  questions_[row.value()].asked_from = from;
  counters_.add(Count::kRangesAsked);
  send(ReplicaSet::only(whom), FetchRange{row, from, to}, out, Release::kNow);
}

void EpaxosCore::on_status(ReplicaId from, const Status& message, Effects& out) {
  const InstanceId& id = message.instance;
  note_known(id);
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (answered_by_decision(from, id, out)) return;
  const Instance* const instance = instances_.find(id);
  if (instance != nullptr && instance->progress != Instance::kNoProgress) {
    resend_open(id, *instance, ReplicaSet::only(from), out);
  }
  // A sign of life: whoever hears it need not recover the row. (One that may not vote gives none.)
  if (id.row != self_ || !voting_) return;
  send(ReplicaSet::only(from), RangeEnd{self_, id.slot, false}, out, Release::kNow);
}

void EpaxosCore::on_fetch_range(ReplicaId from, const FetchRange& message, Effects& out) {
  if (storage_full_) return counters_.add(Count::kStorageFull);
  counters_.add(Count::kRangesServed);
  if (floor_[message.row] >= message.from) {
    answer_truncated(from, {message.row, message.from}, out);
  }
  const Slot known = instances_.row(message.row).highest_known;
  const Slot to = std::min(message.to, Slot(message.from.value() + kRangeSlots - 1));
  const std::size_t begin = out.bytes();
  Slot slot = std::max(message.from, floor_[message.row].next());
  for (; slot <= std::min(to, dropped_[message.row]) && out.bytes() - begin < kRangeBytes;
       slot = slot.next()) {
    counters_.add(Count::kReadBack);
    const auto instance = archived({message.row, slot});
    if (instance) send(ReplicaSet::only(from), instance->commit(), out);
  }
  // Only what is held is looked at: somebody may have claimed slots that do not exist.
  if (slot > dropped_[message.row]) slot = instances_.next_held(message.row, slot);
  while (slot <= to && out.bytes() - begin < kRangeBytes) {
    const InstanceId id{message.row, slot};
    const Instance& instance = *instances_.find(id);
    if (instance.covered()) {
      if (slot == message.from) answer_truncated(from, id, out);
    } else if (instance.decided()) {
      answer_commit(from, id, instance, out);
    } else if (instance.recorded()) {
      send(ReplicaSet::only(from), Learn{id, instance.initial_dependencies(), instance.block()},
           out);
    }
    slot = instances_.next_held(message.row, slot.next());
  }
  const bool more = slot <= known;
  send(ReplicaSet::only(from), RangeEnd{message.row, more ? slot : to.next(), more}, out);
}

void EpaxosCore::on_range_end(ReplicaId from, const RangeEnd& message, Effects& out) {
  const RowState& state = instances_.row(message.row);
  if (!message.more || message.next > state.highest_known || storage_full_) return;
  if (!lags(message.row)) return;  // The rest came from somebody else meanwhile.
  if (message.next <= questions_[message.row.value()].asked_from) {
    return counters_.add(Count::kStale);  // Repeated, or overtaken by a later question.
  }
  ask_range(message.row, std::max(message.next, state.committed_up_to.next()), from, out);
}

void EpaxosCore::on_learn(ReplicaId, const Learn& message, Bytes body, Effects& out) {
  const InstanceId& id = message.instance;
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (is_over(id)) return counters_.add(Count::kStale);
  const Result<Footprint> footprint = decode_block_footprint(message.block);
  if (!footprint) return counters_.add(Count::kMalformedBlock);
  Instance* const instance = admit(id);
  if (instance == nullptr || instance->decided()) return;
  const bool newly_recorded = !instance->recorded();
  if (!agrees(*instance, message.initial) ||
      !learn_payload(id, *instance, message.block, *footprint)) {
    return counters_.add(Count::kContradictsRecord);
  }
  if (!newly_recorded) return;
  instance->record(message.initial);
  note_dependencies(message.initial);
  put(RecordKind::kRecorded, id, out.append(body), out);
}

}  // namespace epaxos::protocol
