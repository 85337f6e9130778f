// How the session table travels: saved whole, read as an image while it changes, and loaded.

#include <algorithm>
#include <map>
#include <utility>

#include "executor/image.h"
#include "executor/saved_state.h"
#include "executor/session_table.h"

namespace epaxos::executor {

template <class To>
void SessionTable::write_header(To& to) const {
  to.number(kMagic);
  to.number(horizon_us_);
  to.number(static_cast<std::uint64_t>(size()));
}

template <class To>
void SessionTable::write_head(const Session& session, To& to) {
  to.number(session.id);
  to.number(session.low);
  to.number(session.touched_us);
  to.number((session.used ? kUsed : 0) | (session.closed ? kClosed : 0));
  to.number(static_cast<std::uint32_t>(session.replies.size()));
}

template <class To>
void SessionTable::write_head(const Reply& reply, To& to) {
  to.number(reply.number);
  to.number(reply.too_large ? kTooLargeToKeep : static_cast<std::uint32_t>(reply.bytes.size()));
}

Result<void> SessionTable::save(const Sink& sink) const {
  check(running_ == 0, "the session table was saved while a command runs");
  std::vector<const Session*> sorted;
  for (const Session& session : sessions_) {
    if (session.id != 0) sorted.push_back(&session);
  }
  std::ranges::sort(sorted, {}, &Session::id);
  Saver to(sink);
  write_header(to);
  for (const Session* const session : sorted) {
    write_head(*session, to);
    for (const Reply& reply : session->replies) {
      write_head(reply, to);
      to.bytes(reply.bytes);
    }
  }
  return to.finish();
}

// --- Images ------------------------------------------------------------------------------------

/// All replies of a session may be some megabytes, which are not copied at once. A reply does not
/// change while its session keeps it, so it is enough to know which there were, and to take over
/// those that the session drops before they are read.
class SessionTable::OpenImage final : public LiveImage {
 public:
  explicit OpenImage(SessionTable& table)
      : LiveImage(table.image_, table.used_, header_of(table)), table_(table) {}

  void take(std::uint64_t session, Reply& reply);

 private:
  struct KeptReply {
    Reply reply;
    bool taken = false;  ///< Else only the number is here, and the session has the reply.
  };
  struct KeptSession {
    std::vector<std::byte> head;
    std::vector<KeptReply> replies;  ///< By number.
    std::size_t next = 0;            ///< Those before it were appended.
  };

  static std::vector<std::byte> header_of(const SessionTable& table) {
    std::vector<std::byte> header;
    Appender to(header);
    table.write_header(to);
    return header;
  }

  void keep(std::size_t place) override;
  bool append_kept(std::vector<std::byte>& out, std::size_t enough) override;
  void append_unit(std::size_t place, std::vector<std::byte>&) override { keep(place); }
  [[nodiscard]] const Reply& find_reply(std::uint64_t session, const KeptReply& kept) const;

  const SessionTable& table_;
  std::map<std::uint64_t, KeptSession> kept_;  ///< By the sessions' ids.
  std::uint64_t current_ = 0;                  ///< The session that is appended; 0: none.
};

void SessionTable::OpenImage::keep(std::size_t place) {
  const Session& session = table_.sessions_[place];
  KeptSession& kept = kept_[session.id];
  Appender head(kept.head);
  write_head(session, head);
  kept.replies.reserve(session.replies.size());
  for (const Reply& reply : session.replies)
    kept.replies.emplace_back().reply.number = reply.number;
}

void SessionTable::OpenImage::take(std::uint64_t session, Reply& reply) {
  const auto found = kept_.find(session);
  if (found == kept_.end()) return;
  std::vector<KeptReply>& replies = found->second.replies;
  const auto at = std::ranges::lower_bound(replies, reply.number, {},
                                           [](const KeptReply& kept) { return kept.reply.number; });
  // A reply from after the image was taken, maybe even of a later session with this id.
  if (at == replies.end() || at->reply.number != reply.number || at->taken) return;
  at->taken = true;
  at->reply = std::move(reply);
}

bool SessionTable::OpenImage::append_kept(std::vector<std::byte>& out, std::size_t enough) {
  if (kept_.empty()) return false;
  const auto at = current_ != 0 ? kept_.find(current_) : kept_.begin();
  auto& [id, kept] = *at;
  current_ = id;
  Appender to(out);
  to.bytes(std::exchange(kept.head, {}));
  for (; kept.next < kept.replies.size() && out.size() < enough; ++kept.next) {
    KeptReply& reply = kept.replies[kept.next];
    const Reply& found = find_reply(id, reply);
    write_head(found, to);
    to.bytes(found.bytes);
    reply.reply.bytes = {};  // Its memory is free at once.
  }
  if (kept.next < kept.replies.size()) return true;
  kept_.erase(at);
  current_ = 0;
  return true;
}

const SessionTable::Reply& SessionTable::OpenImage::find_reply(std::uint64_t session,
                                                               const KeptReply& kept) const {
  if (kept.taken) return kept.reply;
  const Session* const found = table_.find(session);
  check(found != nullptr, "a session went without handing over its replies to the image");
  const std::size_t place = place_of(*found, kept.reply.number);
  check(place < found->replies.size() && found->replies[place].number == kept.reply.number,
        "a reply went that an image was still to read");
  return found->replies[place];
}

Result<std::unique_ptr<Image>> SessionTable::image() {
  check(running_ == 0, "an image of the session table was taken while a command runs");
  return std::unique_ptr<Image>(std::make_unique<OpenImage>(*this));
}

void SessionTable::keep(const Session& session) {
  image_.get()->before_change(static_cast<std::size_t>(&session - sessions_.data()));
}

void SessionTable::hand_over(std::uint64_t session, Reply& reply) {
  static_cast<OpenImage*>(image_.get())->take(session, reply);
}

// --- Loading -----------------------------------------------------------------------------------

Result<void> SessionTable::load(const Source& source) {
  SessionTable loaded;
  Loader from(source, "the saved session table");
  std::uint64_t magic = 0;
  std::uint64_t count = 0;
  if (Result<void> read = from.number(magic); !read) return read;
  if (magic != kMagic) return from.damaged("is none, or of another version");
  if (Result<void> read = from.number(loaded.horizon_us_); !read) return read;
  if (Result<void> read = from.number(count); !read) return read;
  if (loaded.horizon_us_ != 0) loaded.digest_ += mix64(loaded.horizon_us_);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (Result<void> read = loaded.load_session(from); !read) return read;
  }
  if (Result<void> read = from.finish(); !read) return read;
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
    return from.damaged("holds a session that cannot be");
  }
  read.used = (flags & kUsed) != 0;
  read.closed = (flags & kClosed) != 0;
  if (!read.closed) ++open_;
  Session& session = add(std::move(read));
  for (std::uint32_t i = 0; i < count; ++i) {
    if (Result<void> got = load_reply(from, session); !got) return got;
  }
  return {};
}

Result<void> SessionTable::load_reply(Loader& from, Session& session) {
  Reply reply;
  std::uint32_t bytes = 0;
  if (Result<void> got = from.number(reply.number); !got) return got;
  if (Result<void> got = from.number(bytes); !got) return got;
  const std::uint64_t before =
      session.replies.empty() ? session.low : session.replies.back().number;
  reply.too_large = bytes == kTooLargeToKeep;
  if (reply.too_large) bytes = 0;
  if (reply.number <= before || reply.number - session.low > kWindow || bytes > kReplyBytesMax ||
      session.bytes + bytes > kSessionBytesMax + kReplyBytesMax) {
    return from.damaged("holds a reply that cannot be");
  }
  reply.bytes.resize(bytes);
  if (Result<void> got = from.bytes(reply.bytes.data(), bytes); !got) return got;
  digest_ += hash_of(session, reply);
  ++replies_;
  session.bytes += bytes;
  session.replies.push_back(std::move(reply));
  return {};
}

}  // namespace epaxos::executor
