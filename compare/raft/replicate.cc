// The leader's half of replication: it streams its log to every follower within a window, finds
// out where logs agree after a refusal, and says that it lives. Followers that are equally far get
// one frame. Source: Raft paper, 5.3; Ongaro's thesis, 10.2.1 and 10.2.2 (the leader writes its
// disk while followers write theirs; pipelining).

#include <algorithm>

#include "compare/raft/core.h"

namespace epaxos::compare::raft {
namespace {

/// Entries of one frame, unless a single one is larger.
constexpr std::size_t kAppendBytesMax = 200 * 1024;
/// Entries of one frame that are read back from the disk: a millisecond's work, about.
constexpr std::size_t kReadBackMax = 512;

LogIndex before(LogIndex index) {
  return LogIndex(index.value() - std::min<std::uint64_t>(index.value(), 1));
}

}  // namespace

/// Those of `among` that the same entries go to next.
ReplicaSet RaftCore::streaming_at(ReplicaSet among, LogIndex next) const {
  ReplicaSet group;
  for (int i = 0; i < n_; ++i) {
    const PeerProgress& peer = peers_[static_cast<std::size_t>(i)];
    const bool fits = among.contains(replica_at(i)) && peer.next_index == next && !peer.probing;
    if (fits) group.add(replica_at(i));
  }
  return group;
}

/// What is in memory goes to everybody as far as the windows allow. Of what must be read back a
/// follower gets one frame a turn: a leader that reads for long is not heard meanwhile, and does
/// not hear that it still leads.
void RaftCore::replicate(Effects& out) {
  told_ = {};
  more_to_send_ = false;
  ReplicaSet open;
  for (int i = 0; i < n_; ++i) {
    if (replica_at(i) == self_) continue;
    if (peers_[static_cast<std::size_t>(i)].probe_due) probe(replica_at(i), out);
    open.add(replica_at(i));
  }
  while (const auto first = open.first()) {
    const PeerProgress& peer = peers_[first->value()];
    if (!peer.may_stream() || peer.next_index > last_log_index() || is_full(out)) {
      open = open.without(*first);
      continue;
    }
    ReplicaSet group = streaming_at(open, peer.next_index);
    for (int i = 0; i < n_; ++i) {
      if (!peers_[static_cast<std::size_t>(i)].may_stream()) group = group.without(replica_at(i));
    }
    send_entries(group, out);
    if (read_back_.empty()) continue;
    for (ReplicaSet left = group; left.first(); left = left.without(*left.first())) {
      const PeerProgress& each = peers_[left.first()->value()];
      more_to_send_ |= each.may_stream() && each.next_index <= last_log_index();
      open = open.without(*left.first());
    }
  }
  if (commit_index_ == commit_told_ || is_full(out)) return;
  // Whoever proposed what is committed now wants to execute it at once.
  commit_told_ = commit_index_;
  for (ReplicaSet left = others_.without(told_); left.first();) {
    const ReplicaSet group = streaming_at(left, peers_[left.first()->value()].next_index);
    left = left.without(group).without(*left.first());
    if (group.size() > 0) send_without_entries(group, false, out);
  }
}

/// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server; repeat during
/// idle periods to prevent election timeouts" (Figure 2, Leaders). An answer shows what was lost.
void RaftCore::beat(Effects& out) {
  heartbeat_due_ = out.now + config_.heartbeat_us;
  if (is_full(out)) return;
  for (ReplicaSet left = others_; left.first();) {
    const ReplicaId first = *left.first();
    const ReplicaSet group = streaming_at(left, peers_[first.value()].next_index);
    left = left.without(group).without(first);
    if (peers_[first.value()].probing) {
      probe(first, out);
    } else {
      counters_.add(Count::kHeartbeatsSent);
      send_without_entries(group, true, out);
    }
  }
}

AppendEntries RaftCore::append_after(LogIndex prev, Term prev_term, Tick now) const {
  AppendEntries message;
  message.term = current_term_;
  message.prev_log_index = prev;
  message.prev_log_term = prev_term;
  message.leader_commit = commit_index_;
  message.floor = floor_;
  message.sent_at = now;
  message.life = config_.life;
  message.round_trip_us = static_cast<std::uint32_t>(round_trip_us_);
  return message;
}

/// Views of the entries that follow in one frame. False: there is not even one.
bool RaftCore::gather(LogIndex from) {
  pieces_.clear();
  pieces_bytes_ = 0;
  read_back_.clear();
  for (LogIndex index = from; index <= last_log_index(); index = index.next()) {
    Bytes piece = log_.encoded(index);
    if (piece.empty()) {
      if (read_back_.size() == kReadBackMax) break;
      if (!entry_at(index, read_back_.emplace_back())) break;
      piece = read_back_.back();
      counters_.add(Count::kReadBack);
    }
    if (!pieces_.empty() && pieces_bytes_ + piece.size() > kAppendBytesMax) break;
    pieces_.push_back(piece);
    pieces_bytes_ += piece.size();
  }
  return !pieces_.empty();
}

/// What follows, to those who are equally far. It may leave before it is on this replica's disk:
/// the own log counts only when it is.
void RaftCore::send_entries(ReplicaSet to, Effects& out) {
  const LogIndex next = peers_[to.first()->value()].next_index;
  const std::optional<Term> prev_term = term_at(before(next));
  if (!prev_term || !gather(next)) {
    for (ReplicaSet left = to; left.first(); left = left.without(*left.first())) {
      peers_[left.first()->value()].probing = true;
      send_truncated(*left.first(), out);
    }
    return;
  }
  Slice body;
  std::span<std::byte> room =
      encode_with_room(append_after(before(next), *prev_term, out.now), pieces_bytes_, out, body);
  for (const Bytes piece : pieces_) {
    copy_bytes(piece, room.data());
    room = room.subspan(piece.size());
  }
  counters_.add(Count::kAppendsSent);
  send_body(to, static_cast<net::FrameType>(MessageType::kAppendEntries), body, out, Release::kNow);
  const LogIndex last(next.value() + pieces_.size() - 1);
  for (ReplicaSet left = to; left.first(); left = left.without(*left.first())) {
    peers_[left.first()->value()].sent(last, pieces_bytes_, out.now);
  }
  told_.add(to);
}

void RaftCore::send_without_entries(ReplicaSet to, bool answer, Effects& out) {
  const LogIndex prev = before(peers_[to.first()->value()].next_index);
  const std::optional<Term> prev_term = term_at(prev);
  if (!prev_term) {
    for (ReplicaSet left = to; left.first(); left = left.without(*left.first())) {
      send_truncated(*left.first(), out);
    }
    return;
  }
  AppendEntries message = append_after(prev, *prev_term, out.now);
  message.answer = answer;
  if (answer) reads_.question_left(out.now);
  send(to, message, out, Release::kNow);
}

/// Where does the log of this follower agree?
void RaftCore::probe(ReplicaId to, Effects& out) {
  PeerProgress& peer = peers_[to.value()];
  peer.probe_due = false;
  counters_.add(Count::kProbes);
  if (peer.next_index < first_servable()) return send_truncated(to, out);
  send_without_entries(ReplicaSet::only(to), true, out);
}

void RaftCore::send_truncated(ReplicaId to, Effects& out) {
  counters_.add(Count::kTruncatedSent);
  send(ReplicaSet::only(to), Truncated{current_term_, first_servable(), commit_index_, out.now},
       out, Release::kNow);
}

// --- Answers -----------------------------------------------------------------------------------

void RaftCore::on_append_entries_reply(ReplicaId from, const AppendEntriesReply& message,
                                       Effects& out) {
  note_told(from, message.life, message.term);
  note_birth(from, message.life, message.born_in, out);
  if (message.term > current_term_) {
    if (storage_full_) return counters_.add(Count::kStorageFull);
    return become_follower(message.term, out);
  }
  if (role_ != Role::kLeader && options_.learn_from_all && message.term == current_term_) {
    return learn_match(from, message);
  }
  if (role_ != Role::kLeader || message.term < current_term_) return counters_.add(Count::kStale);
  // In this term it answers this leader, in this life.
  if (message.sent_at > out.now || (message.success && message.prev_log_index > last_log_index())) {
    return counters_.add(Count::kNeverAsked);
  }
  PeerProgress& peer = peers_[from.value()];
  if (peer.forgot) counters_.add(Count::kPeerForgot);
  peer.heard_at = out.now;
  peer.answered = true;
  peer.voting = message.voting;
  measure(peer, message, out.now);
  note_answer_now(from, message.sent_at);
  if (!message.success) {
    counters_.add(Count::kConflictsFound);
    if (mutant(Mutant::kRaftRefusalMatches)) {
      peer.matches(std::min(message.prev_log_index, last_log_index()));
      advance_commit();
    }
    return back_up(peer, message);
  }
  peer.matches(message.match_index);
  peer.agrees(message.prev_log_index);
  advance_commit();
  note_confirmation(from, message, out);
  pursue_transfer(out);
}

/// The last index of this term, or of an earlier one, up to an index. What is not in memory counts
/// as earlier.
LogIndex RaftCore::last_of_term(Term term, LogIndex up_to) const {
  std::uint64_t low = log_.base().value();
  std::uint64_t high = std::max(low, std::min(up_to, last_log_index()).value());
  while (low < high) {
    const std::uint64_t middle = high - (high - low) / 2;
    if (Term(log_.round(LogIndex(middle))) > term) {
      high = middle - 1;
    } else {
      low = middle;
    }
  }
  return LogIndex(low);
}

/// "If desired, the protocol can be optimized to reduce the number of rejected AppendEntries RPCs":
/// one term is skipped at once (5.3, the end).
void RaftCore::back_up(PeerProgress& peer, const AppendEntriesReply& message) const {
  // Whoever has lost its memory may have lost what it once acknowledged.
  if (!peer.counts()) peer.match_index = std::min(peer.match_index, before(message.conflict_index));
  if (message.prev_log_index <= peer.match_index && !peer.probing) return;  // Overtaken.
  LogIndex next = message.conflict_index;
  if (message.conflict_term > Term()) {
    const LogIndex last = last_of_term(message.conflict_term, message.prev_log_index);
    const std::optional<Term> term = term_at(last);
    if (term == message.conflict_term) next = last.next();
    next = std::min(next, message.prev_log_index);
  }
  next = std::clamp(next, peer.match_index.next(), last_log_index().next());
  const bool is_asked = peer.probing && !peer.probe_due && next == peer.next_index;
  if (!is_asked) peer.probe_from(next);
}

/// Only answers that waited for no disk say how far away a replica is, and not those to what stood
/// in line behind much else. Nobody waits for a leader because of a replica without a vote.
void RaftCore::measure(PeerProgress& peer, const AppendEntriesReply& message, Tick now) {
  peer.note_bulk(now);
  if (message.sent_at == 0) return;
  if (peer.round_trip_us != 0 && peer.was_in_line(message.sent_at)) return;
  const Tick sample = std::min<Tick>(now - message.sent_at, 10 * kSecond);
  const Tick before = peer.round_trip_us == 0 ? sample : peer.round_trip_us;
  peer.round_trip_us = std::max<Tick>(1, (7 * before + sample) / 8);
  Tick longest = 0;
  for (ReplicaSet left = voters_but_self(); left.first(); left = left.without(*left.first())) {
    const PeerProgress& each = peers_[left.first()->value()];
    if (each.heard_at + patience_us_ >= now) longest = std::max(longest, each.round_trip_us);
  }
  note_round_trip(longest);
}

}  // namespace epaxos::compare::raft
