#include "executor/session_table.h"

#include <algorithm>
#include <utility>

#include <xxhash.h>

#include "deps/types/mutant.h"

namespace epaxos::executor {

// --- Requests ----------------------------------------------------------------------------------

SessionTable::Admission SessionTable::admit(const Command& command) {
  Session* const session = find(command.id.session);
  if (session == nullptr || session->closed) return {Verdict::kUnknownSession, {}};
  const std::uint64_t number = command.id.number;
  if (number <= session->low) return {Verdict::kStale, {}};
  // Whoever still asks for a number has not acknowledged it.
  acknowledge(*session, std::min(command.acknowledged_up_to, number - 1));
  const std::size_t place = place_of(*session, number);
  if (place < session->replies.size() && session->replies[place].number == number) {
    if (mutant(Mutant::kRetryRunsAgain) && forget_reply(*session, place))
      return {Verdict::kRun, {}};
    return answer(session->replies[place]);
  }
  if (number - session->low > kWindow) return {Verdict::kBeyondWindow, {}};
  // The replies of what is to run may count or not, as the commands were cut into batches. When
  // that could make a difference, they must be there first.
  if (session->bytes + session->running * kReplyBytesMax > kSessionBytesMax) {
    return {session->running > 0 ? Verdict::kRunning : Verdict::kBeyondWindow, {}};
  }
  before_change(*session);
  ++session->running;
  session->replies.insert(session->replies.begin() + static_cast<std::ptrdiff_t>(place),
                          {number, /*running=*/true, /*too_large=*/false, {}});
  ++running_;
  if (!session->used) change(*session, [](Session& s) { s.used = true; });
  return {Verdict::kRun, {}};
}

void SessionTable::store(CommandId id, Bytes bytes) {
  Session* const session = find(id.session);
  if (session == nullptr || id.number <= session->low) return;
  const std::size_t place = place_of(*session, id.number);
  check(place < session->replies.size() && session->replies[place].number == id.number,
        "a reply was stored for a number that was not let run");
  Reply& reply = session->replies[place];
  check(reply.running, "a request has two replies");
  reply.running = false;
  reply.too_large = bytes.size() > kReplyBytesMax;
  if (!reply.too_large) reply.bytes.assign(bytes.begin(), bytes.end());
  session->bytes += reply.bytes.size();
  --session->running;
  --running_;
  ++replies_;
  digest_ += hash_of(*session, reply);
}

SessionTable::Admission SessionTable::look_up(CommandId id) const {
  const Session* const session = find(id.session);
  if (session == nullptr || session->closed) return {Verdict::kUnknownSession, {}};
  if (id.number <= session->low) return {Verdict::kStale, {}};
  const std::size_t place = place_of(*session, id.number);
  if (place == session->replies.size() || session->replies[place].number != id.number) {
    return {Verdict::kRun, {}};
  }
  return answer(session->replies[place]);
}

/// As a known bug would have it: what has run is to run again.
bool SessionTable::forget_reply(Session& session, std::size_t place) {
  Reply& reply = session.replies[place];
  if (reply.running) return false;
  before_change(session);
  drop(session, reply);
  reply = {.number = reply.number, .running = true, .too_large = false, .bytes = {}};
  ++running_;
  ++session.running;
  return true;
}

SessionTable::Admission SessionTable::answer(const Reply& reply) {
  if (reply.running) return {Verdict::kRunning, {}};
  if (reply.too_large) return {Verdict::kTooLarge, {}};
  return {Verdict::kRepeated, reply.bytes};
}

std::size_t SessionTable::place_of(const Session& session, std::uint64_t number) {
  // Numbers mostly come in their order.
  const auto& replies = session.replies;
  if (replies.empty() || replies.back().number < number) return replies.size();
  const auto at = std::ranges::lower_bound(replies, number, {}, &Reply::number);
  return static_cast<std::size_t>(at - replies.begin());
}

void SessionTable::acknowledge(Session& session, std::uint64_t up_to) {
  if (up_to <= session.low) return;
  change(session, [up_to](Session& s) { s.low = up_to; });
  std::size_t count = 0;
  while (count < session.replies.size() && session.replies[count].number <= up_to) ++count;
  drop_replies(session, count);
}

void SessionTable::drop_replies(Session& session, std::size_t count) {
  before_change(session);
  for (std::size_t i = 0; i < count; ++i) {
    Reply& reply = session.replies[i];
    if (!reply.running) {
      drop(session, reply);
    } else {
      --running_;
      --session.running;
    }
  }
  session.replies.erase(session.replies.begin(),
                        session.replies.begin() + static_cast<std::ptrdiff_t>(count));
}

/// Takes a reply out of all sums; its number stays.
void SessionTable::drop(Session& session, Reply& reply) {
  digest_ -= hash_of(session, reply);
  session.bytes -= reply.bytes.size();
  --replies_;
  if (image_.get() != nullptr) [[unlikely]]
    hand_over(session.id, reply);
}

// --- Sessions ----------------------------------------------------------------------------------

SessionTable::ControlVerdict SessionTable::control(const SessionControl& control) {
  check(running_ == 0, "a session was changed while a command of one runs");
  switch (control.operation) {
    case SessionOperation::kOpen:
      return open(control);
    case SessionOperation::kTouch:
      return touch(control);
    case SessionOperation::kClose:
      return close(control);
    case SessionOperation::kExpire:
      return expire(control);
  }
  return ControlVerdict::kUnknownSession;
}

SessionTable::ControlVerdict SessionTable::open(const SessionControl& control) {
  if (find(control.session) != nullptr) return touch(control);
  if (control.clock_us < horizon_us_) return ControlVerdict::kTooLate;
  Session opened;
  opened.id = control.session;
  opened.touched_us = control.clock_us;
  add(std::move(opened));
  ++open_;
  return ControlVerdict::kDone;
}

SessionTable::ControlVerdict SessionTable::touch(const SessionControl& control) {
  Session* const session = find(control.session);
  if (session == nullptr || session->closed) return ControlVerdict::kUnknownSession;
  change(*session, [&](Session& s) {
    s.touched_us = std::max(s.touched_us, control.clock_us);
    s.used = false;
  });
  return ControlVerdict::kDone;
}

SessionTable::ControlVerdict SessionTable::close(const SessionControl& control) {
  Session* const session = find(control.session);
  if (session == nullptr || session->closed) return ControlVerdict::kDone;
  drop_replies(*session, session->replies.size());
  change(*session, [](Session& s) {
    s.closed = true;
    s.used = false;
  });
  session->replies.shrink_to_fit();
  --open_;
  return ControlVerdict::kDone;
}

SessionTable::ControlVerdict SessionTable::expire(const SessionControl& control) {
  const Session* const session = find(control.session);
  if (session == nullptr || session->touched_us >= control.clock_us) return ControlVerdict::kDone;
  remove(control.session);
  if (control.horizon_us > horizon_us_) {
    if (horizon_us_ != 0) digest_ -= mix64(horizon_us_);
    horizon_us_ = control.horizon_us;
    digest_ += mix64(horizon_us_);
  }
  return ControlVerdict::kExpired;
}

const SessionTable::Session* SessionTable::find(std::uint64_t session) const {
  const HashIndex::Number place = index_[index_.probe(session)];
  return place == HashIndex::kNone ? nullptr : &sessions_[place];
}
SessionTable::Session* SessionTable::find(std::uint64_t session) {
  return const_cast<Session*>(std::as_const(*this).find(session));
}

SessionTable::Session& SessionTable::add(Session session) {
  if (free_.empty()) {
    free_.push_back(static_cast<HashIndex::Number>(sessions_.size()));
    sessions_.emplace_back();
  }
  const HashIndex::Number place = free_.back();
  free_.pop_back();
  index_.put(index_.probe(session.id), session.id, place);
  used_.insert(place);
  digest_ += hash_of(session);
  sessions_[place] = std::move(session);
  return sessions_[place];
}

void SessionTable::remove(std::uint64_t session) {
  const HashIndex::Position at = index_.probe(session);
  const HashIndex::Number place = index_[at];
  Session& removed = sessions_[place];
  drop_replies(removed, removed.replies.size());
  digest_ -= hash_of(removed);
  if (!removed.closed) --open_;
  removed = {};
  used_.erase(place);
  free_.push_back(place);
  index_.remove(at);
}

// --- The fingerprint ---------------------------------------------------------------------------

template <class Change>
void SessionTable::change(Session& session, Change change) {
  before_change(session);
  digest_ -= hash_of(session);
  change(session);
  digest_ += hash_of(session);
}

std::uint64_t SessionTable::hash_of(const Session& session) {
  const std::uint64_t flags = (session.used ? kUsed : 0) | (session.closed ? kClosed : 0);
  return mix64(session.id ^ mix64(session.low ^ mix64(session.touched_us ^ mix64(flags))));
}

std::uint64_t SessionTable::hash_of(const Session& session, const Reply& reply) {
  const std::uint64_t request = mix64(session.id ^ mix64(reply.number)) + (reply.too_large ? 1 : 0);
  return XXH3_64bits_withSeed(reply.bytes.data(), reply.bytes.size(), request);
}

std::uint64_t SessionTable::digest() const {
  return digest_;
}

}  // namespace epaxos::executor
