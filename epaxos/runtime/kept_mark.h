#pragma once

// What the storage of a machine that keeps itself holds beside the state, in bytes that only the
// host reads, and what the replica's own store notes about it. Source: protocol.md 14.4.

#include <cstdint>
#include <optional>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/result.h"
#include "epaxos/contract/effects.h"
#include "executor/session_table.h"
#include "net/bundle.h"

namespace epaxos::runtime {

/// Whatever else a start needs that begins with the state of that number.
struct KeptMark {
  net::BundleIdentity owner;  ///< Without an incarnation.
  std::uint64_t number = 0;
  std::uint64_t batches = 0;  ///< That the store had counted: one with fewer was set back.
  Bytes coverage;
  Bytes sessions;  ///< For SessionTable::load().
};

/// Cost: the session table is saved at once, while the loop stands still. A thousand sessions that
/// keep ten replies of 100 bytes each are 1.1 MiB and took 1.4 ms on a busy machine with two cores;
/// ten thousand 20 ms; a hundred thousand 0.3 s.
Result<std::vector<std::byte>> make_mark(const net::BundleIdentity& owner, std::uint64_t number,
                                         std::uint64_t batches, Bytes coverage,
                                         const executor::SessionTable& sessions);

/// The parts are views of `bytes`. Errors: corrupted; wrong_identity - it is of another version.
Result<KeptMark> read_mark(Bytes bytes);
/// Whether the mark is that of a replica of this cluster, membership and protocol.
/// Errors: wrong_identity.
Result<void> expect_owner(const KeptMark& mark, const net::BundleIdentity& owner);

/// The record of what the store counts on.
struct KeptNote {
  std::uint64_t kept = 0;  ///< Older states will not do: records that they need may be gone.
  std::uint64_t most = 0;  ///< The machine was given no higher number.

  friend bool operator==(const KeptNote&, const KeptNote&) = default;
};

/// The record of how many batches were ever durable, which the host writes.
inline constexpr RecordKey kCountKey{
    .kind = kRecordKindMax, .group = {}, .epoch = {}, .row = {}, .slot = Slot(1)};

inline constexpr RecordKey kKeptNoteKey{
    .kind = kRecordKindMax, .group = {}, .epoch = {}, .row = {}, .slot = Slot(3)};
inline constexpr std::size_t kKeptNoteBytes = 16;

void put_note(const KeptNote& note, Effects& out);
/// Nothing: it makes no sense.
std::optional<KeptNote> read_note(Bytes bytes);

}  // namespace epaxos::runtime
