// What a leader does: it opens a ballot once for the whole log, proposes again what may have been
// chosen before, fills the holes, and then needs one round trip an entry.

#include <algorithm>

#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {
namespace {

/// Elections wait at most 2^3 times as long as the first one, and what is sent again 2^4 times.
constexpr unsigned kAttemptsMax = 3;
constexpr unsigned kResendsMax = 4;
/// Bytes of entries in one Accept, and of those that are sent again at once.
constexpr std::size_t kAcceptBytes = 256 * 1024;
constexpr std::size_t kResendBytes = 1024 * 1024;
/// A leader that lacks decisions and does not get them so often asks all once more.
constexpr unsigned kInVain = 3;

}  // namespace

/// Chance keeps two replicas from stopping each other for ever.
Tick MultiPaxosCore::election_patience() {
  const Tick least = config_.election_us << std::min(attempts_, kAttemptsMax);
  random_ = mix64(random_);
  return least + random_ % (least + 1);
}

void MultiPaxosCore::step_down(Tick now) {
  add(Count::kSteppedDown);
  role_ = Role::kFollower;
  adopted_.clear();
  wants_.fill(0);
  reads_.begin();
  has_news_ = false;
  heartbeat_due_ = resend_due_ = quorum_due_ = kNever;
  election_due_ = now + election_patience();
}

void MultiPaxosCore::election_due(Effects& out) {
  election_due_ = out.now + election_patience();
  if (!voting_ || storage_full_ || promise_.binds(out.now) || !has_next_ballot()) return;
  if (image_needed_ > decided_up_to_) {
    if (++attempts_ <= kAttemptsMax) return;
    // Whoever has the image may be gone for good. If it is not, its promise says so again.
    image_needed_ = {};
  }
  start_pre_vote(out);
}

Ballot MultiPaxosCore::highest_ballot() const {
  return std::max({heard_, promised_, told_.ballot});
}

/// A peer may have claimed the last one: what lies beyond it nobody would understand.
bool MultiPaxosCore::has_next_ballot() {
  if (highest_ballot().round < kBallotRoundMax) return true;
  add(Count::kLastBallot);
  return false;
}

void MultiPaxosCore::start_ballot(Effects& out) {
  if (!has_next_ballot()) return;
  add(Count::kBallotsStarted);
  ballot_ = paxos::next_ballot(highest_ballot(), self_);
  heard_ = promised_ = ballot_;
  role_ = Role::kPreparing;
  note_leader(out.now);
  reads_.begin();
  reports_.assign(static_cast<std::size_t>(n_), {decided_up_to_.next(), false});
  prepared_ = {};
  adopted_.clear();
  reported_decided_ = decided_up_to_;
  const Prepare prepare{ballot_, decided_up_to_.next()};
  put(RecordKind::kPromise, encode(Prepare{ballot_, Slot(1)}, out), out);
  awaits_durable_.push_back({out.batch, ballot_, {}, {}});
  // Gated: a ballot that others have heard of is one that this replica will never use again.
  send(others_, prepare, out);
  election_due_ = heartbeat_due_ = quorum_due_ = kNever;
  resends_ = 0;
  decided_at_resend_ = decided_up_to_;
  resend_due_ = out.now + config_.retransmit_us;
}

/// Whether what has been voted for there can be proposed again. A part of a promise is worth
/// nothing: the vote that it leaves out may be for what is chosen.
bool MultiPaxosCore::is_believable(const Promise& message) const {
  if (message.votes.empty()) return true;
  const std::uint64_t last = message.votes.back().slot.value();
  return last <= message.decided_up_to.value() + span() &&
         last <= log_.base().value() + LogWindow::kSpanMax;
}

void MultiPaxosCore::on_promise(ReplicaId from, const Promise& message, Effects& out) {
  if (!paxos::owns(self_, message.ballot)) return add(Count::kNotTheBallotsOwner);
  Report* const report =
      role_ == Role::kPreparing && message.ballot == ballot_ ? &reports_[from.value()] : nullptr;
  const bool counts_again = mutant(Mutant::kAnswersCountedTwice);
  if (report == nullptr || (report->complete && !counts_again) || message.from != report->next) {
    return add(Count::kStale);
  }
  if (message.floor > decided_up_to_) {
    // Whoever has no image of what others have dropped cannot lead.
    on_truncated(from, {message.floor}, out);
    return;
  }
  if (!is_believable(message)) return add(Count::kTooFarAhead);
  if (message.decided_up_to > reported_decided_) {
    reported_decided_ = message.decided_up_to;
    reporter_ = from;
  }
  for (const Promise::Voted& each : message.votes) {
    add_vote(each.slot, Ballot::from_packed(each.entry.round), each.encoded);
  }
  if (message.through < Promise::kThroughAll) {
    report->next = message.through.next();
    return send(ReplicaSet::only(from), Prepare{ballot_, report->next}, out);
  }
  report->complete = true;
  paxos::count(prepared_, from);
  open_if_promised(out);
}

void MultiPaxosCore::add_vote(Slot slot, Ballot ballot, Bytes encoded) {
  paxos::keep_highest(adopted_[slot], EncodedVote{ballot, {encoded.begin(), encoded.end()}});
}

void MultiPaxosCore::open_if_promised(Effects& out) {
  if (role_ == Role::kPreparing && !storage_full_ && quorums_.opens(prepared_)) lead(out);
}

void MultiPaxosCore::lead(Effects& out) {
  add(Count::kBallotsOpened);
  role_ = Role::kLeader;
  attempts_ = 0;
  // Everything up to reported_decided_ is decided somewhere, and asked for there.
  open_ = std::max(decided_up_to_, reported_decided_).next();
  for (Slot slot = open_; slot <= log_.last(); slot = slot.next()) {
    if (log_.holds(slot)) {
      add_vote(slot, Ballot::from_packed(log_.round(slot)), log_.encoded(slot));
    }
  }
  next_slot_ = first_unsent_ = open_;
  const std::map<Slot, std::optional<EncodedVote>> adopted = std::exchange(adopted_, {});
  for (const auto& [slot, vote] : adopted) {
    if (slot < open_) continue;
    for (; next_slot_ < slot; add(Count::kNops)) propose_entry({}, out);
    Bytes encoded(vote->value);
    Entry entry;
    const bool is_entry = take_entry(encoded, n_, entry);
    check(is_entry, "a vote was adopted that is no entry");
    add(Count::kAdopted);
    propose_entry(entry, out);
  }
  if (!has_gap()) count_origins();
  told_ = {ballot_, decided_up_to_, {}};
  own_.begin_again(out.now);
  reads_.begin_again();
  read_from_ = Slot(next_slot_.value() - 1);
  resends_ = 0;
  decided_at_resend_ = decided_up_to_;
  last_at_resend_ = Slot(next_slot_.value() - 1);
  resend_due_ = out.now + config_.retransmit_us;
  has_news_ = true;  // That it leads.
  begin_quorum_checks(out.now);
}

/// What the log holds from now on. Precondition: there is no gap.
void MultiPaxosCore::count_origins() {
  origins_ = executor_.executed();
  for (Slot slot = executor_.executed_up_to().next(); slot < next_slot_; slot = slot.next()) {
    origins_.take(log_.entry(slot).origin);
  }
}

/// Whether a leader takes no blocks now. As long as it lacks decisions, it does not know which
/// blocks the log holds already.
bool MultiPaxosCore::takes_no_blocks() const {
  if (has_gap()) return true;
  // Acceptors that lag a little behind must be able to vote.
  const std::uint64_t most =
      std::min<std::uint64_t>(options_.pipeline_max, std::max<std::uint64_t>(1, span() / 2));
  return next_slot_.value() > decided_up_to_.value() + most;
}

/// Puts the entry into the next slot, at the ballot of this leader, and votes for it.
void MultiPaxosCore::propose_entry(Entry entry, Effects& out) {
  check(role_ == Role::kLeader && promised_ == ballot_, "only a leader proposes");
  entry.round = ballot_.packed();
  Slice encoded;
  encode_entry(entry, out.allocate(kEntryHeaderBytes + entry.block.size(), encoded));
  const Slot slot = next_slot_;
  next_slot_ = next_slot_.next();
  add(Count::kProposedEntries);
  log_.set(slot, out.view(encoded));
  records_.put(slot, encoded, out);
  const bool continues = !awaits_durable_.empty() && awaits_durable_.back().batch == out.batch &&
                         awaits_durable_.back().ballot == ballot_ &&
                         awaits_durable_.back().last.next() == slot;
  if (continues) {
    awaits_durable_.back().last = slot;
  } else {
    awaits_durable_.push_back({out.batch, ballot_, slot, slot});
  }
}

/// What was proposed in this turn, before the disk has it. That is safe: the promise at this ballot
/// is on disk, as nobody has heard of the ballot before. After a crash this replica proposes at
/// higher ballots only, so that no other entry can ever stand in one of these slots at this one;
/// and its own votes count only in durable().
void MultiPaxosCore::flush_accepts(Effects& out) {
  if (role_ != Role::kLeader || first_unsent_ == next_slot_) return;
  send_accepts(others_, first_unsent_, Slot(next_slot_.value() - 1), ~std::size_t{0}, out);
  first_unsent_ = next_slot_;
  has_news_ = false;
  // A lease is renewed by heartbeats.
  if (config_.reads != Reads::kLease) heartbeat_due_ = out.now + config_.heartbeat_us;
}

/// Straight from the log into the frames: it is most of what a leader sends.
void MultiPaxosCore::send_accepts(ReplicaSet to, Slot first, Slot last, std::size_t bytes_max,
                                  Effects& out) {
  if (to.size() == 0) return;
  while (first <= last && bytes_max > 0) {
    Slot end = first;  // The last one in this frame.
    std::size_t bytes = log_.encoded(first).size();
    while (end < last && bytes < std::min(kAcceptBytes, bytes_max)) {
      end = end.next();
      bytes += log_.encoded(end).size();
    }
    Slice body;
    auto room = encode_with_room(Accept{ballot_, decided_up_to_, first, {}}, bytes, out, body);
    for (; first <= end; first = first.next()) {
      const Bytes encoded = log_.encoded(first);
      copy_bytes(encoded, room.data());
      room = room.subspan(encoded.size());
    }
    send_body(to, MessageType::kAccept, body, out, Release::kNow);
    bytes_max -= std::min(bytes_max, bytes);
  }
}

void MultiPaxosCore::send_heartbeat(Effects& out) {
  // To one that only tells what is decided the answers to the next entries are answer enough.
  const bool is_due = heartbeat_due_ == kNever || heartbeat_due_ <= out.now;
  has_news_ = false;
  heartbeat_due_ = out.now + config_.heartbeat_us;
  const Slot last = std::max(decided_up_to_, Slot(next_slot_.value() - 1));
  const Tick sent_at = is_due || wants_answers() ? out.now : 0;
  if (sent_at > 0) reads_.question_left(sent_at);
  send(others_, Heartbeat{ballot_, decided_up_to_, last, sent_at}, out, Release::kNow);
}

void MultiPaxosCore::on_accepted(ReplicaId from, const Accepted& message, Effects& out) {
  const bool leads = role_ == Role::kLeader && message.ballot == ballot_;
  if (!options_.learn_from_all && !paxos::owns(self_, message.ballot)) {
    return add(Count::kNotTheBallotsOwner);
  }
  if (!leads && !options_.learn_from_all) return add(Count::kStale);
  if (leads && (message.first < open_ || message.last >= next_slot_)) {
    return add(Count::kNeverAsked);
  }
  if (leads) answered_at_[from.value()] = out.now;
  heard_ = std::max(heard_, message.ballot);
  note_vote(from, message.ballot, message.first, message.last);
  advance();
}

void MultiPaxosCore::on_nack(const Nack& message, Effects& out) {
  if (!paxos::owns(self_, message.heard)) return add(Count::kNotTheBallotsOwner);
  add(Count::kNacksReceived);
  heard_ = std::max(heard_, message.promised);
  if (role_ == Role::kFollower || message.heard != ballot_) return add(Count::kStale);
  ++attempts_;
  step_down(out.now);
}

void MultiPaxosCore::resend_due(Effects& out) {
  // What was in flight the last time and still is has waited for at least as long as the interval.
  const bool stands_still = decided_up_to_ == decided_at_resend_;
  const bool waits =
      stands_still && (role_ == Role::kPreparing || decided_up_to_ < last_at_resend_);
  resends_ = waits ? std::min(resends_ + 1, kResendsMax) : 0;
  decided_at_resend_ = decided_up_to_;
  last_at_resend_ = Slot(next_slot_.value() - 1);
  resend_due_ = out.now + (config_.retransmit_us << resends_);
  if (!waits) return;
  add(Count::kRetransmissions);
  if (role_ == Role::kLeader) return resend_accepts(out);
  for (int peer = 0; peer < n_; ++peer) {
    const Report& report = reports_[static_cast<std::size_t>(peer)];
    if (replica_at(peer) == self_ || report.complete) continue;
    send(ReplicaSet::only(replica_at(peer)), Prepare{ballot_, report.next}, out);
  }
  open_if_promised(out);  // All but the disk may have been there.
}

void MultiPaxosCore::resend_accepts(Effects& out) {
  const Slot first = decided_up_to_.next();
  if (has_gap()) {
    // Whoever knew the decisions may be gone for good: others tell of their votes.
    if (resends_ >= kInVain) start_ballot(out);
    return;
  }
  if (first >= next_slot_) return;
  ReplicaSet silent = others_;
  if (!tallies_.empty() && tallies_.front().learner.ballot() == ballot_) {
    silent = silent.without(tallies_.front().learner.voted());
  }
  send_accepts(silent, first, Slot(next_slot_.value() - 1), kResendBytes, out);
}

}  // namespace epaxos::compare::multipaxos
