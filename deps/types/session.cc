#include "deps/types/session.h"

#include <cstring>

#include <xxhash.h>

namespace epaxos {
namespace {

// Parts of the wire version.
constexpr std::uint64_t kSessionSeed = 0x65706178'6f732d73;
constexpr std::uint64_t kHorizonSeed = 0x65706178'6f732d68;

std::uint64_t hash_of(std::uint64_t number, std::uint64_t seed) {
  return XXH3_64bits_withSeed(&number, sizeof number, seed);
}

}  // namespace

std::vector<std::byte> encode_session_control(const SessionControl& control) {
  const std::uint64_t words[] = {static_cast<std::uint64_t>(control.operation), control.session,
                                 control.clock_us, control.horizon_us};
  static_assert(sizeof words == kSessionControlBytes);
  const Bytes bytes = std::as_bytes(std::span(words));
  return {bytes.begin(), bytes.end()};
}

Result<SessionControl> decode_session_control(Bytes payload) {
  std::uint64_t words[4];
  if (payload.size() != sizeof words) {
    return fail(ErrorCode::kMalformed, "session control: a payload of another size");
  }
  std::memcpy(words, payload.data(), sizeof words);
  const bool known = words[0] >= static_cast<std::uint64_t>(SessionOperation::kOpen) &&
                     words[0] <= static_cast<std::uint64_t>(SessionOperation::kExpire);
  if (!known) return fail(ErrorCode::kMalformed, "session control: an operation that is not known");
  if (!is_client_session(words[1])) {
    return fail(ErrorCode::kMalformed, "session control: no client has such a session");
  }
  return SessionControl{static_cast<SessionOperation>(words[0]), words[1], words[2], words[3]};
}

Access session_access(std::uint64_t session) {
  return Access::write(hash_of(session, kSessionSeed));
}

Footprint session_footprint(const SessionControl& control) {
  Footprint footprint{session_access(control.session)};
  const std::uint64_t horizon = hash_of(0, kHorizonSeed);
  if (control.operation == SessionOperation::kOpen) footprint.add(Access::read(horizon));
  if (control.operation == SessionOperation::kExpire) footprint.add(Access::write(horizon));
  return footprint;
}

}  // namespace epaxos
