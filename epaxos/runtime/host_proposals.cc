// The way of a proposal in, and of every outcome but "executed" out. Nobody is told anything inside
// propose(), so that a proposer that proposes again at once cannot recurse.

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "deps/types/mutant.h"
#include "epaxos/runtime/host.h"

namespace epaxos::runtime {
namespace {

using executor::SessionTable;

constexpr const char* kSuperseded =
    "this replica was behind and took over the state of another one, which may have executed the "
    "command; send it again with the same number of a session to learn what it gave";
constexpr const char* kSpaceShort =
    "the disk of this replica is nearly full, and what is left is needed for what it has promised; "
    "free some space, bring back the replica that is away, for which old records are kept, or give "
    "it a larger disk: the state and its next image may take two fifths of it each";
constexpr const char* kStorageFull =
    "the disk of this replica is full; free space on it, or use another replica";

constexpr const char* kUndecidedShort =
    "this replica holds as many commands in memory that are not decided as it may; check that more "
    "than half of the replicas run and answer, and try again later";

/// Of static storage, as refusals want it.
const char* memory_short(const HeldMemory& memory) {
  if (!memory.behind) return kUndecidedShort;
  static const auto sentences = [] {
    std::array<std::string, kReplicasMax> all;
    for (std::uint16_t r = 0; r < kReplicasMax; ++r) {
      all[r] = "this replica holds as many commands in memory for " + to_string(ReplicaId(r)) +
               ", which is away or far behind, as it may; bring that one back, or start all with a "
               "larger limits.held_bytes_max";
    }
    return all;
  }();
  return sentences[memory.behind->value()].c_str();
}

}  // namespace

bool Host::refused(Bytes payload, Completion& done, bool writes) {
  HeldMemory memory;
  if (stopped_) {
    refuse(std::move(done), ErrorCode::kStopped, "", counters_.rejected_stopped);
  } else if (!config_.not_voting_reason.empty()) {
    refuse(std::move(done), ErrorCode::kNotVoting, "", counters_.rejected_not_voting);
  } else if (storage_full_ && needs_disk(writes)) {
    refuse(std::move(done), ErrorCode::kOutOfSpace, kStorageFull, counters_.rejected_storage_full);
  } else if (store_.space().is_short() && needs_disk(writes)) {
    refuse(std::move(done), ErrorCode::kOutOfSpace, kSpaceShort, counters_.rejected_storage_full);
  } else if (memory = core_.held_memory(); memory.is_short()) {
    refuse(std::move(done), ErrorCode::kOverloaded, memory_short(memory),
           counters_.rejected_memory_short);
  } else if (payload.size() > kPayloadBytesMax) {
    refuse(std::move(done), ErrorCode::kTooLarge,
           "the command exceeds 256 KiB; split it into several commands",
           counters_.rejected_too_large);
  } else if (std::max(pending_.size(), proposals_.size()) >= config_.pending_max) {
    refuse(std::move(done), ErrorCode::kOverloaded,
           "too many proposals of this replica have no outcome yet; try again later",
           counters_.rejected_overloaded);
  } else {
    return false;
  }
  return true;
}

CommandId Host::propose(Bytes payload, const Footprint& footprint, Tick deadline, Completion done,
                        const SessionRequest& request) {
  if (request.id.session != 0 && footprint.writes()) {
    return propose_in_session(payload, footprint, deadline, std::move(done), request);
  }
  if (refused(payload, done, footprint.writes())) return {};
  if (mutant(Mutant::kLocalReads) && !footprint.writes()) {
    const CommandId id{session_, pending_.add(kNever, {})};
    pending_.take(id.number);
    answered_.push_back({std::move(done), *machine_.query(payload)});
    return id;
  }
  const CommandId id{session_, pending_.add(deadline, std::move(done))};
  enqueue({id, 0, !footprint.writes(), payload}, footprint, id.number);
  return id;
}

void Host::enqueue(const Command& command, const Footprint& footprint, std::uint64_t ticket) {
  proposals_.push_back({command, footprint});  // Its payload is set before the core sees it.
  queued_.push_back({payloads_.size(), ticket});
  payloads_.insert(payloads_.end(), command.payload.begin(), command.payload.end());
}

void Host::give_proposals() {
  if (proposals_.empty()) return;
  if (pending_.next_deadline() <= now_) expire_deadlines();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < proposals_.size(); ++i) {
    Command& command = proposals_[i].command;
    if (!is_wanted(command.id, queued_[i].ticket)) continue;  // Its deadline has passed.
    if (storage_full_ && needs_disk(!command.reads_only)) {
      refuse_queued(command.id, queued_[i].ticket);
      continue;
    }
    command.payload = Bytes(payloads_).subspan(queued_[i].payload_offset, command.payload.size());
    if (kept != i) proposals_[kept] = std::move(proposals_[i]);
    ++kept;
  }
  proposals_.resize(kept);
  if (!proposals_.empty()) core_.propose(proposals_, *effects_);
  proposals_.clear();
  queued_.clear();
  payloads_.clear();
}

bool Host::is_wanted(CommandId id, std::uint64_t ticket) {
  return is_client_session(id.session) ? calls_.give(id) : pending_.contains(ticket);
}

void Host::refuse_queued(CommandId id, std::uint64_t ticket) {
  SessionCalls::Tickets tickets{ticket};
  if (is_client_session(id.session)) tickets = calls_.end(id);
  for (const std::uint64_t each : tickets) {
    refuse(pending_.take(each), ErrorCode::kOutOfSpace, kStorageFull,
           counters_.rejected_storage_full);
  }
}

/// Whether the core never got it.
bool Host::is_queued(std::uint64_t ticket) const {
  const CommandId request = pending_.request_of(ticket);
  if (request.session != 0) return !calls_.is_given(request);
  // Numbers ascend, and only the proposals of this turn are still here.
  return !queued_.empty() && ticket >= queued_.front().ticket;
}

Completion Host::take(std::uint64_t ticket) {
  const CommandId request = pending_.request_of(ticket);
  if (request.session != 0) calls_.leave(request, ticket);
  return pending_.take(ticket);
}

CommandId Host::refuse(Completion done, ErrorCode code, const char* reason,
                       std::uint64_t& counter) {
  ++counter;
  refused_.push_back({std::move(done), code, reason});
  return {};
}

void Host::tell_refused() {
  // Those who propose again right away are answered in the next turn.
  for (const Answered& answered : std::exchange(answered_, {})) {
    answered.done({.kind = OutcomeKind::kExecuted,
                   .reply = answered.reply,
                   .code = {},
                   .reason = {},
                   .execution_wait_us = 0});
  }
  for (Refused& refused : std::exchange(refused_, {})) {
    std::string_view reason = refused.reason;
    if (refused.code == ErrorCode::kStopped) reason = stop_reason_;
    if (refused.code == ErrorCode::kNotVoting) reason = config_.not_voting_reason;
    tell(refused.done, OutcomeKind::kRejected, refused.code, reason);
  }
}

void Host::tell_rejections(const Effects& turn) {
  for (const RejectionEffect& rejection : turn.rejections) {
    const CommandId id = rejection.command;
    SessionCalls::Tickets tickets;
    if (is_client_session(id.session)) {
      tickets = calls_.end(id);
    } else if (is_own(id)) {
      tickets.push_back(id.number);
    }
    for (const std::uint64_t ticket : tickets) {
      const Completion done = pending_.take(ticket);
      if (!done) continue;  // Its deadline has passed.
      ++counters_.rejected_by_core;
      const bool is_decided = mutant(Mutant::kReplyAtCommit) && *rejection.reason == '\0';
      tell(done, is_decided ? OutcomeKind::kExecuted : OutcomeKind::kRejected, rejection.code,
           rejection.reason);
      if (stopped_) return;
    }
  }
}

/// The image of a peer has executed them. The table that came with it knows what requests of
/// sessions gave; of others nobody here will ever know.
void Host::tell_superseded(const Effects& turn) {
  for (const CommandId id : turn.superseded) {
    if (is_client_session(id.session)) {
      const SessionTable::Admission known = sessions_.look_up(id);
      if (known.verdict == SessionTable::Verdict::kRepeated) {
        tell_call(id, known.reply, now_);
      } else if (calls_.is_given(id)) {
        ++counters_.unknown_superseded;
        end_call(id, OutcomeKind::kUnknown, ErrorCode::kUnavailable, kSuperseded);
      }
    } else if (is_own(id)) {
      if (const Completion done = pending_.take(id.number)) {
        ++counters_.unknown_superseded;
        tell(done, OutcomeKind::kUnknown, ErrorCode::kUnavailable, kSuperseded);
      }
    }
    if (stopped_) return;
  }
}

void Host::tell(const Completion& done, OutcomeKind kind, ErrorCode code,
                std::string_view reason) const {
  done({.kind = kind, .reply = {}, .code = code, .reason = reason});
}

void Host::expire_deadlines() {
  // All are taken before anybody is told: whoever is told may propose with a deadline in the past.
  expired_.clear();
  while (pending_.next_deadline() <= now_) expired_.push_back(pending_.pop_deadline());
  for (const std::uint64_t number : expired_) {
    const bool queued = is_queued(number);
    const Completion done = take(number);
    if (!done) continue;
    if (queued) {
      ++counters_.rejected_deadline;
      tell(done, OutcomeKind::kRejected, ErrorCode::kDeadline,
           "the deadline passed before the command was proposed; it was not executed");
    } else {
      ++counters_.unknown_deadline;
      tell(done, OutcomeKind::kUnknown, ErrorCode::kDeadline,
           "the deadline passed before the command was executed; it may still be");
    }
  }
  pending_.trim_deadlines();
}

void Host::stop(std::string_view reason) {
  if (stopped_) return;
  stopped_ = true;
  stop_reason_ = reason;
  gate_.drop_all();
  // All are taken before anybody is told: whoever is told may ask for anything.
  std::vector<std::pair<Completion, bool>> all;
  for (const std::uint64_t number : pending_.numbers()) {
    const bool queued = is_queued(number);
    all.emplace_back(pending_.take(number), queued);
  }
  calls_.clear();
  for (const auto& [done, queued] : all) {
    ++(queued ? counters_.rejected_stopped : counters_.unknown_stopped);
    tell(done, queued ? OutcomeKind::kRejected : OutcomeKind::kUnknown, ErrorCode::kStopped,
         stop_reason_);
  }
  tell_refused();
}

}  // namespace epaxos::runtime
