#include "epaxos/protocol/histories.h"

#include <algorithm>
#include <utility>

namespace epaxos::protocol {
namespace {

/// Answers that are kept of one instance: all that count, twice, and some refusals.
constexpr std::size_t kAnswersMax = std::size_t{4} * kReplicasMax;

/// As new, with the memory that it had.
void renew(InstanceHistory& history, const InstanceId& id) {
  InstanceHistory fresh;
  fresh.answers = std::move(history.answers);
  fresh.extras = std::move(history.extras);
  fresh.waits = std::move(history.waits);
  fresh.answers.clear();
  fresh.extras.clear();
  fresh.waits.clear();
  fresh.id = id;
  fresh.kept = true;
  history = std::move(fresh);
}

}  // namespace

const InstanceHistory* Histories::find_recovered(const InstanceId& id) const {
  if (recovered_.empty()) return nullptr;
  const auto found = recovered_.find(id);
  return found == recovered_.end() ? nullptr : &found->second;
}

std::vector<InstanceId> Histories::slowest(std::size_t most) const {
  // What is under way comes first, the oldest first, whatever it will have taken.
  const auto key = [](const InstanceHistory* history) {
    const bool is_over = history->executed || history->nop;
    const Tick end = history->executed_at != 0 ? history->executed_at : history->committed_at;
    const Tick rank = is_over ? ~(end - std::min(end, history->given_at)) : history->given_at;
    return std::pair(is_over, rank);
  };
  std::vector<const InstanceHistory*> all;
  for (const InstanceHistory& each : ring_) {
    if (each.kept) all.push_back(&each);
  }
  most = std::min(most, all.size());
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(most), {}, key);
  std::vector<InstanceId> ids;
  for (std::size_t i = 0; i < most; ++i) ids.push_back(all[i]->id);
  return ids;
}

// --- The owner ---------------------------------------------------------------------------------

void Histories::proposed(const InstanceId& id, const Dependencies& initial, std::size_t commands,
                         Tick now) {
  if (keep_ == 0) return;
  if (ring_.empty()) first_ = id.slot;
  const std::size_t place = place_of(id.slot);
  while (ring_.size() <= place) ring_.emplace_back();  // Slots that were skipped stay empty.
  InstanceHistory& history = ring_[place];
  renew(history, id);
  history.recorded = true;
  history.commands = static_cast<std::uint32_t>(commands);
  history.given_at = history.proposed_at = now;
  history.initial = initial;
}

void Histories::was_delayed(const InstanceId& id, Tick since, Slot behind, bool fenced) {
  InstanceHistory* const history = at(id);
  if (history == nullptr || since >= history->given_at) return;
  history->given_at = since;
  history->behind = behind;
  history->fenced = fenced;
}

void Histories::was_retried(const InstanceId& nop, const InstanceId& as) {
  if (InstanceHistory* const history = at(as)) history->retries = nop;
  if (InstanceHistory* const history = at(nop)) history->retried = as;
}

void Histories::sent(const InstanceId& id, Tick now) {
  if (InstanceHistory* const history = at(id)) history->sent_at = now;
}

void Histories::resent(const InstanceId& id) {
  if (InstanceHistory* const history = at(id)) ++history->resent;
}

// --- Its count ---------------------------------------------------------------------------------

void Histories::answered(const InstanceId& id, ReplicaId from, InstanceHistory::Kind kind,
                         Tick now) {
  InstanceHistory* const history = at(id);
  if (history == nullptr || history->answers.size() >= kAnswersMax) return;
  history->answers.push_back({from, kind, now});
}

void Histories::named(const InstanceId& id, ReplicaId from, const Dependencies& dependencies) {
  InstanceHistory* const history = at(id);
  if (history == nullptr || history->extras.size() >= kAnswersMax) return;
  for (int row = 0; row < dependencies.rows(); ++row) {
    const ReplicaId each = replica_at(row);
    if (dependencies[each] <= history->initial[each]) continue;
    history->extras.push_back({from, {each, dependencies[each]}});
  }
}

void Histories::fast_quorum(const InstanceId& id, Tick now) {
  if (InstanceHistory* const history = at(id)) history->fast_quorum_at = now;
}

void Histories::went_slow(const InstanceId& id, SlowReason reason, Tick now) {
  InstanceHistory* const history = at(id);
  if (history == nullptr) return;
  history->slow_at = now;
  history->slow_reason = reason;
}

void Histories::accept_sent(const InstanceId& id, Tick now) {
  if (InstanceHistory* const history = at(id)) history->accept_sent_at = now;
}

// --- Recovery ----------------------------------------------------------------------------------

void Histories::recovering(const InstanceId& id, RecoveryReason reason, Tick silent_us, Tick now) {
  if (keep_ == 0) return;
  InstanceHistory* history = at(id);
  if (history == nullptr && id.row == self_) return;  // Of an earlier life, or too old.
  if (history == nullptr) {
    history = &recovered_[id];
    renew(*history, id);
    recovered_order_.push_back(id);
    if (recovered_order_.size() > keep_) {
      recovered_.erase(recovered_order_.front());
      recovered_order_.pop_front();
    }
  }
  history->recovery = {self_, now, reason, silent_us, 1};
}

void Histories::recovering_again(const InstanceId& id) {
  InstanceHistory* const history = at(id);
  if (history == nullptr || !history->recovery) return;
  history->recovery->by = self_;
  ++history->recovery->attempts;
}

void Histories::overtaken(const InstanceId& id, ReplicaId by, Tick now) {
  InstanceHistory* const history = at(id);
  if (history == nullptr) return;
  if (!history->recovery) history->recovery = {by, now, std::nullopt, 0, 0};
  history->recovery->by = by;
}

// --- The decision ------------------------------------------------------------------------------

void Histories::decided_by(const InstanceId& id, DecidedBy how, ReplicaId told_by) {
  InstanceHistory* const history = at(id);
  if (history == nullptr || history->decided_by != DecidedBy::kNobody) return;
  history->decided_by = how;
  history->told_by = told_by;
}

void Histories::committed(const InstanceId& id, const Dependencies* dependencies, Tick now) {
  InstanceHistory* const history = at(id);
  if (history == nullptr) return;
  history->committed_at = now;
  history->nop = dependencies == nullptr;
  if (dependencies != nullptr) history->decided = *dependencies;
}

void Histories::covered(const InstanceId& id) {
  InstanceHistory* const history = at(id);
  if (history == nullptr) return;
  if (history->decided_by == DecidedBy::kNobody) history->decided_by = DecidedBy::kImage;
  history->executed = true;
}

void Histories::waits_for(const InstanceId& id, const InstanceId& on, bool was_committed) {
  InstanceHistory* const history = at(id);
  if (history != nullptr) history->waits.push_back({on, was_committed, 0});
}

// --- The execution -----------------------------------------------------------------------------

void Histories::on_wait(InstanceId instance, InstanceId blocker, executor::WaitsFor what) {
  InstanceHistory* const history = at(instance);
  if (history == nullptr) return;
  if (!history->blocker) {
    history->blocker = blocker;
    history->blocker_unknown = what == executor::WaitsFor::kPayload;
  }
  history->last.reset();
}

void Histories::on_retry(InstanceId instance, InstanceId by) {
  InstanceHistory* const history = at(instance);
  if (history != nullptr && history->component == 0) history->last = by;
}

void Histories::on_run(InstanceId instance, std::size_t component, InstanceId found_by) {
  InstanceHistory* const history = at(instance);
  if (history == nullptr) return;
  history->component = static_cast<std::uint32_t>(component);
  // Still on a list of waiters: what came last is the one whose decision closed the component.
  if (history->blocker && !history->last && found_by != instance) history->last = found_by;
}

InstanceHistory* Histories::ready(const InstanceId& id, Tick now) {
  InstanceHistory* const history = at(id);
  if (history != nullptr) history->ready_at = now;
  return history;
}

void Histories::executed(const InstanceId& id, Tick now) {
  InstanceHistory* const history = at(id);
  if (history == nullptr) return;
  history->executed_at = now;
  history->executed = true;
}

}  // namespace epaxos::protocol
