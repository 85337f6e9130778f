#pragma once

// What makes a repeated request take effect once: for every open session, the numbers that were
// executed and are not acknowledged yet, each with its reply. Replicated state: all commands that
// change a session conflict, so every replica asks in the same order and gets the same answers,
// however it cuts the commands into batches. Source: protocol.md 16.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/session.h"
#include "executor/bit_set.h"
#include "executor/hash_index.h"
#include "executor/image_link.h"
#include "executor/state_machine.h"

namespace epaxos::executor {

class Loader;

class SessionTable {
 public:
  /// Numbers above the last acknowledged one that a session may use.
  static constexpr std::uint64_t kWindow = 1024;
  /// Of a reply that is kept; of a larger one only that it was too large.
  static constexpr std::size_t kReplyBytesMax = std::size_t{1} << 20;
  /// Of all replies that a session keeps when one more of its commands is to run.
  static constexpr std::size_t kSessionBytesMax = std::size_t{16} << 20;

  enum class Verdict {
    kRun,       ///< The machine is to run it; store() follows.
    kRepeated,  ///< It ran before; here is the reply.
    kTooLarge,  ///< It ran before; the reply was too large to be kept.
    kRunning,   ///< Something is to run, and store() did not follow: first that, then ask again.
    kStale,     ///< The client has acknowledged this number: nobody waits for an answer.
    kBeyondWindow,    ///< Too many numbers, or replies too large, are not acknowledged.
    kUnknownSession,  ///< Never opened, closed, or expired.
  };
  struct Admission {
    Verdict verdict = Verdict::kUnknownSession;
    Bytes reply;  ///< Of kRepeated; lives until the next change.
  };

  /// What is to become of a command of a session, in final order. Takes note of what the client has
  /// acknowledged. Cost: a look-up; no allocation beyond the place of a number.
  Admission admit(const Command& command);
  /// The reply to a command that admit() let run. Nothing is kept if it was acknowledged since, or
  /// its session is gone.
  void store(CommandId id, Bytes reply);
  /// What is known about a request now. Changes nothing: another replica may know more.
  [[nodiscard]] Admission look_up(CommandId id) const;

  enum class ControlVerdict {
    kDone,
    kExpired,         ///< The session was forgotten.
    kUnknownSession,  ///< Touched or opened again, and closed or unknown.
    kTooLate,         ///< An opening that is older than sessions that have expired.
  };
  /// Precondition: what was let run has its reply.
  ControlVerdict control(const SessionControl& control);

  /// What whoever takes care of sessions must know of one.
  struct Look {
    std::uint64_t session = 0;
    std::uint64_t touched_us = 0;
    bool used = false;  ///< Since it was touched last.
    bool closed = false;
  };
  /// Calls `look` with up to `count` sessions from `cursor` on, which moves on, round and round.
  template <class Visit>
  void look_at_some(std::size_t& cursor, std::size_t count, Visit visit) const {
    for (std::size_t i = 0; i < count && i < sessions_.size(); ++i) {
      cursor = cursor + 1 < sessions_.size() ? cursor + 1 : 0;
      const Session& s = sessions_[cursor];
      if (s.id != 0) visit(Look{s.id, s.touched_us, s.used, s.closed});
    }
  }

  /// No session is known, not even a closed one.
  [[nodiscard]] bool empty() const { return index_.size() == 0; }
  [[nodiscard]] std::size_t size() const { return index_.size(); }  ///< With the closed ones.
  [[nodiscard]] std::size_t open() const { return open_; }          ///< Sessions.
  [[nodiscard]] std::size_t replies() const { return replies_; }

  /// Equal tables, equal digests; 0 while no session was ever opened. Cost: O(1).
  [[nodiscard]] std::uint64_t digest() const;

  /// As StateMachine's. Precondition: what was let run has its reply.
  [[nodiscard]] Result<void> save(const Sink& sink) const;
  Result<void> load(const Source& source);
  /// Notes down a session when it is about to change, and else when it is read; the bytes of its
  /// replies are copied one by one when they are read. So a piece ends with a reply at the latest.
  /// Cost of taking one: a word for 64 sessions. Memory: the replies that have been dropped and are
  /// not read yet. Precondition: what was let run has its reply.
  [[nodiscard]] Result<std::unique_ptr<Image>> image();

 private:
  class OpenImage;

  static constexpr std::uint64_t kMagic = 0x31'73'65'73'6f'70'65'01;   // Version 1 of the format.
  static constexpr std::uint32_t kTooLargeToKeep = ~std::uint32_t{0};  // In the place of a size.
  static constexpr std::uint32_t kUsed = 1;
  static constexpr std::uint32_t kClosed = 2;

  struct Reply {
    std::uint64_t number = 0;
    bool running = false;
    bool too_large = false;
    std::vector<std::byte> bytes;
  };
  struct Session {
    std::uint64_t id = 0;   ///< 0: the place is free.
    std::uint64_t low = 0;  ///< Acknowledged up to here. Only grows.
    std::uint64_t touched_us = 0;
    bool used = false;
    bool closed = false;         ///< Stays until it expires, so that no late opening revives it.
    std::vector<Reply> replies;  ///< Above low, ascending.
    std::size_t bytes = 0;       ///< Of the replies.
    std::size_t running = 0;     ///< Replies that are not there yet.
  };

  [[nodiscard]] const Session* find(std::uint64_t session) const;
  [[nodiscard]] Session* find(std::uint64_t session);
  bool forget_reply(Session& session, std::size_t place);
  [[nodiscard]] static Admission answer(const Reply& reply);
  [[nodiscard]] static std::size_t place_of(const Session& session, std::uint64_t number);
  Session& add(Session session);
  void remove(std::uint64_t session);
  void acknowledge(Session& session, std::uint64_t up_to);
  void drop_replies(Session& session, std::size_t count);
  void drop(Session& session, Reply& reply);

  /// What every change of a session begins with; what drop() ends with.
  void before_change(const Session& session) {
    if (image_.get() != nullptr) [[unlikely]]
      keep(session);
  }
  void keep(const Session& session);
  void hand_over(std::uint64_t session, Reply& reply);

  template <class Change>
  void change(Session& session, Change change);
  static std::uint64_t hash_of(const Session& session);
  static std::uint64_t hash_of(const Session& session, const Reply& reply);

  ControlVerdict open(const SessionControl& control);
  ControlVerdict touch(const SessionControl& control);
  ControlVerdict close(const SessionControl& control);
  ControlVerdict expire(const SessionControl& control);

  /// As save() and an image write it; the sessions may come in any order.
  template <class To>
  void write_header(To& to) const;
  template <class To>
  static void write_head(const Session& session, To& to);
  template <class To>
  static void write_head(const Reply& reply, To& to);
  Result<void> load_session(Loader& from);
  Result<void> load_reply(Loader& from, Session& session);

  ImageLink image_;
  HashIndex index_;  // From the id to the place in sessions_.
  std::vector<Session> sessions_;
  BitSet used_;  // Of the places.
  std::vector<HashIndex::Number> free_;
  std::uint64_t horizon_us_ = 0;  // Openings proposed before are refused. Only grows.
  std::uint64_t digest_ = 0;      // The sum of all hashes, so the order does not matter.
  std::size_t open_ = 0;
  std::size_t replies_ = 0;
  std::size_t running_ = 0;
};

}  // namespace epaxos::executor
