#pragma once

// Client sessions, as far as commands show them: which ids they have, what is said about a session
// itself, and the virtual keys through which the commands of a session conflict. Without those keys
// the session table would differ between replicas. Source: protocol.md 16.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/command.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos {

/// Sessions with the highest bit are a replica's own: for commands that came without one.
inline constexpr std::uint64_t kOwnSessionBit = std::uint64_t{1} << 63;
/// Of those, with this bit: commands that are about a session, see SessionControl. A state machine
/// never sees them.
inline constexpr std::uint64_t kControlSessionBit = std::uint64_t{1} << 62;

/// Whether a client may open a session of this id.
[[nodiscard]] constexpr bool is_client_session(std::uint64_t session) {
  return session != 0 && (session & kOwnSessionBit) == 0;
}
[[nodiscard]] constexpr bool is_session_control(std::uint64_t session) {
  return (session >> 62) == 3;
}

/// Whether the session table decides what becomes of a command.
[[nodiscard]] constexpr bool is_session_request(const Command& command) {
  return is_client_session(command.id.session) && !command.reads_only;
}

/// The request of a client's session that a proposal is. Session 0: of none.
struct SessionRequest {
  CommandId id;                          ///< The number is at least 1.
  std::uint64_t acknowledged_up_to = 0;  ///< The client repeats no number up to this one.
};

/// What can be said about a session. The numbers are part of the wire.
enum class SessionOperation : std::uint8_t {
  kOpen = 1,    ///< Begin it; again does no harm.
  kTouch = 2,   ///< It is in use.
  kClose = 3,   ///< No request of it comes any more: its replies may go.
  kExpire = 4,  ///< Forget it, if it was not touched since a time. Replicas alone say so.
};

/// The payload of a command about a session.
struct SessionControl {
  SessionOperation operation = SessionOperation::kOpen;
  std::uint64_t session = 0;
  /// Microseconds of the proposer's wall clock. kExpire: the session goes if it was touched before.
  std::uint64_t clock_us = 0;
  /// Of kExpire, when the session goes: no session is opened any more by a command that was
  /// proposed before. Else an opening that was under way all the time would bring it back empty.
  std::uint64_t horizon_us = 0;

  friend bool operator==(const SessionControl&, const SessionControl&) = default;
};

inline constexpr std::size_t kSessionControlBytes = 32;

std::vector<std::byte> encode_session_control(const SessionControl& control);
/// Errors: malformed.
Result<SessionControl> decode_session_control(Bytes payload);

/// What every command touches that changes anything on behalf of a session, or is about it. Hashed
/// with a seed of its own, so that a user's key is met by a collision of 64 bits alone.
Access session_access(std::uint64_t session);

/// What a command about a session touches. An opening also reads, and an expiry writes, the horizon
/// of all sessions.
Footprint session_footprint(const SessionControl& control);

}  // namespace epaxos
