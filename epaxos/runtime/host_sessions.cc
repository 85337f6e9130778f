// Requests that take effect once: the way of a session's commands through a host, and the care for
// sessions that nobody uses any more. Source: protocol.md 16.

#include <algorithm>
#include <utility>

#include "epaxos/runtime/host.h"

namespace epaxos::runtime {
namespace {

using executor::SessionTable;

constexpr std::size_t kSessionsMax = std::size_t{1} << 20;  // Known here; then none is opened here.
constexpr std::size_t kCareMax = 256;             // Proposals of one look at the sessions.
constexpr std::size_t kCareLooksMax = 16 * 1024;  // Sessions that one look meets.
constexpr Tick kCareMaxUs = 60'000'000;           // Between two looks.
constexpr Tick kCareBusyUs = 1'000'000;           // After one that found a lot to do.

constexpr const char* kStale =
    "the client has acknowledged this number of its session before, so it was not executed again";
constexpr const char* kBeyondWindow =
    "the session has 1,024 requests, or 16 MB of answers, that are not acknowledged, and the "
    "command "
    "was not executed; acknowledge some, or open another session";
constexpr const char* kTooLarge =
    "the request was executed before, and its answer was too large to be kept; ask for less at "
    "once";
constexpr const char* kUnknown =
    "the session is not open, or has expired, and the command was not executed; open a new session";
constexpr const char* kTooLate =
    "sessions that were opened later have expired, so this one was not opened; if this comes "
    "again, "
    "the clock of the replica is far behind those of the others: set it, or use another replica";

}  // namespace

std::uint64_t Host::clock_us() const {
  return config_.wall_clock_us ? config_.wall_clock_us() : now_;
}

// --- In ----------------------------------------------------------------------------------------

CommandId Host::propose_in_session(Bytes payload, const Footprint& footprint, Tick deadline,
                                   Completion done, const SessionRequest& request) {
  const CommandId id = request.id;
  if (!is_client_session(id.session) || id.number == 0) {
    return refuse(std::move(done), ErrorCode::kInvalidArgument,
                  "no client has such a session, or the number of its request is 0; sessions have "
                  "63 bits and are not 0, numbers start at 1",
                  counters_.rejected_bad_session);
  }
  // What the table says here it says everywhere, sooner or later; and it says it for ever, once a
  // table that came with the image of a peer cannot be lost any more. Until then requests wait.
  const bool may_tell = !stopped_ && images_.state_is_durable();
  const SessionTable::Admission known = sessions_.look_up(id);
  if (known.verdict == SessionTable::Verdict::kRepeated && may_tell) {
    ++counters_.session_duplicates;
    answered_.push_back({std::move(done), {known.reply.begin(), known.reply.end()}});
    return {};
  }
  if (known.verdict == SessionTable::Verdict::kStale && may_tell) {
    return refuse(std::move(done), ErrorCode::kInvalidArgument, kStale, counters_.session_stale);
  }
  if (refused(payload, done)) return {};
  const std::uint64_t ticket = pending_.add(deadline, std::move(done), id);
  if (!calls_.join(id, ticket)) return id;  // It is under way.
  Footprint touched = footprint;
  touched.add(session_access(id.session));
  enqueue({id, request.acknowledged_up_to, false, payload}, touched, ticket);
  return id;
}

CommandId Host::control_session(SessionOperation operation, std::uint64_t session, Tick deadline,
                                Completion done) {
  if (!is_client_session(session) || operation == SessionOperation::kExpire) {
    return refuse(std::move(done), ErrorCode::kInvalidArgument,
                  "no client has such a session; sessions have 63 bits and are not 0",
                  counters_.rejected_bad_session);
  }
  if (operation == SessionOperation::kOpen && sessions_.size() >= kSessionsMax) {
    return refuse(std::move(done), ErrorCode::kOverloaded,
                  "this replica knows a million sessions; use one for many requests, and try again "
                  "when some have expired",
                  counters_.rejected_overloaded);
  }
  if (operation == SessionOperation::kOpen) {
    openings_.insert(session);
    done = [this, session, told = std::move(done)](const Outcome& outcome) {
      openings_.extract(session);
      told(outcome);
    };
  }
  return propose_control({operation, session, clock_us(), 0}, deadline, std::move(done));
}

CommandId Host::propose_control(const SessionControl& control, Tick deadline, Completion done) {
  const std::vector<std::byte> payload = encode_session_control(control);
  if (refused(payload, done)) return {};
  const CommandId id{session_ | kControlSessionBit, pending_.add(deadline, std::move(done))};
  enqueue({id, 0, false, payload}, session_footprint(control), id.number);
  return id;
}

// --- Out ---------------------------------------------------------------------------------------

/// Asks the table in the final order, and lets the machine run what is to run in batches. How they
/// are cut makes no difference.
void Host::apply_with_sessions() {
  std::size_t own = 0;
  for (std::size_t i = 0; i < commands_.size() && !stopped_; ++i) {
    const bool is_own = own < own_.size() && own_[own].index == i;
    const Own what = is_own ? own_[own++] : Own{i, now_, false};
    const Command& command = commands_[i];
    if (is_session_control(command.id.session)) {
      apply_control(command, what.committed_at);
    } else if (is_session_request(command)) {
      apply_in_session(command, what);
    } else {
      to_run_.push_back(command);
      to_run_committed_at_.push_back(what.committed_at);
    }
  }
  run_what_waits();
  if (next_care_ == kNever && !sessions_.empty()) next_care_ = now_;
}

void Host::run_what_waits() {
  if (to_run_.empty() || stopped_) return;
  run(to_run_);
  // All is stored before anybody is told: whoever is told may ask at once.
  for (std::size_t i = 0; i < to_run_.size(); ++i) {
    if (is_session_request(to_run_[i])) sessions_.store(to_run_[i].id, replies_[i]);
  }
  for (std::size_t i = 0; i < to_run_.size() && !stopped_; ++i) {
    const CommandId id = to_run_[i].id;
    if (is_session_request(to_run_[i])) {
      tell_call(id, replies_[i], to_run_committed_at_[i]);
    } else if (id.session == session_) {
      tell_own(id, replies_[i], to_run_committed_at_[i]);
    }
  }
  to_run_.clear();
  to_run_committed_at_.clear();
}

void Host::apply_in_session(const Command& command, const Own& own) {
  using Verdict = SessionTable::Verdict;
  SessionTable::Admission admission = sessions_.admit(command);
  if (admission.verdict == Verdict::kRunning) {
    run_what_waits();
    if (stopped_) return;
    admission = sessions_.admit(command);
  }
  // What was proposed elsewhere too, or here in an earlier life, may find no room now, and some
  // later, when it comes from here: only what this life has proposed says that the command was not
  // executed.
  switch (admission.verdict) {
    case Verdict::kRun:
      to_run_.push_back(command);
      to_run_committed_at_.push_back(own.committed_at);
      return;
    case Verdict::kRepeated:
      ++counters_.session_duplicates;
      return tell_call(command.id, admission.reply, own.committed_at);
    case Verdict::kTooLarge:
      ++counters_.session_duplicates;
      return end_call(command.id, OutcomeKind::kUnknown, ErrorCode::kTooLarge, kTooLarge);
    case Verdict::kStale:
      ++counters_.session_stale;
      return reject_call(command.id, ErrorCode::kInvalidArgument, kStale);
    case Verdict::kBeyondWindow:
      ++counters_.session_beyond_window;
      if (!own.proposed_here) return;
      return reject_call(command.id, ErrorCode::kOverloaded, kBeyondWindow);
    case Verdict::kUnknownSession:
      ++counters_.session_unknown;
      if (!own.proposed_here) return;
      if (openings_.contains(command.id.session)) return propose_behind_opening(command);
      return reject_call(command.id, ErrorCode::kUnknownSession, kUnknown);
    case Verdict::kRunning:
      check(false, "what was to run has run, and is still to run");
  }
}

/// An opening that was decided Nop is proposed again, behind the commands that were to follow it.
/// They were not executed, so they follow it once more.
void Host::propose_behind_opening(const Command& command) {
  if (!calls_.is_given(command.id)) return;
  Result<Footprint> footprint = machine_.admit(command.payload);
  if (!footprint) return reject_call(command.id, footprint.error().code, footprint.error().message);
  footprint->add(session_access(command.id.session));
  enqueue(command, *footprint, pending_.next_number());
}

void Host::apply_control(const Command& command, Tick committed_at) {
  using Verdict = SessionTable::ControlVerdict;
  run_what_waits();
  if (stopped_) return;
  const Result<SessionControl> control = decode_session_control(command.payload);
  Verdict verdict = Verdict::kUnknownSession;
  if (control) {
    verdict = sessions_.control(*control);
  } else {
    ++counters_.session_malformed;
  }
  if (verdict == Verdict::kExpired) ++counters_.session_expired;
  if (!is_own(command.id)) return;
  const Completion done = pending_.take(command.id.number);
  if (!done) {
    ++counters_.commands_late;
  } else if (verdict == Verdict::kUnknownSession) {
    tell(done, OutcomeKind::kRejected, ErrorCode::kUnknownSession, kUnknown);
  } else if (verdict == Verdict::kTooLate) {
    tell(done, OutcomeKind::kRejected, ErrorCode::kUnavailable, kTooLate);
  } else {
    tell_executed(done, {}, committed_at);
  }
}

void Host::tell_call(CommandId id, Bytes reply, Tick committed_at) {
  const SessionCalls::Tickets tickets = calls_.end(id);
  if (tickets.empty()) return;
  // Whoever is told may change the table, where the reply may lie.
  const std::vector<std::byte> copy(reply.begin(), reply.end());
  for (const std::uint64_t ticket : tickets) {
    if (const Completion done = pending_.take(ticket)) tell_executed(done, copy, committed_at);
    if (stopped_) return;
  }
}

void Host::reject_call(CommandId id, ErrorCode code, std::string_view reason) {
  end_call(id, OutcomeKind::kRejected, code, reason);
}

void Host::end_call(CommandId id, OutcomeKind kind, ErrorCode code, std::string_view reason) {
  for (const std::uint64_t ticket : calls_.end(id)) {
    if (const Completion done = pending_.take(ticket)) tell(done, kind, code, reason);
    if (stopped_) return;
  }
}

// --- Care --------------------------------------------------------------------------------------

/// Looks for sessions that nobody uses any more, and proposes to forget them; and keeps those that
/// are in use. Nothing is decided here: what a command says about time, all replicas read alike.
void Host::care_for_sessions() {
  const Tick pause = std::clamp<Tick>(config_.session_ttl_us / 8, 1'000, kCareMaxUs);
  next_care_ = sessions_.empty() ? kNever : now_ + pause;
  // One look at a time, so that a replica without a quorum does not pile them up.
  if (care_pending_ > 0 || storage_full_ || !config_.not_voting_reason.empty()) return;
  const std::uint64_t clock = clock_us();
  sessions_.look_at_some(care_cursor_, kCareLooksMax,
                         [&](const SessionTable::Look& session) { care_for(session, clock); });
  if (care_pending_ >= kCareMax) next_care_ = now_ + std::min(pause, kCareBusyUs);
}

void Host::care_for(const SessionTable::Look& session, std::uint64_t clock) {
  if (care_pending_ >= kCareMax) return;
  const Tick ttl = config_.session_ttl_us;
  const std::uint64_t age = clock - std::min(clock, session.touched_us);
  // Everybody has one home, and the others step in later.
  const auto members = static_cast<std::uint64_t>(config_.replica_count);
  const bool is_home = session.session % members == config_.identity.self.value();
  SessionControl control{SessionOperation::kTouch, session.session, clock, 0};
  if (session.used) {
    if (age <= (is_home ? ttl / 2 : ttl / 4 * 3)) return;
  } else {
    if (age <= (is_home ? ttl : 3 * ttl)) return;
    control.operation = SessionOperation::kExpire;
    control.clock_us = clock - ttl;
    // Openings from before the middle of the time that has passed since are under way no more but
    // at a replica that was away.
    control.horizon_us = clock - ttl / 2;
  }
  ++care_pending_;
  const Tick deadline = ttl >= kNever - now_ ? kNever : now_ + ttl;
  propose_control(control, deadline, [this](const Outcome&) { --care_pending_; });
}

}  // namespace epaxos::runtime
