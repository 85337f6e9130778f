#include "executor/session_table.h"

#include <algorithm>
#include <utility>

#include <xxhash.h>

#include "deps/types/mutant.h"
#include "executor/saved_state.h"

namespace epaxos::executor {
namespace {

constexpr std::uint64_t kMagic = 0x31'73'65'73'6f'70'65'01;  // Version 1 of the saved format.
constexpr std::uint32_t kTooLargeToKeep =
    ~std::uint32_t{0};  // In the place of a saved reply's size.
constexpr std::uint32_t kUsed = 1;
constexpr std::uint32_t kClosed = 2;

Failure damaged(const char* what) {
  return fail(ErrorCode::kCorrupted, std::string("the saved session table ") + what);
}

}  // namespace

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
  digest_ -= hash_of(session, reply);
  session.bytes -= reply.bytes.size();
  reply = {.number = reply.number, .running = true, .too_large = false, .bytes = {}};
  --replies_;
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
  for (std::size_t i = 0; i < count; ++i) {
    const Reply& reply = session.replies[i];
    --(reply.running ? running_ : replies_);
    if (reply.running) --session.running;
    session.bytes -= reply.bytes.size();
    if (!reply.running) digest_ -= hash_of(session, reply);
  }
  session.replies.erase(session.replies.begin(),
                        session.replies.begin() + static_cast<std::ptrdiff_t>(count));
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
  change(add(control.session), [&](Session& s) { s.touched_us = control.clock_us; });
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

SessionTable::Session& SessionTable::add(std::uint64_t session) {
  if (free_.empty()) {
    free_.push_back(static_cast<HashIndex::Number>(sessions_.size()));
    sessions_.emplace_back();
  }
  const HashIndex::Number place = free_.back();
  free_.pop_back();
  index_.put(index_.probe(session), session, place);
  sessions_[place].id = session;
  digest_ += hash_of(sessions_[place]);
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
  free_.push_back(place);
  index_.remove(at);
}

// --- The fingerprint ---------------------------------------------------------------------------

template <class Change>
void SessionTable::change(Session& session, Change change) {
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

// --- Saving ------------------------------------------------------------------------------------

Result<void> SessionTable::save(const Sink& sink) const {
  check(running_ == 0, "the session table was saved while a command runs");
  std::vector<const Session*> sorted;
  for (const Session& session : sessions_) {
    if (session.id != 0) sorted.push_back(&session);
  }
  std::ranges::sort(sorted, {}, &Session::id);
  Saver to(sink);
  to.number(kMagic);
  to.number(horizon_us_);
  to.number(static_cast<std::uint64_t>(sorted.size()));
  for (const Session* const session : sorted) {
    to.number(session->id);
    to.number(session->low);
    to.number(session->touched_us);
    to.number((session->used ? kUsed : 0) | (session->closed ? kClosed : 0));
    to.number(static_cast<std::uint32_t>(session->replies.size()));
    for (const Reply& reply : session->replies) {
      to.number(reply.number);
      to.number(reply.too_large ? kTooLargeToKeep : static_cast<std::uint32_t>(reply.bytes.size()));
      to.bytes(reply.bytes);
    }
  }
  return to.finish();
}

Result<void> SessionTable::load(const Source& source) {
  SessionTable loaded;
  Loader from(source);
  std::uint64_t magic = 0;
  std::uint64_t count = 0;
  if (Result<void> read = from.number(magic); !read) return read;
  if (magic != kMagic) return damaged("is none, or of another version");
  if (Result<void> read = from.number(loaded.horizon_us_); !read) return read;
  if (Result<void> read = from.number(count); !read) return read;
  if (loaded.horizon_us_ != 0) loaded.digest_ += mix64(loaded.horizon_us_);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (Result<void> read = loaded.load_session(from); !read) return read;
  }
  const std::uint64_t expected = from.checksum();
  std::uint64_t checksum = 0;
  if (Result<void> read = from.number(checksum); !read) return read;
  if (checksum != expected) return damaged("fails its checksum");
  *this = std::move(loaded);
  return {};
}

Result<void> SessionTable::load_session(Loader& from) {
  Session read;
  std::uint32_t flags = 0;
  std::uint32_t count = 0;
  for (std::uint64_t* const number : {&read.id, &read.low, &read.touched_us}) {
    if (Result<void> got = from.number(*number); !got) return got;
  }
  if (Result<void> got = from.number(flags); !got) return got;
  if (Result<void> got = from.number(count); !got) return got;
  if (!is_client_session(read.id) || find(read.id) != nullptr || count > kWindow) {
    return damaged("holds a session that cannot be");
  }
  Session& session = add(read.id);
  change(session, [&](Session& s) {
    s.low = read.low;
    s.touched_us = read.touched_us;
    s.used = (flags & kUsed) != 0;
    s.closed = (flags & kClosed) != 0;
  });
  if (!session.closed) ++open_;
  for (std::uint32_t i = 0; i < count; ++i) {
    Reply reply;
    std::uint32_t bytes = 0;
    if (Result<void> got = from.number(reply.number); !got) return got;
    if (Result<void> got = from.number(bytes); !got) return got;
    const std::uint64_t before =
        session.replies.empty() ? session.low : session.replies.back().number;
    reply.too_large = bytes == kTooLargeToKeep;
    if (reply.too_large) bytes = 0;
    if (reply.number <= before || bytes > kReplyBytesMax) {
      return damaged("holds a reply that cannot be");
    }
    reply.bytes.resize(bytes);
    if (Result<void> got = from.bytes(reply.bytes.data(), bytes); !got) return got;
    digest_ += hash_of(session, reply);
    ++replies_;
    session.bytes += bytes;
    session.replies.push_back(std::move(reply));
  }
  return {};
}

}  // namespace epaxos::executor
