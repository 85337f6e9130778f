#include "compare/raft/simulate_raft_checker.h"

#include <algorithm>
#include <cstring>

#include "compare/log/log_coverage.h"
#include "epaxos/programs/simulate_disk_view.h"
#include "net/bundle.h"

namespace epaxos::compare::raft {
namespace {

constexpr std::size_t kViolationsMax = 10;

std::uint64_t hash_of(Bytes bytes) {
  std::uint64_t hash = mix64(bytes.size());
  for (std::size_t at = 0; at < bytes.size(); at += sizeof hash) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    hash = mix64(hash ^ word);
  }
  return hash;
}

std::string entry_name(std::uint64_t index) {
  return "entry " + std::to_string(index);
}

/// In words of its own, so that an error in Members is seen.
bool has_majorities(const Members& members, ReplicaSet who) {
  for (const ReplicaSet voters : {members.voters, members.old_voters}) {
    int votes = 0;
    for (ReplicaSet left = voters; left.first(); left = left.without(*left.first())) {
      if (who.contains(*left.first())) ++votes;
    }
    if (voters.size() > 0 && 2 * votes <= voters.size()) return false;
  }
  return true;
}

}  // namespace

RaftChecker::RaftChecker(sim::Cluster& cluster)
    : cluster_(cluster),
      n_(cluster.size()),
      seen_(static_cast<std::size_t>(n_)),
      told_(static_cast<std::size_t>(n_)),
      forgetful_(static_cast<std::size_t>(n_)),
      members_{{0, {ReplicaSet::all(n_).without(cluster.spares()), {}, {}}}} {
  cluster.after_event([this] { look(); });
}

void RaftChecker::expect(bool holds, const std::string& what) {
  if (!holds && violations_.size() < kViolationsMax) violations_.push_back(what);
}

// --- The properties ----------------------------------------------------------------------------

void RaftChecker::look() {
  for (const ReplicaId replica : cluster_.replicas()) {
    if (!cluster_.alive(replica)) continue;
    look_at(replica, dynamic_cast<const RaftCore&>(cluster_.core(replica)));
  }
}

void RaftChecker::look_at(ReplicaId replica, const RaftCore& core) {
  Seen& seen = seen_[replica.value()];
  const std::uint64_t term = core.current_term().value();
  const std::uint64_t last = core.log().last().value();
  const std::uint64_t last_term = core.log().round(core.log().last());
  const std::uint64_t overwritten = core.counters()[Count::kEntriesOverwritten];
  const bool leads = core.role() == Role::kLeader;
  const bool led_before = seen.leads && seen.term == term;
  const std::string who = to_string(replica);
  expect(term >= seen.term, who + " goes back to an earlier term");
  if (leads) {
    const auto [leader, is_new] = leaders_.try_emplace(term, replica);
    expect(leader->second == replica,
           who + " and " + to_string(leader->second) + " lead in the same term (Election Safety)");
    expect(!led_before || (last >= seen.last && overwritten == seen.overwritten),
           who + " leads and takes entries back (Leader Append-Only)");
    if (!led_before) expect_completeness(core);
    if (!led_before) expect_elected(core);
  }
  if (last != seen.last || last_term != seen.last_term || overwritten != seen.overwritten) {
    const bool appended = overwritten == seen.overwritten && last > seen.last && seen.last > 0;
    expect_log_matching(core, appended ? seen.last + 1 : seen.commit + 1);
  }
  if (core.commit_index().value() != seen.commit) {
    const std::uint64_t before = seen.commit;
    expect_committed(core, seen);
    note_committed_members(core, before);
    expect_members(core);
    if (leads) expect_quorum_holds(core, LogIndex(seen.last));
    if (leads && led_before) expect_own_term(core);
  }
  seen.last = last;
  seen.last_term = last_term;
  seen.overwritten = overwritten;
  seen.term = term;
  seen.leads = leads;
}

/// "If two logs contain an entry with the same index and term, then the logs are identical in all
/// entries up through the given index": each entry is the same, and so is the term before it.
void RaftChecker::expect_log_matching(const RaftCore& core, std::uint64_t from) {
  const std::uint64_t first = std::max(from, core.log().base().value() + 1);
  for (std::uint64_t index = first; index <= core.log().last().value(); ++index) {
    const Bytes entry = core.log().encoded(LogIndex(index));
    Known known{hash_of(entry), core.log().round(LogIndex(index - 1))};
    Members members;
    if (members_of(entry, members)) known.members = members;
    const auto [at, is_new] = entries_.try_emplace({index, round_of(entry)}, known);
    expect(at->second == known, entry_name(index) + " of term " + std::to_string(round_of(entry)) +
                                    " differs between two logs (Log Matching)");
  }
}

/// "If a server has applied a log entry at a given index to its state machine, no other server will
/// ever apply a different log entry for the same index."
void RaftChecker::expect_committed(const RaftCore& core, Seen& seen) {
  const std::uint64_t commit = core.commit_index().value();
  expect(commit >= seen.commit, "a commit index goes back");
  for (std::uint64_t index = std::max(seen.commit, core.log().base().value()) + 1; index <= commit;
       ++index) {
    const Bytes entry = core.log().encoded(LogIndex(index));
    const Committed now{round_of(entry), hash_of(entry), core.current_term().value()};
    const auto [at, is_new] = committed_.try_emplace(index, now);
    expect(at->second.term == now.term && at->second.hash == now.hash,
           "two entries are committed at " + std::to_string(index) + " (State Machine Safety)");
  }
  seen.commit = commit;
}

/// "If a log entry is committed in a given term, then that entry will be present in the logs of the
/// leaders for all higher-numbered terms."
void RaftChecker::expect_completeness(const RaftCore& core) {
  const std::uint64_t term = core.current_term().value();
  for (auto each = committed_.upper_bound(core.log().base().value()); each != committed_.end();
       ++each) {
    const auto& [index, committed] = *each;
    if (committed.known_in >= term) continue;
    const bool holds =
        index <= core.log().last().value() && core.log().round(LogIndex(index)) == committed.term;
    expect(holds, "the leader of term " + std::to_string(term) + " lacks committed " +
                      entry_name(index) + " (Leader Completeness)");
  }
}

// --- Members -----------------------------------------------------------------------------------

/// The term of a committed entry; nothing: it has left the log before anybody could look.
std::optional<std::uint64_t> RaftChecker::committed_term(const RaftCore& core,
                                                         std::uint64_t index) const {
  if (core.log().holds(LogIndex(index))) return core.log().round(LogIndex(index));
  const auto found = committed_.find(index);
  if (found != committed_.end()) return found->second.term;
  const auto first = entries_.lower_bound({index, 0});
  const auto last = entries_.lower_bound({index + 1, 0});
  if (first == last || std::next(first) != last) return std::nullopt;
  return first->first.second;
}

void RaftChecker::note_committed_members(const RaftCore& core, std::uint64_t after) {
  const std::uint64_t commit = core.commit_index().value();
  for (auto each = entries_.lower_bound({after + 1, 0});
       each != entries_.end() && each->first.first <= commit; ++each) {
    if (!each->second.members) continue;
    const std::optional<std::uint64_t> term = committed_term(core, each->first.first);
    if (!term) members_are_known_ = false;
    if (term == each->first.second) members_[each->first.first] = *each->second.members;
  }
}

/// What a replica takes for the members where its commit index stands is what the entries say.
void RaftChecker::expect_members(const RaftCore& core) {
  const LogIndex commit = core.commit_index();
  const Members& committed = std::prev(members_.upper_bound(commit.value()))->second;
  expect(!members_are_known_ || core.configurations().at(commit) == committed,
         to_string(core.self()) + " takes others for the members than the log says");
}

/// Section 6: "agreement (for elections and entry commitment) requires separate majorities from
/// both the old and new configurations".
void RaftChecker::expect_elected(const RaftCore& core) {
  ReplicaSet voted;
  for (const ReplicaId replica : cluster_.replicas()) {
    disk_ = &cluster_.disk(replica);
    const HardState state = durable_state().value_or(HardState());
    const bool has_voted =
        state.current_term > core.current_term() ||
        (state.current_term == core.current_term() && state.voted_for == core.self());
    if (has_voted || forgetful_[replica.value()] || disk_->was_set_back()) voted.add(replica);
  }
  expect(has_majorities(core.configurations().latest(), voted),
         to_string(core.self()) + " leads without the votes of its members");
}

/// `counted_up_to`: where the log ended when the turn began. What the turn itself has added about
/// members came after it had counted.
void RaftChecker::expect_quorum_holds(const RaftCore& core, LogIndex counted_up_to) {
  const std::uint64_t index = core.commit_index().value();
  const std::optional<std::uint64_t> term = committed_term(core, index);
  if (!term) return;
  ReplicaSet holding;
  for (const ReplicaId replica : cluster_.replicas()) {
    if (holds_durably(replica, index, *term)) holding.add(replica);
  }
  expect(has_majorities(core.configurations().at(counted_up_to), holding),
         to_string(core.self()) + " commits " + entry_name(index) +
             " which no majority of its members has");
}

/// Section 5.4.2: what a leader commits because a majority has it ends with an entry of its own
/// term. An earlier one may still be overwritten, whoever has it (Figure 8).
void RaftChecker::expect_own_term(const RaftCore& core) {
  const std::uint64_t index = core.commit_index().value();
  const std::optional<std::uint64_t> term = committed_term(core, index);
  expect(!term || *term == core.current_term().value(),
         to_string(core.self()) + " commits " + entry_name(index) +
             " of an earlier term by counting (Figure 8)");
}

bool RaftChecker::holds_durably(ReplicaId replica, std::uint64_t index, std::uint64_t term) {
  disk_ = &cluster_.disk(replica);
  if (forgetful_[replica.value()] || disk_->was_set_back()) return true;
  const auto* const value = disk_->find({static_cast<std::uint8_t>(RecordKind::kEntry), GroupId(),
                                         Epoch(), ReplicaId(), Slot(index)});
  if (value != nullptr) return round_of(*value) == term;
  const std::vector<std::byte> covered = durable_coverage_bytes(*disk_);
  return !covered.empty() && decode_log_coverage(covered)->slot.value() >= index;
}

// --- Words and disks ---------------------------------------------------------------------------

std::optional<HardState> RaftChecker::durable_state() const {
  const auto* const value = disk_->find({static_cast<std::uint8_t>(RecordKind::kHardState),
                                         GroupId(), Epoch(), ReplicaId(), Slot(1)});
  HardState state;
  if (value == nullptr) return std::nullopt;
  const AlignedBytes aligned(*value);
  if (!decode(aligned.bytes(), n_, state)) return std::nullopt;
  return state;
}

/// Where the log on the disk ends: with its last record, or with the image, if that goes further.
std::uint64_t RaftChecker::durable_last() const {
  const auto& image = disk_->image();
  std::uint64_t last = 0;
  const auto end = image.upper_bound({static_cast<std::uint8_t>(RecordKind::kEntry), GroupId(),
                                      Epoch(), ReplicaId(), Slot(~std::uint64_t{0})});
  if (end != image.begin() &&
      std::prev(end)->first.kind == static_cast<std::uint8_t>(RecordKind::kEntry)) {
    last = std::prev(end)->first.slot.value();
  }
  const std::vector<std::byte> covered = durable_coverage_bytes(*disk_);
  if (covered.empty()) return last;
  return std::max(last, decode_log_coverage(covered)->slot.value());
}

void RaftChecker::on_started(ReplicaId replica) {
  seen_[replica.value()] = {};
  disk_ = &cluster_.disk(replica);
  if (disk_->was_set_back()) forgetful_[replica.value()] = true;
  if (forgetful_[replica.value()]) return;
  const Told& told = told_[replica.value()];
  const HardState state = durable_state().value_or(HardState());
  const std::string who = to_string(replica);
  expect(state.current_term >= told.state.current_term, who + " has lost a term that it told");
  expect(state.current_term != told.state.current_term || !told.state.voted_for ||
             state.voted_for == told.state.voted_for,
         who + " has lost a vote that it told");
  expect(state.current_term != told.state.current_term || durable_last() >= told.match,
         who + " has lost entries that it told to have");
}

void RaftChecker::on_sent(ReplicaId from, ReplicaId to, Bytes bundle,
                          const sim::VirtualDisk& disk) {
  if (forgetful_[from.value()]) return;
  from_ = from;
  disk_ = &disk;
  cluster_.read_bundle(to, bundle, [&](const net::Frame& frame) { check_frame(to, frame); });
}

void RaftChecker::expect_durable(std::uint64_t term, const char* what) {
  const HardState state = durable_state().value_or(HardState());
  expect(state.current_term >= Term(term),
         to_string(from_) + " said " + what + " of a term that is not on its disk");
  HardState& told = told_[from_.value()].state;
  if (Term(term) <= told.current_term) return;
  told = {Term(term), std::nullopt};
  told_[from_.value()].match = 0;
}

void RaftChecker::expect_vote(std::uint64_t term, ReplicaId whom, const char* what) {
  expect_durable(term, what);
  const HardState state = durable_state().value_or(HardState());
  expect(state.current_term > Term(term) || state.voted_for == whom,
         to_string(from_) + " said " + what + " without its vote on disk");
  HardState& told = told_[from_.value()].state;
  if (told.current_term != Term(term)) return;
  expect(!told.voted_for || *told.voted_for == whom, to_string(from_) + " votes twice in a term");
  told.voted_for = whom;
}

void RaftChecker::check_frame(ReplicaId to, const net::Frame& frame) {
  const auto decoded = [&](auto message) {
    check(decode(frame.body, n_, message), "a message left that does not decode");
    return message;
  };
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kRequestVote: {
      const auto message = decoded(RequestVote());
      if (!message.pre_vote) expect_vote(message.term.value(), from_, "RequestVote");
      return;
    }
    case MessageType::kRequestVoteReply: {
      const auto message = decoded(RequestVoteReply());
      if (message.granted && !message.pre_vote) expect_vote(message.term.value(), to, "a vote");
      if (!message.granted) expect_durable(message.term.value(), "a refusal");
      return;
    }
    case MessageType::kAppendEntries:
      return expect_vote(decoded(AppendEntries()).term.value(), from_, "AppendEntries");
    case MessageType::kAppendEntriesReply: {
      const auto message = decoded(AppendEntriesReply());
      expect_durable(message.term.value(), "AppendEntriesReply");
      if (!message.success) return;
      // Entries of a later term may stand in their place already, when that answer is on its way.
      const HardState state = durable_state().value_or(HardState());
      expect(state.current_term > message.term || durable_last() >= message.match_index.value(),
             to_string(from_) + " said to have entries that are not on its disk");
      Told& told = told_[from_.value()];
      if (told.state.current_term == message.term) {
        told.match = std::max(told.match, message.match_index.value());
      }
      return;
    }
    default:
      return;  // What promises nothing.
  }
}

}  // namespace epaxos::compare::raft
