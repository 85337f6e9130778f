// Images of the state take the place of the prefix of the log: this replica's own ones, so that
// records may go, and the one of the leader when it has dropped what is missing here, or is so far
// ahead that an image is the shorter way. Source: Raft paper, 7; Ongaro's thesis, chapter 5.

#include <algorithm>

#include "compare/log/image_lag.h"
#include "compare/raft/core.h"

namespace epaxos::compare::raft {
namespace {

/// What an entry is worth: an image that is larger than what is missing is not asked for.
constexpr std::uint64_t kBytesOfEntry = 256;
constexpr unsigned kWishBackoff = 5;

}  // namespace

// --- What is still there -----------------------------------------------------------------------

/// Nothing: it is not known here any more, or not yet.
std::optional<Term> RaftCore::term_at(LogIndex index) const {
  if (index == LogIndex()) return Term();
  if (index > last_log_index()) return std::nullopt;
  if (index >= log_.base()) return Term(log_.round(index));
  if (index == image_index_) return image_term_;
  std::vector<std::byte> encoded;
  if (!entry_at(index, encoded)) return std::nullopt;
  return Term(round_of(encoded));
}

/// Of what is not in memory.
bool RaftCore::entry_at(LogIndex index, std::vector<std::byte>& encoded) const {
  return index > erased_ && records_.read(index, encoded);
}

/// The first index that a follower can be sent, together with the term before it.
LogIndex RaftCore::first_servable() const {
  const LogIndex gone = records_.can_read() ? erased_ : std::max(erased_, log_.base());
  return term_at(gone) ? gone.next() : gone.next().next();
}

// --- What goes ---------------------------------------------------------------------------------

void RaftCore::drop_some(Effects& out) {
  if (role_ == Role::kLeader) {
    LogIndex all = commit_index_;
    const ReplicaSet needed = members().everybody().without(self_);
    for (ReplicaSet left = needed; left.first(); left = left.without(*left.first())) {
      all = std::min(all, peers_[left.first()->value()].match_index);
    }
    floor_ = std::max(floor_, all);
  }
  configurations_.settle(executor_.applied_up_to());
  forget_memory(out);
  more_to_drop_ = false;
  if (storage_full_) return;
  // The next start needs what its image does not cover; and who is not far behind needs no image.
  const std::uint64_t last = last_log_index().value();
  const LogIndex kept_for_others(last - std::min(last, config_.image_lag_instances));
  const LogIndex erasable =
      std::min({image_index_, executor_.applied_up_to(), std::max(floor_, kept_for_others)});
  const LogIndex erased = records_.erase_some(erased_, erasable, out);
  counters_.add(Count::kDroppedEntries, erased.value() - erased_.value());
  erased_ = erased;
  more_to_drop_ = erased < erasable;
}

/// What all members have, and what is executed and can be read back, needs no memory.
void RaftCore::forget_memory(const Effects& turn) {
  const LogIndex applied = executor_.applied_up_to();
  LogIndex limit = std::max(floor_, log_.surplus(applied, config_.held_executed_max));
  limit = std::min(limit, applied);
  if (limit > log_.base())
    log_.drop_through(std::max(std::min(floor_, applied), records_.forgettable(limit, turn)));
}

// --- Images ------------------------------------------------------------------------------------

void RaftCore::coverage(std::vector<std::byte>& out) const {
  const LogIndex applied = executor_.applied_up_to();
  const std::optional<Term> term = term_at(applied);
  check(term.has_value(), "the term of the last applied entry is not known");
  LogCoverage covered{applied, term->value(), configuration_, executor_.applied_origins(),
                      configurations_.at(applied)};
  if (mutant(Mutant::kRaftImageOfCurrentTerm)) covered.round = current_term_.value();
  if (mutant(Mutant::kRaftImageWithoutOrigins)) covered.executed = {};
  if (mutant(Mutant::kRaftImageWithoutMembers)) {
    covered.members = {ReplicaSet::all(n_).without(config_.spares), {}, {}};
  }
  encode(covered, out);
}

void RaftCore::image_durable(Bytes bytes, Effects&) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  check(coverage.has_value(), "a coverage of this replica does not decode");
  image_index_ = coverage->slot;
  image_term_ = Term(coverage->round);
}

Result<bool> RaftCore::coverage_for(ReplicaId, Bytes bytes, std::vector<std::byte>& out) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  if (!coverage) return fail(coverage.error());
  if (coverage->slot.next() < first_servable()) {
    return fail(ErrorCode::kUnavailable, "the image is older than what the log goes on from");
  }
  out.assign(bytes.begin(), bytes.end());
  return true;
}

Result<void> RaftCore::may_install(Bytes bytes) const {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  if (!coverage) return fail(coverage.error());
  if (coverage->configuration != configuration_) {
    return fail(ErrorCode::kInvalidArgument, "the image belongs to another membership");
  }
  if (coverage->members.voters.size() == 0) {
    return fail(ErrorCode::kMalformed, "the image does not say who belongs to the group");
  }
  if (coverage->round < 1 || coverage->round > kTermMax) {
    return fail(ErrorCode::kMalformed, "the image ends in a term that cannot be");
  }
  if (coverage->slot <= executor_.executed_up_to()) {
    return fail(ErrorCode::kInvalidArgument, "the image holds nothing that is new here");
  }
  // What is committed here, and what a leader holds, every later log agrees with.
  const bool must_agree = role_ == Role::kLeader || coverage->slot <= commit_index_;
  if (must_agree && term_at(coverage->slot) != Term(coverage->round)) {
    return fail(ErrorCode::kInvalidArgument, "the image contradicts the log");
  }
  return {};
}

/// "If existing log entry has same index and term as snapshot's last included entry, retain log
/// entries following it. Discard the entire log" (Figure 13, InstallSnapshot RPC).
void RaftCore::install(Bytes bytes, Effects& out) {
  const Result<LogCoverage> coverage = decode_log_coverage(bytes);
  check(coverage.has_value(), "an image was installed that was never asked about");
  counters_.add(Count::kImagesInstalled);
  const LogIndex index = coverage->slot;
  const Term term(coverage->round);
  if (term > current_term_) become_follower(term, out);
  const bool keeps = mutant(Mutant::kRaftKeepsSuffix) && index <= last_log_index();
  if (term_at(index) == term || keeps) {
    counters_.add(Count::kSuffixesKept);
    log_.drop_through(index);
  } else {
    check(role_ != Role::kLeader, "a leader lacks what is committed");
    for (LogIndex gone = index.next(); gone <= last_log_index(); gone = gone.next()) {
      records_.erase(gone, out);
    }
    records_.erase_through(index, out);
    log_.reset(index, term.value());
    configurations_.drop_from(index.next());
    for (Appended& each : appended_) each.index = std::min(each.index, index);
    durable_index_ = index;
    erased_ = index;
    ack_.reset();
  }
  durable_index_ = std::max(durable_index_, index);
  image_index_ = index;
  image_term_ = term;
  commit_index_ = std::max(commit_index_, index);
  configurations_.restart(index, coverage->members);
  end_superseded(coverage->executed, out);
  executor_.install(index, coverage->executed);
  must_have_image_ = false;
}

/// Own commands that the image has executed: what they gave is not known here.
void RaftCore::end_superseded(const OriginTable& executed, Effects& out) {
  const OriginTable::Row& own = executed[self_];
  if (own.life != own_.life()) return;
  std::vector<Command> commands;
  own_.executed(own.sequence, out.now, [&](Bytes block) {
    commands.clear();
    decode_block_commands(block, commands);
    for (const Command& command : commands) out.superseded.push_back(command.id);
  });
}

/// Asks the leader for its image when there is no other way, or no shorter one.
void RaftCore::wish_for_image(Effects& out) {
  const std::uint64_t missing =
      leader_commit_.value() - std::min(leader_commit_, commit_index_).value();
  if (!must_have_image_ && missing < image_lag(config_, executor_.executed_up_to())) {
    image_wishes_ = 0;
    return;
  }
  if (!leader_ || *leader_ == self_ || image_wish_due_ > out.now) return;
  out.image_wish = {*leader_, must_have_image_ ? ~std::uint64_t{0} : missing * kBytesOfEntry};
  ++image_wishes_;
  image_wish_due_ = out.now + (config_.question_us << std::min(image_wishes_, kWishBackoff));
}

}  // namespace epaxos::compare::raft
