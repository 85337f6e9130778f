// From a client of any replica to the log of the leader. Each block of commands carries the name
// that its proposer gave it, so that it may be sent as often as need be.

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {

void RaftCore::propose(std::span<const Proposal> proposals, Effects& out) {
  if (!voting_) return out.reject(proposals, ErrorCode::kNotVoting, kMayNotPropose);
  const ForwardQueue::Taken taken = own_.take(reads_.take(proposals, out), config_, out);
  counters_.add(Count::kProposedBlocks, taken.blocks);
  counters_.add(Count::kProposedCommands, taken.commands);
}

/// Own blocks go to the leader, or into the log when this replica leads. Without a leader they
/// wait.
void RaftCore::pump_own(Effects& out) {
  if (role_ == Role::kLeader) {
    while (!takes_no_more() && !is_full(out)) {
      const std::optional<Entry> next = own_.next();
      if (!next) return;
      if (in_log_.take(next->origin)) append_to_log(*next, out);
      own_.sent(out.now);
    }
    return;
  }
  if (!leader_) return;
  while (!is_full(out)) {
    const std::optional<Entry> next = own_.next();
    if (!next) return;
    counters_.add(Count::kForwardsSent);
    const Forward forward{next->origin.life, next->origin.sequence, next->block};
    send(ReplicaSet::only(*leader_), forward, out, Release::kNow);
    own_.sent(out.now);
  }
}

/// The leader's log holds as much as may be undecided, or nothing may be added now.
bool RaftCore::takes_no_more() const {
  const std::uint64_t undecided = last_log_index().value() - commit_index_.value();
  const std::uint64_t span = last_log_index().value() - log_.base().value();
  return storage_full_ || transfer_to_.has_value() || undecided >= config_.held_undecided_max ||
         span >= LogWindow::kSpanMax || last_log_index().value() >= kLogSlotMax;
}

void RaftCore::on_forward(ReplicaId from, const Forward& message, Effects& out) {
  if (role_ != Role::kLeader) return counters_.add(Count::kForwardsNotLeader);
  if (storage_full_) return counters_.add(Count::kStorageFull);
  if (takes_no_more()) return counters_.add(Count::kForwardsRefused);  // It comes again.
  const std::uint64_t wanted = in_log_.wanted(from, message.life);
  if (message.sequence > wanted && wanted != 0) {
    counters_.add(Count::kForwardsWanted);
    if (!wanting_.contains(from)) wanted_[from.value()] = {message.life, wanted};
    return wanting_.add(from);
  }
  if (message.sequence != wanted) return counters_.add(Count::kForwardsRepeated);
  if (!decode_block_footprint(message.block)) return counters_.add(Count::kMalformedBlock);
  const Origin origin{from, message.life, message.sequence};
  in_log_.take(origin);
  // Now that something has filled the gap, what lies beyond it must come again all the same.
  if (wanting_.contains(from)) wanted_[from.value()] = {message.life, message.sequence + 1};
  append_to_log({0, origin, message.block}, out);
  counters_.add(Count::kForwardsTaken);
}

void RaftCore::on_wanted(ReplicaId from, const Wanted& message, Tick now) {
  if (leader_ != from) return counters_.add(Count::kStale);
  own_.wanted(message.life, message.sequence, now);
}

void RaftCore::tell_wanted(Effects& out) {
  while (const auto first = wanting_.first()) {
    wanting_ = wanting_.without(*first);
    send(ReplicaSet::only(*first), wanted_[first->value()], out, Release::kNow);
  }
}

/// "If command received from client: append entry to local log" (Figure 2, Leaders).
void RaftCore::append_to_log(const Entry& entry, Effects& out) {
  check(role_ == Role::kLeader, "only a leader adds to the log");
  Slice bytes;
  const auto room = out.allocate(kEntryHeaderBytes + entry.block.size(), bytes);
  encode_entry({current_term_.value(), entry.origin, entry.block}, room);
  const LogIndex index = last_log_index().next();
  add_entry(index, room, bytes, out);
}

}  // namespace epaxos::compare::raft
