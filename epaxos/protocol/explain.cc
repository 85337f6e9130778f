// What a person may ask afterwards: why an instance took as long as it did. Nothing here decides
// anything. Source: docs/operation.md.

#include <string>

#include "epaxos/protocol/core.h"

namespace epaxos::protocol {

/// The dependencies of a decision that are not executed here at this moment.
void EpaxosCore::note_waits(const InstanceId& id, const Dependencies& decided) {
  if (histories_.find(id) == nullptr) return;
  for (int index = 0; index < n_; ++index) {
    const InstanceId on{replica_at(index), decided[replica_at(index)]};
    if (on.slot <= graph_.executed_up_to(on.row) || graph_.executed(on)) continue;
    const Instance* const other = instances_.find(on);
    histories_.waits_for(id, on, other != nullptr && other->decided());
  }
}

/// The graph has let it go. When its dependencies were decided is still known, as they are held
/// until all members have executed them.
void EpaxosCore::note_ready(const InstanceId& id, Tick now) {
  InstanceHistory* const history = histories_.ready(id, now);
  if (history == nullptr) return;
  for (InstanceHistory::Wait& wait : history->waits) {
    const Instance* const other = instances_.find(wait.on);
    if (other != nullptr && other->decided()) wait.committed_at = other->committed_at;
  }
}

Result<InstanceHistory> EpaxosCore::history(const InstanceId& id) const {
  const std::string name = to_string(id);
  const std::string here = to_string(self_);
  if (id.row.value() >= n_ || id.slot == Slot()) {
    return fail(ErrorCode::kInvalidArgument,
                "There is no instance " + name + ": the rows of this group are R0 to " +
                    to_string(replica_at(n_ - 1)) + ", and slots begin at 1.");
  }
  const InstanceHistory* const kept = histories_.find(id);
  const Instance* instance = instances_.find(id);
  // Room for it may be there although nobody has told anything of it, or all is dropped.
  const bool is_there =
      instance != nullptr && id.slot > dropped_[id.row] &&
      (instance->payload_known() || instance->decided() || instance->ballot() > kInitialBallot);
  if (!is_there) instance = nullptr;
  InstanceHistory out;
  if (kept != nullptr) {
    out = *kept;
  } else if (instance == nullptr) {
    return fail(ErrorCode::kUnavailable, why_unknown(id));
  } else {
    out.id = id;
    out.why_not_kept = why_not_kept(id);
  }
  if (instance != nullptr) fill_in(id, *instance, out);
  out.replica_count = n_;
  out.asked = self_;
  return out;
}

Result<std::vector<InstanceHistory>> EpaxosCore::slowest(std::size_t most) const {
  if (histories_.keep() == 0) return fail(ErrorCode::kUnavailable, no_steps());
  std::vector<InstanceHistory> out;
  for (const InstanceId& id : histories_.slowest(most)) out.push_back(*history(id));
  return out;
}

/// What the instance itself shows.
void EpaxosCore::fill_in(const InstanceId& id, const Instance& instance,
                         InstanceHistory& out) const {
  if (instance.progress != Instance::kNoProgress) {
    out.not_asked = progress_[instance.progress].tally.not_asked;
  }
  out.recorded = instance.recorded();
  if (out.recorded) out.initial = instance.initial_dependencies();
  out.executed = out.executed || (graph_.executed(id) && !instance.decided_nop());
  if (instance.covered() && out.decided_by == DecidedBy::kNobody) {
    out.decided_by = DecidedBy::kImage;
    out.nop = instance.decided_nop();
  }
  if (out.kept) return;
  if (instance.pre_accepted()) {
    const Dependencies mine = instance.pre_accept_dependencies();
    for (int row = 0; row < n_; ++row) {
      const InstanceId of{replica_at(row), mine[replica_at(row)]};
      if (of.slot > out.initial[of.row]) out.extras.push_back({self_, of});
    }
  }
  if (instance.ballot() > kInitialBallot) {
    out.recovery = {instance.ballot().replica, 0, std::nullopt, 0, 0};
  }
  if (!instance.decided() || instance.covered()) return;
  out.decided_by = DecidedBy::kUnknown;
  out.committed_at = instance.committed_at;
  out.nop = instance.decided_nop();
  if (!out.nop) out.decided = instance.decided_dependencies();
}

/// Of an instance that this replica holds.
std::string EpaxosCore::why_not_kept(const InstanceId& id) const {
  const std::string owner = to_string(id.row);
  if (id.row != self_) {
    return "Its steps are known to its owner, " + owner + ", and to who recovered it: ask with " +
           "--replica " + std::to_string(id.row.value()) + ".";
  }
  if (histories_.keep() == 0) return no_steps();
  if (!is_of_this_life(id)) {
    return "It was proposed before " + owner + " started, and steps are kept in memory only.";
  }
  return owner + " keeps the steps of its last " + std::to_string(histories_.keep()) +
         " instances, and this one is older. Ask sooner, or raise limits.history_instances.";
}

std::string EpaxosCore::no_steps() const {
  return to_string(self_) +
         " writes down no steps, as limits.history_instances is 0 in its cluster file. Set it to "
         "4096, restart the replica, and ask about a command that is proposed after that.";
}

/// Of an instance that this replica does not hold.
std::string EpaxosCore::why_unknown(const InstanceId& id) const {
  const std::string name = to_string(id);
  const RowState& row = instances_.row(id.row);
  if (id.slot > row.highest_known) {
    const std::string most = row.highest_known == Slot()
                                 ? "no instance of this row yet"
                                 : to_string(InstanceId{id.row, row.highest_known}) + " at most";
    return "Nobody has told " + to_string(self_) + " of " + name + ": it knows of " + most +
           (id.row == self_ ? ". Check the name." : ". Check the name, or ask its owner.");
  }
  if (id.slot > dropped_[id.row] && !is_archived(id)) {
    return to_string(self_) + " knows that " + name +
           " exists, and nothing else of it yet; it asks for it by itself. Ask its owner.";
  }
  const std::string gone = name + " is executed, and " + to_string(self_) +
                           " holds it no longer: what all replicas have executed is forgotten. ";
  if (id.row != self_) {
    return gone + "Its owner, " + to_string(id.row) + ", may have kept its steps: ask with " +
           "--replica " + std::to_string(id.row.value()) + ".";
  }
  return gone + why_not_kept(id);
}

}  // namespace epaxos::protocol
